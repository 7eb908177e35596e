package diameter

// Commands of the base protocol and of the applications that a hub meets. Requests and
// answers share a code.
const (
	CapabilitiesExchange = 257
	ReAuth               = 258
	AA                   = 265
	EAP                  = 268
	Accounting           = 271
	CreditControl        = 272
	AbortSession         = 274
	SessionTermination   = 275
	DeviceWatchdog       = 280
	DisconnectPeer       = 282
	UpdateLocation       = 316
	CancelLocation       = 317
	AuthenticationInfo   = 318
	InsertSubscriberData = 319
	DeleteSubscriberData = 320
	PurgeUE              = 321
	Reset                = 322
	Notify               = 323
	MEIdentityCheck      = 324
	ConfigurationInfo    = 8388718
	ReportingInfo        = 8388719
	NIDDInformation      = 8388726
	ConnectionManagement = 8388732
	MOData               = 8388733
	MTData               = 8388734
	MOForwardSM          = 8388645
	MTForwardSM          = 8388646
	SendRoutingInfoSM    = 8388647
	AlertServiceCentre   = 8388648
	ReportSMStatus       = 8388649
)

// Applications.
const (
	AppBase       = 0
	AppNASREQ     = 1
	AppAccounting = 3
	AppCredit     = 4
	AppEAP        = 5
	AppS9         = 16777267
	AppGx         = 16777238
	AppSTa        = 16777250
	AppS6a        = 16777251
	AppS13        = 16777252
	AppSWm        = 16777264
	AppSWx        = 16777265
	AppS6b        = 16777272
	AppS6c        = 16777312
	AppSGd        = 16777313
	AppS6t        = 16777345
	AppT6a        = 16777346
	AppRelay      = 0xffffffff
)

// Vendors.
const (
	Vendor3GPP = 10415
)

// AVPs without a vendor.
const (
	UserName                    = 1
	UserPassword                = 2
	Class                       = 25
	SessionTimeout              = 27
	ProxyState                  = 33
	AcctSessionID               = 44
	EventTimestamp              = 55
	AcctMultiSessionID          = 50
	HostIPAddress               = 257
	AuthApplicationID           = 258
	AcctApplicationID           = 259
	VendorSpecificApplicationID = 260
	RedirectHostUsage           = 261
	RedirectMaxCacheTime        = 262
	SessionID                   = 263
	OriginHost                  = 264
	SupportedVendorID           = 265
	VendorID                    = 266
	FirmwareRevision            = 267
	ResultCode                  = 268
	ProductName                 = 269
	SessionBinding              = 270
	DisconnectCause             = 273
	AuthRequestType             = 274
	AuthSessionState            = 277
	OriginStateID               = 278
	FailedAVP                   = 279
	ProxyHost                   = 280
	ErrorMessage                = 281
	RouteRecord                 = 282
	DestinationRealm            = 283
	ProxyInfo                   = 284
	RedirectHost                = 292
	DestinationHost             = 293
	ErrorReportingHost          = 294
	OriginRealm                 = 296
	ExperimentalResult          = 297
	ExperimentalResultCode      = 298
	InbandSecurityID            = 299
	DRMP                        = 301
	CCRequestNumber             = 415
	CCRequestType               = 416
	SubscriptionID              = 443
	AccountingRecordType        = 480
	AccountingRealtimeRequired  = 483
	AccountingRecordNumber      = 485
	OCSupportedFeatures         = 621
	OCFeatureVector             = 622
	OCOLR                       = 623
	OCSequenceNumber            = 624
	OCValidityDuration          = 625
	OCReportType                = 626
	OCReductionPercentage       = 627
)

// AVPs of 3GPP.
const (
	TGPPVisitedPLMNID       = 1407
	TGPPRATType             = 1032
	TGPPULRFlags            = 1405
	TGPPTerminalInformation = 1401
	TGPPIMEI                = 1402
	TGPPSupportedFeatures   = 628
	TGPPUserIdentifier      = 3102
	TGPPSCAddress           = 3300
)

// Result codes (RFC 6733 section 7.1).
const (
	ResultMultiRoundAuth         = 1001
	ResultSuccess                = 2001
	ResultLimitedSuccess         = 2002
	ResultCommandUnsupported     = 3001
	ResultUnableToDeliver        = 3002
	ResultRealmNotServed         = 3003
	ResultTooBusy                = 3004
	ResultLoopDetected           = 3005
	ResultRedirectIndication     = 3006
	ResultApplicationUnsupported = 3007
	ResultInvalidHdrBits         = 3008
	ResultInvalidAVPBits         = 3009
	ResultUnknownPeer            = 3010
	ResultAuthenticationRejected = 4001
	ResultOutOfSpace             = 4002
	ResultElectionLost           = 4003
	ResultAVPUnsupported         = 5001
	ResultUnknownSessionID       = 5002
	ResultAuthorizationRejected  = 5003
	ResultInvalidAVPValue        = 5004
	ResultMissingAVP             = 5005
	ResultResourcesExceeded      = 5006
	ResultContradictingAVPs      = 5007
	ResultAVPNotAllowed          = 5008
	ResultAVPOccursTooManyTimes  = 5009
	ResultNoCommonApplication    = 5010
	ResultUnsupportedVersion     = 5011
	ResultUnableToComply         = 5012
	ResultInvalidBitInHeader     = 5013
	ResultInvalidAVPLength       = 5014
	ResultInvalidMessageLength   = 5015
	ResultInvalidAVPBitCombo     = 5016
	ResultNoCommonSecurity       = 5017
)

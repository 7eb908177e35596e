package play

const (
	vendorMicrosoft = 311
	msMPPESendKey   = 16 // RFC 2548 section 2.4.2
	msMPPERecvKey   = 17 // RFC 2548 section 2.4.3
)

// Acct-Status-Type (RFC 2866 section 5.1).
const (
	statusStart   = 1
	statusStop    = 2
	statusInterim = 3
)

// EAP (RFC 3748 section 4).
const (
	eapRequest  = 1
	eapResponse = 2
	eapSuccess  = 3
	eapFailure  = 4

	eapIdentity = 1
	eapAKAPrime = 50 // RFC 9048; only its shape is played
)

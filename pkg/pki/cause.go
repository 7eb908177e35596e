package pki

// Cause is why a certificate is not accepted. The zero Cause is none.
type Cause uint8

// The causes.
const (
	None            Cause = iota
	NoCertificate         // the peer has shown none
	TooLong               // more certificates than MaxChain, or than an authority allows
	TooBig                // more octets than MaxChainBytes
	TooManyNames          // more than MaxNames
	WeakKey               // RSA below 2048 bits, or a hash that is broken
	HugeKey               // RSA above 8192 bits
	Expired               // of any certificate of the chain
	NotYetValid           // of any certificate of the chain
	UnknownIssuer         // no authority of the trust base has issued it
	WrongUsage            // it may not be used for that
	NotAllowed            // an authority may not issue for such names
	UnknownCritical       // a critical extension that nobody here knows
	WrongPolicy           // none of the policies holds for the whole chain
	MalformedName         // a subjectAltName that cannot be read
	Revoked               // by a CRL or by OCSP
	NoCRL                 // there is none, and one is required
	StaleCRL              // its nextUpdate has passed, and one is required
	NoStaple              // the certificate promises a stapled OCSP response
	BadStaple             // it is not one for this certificate, or it says unknown
	WrongName             // none of the names that were expected
	Broken                // it cannot be read, or a signature in the chain is wrong
	causes
)

var causeNames = [causes]struct{ name, text string }{
	None:            {"none", "the certificate is accepted"},
	NoCertificate:   {"no_certificate", "the peer showed no certificate"},
	TooLong:         {"chain_too_long", "the chain has more certificates than are allowed: 10, or what an authority in it allows"},
	TooBig:          {"chain_too_big", "the chain is larger than 64 KiB"},
	TooManyNames:    {"too_many_names", "a certificate has more than 1000 names, or too many for the constraints of its authority"},
	WeakKey:         {"weak_key", "a certificate of the chain has an RSA key of less than 2048 bits or is signed with MD5 or SHA-1"},
	HugeKey:         {"huge_key", "a certificate of the chain has an RSA key of more than 8192 bits"},
	Expired:         {"expired", "a certificate of the chain has expired"},
	NotYetValid:     {"not_yet_valid", "a certificate of the chain is not valid yet; are both clocks right?"},
	UnknownIssuer:   {"unknown_issuer", "no authority of the trust base has issued it, or the peer does not send its intermediate certificates"},
	WrongUsage:      {"wrong_usage", "the key usage or extended key usage does not allow it here (clientAuth for who connects, serverAuth for who is connected to)"},
	NotAllowed:      {"not_allowed", "an authority of the chain may not issue for these names"},
	UnknownCritical: {"unknown_critical_extension", "a certificate of the chain has a critical extension that is not known"},
	WrongPolicy:     {"wrong_policy", "none of the certificate policies that are asked for holds for the whole chain"},
	MalformedName:   {"malformed_name", "the subjectAltName cannot be read"},
	Revoked:         {"revoked", "a certificate of the chain has been revoked"},
	NoCRL:           {"no_crl", "revocation is required to be known, and there is no CRL of an issuer of the chain"},
	StaleCRL:        {"stale_crl", "revocation is required to be known, and the CRL of an issuer of the chain is past its nextUpdate"},
	NoStaple:        {"no_staple", "the certificate promises a stapled OCSP response, and none that is fresh came"},
	BadStaple:       {"bad_staple", "the stapled OCSP response is not a good one for this certificate"},
	WrongName:       {"wrong_name", "the certificate has none of the names that are expected of this peer"},
	Broken:          {"broken", "a certificate cannot be read, or a signature in the chain is wrong"},
}

// String is the word of logs and metrics.
func (c Cause) String() string {
	if c >= causes {
		return "unknown"
	}
	return causeNames[c].name
}

// Text says it to people.
func (c Cause) Text() string {
	if c >= causes {
		return "an unknown cause"
	}
	return causeNames[c].text
}

// Causes are all of them but None.
func Causes() []Cause {
	all := make([]Cause, 0, causes-1)
	for c := None + 1; c < causes; c++ {
		all = append(all, c)
	}
	return all
}

// Refused is a Cause as the error of a handshake.
type Refused Cause

// Error gives the text of the cause.
func (r Refused) Error() string { return "certificate refused: " + Cause(r).Text() }

// Err is nil for None, else a Refused.
func (c Cause) Err() error {
	if c == None {
		return nil
	}
	return Refused(c)
}

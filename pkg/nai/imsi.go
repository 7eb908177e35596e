package nai

import "bytes"

const (
	plmnForm   = "mnc000.mcc000.3gppnetwork.org"
	minIMSI    = 6 // MCC, MNC and at least one digit of a subscriber
	maxIMSI    = 15
	mncAt      = len("mnc")
	mccAt      = len("mnc000.mcc")
	labelAfter = len("mnc000.mcc000")
)

// PLMN returns the mobile country and network code of a folded realm that ends
// in mncNNN.mccNNN.3gppnetwork.org. A network code of two digits has a leading
// zero there, which is kept: the realm does not tell the two forms apart
// (TS 23.003 section 19.2). hot: 0 allocs
func PLMN(foldedRealm []byte) (mcc, mnc [3]byte, ok bool) {
	cut := len(foldedRealm) - len(plmnForm)
	if cut < 0 || cut > 0 && foldedRealm[cut-1] != '.' {
		return mcc, mnc, false
	}
	tail := foldedRealm[cut:]
	if string(tail[:mncAt]) != plmnForm[:mncAt] ||
		string(tail[mncAt+3:mccAt]) != plmnForm[mncAt+3:mccAt] ||
		string(tail[labelAfter:]) != plmnForm[labelAfter:] ||
		!digits(tail[mncAt:mncAt+3]) || !digits(tail[mccAt:mccAt+3]) {
		return mcc, mnc, false
	}
	return [3]byte(tail[mccAt:]), [3]byte(tail[mncAt:]), true
}

// IMSI returns the subscriber's identity in the user part of a permanent
// identity: one digit that names the method (0 EAP-AKA, 1 EAP-SIM, 6 EAP-AKA')
// and 6 to 15 digits, in the realm of a mobile network for WLAN, EPC or 5GC
// access (TS 23.003 sections 14.3, 19.3.2 and 28.7.3). Pseudonyms and
// re-authentication identities begin with other digits and name nobody, even if
// they look like it. hot: 0 allocs
func IMSI(user, foldedRealm []byte) ([]byte, bool) {
	if len(user) < 1+minIMSI || len(user) > 1+maxIMSI {
		return nil, false
	}
	switch user[0] {
	case '0', '1', '6':
	default:
		return nil, false
	}
	if !digits(user[1:]) || !accessRealm(foldedRealm) {
		return nil, false
	}
	return user[1:], true
}

func accessRealm(foldedRealm []byte) bool {
	if _, _, ok := PLMN(foldedRealm); !ok {
		return false
	}
	switch string(bytes.TrimSuffix(foldedRealm[:len(foldedRealm)-len(plmnForm)], []byte("."))) {
	case "wlan", "nai.epc", "nai.5gc":
		return true
	}
	return false
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

package nai

import "bytes"

// MNCLen is how many digits the network codes of a mobile country code have, by
// the assignments of ITU-T E.212. It is 0 where networks of both lengths were
// assigned, so that digits alone do not tell where the code ends, and for what is
// no country code.
func MNCLen(mcc string) int {
	if !IsMCC(mcc) {
		return 0
	}
	if n, ok := mncLen[mcc]; ok {
		return n
	}
	return 2
}

// testMCC is that of test networks.
const testMCC = "001"

// IsMCC reports whether a text is a mobile country code: of a country, of
// networks of no country, of private networks (999) or of test networks (001).
func IsMCC(mcc string) bool {
	if len(mcc) != 3 || !digits([]byte(mcc)) {
		return false
	}
	return mcc == testMCC || mcc[0] >= '2' && mcc[0] != '8'
}

// mncLen has the countries whose codes are not all of two digits.
var mncLen = func() map[string]int {
	m := make(map[string]int)
	for _, mcc := range []string{
		"302",                                           // Canada
		"310", "311", "312", "313", "314", "315", "316", // United States
		"334",                      // Mexico
		"342", "344", "346", "348", // Barbados, Antigua, Cayman Islands, Virgin Islands
		"352", "354", "356", "358", "360", "365", "366", "376", // Lesser Antilles, Turks and Caicos
		"708", // Honduras
		"732", // Colombia
		"750", // Falkland Islands
	} {
		m[mcc] = 3
	}
	// India, Jamaica, Bermuda, Bahamas, Trinidad, Panama, Argentina, Peru, the
	// networks of no country, test networks and private ones.
	for _, mcc := range []string{"338", "350", "364", "374", "405", "714", "716", "722", "901", testMCC, "999"} {
		m[mcc] = 0
	}
	return m
}()

const (
	ownDomain    = "3gppnetwork.org"
	publicDomain = "pub.3gppnetwork.org"
)

// PublicName writes the name under which a folded 3GPP realm is found in public
// DNS to dst, which needs MaxLen+4 octets at most, and returns it: the realm's own
// domain exists between operators only (GSMA IR.67). Another realm is not ok; it
// is found under its own name.
func PublicName(dst, foldedRealm []byte) (name []byte, ok bool) {
	if _, _, ok := PLMN(foldedRealm); !ok {
		return nil, false
	}
	dst = append(dst[:0], bytes.TrimSuffix(foldedRealm, []byte(ownDomain))...)
	return append(dst, publicDomain...), true
}

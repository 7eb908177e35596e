package device

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHash(t *testing.T) {
	// SipHash-2-4-128 with the key 00..0f, as OpenSSL computes it.
	h := hasher{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	for _, tt := range []struct{ in, want string }{
		{"", "a3817f04ba25a8e66df67214c7550293"},
		{"00", "da87c1d86b99af44347659119b22fc45"},
		{"0001020304050607", "3b62a9ba6258f5610f83e264f31497b4"},
		{"000102030405060708090a0b0c0d0e", "5493e99933b0a8117e08ec0f97cfc3d9"},
	} {
		in, err := hex.DecodeString(tt.in)
		require.NoError(t, err)
		got := h.sum(in)
		assert.Equal(t, tt.want, hex.EncodeToString(got[:]), "input %q", tt.in)
	}
}

func TestParseMAC(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"bare", "001122AABBcc", true},
		{"dashes", "00-11-22-AA-BB-CC", true},
		{"colons", "00:11:22:aa:bb:cc", true},
		{"dots of four", "0011.22aa.bbcc", true},
		{"dash of six", "001122-aabbcc", true},
		{"dashes and SSID", "00-11-22-AA-BB-CC:guest", true},
		{"colons and SSID", "00:11:22:aa:bb:cc:guest", true},
		{"dots and SSID", "0011.22aa.bbcc:guest", true},
		{"bare and SSID", "001122aabbcc:", true},
		{"empty", "", false},
		{"short", "00-11-22-AA-BB", false},
		{"short by a digit", "00-11-22-AA-BB-C", false},
		{"long", "001122aabbccdd", false},
		{"long with dashes", "00-11-22-AA-BB-CC-DD", false},
		{"mixed separators", "00-11:22-AA-BB-CC", false},
		{"uneven", "0-011-22-AA-BB-CC", false},
		{"uneven end", "00-11-22-AA-BBCC", false},
		{"leading separator", "-001122aabbcc", false},
		{"double separator", "00--11-22-AA-BB-CC", false},
		{"dots of two", "00.11.22.aa.bb.cc", false},
		{"colon of six", "001122:aabbcc", false},
		{"other text after", "00-11-22-AA-BB-CC guest", false},
		{"phone number", "491701234567", true},
		{"letters", "gg-11-22-AA-BB-CC", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mac, ok := ParseMAC([]byte(tt.in))
			require.Equal(t, tt.ok, ok)
			if ok && strings.HasPrefix(strings.ToLower(tt.in), "00") {
				assert.Equal(t, [6]byte{0, 0x11, 0x22, 0xaa, 0xbb, 0xcc}, mac)
			}
		})
	}
}

func TestIdentityOrder(t *testing.T) {
	const realm3gpp = "wlan.mnc001.mcc262.3gppnetwork.org"
	for _, tt := range []struct {
		name string
		q    Query
		want string
	}{
		{"permanent identity of AKA", Query{User: []byte("0262011234567890"), Realm: []byte(realm3gpp)}, "imsi:262011234567890"},
		{"before 3GPP-IMSI", Query{User: []byte("6262011234567890"), Realm: []byte(realm3gpp), IMSI: []byte("262019999999999")}, "imsi:262011234567890"},
		{"three-digit network", Query{User: []byte("1310410123456789"), Realm: []byte("nai.epc.mnc410.mcc310.3gppnetwork.org")}, "imsi:310410123456789"},
		{"network of another", Query{User: []byte("0262021234567890"), Realm: []byte(realm3gpp)}, "nai:0262021234567890@" + realm3gpp},
		{"country of another", Query{User: []byte("0232011234567890"), Realm: []byte(realm3gpp)}, "nai:0232011234567890@" + realm3gpp},
		{"pseudonym", Query{User: []byte("2262011234567890"), Realm: []byte(realm3gpp), IMSI: []byte("262011234567890")}, "imsi:262011234567890"},
		{"digits in another realm", Query{User: []byte("0262011234567890"), Realm: []byte("a.example")}, "nai:0262011234567890@a.example"},
		{"3GPP-IMSI before MAC", Query{IMSI: []byte("262011234567890"), CallingStation: []byte("001122aabbcc")}, "imsi:262011234567890"},
		{"3GPP-IMSI that is none", Query{IMSI: []byte("26201x"), CallingStation: []byte("00-11-22-AA-BB-CC")}, "mac:001122aabbcc"},
		{"MAC before CUI", Query{CallingStation: []byte("0011.22AA.BBCC"), CUI: []byte("x"), Realm: []byte("a.example")}, "mac:001122aabbcc"},
		{"CUI and realm", Query{CUI: []byte("a:b"), Realm: []byte("a.example"), User: []byte("u")}, "cui:9:a.example:a:b"},
		{"CUI without realm", Query{CUI: []byte("x")}, "cui:0::x"},
		{"CUI asked for", Query{CUI: []byte{0}, User: []byte("u"), Realm: []byte("a.example")}, "nai:u@a.example"},
		{"NAI without user", Query{Realm: []byte("a.example")}, "nai:@a.example"},
		{"NAI without realm", Query{User: []byte("bob")}, "nai:bob"},
		{"nothing", Query{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, c := appendIdentity(nil, &tt.q)
			assert.Equal(t, tt.want, string(got))
			assert.Equal(t, tt.want == "", c == classNone)
		})
	}
}

// A device written by an operator is found by the request it stands for.
func TestDeviceSpecMeetsQuery(t *testing.T) {
	for _, tt := range []struct {
		name string
		spec DeviceSpec
		want string
	}{
		{"imsi", DeviceSpec{IMSI: "262011234567890"}, "imsi:262011234567890"},
		{"mac", DeviceSpec{MAC: "0011.22AA.BBCC"}, "mac:001122aabbcc"},
		{"cui", DeviceSpec{CUI: "a:b", Realm: "A.Example"}, "cui:9:a.example:a:b"},
		{"nai", DeviceSpec{NAI: "Meter7@A.EXAMPLE"}, "nai:Meter7@a.example"},
		{"nai without realm", DeviceSpec{NAI: "bob"}, "nai:bob"},
		{"nai of a subscriber", DeviceSpec{NAI: "0262011234567890@wlan.mnc001.mcc262.3gppnetwork.org"}, "imsi:262011234567890"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.spec.Identity()
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
			back, err := ParseDevice(got)
			require.NoError(t, err)
			again, err := back.Identity()
			require.NoError(t, err)
			assert.Equal(t, got, again)
		})
	}
	for _, bad := range []string{"", "imsi", "imsi:", "imsi:12a456", "mac:0011", "mac:001122aabbcc:ssid", "cui:9:a.example", "cui:99:a:b", "cui:x:a:b", "nai:", "nai:a@b@c", "who:me"} {
		_, err := ParseDevice(bad)
		assert.Error(t, err, bad)
	}
	for _, bad := range []DeviceSpec{{}, {IMSI: "262011234567890", MAC: "001122aabbcc"}, {NAI: "a@b", Realm: "c"}, {CUI: "\x00"}} {
		_, err := bad.Identity()
		assert.Error(t, err)
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add([]byte("0262011234567890"), []byte("wlan.mnc001.mcc262.3gppnetwork.org"), []byte("26201"), []byte("00-11-22-33-44-55:x"), []byte("c"))
	f.Add([]byte("a"), []byte("a.example"), []byte(""), []byte("0011.2233.4455"), []byte{0})
	f.Fuzz(func(t *testing.T, user, realm, imsi, station, cui []byte) {
		q := Query{User: user, Realm: realm, IMSI: imsi, CallingStation: station, CUI: cui}
		got, c := appendIdentity(nil, &q)
		if c == classNone {
			require.Empty(t, got)
			return
		}
		require.LessOrEqual(t, len(got), identCap)
		if mac, ok := ParseMAC(station); ok {
			again, ok := ParseMAC(appendMAC(nil, mac))
			require.True(t, ok)
			require.Equal(t, mac, again)
		}
		if c == classIMSI || c == classMAC {
			_, err := ParseDevice(string(got))
			require.NoError(t, err)
		}
	})
}

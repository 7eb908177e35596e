package nai

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMNCLen(t *testing.T) {
	for mcc, want := range map[string]int{
		"262": 2, "208": 2, "310": 3, "302": 3, "334": 3, "732": 3, "405": 0, "901": 0,
		"001": 0, "999": 0, "": 0, "26": 0, "2621": 0, "26x": 0, "199": 0, "800": 0,
	} {
		assert.Equal(t, want, MNCLen(mcc), mcc)
	}
}

func TestIsMCC(t *testing.T) {
	for mcc, want := range map[string]bool{
		"262": true, "901": true, "999": true, "001": true,
		"000": false, "002": false, "100": false, "801": false, "": false, "26": false, "26x": false, "2620": false,
	} {
		assert.Equal(t, want, IsMCC(mcc), mcc)
	}
}

func TestPublicName(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"wlan.mnc001.mcc262.3gppnetwork.org", "wlan.mnc001.mcc262.pub.3gppnetwork.org"},
		{"nai.epc.mnc410.mcc310.3gppnetwork.org", "nai.epc.mnc410.mcc310.pub.3gppnetwork.org"},
		{"wlan.mnc01.mcc262.3gppnetwork.org", ""},
		{"wlan.mnc001.mcc262.pub.3gppnetwork.org", ""},
		{"acme.example", ""},
		{"", ""},
	} {
		var buf [MaxLen + 4]byte
		got, ok := PublicName(buf[:], []byte(tc.in))
		assert.Equal(t, tc.want, string(got), tc.in)
		assert.Equal(t, tc.want != "", ok, tc.in)
	}
}

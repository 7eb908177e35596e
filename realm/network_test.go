package realm

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNetworkText(t *testing.T) {
	for _, tc := range []struct {
		in, out  string
		mcc, mnc int
	}{
		{"262-01", "262-01", 262, 1},
		{"262-001", "262-01", 262, 1},
		{"310-410", "310-410", 310, 410},
		{"310-001", "310-001", 310, 1},
		{"901-28", "901-28", 901, 28},
		{"262", "262", 262, -1},
		{"999-999", "999-999", 999, 999},
	} {
		n, ok := ParseNetwork(tc.in)
		assert.True(t, ok, tc.in)
		assert.Equal(t, tc.out, n.String())
		assert.Equal(t, []int{tc.mcc, tc.mnc}, []int{n.MCC(), n.MNC()}, tc.in)
	}
	for _, bad := range []string{"", "26", "262-", "262-1", "262-0001", "26x-01", "000-01", "262-x1", "262 01"} {
		_, ok := ParseNetwork(bad)
		assert.False(t, ok, bad)
	}
	assert.Equal(t, "none", Network(0).String())
}

// TestVisitedNetwork has the digits where TS 23.003 has them on the radio.
func TestVisitedNetwork(t *testing.T) {
	for _, tc := range []struct{ wire, want string }{
		{"\x62\xf2\x10", "262-01"},
		{"\x62\xf2\x01", "262-10"},
		{"\x13\x00\x14", "310-410"},
		{"\x13\x10\x00", "310-001"},
		{"\x62\xf2", ""},
		{"\x62\xf2\x10\x00", ""},
		{"", ""},
		{"\xa2\xf2\x10", ""},
		{"\x62\xe2\x10", ""},
		{"\x62\xf2\xff", ""},
	} {
		n, ok := VisitedNetwork([]byte(tc.wire))
		assert.Equal(t, tc.want != "", ok, tc.want)
		if ok {
			assert.Equal(t, tc.want, n.String())
			assert.Equal(t, tc.wire, string(n.AppendVisited(nil)), tc.want)
		}
	}
}

func TestNetworkOf(t *testing.T) {
	n, ok := NetworkOf([]byte("epc.mnc010.mcc262.3gppnetwork.org"))
	assert.True(t, ok)
	assert.Equal(t, "262-10", n.String())
	_, ok = NetworkOf([]byte("ipx.example"))
	assert.False(t, ok)
	for text, want := range map[string]string{"26201": "262-01", "310410": "310-410", "2620": "", "26201x": "", "2620100": "", "": ""} {
		n, ok := NetworkOfDigits([]byte(text))
		assert.Equal(t, want != "", ok, text)
		if ok {
			assert.Equal(t, want, n.String())
		}
	}
}

func TestIssued(t *testing.T) {
	for _, tc := range []struct {
		network, imsi string
		want          bool
	}{
		{"262-01", "262011234567890", true},
		{"262-10", "262011234567890", false},
		{"262", "262011234567890", true},
		{"310-410", "310410123456789", true},
		{"310-41", "310410123456789", false}, // its codes have three digits
		{"262-011", "262011234567890", false},
		{"901-28", "901281234567890", true},
		{"901-281", "901281234567890", true}, // both lengths were assigned
		{"262-01", "26201", false},
		{"262-01", "26201x", false},
		{"262-01", "", false},
	} {
		n, ok := ParseNetwork(tc.network)
		assert.True(t, ok)
		assert.Equal(t, tc.want, n.Issued([]byte(tc.imsi)), tc)
	}
	assert.False(t, Network(0).Issued([]byte("000001234567890")))
	assert.Equal(t, []int{2, 3, 0, 0, 0}, []int{
		MNCDigits([]byte("262")), MNCDigits([]byte("310")), MNCDigits([]byte("901")), MNCDigits([]byte("26")), MNCDigits([]byte("x62")),
	})
}

func TestNetworks(t *testing.T) {
	of := func(text string) Network { n, _ := ParseNetwork(text); return n }
	l := NewNetworks([]Network{of("262-01"), of("310")})
	assert.True(t, l.Has(of("262-01")))
	assert.False(t, l.Has(of("262-02")))
	assert.True(t, l.Has(of("310-410")))
	assert.True(t, l.Has(of("310")))
	assert.False(t, l.Has(of("262")))
	assert.False(t, l.Has(0))
	assert.Equal(t, "262-01 310", l.String())
	assert.Nil(t, NewNetworks(nil))
	assert.False(t, (*Networks)(nil).Has(of("262-01")))
	assert.True(t, of("310").Covers(of("310-410")))
	assert.True(t, of("310-410").Covers(of("310-410")))
	assert.False(t, of("310-410").Covers(of("310-411")))
	assert.False(t, of("310").Covers(0))
}

package radius_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

func TestCutVendor(t *testing.T) {
	const wispr = "\x00\x00\x37\x2a"
	vsa := func(body string) string { return string([]byte{26, byte(2 + len(body))}) + body }
	up, down := "\x07\x06\x00\x00\x00\x01", "\x08\x06\x00\x00\x00\x02"
	class := "\x19\x05abc"
	tests := []struct {
		name, in, want string
		found          bool
	}{
		{"nothing there", class, class, false},
		{"the only sub-attribute", class + vsa(wispr+up) + class, class + class, true},
		{"one of two", vsa(wispr+up+down) + class, vsa(wispr+down) + class, true},
		{"several attributes", vsa(wispr+up) + class + vsa(wispr+up+up) + vsa(wispr+down), class + vsa(wispr+down), true},
		{"another vendor", vsa("\x00\x00\x01\x37" + up), vsa("\x00\x00\x01\x37" + up), false},
		{"no clean row", vsa(wispr + "\x07\x09\x01"), vsa(wispr + "\x07\x09\x01"), false},
		{"no clean row beside one", vsa(wispr+"\x07\x09\x01") + vsa(wispr+up), vsa(wispr + "\x07\x09\x01"), true},
		{"at the end", class + vsa(wispr+down+up), class + vsa(wispr+down), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p radius.Packet
			b := plain(radius.AccessAccept, 7, auth(1), []byte(tt.in))
			require.Equal(t, radius.OK, p.Parse(b))
			assert.Equal(t, tt.found, p.CutVendor(14122, 7))
			assert.Equal(t, tt.want, string(p.Bytes()[radius.HeaderLen:]))
			assert.Equal(t, plain(radius.AccessAccept, 7, auth(1), []byte(tt.want)), p.Bytes())
		})
	}
}

func FuzzCutVendor(f *testing.F) {
	f.Add([]byte("\x1a\x0c\x00\x00\x37\x2a\x07\x06\x00\x00\x00\x01\x19\x05abc"), uint32(14122), uint8(7))
	f.Fuzz(func(t *testing.T, attrs []byte, vendor uint32, vtype uint8) {
		if len(attrs) > radius.MaxLen-radius.HeaderLen {
			return
		}
		var p radius.Packet
		if p.Parse(plain(radius.AccessAccept, 7, auth(1), attrs)) != radius.OK {
			return
		}
		before := p.Len()
		found := p.CutVendor(vendor, vtype)
		_, left := p.Vendor(vendor, vtype)
		assert.False(t, left)
		if !found {
			assert.Equal(t, before, p.Len())
			assert.Equal(t, attrs[:len(p.Bytes())-radius.HeaderLen], p.Bytes()[radius.HeaderLen:])
		}
	})
}

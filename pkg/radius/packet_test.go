package radius_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

func TestPacketAccessors(t *testing.T) {
	a := auth(3)
	b := plain(radius.AccessRequest, 103, a,
		text(radius.UserName, "a@b.c"), text(radius.ProxyState, "1"), text(radius.Class, ""),
		tlv(radius.NASPortType, []byte{0, 0, 0, 19}), tlv(radius.NASPort, []byte{1}),
		vsa(10415, sub(1, []byte("262")), sub(21, []byte{6})), text(radius.ProxyState, "2"),
		vsa(10415, sub(8, []byte("26201"))))
	p := parse(t, append(b, 0, 0, 0))

	assert.Equal(t, b, p.Bytes())
	assert.Equal(t, radius.AccessRequest, p.Code())
	assert.Equal(t, uint8(103), p.Identifier())
	assert.Equal(t, &a, p.Authenticator())
	assert.Equal(t, 8, p.Len())
	assert.Equal(t, 2, p.Count(radius.ProxyState))
	assert.Equal(t, 0, p.Count(radius.State))
	assert.Equal(t, len(b), p.From(radius.State))

	v, ok := p.First(radius.UserName)
	assert.True(t, ok)
	assert.Equal(t, "a@b.c", string(v))
	v, ok = p.First(radius.Class)
	assert.True(t, ok && len(v) == 0, "there, and empty")
	_, ok = p.First(radius.State)
	assert.False(t, ok)
	assert.True(t, p.Has(radius.Class))
	assert.False(t, p.Has(radius.State))

	n, ok := p.Uint32(radius.NASPortType)
	assert.True(t, ok)
	assert.Equal(t, uint32(19), n)
	_, ok = p.Uint32(radius.NASPort)
	assert.False(t, ok, "one octet is no number")
	_, ok = p.Uint32(radius.SessionTimeout)
	assert.False(t, ok)

	for _, tt := range []struct {
		vendor uint32
		vtype  uint8
		want   string
		ok     bool
	}{{10415, 1, "262", true}, {10415, 21, "\x06", true}, {10415, 8, "26201", true}, {10415, 2, "", false}, {9, 1, "", false}} {
		v, ok := p.Vendor(tt.vendor, tt.vtype)
		assert.Equal(t, tt.ok, ok)
		assert.Equal(t, tt.want, string(v))
	}

	var types []radius.Type
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		types = append(types, a.Type)
	}
	assert.Equal(t, []radius.Type{1, 33, 25, 61, 5, 26, 33, 26}, types)

	for _, bad := range [][]byte{nil, plain(radius.AccessRequest, 1, a, text(radius.UserName, "x"), []byte{25, 0})} {
		require.NotEqual(t, radius.OK, p.Parse(bad))
		assert.False(t, p.Has(radius.UserName), "neither of the last packet nor of this one")
		_, _, ok = p.Next(radius.HeaderLen)
		assert.False(t, ok)
		assert.Zero(t, p.Len())
		assert.Empty(t, p.Bytes())
	}
}

func TestVendorPassesOverBrokenVSA(t *testing.T) {
	for _, tt := range []struct {
		name string
		vsa  []byte
	}{
		{"no vendor", tlv(radius.VendorSpecific, nil)},
		{"vendor only", vsa(311)},
		{"half a header", vsa(311, []byte{16})},
		{"inner length 0", vsa(311, []byte{16, 0, 1})},
		{"inner length 1", vsa(311, []byte{16, 1, 1})},
		{"inner overrun", vsa(311, []byte{16, 9, 1})},
		{"good, then overrun", vsa(311, sub(16, []byte("bad")), []byte{17, 9})},
		{"other vendor", vsa(312, sub(16, []byte("bad")))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, ok := parse(t, plain(radius.AccessAccept, 1, auth(1), tt.vsa)).Vendor(311, 16)
			assert.False(t, ok)
			v, ok := parse(t, plain(radius.AccessAccept, 1, auth(1), tt.vsa, vsa(311, sub(16, []byte("good"))))).Vendor(311, 16)
			assert.True(t, ok)
			assert.Equal(t, "good", string(v))
		})
	}
}

func TestEAP(t *testing.T) {
	for _, tt := range []struct {
		name          string
		value         []byte
		code, id, typ uint8
		ok            bool
	}{
		{"identity response", []byte{2, 7, 0, 10, 1, 'a', '@', 'b', '.', 'c'}, 2, 7, 1, true},
		{"AKA' request", []byte{1, 8, 0, 200, 50}, 1, 8, 50, true},
		{"success", []byte{3, 9, 0, 4}, 3, 9, 0, true},
		{"failure", []byte{4, 9, 0, 4}, 4, 9, 0, true},
		{"start", nil, 0, 0, 0, false},
		{"three octets", []byte{2, 7, 0}, 0, 0, 0, false},
		{"response without type", []byte{2, 7, 0, 4}, 0, 0, 0, false},
		{"type not there", []byte{2, 7, 0, 5}, 0, 0, 0, false},
		{"length 3", []byte{3, 7, 0, 3}, 0, 0, 0, false},
		{"length 4 with type behind", []byte{2, 7, 0, 4, 1}, 0, 0, 0, false},
		{"code 0", []byte{0, 7, 0, 4}, 0, 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, plain(radius.AccessRequest, 1, auth(1), tlv(radius.EAPMessage, tt.value)))
			code, id, typ, ok := p.EAP()
			assert.Equal(t, tt.ok, ok)
			assert.Equal(t, []uint8{tt.code, tt.id, tt.typ}, []uint8{code, id, typ})
		})
	}
	_, _, _, ok := parse(t, plain(radius.AccessRequest, 1, auth(1))).EAP()
	assert.False(t, ok, "no EAP-Message")
}

func TestCodeNames(t *testing.T) {
	assert.Equal(t, "Access-Request", radius.AccessRequest.String())
	assert.Equal(t, "Protocol-Error", radius.ProtocolError.String())
	assert.Equal(t, "Code-6", radius.Code(6).String())
	assert.Equal(t, "Code-255", radius.Code(255).String())
	known := 0
	for c := range 256 {
		if radius.Code(c).Known() {
			known++
		}
	}
	assert.Equal(t, 15, known)
}

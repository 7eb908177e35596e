package udp

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAddr(t *testing.T) {
	tests := []struct {
		name, in, out string
		v4            bool
		zone          uint32
	}{
		{"v4", "192.0.2.7:1812", "192.0.2.7:1812", true, 0},
		{"v4-mapped", "[::ffff:192.0.2.7]:1812", "192.0.2.7:1812", true, 0},
		{"v6", "[2001:db8::7]:1813", "[2001:db8::7]:1813", false, 0},
		{"link-local", "[fe80::1%3]:1812", "[fe80::1%3]:1812", false, 3},
		{"unknown zone", "[fe80::1%nosuchif0]:1812", "[fe80::1]:1812", false, 0},
		{"wildcard", "0.0.0.0:0", "0.0.0.0:0", true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := AddrFrom(netip.MustParseAddrPort(tt.in))
			assert.Equal(t, tt.out, a.AddrPort().String())
			assert.Equal(t, tt.v4, a.V4)
			assert.Equal(t, tt.zone, a.Zone)
			assert.Empty(t, a.Addr().Zone())
			assert.Equal(t, a.AddrPort().Addr().WithZone(""), a.Addr())
			assert.Equal(t, a, AddrFrom(a.AddrPort()))
		})
	}
	assert.Equal(t, Addr{}, AddrFrom(netip.AddrPort{}))
	assert.Equal(t, AddrFrom(netip.MustParseAddrPort("192.0.2.7:1")), AddrFrom(netip.MustParseAddrPort("[::ffff:192.0.2.7]:1")),
		"one peer has one key")
}

package aaa

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// A home of Diameter has no address of its own: nobody is told an unspecified one.
func TestAddressOf(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:1812")
	hm := &home.Home{Spec: &realm.Home{}}
	hm.Addr[home.Auth] = udp.AddrFrom(at)
	assert.Equal(t, at.String(), addressOf(hm, home.Auth))
	hm.Spec, hm.Addr[home.Auth] = &realm.Home{Transport: realm.Diameter}, udp.AddrFrom(realm.Nowhere)
	assert.Equal(t, "diameter", addressOf(hm, home.Auth))
}

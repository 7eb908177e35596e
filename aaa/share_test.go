package aaa

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

var (
	loudAddr = netip.MustParseAddrPort("127.9.9.9:1812")
	quiet    = netip.MustParseAddrPort("127.8.8.8:1812")
)

// withLoud gives the loud client a name of its own.
func withLoud(set *realm.Set) {
	c := set.Clients[0]
	c.Name, c.Prefixes = "loud", []netip.Prefix{netip.MustParsePrefix("127.9.9.9/32")}
	set.Clients = append(set.Clients, c)
}

// scream sends a hundred packets of the loud client for each one of another,
// with the queue never empty, until the loud one is held.
func scream(r *rig) {
	r.t.Helper()
	for i := range 100 {
		r.now += int64(11 * time.Millisecond)
		for range 100 {
			r.inject(listen.Auth, packet(1, 20), loudAddr)
		}
		r.inject(listen.Auth, packet(1, 20), quiet)
		r.shard.share.Turn(r.now, true)
		if r.shard.share.Limit() > 0 {
			require.Greater(r.t, i, 0, "not for a moment's queue")
			return
		}
	}
	r.t.Fatal("the loud client was never held")
}

// screaming stops at the first packet that is shed.
func screaming(r *rig) {
	scream(r)
	for range 1000 {
		r.inject(listen.Auth, packet(1, 20), loudAddr)
		if r.shard.share.Counters().Shed > 0 {
			return
		}
	}
}

// A client that is held costs the others nothing: theirs is answered, and so
// is everybody's once the queue has gone.
func TestLoudClientIsHeldAlone(t *testing.T) {
	r := newRig(t, 1, withLoud)
	scream(r)
	for range 100 {
		r.inject(listen.Auth, packet(1, 20), loudAddr)
	}
	require.NotZero(t, r.value("roamgate_dropped_total", "client", "loud", "reason", "client_share"))
	r.ask(access(atHomeExa))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	assert.Zero(t, r.value("roamgate_dropped_total", "client", "visited", "reason", "client_share"))
	for range 100 {
		r.pass(11 * time.Millisecond) // nothing waits any more
	}
	assert.Zero(t, r.shard.share.Limit())
	before := r.value("roamgate_dropped_total", "client", "loud", "reason", "client_share")
	for range 200 {
		r.inject(listen.Auth, packet(1, 20), loudAddr)
	}
	assert.Equal(t, before, r.value("roamgate_dropped_total", "client", "loud", "reason", "client_share"))
}

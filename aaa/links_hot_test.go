package aaa

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

// over is one request to a home that is reached by a connection, with all that
// follows from it. What the hub sends goes the whole way into the socket.
func (h *hot) over(request, said []byte) {
	h.ask(request)
	s, ex := h.shard, h.shard.slab.at(h.slot)
	c := ex.link.conn
	h.w.Start(h.buf[:], radius.AccessAccept, ex.homeID, !c.clear)
	h.w.Raw(said)
	h.w.Add(radius.ProxyState, s.seal(ex.nonce))
	b := h.w.SignResponse(h.crypt, ex.homeSecret, &ex.homeAuth)
	s.proofs.Reset()
	s.hearLink(&s.arrivals[0], c, b, false)
	s.proofs.Run()
	s.takeLink(&s.arrivals[0], c)
	s.flush()
}

// A request over TLS to the home, and its answer, allocate nothing.
func TestAllocsLinks(t *testing.T) {
	for _, version := range []string{"radius/1.0", "radius/1.1"} {
		t.Run(version, func(t *testing.T) {
			n := newTenant(t, "lab")
			o := openOffice(t, n.conf(version))
			o.deaf.Store(true) // or its reading would be counted
			r := newRigOf(t, setup{homes: 1, edit: o.reach(n.security("lab", version), 0)})
			r.linked(2)
			h := &hot{rig: r, crypt: radius.NewCrypt(), in: radius.NewSecret([]byte(visitedSecret)), from: udpAddrOf(r)}
			h.shard.clock(h.now, h.wall)
			round := func() { h.over(papRequest, accept) }
			for range 500 {
				round()
			}
			require.Zero(t, h.shard.slab.used)
			allocs := testing.AllocsPerRun(200, round)
			assert.True(t, raced || allocs == 0, "%v allocations", allocs)
			assert.Equal(t, 701, h.value("roamgate_home_responses_total", "home", "a", "kind", "auth", "result", "accept"))
		})
	}
}

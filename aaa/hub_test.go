package aaa

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/realm"
)

// start lets the hub run by itself, clock and all.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.hub.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		assert.NoError(r.t, <-done)
	})
	r.t.Cleanup(stop)
}

// put sends without turning the loop.
func (r *rig) put(s listen.Service, b []byte) {
	_, err := r.nas.WriteToUDP(b, r.front(s))
	require.NoError(r.t, err)
}

func (h *heard) put(b []byte) {
	_, err := h.at.WriteToUDP(b, h.hub)
	require.NoError(h.rig.t, err)
}

// The whole hub under its own clock: requests, reloads between them, and a
// record of an earlier run that its home has still to take.
func TestRun(t *testing.T) {
	fs := vfs.NewMem()
	earlier := newRigOf(t, setup{homes: 1, fs: fs})
	earlier.report(acctStop("bob@a.iot.example", "s"))
	earlier.recorded(1)
	require.NoError(t, earlier.hub.spool.Close())

	r := newRigOf(t, setup{homes: 1, fs: fs, runs: true, conf: func(c *Config) { c.Shards = 2 }})
	r.start()
	for i := range 20 {
		sent := encode(t, access("bob@home.example", withPassword("x")), true)
		r.put(listen.Auth, sent)
		h := r.atHome(0)
		next := *r.set
		require.NoError(t, r.hub.Apply(&next))
		h.put(h.reply(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "c")))
		assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code, i)
	}
	stop := encode(t, acctStop("bob@local.example", "s2"), false)
	r.put(listen.Acct, stop)
	assert.Equal(t, layeh.CodeAccountingResponse, r.got(stop).Code)
	h := r.atAcct(0)
	assert.Equal(t, "s", rfc2866.AcctSessionID_GetString(h.Packet))
	h.put(h.reply(layeh.CodeAccountingResponse))
	require.Eventually(t, func() bool { return r.marked() == 0 }, patience, time.Millisecond)
}

// What cannot be begun is refused before anything runs.
func TestNewRefuses(t *testing.T) {
	r := newRig(t, 1, nil)
	rooms := Rooms{Log: r.hub.log, Stats: r.hub.stats, Spool: r.hub.spool, Events: accounting.NewEvents(10, time.Hour), Identity: []byte("0123456789abcdef")}
	bad := *r.set
	bad.Clients = []realm.Client{{Name: "x"}}
	_, err := New(Config{Shards: 1, InFlight: 64, DuplicateMem: 1 << 20}, &bad, rooms)
	assert.ErrorContains(t, err, "compiling clients")
	_, err = New(Config{Shards: 1, InFlight: 64, DuplicateMem: 1 << 20, Listen: []listen.Address{{Addr: netip.MustParseAddrPort("192.0.2.1:1812")}}}, r.set, rooms)
	assert.ErrorContains(t, err, "listening on 192.0.2.1:1812")
}

// A slot given back twice is a mistake of ours that must not go unseen.
func TestSlabPanics(t *testing.T) {
	s := slab{max: 1}
	slot := s.take()
	assert.Equal(t, noSlot, s.take())
	s.at(slot).stage = stageWaiting
	token := s.token(slot)
	_, ex := s.resolve(token)
	assert.NotNil(t, ex)
	s.put(slot)
	assert.Panics(t, func() { s.put(slot) })
	_, ex = s.resolve(token)
	assert.Nil(t, ex, "a token of what has ended")
	_, ex = s.resolve(1 << 20)
	assert.Nil(t, ex, "a token of nothing")
}

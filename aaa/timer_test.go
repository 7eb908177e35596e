package aaa

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

func clientMode(s *realm.Set) { s.Pools[0].Retransmit = realm.RetransmitClient }

// C15: who repeats is chosen: the client's repetitions go on as they are, or
// are swallowed while our own timers work.
func TestC15WhoRepeats(t *testing.T) {
	for _, kind := range []struct {
		name    string
		service listen.Service
		b       func() []byte
		at      func(r *rig) *heard
	}{
		{"auth", listen.Auth, func() []byte { return encode(t, access("bob@home.example"), true) }, func(r *rig) *heard { return r.atHome(0) }},
		{"acct", listen.Acct, func() []byte { return encode(t, acctStop("bob@home.example", "s"), false) }, func(r *rig) *heard { return r.atAcct(0) }},
	} {
		t.Run("client/"+kind.name, func(t *testing.T) {
			r := newRig(t, 1, clientMode)
			b := kind.b()
			r.offer(kind.service, b)
			first := kind.at(r)
			r.pass(10 * time.Second)
			r.quietHome(0)
			for range 3 {
				r.offer(kind.service, b)
				assert.Equal(t, first.raw, kind.at(r).raw, "same Identifier, same authenticator")
			}
			assert.Equal(t, 3, r.value("roamgate_home_retransmits_total", "home", "a", "kind", kind.name))
			r.silent()
			r.pass(20 * time.Second)
			assert.Zero(t, r.shard.ids.InUse(), "given up after MRD")
		})
		t.Run("proxy/"+kind.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			b := kind.b()
			r.offer(kind.service, b)
			first := kind.at(r)
			for range 3 {
				r.offer(kind.service, b)
			}
			r.quietHome(0)
			assert.Equal(t, 3, r.value("roamgate_duplicates_total", "action", "suppressed"))
			r.pass(2500 * time.Millisecond)
			assert.Equal(t, first.raw, kind.at(r).raw)
		})
	}
}

// A repetition of the client moves its request where its home is silent.
func TestClientModeFailsOver(t *testing.T) {
	r := newRig(t, 2, func(s *realm.Set) { impatient(s); clientMode(s) })
	b := r.ask(access("bob@home.example"))
	r.atHome(0)
	r.kill(0, home.Auth)
	r.offer(listen.Auth, b)
	h := r.atHome(1)
	r.offer(listen.Auth, b)
	assert.Equal(t, h.raw, r.atHome(1).raw)
	h.answer(layeh.CodeAccessAccept)
	r.got(b)
	r.quietHome(0)
	r.clean()
}

// transmissions lets time go by in steps and notes when the home was asked.
func (r *rig) transmissions(step, total time.Duration) (at []time.Duration) {
	ex, first := r.inFlight(), r.atHome(0).raw
	for passed, sent := step, ex.sent; passed <= total && r.shard.slab.used > 0; passed += step {
		r.pass(step)
		if ex.sent > sent {
			at, sent = append(at, passed), ex.sent
			assert.Equal(r.t, first, r.atHome(0).raw)
		}
	}
	return at
}

// C30: 2 s, then twice as long each time up to 16 s, each with a jitter of a
// tenth; after 30 s the client gets its no.
func TestC30Retransmission(t *testing.T) {
	var firsts []time.Duration
	for range 5 {
		r := newRig(t, 1, nil)
		sent := r.ask(access("bob@home.example"))
		at := r.transmissions(20*time.Millisecond, 29*time.Second)
		require.GreaterOrEqual(t, len(at), 3)
		rt, last := time.Duration(0), time.Duration(0)
		for i, base := range []time.Duration{2, 4, 8} {
			wait := at[i] - last
			if i == 0 {
				assert.InDelta(t, base*time.Second, wait, float64(220*time.Millisecond))
			} else {
				assert.InDelta(t, 2*rt, wait, float64(rt/10+40*time.Millisecond), "twice the last one, a tenth of it more or less")
			}
			rt, last = wait, at[i]
		}
		firsts = append(firsts, at[0])
		r.silent()
		r.pass(time.Second)
		r.rejected(sent)
		assert.Equal(t, 1, local.count(r, HomeTimeout))
		r.clean()
	}
	spread := firsts[0]
	for _, f := range firsts {
		spread = max(spread, f)
	}
	assert.NotEqual(t, []time.Duration{spread, spread, spread, spread, spread}, firsts, "the jitter is not always the same")
}

// C30: MRC bounds the transmissions where MRD does not.
func TestC30MRC(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) {
		s.Pools[0].Timers = realm.Timers{IRT: time.Second, MRT: time.Second, MRD: time.Minute, MRC: 3}
	})
	sent := r.ask(access("bob@home.example"))
	assert.Len(t, r.transmissions(50*time.Millisecond, 5*time.Second), 2)
	r.rejected(sent)
	r.clean()
}

// C32, R088, R089: a repetition while the first is in flight is dropped;
// after the answer it gets the same octets, and the home hears nothing of
// either.
func TestC32Duplicates(t *testing.T) {
	r := newRig(t, 1, nil)
	sent := r.ask(access("bob@home.example"))
	h := r.atHome(0)
	r.offer(listen.Auth, sent)
	r.silent()
	h.answer(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "c"))
	first := r.raw()
	for range 3 {
		r.offer(listen.Auth, sent)
		assert.Equal(t, first, r.raw())
	}
	r.quietHome(0)
	assert.Equal(t, 3, r.value("roamgate_duplicates_total", "action", "replayed"))
	// The key is all of address, port and Identifier: another port is another request.
	other := r.socket()
	r.offerFrom(other, listen.Auth, sent)
	r.atHome(0).answer(layeh.CodeAccessReject)
	b, _ := read(t, other, patience)
	assert.EqualValues(t, layeh.CodeAccessReject, b[0])
	// Rejects of our own are kept likewise.
	refused := r.ask(access("bob@nowhere.example"))
	first = r.raw()
	r.offer(listen.Auth, refused)
	assert.Equal(t, first, r.raw())
	assert.Equal(t, 1, local.count(r, NoRoute))
	r.clean()
}

// C33: an answer is kept 10 s; a new authenticator purges it; a packet that
// fails its Message-Authenticator does not touch it.
func TestC33DuplicateCache(t *testing.T) {
	r := newRig(t, 1, nil)
	p := access("bob@home.example", withID(5))
	sent := r.ask(p)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	first := r.raw()
	r.pass(9900 * time.Millisecond)
	forged := encode(t, access("eve@home.example", withID(5)), true)
	r.offer(listen.Auth, spoil(forged, 30))
	r.offer(listen.Auth, sent)
	assert.Equal(t, first, r.raw(), "still kept, and not displaced by a forgery")
	r.pass(200 * time.Millisecond)
	r.offer(listen.Auth, sent)
	h := r.atHome(0)
	assert.NotEqual(t, first, h.raw, "after its time it is a new request")
	h.answer(layeh.CodeAccessAccept)
	r.got(sent)
	again := r.ask(access("bob@home.example", withID(5)))
	r.atHome(0).answer(layeh.CodeAccessReject)
	r.rejected(again)
	r.offer(listen.Auth, sent)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.clean()
}

// C34: an Identifier toward a home is not used again before it was answered
// or has rested, and beyond 256 there are more sockets.
func TestC34Identifiers(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 2048 }})
	from := r.socket()
	type line struct {
		port int
		id   byte
	}
	seen := map[line]bool{}
	for i := range 600 {
		if i%256 == 0 {
			from = r.socket()
		}
		r.inject(listen.Auth, encode(t, access("bob@home.example", withID(byte(i))), true), addrOf(from))
		r.shard.flush()
		h := r.atHome(0)
		l := line{h.hub.Port, h.Identifier}
		require.False(t, seen[l], "used twice")
		seen[l] = true
	}
	assert.Len(t, r.shard.homes, 3)
	r.pass(31 * time.Second)
	assert.Zero(t, r.shard.ids.InUse())
	for b, _ := read(t, r.homes[0], time.Millisecond); b != nil; b, _ = read(t, r.homes[0], time.Millisecond) {
	}
	// All of them rest now; what comes meets the few that were never used.
	fresh := 0
	for range 100 {
		r.inject(listen.Auth, encode(t, access("bob@home.example"), true), addrOf(r.nas))
		r.shard.flush()
		h := r.atHome(0)
		if !seen[line{h.hub.Port, h.Identifier}] {
			fresh++
		}
		h.answer(layeh.CodeAccessAccept)
	}
	assert.Equal(t, 100, fresh)
}

// C35: late and second replies are dropped and change nothing.
func TestC35LateReply(t *testing.T) {
	r := newRig(t, 1, nil)
	sent := r.ask(access("bob@home.example"))
	h := r.atHome(0)
	r.pass(30 * time.Second)
	r.rejected(sent)
	h.answer(layeh.CodeAccessAccept)
	r.silent()
	assert.Equal(t, 1, byHome.count(r, LateReply))
	assert.Zero(t, r.state(0, home.Auth).LastAnswer())
	r.offer(listen.Auth, sent)
	assert.Equal(t, layeh.CodeAccessReject, r.got(sent).Code, "what was answered stays answered")
	r.clean()
}

// C36: of what waits in one round, replies go first: each frees the room that
// a request needs.
func TestC36RepliesFirst(t *testing.T) {
	r := newRigOf(t, setup{homes: 2, conf: func(c *Config) { c.InFlight = 8 }})
	var sent [][]byte
	var at []*heard
	for i := range 7 { // the eighth is kept for conversations
		sent = append(sent, r.ask(access("bob@home.example")))
		at = append(at, r.atHome(i/4)) // no home gets more than half
	}
	late := encode(t, access("bob@home.example"), true)
	_, err := r.nas.WriteToUDP(late, r.front(listen.Auth))
	require.NoError(t, err)
	_, err = at[0].at.WriteToUDP(at[0].reply(layeh.CodeAccessAccept), at[0].hub)
	require.NoError(t, err)
	seen := map[uint32]bool{}
	for len(seen) < 2 {
		tags, _, err := r.shard.poller.Wait(patience)
		require.NoError(t, err)
		for _, tag := range tags {
			seen[tag] = true
		}
	}
	require.True(t, r.shard.step([]uint32{uint32(listen.Auth), homeTag}))
	assert.Zero(t, dropped.count(r, Overload))
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent[0]).Code)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(late)
	for i, h := range at[1:] {
		h.answer(layeh.CodeAccessAccept)
		r.got(sent[i+1])
	}
	r.clean()
}

// A conversation stays with its home while that may still answer, and moves
// when it is dead: no other home knows it, but a no is an answer too.
func TestFailOverKeepsConversations(t *testing.T) {
	r := newRig(t, 2, impatient)
	plain := r.ask(access("bob@home.example"))
	h := r.atHome(0)
	spoken := r.ask(access("bob@home.example", withEAP(2), with(rfc2865.State_Type, "s")))
	stays := r.atHome(0)
	looked := r.watch()
	for r.health(0, home.Auth) == home.Up {
		for n := looked(); looked() < n+2; {
			r.turn(10 * time.Millisecond)
		}
		if r.health(0, home.Auth) == home.Up {
			r.pass(500 * time.Millisecond)
		}
	}
	require.Equal(t, home.Degraded, r.health(0, home.Auth))
	for range 15 {
		if r.value("roamgate_failovers_total") == 0 {
			r.pass(200 * time.Millisecond)
		}
	}
	require.Equal(t, 1, r.value("roamgate_failovers_total"))
	moved := r.atHome(1)
	assert.Empty(t, values(moved.Packet, rfc2865.State_Type), "the first to move has no State")
	r.quietHome(1)
	moved.answer(layeh.CodeAccessAccept)
	r.got(plain)
	h.answer(layeh.CodeAccessAccept)
	r.silent()
	assert.Equal(t, 1, byHome.count(r, LateReply), "the first home is late now")
	assert.EqualValues(t, 0, r.inFlight().homeIdx)
	stays.answer(layeh.CodeAccessAccept)
	r.got(spoken)
	r.clean()
}

// What the client has given up for a new request is not repeated any more.
func TestDisplacedIsNotRepeated(t *testing.T) {
	r := newRig(t, 1, nil)
	r.ask(access("bob@home.example", withID(9)))
	r.atHome(0)
	sent := r.ask(access("bob@home.example", withID(9)))
	h := r.atHome(0)
	r.pass(2300 * time.Millisecond)
	assert.Equal(t, h.raw, r.atHome(0).raw)
	r.quietHome(0)
	assert.Equal(t, 1, r.shard.slab.used)
	h.answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.clean()
}

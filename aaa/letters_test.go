package aaa

import (
	"context"
	"crypto/md5"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2866"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

// command runs an operator's command while the test stands for the walk.
func (r *rig) command(f func(ctx context.Context)) {
	r.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	for {
		select {
		case job := <-r.hub.later.jobs:
			job()
		case <-done:
			return
		}
	}
}

func (r *rig) waiting() (all []Waiting) {
	r.t.Helper()
	require.NoError(r.t, r.hub.EachWaiting(0, 0, func(w Waiting) bool { all = append(all, w); return true }))
	return all
}

// protests is a Protocol-Error as the answer, which the library does not know.
func (h *heard) protests(edits ...edit) []byte {
	b := h.reply(layeh.CodeAccountingResponse, edits...)
	b[0] = 52
	copy(b[4:20], h.Authenticator[:])
	sum := md5.Sum(append(append([]byte(nil), b...), homeSecret...))
	copy(b[4:20], sum[:])
	return b
}

// refusedByHome makes one dead letter, by a Protocol-Error.
func (r *rig) refusedByHome(session string, edits ...edit) {
	r.t.Helper()
	b := r.report(acctStop("bob@a.iot.example", session, edits...))
	h := r.atAcct(0)
	h.say(h.protests())
	r.recorded(1)
	r.settleDown()
	assert.Equal(r.t, layeh.CodeAccountingResponse, r.got(b).Code)
	assert.Zero(r.t, r.owed())
}

// What a home refuses with a Protocol-Error (RFC 7930) is acknowledged, dead,
// and tried again when the operator says so.
func TestProtocolErrorIsADeadLetter(t *testing.T) {
	r := newRig(t, 1, nil)
	r.refusedByHome("s")
	assert.Equal(t, 1, r.value("roamgate_acct_dead_records", "reason", "protocol_error"))
	all := r.waiting()
	require.Len(t, all, 1)
	assert.Equal(t, "protocol_error", all[0].Reason)
	assert.Equal(t, "s", all[0].SessionID)
	assert.Equal(t, "a.iot.example", all[0].Realm)
	assert.Zero(t, r.forwardOwed(), "nothing is owed")

	for _, sel := range []Selection{{Realm: "other.example"}, {Seqs: []uint64{77}}} {
		r.command(func(ctx context.Context) {
			n, err := r.hub.Revive(ctx, sel)
			assert.NoError(t, err)
			assert.Zero(t, n)
		})
	}
	r.command(func(ctx context.Context) {
		n, err := r.hub.Revive(ctx, Selection{Realm: "a.iot.example"})
		assert.NoError(t, err)
		assert.Equal(t, 1, n)
	})
	assert.Equal(t, 1, r.forwardOwed())
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	assert.Zero(t, r.owed())
	assert.Empty(t, r.waiting())
	r.paid()
	r.clean()
}

// A home that says it has no room now (Error-Cause 506) is asked again.
func TestProtocolErrorForNow(t *testing.T) {
	r := newRig(t, 1, nil)
	b := r.report(acctStop("bob@a.iot.example", "s"))
	h := r.atAcct(0)
	h.say(h.protests(with32(101, resourcesUnavailable)))
	r.recorded(1)
	r.settleDown()
	r.got(b)
	assert.Equal(t, 1, r.owed())
	r.clean()
}

// In `home` mode a Protocol-Error is no acknowledgement.
func TestProtocolErrorInHomeMode(t *testing.T) {
	r := newRig(t, 1, nil)
	r.report(acctStop("bob@home.example", "s"))
	h := r.atAcct(0)
	h.say(h.protests())
	r.recorded(1)
	r.settleDown()
	r.silent()
	assert.Empty(t, r.waiting())
	r.clean()
}

// What an operator drops is final: neither owed nor revived.
func TestDrop(t *testing.T) {
	r := newRig(t, 1, nil)
	r.refusedByHome("dead")
	b := r.report(acctStop("bob@a.iot.example", "owed"))
	r.recorded(2)
	r.got(b)
	drop := func(sel Selection, want, left int) {
		t.Helper()
		r.command(func(ctx context.Context) {
			n, busy, err := r.hub.Drop(ctx, sel)
			assert.NoError(t, err)
			assert.Equal(t, want, n)
			assert.Equal(t, left, busy)
		})
	}
	drop(Selection{All: true}, 1, 0)
	drop(Selection{All: true, Owed: true}, 0, 1) // it is on its way
	r.pass(31 * time.Second)
	r.unheardAt(0)
	assert.Equal(t, 1, r.owed())
	drop(Selection{All: true, Owed: true}, 1, 0)
	assert.Zero(t, r.owed())
	assert.Equal(t, 2, r.value("roamgate_acct_dead_records", "reason", "dropped"))
	r.command(func(ctx context.Context) {
		n, err := r.hub.Revive(ctx, Selection{All: true})
		assert.NoError(t, err)
		assert.Zero(t, n)
		_, err = r.hub.Revive(ctx, Selection{})
		assert.ErrorIs(t, err, ErrNothing)
		_, _, err = r.hub.Drop(ctx, Selection{})
		assert.ErrorIs(t, err, ErrNothing)
	})
	assert.Len(t, r.records(), 2, "the records stay")
	r.paid()
	r.clean()
}

// A realm without a rule for a day, and no shorter, makes dead letters.
func TestNoRouteForADay(t *testing.T) {
	r := newRig(t, 1, nil)
	b := r.report(acctStop("bob@a.iot.example", "s"))
	r.recorded(1)
	r.got(b)
	r.pass(31 * time.Second)
	r.apply(func(s *realm.Set) { s.Routes = s.Routes[:1] })
	for range 23 {
		r.forwardOwed()
		r.now += noneAgain
	}
	require.Equal(t, 1, r.owed(), "after 23 hours")
	r.now += 2 * noneAgain
	r.forwardOwed()
	assert.Zero(t, r.owed())
	assert.Equal(t, 1, r.value("roamgate_acct_dead_records", "reason", "no_route"))
	r.paid()
}

// C31: the records of one session reach their home in order, one at a time; other
// sessions do not wait for it.
func TestOwedInOrder(t *testing.T) {
	r := newRig(t, 1, nil)
	for i := range 3 {
		b := r.report(acctStop("bob@a.iot.example", "s", with32(55, 1_772_366_000+uint32(100*i))))
		r.recorded(i + 1)
		r.got(b)
	}
	first := r.atAcct(0)
	r.quietHome(0)
	b := r.report(acctStop("bob@a.iot.example", "other"))
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	r.recorded(4)
	r.got(b)
	assert.Zero(t, r.forwardOwed(), "the first is still there")
	first.answer(layeh.CodeAccountingResponse)
	for i := 1; i < 3; i++ {
		r.now += laneAgain
		assert.Equal(t, 3-i, r.owed())
		require.Equal(t, 1, r.forwardOwed())
		h := r.atAcct(0)
		assert.EqualValues(t, 1_772_366_000+100*i, layehTime(h.Packet))
		h.answer(layeh.CodeAccountingResponse)
	}
	assert.Zero(t, r.owed())
	r.paid()
	r.clean()
}

func layehTime(p *layeh.Packet) uint32 {
	v, _ := layeh.Integer(p.Get(55))
	return v
}

// C31: a home that is down takes no time from another one: what is owed to that
// one goes on, however much lies before it.
func TestDownHomeSlowsNobody(t *testing.T) {
	r := newRigOf(t, setup{homes: 2, conf: func(c *Config) { c.InFlight = 256 }, edit: func(s *realm.Set) {
		other := s.Pools[0]
		other.Name, other.Members = "other", []realm.Member{{Home: 1, Weight: 1}}
		s.Homes[0].Disabled = true
		s.Pools[0].Members = s.Pools[0].Members[:1]
		s.Pools = append(s.Pools, other)
		s.Routes = append(s.Routes, realm.Route{Realm: "up.example", Index: 4, Auth: 1, Acct: 1, Acknowledge: realm.AcknowledgeDurable})
	}})
	const before, behind = 300, 5
	stop := func(name string, i int) {
		p := acctStop(name, fmt.Sprint(name, i), withID(byte(i)), with32(rfc2866.AcctSessionTime_Type, uint32(i)))
		r.inject(listen.Acct, encode(t, p, false), addrOf(r.nas))
		r.turn(0)
	}
	for i := range before {
		stop("a@down.iot.example", i)
		if i%64 == 0 {
			r.recorded(0)
		}
	}
	for i := range behind {
		stop("b@up.example", i)
	}
	r.recorded(before + behind)
	r.pass(31 * time.Second)
	require.Equal(t, before+behind, r.owed())
	r.unheardAt(1)
	taken := 0
	r.until("the other home has all of its own", func() bool {
		r.now += laneAgain
		r.forwardOwed()
		for b, from := read(t, r.accts[1], time.Millisecond); b != nil; b, from = read(t, r.accts[1], time.Millisecond) {
			p, err := layeh.Parse(b, []byte(homeSecret))
			require.NoError(t, err)
			(&heard{Packet: p, raw: b, hub: from, at: r.accts[1], rig: r}).answer(layeh.CodeAccountingResponse)
			taken++
		}
		return taken >= behind
	})
	r.until("they are owed no longer", func() bool { return r.owed() == before })
	assert.LessOrEqual(t, r.hub.later.lanes[0].limit, 1, "the one that is down is asked for one record")
}

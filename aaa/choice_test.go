package aaa

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

func withBreaker(s *realm.Set) { s.Pools[0].Breaker = true }

// drain reads what has reached home i.
func (r *rig) drain(i int) (n int) {
	for b, _ := read(r.t, r.homes[i], time.Millisecond); b != nil; b, _ = read(r.t, r.homes[i], time.Millisecond) {
		n++
	}
	return n
}

// silenceRealm has home a leave five requests of a realm unanswered while it
// answers another. They end.
func silenceRealm(r *rig) {
	for i := range 5 {
		r.ask(access(fmt.Sprintf("user%d@dead.iot.example", i)))
		r.drain(0)
	}
	for range 6 { // they are sent again, and go unanswered again
		r.pass(1100 * time.Millisecond)
		r.drain(0)
		sent := r.ask(access("bob@home.example"))
		r.atHome(0).answer(layeh.CodeAccessAccept)
		r.got(sent)
	}
	r.pass(1100 * time.Millisecond)
	r.drain(0)
}

// A realm that is slower than the first timer is not silent: what is asked goes
// on to its home, and each answer comes.
func TestC45SlowRealm(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, edit: withBreaker})
	var asked [][]byte
	var there []*heard
	for i := range 8 {
		asked = append(asked, r.ask(access(fmt.Sprintf("user%d@slow.iot.example", i))))
		there = append(there, r.atHome(0))
	}
	sent := r.ask(access("bob@home.example"))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.pass(3 * time.Second)
	r.drain(0)
	sent = r.ask(access("new@slow.iot.example"))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
	for i := range there {
		there[i].answer(layeh.CodeAccessAccept)
		assert.Equal(t, layeh.CodeAccessAccept, r.got(asked[i]).Code)
	}
	assert.Zero(t, r.hub.homes.Breaker().Opened())
	r.idle()
}

// C45: a realm that is dead behind a next hop that lives is answered for at
// once, the next hop stays up, and other realms and accounting go on. One
// answer to a trial ends it.
func TestC45DeadRealm(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, edit: withBreaker})
	silenceRealm(r)
	for range 3 {
		r.rejected(r.ask(access("new@dead.iot.example")))
	}
	r.quietHome(0)
	sent := r.ask(access("bob@home.example"))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
	stop := r.report(acctStop("new@dead.iot.example", "s"))
	r.recorded(1)
	r.got(stop)
	r.atAcct(0).answer(layeh.CodeAccountingResponse)

	sent = r.ask(access("eap@dead.iot.example", with(rfc2865.State_Type, "a conversation"), withEAP(1)))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
	sent = r.ask(access("new@dead.iot.example"))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code, "an answer closed it")
	r.idle()
}

// C45: what is sent for a realm known to be silent says nothing about the home: it
// stays up though nothing else is sent there for a minute. Without a breaker
// it would not.
func TestC45TrialsDoNotJudge(t *testing.T) {
	for _, breaker := range []bool{true, false} {
		t.Run(fmt.Sprint(breaker), func(t *testing.T) {
			r := newRigOf(t, setup{homes: 1, edit: func(s *realm.Set) { s.Pools[0].Breaker = breaker }})
			silenceRealm(r)
			looked := r.watch()
			trials := 0
			for i := range 60 {
				r.ask(access(fmt.Sprintf("user%d@dead.iot.example", i)))
				trials += r.drain(0)
				r.pass(time.Second)
				for n := looked(); looked() < n+2; {
					r.turn(time.Millisecond)
				}
				if r.health(0, home.Auth) == home.Down {
					break
				}
			}
			assert.Greater(t, trials, 3)
			if breaker {
				assert.Equal(t, home.Up, r.health(0, home.Auth))
			} else {
				assert.Equal(t, home.Down, r.health(0, home.Auth))
			}
		})
	}
}

// C45: a request that waits for a silent realm moves to another home of the pool.
func TestC45AnotherHome(t *testing.T) {
	r := newRigOf(t, setup{homes: 2, edit: withBreaker})
	silenceRealm(r)
	assert.Positive(t, r.value("roamgate_failovers_total"), "the one that opened it; the others when their timers say so")
	r.drain(1)
	sent := r.ask(access("new@dead.iot.example"))
	r.atHome(1).answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.quietHome(0)
	sent = r.ask(access("bob@home.example"))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.idle()
}

// Without the pool's word there is no breaker, and it costs nothing.
func TestNoBreaker(t *testing.T) {
	r := newRig(t, 1, nil)
	silenceRealm(r)
	r.ask(access("new@dead.iot.example"))
	r.atHome(0)
	assert.Zero(t, r.hub.homes.Breaker().Opened())
	r.idle()
}

// A drained home keeps its conversations and the accounting of sessions that
// run, and gets no new ones.
func TestDrainedHome(t *testing.T) {
	r := newRig(t, 2, nil)
	sent := r.ask(access("bob@home.example", withEAP(1)))
	r.atHome(0).answer(layeh.CodeAccessChallenge, with(rfc2865.State_Type, "of a"), withEAP(2))
	r.got(sent)
	require.NoError(t, r.hub.SetUse("a", home.Draining, 0))
	sent = r.ask(access("bob@home.example", with(rfc2865.State_Type, "of a"), withEAP(2)))
	r.atHome(0).answer(layeh.CodeAccessAccept, withEAP(3))
	r.got(sent)
	sent = r.ask(access("bob@home.example"))
	r.atHome(1).answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.quietHome(0)

	r.report(acctStop("bob@home.example", "old", with32(rfc2866.AcctSessionTime_Type, 3600)))
	r.recorded(1)
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	r.raw()
	r.report(acctStop("bob@home.example", "new", func(p *layeh.Packet) {
		_ = rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Start)
	}))
	r.recorded(2)
	r.atAcct(1).answer(layeh.CodeAccountingResponse)
	r.raw()
	r.clean()
}

// A session that was accepted as its only home was being drained is accounted
// for there.
func TestDrainedOnlyHome(t *testing.T) {
	r := newRig(t, 1, nil)
	require.NoError(t, r.hub.SetUse("a", home.Draining, 0))
	b := r.report(acctStop("bob@home.example", "new", func(p *layeh.Packet) {
		_ = rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Start)
	}))
	r.recorded(1)
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	r.got(b)
	r.rejected(r.ask(access("bob@home.example")))
	r.clean()
}

// A home whose accounting is dead keeps authentication at its full rate:
// accounting has its own identifiers, its own health, and at most three
// quarters of the slots.
func TestAccountingFloodIsApart(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight, c.HomeSockets = 1024, 1 }})
	from := addrOf(r.socket())
	for i := range 1000 {
		for _, user := range []string{"bob@home.example", "bob@a.iot.example"} {
			b := encode(t, acctStop(user, fmt.Sprint(user, i), withID(byte(i))), false)
			r.inject(listen.Acct, b, from)
		}
		r.turn(0)
	}
	require.LessOrEqual(t, r.shard.held[home.Acct], 768)
	require.Greater(t, r.shard.held[home.Acct], 200)
	for range 256 {
		sent := r.ask(access("bob@home.example"))
		r.atHome(0).answer(layeh.CodeAccessAccept)
		require.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	}
	r.pass(6 * time.Second)
	assert.Equal(t, home.Up, r.health(0, home.Auth))
	r.idle()
}

// The other way round: conversations that nobody answers leave accounting its
// part.
func TestConversationsLeaveRoomForAccounting(t *testing.T) {
	r := newRigOf(t, setup{homes: 3, conf: func(c *Config) { c.InFlight = 64 }})
	for i := range 200 {
		r.ask(access("bob@home.example", with(rfc2865.State_Type, fmt.Sprint("s", i))))
	}
	require.Equal(t, 60, r.shard.held[home.Auth])
	sent := r.report(acctStop("bob@a.iot.example", "s"))
	r.recorded(1)
	r.got(sent)
	r.idle()
}

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
)

// struggling is a rig whose only home has left forty requests unanswered for
// longer than the first retransmission takes. heard are those of them that it
// may be working on: sent again, or not yet lost.
func struggling(t *testing.T) (r *rig, sent [][]byte, at []*heard) {
	r = newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 512 }})
	for range 40 {
		sent = append(sent, r.ask(access("bob@home.example")))
		r.atHome(0)
	}
	r.pass(2500 * time.Millisecond)
	require.True(t, r.shard.pace.Paced(0, home.Auth))
	for r.shard.pace.There(0, home.Auth) > len(at) {
		at = append(at, r.atHome(0))
	}
	require.Less(t, len(at), 40, "not all at once again")
	r.quietHome(0)
	return r, sent, at
}

// idle lets everything that is left be given up.
func (r *rig) idle() {
	for range 200 {
		r.pass(500 * time.Millisecond)
	}
	r.clean()
}

// What a struggling home has no room for waits, the newest goes first, and a
// repetition of it meanwhile is a repetition.
func TestTurnAtAStrugglingHome(t *testing.T) {
	r, _, at := struggling(t)
	older := r.ask(access("older@home.example"))
	newer := r.ask(access("newer@home.example"))
	r.quietHome(0)
	r.offer(listen.Auth, newer)
	r.quietHome(0)
	assert.Equal(t, 1, r.value("roamgate_duplicates_total", "action", "suppressed"))
	at[0].answer(layeh.CodeAccessAccept)
	h := r.atHome(0)
	assert.Equal(t, "newer@home.example", rfc2865.UserName_GetString(h.Packet))
	h.answer(layeh.CodeAccessAccept)
	h = r.atHome(0)
	assert.Equal(t, "older@home.example", rfc2865.UserName_GetString(h.Packet))
	h.answer(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "late"))
	got := map[byte]bool{}
	for range 3 {
		b, _ := read(t, r.nas, patience)
		require.NotNil(t, b)
		got[b[1]] = true
	}
	assert.True(t, got[older[1]] && got[newer[1]])
	r.shard.stats.Publish()
	r.pass(time.Second)
	assert.NotZero(t, r.value("roamgate_home_paced_total"))
	assert.NotZero(t, r.value("roamgate_home_turns_waited_total"))
	r.idle()
}

// A conversation that has begun does not wait behind new ones.
func TestConversationGoesAhead(t *testing.T) {
	r, _, _ := struggling(t)
	r.ask(access("new@home.example"))
	r.quietHome(0)
	r.ask(access("begun@home.example", with(rfc2865.State_Type, "s")))
	assert.Equal(t, "begun@home.example", rfc2865.UserName_GetString(r.atHome(0).Packet))
	r.idle()
}

// A new request whose turn cannot come is discarded without a word, and is
// not taken for a repetition when it is asked again.
func TestTurnThatNeverComes(t *testing.T) {
	r, _, _ := struggling(t)
	first := r.ask(access("new@home.example"))
	for dropped.count(r, HomeBusy) == 0 {
		r.ask(access("newer@home.example"))
		require.Less(t, r.shard.slab.used, 400)
	}
	r.quietHome(0)
	r.silent()
	before := r.value("roamgate_duplicates_total")
	r.offer(listen.Auth, first)
	assert.Equal(t, before, r.value("roamgate_duplicates_total"))
	r.idle()
}

// A client that begins anew while its request waits gets one answer, to the
// new one.
func TestDisplacedWhileWaiting(t *testing.T) {
	r, _, at := struggling(t)
	r.ask(access("old@home.example", withID(200)))
	fresh := r.ask(access("new@home.example", withID(200)))
	r.quietHome(0)
	at[0].answer(layeh.CodeAccessAccept)
	at[1].answer(layeh.CodeAccessAccept)
	h := r.atHome(0)
	assert.Equal(t, "new@home.example", rfc2865.UserName_GetString(h.Packet))
	h.answer(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "new"))
	for {
		b, _ := read(t, r.nas, patience)
		require.NotNil(t, b)
		if b[1] == 200 {
			p, err := layeh.Parse(b, []byte(visitedSecret))
			require.NoError(t, err)
			assert.True(t, layeh.IsAuthenticResponse(b, fresh, []byte(visitedSecret)))
			assert.Equal(t, "new", rfc2865.Class_GetString(p))
			break
		}
	}
	r.idle()
}

// Where another home of the pool can take it, nothing waits.
func TestStrugglingHomeIsPassedOver(t *testing.T) {
	r := newRigOf(t, setup{homes: 2, conf: func(c *Config) { c.InFlight = 512 }})
	for range 40 {
		r.ask(access("bob@home.example"))
		r.atHome(0)
	}
	r.pass(2500 * time.Millisecond)
	require.True(t, r.shard.pace.Paced(0, home.Auth))
	b := r.ask(access("bob@home.example"))
	r.atHome(1).answer(layeh.CodeAccessAccept)
	r.got(b)
	r.idle()
}

// A record that its home has no turn for is durable all the same, and
// answered as its route says.
func TestAccountingAtAStrugglingHome(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 32 }})
	for range 16 { // half of the slots
		r.report(acctStop("x@home.example", "s"+string(rune('a'+r.shard.slab.used))))
		r.atAcct(0)
	}
	b := r.report(acctStop("x@a.iot.example", "durable"))
	r.until("it is recorded and answered", func() bool { return r.value("roamgate_responses_total", "kind", "acct", "result", "ack") == 1 })
	r.got(b)
	r.report(acctStop("x@home.example", "home"))
	r.until("it is recorded", func() bool { return r.hub.spool.Last() == 18 })
	r.settleDown()
	r.silent()
	assert.Equal(t, 2, local.count(r, HomeBusy))
	assert.Len(t, r.records(), 18)
	assert.Equal(t, 1, r.owed(), "the one that was acknowledged")
	r.idle()
}

// Where the repetitions are the client's, they tell that a home struggles.
func TestClientModeIsPacedToo(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, edit: clientMode, conf: func(c *Config) { c.InFlight = 512 }})
	var sent [][]byte
	for range 40 {
		sent = append(sent, r.ask(access("bob@home.example")))
		r.atHome(0)
	}
	r.pass(3 * time.Second)
	for _, b := range sent {
		r.offer(listen.Auth, b)
	}
	assert.True(t, r.shard.pace.Paced(0, home.Auth))
	again := r.shard.pace.There(0, home.Auth)
	assert.Less(t, again, 40, "not all at once again")
	for range again {
		r.atHome(0)
	}
	r.quietHome(0)
	r.idle()
}

// What waited in vain is not refused: the client may ask again, and is then
// new. Whose time is over altogether is refused, as ever.
func TestWaitedInVain(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 2048 }})
	for range 250 {
		r.ask(access("bob@home.example"))
		r.atHome(0)
	}
	refused := func() int { return r.value("roamgate_responses_total", "kind", "auth", "result", "reject") }
	for dropped.count(r, HomeBusy) == 0 {
		r.pass(500 * time.Millisecond)
		require.Zero(t, refused(), "before any has waited long")
		require.NotZero(t, r.shard.slab.used)
	}
	r.idle()
	assert.Equal(t, 250, refused()+dropped.count(r, HomeBusy))
}

// What waits for its turn at a home that is found dead does not wait until its
// patience ends: with the next timer there it goes to another home, or is
// refused where there is none.
func TestNothingWaitsAtADeadHome(t *testing.T) {
	for _, tt := range []struct {
		name  string
		homes int
	}{{"another home", 2}, {"no other home", 1}} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, setup{homes: tt.homes, conf: func(c *Config) { c.InFlight = 512 }})
			for range 100 {
				r.ask(access("bob@home.example"))
			}
			r.pass(2500 * time.Millisecond)
			require.NotZero(t, r.shard.pace.Waiting(0, home.Auth))
			r.kill(0, home.Auth)
			r.pass(2500 * time.Millisecond)
			r.settleDown()
			assert.Zero(t, r.shard.pace.Waiting(0, home.Auth))
			if tt.homes == 1 {
				assert.Equal(t, 100, r.value("roamgate_responses_total", "result", "reject"))
			} else {
				assert.Equal(t, 100, r.value("roamgate_failovers_total"))
			}
			r.idle()
		})
	}
}

// Where the home has room again only because time has passed - what it was
// sent is lost, and no timer of ours says so - whatever the clients send next
// lets those who wait have their turn.
func TestTurnWithoutTimers(t *testing.T) {
	for _, tt := range []struct {
		name string
		next func(r *rig, waiting []byte)
		want []string
	}{
		{"a repetition", func(r *rig, waiting []byte) { r.offer(listen.Auth, waiting) }, []string{"waits@home.example"}},
		{"another request", func(r *rig, _ []byte) { r.ask(access("new@home.example")) }, []string{"new@home.example", "waits@home.example"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 512 }, edit: clientMode})
			for range 40 {
				r.ask(access("bob@home.example"))
				r.atHome(0)
			}
			r.pass(30 * time.Second)
			require.True(t, r.shard.pace.Paced(0, home.Auth))
			for r.shard.pace.There(0, home.Auth) < r.shard.pace.Limit(0, home.Auth, r.now) {
				r.ask(access("bob@home.example"))
				r.atHome(0)
			}
			waiting := r.ask(access("waits@home.example"))
			r.quietHome(0)
			r.pass(5 * time.Second)
			r.quietHome(0)
			tt.next(r, waiting)
			var got []string
			for range tt.want {
				got = append(got, rfc2865.UserName_GetString(r.atHome(0).Packet))
			}
			assert.ElementsMatch(t, tt.want, got)
			r.idle()
		})
	}
}

// A home that has room but no identifier left keeps those who wait for it:
// they need not ask again once there is one.
func TestTurnWithoutIdentifier(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight, c.HomeSockets = 1024, 1 }})
	for range 240 {
		r.ask(access("bob@home.example"))
		r.atHome(0)
	}
	for n := 0; r.shard.slab.used > 0; n++ { // given up, and their identifiers rest
		require.Less(t, n, 31)
		r.pass(time.Second)
		for b, _ := read(t, r.homes[0], time.Millisecond); b != nil; b, _ = read(t, r.homes[0], time.Millisecond) {
		}
	}
	require.True(t, r.shard.pace.Paced(0, home.Auth))
	before := dropped.count(r, HomeBusy)
	var at []*heard
	for range 16 {
		r.ask(access("bob@home.example"))
		at = append(at, r.atHome(0))
	}
	const waiting = 10
	for range waiting {
		r.ask(access("waits@home.example"))
	}
	require.Equal(t, waiting, r.shard.pace.Waiting(0, home.Auth))
	r.pass(2500 * time.Millisecond) // their place at the home is free, their identifier is not
	assert.Equal(t, before, dropped.count(r, HomeBusy))
	for _, h := range at {
		h.answer(layeh.CodeAccessAccept)
	}
	assert.Zero(t, r.shard.pace.Waiting(0, home.Auth))
	assert.Equal(t, before, dropped.count(r, HomeBusy))
	r.idle()
}

// One client that repeats faster than any home answers says nothing about the
// home, and what it repeats is no load for one that struggles.
func TestHastyClient(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 512 }, edit: clientMode})
	b := r.ask(access("bob@home.example"))
	h := r.atHome(0)
	hasty := func() {
		r.pass(time.Millisecond)
		r.offer(listen.Auth, b)
	}
	for range 20 {
		hasty()
		r.atHome(0)
	}
	assert.False(t, r.shard.pace.Paced(0, home.Auth))
	h.answer(layeh.CodeAccessAccept)
	r.got(b)
	for range 40 {
		r.ask(access("bob@home.example"))
		r.atHome(0)
	}
	r.pass(30 * time.Second)
	require.True(t, r.shard.pace.Paced(0, home.Auth))
	b = r.ask(access("bob@home.example"))
	r.atHome(0)
	hasty()
	r.quietHome(0)
	r.idle()
}

// A client that repeats for ever, where the repetitions are the client's, does
// not make its identifier look unused.
func TestManyRepetitions(t *testing.T) {
	r := newRig(t, 1, clientMode)
	b := r.ask(access("bob@home.example"))
	for range 300 {
		r.pass(10 * time.Millisecond)
		r.offer(listen.Auth, b)
	}
	assert.EqualValues(t, 255, r.inFlight().sent)
	r.idle()
}

// Hundreds who wait at a home that dies are dealt with some at a time, and the
// loop does not sleep before it is through.
func TestManyTurnsAtOnce(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 2048 }})
	for range 250 {
		r.ask(access("bob@home.example"))
	}
	r.pass(2500 * time.Millisecond)
	waiting := r.shard.pace.Waiting(0, home.Auth)
	require.Greater(t, waiting, 3*turnsAtOnce)
	r.kill(0, home.Auth)
	r.pass(2500 * time.Millisecond)
	left := r.shard.pace.Waiting(0, home.Auth)
	assert.GreaterOrEqual(t, left, waiting-2*turnsAtOnce)
	assert.Zero(t, r.shard.patience())
	for range waiting/turnsAtOnce + 1 {
		r.turn(0)
	}
	assert.Zero(t, r.shard.pace.Waiting(0, home.Auth))
	assert.NotZero(t, r.shard.patience())
	r.idle()
}

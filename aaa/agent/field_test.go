package agent

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// leave is a DPR.
func (f *fake) leave(why peer.Cause) []byte {
	return f.say(diameter.FlagRequest, diameter.DisconnectPeer, 0, 0, func(w *diameter.Writer) {
		w.Uint32(diameter.DisconnectCause, 0, diameter.AVPMandatory, uint32(why))
	})
}

// Who says why it goes and does not wait for an answer has taken leave all the same: it
// is left alone for as long as its cause says, and needs no proof when it is back. D24.
func TestLeaveWithoutWaiting(t *testing.T) {
	for _, c := range []struct {
		name  string
		apart time.Duration // between the DPR and the end
		owed  int           // that is under way
	}{
		{"DPR and FIN together", 0, 0},
		{"while the DPA waits for answers", 100 * time.Millisecond, 1},
		{"after the DPA", time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, calling("hss"), nil)
			r.listening["hss"] = true
			r.until("it is open", r.node("hss").able)
			r.after(5 * time.Minute) // long enough that it would be called again at once
			f := r.called["hss"][0]
			r.node("hss").links[0].owed = c.owed
			f.send(f.leave(peer.DoNotWant))
			if c.apart > 0 {
				r.after(c.apart)
			}
			f.Close()
			r.step()
			left := r.now
			r.until("it is called again", func() bool { return len(r.called["hss"]) == 2 })
			assert.GreaterOrEqual(t, time.Duration(r.now-left), 250*time.Second)
			assert.True(t, r.node("hss").able(), "who left in good order needs no proof")
		})
	}
}

// Answers to nothing, with the identifiers that no request of ours has, change nothing. D23.
func TestAnswersToNothing(t *testing.T) {
	for _, command := range []uint32{diameter.DisconnectPeer, diameter.CapabilitiesExchange, diameter.DeviceWatchdog} {
		t.Run(fmt.Sprint(command), func(t *testing.T) {
			r := newRig(t, calling("hss"), nil)
			r.listening["hss"] = true
			r.until("it is open", r.node("hss").able)
			f := r.called["hss"][0]
			f.apps = []uint32{diameter.AppS6a}
			if command == diameter.CapabilitiesExchange {
				f.send(f.capabilities(0, 0, 0, diameter.ResultSuccess), f.capabilities(0, 0, 0, diameter.ResultUnableToComply))
			} else {
				f.send(f.say(0, command, 0, 0, nil))
			}
			r.after(2 * time.Second)
			n := r.node("hss")
			assert.True(t, n.able())
			assert.NotNil(t, n.link(), "requests may be sent by it")
			assert.True(t, n.relay, "what it has said of itself stands")
			assert.False(t, f.gone())
			r.after(10 * time.Minute)
			assert.Len(t, r.called["hss"], 1)
		})
	}
}

// What comes behind capabilities that were refused, or behind a message of another
// version, is not read any more. D27.
func TestNothingBehindARefusal(t *testing.T) {
	for _, c := range []struct {
		name  string
		first func(f *fake) []byte
	}{
		{"capabilities of nobody", func(f *fake) []byte {
			f.host = "nobody.example"
			defer func() { f.host = "mno.example" }()
			return f.cer()
		}},
		{"another version", func(f *fake) []byte { b := f.cer(); b[0] = 2; return b }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, peersOf("mno"), nil)
			f := r.come("mno")
			f.garbage = true
			f.send(c.first(f), f.cer(), f.cer())
			r.step()
			assert.Len(t, f.take(), 1)
			assert.True(t, f.gone())
			assert.Equal(t, "down", r.lp.statuses()[0].State)
			again := r.come("mno")
			again.introduce()
			assert.True(t, r.node("mno").able(), "the next one has nothing to prove")
		})
	}
}

// Attempts beyond those of one time wait for a place: that there are many peers is not
// their failure. D25.
func TestAttemptsWaitForAPlace(t *testing.T) {
	set := calling("hss")
	door, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = door.Close() }()
	set.Peers[0].Addresses = []netip.AddrPort{door.Addr().(*net.TCPAddr).AddrPort()}
	r := newRig(t, set, nil)
	d := r.agent.calls
	d.begin = r.agent.dial
	for range cap(d.free) {
		d.free <- struct{}{}
	}
	ln := r.node("hss").lanes[0]
	r.until("an attempt", func() bool { return ln.machine.State() == peer.WaitConnAck })
	r.step()
	assert.Equal(t, peer.WaitConnAck, ln.machine.State(), "it waits: %v", r.logs.All())
	<-d.free
	c, err := door.Accept()
	require.NoError(t, err)
	_ = c.Close()
	d.running.Wait()
	for range cap(d.free) - 1 {
		<-d.free
	}
	assert.Empty(t, r.logs.FilterMessage("peer not reached").All())
}

// A peer that comes and goes without end fills no log, and what was left out is told. D42.
func TestRestlessPeer(t *testing.T) {
	r := newRig(t, peersOf("mno", "calm"), nil)
	r.peer("calm")
	lines := func() int { return r.logs.FilterField(logPeer("mno")).Len() }
	rounds := 0
	others := r.fakes
	for end := r.now + int64(3*time.Minute); r.now < end; rounds++ {
		r.fakes = others
		f := r.peer("mno")
		f.send(f.leave(peer.Rebooting))
		r.step()
		f.Close()
		r.after(500 * time.Millisecond)
	}
	require.Greater(t, rounds, 300)
	assert.LessOrEqual(t, lines(), 4*(mostLines+1))
	r.after(2 * time.Minute)
	told := 0
	for _, e := range r.logs.FilterMessage("lines of a peer left out").All() {
		told += int(e.ContextMap()["lines"].(int64))
	}
	written := lines() - r.logs.FilterMessage("lines of a peer left out").Len()
	assert.Equal(t, 3*rounds, written+told, "each round would have three")
	before := lines()
	r.peer("mno")
	assert.Equal(t, before+1, lines(), "who is calm again is told of as before")
	assert.Equal(t, 1, r.logs.FilterField(logPeer("calm")).Len())
}

// A peer that comes back with fewer applications gets no requests of the others. D20.
func TestFewerApplications(t *testing.T) {
	r := relaying(t, 2, nil)
	v, first, second := r.fake("v1"), r.fake("h1"), r.fake("h2")
	v.ask(1, 10)
	require.Len(t, first.take(), 1)
	first.Close()
	r.step()
	require.Len(t, second.take(), 1, "the one that it had")
	again := r.come("h1")
	again.apps = []uint32{diameter.AppS13}
	again.introduce()
	r.until("it has proved itself", r.node("h1").able)
	v.ask(1, 10)
	assert.Empty(t, again.take())
	assert.Len(t, second.take(), 1)
	second.Close()
	r.step()
	v.take()
	v.ask(1, 10)
	var m diameter.Message
	all := v.take()
	require.Len(t, all, 1)
	m.Parse(all[0])
	assert.EqualValues(t, ApplicationNotServed.Result(), resultOf(&m))
}

// homesOf makes the configuration of relaying with other members of its pool.
func homesOf(set *realm.Set, members ...int32) *realm.Set {
	next := *set
	next.Pools = []realm.Pool{set.Pools[0]}
	next.Pools[0].Members = nil
	for i, m := range members {
		next.Pools[0].Members = append(next.Pools[0].Members, realm.Member{Home: m, Priority: i, Weight: 1})
	}
	return &next
}

// What is under way stays where it is when its pool gets other peers, and what is new goes
// by the new files. A peer that is removed is waited for, and what it has not answered by
// then goes to the others. D28.
func TestPoolMovesUnderLoad(t *testing.T) {
	r := relaying(t, 2, nil)
	v, first, second := r.fake("v1"), r.fake("h1"), r.fake("h2")
	r.set.Routes[0].Diameter.Deadline = 20 * time.Second
	require.NoError(t, r.agent.Apply(homesOf(r.set, 2, 3)))
	v.ask(3, 10)
	had := first.take()
	require.Len(t, had, 3)
	require.NoError(t, r.agent.Apply(homesOf(r.set, 3)))
	r.step()
	v.ask(1, 10)
	assert.Empty(t, first.take())
	assert.Len(t, second.take(), 1)
	first.send(answerOf(had[0]))
	r.step()
	assert.Len(t, v.take(), 1, "who had it answers it")

	gone := *homesOf(r.set, 3)
	gone.Peers = append([]realm.Peer{}, r.set.Peers...)
	gone.Peers[2].Disabled = true
	require.NoError(t, r.agent.Apply(&gone))
	r.step()
	require.Equal(t, 1, first.asked(diameter.DisconnectPeer, true))
	first.send(answerOf(had[1]))
	r.step()
	assert.Len(t, v.take(), 1, "it has a moment to answer")
	assert.False(t, first.gone())
	r.after(4500 * time.Millisecond)
	assert.False(t, first.gone())
	r.after(time.Second)
	assert.True(t, first.gone())
	left := second.take()
	require.Len(t, left, 1)
	assert.NotZero(t, diameter.ReadHeader(left[0]).Flags&diameter.FlagRetransmitted)
	second.send(answerOf(left[0]))
	r.step()
	assert.Len(t, v.take(), 1)
	assert.Equal(t, 1, r.lp.table.used, "what the other one has not answered")
	assert.Empty(t, r.lp.old)
}

// A peer whose certificate is no more the one of the files is left at once; what it had
// goes to others, and it does not come back by it. D28.
func TestCertificateChanges(t *testing.T) {
	set := peersOf("v1", "h1", "h2")
	set.Peers[1].Transport, set.Peers[1].Security = realm.TLS, &realm.Security{Name: "s"}
	set.Pools = []realm.Pool{{Name: "home", Diameter: true, Balance: realm.BalanceFirst, Members: []realm.Member{{Home: 1, Weight: 1}, {Home: 2, Priority: 1, Weight: 1}}}}
	set.Routes = []realm.Route{{Realm: "home", Auth: -1, Acct: -1, Diameter: &realm.DiameterRoute{Action: realm.DiameterProxy, Pool: 0}}}
	set.Table = realm.NewTable(set.Routes)
	r := newRig(t, set, nil)
	v, first, second := r.peer("v1"), r.peer("h1"), r.peer("h2")
	v.ask(2, 10)
	require.Len(t, first.take(), 2)
	next := *set
	next.Peers = append([]realm.Peer{}, set.Peers...)
	next.Peers[1].Holder = &realm.Holder{Hosts: []string{"other.example"}}
	require.NoError(t, r.agent.Apply(&next))
	r.step()
	assert.True(t, first.gone())
	assert.Len(t, second.take(), 2)
	again := r.come("h1")
	m := again.introduce()
	got, _ := m.Uint32(diameter.KnownResultCode)
	assert.EqualValues(t, diameter.ResultUnknownPeer, got)
	r.lp.stats.Publish()
	assert.EqualValues(t, 1, r.stats.Value("roamgate_diameter_connections_closed_total", "peer", "h1", "reason", "certificate_refused"))
	assert.EqualValues(t, 1, r.stats.Value("roamgate_diameter_capabilities_total", "result", "wrong_certificate"))
}

// A clock that is set changes no time that something takes. D10.
func TestClockIsSet(t *testing.T) {
	for _, jump := range []time.Duration{24 * time.Hour * 200, -24 * time.Hour * 400} {
		r := relaying(t, 1, nil)
		v, home := r.fake("v1"), r.fake("h1")
		v.ask(2, 10)
		had := home.take()
		r.wall += int64(jump)
		r.after(2 * time.Second)
		home.send(answerOf(had[0]))
		r.step()
		assert.Len(t, v.take(), 1)
		assert.False(t, home.gone() || v.gone())
		r.after(2900 * time.Millisecond)
		assert.Empty(t, v.take())
		r.after(200 * time.Millisecond)
		assert.Len(t, v.take(), 1, "its deadline is what it was")
	}
}

// The slot of a request that was given up serves others: what comes for the first one by
// then is nobody's, though all else of it is the same. D9.
func TestSlotsAreNotMixedUp(t *testing.T) {
	r := relaying(t, 1, nil)
	v, home := r.fake("v1"), r.fake("h1")
	v.ask(1, 10)
	old := home.take()[0]
	r.after(6 * time.Second)
	require.Len(t, v.take(), 1, "in vain")
	slot := uint32(1)<<r.lp.table.bits - 1
	for range 3 {
		v.hop-- // the same identifiers once more
		v.ask(1, 10)
		now := home.take()[0]
		was, is := diameter.ReadHeader(old), diameter.ReadHeader(now)
		require.Equal(t, was.HopByHop&slot, is.HopByHop&slot)
		require.Equal(t, was.EndToEnd, is.EndToEnd)
		home.send(answerOf(old))
		r.step()
		assert.Empty(t, v.take())
		home.send(answerOf(now), answerOf(now))
		r.step()
		assert.Len(t, v.take(), 1)
	}
	r.lp.stats.Publish()
	assert.EqualValues(t, 6, r.stats.Value("roamgate_diameter_dropped_total", "peer", "h1", "reason", "late_answer"))
}

// What a peer that had the request before says of it, and cannot be read, costs the answer
// of the one that has it now nothing. D4.
func TestMalformedLateAnswer(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", request())
	b := answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultSuccess).octets()
	b[diameter.HeaderLen+7] = 3
	r.suspect(r.links["hss1"])
	out := r.one("hss2")
	r.lp.heard(r.links["hss1"], b)
	r.nothing()
	r.heard("hss2", answerTo(out, "hss2.home.example", diameter.ResultSuccess))
	assert.EqualValues(t, diameter.ResultSuccess, resultIn(r.one("mme")))
	r.rest()
}

// Files that come while we stop change nothing any more, and how it stands can still be
// asked. D24.
func TestFilesWhileStopping(t *testing.T) {
	r := newRig(t, peersOf("mno"), nil)
	f := r.peer("mno")
	f.auto = false
	r.lp.stop()
	r.step()
	require.NoError(t, r.agent.Apply(peersOf("mno", "fresh")))
	r.step()
	require.Len(t, r.lp.statuses(), 1)
	assert.Equal(t, "closing", r.lp.statuses()[0].State)
	f.take()
}

// bomb is a connection that finds a mistake of ours once.
type bomb struct {
	Conn
	gone bool
}

func (b *bomb) RoomFor(n int) []byte {
	if !b.gone {
		b.gone = true
		panic("a mistake")
	}
	return b.Conn.RoomFor(n)
}

// A mistake of ours that a message finds costs that message and nothing else: what came
// with it is served, connections are lost and taken over as before, and its slot is free
// in the end. D43.
func TestMistakeIsSurvived(t *testing.T) {
	r := relaying(t, 2, nil)
	v1, v2, first, second := r.fake("v1"), r.fake("v2"), r.fake("h1"), r.fake("h2")
	v1.ask(1, 10)
	require.Len(t, first.take(), 1)
	l := r.node("h1").links[0]
	l.conn = &bomb{Conn: l.conn}
	asks := func(f *fake) { f.hop++; f.send(f.ulr(10)) }
	asks(v1)
	asks(v2)
	asks(v2)
	tags, _, err := r.lp.poller.Wait(0)
	require.NoError(t, err)
	require.True(t, r.lp.guarded(tags))
	r.step()
	assert.Len(t, first.take(), 2, "the others")
	first.Close()
	r.step()
	assert.Len(t, second.take(), 3, "what it had")
	r.lp.stats.Publish()
	assert.EqualValues(t, 1, r.stats.Value("roamgate_diameter_panics_recovered_total"))
	r.after(6 * time.Minute)
	assert.Len(t, v1.take(), 2, "all are answered")
	assert.Len(t, v2.take(), 2)
	assert.Zero(t, r.lp.table.used)
	assert.Zero(t, r.lp.table.store.lent)
	for _, e := range r.logs.FilterMessage("recovered from a panic").All() {
		assert.NotContains(t, fmt.Sprint(e.ContextMap()["panic"]), imsi)
	}
}

func logPeer(name string) zap.Field { return zap.String("peer", name) }

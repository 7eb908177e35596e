package agent

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// asked gives the messages of the peer machine that came to a fake.
func (f *fake) asked(command uint32, request bool) (n int) {
	for i := range f.base {
		if f.base[i].Command == command && f.base[i].Request() == request {
			n++
		}
	}
	return n
}

// calling makes a set whose first peer we connect to, and wait for as well.
func calling(names ...string) *realm.Set {
	set := peersOf(names...)
	set.Peers[0].Addresses = []netip.AddrPort{netip.AddrPortFrom(addrOf(0), 3868)}
	return set
}

// until lets time pass until something is so.
func (r *rig) until(what string, is func() bool) {
	for range 600 {
		if is() {
			return
		}
		r.after(time.Second)
	}
	require.FailNow(r.t, what, "%v", r.logs.All())
}

// A CER on a connection that stands is refused, and changes nothing. D27.
func TestCapabilitiesOnce(t *testing.T) {
	r := newRig(t, peersOf("mno"), nil)
	f := r.peer("mno")
	f.send(f.cer())
	r.step()
	require.Equal(t, 1, f.asked(diameter.CapabilitiesExchange, false))
	got, _ := f.base[0].Uint32(diameter.KnownResultCode)
	assert.EqualValues(t, diameter.ResultUnableToComply, got)
	assert.True(t, r.node("mno").able())
	assert.False(t, f.gone())
}

// A second connection of a peer that has its one is refused; the first stays. D22.
func TestDuplicateConnection(t *testing.T) {
	r := newRig(t, peersOf("mno"), nil)
	first := r.peer("mno")
	second := r.come("mno")
	second.send(second.cer())
	r.step()
	assert.EqualValues(t, diameter.ResultElectionLost, second.result())
	assert.True(t, second.gone())
	assert.False(t, first.gone())
	assert.True(t, r.node("mno").able())
}

// A peer that was restarted comes again before its old connection is found to be dead. D26.
func TestRestartedPeerReplaces(t *testing.T) {
	r := newRig(t, peersOf("mno"), nil)
	first := r.come("mno")
	first.state = 5
	first.introduce()
	first.mute = true
	for _, c := range []struct {
		state uint32
		taken bool
	}{{5, false}, {0, false}, {6, true}} {
		f := r.come("mno")
		f.state = c.state
		m := f.introduce()
		require.NotNil(t, m)
		got, _ := m.Uint32(diameter.KnownResultCode)
		assert.Equal(t, c.taken, got == diameter.ResultSuccess, "Origin-State-Id %d", c.state)
	}
	assert.True(t, first.gone())
	r.lp.stats.Publish()
	assert.EqualValues(t, 1, r.stats.Value("roamgate_diameter_peer_restarts_total"))
	r.until("it proves itself", r.node("mno").able)
}

// Both connect at the same time: the one with the greater identity keeps the connection
// that it has answered (RFC 6733 section 5.6.4), whatever comes first. D22.
func TestElectionOfConnections(t *testing.T) {
	for _, c := range []struct {
		host       string
		keepTheirs bool
	}{{"aaa.example", true}, {"zzz.example", false}} {
		t.Run(c.host, func(t *testing.T) {
			set := calling("hss")
			set.Peers[0].Identity = c.host
			r := newRig(t, set, nil)
			r.listening["hss"], r.silent = true, true
			r.until("a call", func() bool { return len(r.called["hss"]) > 0 })
			ours := r.called["hss"][0]
			cer := ours.one()
			theirs := r.come("hss")
			theirs.send(theirs.cer())
			r.step()
			if c.keepTheirs {
				assert.True(t, ours.gone())
				assert.EqualValues(t, 2001, theirs.result())
			} else {
				assert.False(t, theirs.gone())
				assert.Empty(t, theirs.take(), "it waits for the other one's answer")
				ours.send(ours.capabilities(0, cer.HopByHop, cer.EndToEnd, 2001))
				r.step()
				assert.True(t, theirs.gone())
				assert.False(t, ours.gone())
			}
			assert.True(t, r.node("hss").able())
			assert.Len(t, r.node("hss").links, 1)
			assert.Equal(t, 1, r.lp.conns.open)
		})
	}
}

// The same where theirs comes while ours is not there yet, and over TLS, where each has to
// be that of the peer: one is left, and it is the right one. D22.
func TestElectionWhileCalling(t *testing.T) {
	for _, by := range []realm.Transport{realm.TCP, realm.TLS} {
		for _, c := range []struct {
			host       string
			keepTheirs bool
			reached    bool // by us in the end
		}{{"aaa.example", true, true}, {"zzz.example", false, true}, {"aaa.example", true, false}, {"zzz.example", true, false}} {
			t.Run(fmt.Sprint(by, " ", c.host, " ", c.reached), func(t *testing.T) {
				set := calling("hss")
				p := &set.Peers[0]
				p.Identity, p.Transport = c.host, by
				if by.Secured() {
					p.Security = &realm.Security{Name: "s"}
				}
				r := newRig(t, set, nil)
				r.silent = true
				var goOn func()
				r.agent.calls.begin = func(ln *lane, serial uint32, p *realm.Peer) { goOn = func() { r.dial(ln, serial, p) } }
				r.until("a call", func() bool { return goOn != nil })
				theirs := r.come("hss")
				theirs.send(theirs.cer())
				r.step()
				assert.Empty(t, theirs.take(), "it is not known yet which one it is")
				r.listening["hss"] = c.reached
				goOn()
				r.step()
				if c.reached {
					ours := r.called["hss"][0]
					cer := ours.one()
					assert.EqualValues(t, diameter.CapabilitiesExchange, cer.Command)
					if !c.keepTheirs {
						ours.send(ours.capabilities(0, cer.HopByHop, cer.EndToEnd, 2001))
						r.step()
					}
					assert.Equal(t, c.keepTheirs, ours.gone())
				}
				assert.Equal(t, c.keepTheirs, !theirs.gone())
				if c.keepTheirs {
					assert.EqualValues(t, 2001, theirs.result())
				}
				assert.True(t, r.node("hss").able())
				assert.Len(t, r.node("hss").links, 1)
				assert.Equal(t, 1, r.lp.conns.open)
			})
		}
	}
}

// With several connections there is an exchange of capabilities by each, requests go by
// them in turn, and one that ends takes none of the others with it. D22.
func TestSeveralConnections(t *testing.T) {
	set := calling("hss")
	set.Peers[0].Connections = 3
	r := newRig(t, set, nil)
	r.listening["hss"] = true
	r.until("all of ours", func() bool { return len(r.node("hss").links) == 3 })
	extra := r.come("hss")
	extra.introduce()
	assert.True(t, extra.gone(), "there are as many as there may be")
	n := r.node("hss")
	seen := map[*link]int{}
	for range 9 {
		seen[n.link()]++
	}
	assert.Len(t, seen, 3)
	r.called["hss"][0].Close()
	r.step()
	assert.Len(t, n.links, 2)
	assert.True(t, n.able())
	assert.Equal(t, "open", r.lp.statuses()[0].State)
	theirs := r.come("hss")
	theirs.introduce()
	assert.False(t, theirs.gone(), "the place of the one that ended is free")
	r.until("it proves itself", func() bool { return len(n.links) == 3 })
}

// A peer that answers nothing any more is suspect, then gone, and has to prove itself. C119.
func TestC119Failover(t *testing.T) {
	r := newRig(t, peersOf("mno"), nil)
	f := r.peer("mno")
	f.mute = true
	n := r.node("mno")
	r.after(70 * time.Second)
	assert.Equal(t, "suspect", r.lp.statuses()[0].State)
	assert.False(t, n.able())
	assert.Nil(t, n.link())
	assert.Equal(t, 1, f.asked(diameter.DeviceWatchdog, true), "a DWR is never sent again")
	assert.False(t, f.gone())
	f.send(f.say(diameter.FlagRequest, diameter.DeviceWatchdog, 0, 0, nil))
	r.step()
	assert.True(t, n.able(), "it lives")
	r.after(100 * time.Second)
	assert.Equal(t, "down", r.lp.statuses()[0].State)
	assert.True(t, f.gone())
	again := r.come("mno")
	again.introduce()
	assert.Equal(t, "reopen", r.lp.statuses()[0].State)
	r.until("it has answered three times", n.able)
	assert.Equal(t, 3, again.asked(diameter.DeviceWatchdog, true))
	r.lp.stats.Publish()
	assert.EqualValues(t, 2, r.stats.Value("roamgate_diameter_watchdog_total", "event", "suspect"))
	assert.EqualValues(t, 1, r.stats.Value("roamgate_diameter_watchdog_total", "event", "closed"))
}

// A peer that is stopped takes nothing: its connection is closed though nothing can be
// written to it. D23.
func TestStalledPeerIsClosed(t *testing.T) {
	r := newRig(t, peersOf("mno", "other"), nil)
	f, other := r.peer("mno"), r.peer("other")
	f.stall(true)
	r.after(35 * time.Second)
	assert.Positive(t, r.stats.Value("roamgate_diameter_peer_queue_bytes", "peer", "mno"), "a DWR")
	assert.Zero(t, r.stats.Value("roamgate_diameter_peer_queue_bytes", "peer", "other"))
	r.after(3 * time.Minute)
	assert.Equal(t, "down", r.lp.statuses()[0].State)
	assert.Equal(t, "open", r.lp.statuses()[1].State)
	assert.False(t, other.gone())
	assert.Equal(t, 1, r.lp.conns.open)
}

// One who takes nothing is closed though he goes on to speak, which is what the watchdog
// listens for. D23.
func TestStalledPeerThatSpeaksIsClosed(t *testing.T) {
	r := newRig(t, peersOf("mno"), nil)
	f := r.peer("mno")
	f.stall(true)
	for range 10 {
		f.send(f.say(diameter.FlagRequest, diameter.DeviceWatchdog, 0, 0, nil))
		r.after(5 * time.Second)
	}
	assert.EqualValues(t, 1, r.stats.Value("roamgate_diameter_connections_closed_total", "peer", "mno", "reason", "stalled"))
	assert.Equal(t, "down", r.lp.statuses()[0].State)
}

// A DWA that nobody asked for says that the peer lives and nothing more. D23.
func TestUnsolicitedDWA(t *testing.T) {
	r := newRig(t, peersOf("mno"), nil)
	f := r.peer("mno")
	f.mute = true
	r.after(33 * time.Second)
	require.Equal(t, 1, f.asked(diameter.DeviceWatchdog, true))
	f.send(f.say(0, diameter.DeviceWatchdog, 4711, 4711, nil))
	r.after(33 * time.Second)
	assert.Equal(t, "suspect", r.lp.statuses()[0].State, "our DWR is not answered by it")
}

// Base messages that are malformed are answered, and the connection stays. D27.
func TestMalformedBase(t *testing.T) {
	for _, c := range []struct {
		name    string
		command uint32
		edit    func(b []byte) []byte
		result  uint32
	}{
		{"a DWR without Origin-Host", diameter.DeviceWatchdog, func(b []byte) []byte { return strike(b, diameter.OriginHost) }, 5005},
		{"a DWR with two", diameter.DeviceWatchdog, func(b []byte) []byte { return add(b, diameter.OriginHost, 'x') }, 5009},
		{"a DWR with an AVP beyond its end", diameter.DeviceWatchdog, func(b []byte) []byte { b = add(b, 1, 'x'); b[len(b)-5] = 99; return b }, 5014},
		{"a DWR with the E bit", diameter.DeviceWatchdog, func(b []byte) []byte { b[4] |= 0x20; return b }, 3008},
		{"a DPR without Origin-Realm", diameter.DisconnectPeer, func(b []byte) []byte { return strike(b, diameter.OriginRealm) }, 5005},
		{"a DWR with reserved bits", diameter.DeviceWatchdog, func(b []byte) []byte { b[4] |= 0x0f; return b }, 2001},
		{"a DWR with an AVP that nobody knows", diameter.DeviceWatchdog, func(b []byte) []byte { return add(b, 99999, 1, 2, 3) }, 2001},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, peersOf("mno"), nil)
			f := r.peer("mno")
			b := c.edit(f.say(diameter.FlagRequest, c.command, 0, 0, nil))
			f.send(b)
			r.step()
			require.Len(t, f.base, 1)
			got, _ := f.base[0].Uint32(diameter.KnownResultCode)
			assert.Equal(t, c.result, got)
			assert.Equal(t, diameter.ReadHeader(b).HopByHop, f.base[0].HopByHop)
			assert.True(t, r.node("mno").able())
		})
	}
}

// After a DPR nothing is begun; the DPA comes, and the peer closes. When it is connected
// to again goes by its cause. D24.
func TestPeerTakesLeave(t *testing.T) {
	for _, c := range []struct {
		cause peer.Cause
		least time.Duration
		most  time.Duration
	}{{peer.Rebooting, 25 * time.Second, 35 * time.Second}, {peer.Busy, 100 * time.Second, 140 * time.Second}, {peer.DoNotWant, 250 * time.Second, 350 * time.Second}} {
		t.Run(c.cause.String(), func(t *testing.T) {
			r := newRig(t, calling("hss"), nil)
			r.listening["hss"] = true
			r.until("it is open", r.node("hss").able)
			f := r.called["hss"][0]
			f.send(f.say(diameter.FlagRequest, diameter.DisconnectPeer, 0, 0, func(w *diameter.Writer) {
				w.Uint32(diameter.DisconnectCause, 0, diameter.AVPMandatory, uint32(c.cause))
			}))
			r.step()
			assert.False(t, r.node("hss").able())
			require.Equal(t, 1, f.asked(diameter.DisconnectPeer, false))
			f.Close()
			r.step()
			left := r.now
			r.until("it is called again", func() bool { return len(r.called["hss"]) == 2 })
			took := time.Duration(r.now - left)
			assert.GreaterOrEqual(t, took, c.least)
			assert.LessOrEqual(t, took, c.most)
			assert.True(t, r.node("hss").able(), "who left in good order needs no proof")
		})
	}
}

// A DPA waits for what is under way, but not for long. D24.
func TestLeaveWaitsForAnswers(t *testing.T) {
	r := newRig(t, peersOf("mno"), nil)
	f := r.peer("mno")
	l := r.node("mno").links[0]
	l.owed = 1
	f.send(f.say(diameter.FlagRequest, diameter.DisconnectPeer, 0, 0, nil))
	r.after(100 * time.Millisecond)
	assert.Zero(t, f.asked(diameter.DisconnectPeer, false))
	l.owed = 0
	r.step()
	assert.Equal(t, 1, f.asked(diameter.DisconnectPeer, false))
	assert.False(t, f.gone(), "who has asked closes")
	r.after(6 * time.Second)
	assert.True(t, f.gone(), "or we do")

	f = r.peer("mno")
	r.node("mno").links[0].awaited = 1
	noted := r.logs.FilterMessage("peer takes leave").Len()
	for range 6 { // saying it again and again keeps nothing back, and fills no log
		f.send(f.say(diameter.FlagRequest, diameter.DisconnectPeer, 0, 0, nil))
		r.after(100 * time.Millisecond)
	}
	assert.Equal(t, 1, f.asked(diameter.DisconnectPeer, false))
	assert.Equal(t, noted+1, r.logs.FilterMessage("peer takes leave").Len())
}

// A configuration in which a peer is ourselves is refused, and nothing changes.
func TestNoPeerIsTheHub(t *testing.T) {
	r := newRig(t, peersOf("stays"), nil)
	node := r.node("stays")
	next := peersOf("stays", "ourselves")
	next.Peers[1].Identity = r.agent.conf.Identity
	assert.ErrorContains(t, r.agent.Apply(next), "peer ourselves has the identity of the hub")
	r.step()
	assert.Same(t, node, r.node("stays"))
	assert.Len(t, r.lp.nodes, 1, "it goes on as it was")
	_, err := New(Config{Identity: next.Peers[1].Identity, Realm: "example"}, next, Rooms{Stats: stat.NewRegistry()})
	assert.ErrorContains(t, err, "has the identity of the hub")
}

// Peers that are new are connected to, those that are gone are told so, and who stays
// what it was notices nothing. D28.
func TestHotPeers(t *testing.T) {
	r := newRig(t, peersOf("stays", "goes", "changes"), nil)
	stays, goes, changes := r.peer("stays"), r.peer("goes"), r.peer("changes")
	node := r.node("stays")
	next := peersOf("fresh", "stays", "changes")
	next.Peers[1].From, next.Peers[2].From = r.set.Peers[0].From, r.set.Peers[2].From
	next.Peers[2].Realm = "renamed"
	next.Peers[0].Addresses = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.99:3868")}
	r.set = next
	r.listening["fresh"] = true
	require.NoError(t, r.agent.Apply(next))
	r.step()
	assert.Same(t, node, r.node("stays"))
	assert.EqualValues(t, 1, node.index)
	assert.False(t, stays.gone())
	assert.Empty(t, stays.base)
	assert.True(t, changes.gone(), "its realm is another one")
	require.Equal(t, 1, goes.asked(diameter.DisconnectPeer, true))
	var a diameter.AVP
	require.True(t, diameter.Find(goes.base[0].Body(), diameter.DisconnectCause, 0, &a))
	assert.Equal(t, []byte{0, 0, 0, 2}, a.Data, "DO_NOT_WANT_TO_TALK_TO_YOU")
	r.after(2 * time.Second)
	assert.True(t, goes.gone())
	assert.Empty(t, r.lp.old, "nothing of it is left")
	assert.True(t, r.node("fresh").able())
	assert.Len(t, r.lp.lanes, 4)

	f := r.come("stays")
	f.host, f.realm = "goes.example", "goes"
	m := f.introduce()
	got, _ := m.Uint32(diameter.KnownResultCode)
	assert.EqualValues(t, diameter.ResultUnknownPeer, got)

	next = peersOf("fresh", "stays", "changes")
	next.Peers[1].From, next.Peers[1].Disabled = r.set.Peers[1].From, true
	require.NoError(t, r.agent.Apply(next))
	r.after(2 * time.Second)
	assert.True(t, stays.gone(), "disabled")
	assert.Equal(t, "disabled", r.lp.statuses()[1].State)
}

// A peer that moved is told to go and found where it is now. D28.
func TestPeerMoves(t *testing.T) {
	r := newRig(t, calling("hss"), nil)
	r.listening["hss"] = true
	r.until("it is open", r.node("hss").able)
	next := calling("hss")
	next.Peers[0].Addresses[0] = netip.MustParseAddrPort("198.51.100.7:3868")
	require.NoError(t, r.agent.Apply(next))
	r.step()
	assert.Equal(t, 1, r.called["hss"][0].asked(diameter.DisconnectPeer, true))
	r.until("it is open again", func() bool { return len(r.called["hss"]) == 2 && r.node("hss").able() })
	assert.Equal(t, next.Peers[0].Addresses[0], r.called["hss"][1].local)
}

// Fewer connections are left in good order, more are made. D28.
func TestConnectionsChange(t *testing.T) {
	at := func(n int) *realm.Set {
		set := calling("hss")
		set.Peers[0].Connections = n
		return set
	}
	r := newRig(t, at(3), nil)
	r.listening["hss"] = true
	r.until("all", func() bool { return len(r.node("hss").links) == 3 })
	require.NoError(t, r.agent.Apply(at(1)))
	r.after(2 * time.Second)
	assert.Len(t, r.node("hss").links, 1)
	assert.Equal(t, 1, r.lp.conns.open)
	r.after(10 * time.Minute)
	assert.Equal(t, 1, r.lp.conns.open)
	require.NoError(t, r.agent.Apply(at(2)))
	r.until("two", func() bool { return len(r.node("hss").links) == 2 })
	assert.Len(t, r.lp.lanes, 3)
}

// Stopping tells every peer, waits for what is under way, and ends. D24.
func TestStop(t *testing.T) {
	r := newRig(t, peersOf("mno", "hss"), nil)
	mno, hss := r.peer("mno"), r.peer("hss")
	stranger := r.come("mno")
	r.node("mno").links[0].owed = 1
	l := r.node("mno").links[0]
	r.lp.stop()
	r.step()
	for _, f := range []*fake{mno, hss} {
		require.Equal(t, 1, f.asked(diameter.DisconnectPeer, true))
		var a diameter.AVP
		require.True(t, diameter.Find(f.base[len(f.base)-1].Body(), diameter.DisconnectCause, 0, &a))
		assert.Equal(t, []byte{0, 0, 0, 0}, a.Data, "REBOOTING")
	}
	assert.True(t, stranger.gone())
	assert.True(t, hss.gone())
	assert.False(t, mno.gone(), "it waits for an answer")
	assert.False(t, r.lp.ended())
	l.owed = 0
	r.step()
	assert.True(t, mno.gone())
	assert.True(t, r.lp.ended())
}

// A peer that does not answer the DPR keeps nobody from stopping. D24.
func TestStopIsBounded(t *testing.T) {
	r := newRig(t, peersOf("mno"), nil)
	f := r.peer("mno")
	f.auto = false
	r.lp.stop()
	r.step()
	assert.False(t, r.lp.ended())
	r.after(8 * time.Second)
	assert.True(t, r.lp.ended())
	f.take()
	assert.True(t, f.gone())
}

// A network from which connections come that say nothing has some places, and others
// find theirs.
func TestStrangersAreBounded(t *testing.T) {
	set := peersOf("mno", "hss")
	set.Peers[1].From = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	r := newRig(t, set, func(c *Config, _ *Rooms) { c.Most = 16 })
	var all []*fake
	for range 40 {
		all = append(all, r.come("mno"))
	}
	open := 0
	for _, f := range all {
		if !f.gone() {
			open++
		}
	}
	assert.Equal(t, 4, open)
	ours, theirs := newPipe(netip.MustParseAddrPort("192.0.2.200:3868"), netip.MustParseAddrPort("198.51.100.7:4000"))
	f := &fake{pipe: theirs, rig: r, host: "hss.example", realm: "hss"}
	r.fakes = append(r.fakes, f)
	post(r.lp, &r.lp.mail.links, &link{conn: ours, transport: realm.TCP})
	r.step()
	f.introduce()
	assert.True(t, r.node("hss").able())
	all[0].introduce()
	assert.True(t, r.node("mno").able())
	r.lp.stats.Publish()
	assert.EqualValues(t, 36, r.stats.Value("roamgate_diameter_capabilities_total", "result", "too_many_connections"))
	r.after(11 * time.Second)
	assert.Empty(t, r.lp.conns.strange, "who says nothing for long goes")
	assert.True(t, r.node("mno").able())
}

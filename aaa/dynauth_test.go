package aaa

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc3576"

	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// reverseRig is a rig with a way back: dm is where a home sends from, nas3799
// where the visited network takes requests.
type reverseRig struct {
	*rig
	dm, nas3799 *net.UDPConn
}

func newReverse(t tester, edit func(*realm.Set)) *reverseRig {
	r := &reverseRig{}
	helper := &rig{t: t}
	r.dm, r.nas3799 = helper.socket(), helper.socket()
	r.rig = newRigOf(t, setup{homes: 1, conf: withDynAuth, edit: func(s *realm.Set) {
		s.Homes[0].DynAuth = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		s.Clients[0].DynAuth = addrOf(r.nas3799)
		if edit != nil {
			edit(s)
		}
	}})
	t.Cleanup(r.hub.dynauth.close)
	return r
}

func withDynAuth(c *Config) {
	c.InFlight = 1024
	c.DynAuthMem = 1 << 20
	c.Listen = append(c.Listen, listen.Address{Service: listen.DynAuth, Addr: netip.MustParseAddrPort("127.0.0.1:0")})
}

// turnBack is a round of the loop of the way back.
func (r *reverseRig) turnBack() {
	r.t.Helper()
	d := r.hub.dynauth
	tags, _, err := d.poller.Wait(patience)
	require.NoError(r.t, err)
	d.clock = dynauth.Clock{Now: r.now, Wall: r.wall / 1e9}
	d.step(tags)
	for len(r.hub.notes) > 0 {
		r.hub.write(<-r.hub.notes)
	}
}

// back sends a Disconnect-Request of the home.
func (r *reverseRig) back(edits ...edit) []byte {
	r.t.Helper()
	p := layeh.New(layeh.CodeDisconnectRequest, []byte(homeSecret))
	p.Identifier = byte(identifiers.Add(1))
	for _, e := range edits {
		e(p)
	}
	var w radius.Writer
	plain, err := p.Encode()
	require.NoError(r.t, err)
	w.Start(make([]byte, radius.MaxLen), radius.DisconnectRequest, p.Identifier, true)
	w.Raw(plain[radius.HeaderLen:])
	b := w.SignAccounting(radius.NewCrypt(), radius.NewSecret([]byte(homeSecret)))
	_, err = r.dm.WriteToUDP(b, net.UDPAddrFromAddrPort(r.hub.dynauth.fronts[0].Addr))
	require.NoError(r.t, err)
	r.turnBack()
	return b
}

// atNAS is what the visited network has got.
func (r *reverseRig) atNAS() (*layeh.Packet, *net.UDPAddr) {
	r.t.Helper()
	b, from := read(r.t, r.nas3799, patience)
	require.NotNil(r.t, b, "nothing reached the NAS")
	require.True(r.t, layeh.IsAuthenticRequest(b, []byte(visitedSecret)))
	p, err := layeh.Parse(b, []byte(visitedSecret))
	require.NoError(r.t, err)
	return p, from
}

// acked lets the NAS say yes and returns what the home hears.
func (r *reverseRig) acked(sent []byte) *layeh.Packet {
	r.t.Helper()
	p, from := r.atNAS()
	b, err := p.Response(layeh.CodeDisconnectACK).Encode()
	require.NoError(r.t, err)
	_, err = r.nas3799.WriteToUDP(b, from)
	require.NoError(r.t, err)
	r.turnBack()
	return r.heardBack(sent)
}

func (r *reverseRig) heardBack(sent []byte) *layeh.Packet {
	r.t.Helper()
	b, _ := read(r.t, r.dm, patience)
	require.NotNil(r.t, b, "the home has heard nothing")
	require.True(r.t, layeh.IsAuthenticResponse(b, sent, []byte(homeSecret)))
	p, err := layeh.Parse(b, []byte(homeSecret))
	require.NoError(r.t, err)
	return p
}

// logIn brings a session about.
func (r *reverseRig) logIn(edits ...edit) *heard {
	sent := r.ask(access("bob@home.example", edits...))
	h := r.atHome(0)
	h.answer(layeh.CodeAccessAccept)
	r.got(sent)
	return h
}

// A session is known from its Access-Accept on, from its accounting too, and is
// over with its Stop; a new configuration changes nothing in that.
func TestDynAuthSession(t *testing.T) {
	r := newReverse(t, nil)
	gone := func(edits ...edit) uint32 {
		p := r.heardBack(r.back(edits...))
		assert.Equal(t, layeh.CodeDisconnectNAK, p.Code)
		return uint32(rfc3576.ErrorCause_Get(p))
	}
	bob, station := with(1, "bob@home.example"), with(31, "02-00-00-00-00-01")
	assert.EqualValues(t, 502, gone(bob, station))
	r.logIn(station, with(44, "s-1"))
	assert.Equal(t, layeh.CodeDisconnectACK, r.acked(r.back(bob, station)).Code)
	assert.Equal(t, layeh.CodeDisconnectACK, r.acked(r.back(with(44, "s-1"))).Code)

	start := acctStop("bob@home.example", "s-2", func(p *layeh.Packet) {
		_ = rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Start)
	})
	r.report(start)
	assert.Equal(t, layeh.CodeDisconnectACK, r.acked(r.back(with(44, "s-2"))).Code)
	r.apply(func(s *realm.Set) {
		s.Clients = append([]realm.Client{{Name: "new", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Secret: realm.Secret("another secret of sixteen")}}, s.Clients...)
	})
	assert.Equal(t, layeh.CodeDisconnectACK, r.acked(r.back(with(44, "s-2"))).Code)
	r.report(acctStop("bob@home.example", "s-2"))
	assert.EqualValues(t, 503, gone(with(44, "s-2")))
	assert.Equal(t, layeh.CodeDisconnectACK, r.acked(r.back(with(44, "s-1"))).Code, "the other one lives on")

	assert.Equal(t, 7, r.value("roamgate_dynauth_requests_total", "home", "a", "kind", "disconnect"))
	assert.Equal(t, 5, r.value("roamgate_dynauth_responses_total", "home", "a", "kind", "disconnect", "result", "ack", "error_cause", "none"))
	assert.Equal(t, 1, r.value("roamgate_dynauth_responses_total", "home", "a", "kind", "disconnect", "result", "refused", "error_cause", "503"))
	assert.Equal(t, 1, r.value("roamgate_dynauth_refused_total", "reason", "ended"))
	assert.Equal(t, 5, r.value("roamgate_dynauth_sent_total", "client", "visited", "kind", "disconnect", "transmission", "first"))
	assert.Equal(t, 2, r.logs.FilterMessage("dynamic authorisation noted").Len())
}

// A session that is over stays so whatever comes late, and a NAS that begins
// anew has none of those from before.
func TestDynAuthOver(t *testing.T) {
	r := newReverse(t, nil)
	ap := with(32, "ap-1")
	report := func(kind rfc2866.AcctStatusType, id string, edits ...edit) {
		r.wall += 1e9
		r.now += 1e9
		r.report(acctStop("bob@home.example", id, append(edits, ap, func(p *layeh.Packet) { _ = rfc2866.AcctStatusType_Set(p, kind) })...))
	}
	cause := func(id string) uint32 {
		sent := r.back(with(44, id))
		if r.hub.dynauth.machine.Pending() > 0 {
			assert.Equal(t, layeh.CodeDisconnectACK, r.acked(sent).Code)
			return 0
		}
		return uint32(rfc3576.ErrorCause_Get(r.heardBack(sent)))
	}
	report(rfc2866.AcctStatusType_Value_Start, "s-1")
	assert.Zero(t, cause("s-1"))
	report(rfc2866.AcctStatusType_Value_Stop, "s-1")
	report(rfc2866.AcctStatusType_Value_InterimUpdate, "s-1")
	assert.EqualValues(t, 503, cause("s-1"))

	report(rfc2866.AcctStatusType_Value_Start, "s-2")
	report(rfc2866.AcctStatusType_Value_AccountingOn, "00000000", func(p *layeh.Packet) { p.Del(1) })
	assert.EqualValues(t, 503, cause("s-2"))
	report(rfc2866.AcctStatusType_Value_Start, "s-3")
	assert.Zero(t, cause("s-3"))
	report(rfc2866.AcctStatusType_Value_AccountingOn, "00000000", func(p *layeh.Packet) { p.Del(1) }, with(41, "\x00\x00\x00\x02"))
	assert.Zero(t, cause("s-3"), "sent again, of two seconds ago")
	report(rfc2866.AcctStatusType_Value_AccountingOff, "00000000", func(p *layeh.Packet) { p.Del(1) })
	assert.EqualValues(t, 503, cause("s-3"))
}

// C100, C101: at the edge a home learns the operator's realm and a token; what
// it sends back with them reaches the NAS under the names that the NAS knows.
func TestC100AtTheEdge(t *testing.T) {
	r := newReverse(t, func(s *realm.Set) { s.Clients[0].HideNAS = true })
	h := r.logIn(with(4, "\x0a\x00\x00\x01"), with(32, "ap-17"), with(241, "\x08forged", "\x01other"))
	got := func(p *layeh.Packet, typ layeh.Type) (all []string) {
		for _, a := range p.Attributes {
			if a.Type == typ {
				all = append(all, string(a.Attribute))
			}
		}
		return all
	}
	assert.Empty(t, got(h.Packet, 4))
	assert.Equal(t, []string{"visited.example"}, got(h.Packet, 32))
	assert.Equal(t, []string{"1visited.example"}, got(h.Packet, 126))
	tokens := got(h.Packet, 241)
	require.Len(t, tokens, 2)
	assert.Equal(t, "\x01other", tokens[0])
	assert.Equal(t, byte(dynauth.OperatorNASIdentifier), tokens[1][0])

	sent := r.back(with(1, "bob@home.example"), with(126, "1visited.example"), with(32, "visited.example"), with(241, tokens[1]))
	p, _ := r.atNAS()
	assert.Equal(t, "ap-17", rfc2865.NASIdentifier_GetString(p))
	assert.Equal(t, []string{"\x0a\x00\x00\x01"}, got(p, 4))
	assert.Empty(t, got(p, 126))
	assert.Empty(t, got(p, 241))
	_ = sent

	// Accounting hides the same NAS the same.
	r.report(acctStop("bob@home.example", "s-1", with(4, "\x0a\x00\x00\x01"), with(32, "ap-17")))
	r.until("the home has the record", func() bool { return r.shard.slab.used > 0 })
	a := r.atAcct(0)
	assert.Equal(t, tokens[1:], got(a.Packet, 241))
	assert.Empty(t, got(a.Packet, 4))
	a.answer(layeh.CodeAccountingResponse)
}

// The loop runs by itself, takes a new configuration over and drops what comes
// from nobody.
func TestDynAuthRuns(t *testing.T) {
	back := &reverseRig{}
	helper := &rig{t: t}
	back.dm, back.nas3799 = helper.socket(), helper.socket()
	r := newRigOf(t, setup{homes: 1, runs: true, conf: withDynAuth, edit: func(s *realm.Set) {
		s.Clients[0].DynAuth = addrOf(back.nas3799)
	}})
	back.rig = r
	r.start()
	require.Len(t, r.hub.Fronts(), 3)
	assert.Equal(t, listen.DynAuth, r.hub.Fronts()[2].Service)
	send := func(edits ...edit) []byte {
		p := layeh.New(layeh.CodeDisconnectRequest, []byte(homeSecret))
		p.Identifier = byte(identifiers.Add(1))
		for _, e := range edits {
			e(p)
		}
		b, err := p.Encode()
		require.NoError(t, err)
		_, err = back.dm.WriteToUDP(b, net.UDPAddrFromAddrPort(r.hub.Fronts()[2].Addr))
		require.NoError(t, err)
		return b
	}
	edits := []edit{with(1, "bob@home.example"), with(126, "1visited.example")}
	send(edits...)
	require.Eventually(t, func() bool { return r.hub.stats.Value("roamgate_dynauth_dropped_total", "reason", "stranger") == 1 }, patience, time.Millisecond)

	next := *r.set
	next.Homes = append([]realm.Home(nil), next.Homes...)
	next.Homes[0].DynAuth = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	require.NoError(t, r.hub.Apply(&next))
	send(edits...)
	require.Eventually(t, func() bool {
		return r.hub.stats.Value("roamgate_dynauth_dropped_total", "reason", "missing_message_authenticator") == 1
	}, patience, time.Millisecond)
	after := next
	after.Homes = append([]realm.Home(nil), next.Homes...)
	after.Homes[0].RequireMessageAuthenticator = false
	require.NoError(t, r.hub.Apply(&after))
	sent := send(edits...)
	p, from := back.atNAS()
	b, err := p.Response(layeh.CodeDisconnectACK).Encode()
	require.NoError(t, err)
	_, err = back.nas3799.WriteToUDP(b, from)
	require.NoError(t, err)
	assert.Equal(t, layeh.CodeDisconnectACK, back.heardBack(sent).Code)
}

// Clients at one address do not get one another's identifiers; a client whose
// address changes is reached at the new one.
func TestDynAuthWays(t *testing.T) {
	r := newReverse(t, func(s *realm.Set) {
		s.Clients = append(s.Clients, realm.Client{Name: "twin", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Secret: s.Clients[0].Secret, DynAuth: s.Clients[0].DynAuth, Operator: "1twin.example"})
	})
	names := map[string]int{}
	for k, w := range r.hub.dynauth.ways {
		names[w.client]++
		assert.Equal(t, udp.AddrFrom(addrOf(r.nas3799)), k.to)
	}
	assert.Equal(t, map[string]int{"visited": 2, "twin": 2}, names)
	r.acked(r.back(with(1, "bob@home.example"), with(126, "1twin.example")))

	moved := r.socket()
	r.apply(func(s *realm.Set) { s.Clients[0].DynAuth = addrOf(moved) })
	r.nas3799 = moved
	assert.Equal(t, layeh.CodeDisconnectACK, r.acked(r.back(with(1, "bob@home.example"), with(126, "1visited.example"))).Code)
	assert.Len(t, r.hub.dynauth.ways, 2*dynAuthSockets)
	r.apply(func(s *realm.Set) { s.Clients[0].DynAuth = netip.AddrPort{} })
	p := r.heardBack(r.back(with(1, "bob@home.example"), with(126, "1visited.example")))
	assert.EqualValues(t, 502, rfc3576.ErrorCause_Get(p))
	assert.Len(t, r.hub.dynauth.ways, dynAuthSockets)
}

// An address that is taken is said at start, and nothing stays open.
func TestDynAuthRefused(t *testing.T) {
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	r := newRig(t, 1, nil)
	conf := Config{Shards: 1, InFlight: 64, DuplicateMem: 1 << 20, DynAuthMem: 1 << 20, Listen: []listen.Address{{Service: listen.DynAuth, Addr: addrOf(taken)}}}
	_, err = New(conf, r.set, Rooms{Log: r.hub.log, Stats: r.hub.stats, Spool: r.hub.spool, Events: r.hub.events, Identity: []byte("0123456789abcdef")})
	assert.ErrorContains(t, err, "for dynauth")
}

// What dynamic authorisation adds to the hot path allocates nothing.
func TestAllocsDynAuth(t *testing.T) {
	for _, tt := range []struct {
		name string
		hide bool
		do   func(h *hot)
	}{
		{"accept", false, func(h *hot) { h.round(papRequest, radius.AccessAccept, accept) }},
		{"accept at the edge", true, func(h *hot) { h.round(papRequest, radius.AccessAccept, accept) }},
		{"stop", false, func(h *hot) { h.stop(stopOf) }},
		{"stop at the edge", true, func(h *hot) { h.stop(stopOf) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHotOf(t, setup{homes: 1, conf: withDynAuth, edit: func(s *realm.Set) {
				s.Routes = append(s.Routes, realm.Route{Realm: "wlan.mnc001.mcc262.3gppnetwork.org", Index: 4, Auth: 0, Acct: 0})
				s.Clients[0].HideNAS = tt.hide
			}})
			t.Cleanup(h.hub.dynauth.close)
			h.warm(t, func() { tt.do(h) })
			allocs := testing.AllocsPerRun(repeated(500), func() { tt.do(h) })
			assert.True(t, raced || allocs == 0, "%v allocations", allocs)
		})
	}
}

// Explain says who may send CoA about a user, and where to.
func TestExplainWayBack(t *testing.T) {
	r := newReverse(t, func(s *realm.Set) { s.Clients[0].Operators = []string{"1*.fed.example"} })
	x := r.hub.Explain(Question{NAI: "bob@home.example", Client: "visited", NASPortType: -1, RATType: -1})
	require.NotNil(t, x.Back)
	require.Len(t, x.Back.Homes, 1)
	assert.Equal(t, "a, at 127.0.0.0/8", x.Back.Homes[0].String())
	assert.Equal(t, addrOf(r.nas3799).String()+", by Operator-Name 1visited.example, 1*.fed.example and live sessions", x.Back.To())
	x = r.hub.Explain(Question{NAI: "bob@nowhere.example", NASPortType: -1, RATType: -1})
	assert.Empty(t, x.Back.Homes)
	assert.Empty(t, x.Back.To())
	r.apply(func(s *realm.Set) { s.Homes[0].DynAuth = nil })
	assert.Nil(t, r.hub.Explain(Question{NAI: "bob@home.example", NASPortType: -1, RATType: -1}).Back)
	assert.Contains(t, r.hub.dynauth.snap.reverse.Explain("bob@home.example", nil, dynauth.Clock{})[0].String(), "a")
	assert.Equal(t, "b: it has no dynauth addresses and may send none", dynauth.Way{Home: "b"}.String())
	assert.Equal(t, "192.0.2.1:3799, by live sessions only", (&WayBack{Address: "192.0.2.1:3799"}).To())
}

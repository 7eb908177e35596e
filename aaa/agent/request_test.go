package agent

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// C117 and D1: which requests are answered here, with which result and Failed-AVP, in
// the order in which they are looked at, and that the connection lives on. D3: no host is
// a way round the realms that a sender may ask for. D28: who is no peer any more asks for
// nothing.
func TestC117Refusals(t *testing.T) {
	long := func(flags byte, length int) func(b []byte) []byte {
		return func(b []byte) []byte {
			b = append(b, 0, 0, 39, 15, flags, byte(length>>16), byte(length>>8), byte(length))
			b[1], b[2], b[3] = 0, byte(len(b)>>8), byte(len(b))
			return b
		}
	}
	for name, c := range map[string]struct {
		m      *message
		bend   func(b []byte) []byte
		edit   func(*realm.Set)
		shut   []string // peers that are not connected
		result uint32
		why    string
		failed uint32 // code of the AVP in Failed-AVP, 0: there is none
	}{
		"R and E bit":                      {m: request(), bend: func(b []byte) []byte { b[4] |= 0x20; return b }, result: 3008, why: "malformed_header_bits"},
		"application 0":                    {m: request(), bend: func(b []byte) []byte { copy(b[8:], "\x00\x00\x00\x00"); return b }, result: 3007, why: "application_base"},
		"application of relays":            {m: request(), bend: func(b []byte) []byte { copy(b[8:], "\xff\xff\xff\xff"); return b }, result: 3007, why: "application_base"},
		"not proxiable":                    {m: request(), bend: func(b []byte) []byte { b[4] = 0x80; return b }, result: 3001, why: "not_proxiable"},
		"AVP longer than the message":      {m: request(), bend: long(0, 0xffffff), result: 5014, why: "malformed_avp_length", failed: 9999},
		"AVP shorter than its header":      {m: request(), bend: long(0, 7), result: 5014, why: "malformed_avp_length", failed: 9999},
		"vendor AVP shorter":               {m: request(), bend: long(0x80, 11), result: 5014, why: "malformed_avp_length", failed: 9999},
		"AVP of length 0":                  {m: request(), bend: long(0, 0), result: 5014, why: "malformed_avp_length", failed: 9999},
		"no Session-Id":                    {m: request().without(diameter.SessionID), result: 5005, why: "malformed_no_session_id", failed: diameter.SessionID},
		"two Session-Ids":                  {m: request().with(avp{diameter.SessionID, 0, "x;1"}), result: 5009, why: "malformed_session_id_twice", failed: diameter.SessionID},
		"NUL in Session-Id":                {m: request().set(diameter.SessionID, "a\x00b"), result: 5004, why: "malformed_value", failed: diameter.SessionID},
		"no Origin-Host":                   {m: request().without(diameter.OriginHost), result: 5005, why: "malformed_no_origin_host", failed: diameter.OriginHost},
		"no Origin-Realm":                  {m: request().without(diameter.OriginRealm), result: 5005, why: "malformed_no_origin_realm", failed: diameter.OriginRealm},
		"Origin-Host twice":                {m: request().with(avp{diameter.OriginHost, 0, "x.example"}), result: 5009, why: "malformed_origin_twice", failed: diameter.OriginHost},
		"Destination-Realm twice":          {m: request().with(avp{diameter.DestinationRealm, 0, "x.example"}), result: 5009, why: "malformed_destination_twice", failed: diameter.DestinationRealm},
		"Destination-Realm is no name":     {m: request().set(diameter.DestinationRealm, "a b"), result: 5004, why: "malformed_value", failed: diameter.DestinationRealm},
		"Auth-Session-State of 3 octets":   {m: request().set(diameter.AuthSessionState, []byte{0, 0, 1}), result: 5014, why: "malformed_avp_size", failed: diameter.AuthSessionState},
		"no Destination-Realm":             {m: request().without(diameter.DestinationRealm), result: 5005, why: "no_destination_realm", failed: diameter.DestinationRealm},
		"Destination-Host without realm":   {m: request().without(diameter.DestinationRealm).with(avp{diameter.DestinationHost, 0, "hss1.home.example"}), result: 3002, why: "host_without_realm"},
		"for us":                           {m: request().with(avp{diameter.DestinationHost, 0, "DRA.hub.example"}), result: 3001, why: "for_us"},
		"our realm, nobody in it":          {m: request().set(diameter.DestinationRealm, "hub.example"), result: 3002, why: "peers_down"},
		"realm without a route":            {m: request().set(diameter.DestinationRealm, "nowhere.example"), result: 3003, why: "no_route"},
		"route without Diameter":           {m: request(), edit: func(s *realm.Set) { s.Routes[0].Diameter = nil }, result: 3003, why: "no_route"},
		"route of other groups":            {m: request(), edit: func(s *realm.Set) { s.Routes[0].For = &realm.Scope{Groups: []*realm.Group{{Name: "g"}}} }, result: 3003, why: "scope_denied"},
		"realm that the peer may not send": {m: request(), edit: func(s *realm.Set) { s.Clients[0].Realms = realm.NewNames([]string{"other.example"}) }, result: 3003, why: "realm_not_allowed"},
		"realm that no peer takes":         {m: request(), edit: none(func(p *realm.Peer) { p.Realms = realm.NewNames([]string{"other.example"}) }), result: 3003, why: "realm_not_allowed"},
		"transit without a contract":       {m: request(), edit: federations, result: 3003, why: "transit_denied"},
		"route that rejects": {m: request(), edit: func(s *realm.Set) {
			s.Routes[0].Diameter = &realm.DiameterRoute{Action: realm.DiameterReject, Result: 5003}
		}, result: 5003, why: "route_rejects"},
		"to RADIUS without a gateway":       {m: request(), edit: func(s *realm.Set) { s.Routes[0].Diameter = &realm.DiameterRoute{Action: realm.DiameterRADIUS} }, result: 3002, why: "no_pool"},
		"nobody connected":                  {m: request(), shut: []string{"hss1", "hss2", "dra"}, result: 3002, why: "peers_down"},
		"application that nobody serves":    {m: request(), edit: none(func(p *realm.Peer) { p.Applications = []uint32{1} }), result: 3002, why: "application_not_served"},
		"host that is not connected":        {m: request().with(avp{diameter.DestinationHost, 0, "hss1.home.example"}), shut: []string{"hss1", "dra"}, result: 3002, why: "peers_down"},
		"host of another realm":             {m: request().set(diameter.DestinationRealm, "transit.example").with(avp{diameter.DestinationHost, 0, "hss1.home.example"}), result: 3002, why: "host_away"},
		"host of another realm, by route":   {m: request().set(diameter.DestinationRealm, "visited.example").with(avp{diameter.DestinationHost, 0, "hss1.home.example"}), result: 3002, why: "hairpin"},
		"peer that takes leave":             {m: request(), shut: []string{}, result: 3010, why: "peer_removed"},
		"loop":                              {m: request().with(route("a.example"), route("DRA.hub.example"), route("b.example")), result: 3005, why: "loop"},
		"everybody has had it":              {m: request().with(route("hss1.home.example"), route("HSS2.home.example"), route("dra.transit.example")), result: 3002, why: "hairpin"},
		"back to where it came from":        {m: request().set(diameter.DestinationRealm, "visited.example"), result: 3002, why: "hairpin"},
		"more than the peer may send":       {m: request(), edit: func(s *realm.Set) { s.Peers[0].Rate, s.Peers[0].Burst = 1, -1 }, result: 3004, why: "rate_exceeded"},
		"decorated name that leads nowhere": {m: request().set(diameter.DestinationRealm, "hub.example").set(diameter.UserName, "a..b!u@hub.example"), result: 5004, why: "bad_name"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, c.edit)
			for _, peer := range c.shut {
				r.close(r.links[peer])
			}
			if c.why == "peer_removed" {
				r.links["mme"].node.index = -1
			}
			raw := c.m.octets()
			if c.bend != nil {
				raw = c.bend(raw)
			}
			var in diameter.Message
			in.Parse(raw)
			r.lp.heard(r.links["mme"], raw)
			ans := r.one("mme")
			result, _ := ans.Uint32(diameter.KnownResultCode)
			assert.EqualValues(t, c.result, result)
			assert.Equal(t, c.result/1000 == 3, ans.Flags&diameter.FlagError != 0, "the E bit is of errors of the protocol")
			assert.Zero(t, ans.Flags&(diameter.FlagRequest|diameter.FlagRetransmitted))
			assert.Equal(t, [3]uint32{in.HopByHop, in.EndToEnd, in.Command}, [3]uint32{ans.HopByHop, ans.EndToEnd, ans.Command})
			assert.Equal(t, agentIdentity, string(ans.Value(diameter.KnownOriginHost)))
			assert.Equal(t, string(in.Value(diameter.KnownSessionID)), string(ans.Value(diameter.KnownSessionID)))
			var failed diameter.AVP
			if c.failed == 0 {
				assert.False(t, diameter.Find(ans.Body(), diameter.FailedAVP, 0, &failed))
			} else if assert.True(t, diameter.Find(ans.Body(), diameter.FailedAVP, 0, &failed)) {
				inner := failed.Group()
				var a diameter.AVP
				assert.True(t, inner.Next(&a))
				assert.Equal(t, c.failed, a.Code)
			}
			assert.Equal(t, 1, r.counted("roamgate_diameter_refused_total", "peer", "mme", "reason", c.why))
			r.rest()

			// The next one goes through.
			if c.edit == nil && c.shut == nil {
				r.heard("mme", request())
				r.one("hss1")
			}
		})
	}
}

func route(identity string) avp { return avp{diameter.RouteRecord, 0, identity} }

// none does something to all that may be homes.
func none(f func(*realm.Peer)) func(*realm.Set) {
	return func(s *realm.Set) {
		for i := 1; i < 4; i++ {
			f(&s.Peers[i])
		}
	}
}

func federations(s *realm.Set) {
	s.Clients[0].Group = &realm.Group{Name: "a", Kind: realm.Federation}
	s.Pools[0].Group = &realm.Group{Name: "b", Kind: realm.Federation}
}

// C115: with a contract a federation reaches another.
func TestC115Transit(t *testing.T) {
	r := newWalkRig(t, func(s *realm.Set) {
		federations(s)
		s.Contracts = []realm.Contract{{From: s.Clients[0].Group, To: s.Pools[0].Group}}
	})
	r.heard("mme", request())
	r.one("hss1")
}

// D1: reserved bits of a request are neither looked at nor changed.
func TestD1ReservedBits(t *testing.T) {
	for bits := range diameter.Flags(16) {
		r := newWalkRig(t, nil)
		m := request()
		m.Flags |= bits
		r.heard("mme", m)
		assert.Equal(t, m.Flags, r.one("hss1").Flags)
	}
}

// C115: candidates that stand in the Route-Records are passed over.
func TestC115Candidates(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", request().with(route("a.example"), route("hss1.HOME.example"), route("b.example")))
	assert.Equal(t, []string{"a.example", "hss1.HOME.example", "b.example", "mme.visited.example"}, recordsOf(r.one("hss2")))
}

// C115: the own identity is found wherever it stands among many.
func TestC115LoopAnywhere(t *testing.T) {
	for _, at := range []int{0, 1, 30, 63} {
		r := newWalkRig(t, nil)
		m := request()
		for i := range 64 {
			identity := fmt.Sprintf("node%d.example", i)
			if i == at {
				identity = agentIdentity
			}
			m = m.with(route(identity))
		}
		r.heard("mme", m)
		result, _ := r.one("mme").Uint32(diameter.KnownResultCode)
		assert.EqualValues(t, diameter.ResultLoopDetected, result, at)
	}
}

// C115 and D3: a Destination-Host that is connected is the one, whatever the pool
// prefers; one that is nobody's or not connected goes to those that know others.
func TestD3DestinationHost(t *testing.T) {
	for name, c := range map[string]struct {
		host, realm string
		shut        []string
		want        string
	}{
		"connected":                  {"HSS2.home.example", "home.example", nil, "hss2"},
		"not connected":              {"hss1.home.example", "home.example", []string{"hss1"}, "dra"},
		"unknown":                    {"hss9.home.example", "home.example", nil, "dra"},
		"connected without a route":  {"dra.transit.example", "transit.example", nil, "dra"},
		"the other MME, by its host": {"mme2.visited.example", "visited.example", nil, "mme2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, nil)
			for _, peer := range c.shut {
				r.close(r.links[peer])
			}
			r.heard("mme", request().set(diameter.DestinationRealm, c.realm).with(avp{diameter.DestinationHost, 0, c.host}))
			r.one(c.want)
		})
	}
}

// C121: a decorated name leads on, through as many realms of ours as stand in front.
func TestC121Decorated(t *testing.T) {
	for name, c := range map[string]struct {
		user, realm string
		want, name  string
	}{
		"one":             {"home.example!u@hub.example", "hub.example", "home.example", "u@home.example"},
		"ours twice":      {"own.example!home.example!u@hub.example", "HUB.example", "home.example", "u@home.example"},
		"more behind":     {"home.example!far.example!u@hub.example", "hub.example", "home.example", "far.example!u@home.example"},
		"not ours":        {"far.example!u@home.example", "home.example", "home.example", "far.example!u@home.example"},
		"a name as usual": {"u@hub.example", "home.example", "home.example", "u@hub.example"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, func(s *realm.Set) { s.Identity.Own = realm.NewNames([]string{"own.example"}) })
			in := request().set(diameter.DestinationRealm, c.realm).set(diameter.UserName, c.user)
			r.heard("mme", in)
			out := r.one("hss1")
			assert.Equal(t, c.want, string(out.Value(diameter.KnownDestinationRealm)))
			assert.Equal(t, c.name, string(out.Value(diameter.KnownUserName)))
			assert.Equal(t, len(in.avps)+2, out.AVPs, "with a Route-Record and OC-Supported-Features")
		})
	}
	r := newWalkRig(t, nil)
	r.heard("mme", request().set(diameter.DestinationRealm, "hub.example").set(diameter.UserName, "home.example!u@hub.example").
		with(avp{diameter.DestinationHost, 0, agentIdentity}))
	assert.False(t, r.one("hss1").Has(diameter.KnownDestinationHost), "we are not the one any more")
}

// C121: RFC 5729 is about User-Name: a name in a User-Identifier leads nowhere, as it would
// go on unchanged.
func TestC121UserIdentifierIsNoSourceRoute(t *testing.T) {
	r := newWalkRig(t, nil)
	in := request().set(diameter.DestinationRealm, "hub.example")
	in.Application, in.Command = diameter.AppSGd, diameter.MOForwardSM
	in.avps = slices.DeleteFunc(in.avps, func(a avp) bool { return a.code == diameter.UserName })
	r.heard("mme", in.with(avp{diameter.TGPPUserIdentifier, diameter.Vendor3GPP, []avp{{diameter.UserName, 0, "home.example!u@hub.example"}}}))
	assert.EqualValues(t, diameter.ResultUnableToDeliver, resultIn(r.one("mme")))
	r.nothing()
}

// C120: a redirect route says where to ask, and for how long to remember it.
func TestC120Redirect(t *testing.T) {
	r := newWalkRig(t, func(s *realm.Set) {
		s.Routes[0].Diameter = &realm.DiameterRoute{Action: realm.DiameterRedirect, Usage: 2, Cache: 3600,
			Hosts: []string{"aaa://a.home.example:3868;transport=tcp", "aaas://b.home.example"}}
	})
	r.heard("mme", request().with(avp{diameter.ProxyInfo, 0, []avp{{diameter.ProxyHost, 0, "p"}, {diameter.ProxyState, 0, "s"}}}))
	ans := r.one("mme")
	result, _ := ans.Uint32(diameter.KnownResultCode)
	assert.EqualValues(t, diameter.ResultRedirectIndication, result)
	assert.NotZero(t, ans.Flags&diameter.FlagError)
	assert.True(t, ans.Has(diameter.KnownProxyInfo))
	var a diameter.AVP
	var hosts []string
	for c := diameter.Walk(ans.Body()); c.Next(&a); {
		if a.Is(diameter.RedirectHost, 0) {
			hosts = append(hosts, string(a.Data))
		}
	}
	assert.Equal(t, r.set.Routes[0].Diameter.Hosts, hosts)
	for code, want := range map[uint32]uint32{diameter.RedirectHostUsage: 2, diameter.RedirectMaxCacheTime: 3600} {
		assert.True(t, diameter.Find(ans.Body(), code, 0, &a))
		v, _ := a.Uint32()
		assert.Equal(t, want, v)
	}
}

// C120: a redirection of a peer goes back to who asked: following it is theirs.
func TestC120RedirectPassesBack(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", request())
	m := answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultRedirectIndication, avp{diameter.RedirectHost, 0, "aaa://x.example"})
	r.heard("hss1", m)
	got := r.one("mme")
	diameter.SetHopByHop(got.Raw, m.HopByHop)
	assert.True(t, bytes.Equal(m.octets(), got.Raw))
	r.rest()
}

// A peer alone cannot have all memory for requests, of whichever length they are.
func TestOnePeerHasNotAllMemory(t *testing.T) {
	r := newWalkRig(t, nil)
	long := request().with(avp{9999, 4711, make([]byte, 8200)})
	b := func(i uint32) []byte {
		var w diameter.Writer
		h := long.Header
		h.EndToEnd = i
		w.Begin(make([]byte, 1<<14), &h)
		put(&w, long.avps)
		return w.Finish()
	}
	for i := range uint32(500) {
		r.lp.heard(r.links["mme"], b(i))
	}
	assert.LessOrEqual(t, r.lp.table.store.lent, r.lp.table.store.most/2)
	r.sent("mme")
	r.sent("hss1")
	r.lp.heard(r.links["mme2"], b(1))
	r.one("hss1")
	r.pass(time.Minute)
	r.sent("mme")
	r.sent("mme2")
	r.rest()
}

// Memory for requests is bounded in all, whatever lengths have come one after another.
func TestStoreKeepsNoMoreThanItLends(t *testing.T) {
	s := store{most: 1 << 20}
	for _, n := range []int{1, 2000, 8000, 60000, 500, 60000, 2000} {
		var all [][]byte
		for b := s.lend(n); b != nil; b = s.lend(n) {
			all = append(all, b)
		}
		assert.Equal(t, s.most, s.lent, n)
		for _, b := range all {
			s.back(b)
		}
		kept := 0
		for i, size := range storeSizes {
			kept += len(s.free[i]) * size
		}
		assert.Zero(t, s.lent)
		assert.Equal(t, s.kept, kept)
		assert.LessOrEqual(t, kept, s.most, n)
	}
}

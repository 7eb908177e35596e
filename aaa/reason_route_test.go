package aaa

import (
	"net/netip"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/realm"
)

// federations puts the client and the homes into a federation each.
func federations(s *realm.Set) {
	east := &realm.Group{Name: "east", Kind: realm.Federation}
	west := &realm.Group{Name: "west", Kind: realm.Federation}
	s.Groups = []*realm.Group{east, west}
	s.Clients[0].Group = east
	for i := range s.Homes {
		s.Homes[i].Group = west
	}
	s.Pools[0].Group = west
}

// scoped lets another group than the client's use home.example, and hides a
// wider route behind it.
func scoped(s *realm.Set) {
	federations(s)
	s.Contracts = []realm.Contract{{From: s.Groups[0], To: s.Groups[1]}}
	s.Routes[0].For = &realm.Scope{Groups: s.Groups[1:]}
	s.Routes[1].For = s.Routes[0].For
	s.Routes = append(s.Routes, realm.Route{Realm: realm.NameDefault, Index: 4})
}

// lists restricts what the client may send and what the homes take.
func lists(client, home []string) func(*realm.Set) {
	return func(s *realm.Set) {
		if client != nil {
			s.Clients[0].Realms = realm.NewNames(client)
		}
		for i := range s.Homes {
			if home != nil {
				s.Homes[i].Realms = realm.NewNames(home)
			}
		}
	}
}

// turned is a client that is the home too, at an address which is not this
// machine's.
func turned(s *realm.Set) {
	peer := s.Clients[0]
	peer.Name, peer.Prefixes = "peer", []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
	s.Clients = append(s.Clients, peer)
	s.Homes[0].Auth = netip.MustParseAddrPort("192.0.2.7:1812")
}

func routedNowhere() []provocation {
	ask := refusal(named(atHomeExa), withPassword(secretPass))
	other := []string{"other.example", "*.iot.example"}
	hairpin := func(r *rig) {
		p := access(atHomeExa)
		r.inject(listen.Auth, encode(r.t, p, true), netip.MustParseAddrPort("192.0.2.7:1812"))
		r.quietHome(0)
		assert.Equal(r.t, 1, r.value("roamgate_responses_total", "client", "peer", "kind", "auth", "result", "reject"))
	}
	return []provocation{
		{name: "another group's", why: ScopeDenied, place: local, setup: setup{edit: scoped}, what: ask},
		{name: "C57 the client's list", why: RealmNotAllowed, place: local, setup: setup{edit: lists(other, nil)}, what: ask},
		{name: "C57 the homes' lists", why: RealmNotAllowed, place: local, setup: setup{edit: lists(nil, other)}, what: ask},
		{name: "no contract", why: TransitDenied, place: local, setup: setup{edit: federations}, what: func(r *rig) {
			p := r.rejected(r.ask(access(atHomeExa)))
			assert.Equal(r.t, []string{"\x00\x00\x01\xf6"}, values(p, 101), "Error-Cause 502")
			r.quietHome(0)
		}},
		{name: "from the home itself", why: Hairpin, place: local, setup: setup{edit: turned}, what: hairpin},
	}
}

// quarantinedAs asserts that a record is kept, acknowledged and sent to no
// home.
func quarantinedAs(r *rig, why accounting.Reason) {
	b := r.report(acctStop(atHomeExa, "s"))
	r.recorded(1)
	r.got(b)
	r.quietHome(0)
	rec := r.records()[0]
	assert.Equal(r.t, accounting.Quarantined, rec.Kind)
	assert.Equal(r.t, why, rec.Quarantine)
	assert.Equal(r.t, 1, r.value("roamgate_acct_quarantined_total", "reason", why.String()))
}

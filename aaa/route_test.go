package aaa

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// Accounting is decided as authentication is, but it is evidence: it is kept
// and acknowledged.
func TestAccountingIsRoutedAlike(t *testing.T) {
	other := []string{"other.example"}
	for _, tt := range []struct {
		name string
		edit func(*realm.Set)
		why  accounting.Reason
	}{
		{"another group's", scoped, accounting.ScopeDenied},
		{"C57 the client's list", lists(other, nil), accounting.RealmNotAllowed},
		{"C57 the homes' lists", lists(nil, other), accounting.RealmNotAllowed},
		{"no contract", federations, accounting.TransitDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, tt.edit)
			quarantinedAs(r, tt.why)
			r.clean()
		})
	}
}

// TestC57RealmLists (C57): a client sends, and a home gets, the realms of its
// list and no others.
func TestC57RealmLists(t *testing.T) {
	r := newRig(t, 2, func(s *realm.Set) {
		s.Clients[0].Realms = realm.NewNames([]string{"home.example", "*.iot.example", "none"})
		s.Homes[0].Realms = realm.NewNames([]string{"*.iot.example"})
		s.Routes = append(s.Routes, realm.Route{Realm: realm.NameNone, Index: 4})
	})
	for _, tt := range []struct {
		name string
		home int // -1: refused
	}{
		{"a@home.example", 1},
		{"a@HOME.example", 1},
		{"a@x.iot.example", 0},
		{"a@iot.example", -1},
		{"a@local.example", -1},
		{"bob", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := r.ask(access(tt.name))
			if tt.home < 0 {
				r.rejected(sent)
				r.quietHome(0)
				r.quietHome(1)
				return
			}
			r.quietHome(1 - tt.home)
			r.atHome(tt.home).answer(layeh.CodeAccessAccept)
			r.got(sent)
		})
	}
	r.clean()
}

// A home that does not take the realm is no way out when the others fail.
func TestBarredHomeIsNoFailOver(t *testing.T) {
	r := newRig(t, 2, func(s *realm.Set) {
		impatient(s)
		s.Homes[1].Realms = realm.NewNames([]string{"other.example"})
	})
	sent := r.ask(access("a@home.example"))
	for range 60 {
		r.pass(1e9)
	}
	r.rejected(sent)
	b, _ := read(t, r.homes[1], 1e6)
	assert.Nil(t, b, "it was sent to a home that does not take the realm")
	assert.Equal(t, 1, r.value("roamgate_local_answers_total", "reason", "home_timeout"))
}

// A contract opens the way between two federations, for its realms.
func TestTransitNeedsAContract(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) {
		federations(s)
		s.Contracts = []realm.Contract{{From: s.Groups[0], To: s.Groups[1], Realms: realm.NewNames([]string{"home.example"})}}
	})
	sent := r.ask(access("a@home.example"))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.rejected(r.ask(access("a@x.iot.example")))
	assert.Equal(t, 1, r.value("roamgate_local_answers_total", "reason", "transit_denied"))

	r.apply(func(s *realm.Set) { s.Contracts = []realm.Contract{{From: s.Groups[1], To: s.Groups[0]}} })
	r.rejected(r.ask(access("a@home.example")))
	assert.Equal(t, 2, r.value("roamgate_local_answers_total", "reason", "transit_denied"), "a contract goes one way")
	r.clean()
}

func TestServes(t *testing.T) {
	a := netip.MustParseAddr
	h := &realm.Home{Auth: netip.AddrPortFrom(a("192.0.2.1"), 1812), Acct: netip.AddrPortFrom(a("192.0.2.2"), 1813), Found: []netip.Addr{a("2001:db8::1")}}
	for _, tt := range []struct {
		name string
		from netip.Addr
		want bool
	}{
		{"authentication", a("192.0.2.1"), true},
		{"accounting", a("192.0.2.2"), true},
		{"resolved", a("2001:db8::1"), true},
		{"another", a("192.0.2.3"), false},
		{"nobody", netip.Addr{}, false},
	} {
		assert.Equal(t, tt.want, serves(h, tt.from), tt.name)
	}
	h.Auth = netip.AddrPortFrom(a("127.0.0.1"), 1812)
	assert.False(t, serves(h, a("127.0.0.1")), "loopback is everybody's")
	assert.False(t, serves(&realm.Home{}, netip.Addr{}), "a home without an address")
}

// names are User-Names as they came, what the hub makes of them, and by which
// realm it routes them.
func TestIdentify(t *testing.T) {
	own := realm.NewNames([]string{"own.example", "*.own.example"})
	all := realm.Identity{ManyAt: true, Backslash: true, OneLabel: true, Own: own}
	long := strings.Repeat("own.example!", maxShifts)
	for _, tt := range []struct {
		name   string
		id     realm.Identity
		in     string
		why    string
		routed string
		realm  string
	}{
		{"plain", all, "bob@Home.example", "ok", "bob@Home.example", "home.example"},
		{"no realm", all, "bob", "ok", "bob", ""},
		{"own", all, "bob@own.example", "ok", "bob@own.example", "own.example"},
		{"several at", all, "a@b@home.example", "ok", "a@b@home.example", "home.example"},
		{"several at refused", realm.Identity{Backslash: true}, `D\a@b@home.example`, "name_many_at", "", ""},
		{"backslash", all, `DOM\a@home.example`, "ok", `DOM\a@home.example`, "home.example"},
		{"backslash without realm", all, `DOM\a`, "ok", `DOM\a`, ""},
		{"backslash refused", realm.Identity{ManyAt: true}, `D\a@b@home.example`, "name_backslash", "", ""},
		{"one label", all, "a@Corp", "ok", "a@Corp", "corp"},
		{"one label refused", realm.Identity{ManyAt: true, Backslash: true}, `a@b@corp`, "name_no_dot", "", ""},
		{"C106 decorated in ours", all, "home.example!bob@own.example", "ok", "bob@home.example", "home.example"},
		{"C106 below ours", all, "Home.example!bob@X.own.example", "ok", "bob@Home.example", "home.example"},
		{"C106 decorated in another's", all, "home.example!bob@other.example", "ok", "home.example!bob@other.example", "other.example"},
		{"C106 none is ours", realm.Identity{}, "home.example!bob@own.example", "ok", "home.example!bob@own.example", "own.example"},
		{"C106 two hops", all, "b.example!a.example!bob@own.example", "ok", "a.example!bob@b.example", "b.example"},
		{"C106 ours twice", all, "own.example!a.example!bob@own.example", "ok", "bob@a.example", "a.example"},
		{"C106 ours for ever", all, long + "own.example!bob@own.example", "name_decorated", "", ""},
		{"C106 ours to the end", all, long + "bob@own.example", "ok", "bob@own.example", "own.example"},
		{"C106 nobody", all, "a.example!@own.example", "ok", "@a.example", "a.example"},
		{"C106 no realm in front", all, "!bob@own.example", "name_empty_realm", "", ""},
		{"C106 no name of a realm", all, "a..b!bob@own.example", "name_bad_realm", "", ""},
		{"C106 one label in front", realm.Identity{Own: own}, "corp!bob@own.example", "name_no_dot", "", ""},
		{"C106 at in the user", all, "a.example!x@y@own.example", "ok", "x@y@a.example", "a.example"},
		{"decorated without realm", all, "home.example!bob", "name_decorated", "", ""},
		{"empty", all, "", "name_empty", "", ""},
		{"control", all, "a\nb@home.example", "name_control", "", ""},
		{"bad realm", all, "a@b@-", "name_bad_realm", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o router
			why := o.identify(&tt.id, []byte(tt.in))
			require.Equal(t, tt.why, why.String())
			if why != OK {
				return
			}
			assert.Equal(t, tt.routed, string(o.to.name))
			assert.Equal(t, tt.realm, string(o.to.folded))
			s := &Shard{}
			assert.Equal(t, tt.routed, string(s.routedName(&Exchange{shifts: o.to.shifts}, []byte(tt.in))), "made again for the home")
		})
	}
}

// FuzzIdentify: whatever the name and the rules, what is routed is a name, and
// the Exchange makes it again.
func FuzzIdentify(f *testing.F) {
	for _, in := range []string{"a@b.example", "x!y@own.example", `D\a@b@c`, "own.example!own.example!a@own.example", "!@own.example"} {
		f.Add([]byte(in), byte(7))
	}
	own := realm.NewNames([]string{"own.example", "*.own.example"})
	f.Fuzz(func(t *testing.T, in []byte, rules byte) {
		id := realm.Identity{ManyAt: rules&1 != 0, Backslash: rules&2 != 0, OneLabel: rules&4 != 0}
		if rules&8 == 0 {
			id.Own = own
		}
		var o router
		if o.identify(&id, in) != OK {
			return
		}
		s := &Shard{}
		again := s.routedName(&Exchange{shifts: o.to.shifts}, in)
		if string(again) != string(o.to.name) {
			t.Fatalf("%q is routed as %q and sent as %q", in, o.to.name, again)
		}
		if len(again) > radius.MaxLen || o.to.shifts == 0 && string(again) != string(in) {
			t.Fatalf("%q became %q", in, again)
		}
	})
}

// What a rule has counted goes with it, by whatever name it was counted.
func TestRealmSeriesAreRetired(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) { s.Routes[0].Name = "trial" })
	counted := func() (n int) {
		r.hub.stats.EachOf("roamgate_realm_requests_total", func(labels []string, v float64) {
			if slices.Contains(labels, "trial") {
				n += int(v)
			}
		})
		return n
	}
	sent := r.ask(access("a@home.example"))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
	require.Equal(t, 1, counted())
	r.apply(func(s *realm.Set) { s.Routes[0].Name = "" })
	assert.Zero(t, counted())
}

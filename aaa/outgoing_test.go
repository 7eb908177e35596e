package aaa

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// filterOf compiles rules as they stand in a routing file, one a line.
func filterOf(t require.TestingT, name string, rules ...string) *realm.Filter {
	dir, err := os.MkdirTemp("", "filter")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	text := "filters:\n- name: " + name + "\n  rules:\n"
	for _, r := range rules {
		text += "  - {" + r + "}\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600))
	set, ps := file.Load(dir, nil)
	require.NoError(t, ps.Err())
	return set.Filters[0]
}

// filtered gives the client and the homes filters, "" none.
func filtered(t require.TestingT, clientIn, clientOut, homeIn, homeOut string) func(*realm.Set) {
	of := func(name, rule string) *realm.Filter {
		if rule == "" {
			return nil
		}
		return filterOf(t, name, strings.Split(rule, "; ")...)
	}
	return func(s *realm.Set) {
		s.Clients[0].In, s.Clients[0].Out = of("client_in", clientIn), of("client_out", clientOut)
		for i := range s.Homes {
			s.Homes[i].In, s.Homes[i].Out = of("home_in", homeIn), of("home_out", homeOut)
		}
	}
}

func (r *rig) filteredBy(peer, direction, filter string) int {
	return r.value("roamgate_attributes_filtered_total", "peer", peer, "direction", direction, "filter", filter)
}

// A request passes the filter of its client, then that of its home; a
// repetition of ours is the same packet, and is counted once.
func TestFiltersOfARequest(t *testing.T) {
	r := newRig(t, 1, filtered(t, "remove: [Tunnel-Type, Class]", "", "", `set: NAS-Identifier, value: "${client} for ${home}, ${realm} from ${source}"; supplement: Operator-Name, value: "${operator_id}"`))
	sent := r.ask(access("bob@HOME.example", with(rfc2865.Class_Type, "a", "b"), with(64, "\x00\x00\x00\x0d"), with(rfc2865.NASIdentifier_Type, "nas"), withPassword("secret")))
	h := r.atHome(0)
	assert.Empty(t, values(h.Packet, rfc2865.Class_Type))
	assert.Empty(t, values(h.Packet, 64))
	assert.Equal(t, []string{"visited for a, home.example from 127.0.0.1"}, values(h.Packet, rfc2865.NASIdentifier_Type))
	assert.Equal(t, []string{"1visited.example"}, values(h.Packet, 126))
	assert.Equal(t, "secret", rfc2865.UserPassword_GetString(h.Packet))
	r.pass(3 * time.Second)
	assert.Equal(t, h.raw, r.atHome(0).raw, "the same octets again")
	h.answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	assert.Equal(t, 3, r.filteredBy("visited", "in", "client_in"))
	assert.Equal(t, 3, r.filteredBy("a", "out", "home_out"))
	r.clean()
}

// What a client may not send does not steer the hub: its filter comes first.
func TestFilterComesBeforeRouting(t *testing.T) {
	r := newRig(t, 1, filtered(t, "replace: User-Name, match: '^(.*)@old[.]example$', with: '$1@home.example'", "", "", ""))
	sent := r.ask(access("bob@old.example"))
	h := r.atHome(0)
	assert.Equal(t, "bob@home.example", rfc2865.UserName_GetString(h.Packet))
	h.answer(layeh.CodeAccessAccept, with(rfc2865.UserName_Type, "bob@home.example"))
	assert.Equal(t, "bob@old.example", rfc2865.UserName_GetString(r.got(sent)), "undone for the client")

	b := r.report(acctStop("bob@old.example", "s"))
	r.recorded(1)
	a := r.atAcct(0)
	assert.Equal(t, "bob@home.example", rfc2865.UserName_GetString(a.Packet))
	a.answer(layeh.CodeAccountingResponse)
	r.got(b)
	rec := r.records()[0]
	assert.Equal(t, "home.example", rec.Realm)
	assert.Contains(t, string(rec.Raw), "bob@old.example", "the record is what was received")
	r.clean()
}

// The User-Name toward the home is undone in the reply, where the home sends
// it back as it got it.
func TestUserNameTowardTheHome(t *testing.T) {
	own := &realm.Identity{Own: realm.NewNames([]string{"hub.example"})}
	for _, tt := range []struct {
		name     string
		rewrite  realm.Rewrite
		identity *realm.Identity
		user     string
		sent     string
		says     string // "": no User-Name
		gets     string
	}{
		{"another realm", realm.Rewrite{Realm: "inner.example"}, nil, "Bob@Home.example", "Bob@inner.example", "Bob@inner.example", "Bob@Home.example"},
		{"stripped", realm.Rewrite{Strip: true}, nil, "bob@home.example", "bob", "bob", "bob@home.example"},
		{"the home means another", realm.Rewrite{Strip: true}, nil, "anonymous@home.example", "anonymous", "bob@home.example", "bob@home.example"},
		{"the home says none", realm.Rewrite{Strip: true}, nil, "bob@home.example", "bob", "", ""},
		{"the last @ counts", realm.Rewrite{Realm: "inner.example"}, &realm.Identity{ManyAt: true}, "bob@x@home.example", "bob@x@inner.example", "bob@x@inner.example", "bob@x@home.example"},
		{"without its decoration", realm.Rewrite{}, own, "home.example!bob@hub.example", "bob@home.example", "bob@home.example", "home.example!bob@hub.example"},
		{"without its decoration, and another realm", realm.Rewrite{Realm: "inner.example"}, own, "home.example!bob@hub.example", "bob@inner.example", "bob@inner.example", "home.example!bob@hub.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, func(s *realm.Set) {
				if tt.rewrite != (realm.Rewrite{}) {
					s.Routes[0].Rewrite = &tt.rewrite
				}
				if tt.identity != nil {
					s.Identity = *tt.identity
				}
			})
			sent := r.ask(access(tt.user))
			h := r.atHome(0)
			assert.Equal(t, tt.sent, rfc2865.UserName_GetString(h.Packet))
			var says []edit
			var gets []string
			if tt.says != "" {
				says, gets = []edit{with(rfc2865.UserName_Type, tt.says)}, []string{tt.gets}
			}
			h.answer(layeh.CodeAccessAccept, append(says, with(rfc2865.Class_Type, "kept"))...)
			p := r.got(sent)
			assert.Equal(t, gets, values(p, rfc2865.UserName_Type))
			assert.Equal(t, []string{"kept"}, values(p, rfc2865.Class_Type))
			r.clean()
		})
	}
}

// A User-Name that cannot be sent as the route wants it is refused.
func TestUserNameThatCannotBeRewritten(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rewrite realm.Rewrite
		user    string
		why     Reason
	}{
		{"too long", realm.Rewrite{Realm: strings.Repeat("long-label.", 10) + "example"}, strings.Repeat("u", 240) + "@home.example", ofNAI(nai.TooLong)},
		{"nothing is left", realm.Rewrite{Strip: true}, "@home.example", ofNAI(nai.Empty)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, func(s *realm.Set) { s.Routes[0].Rewrite = &tt.rewrite })
			r.rejected(r.ask(access(tt.user)))
			r.quietHome(0)
			assert.Equal(t, 1, r.value("roamgate_local_answers_total", "reason", tt.why.String()))
			r.clean()
		})
	}
}

// RFC 5580 section 4.1: who the request comes from is what the hub says.
func TestOperatorName(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode realm.OperatorMode
		has  []string
		want []string // nil: refused
	}{
		{"pass none", realm.OperatorPass, nil, []string{}},
		{"pass another's", realm.OperatorPass, []string{"1other.example"}, []string{"1other.example"}},
		{"stamp none", realm.OperatorStamp, nil, []string{"1visited.example"}},
		{"stamp leaves another's", realm.OperatorStamp, []string{"1other.example"}, []string{"1other.example"}},
		{"stamp several", realm.OperatorStamp, []string{"1visited.example", "1visited.example"}, nil},
		{"check none", realm.OperatorCheck, nil, []string{"1visited.example"}},
		{"check its own", realm.OperatorCheck, []string{"1Visited.example"}, []string{"1Visited.example"}},
		{"check one that it speaks for", realm.OperatorCheck, []string{"4ACME:DE"}, []string{"4ACME:DE"}},
		{"check one below", realm.OperatorCheck, []string{"1a.campus.example"}, []string{"1a.campus.example"}},
		{"check the suffix itself", realm.OperatorCheck, []string{"1campus.example"}, nil},
		{"check another namespace", realm.OperatorCheck, []string{"0visited.example"}, nil},
		{"check another's", realm.OperatorCheck, []string{"1other.example"}, nil},
		{"check an empty one", realm.OperatorCheck, []string{""}, nil},
		{"check several", realm.OperatorCheck, []string{"1visited.example", "1other.example"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, func(s *realm.Set) {
				s.Clients[0].OperatorName, s.Clients[0].Operators = tt.mode, []string{"4ACME:DE", "1*.campus.example"}
			})
			sent := r.ask(access("bob@home.example", with(126, tt.has...)))
			b := encode(t, acctStop("bob@home.example", "s", with(126, tt.has...)), false)
			if tt.want == nil {
				p := r.rejected(sent)
				assert.Equal(t, []string{"\x00\x00\x01\x97"}, values(p, 101), "Error-Cause 407")
				r.offer(1, b)
				r.recorded(1)
				r.quietHome(0)
				assert.Equal(t, OperatorNameMismatch.String(), r.records()[0].Quarantine.String())
				r.got(b)
				return
			}
			h := r.atHome(0)
			assert.ElementsMatch(t, tt.want, values(h.Packet, 126))
			h.answer(layeh.CodeAccessAccept)
			r.got(sent)
			r.offer(1, b)
			r.recorded(1)
			a := r.atAcct(0)
			assert.ElementsMatch(t, tt.want, values(a.Packet, 126))
			a.answer(layeh.CodeAccountingResponse)
			r.got(b)
			r.clean()
		})
	}
}

// A record from the spool has no client any more, and is treated as its client
// would be.
func TestFiltersOfAReplay(t *testing.T) {
	edit := filtered(t, "remove: Class", "", "", `set: NAS-Identifier, value: "${client} ${source}"`)
	r := newRig(t, 1, func(s *realm.Set) {
		edit(s)
		s.Clients[0].OperatorName = realm.OperatorStamp
	})
	r.got(func() []byte {
		b := r.report(acctStop("bob@a.iot.example", "s", with(rfc2865.Class_Type, "c")))
		r.recorded(1)
		return b
	}())
	first := r.atAcct(0)
	r.pass(31 * time.Second)
	r.unheardAt(0)
	require.Equal(t, 1, r.forwardOwed())
	again := r.atAcct(0)
	same := func(h *heard) [][]string {
		return [][]string{values(h.Packet, rfc2865.Class_Type), values(h.Packet, rfc2865.NASIdentifier_Type), values(h.Packet, 126), values(h.Packet, 1)}
	}
	assert.Equal(t, [][]string{nil, {"visited 127.0.0.1"}, {"1visited.example"}, {"bob@a.iot.example"}}, same(first))
	assert.Equal(t, same(first), same(again))
	again.answer(layeh.CodeAccountingResponse)
	r.settleDown()
	assert.Zero(t, r.owed())
}

// A filter that makes a request too long costs that request: it is refused, and
// a record goes to the dead letters.
func TestFilterMakesTooMuch(t *testing.T) {
	rules := make([]string, 17)
	for i := range rules {
		rules[i] = "add: Class, value: " + strings.Repeat("x", 250)
	}
	r := newRig(t, 1, filtered(t, "", "", "", strings.Join(rules, "; ")))
	r.rejected(r.ask(access("bob@home.example")))
	r.quietHome(0)
	assert.Equal(t, 1, r.value("roamgate_local_answers_total", "reason", ofRadius(radius.Overflow).String()))
	b := r.report(acctStop("bob@a.iot.example", "s"))
	r.recorded(1)
	r.got(b)
	r.settleDown()
	require.NoError(t, r.hub.settleOwed(r.now))
	assert.Zero(t, r.marked())
	assert.EqualValues(t, 1, r.hub.spool.Stats().Dead)
	r.clean()
}

// A packet may have so many attributes; more of them is too much as well.
func TestFilterAddsTooMany(t *testing.T) {
	r := newRig(t, 1, filtered(t, "", "", "", "add: Class, value: x"))
	many := make([]string, radius.MaxAttributes-2)
	for i := range many {
		many[i] = "c"
	}
	r.rejected(r.ask(access("bob@home.example", with(rfc2865.Class_Type, many...))))
	r.quietHome(0)
	assert.Equal(t, 1, r.value("roamgate_local_answers_total", "reason", ofRadius(radius.TooManyAttributes).String()))
	r.clean()
}

// A configuration without filters has none to ask for.
func TestPlain(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*realm.Set)
		want bool
	}{
		{"nothing", func(*realm.Set) {}, true},
		{"operator", func(s *realm.Set) { s.Clients[0].OperatorName = realm.OperatorCheck }, false},
		{"hidden NAS", func(s *realm.Set) { s.Clients[0].HideNAS = true }, false},
		{"rewrite", func(s *realm.Set) { s.Routes[1].Rewrite = &realm.Rewrite{Strip: true} }, false},
		{"hops", func(s *realm.Set) { s.Loops.Hop.Type = 26 }, false},
		{"filter", filtered(t, "", "remove: Class", "", ""), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, newRig(t, 1, tt.edit).hub.Snapshot().plain)
		})
	}
}

// What a filter has counted goes with its peer, and with the filter.
func TestFilterSeriesAreRetired(t *testing.T) {
	r := newRig(t, 1, filtered(t, "remove: Class", "", "", "remove: Filter-Id"))
	r.set.Filters = []*realm.Filter{r.set.Clients[0].In, r.set.Homes[0].Out}
	ask := func(want int) {
		sent := r.ask(access("bob@home.example", with(rfc2865.Class_Type, "c"), with(rfc2865.FilterID_Type, "f")))
		r.atHome(0).answer(layeh.CodeAccessAccept)
		r.got(sent)
		assert.Equal(t, want, r.filteredBy("visited", "in", "client_in"))
		assert.Equal(t, want, r.filteredBy("a", "out", "home_out"))
	}
	ask(1)
	r.apply(func(s *realm.Set) { s.Clients[0].Name = "renamed" })
	assert.Zero(t, r.filteredBy("visited", "in", "client_in"))
	assert.Equal(t, 1, r.filteredBy("a", "out", "home_out"))
	r.apply(func(s *realm.Set) { s.Filters, s.Homes[0].Out = nil, nil })
	assert.Zero(t, r.filteredBy("a", "out", "home_out"))
}

// An explanation sees the request as the hub would take it.
func TestExplainComesBehindTheFilter(t *testing.T) {
	edit := filtered(t, "replace: User-Name, match: '^(.*)@old[.]example$', with: '$1@home.example'", "", "", "")
	r := newRig(t, 1, func(s *realm.Set) {
		edit(s)
		s.Clients[0].OperatorName = realm.OperatorCheck
	})
	x := r.hub.Explain(Question{NAI: "bob@old.example", Client: "visited", NASPortType: -1, RATType: -1})
	assert.Equal(t, "forward", x.Result, "%+v", x)
	assert.Equal(t, "home.example", x.Rule)
	x = r.hub.Explain(Question{NAI: "bob@old.example", Client: "", NASPortType: -1, RATType: -1})
	assert.Equal(t, NoRoute.String(), x.Reason, "without a client there is no filter")
}

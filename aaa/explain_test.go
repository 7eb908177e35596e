package aaa

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/realm"
)

func explained(s *realm.Set) {
	withPolicy(s)
	s.Homes[1].Disabled = true
	s.Pools = append(s.Pools, s.Pools[0])
	s.Pools[1].Name, s.Pools[1].Members = "empty", []realm.Member{{Home: 1, Weight: 1}}
	s.Routes = append(s.Routes,
		realm.Route{Realm: "authless.example", Index: 4, Auth: -1, Acct: 0},
		realm.Route{Realm: "empty.example", Index: 5, Auth: 1, Acct: 1},
		realm.Route{Realm: realm.NameNone, Index: 6, Auth: 0, Acct: 0},
	)
	east := &realm.Group{Name: "east", Kind: realm.Federation}
	west := &realm.Group{Name: "west", Kind: realm.Federation}
	s.Groups, s.Contracts = []*realm.Group{east, west}, []realm.Contract{{From: east, To: west, Realms: realm.NewNames([]string{"open.example"})}}
	s.Clients[0].Group = east
	allowed := []string{"none", "own.example"}
	third := s.Pools[0]
	third.Name, third.Group = "third", west
	s.Pools = append(s.Pools, third)
	add := func(r realm.Route) {
		r.Index = int32(len(s.Routes))
		s.Routes = append(s.Routes, r)
	}
	add(realm.Route{Realm: "group.example", For: &realm.Scope{Groups: []*realm.Group{west}}})
	add(realm.Route{Realm: "west.example", Auth: 2, Acct: 2})
	add(realm.Route{Realm: "open.example", Auth: 2, Acct: 2})
	add(realm.Route{Realm: "trial.example", Name: "trial", Rank: 1, When: &realm.Condition{SSIDs: []string{"Meters"}}})
	add(realm.Route{Realm: "trial.example", Rank: 2, Auth: -1, Acct: -1, Reject: "no trial"})
	add(realm.Route{Realm: "operator.example", When: &realm.Condition{Operators: []string{"1visited.example"}}})
	add(realm.Route{Realm: "imsi:26201"})
	add(realm.Route{Realm: "plmn:262"})
	add(realm.Route{Realm: `realm~x[0-9]\.lab\.example`})
	add(realm.Route{Realm: "strip.example", Rewrite: &realm.Rewrite{Strip: true}})
	add(realm.Route{Realm: "longer.example", Rewrite: &realm.Rewrite{Realm: strings.Repeat("x", 62) + ".longer.example"}})
	for i := range s.Routes {
		allowed = append(allowed, s.Routes[i].Realm)
	}
	s.Clients[0].Realms = realm.NewNames(append(allowed, "nowhere.example", "*.lab.example", "*.3gppnetwork.org"))
	s.Identity.Own = realm.NewNames([]string{"own.example"})
	s.Loops.Hop = radsecproxyHop
	for i := range s.Routes {
		s.Routes[i].Pos = realm.Pos{File: "realms.yaml", Line: i + 1, Col: 3}
		if s.Routes[i].Realm != "home.example" {
			s.Routes[i].Policy.Enabled = false
		}
	}
}

// questions and the reason each must give; the shard is asked the same.
var questions = []struct {
	name   string
	q      Question
	result string
	reason string
	rule   string
	match  string
}{
	{"exact", Question{NAI: "open@home.example"}, "forward", "", "home.example", "exact"},
	{"folded", Question{NAI: "open@HOME.example"}, "forward", "", "home.example", "exact"},
	{"suffix", Question{NAI: "a@x.iot.example"}, "forward", "", "*.iot.example", "suffix"},
	{"no realm", Question{NAI: "bob"}, "forward", "", "none", "none"},
	{"unknown realm", Question{NAI: "bob@nowhere.example"}, "reject", "no_route", "", ""},
	{"no NAI", Question{NAI: "a@b@home.example"}, "reject", "name_many_at", "", ""},
	{"closed", Question{NAI: "bob@closed.example"}, "reject", "route_rejects", "closed.example", "exact"},
	{"no pool", Question{NAI: "bob@authless.example"}, "reject", "no_pool", "authless.example", "exact"},
	{"no home enabled", Question{NAI: "bob@empty.example"}, "reject", "no_pool", "empty.example", "exact"},
	{"denied", Question{NAI: "denied@home.example"}, "reject", "denied", "home.example", "exact"},
	{"stranger", Question{NAI: "stranger@home.example"}, "reject", "unknown_device", "home.example", "exact"},
	{"wrong access", Question{NAI: "port@home.example", NASPortType: 15}, "reject", "access_type_not_allowed", "home.example", "exact"},
	{"right access", Question{NAI: "port@home.example", NASPortType: 19}, "forward", "", "home.example", "exact"},
	{"by name", Question{NAI: "open@home.example", Client: "visited"}, "forward", "", "home.example", "exact"},
	{"by address", Question{NAI: "country@home.example", Client: "127.0.0.1"}, "reject", "country_not_allowed", "home.example", "exact"},
	{"accounting", Question{NAI: "bob@home.example", Accounting: true}, "forward", "", "home.example", "exact"},
	{"accounting, closed", Question{NAI: "bob@closed.example", Accounting: true}, "record", "route_rejects", "closed.example", "exact"},
	{"accounting, no NAI", Question{NAI: "a@b@home.example", Accounting: true}, "record", "name_many_at", "", ""},
	{"accounting, unknown", Question{NAI: "bob@nowhere.example", Accounting: true}, "record", "no_route", "", ""},
	{"accounting, ends here", Question{NAI: "bob@local.example", Accounting: true}, "record", "", "local.example", "exact"},
	{"a decorated name", Question{NAI: "home.example!open@own.example"}, "forward", "", "home.example", "exact"},
	{"the client's list", Question{NAI: "bob@notmine.example"}, "reject", "realm_not_allowed", "", ""},
	{"another group's", Question{NAI: "bob@group.example"}, "reject", "scope_denied", "", ""},
	{"without a contract", Question{NAI: "bob@west.example"}, "reject", "transit_denied", "west.example", "exact"},
	{"with a contract", Question{NAI: "bob@open.example"}, "forward", "", "open.example", "exact"},
	{"accounting without a contract", Question{NAI: "bob@west.example", Accounting: true}, "record", "transit_denied", "west.example", "exact"},
	{"too many hops", Question{NAI: "open@home.example", Attributes: proxyStates(32)}, "reject", "many_proxy_states", "home.example", "exact"},
	{"no hops left", Question{NAI: "open@home.example", Attributes: []string{"Attr-26.27262.1=0x00000001"}}, "reject", "hops_spent", "home.example", "exact"},
	{"its SSID", Question{NAI: "bob@trial.example", SSID: "Meters"}, "forward", "", "trial", "exact"},
	{"another SSID", Question{NAI: "bob@trial.example", SSID: "Guests"}, "reject", "route_rejects", "trial.example", "exact"},
	{"its operator", Question{NAI: "bob@operator.example", Operator: "1Visited.example"}, "forward", "", "operator.example", "exact"},
	{"its subscriber", Question{NAI: "bob@nowhere.example", IMSI: "262019876543210"}, "forward", "", "imsi:26201", "imsi"},
	{"its subscriber by name", Question{NAI: "0262019876543210@wlan.mnc001.mcc262.3gppnetwork.org"}, "forward", "", "imsi:26201", "imsi"},
	{"a network", Question{NAI: "0262021234567890@wlan.mnc002.mcc262.3gppnetwork.org"}, "forward", "", "plmn:262", "plmn"},
	{"an expression", Question{NAI: "a@x7.lab.example"}, "forward", "", `realm~x[0-9]\.lab\.example`, "regexp"},
	{"nothing left of the name", Question{NAI: "@strip.example"}, "reject", "name_empty", "strip.example", "exact"},
	{"accounting, nothing left of the name", Question{NAI: "@strip.example", Accounting: true}, "record", "name_empty", "strip.example", "exact"},
	{"too much made of the name", Question{NAI: strings.Repeat("u", 200) + "@longer.example"}, "reject", "name_too_long", "longer.example", "exact"},
	{"accounting, too much made of the name", Question{NAI: strings.Repeat("u", 200) + "@longer.example", Accounting: true}, "record", "name_too_long", "longer.example", "exact"},
	{"a name that is stripped", Question{NAI: "bob@strip.example"}, "forward", "", "strip.example", "exact"},
	{"accounting, no home enabled", Question{NAI: "bob@empty.example", Accounting: true}, "record", "no_pool", "empty.example", "exact"},
}

// TestExplainAgrees asks the Explainer and the shard the same.
func TestExplainAgrees(t *testing.T) {
	for _, tt := range questions {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, setup{homes: 2, edit: explained, policyOf: policyOf})
			q := tt.q
			if q.NASPortType == 0 {
				q.NASPortType = -1
			}
			q.RATType = -1
			if q.Client == "" {
				q.Client = "127.0.0.1"
			}
			x := r.hub.Explain(q)
			assert.Equal(t, tt.result, x.Result, "%+v", x)
			assert.Equal(t, tt.reason, x.Reason)
			assert.Equal(t, tt.rule, x.Rule)
			if tt.rule != "" {
				assert.Equal(t, tt.match, x.Match)
				assert.Contains(t, x.RuleAt, "realms.yaml:")
			}
			assert.Equal(t, "visited", x.Client)
			assert.EqualValues(t, 1, x.Generation)
			if q.Accounting {
				r.tellsAcct(x, q)
			} else {
				r.tellsAuth(x, q)
			}
		})
	}
}

// proxyStates are n attributes of a question.
func proxyStates(n int) []string { return slices.Repeat([]string{"Proxy-State=x"}, n) }

// as adds to a request what the question says beside the name.
func as(q Question) edit {
	return func(p *layeh.Packet) {
		if q.NASPortType >= 0 {
			with32(61, uint32(q.NASPortType))(p)
		}
		if q.SSID != "" {
			with(30, "AA-BB-CC-DD-EE-FF:"+q.SSID)(p)
		}
		if q.Operator != "" {
			with(126, q.Operator)(p)
		}
		if q.IMSI != "" {
			with(26, vsa(10415, 1, q.IMSI))(p)
		}
		for _, avp := range q.Attributes {
			if avp == "Proxy-State=x" {
				with(33, "x")(p)
			} else {
				ttl(1)(p)
			}
		}
	}
}

// tellsAuth asks as q does and compares what happens.
func (r *rig) tellsAuth(x Explanation, q Question) {
	p := access(q.NAI)
	as(q)(p)
	sent := r.ask(p)
	if x.Result == "reject" {
		r.rejected(sent)
		assert.Equal(r.t, 1, r.value("roamgate_local_answers_total", "reason", x.Reason))
		return
	}
	require.NotEmpty(r.t, x.Order)
	assert.Equal(r.t, "a", x.Order[0].Home)
	assert.Equal(r.t, addrOf(r.homes[0]).String(), x.Order[0].Address)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
}

func (r *rig) tellsAcct(x Explanation, q Question) {
	b := r.report(acctStop(q.NAI, "s", as(q)))
	r.recorded(1)
	if x.Result == "forward" {
		r.atAcct(0).answer(layeh.CodeAccountingResponse)
		r.got(b)
		return
	}
	if x.Ack == "home" {
		r.silent()
	} else {
		r.got(b)
	}
	rec := r.records()[0]
	assert.Equal(r.t, x.Reason != "" && x.Reason != "no_pool", rec.Kind == accounting.Quarantined)
	r.quietHome(0)
}

func TestExplainUnknownClient(t *testing.T) {
	r := newRig(t, 1, nil)
	for _, c := range []string{"192.0.2.1", "nobody"} {
		x := r.hub.Explain(Question{NAI: "bob@home.example", Client: c})
		assert.Equal(t, "drop", x.Result)
		assert.Equal(t, UnknownClient.String(), x.Reason)
	}
	x := r.hub.Explain(Question{NAI: "bob@home.example"})
	assert.Equal(t, "forward", x.Result)
	assert.Empty(t, x.Client, "any")
}

// The order of homes is the one the shard takes, for any device.
func TestExplainOrder(t *testing.T) {
	r := newRig(t, 3, func(s *realm.Set) {
		for i := range s.Pools[0].Members {
			s.Pools[0].Members[i].Priority = 0
		}
	})
	first := map[string]int{}
	for i := range 40 {
		user := fmt.Sprintf("user%d@home.example", i)
		x := r.hub.Explain(Question{NAI: user, Station: "02-00-5E-10-00-01", NASPortType: -1, RATType: -1})
		require.Len(t, x.Order, 3)
		sent := r.ask(access(user, with(31, "02-00-5E-10-00-01")))
		at := int(r.inFlight().homeIdx)
		assert.Equal(t, x.Order[0].Home, r.set.Homes[at].Name)
		first[x.Order[0].Home]++
		r.atHome(at).answer(layeh.CodeAccessAccept)
		r.got(sent)
	}
	assert.Len(t, first, 3, "each home has its devices")
}

func TestQuestionValues(t *testing.T) {
	for _, q := range []Question{
		{NAI: "bob@home.example", NASPortType: -1, RATType: -1},
		{NAI: "a b&c=d", Client: "x", Accounting: true, IMSI: "262011234567890", Station: "02-00", CUI: "\x01", NASPortType: 0, RATType: 255},
		{NAI: "a@b", SSID: "Caf\u00e9 1", Operator: "1visited.example", RCOI: "5A-03-BA", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
			Attributes: []string{"Framed-MTU=1400", "NAS-Identifier = ap 1"}, NASPortType: -1, RATType: -1},
	} {
		v, err := url.ParseQuery(q.values())
		require.NoError(t, err)
		got, err := ParseQuestion(v)
		require.NoError(t, err)
		assert.Equal(t, q, got)
	}
	for _, bad := range []url.Values{{"rat_type": {"256"}}, {"nas_port_type": {"-1"}}, {"nas_port_type": {"x"}}, {"at": {"noon"}}, {"avp": {"No-Such=1"}}, {"rcoi": {"5A-0"}}, {"nai": {strings.Repeat("a", 254)}}} {
		_, err := ParseQuestion(bad)
		assert.Error(t, err)
	}
}

func (q *Question) values() string { return q.Values().Encode() }

// An answer tells every route that was tried, what lets the request pass, each
// home and why it is none, and what the home gets.
func TestExplainTellsAll(t *testing.T) {
	r := newRig(t, 2, func(s *realm.Set) {
		proxies(s)
		in, out := &realm.Filter{Name: "visitors"}, &realm.Filter{Name: "homes"}
		s.Filters = []*realm.Filter{in, out}
		s.Clients[0].In, s.Homes[0].Out = in, out
		s.Homes[1].Realms = realm.NewNames([]string{"other.example"})
		s.Routes = append(s.Routes,
			realm.Route{Realm: "trial.example", Name: "canary", Rank: 1, Index: 4, When: &realm.Condition{During: []realm.Window{{Begin: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}}}},
			realm.Route{Realm: "trial.example", Name: "proxied", Rank: 2, Index: 5, When: &realm.Condition{Clients: []string{"proxy1"}}},
			realm.Route{Realm: "trial.example", Rank: 3, Index: 6, Rewrite: &realm.Rewrite{Realm: "inner.example"}},
			realm.Route{Realm: realm.NameDefault, Index: 7, Auth: -1, Acct: -1, Reject: "unknown"})
		s.Identity.Own = realm.NewNames([]string{"own.example"})
	})
	ask := Question{NAI: "trial.example!bob@own.example", Client: "visited", NASPortType: -1, RATType: -1}
	x := r.hub.Explain(ask)
	var tried []string
	for _, c := range x.Routes {
		tried = append(tried, fmt.Sprintf("%s %s %s %v", c.Rule, c.Match, c.Why, c.Taken))
	}
	assert.Equal(t, []string{
		"canary exact is not for this time false", "proxied exact is not for this client false",
		"trial.example exact matches true", "default default matches false",
	}, tried)
	assert.Equal(t, "bob@trial.example", x.Name)
	assert.Equal(t, "bob@inner.example", x.UserName)
	assert.Equal(t, "visitors", x.In)
	require.Len(t, x.Order, 1)
	assert.Equal(t, "homes", x.Order[0].Out)
	require.Len(t, x.Barred, 1)
	assert.Equal(t, "realm_not_allowed", x.Barred[0].Barred)
	assert.Equal(t, "b", x.Barred[0].Home)

	ask.At = time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.Equal(t, "canary", r.hub.Explain(ask).Rule)
	assert.Zero(t, r.value("roamgate_attributes_filtered_total"), "a question counts nowhere")

	x = r.hub.Explain(Question{NAI: "0262011234567890@wlan.mnc001.mcc262.3gppnetwork.org", NASPortType: -1, RATType: -1})
	assert.Equal(t, "wlan.mnc001.mcc262.pub.3gppnetwork.org", x.Discovery)
}

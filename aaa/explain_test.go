package aaa

import (
	"fmt"
	"net/url"
	"testing"

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

// tellsAuth asks as q does and compares what happens.
func (r *rig) tellsAuth(x Explanation, q Question) {
	p := access(q.NAI)
	if q.NASPortType >= 0 {
		with32(61, uint32(q.NASPortType))(p)
	}
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
	b := r.report(acctStop(q.NAI, "s"))
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
	} {
		v, err := url.ParseQuery(q.values())
		require.NoError(t, err)
		got, err := ParseQuestion(v)
		require.NoError(t, err)
		assert.Equal(t, q, got)
	}
	for _, bad := range []url.Values{{"rat_type": {"256"}}, {"nas_port_type": {"-1"}}, {"nas_port_type": {"x"}}} {
		_, err := ParseQuestion(bad)
		assert.Error(t, err)
	}
}

func (q *Question) values() string { return q.Values().Encode() }

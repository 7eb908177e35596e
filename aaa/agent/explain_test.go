package agent

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// An Explainer says what the walk does, by the same code (D54).
func TestExplain(t *testing.T) {
	question := Question{From: "mme", Application: diameter.AppS6a, Command: diameter.UpdateLocation, Realm: "Home.example", User: imsi}
	for name, c := range map[string]struct {
		edit  func(*realm.Set)
		ask   func(q *Question)
		why   Reason
		route string
		peers []string // with why not, after a colon
		check func(t *testing.T, x *Explanation)
	}{
		"as usual":    {route: "home.example", peers: []string{"hss1:ok", "hss2:ok", "dra:ok"}},
		"the host":    {ask: func(q *Question) { q.Host = "hss2.home.example" }, route: "home.example", peers: []string{"hss2:ok"}},
		"other host":  {ask: func(q *Question) { q.Host = "hss7.home.example" }, route: "home.example", peers: []string{"dra:ok", "hss1:host_away", "hss2:host_away"}},
		"been there":  {ask: func(q *Question) { q.RouteRecords = []string{"hss1.home.example"} }, route: "home.example", peers: []string{"hss2:ok", "dra:ok", "hss1:hairpin"}},
		"loop":        {ask: func(q *Question) { q.RouteRecords = []string{agentIdentity} }, why: Loop},
		"nobody":      {ask: func(q *Question) { q.Realm = "nowhere.example" }, why: NoRoute},
		"application": {ask: func(q *Question) { q.Application = diameter.AppT6a }, route: "home.example", peers: []string{"dra:ok", "hss1:application_not_served", "hss2:application_not_served"}},
		"malformed":   {ask: func(q *Question) { q.Realm = "a..b" }, why: ofFault(diameter.BadValue)},
		"to RADIUS": {edit: func(s *realm.Set) { s.Routes[0].Diameter = &realm.DiameterRoute{Action: realm.DiameterRADIUS} }, route: "home.example",
			check: func(t *testing.T, x *Explanation) { assert.True(t, x.RADIUS) }},
		"screened": {ask: func(q *Question) { q.OriginHost, q.OriginRealm = "mme.other.example", "other.example" },
			edit: func(s *realm.Set) { s.Peers[0].Origins = realm.NewNames([]string{"visited.example"}) },
			why:  Screened, route: "home.example", peers: []string{"hss1:ok", "hss2:ok", "dra:ok"},
			check: func(t *testing.T, x *Explanation) {
				assert.Contains(t, x.Broken, "origin_realm: answer")
				assert.Equal(t, "default", x.Screening)
				assert.EqualValues(t, diameter.ResultUnknownPeer, x.Result)
			}},
		"dropped": {ask: func(q *Question) { q.Visited = realm.NewNetwork(262, 1) }, why: Dropped, route: "home.example", peers: []string{"hss1:ok", "hss2:ok", "dra:ok"},
			edit: func(s *realm.Set) {
				one := realm.NewScreening("strict")
				one.Rules[realm.ScreenVisitedPLMN].Mode = realm.ScreenDrop
				s.Peers[0].Screening = one
			},
			check: func(t *testing.T, x *Explanation) {
				assert.Equal(t, []string{"visited_plmn: drop"}, x.Broken)
				assert.Equal(t, "strict", x.Screening)
			}},
		"a short message": {ask: func(q *Question) {
			q.Application, q.Command, q.ServiceCentre = diameter.AppSGd, diameter.MOForwardSM, "14155550100"
		}, why: Screened, route: "imsi:26201", peers: []string{"dra:ok", "hss1:application_not_served", "hss2:application_not_served"},
			edit: func(s *realm.Set) {
				one := realm.NewScreening("strict")
				one.Rules[realm.ScreenServiceCentre].Mode = realm.ScreenAnswer
				one.ServiceCentres = []realm.ServiceCentre{{Realm: "home.example", Digits: "49171"}}
				s.Peers[0].Screening = one
				s.Routes[0].Realm = "imsi:26201"
			},
			check: func(t *testing.T, x *Explanation) {
				assert.Equal(t, []string{"service_centre: answer"}, x.Broken)
				assert.EqualValues(t, 5557, x.Result)
			}},
		"decorated": {ask: func(q *Question) { q.Realm, q.User = agentRealm, "home.example!u@hub.example" }, route: "home.example", peers: []string{"hss1:ok", "hss2:ok", "dra:ok"},
			check: func(t *testing.T, x *Explanation) {
				assert.Equal(t, [2]string{"home.example", "u@home.example"}, [2]string{x.Realm, x.User})
			}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, c.edit)
			q := question
			if c.ask != nil {
				c.ask(&q)
			}
			x := NewExplainer(agentIdentity, agentRealm, r.set).Explain(q, 0)
			assert.Equal(t, c.why, x.Why, x.Text)
			if c.route != "" {
				assert.Equal(t, c.route, x.Route.Label())
				assert.Len(t, x.Routes, 1)
			}
			var peers []string
			for _, p := range x.Candidates {
				peers = append(peers, p.Peer.Name+":"+p.Why.String())
			}
			assert.Equal(t, c.peers, peers)
			if c.check != nil {
				c.check(t, x)
			}
		})
	}
}

// Every reason has words for people and a label of its own.
func TestReasons(t *testing.T) {
	labels := map[string]bool{}
	for _, why := range append(Reasons(), OK) {
		assert.NotEmpty(t, why.Text())
		assert.Regexp(t, "^[a-z][a-z0-9_]*$", why.String())
		assert.False(t, labels[why.String()], why.String())
		labels[why.String()] = true
	}
}

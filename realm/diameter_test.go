package realm

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// both has routes of one protocol, of the other, and of both.
func both() *Table {
	to := &DiameterRoute{}
	own := &Scope{[]*Group{{Name: "own"}}}
	s6a := &Condition{Applications: []uint32{diameter.AppS6a}}
	return NewTable([]Route{
		{Realm: "both.example", Diameter: to},
		{Realm: "radius.example"},
		{Realm: "diameter.example", Auth: -1, Acct: -1, Diameter: to},
		{Realm: "gone.example", Auth: -1, Acct: -1, Reject: "gone", Diameter: to},
		{Realm: "found.example", Auth: -1, Acct: -1, Discover: &Discovery{}, Diameter: to},
		{Realm: "nothing.example", Auth: -1, Acct: -1},
		{Realm: "closed.example", For: own},
		{Realm: "closed.example", Name: "closed-diameter", Auth: -1, Acct: -1, Diameter: to, Rank: 1, When: &Condition{Applications: []uint32{diameter.AppS6a}, Commands: []uint32{diameter.UpdateLocation}}},
		{Realm: "*.example", Auth: -1, Acct: -1, Diameter: to},
		{Realm: "imsi:26201", Auth: -1, Acct: -1, Diameter: to, When: s6a},
		{Realm: "imsi:26200-26299", Auth: -1, Acct: -1, Diameter: to},
		{Realm: "imsi:26202"},
		{Realm: "plmn:262-01", Auth: -1, Acct: -1, Diameter: to},
		{Realm: "plmn:262"},
		{Realm: "default"},
	})
}

// TestFindByProtocol: what a route says nothing about is no answer, and the search
// goes on to wider subjects.
func TestFindByProtocol(t *testing.T) {
	tb := both()
	message := func(app, command uint32, realm, name string) Query {
		q := Query{Message: true, Application: app, Command: command, Realm: []byte(realm)}
		if name != "" {
			q.IMSI = []byte(name)
		}
		return q
	}
	request := func(realm string) Query { return Query{Realm: []byte(realm), Packet: new(radius.Packet)} }
	const epc = "epc.mnc001.mcc262.3gppnetwork.org"
	for _, tc := range []struct {
		name string
		q    Query
		want string // label, "" for none
		why  Mismatch
	}{
		{"both by RADIUS", request("both.example"), "both.example", Matches},
		{"both by Diameter", message(1, 265, "both.example", ""), "both.example", Matches},
		{"RADIUS only by RADIUS", request("radius.example"), "radius.example", Matches},
		{"RADIUS only by Diameter", message(1, 265, "radius.example", ""), "*.example", Matches},
		{"Diameter only by Diameter", message(1, 265, "diameter.example", ""), "diameter.example", Matches},
		{"Diameter only by RADIUS", request("diameter.example"), "default", Matches},
		{"a reject is an answer", request("gone.example"), "gone.example", Matches},
		{"so is a discovery", request("found.example"), "found.example", Matches},
		{"nothing is a refusal of RADIUS", request("nothing.example"), "nothing.example", Matches},
		{"a suffix of Diameter by RADIUS", request("x.example"), "default", Matches},
		{"no Diameter default", message(1, 265, "x.test", ""), "", OtherSubject},
		{"closed to the client beside a route of Diameter", request("closed.example"), "", OtherGroup},
		{"that route", message(diameter.AppS6a, diameter.UpdateLocation, "closed.example", ""), "closed-diameter", Matches},
		{"another command", message(diameter.AppS6a, diameter.PurgeUE, "closed.example", ""), "*.example", Matches},
		{"IMSI of S6a", message(diameter.AppS6a, diameter.UpdateLocation, epc, "262011234567890"), "imsi:26201", Matches},
		{"IMSI of another application", message(diameter.AppS13, diameter.MEIdentityCheck, epc, "262011234567890"), "imsi:26200-26299", Matches},
		{"an IMSI range of RADIUS alone", message(diameter.AppS6a, diameter.UpdateLocation, "x.test", "262021234567890"), "imsi:26200-26299", Matches},
		{"a network by Diameter", message(diameter.AppS6a, diameter.UpdateLocation, epc, ""), "plmn:262-01", Matches},
		{"the same by RADIUS", request("wlan.mnc001.mcc262.3gppnetwork.org"), "plmn:262", Matches},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, why := tb.Find(&tc.q)
			got := ""
			if r != nil {
				got = r.Label()
			}
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.why, why)
			first := ""
			tb.Candidates(&tc.q, func(c Candidate) bool {
				if c.Why == Matches {
					first = c.Route.Label()
				}
				return c.Why != Matches && tc.why != OtherGroup
			})
			assert.Equal(t, tc.want, first, "candidates say the same")
			assert.Zero(t, testing.AllocsPerRun(100, func() { tb.Find(&tc.q) }))
		})
	}
}

// TestFindWithoutDiameter: a table of RADIUS alone has nothing for messages, and one
// of Diameter alone nothing for packets.
func TestFindWithoutDiameter(t *testing.T) {
	r, why := NewTable(routesOf("a.example", "none", "default")).Find(&Query{Message: true, Realm: []byte("a.example")})
	assert.Nil(t, r)
	assert.Equal(t, OtherSubject, why)
	routes := routesOf("a.example", "none", "default")
	for i := range routes {
		routes[i].Diameter = &DiameterRoute{}
	}
	tb := NewTable(routes)
	for _, name := range [][]byte{[]byte("a.example"), nil, []byte("b.example")} {
		r, why = tb.Find(&Query{Realm: name})
		assert.Nil(t, r)
		assert.Equal(t, OtherSubject, why)
		r, _ = tb.Find(&Query{Realm: name, Message: true})
		assert.NotNil(t, r)
	}
}

// TestDiameterConditions: conditions of one protocol never hold in the other.
func TestDiameterConditions(t *testing.T) {
	p := packet(t, func(w *radius.Writer) { w.AddUint32(radius.NASPortType, 19) })
	to := &DiameterRoute{}
	for _, tc := range []struct {
		name string
		c    Condition
		q    Query
		want Mismatch
	}{
		{"application", Condition{Applications: []uint32{1, 5}}, Query{Message: true, Application: 5}, Matches},
		{"other application", Condition{Applications: []uint32{1, 5}}, Query{Message: true, Application: 4}, OtherApplication},
		{"no message", Condition{Applications: []uint32{0}}, Query{Packet: p}, OtherApplication},
		{"command", Condition{Commands: []uint32{265}}, Query{Message: true, Command: 265}, Matches},
		{"other command", Condition{Commands: []uint32{265}}, Query{Message: true, Command: 268}, OtherCommand},
		{"command of a packet", Condition{Commands: []uint32{0}}, Query{Packet: p}, OtherCommand},
		{"NAS-Port-Type of a message", Condition{NASPortTypes: []uint32{19}}, Query{Message: true}, OtherNASPortType},
		{"SSID of a message", Condition{SSIDs: []string{"x"}}, Query{Message: true}, OtherSSID},
		{"operator of a message", Condition{Operators: []string{"1x.example"}}, Query{Message: true}, OtherOperator},
		{"consortium of a message", Condition{RCOIs: []string{"xyz"}}, Query{Message: true}, OtherRCOI},
		{"user of a message", Condition{Users: []UserRange{{First: "26201", Prefix: true}}}, Query{Message: true, User: []byte("262011")}, Matches},
		{"peer", Condition{Clients: []string{"mme"}}, Query{Message: true, Client: &Client{Name: "mme", Transport: Diameter}}, Matches},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, tc.want, (&Route{When: &tc.c, Diameter: to}).Judge(&tc.q))
		})
	}
}

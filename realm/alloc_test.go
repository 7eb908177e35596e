//go:build !race

package realm

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/radius"
)

// The race detector takes away at random what expressions keep for the next time.
func TestAllocsFind(t *testing.T) {
	own := &Group{}
	tb := NewTable([]Route{
		{Realm: "imsi:26201"}, {Realm: "acme.example", Rank: 1, When: &Condition{Percent: 1, SSIDs: []string{"x"}, During: []Window{{From: 1, To: 2}}}},
		{Realm: "acme.example", Rank: 2, For: &Scope{[]*Group{own}}}, {Realm: "*.iot.example"}, {Realm: "plmn:262"}, {Realm: "default"},
		{Realm: `realm~^b.*\.test$`},
	})
	p := packet(t, func(w *radius.Writer) { w.Add(radius.CalledStationID, []byte("00-10-A4-23-19-C0:x")) })
	for _, q := range []Query{
		{IMSI: []byte("262011234567890")},
		{Realm: []byte("acme.example"), Packet: p, Client: &Client{}},
		{Realm: []byte("acme.example"), Packet: p, Client: &Client{Group: own}},
		{Realm: []byte("a.b.iot.example")},
		{Realm: []byte("wlan.mnc001.mcc262.3gppnetwork.org")},
		{Realm: []byte("b.test")},
		{Realm: []byte("c.test")},
	} {
		assert.Zero(t, testing.AllocsPerRun(100, func() { tb.Find(&q) }), "%s%s", q.Realm, q.IMSI)
	}
}

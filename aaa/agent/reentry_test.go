package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// brittle is a connection that breaks when it is asked for room.
type brittle struct {
	wire
	breaks func()
}

func (b *brittle) RoomFor(int) []byte {
	b.breaks()
	return nil
}

// D10: a connection that breaks while an answer is given to it costs the others nothing:
// what it had is seen to afterwards, and the answer that is being given stays what it is.
func TestD10LostWithin(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", acr(1)) // will be answered by us
	r.one("hss1")
	r.heard("mme2", retransmitted(acr(1))) // and waits for that
	other := request().set(diameter.DestinationRealm, "visited.example").set(diameter.SessionID, "other;1").
		with(avp{diameter.DestinationHost, 0, "mme.visited.example"})
	other.EndToEnd = 0x99
	r.pass(17 * time.Second)
	r.heard("hss2", other)
	r.one("mme")
	l := r.links["mme"]
	l.conn = &brittle{breaks: func() {
		l.conn = &wire{}
		r.close(l)
	}}
	r.pass(3500 * time.Millisecond) // the first is over, the other is not
	assert.True(t, l.closed)
	got := r.each(t, "mme2", "hss2")
	assert.Equal(t, "mme.visited.example;1;2", string(got[0].Value(diameter.KnownSessionID)))
	assert.EqualValues(t, 0x22, got[0].EndToEnd)
	assert.Equal(t, "other;1", string(got[1].Value(diameter.KnownSessionID)))
	assert.EqualValues(t, 0x99, got[1].EndToEnd)
	r.rest()
}

// each takes the only message that was sent to each of some peers.
func (r *walkRig) each(t *testing.T, names ...string) (list []*diameter.Message) {
	for _, name := range names {
		sent := r.sent(name)
		if assert.Len(t, sent, 1, name) {
			list = append(list, sent[0])
		}
	}
	r.nothing()
	return list
}

// A request that was rewritten for its source route (RFC 5729) is refused by policy with
// an answer of what it was, not of what was written over it.
func TestRewrittenRequestIsRefused(t *testing.T) {
	r := newWalkRig(t, func(s *realm.Set) {
		st := realm.NewSteering("s")
		st.Networks = realm.NewNetworks([]realm.Network{realm.NewNetwork(1, -1)})
		s.Steerings, s.Routes[0].Steering = []*realm.Steering{st}, st
		s.Routes[0].Realm = "h"
	})
	r.heard("mme", request().set(diameter.DestinationRealm, agentRealm).set(diameter.UserName, "h!1@"+agentRealm).
		with(avp{diameter.ProxyInfo, 0, []avp{{diameter.ProxyHost, 0, "p.visited.example"}, {diameter.ProxyState, 0, "state"}}}))
	answer := r.one("mme")
	var a diameter.AVP
	require.True(t, diameter.Find(answer.Body(), diameter.ExperimentalResult, 0, &a))
	require.True(t, diameter.Find(answer.Body(), diameter.ProxyInfo, 0, &a))
	require.True(t, diameter.Find(a.Data, diameter.ProxyHost, 0, &a))
	assert.Equal(t, "p.visited.example", string(a.Data))
	r.rest()
}

package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/diameter"
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

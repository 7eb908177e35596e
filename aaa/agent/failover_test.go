package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

func resultIn(m *diameter.Message) uint32 {
	v, _ := m.Uint32(diameter.KnownResultCode)
	return v
}

// C116 and D5: what a lost connection had goes to another peer, with the T bit and the
// same End-to-End Identifier.
func TestC116Failover(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", request())
	first := r.one("hss1")
	assert.Zero(t, first.Flags&diameter.FlagRetransmitted)
	r.close(r.links["hss1"])
	again := r.one("hss2")
	assert.NotZero(t, again.Flags&diameter.FlagRetransmitted)
	assert.Equal(t, first.EndToEnd, again.EndToEnd)
	assert.Equal(t, []string{"mme.visited.example"}, recordsOf(again))
	r.heard("hss2", answerTo(again, "hss2.home.example", diameter.ResultSuccess))
	assert.EqualValues(t, diameter.ResultSuccess, resultIn(r.one("mme")))
	r.rest()
	assert.Equal(t, 1, r.counted("roamgate_diameter_failed_over_total", "peer", "hss1"))
	assert.Equal(t, 1, r.counted("roamgate_diameter_retransmitted_total", "peer", "hss2"))
}

// C116 and D5: the other connection of the same peer is as good as another peer.
func TestC116FailoverToTheSamePeer(t *testing.T) {
	for name, m := range map[string]*message{
		"Destination-Host": request().with(avp{diameter.DestinationHost, 0, "hss1.home.example"}),
		"by the realm":     request(),
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, nil)
			other := r.links["hss1"]
			l := r.open("hss1")
			r.heard("mme", m)
			if had := r.sentBy(other); len(had) > 0 {
				other, l = l, other
			} else {
				r.sentBy(l)
			}
			r.close(l)
			list := r.sentBy(other)
			require.Len(t, list, 1)
			assert.NotZero(t, list[0].Flags&diameter.FlagRetransmitted)
		})
	}
}

// C117 and D5: nobody else can answer where the Destination-Host was the peer that is lost, and
// where nobody else is left.
func TestC117FailoverToNobody(t *testing.T) {
	for name, c := range map[string]struct {
		m    *message
		shut []string
	}{
		"Destination-Host": {request().with(avp{diameter.DestinationHost, 0, "hss1.home.example"}), nil},
		"the last one":     {request(), []string{"hss2", "dra"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, nil)
			for _, peer := range c.shut {
				r.close(r.links[peer])
			}
			r.heard("mme", c.m)
			r.one("hss1")
			r.close(r.links["hss1"])
			assert.EqualValues(t, diameter.ResultUnableToDeliver, resultIn(r.one("mme")))
			assert.Equal(t, 1, r.counted("roamgate_diameter_refused_total", "peer", "mme", "reason", "peer_lost"))
			r.rest()
		})
	}
}

// C116 and D4: a connection that is only suspect may answer yet: whoever is first is the one, and the
// other's answer is counted.
func TestC116LateAnswers(t *testing.T) {
	for name, order := range map[string][2]string{"the old one first": {"hss1", "hss2"}, "the new one first": {"hss2", "hss1"}} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, nil)
			r.heard("mme", request())
			sent := map[string]*diameter.Message{"hss1": r.one("hss1")}
			r.suspect(r.links["hss1"])
			sent["hss2"] = r.one("hss2")
			r.heard(order[0], answerTo(sent[order[0]], order[0]+".home.example", diameter.ResultSuccess))
			assert.Equal(t, order[0]+".home.example", string(r.one("mme").Value(diameter.KnownOriginHost)))
			r.heard(order[1], answerTo(sent[order[1]], order[1]+".home.example", diameter.ResultSuccess))
			r.nothing()
			assert.Equal(t, 1, r.counted("roamgate_diameter_dropped_total", "peer", order[1], "reason", "late_answer"))
			r.rest()
		})
	}
}

// C120 and D4: answers that are nobody's change nothing.
func TestC120ForeignAnswers(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", request())
	out := r.one("hss1")
	ans := answerTo(out, "hss1.home.example", diameter.ResultSuccess)
	other := *ans
	other.HopByHop++
	r.heard("hss1", &other)
	other = *ans
	other.EndToEnd++
	r.heard("hss1", &other)
	other = *ans
	other.Command++
	r.heard("hss1", &other)
	r.heard("hss2", ans) // the right identifiers, on a connection that has not been asked
	r.nothing()
	assert.Equal(t, 1, r.counted("roamgate_diameter_dropped_total", "peer", "hss1", "reason", "late_answer"))
	assert.Equal(t, 2, r.counted("roamgate_diameter_dropped_total", "peer", "hss1", "reason", "other_end_to_end"))
	assert.Equal(t, 1, r.counted("roamgate_diameter_dropped_total", "peer", "hss2", "reason", "late_answer"))
	r.heard("hss1", ans)
	r.one("mme")
	r.rest()
}

// C120: an answer that cannot be read goes to nobody, and who asked is told so.
func TestC120MalformedAnswer(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", request())
	b := answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultSuccess).octets()
	b[diameter.HeaderLen+7] = 3
	r.lp.heard(r.links["hss1"], b)
	assert.EqualValues(t, diameter.ResultUnableToDeliver, resultIn(r.one("mme")))
	r.rest()
}

// C117 and D6: nobody answers in time. The deadline is that of the application, or the route's.
func TestC117Timeout(t *testing.T) {
	acr := request()
	acr.Command, acr.Application = diameter.Accounting, diameter.AppAccounting
	acr = acr.with(avp{diameter.AccountingRecordType, 0, uint32(2)}, avp{diameter.AccountingRecordNumber, 0, uint32(0)})
	der := request()
	der.Command, der.Application = diameter.EAP, diameter.AppEAP
	for name, c := range map[string]struct {
		m     *message
		route time.Duration
		want  time.Duration
	}{
		"S6a":        {request(), 0, 5 * time.Second},
		"EAP":        {der, 0, 10 * time.Second},
		"accounting": {acr, 0, 20 * time.Second},
		"route's":    {request(), 2 * time.Second, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, func(s *realm.Set) { s.Routes[0].Diameter.Deadline = c.route })
			r.heard("mme", c.m)
			out := r.one("hss1")
			r.pass(c.want - 200*time.Millisecond)
			r.nothing()
			r.pass(400 * time.Millisecond)
			ans := r.one("mme")
			assert.EqualValues(t, diameter.ResultUnableToDeliver, resultIn(ans))
			assert.NotZero(t, ans.Flags&diameter.FlagError)
			assert.Equal(t, c.m.HopByHop, ans.HopByHop)
			r.heard("hss1", answerTo(out, "hss1.home.example", diameter.ResultSuccess))
			r.nothing()
			r.rest()
			assert.Equal(t, 1, r.counted("roamgate_diameter_timeouts_total", "peer", "hss1"))
		})
	}
}

// C117 and D5: what a peer cannot deliver, or is too busy for, another one may; without the T
// bit, since nobody has had it. Failure codes go back as they are where nobody is left.
func TestC117Elsewhere(t *testing.T) {
	for _, result := range []uint32{diameter.ResultUnableToDeliver, diameter.ResultTooBusy} {
		r := newWalkRig(t, nil)
		r.heard("mme", request())
		for _, peer := range []string{"hss1", "hss2", "dra"} {
			out := r.one(peer)
			assert.Zero(t, out.Flags&diameter.FlagRetransmitted)
			r.heard(peer, answerTo(out, peer+".home.example", result))
		}
		ans := r.one("mme")
		assert.EqualValues(t, result, resultIn(ans))
		assert.Equal(t, "dra.home.example", string(ans.Value(diameter.KnownOriginHost)), "the last one's, as it is")
		r.rest()
	}
	for name, c := range map[string]struct {
		m      *message
		result uint32
	}{
		"Destination-Host": {request().with(avp{diameter.DestinationHost, 0, "hss1.home.example"}), diameter.ResultUnableToDeliver},
		"a host behind it": {request().with(avp{diameter.DestinationHost, 0, "far.home.example"}), diameter.ResultUnableToDeliver},
		"realm not served": {request(), diameter.ResultRealmNotServed},
		"loop":             {request(), diameter.ResultLoopDetected},
		"transient":        {request(), 4181},
		"permanent":        {request(), 5012},
		"success":          {request(), diameter.ResultSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, func(s *realm.Set) { s.Peers[1].Applications, s.Peers[2].Applications = nil, nil }) // both are agents
			r.heard("mme", c.m)
			r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", c.result))
			assert.EqualValues(t, c.result, resultIn(r.one("mme")))
			r.rest()
		})
	}
}

// C120: whoever asked is gone: the answer goes to nobody, and is counted.
func TestC120SenderGone(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", request())
	out := r.one("hss1")
	r.close(r.links["mme"])
	r.heard("hss1", answerTo(out, "hss1.home.example", diameter.ResultSuccess))
	r.nothing()
	assert.Equal(t, 1, r.counted("roamgate_diameter_dropped_total", "peer", "mme", "reason", "sender_gone"))
	r.rest()
}

// C117 and D7: a peer that takes too little is passed over, and where all do, the sender is told at
// once: nobody waits for it.
func TestC117Stalled(t *testing.T) {
	r := newWalkRig(t, nil)
	r.links["hss1"].conn.(*wire).full = true
	r.heard("mme", request())
	r.one("hss2")
	r.links["hss2"].conn.(*wire).full = true
	r.links["dra"].conn.(*wire).full = true
	r.heard("mme", request())
	assert.EqualValues(t, diameter.ResultTooBusy, resultIn(r.one("mme")))
	// And one that asks and takes nothing costs an answer, not more.
	r.links["mme"].conn.(*wire).full = true
	r.heard("mme", request())
	r.nothing()
	assert.Equal(t, 1, r.counted("roamgate_diameter_dropped_total", "peer", "mme", "reason", "sender_stalled"))
}

// C117, D7 and D8: requests that a peer has not answered are bounded, and so are they
// in all.
func TestC117InFlight(t *testing.T) {
	r := newWalkRig(t, func(s *realm.Set) {
		for i := range s.Peers {
			s.Peers[i].InFlight = 16
		}
	})
	for range 14 {
		r.heard("mme", request())
	}
	assert.Len(t, r.sent("hss1"), 14)
	r.heard("mme", request())
	r.one("hss2")
	// Those of a high priority have more of it (RFC 7944).
	r.heard("mme", request().with(avp{diameter.DRMP, 0, uint32(0)}))
	r.one("hss1")

	r = newWalkRig(t, func(s *realm.Set) { s.Peers[1].InFlight = 1000 })
	for range 300 {
		r.heard("mme", request())
	}
	assert.Len(t, r.sent("hss1"), 300)
	r.heard("mme", request())
	assert.EqualValues(t, diameter.ResultTooBusy, resultIn(r.one("mme")), "one peer alone has half of the slots")
	for range 300 {
		r.heard("mme2", request())
	}
	assert.Len(t, r.sent("hss1"), 300)
	r.heard("hss2", request().set(diameter.DestinationRealm, "visited.example"))
	assert.EqualValues(t, diameter.ResultTooBusy, resultIn(r.one("hss2")), "there are no more")
	assert.Equal(t, 1, r.counted("roamgate_diameter_refused_total", "peer", "mme", "reason", "no_slot"))
	r.close(r.links["mme"])
	r.pass(6 * time.Second)
	r.sent("mme2")
	r.rest()
}

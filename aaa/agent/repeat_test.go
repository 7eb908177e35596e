package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// retransmitted is a request with the T bit.
func retransmitted(m *message) *message {
	n := *m
	n.Flags |= diameter.FlagRetransmitted
	return &n
}

func acr(number uint32) *message {
	m := request().with(avp{diameter.AccountingRecordType, 0, uint32(2)}, avp{diameter.AccountingRecordNumber, 0, number})
	m.Command, m.Application = diameter.Accounting, diameter.AppAccounting
	return m
}

func through(m *message, hop uint32) *message {
	n := *m
	n.HopByHop = hop
	return &n
}

// D2: a repetition gets the answer of the first, by whichever connection it comes, and
// no peer sees it (RFC 6733 section 5.5.4).
func TestD2RepetitionIsAnswered(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", acr(7))
	ans := answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultSuccess)
	r.heard("hss1", ans)
	first := r.one("mme")
	r.heard("mme2", retransmitted(through(acr(7), 0x77)))
	again := r.one("mme2")
	assert.EqualValues(t, 0x77, again.HopByHop)
	assert.Equal(t, first.Raw[16:], again.Raw[16:])
	assert.Equal(t, 1, r.counted("roamgate_diameter_repeated_total", "peer", "mme2"))
	r.rest()
}

// D2: an error of the protocol is no answer to keep: whoever asks again may have more luck.
func TestD2RepetitionOfAnError(t *testing.T) {
	r := newWalkRig(t, nil)
	for _, result := range []uint32{diameter.ResultRealmNotServed, diameter.ResultSuccess} {
		r.heard("mme", retransmitted(acr(7)))
		r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", result))
		assert.Equal(t, result, resultIn(r.one("mme")))
	}
	r.rest()
}

// D2: it waits while the first is under way.
func TestD2RepetitionWaits(t *testing.T) {
	for name, end := range map[string]func(r *walkRig, m *diameter.Message) uint32{
		"answered": func(r *walkRig, m *diameter.Message) uint32 {
			r.heard("hss1", answerTo(m, "hss1.home.example", diameter.ResultSuccess))
			return diameter.ResultSuccess
		},
		"in vain": func(r *walkRig, m *diameter.Message) uint32 {
			r.pass(30 * time.Second)
			return diameter.ResultUnableToDeliver
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, nil)
			r.heard("mme", acr(7))
			out := r.one("hss1")
			r.heard("mme", retransmitted(through(acr(7), 0x12)))
			r.heard("mme2", retransmitted(through(acr(7), 0x77)))
			r.nothing()
			want := end(r, out)
			var hops []uint32
			for _, m := range append(r.sent("mme"), r.sent("mme2")...) {
				hops = append(hops, m.HopByHop)
				assert.Equal(t, want, resultIn(m))
			}
			assert.Equal(t, []uint32{0x11, 0x12, 0x77}, hops)
			r.rest()
		})
	}
}

// D2: a repetition whose connection is gone waits no more, and the first's connection may go
// as well.
func TestD2RepetitionIsGone(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", acr(7))
	out := r.one("hss1")
	r.heard("mme2", retransmitted(acr(7)))
	r.close(r.links["mme2"])
	assert.Equal(t, 1, r.lp.table.used)
	r.heard("hss1", answerTo(out, "hss1.home.example", diameter.ResultSuccess))
	r.one("mme")
	r.rest()

	r = newWalkRig(t, nil)
	r.heard("mme", acr(7))
	out = r.one("hss1")
	r.close(r.links["mme"])
	r.heard("mme2", retransmitted(acr(7)))
	r.heard("hss1", answerTo(out, "hss1.home.example", diameter.ResultSuccess))
	r.one("mme2")
	r.rest()
}

// D2: what is no repetition goes on: another number, another session, no T bit, an
// answer that was an error of the protocol, or five minutes later.
func TestD2NoRepetition(t *testing.T) {
	for name, c := range map[string]struct {
		first, second *message
		result        uint32
		later         time.Duration
	}{
		"another record":        {first: acr(7), second: retransmitted(acr(8))},
		"another session":       {first: acr(7), second: retransmitted(acr(7).set(diameter.SessionID, "mme.visited.example;9;9"))},
		"another host":          {first: acr(7), second: retransmitted(acr(7).set(diameter.OriginHost, "mme2.visited.example"))},
		"no T bit":              {first: request(), second: request()},
		"T bit, first had none": {first: request(), second: retransmitted(request())},
		"undeliverable":         {first: acr(7).with(avp{diameter.DestinationHost, 0, "hss1.home.example"}), second: retransmitted(acr(7)), result: diameter.ResultUnableToDeliver},
		"long ago":              {first: acr(7), second: retransmitted(acr(7)), later: 5*time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, nil)
			r.heard("mme", c.first)
			if c.result == 0 {
				c.result = diameter.ResultSuccess
			}
			r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", c.result))
			r.one("mme")
			r.pass(c.later)
			r.heard("mme", c.second)
			r.one("hss1")
		})
	}
	r := newWalkRig(t, nil)
	r.heard("mme", acr(7))
	r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultSuccess))
	r.one("mme")
	r.pass(4 * time.Minute)
	r.heard("mme", retransmitted(acr(7)))
	r.one("mme")
}

// D2: the memory is bounded: with more requests than it has room for, the oldest answers
// are forgotten, never one that is under way.
func TestD2RepetitionsAreBounded(t *testing.T) {
	var r repeats
	r.allot()
	raw := make([]byte, 3000)
	var keys []uint64
	for i := range uint64(repeatOctets/3000 + 1000) {
		key := mix(i+1) | 1
		e, known := r.find(key, int64(i))
		assert.False(t, known)
		raw[0] = byte(i)
		r.keep(e, raw, int64(i))
		keys = append(keys, key)
	}
	e, known := r.find(keys[0], 1e6)
	assert.True(t, !known || r.answer(e) == nil, "it is overwritten")
	last := keys[len(keys)-1]
	e, known = r.find(last, 1e6)
	assert.True(t, known)
	assert.Equal(t, byte(len(keys)-1), r.answer(e)[0])

	// A set that is full of requests under way takes no other.
	var full repeats
	full.allot()
	for i := range uint64(repeatWays) {
		e, _ := full.find(i<<1|1, 0)
		full.begin(e, uint32(i))
	}
	e, known = full.find(101, 1)
	assert.Zero(t, e)
	assert.False(t, known)
}

// D2: an answer is for the network that has asked: who writes another's Origin-Host has
// neither what was stored for it, nor what it waits for, nor does it lose its own to
// something that was put there before.
func TestD2RepetitionOfAnother(t *testing.T) {
	forged := func() *message { return retransmitted(acr(7)) }
	rig := func() *walkRig {
		return newWalkRig(t, func(set *realm.Set) { set.Peers[3].Origins = realm.NewNames([]string{"*.example"}) })
	}
	t.Run("stored", func(t *testing.T) {
		r := rig()
		r.heard("mme", acr(7))
		r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultSuccess, avp{464, 0, "keys"}))
		r.one("mme")
		r.heard("dra", forged())
		r.one("hss1") // a request like any other
	})
	t.Run("under way", func(t *testing.T) {
		r := rig()
		r.heard("mme", acr(7))
		out := r.one("hss1")
		r.heard("dra", forged())
		other := r.one("hss1")
		r.heard("hss1", answerTo(out, "hss1.home.example", diameter.ResultSuccess, avp{464, 0, "keys"}))
		r.one("mme")
		r.heard("hss1", answerTo(other, "hss1.home.example", diameter.ResultSuccess))
		r.one("dra")
		r.rest()
	})
	t.Run("poisoned", func(t *testing.T) {
		r := rig()
		r.heard("dra", forged())
		r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultSuccess))
		r.one("dra")
		r.heard("mme", retransmitted(acr(7)))
		r.one("hss1")
	})
}

// D2: repetitions that wait are among what their sender has under way, and one request
// has few of them.
func TestD2RepetitionsThatWaitAreBounded(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", acr(7))
	r.one("hss1")
	for range 10 * mostCopies {
		r.heard("mme", retransmitted(acr(7)))
	}
	assert.Equal(t, 1+mostCopies, r.lp.table.used)
	for _, m := range r.sent("mme") {
		assert.EqualValues(t, diameter.ResultTooBusy, resultIn(m))
	}
	for i := range uint32(1000) {
		r.heard("mme", acr(100+i))
		r.heard("mme", retransmitted(acr(100+i)))
	}
	assert.LessOrEqual(t, r.lp.table.used, r.lp.table.most/2)
	r.sent("mme")
	r.sent("hss1")
	r.heard("mme2", request().set(diameter.OriginHost, "mme2.visited.example"))
	r.one("hss1")
	r.pass(time.Minute)
	r.sent("mme")
	r.sent("mme2")
	r.rest()
}

// D2: what we had to say ourselves is no answer to keep: the next try may have more luck.
func TestD2ErrorOfOursIsNotKept(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeHome)
	r.heard("mme", accounts(recordStart, 0))
	b := r.lp.ledger.recs
	r.lp.ledger.recs, b.Err = nil, spool.ErrNoSpace
	r.lp.ledger.spooled(b)
	assert.EqualValues(t, diameter.ResultOutOfSpace, r.result("mme"))
	r.heard("mme", retransmitted(accounts(recordStart, 0)))
	r.nothing()
	r.round()
	assert.Len(t, r.records(), 1)
	r.one("hss1")
}

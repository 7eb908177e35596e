package aaa

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// FuzzWalk hands any octets to every way into a shard: as they are, as the
// attributes of signed requests of each kind, and as those of an authentic
// answer. Nothing panics, and when all time is over nothing is left.
func FuzzWalk(f *testing.F) {
	for _, m := range malformations() {
		f.Add(m.b)
	}
	for _, b := range [][]byte{papRequest, eapRequest, accept, challenge, stopOf, tlv(79, ""), tlv(33, "rg0123456789ab", 1, "bob@a.iot.example", 2, "x"), tlv(69, "", 69, "\x01\x80\x01", 26, vsa(311, 16, "\x80"))} {
		f.Add(b)
	}
	h := newHot(f, true)
	f.Fuzz(func(t *testing.T, b []byte) {
		h.t = t
		h.fuzz(b)
		require.Zero(t, h.shard.slab.used)
		require.Zero(t, h.shard.wheel.Len())
		require.Zero(t, h.shard.ids.InUse())
		require.Zero(t, h.shard.ids.Counters().Misused)
	})
}

func (h *hot) fuzz(b []byte) {
	s := h.shard
	for _, code := range []radius.Code{radius.AccessAccept, radius.AccessReject, radius.AccessChallenge} {
		h.ask(papRequest)
		h.answerTo(h.inFlight(), code, b)
		if s.slab.used > 0 { // the octets made it no answer
			h.answerTo(h.inFlight(), code, nil)
		}
	}
	s.reply(0, b, h.home[0])
	for _, front := range s.fronts {
		s.receive(front, b, h.from, udp.LocalInfo{})
	}
	for _, code := range []radius.Code{radius.AccessRequest, radius.StatusServer, radius.AccountingRequest} {
		front := listen.Auth
		w := h.begin(code)
		if code == radius.StatusServer {
			w.Start(h.buf[:], code, 1, true)
		}
		w.Raw(b)
		signed := w.SignRequest(h.crypt, h.in)
		if code == radius.AccountingRequest {
			front, signed = listen.Acct, w.SignAccounting(h.crypt, h.in)
		}
		s.receive(s.fronts[front], signed, h.from, udp.LocalInfo{})
	}
	if s.recs != nil {
		done := s.recs
		s.recs = nil
		s.spooled(done)
	}
	h.pass(dedupTTL)
	h.forgetOwed()
}

package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// homeState is the State of a request, and gives one back with a result.
func homeState(t *testing.T, m *diameter.Message) string {
	t.Helper()
	var a diameter.AVP
	if !diameter.Find(m.Body(), uint32(radius.State), 0, &a) {
		return ""
	}
	return string(a.Data)
}

// round has a NAS ask with a State, and the home answer with one; what the NAS gets.
func (b *bench) round(state, want, home string, result uint32) (p *radius.Packet, session string) {
	b.t.Helper()
	attrs := []string{bob, ap}
	if state != "" {
		attrs = append(attrs, attribute(radius.State, state))
	}
	b.request(radius.AccessRequest, attrs...)
	b.step(0)
	asked := b.messages()
	require.Len(b.t, asked, 1)
	assert.Equal(b.t, want, homeState(b.t, asked[0]))
	b.says(func(w *diameter.Writer, room []byte) {
		w.Answer(room, asked[0], &diameter.Answer{Result: result, Host: "aaa.home.example", Realm: "home.example"})
		if home != "" {
			w.String(uint32(radius.State), 0, must, home)
		}
		if result == diameter.ResultSuccess {
			w.Uint32(291, 0, must, 600)
		}
	})
	b.step(0)
	all := b.packets(b.line)
	require.Len(b.t, all, 1)
	return all[0], string(asked[0].Value(diameter.KnownSessionID))
}

func stateOf(p *radius.Packet) string {
	v, _ := p.First(radius.State)
	return string(v)
}

// C123: a State of the home that no attribute holds is kept for the next round, and as
// long as one is due.
func TestC123LongState(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 8})
	long, longer := strings.Repeat("s", 400), strings.Repeat("t", longestState)
	one, session := b.round("", "", long, diameter.ResultMultiRoundAuth)
	require.Equal(t, radius.AccessChallenge, one.Code())
	assert.Equal(t, len(long), b.g.sessions.kept)
	two, same := b.round(stateOf(one), long, longer, diameter.ResultMultiRoundAuth)
	assert.Equal(t, session, same)
	assert.Equal(t, len(longer), b.g.sessions.kept)
	three, _ := b.round(stateOf(two), longer, "short", diameter.ResultMultiRoundAuth)
	assert.Zero(t, b.g.sessions.kept)
	four, _ := b.round(stateOf(three), "short", "", diameter.ResultMultiRoundAuth)
	five, _ := b.round(stateOf(four), "", longer+"t", diameter.ResultMultiRoundAuth)
	assert.Equal(t, radius.AccessReject, five.Code(), "nothing is longer")
	b.counts(0, 0)

	one, _ = b.round("", "", long, diameter.ResultMultiRoundAuth)
	require.Equal(t, radius.AccessChallenge, one.Code())
	b.step(time.Duration(beginning) + time.Second)
	b.counts(0, 0)
	assert.Zero(t, b.g.sessions.kept)
}

// C123: what is kept of States is bounded over all sessions.
func TestC123LongStatesOfMany(t *testing.T) {
	b := newBench(t, Config{Sessions: 1 << 16, InFlight: 8})
	long := strings.Repeat("s", longestState)
	n := 0
	for ; n <= mostState/longestState; n++ {
		if p, _ := b.round("", "", long, diameter.ResultMultiRoundAuth); p.Code() != radius.AccessChallenge {
			break
		}
	}
	assert.Equal(t, mostState/longestState, n)
	p, _ := b.round("", "", "short", diameter.ResultMultiRoundAuth)
	assert.Equal(t, radius.AccessChallenge, p.Code())
}

// C123: a NAS that has a session authorised anew does so in that session, with the State
// of its home.
func TestC123AuthorisedAnew(t *testing.T) {
	for _, home := range []string{"", "S7", strings.Repeat("s", 400)} {
		b := newBench(t, Config{Sessions: 8, InFlight: 8})
		first, session := b.round("", "", home, diameter.ResultSuccess)
		require.Equal(t, radius.AccessAccept, first.Code())
		action, _ := first.Uint32(radius.TerminationAction)
		assert.EqualValues(t, 1, action)
		again, same := b.round(stateOf(first), home, home, diameter.ResultSuccess)
		assert.Equal(t, radius.AccessAccept, again.Code())
		assert.Equal(t, session, same)
		b.counts(1, 0)

		last, _ := b.round(stateOf(again), home, "", diameter.ResultMultiRoundAuth)
		assert.Equal(t, radius.AccessChallenge, last.Code())
		b.step(time.Duration(beginning) + time.Second)
		b.counts(1, 0) // who says no more goes on with what it has
	}
}

// C123: an answer that speaks of another session says nothing of ours: it grants nothing,
// acknowledges nothing and ends nothing. One that names none belongs to its request.
func TestC123AnswerOfAnotherSession(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 8})
	foreign := func(m *diameter.Message, name string) {
		t.Helper()
		b.says(func(w *diameter.Writer, room []byte) {
			w.Begin(room, &diameter.Header{Flags: diameter.FlagProxiable, Command: m.Command, Application: m.Application, HopByHop: m.HopByHop, EndToEnd: m.EndToEnd})
			if name != "" {
				w.String(diameter.SessionID, 0, must, name)
			}
			w.Uint32(diameter.ResultCode, 0, must, diameter.ResultSuccess)
			w.String(diameter.OriginHost, 0, must, "aaa.home.example")
			w.String(diameter.OriginRealm, 0, must, "home.example")
		})
		b.step(0)
	}
	b.request(radius.AccessRequest, bob, ap)
	b.step(0)
	foreign(b.messages()[0], "hub.example;1;1")
	b.rejected(502)
	b.counts(0, 0)

	session, class := b.granted()
	b.request(radius.AccountingRequest, bob, ap, begun, class, attribute(radius.AcctSessionID, "s-1"))
	b.step(0)
	foreign(b.messages()[0], session+"0")
	all := b.packets(b.line)
	require.Len(t, all, 1)
	assert.Equal(t, radius.ProtocolError, all[0].Code())
	cause, _ := all[0].Uint32(radius.ErrorCause)
	assert.EqualValues(t, 506, cause, "it comes again")
	b.request(radius.AccountingRequest, bob, ap, begun, class, attribute(radius.AcctSessionID, "s-1"))
	b.step(0)
	foreign(b.messages()[0], "")
	assert.Equal(t, radius.AccountingResponse, b.packets(b.line)[0].Code())

	b.request(radius.AccountingRequest, ap, on)
	b.step(0)
	foreign(b.messages()[0], session+"0")
	assert.Empty(t, b.packets(b.line))
	b.counts(1, 0)
	assert.EqualValues(t, 3, b.stats.Value("roamgate_gateway_refused_total", "direction", "to_diameter", "reason", "other_session"))
}

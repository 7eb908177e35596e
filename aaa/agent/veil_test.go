package agent

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// newVeiledRig hides names from the HSSes.
func newVeiledRig(t testing.TB) *walkRig {
	return newWalkRig(t, func(s *realm.Set) {
		s.Peers[1].HideTopology, s.Peers[2].HideTopology = true, true
	})
}

func value(t testing.TB, m *diameter.Message, code uint32) string {
	t.Helper()
	var a diameter.AVP
	require.True(t, diameter.Find(m.Body(), code, 0, &a), code)
	return string(a.Data)
}

// TestVeil has a request of a hidden node go to a home, its answer come back, and the
// home begin a session of its own with that node (D57).
func TestVeil(t *testing.T) {
	r := newVeiledRig(t)
	r.heard("mme", request())
	out := r.one("hss1")
	host := value(t, out, diameter.OriginHost)
	assert.NotContains(t, string(out.Raw), "mme")
	assert.True(t, strings.HasSuffix(host, ".visited.example"))
	assert.Equal(t, "visited.example", value(t, out, diameter.OriginRealm))
	assert.Equal(t, host+";1;2", value(t, out, diameter.SessionID))
	assert.Equal(t, host, value(t, out, diameter.RouteRecord))

	r.heard("hss1", answerTo(out, "hss1.home.example", diameter.ResultSuccess))
	back := r.one("mme")
	assert.Equal(t, "mme.visited.example;1;2", value(t, back, diameter.SessionID))
	assert.EqualValues(t, 0x11, back.HopByHop)

	clr := request().set(diameter.SessionID, "hss1.home.example;7;7").set(diameter.OriginHost, "hss1.home.example").
		set(diameter.OriginRealm, "home.example").set(diameter.DestinationRealm, "visited.example").set(diameter.DestinationHost, host)
	clr.Command = diameter.CancelLocation
	r.heard("hss1", clr)
	in := r.one("mme")
	assert.Equal(t, "mme.visited.example", value(t, in, diameter.DestinationHost))
	r.heard("mme", answerTo(in, "mme.visited.example", diameter.ResultSuccess))
	cla := r.one("hss1")
	assert.Equal(t, "hss1.home.example;7;7", value(t, cla, diameter.SessionID))
	assert.Equal(t, host, value(t, cla, diameter.OriginHost), "the pseudonym that it knows")
	r.rest()
}

// TestVeiledLoop has a request come back with our name among its pseudonyms (D57).
func TestVeiledLoop(t *testing.T) {
	r := newVeiledRig(t)
	r.heard("mme", request())
	out := r.one("hss1")
	host := value(t, out, diameter.OriginHost)
	loop := request().set(diameter.SessionID, host+";1;2").set(diameter.OriginHost, host).
		with(avp{diameter.RouteRecord, 0, host}, avp{diameter.RouteRecord, 0, agentIdentity})
	r.heard("hss2", loop)
	answer := r.one("hss2")
	v, _ := answer.Uint32(diameter.KnownResultCode)
	assert.EqualValues(t, diameter.ResultLoopDetected, v)
	assert.Equal(t, host+";1;2", value(t, answer, diameter.SessionID), "also what we say ourselves has pseudonyms")
}

// TestVeilTooLong has a name that no pseudonym has room for: it goes nowhere.
func TestVeilTooLong(t *testing.T) {
	r := newVeiledRig(t)
	r.heard("mme", request().with(avp{diameter.RouteRecord, 0, strings.Repeat("n", 200) + ".visited.example"}))
	assert.Empty(t, r.sent("hss1"))
	assert.Equal(t, 1, r.counted(droppedSeries.name, "peer", "hss1", "reason", TooLong.String()))
}

func TestVeilAllocs(t *testing.T) {
	r := newVeiledRig(t)
	b := request().octets()
	l, w := r.links["mme"], r.links["hss1"].conn.(*wire)
	r.lp.heard(l, b)
	raw := w.out[0]
	out := r.links["hss1"]
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if room := out.room(len(b)); room == nil || copy(room, b) != len(b) || out.hidden(len(b)) == 0 {
			t.Error("no room")
		}
		if len(out.unveiled(raw)) == len(raw) {
			t.Error("nothing restored")
		}
	}))
}

// TestVeiledErrors has a home ask about pseudonyms that it has seen, in requests that are
// answered with what is wrong of them: the answer says nothing more than it knew (D57).
func TestVeiledErrors(t *testing.T) {
	r := newVeiledRig(t)
	r.heard("mme", request())
	host := value(t, r.one("hss1"), diameter.OriginHost)
	two := request().set(diameter.SessionID, "hss1.home.example;7;7").set(diameter.OriginHost, "hss1.home.example").
		set(diameter.OriginRealm, "home.example").set(diameter.DestinationRealm, "visited.example").
		with(avp{diameter.DestinationHost, 0, host}, avp{diameter.DestinationHost, 0, host})
	r.heard("hss1", two)
	answer := r.one("hss1")
	assert.EqualValues(t, 5009, resultIn(answer))
	assert.NotContains(t, string(answer.Raw), "mme")
	var a diameter.AVP
	require.True(t, diameter.Find(answer.Body(), diameter.FailedAVP, 0, &a))
	require.True(t, diameter.Find(a.Data, diameter.DestinationHost, 0, &a))
	assert.Equal(t, host, string(a.Data))
}

package diameter_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
)

func named(t testing.TB, name string) []byte {
	t.Helper()
	for _, v := range vectors(t) {
		if v.Name == name {
			return v.Raw
		}
	}
	require.Fail(t, "no such vector", name)
	return nil
}

// relay is what an agent does to a request: a look, a copy, another Hop-by-Hop
// Identifier, Route-Record.
func relay(m *diameter.Message, w *diameter.Writer, room, raw []byte) []byte {
	if n, fault := diameter.Frame(raw); n != len(raw) || fault != diameter.NoFault || m.Parse(raw) != diameter.NoFault || m.Visited("hub.example") {
		return nil
	}
	w.Copy(room, raw)
	w.String(diameter.RouteRecord, 0, diameter.AVPMandatory, "relay.visited.example")
	out := w.Finish()
	diameter.SetHopByHop(out, 4711)
	return out
}

func TestAllocs(t *testing.T) {
	ulr, seen := named(t, "ULR"), named(t, "a request that other agents have seen")
	deep, cut := nested(t, 17), named(t, "D011 AVP length 0")
	room := make([]byte, 4096)
	var m diameter.Message
	var w diameter.Writer
	var a diameter.AVP
	for name, f := range map[string]func(){
		"relay":        func() { require.NotNil(t, relay(&m, &w, room, ulr)) },
		"Route-Record": func() { require.NotNil(t, relay(&m, &w, room, seen)) },
		"edit": func() {
			m.Parse(seen)
			w.Copy(room, seen)
			at, end := m.Span(diameter.KnownProxyInfo)
			w.Cut(at, end)
			at, _ = m.Span(diameter.KnownOriginHost)
			w.Replace(at, []byte("hidden.example"))
			assert.NotNil(t, w.Finish())
		},
		"answer": func() {
			m.Parse(cut)
			w.Answer(room, &m, &diameter.Answer{Result: 5014, Host: "hub.example", Realm: "example", Text: "no", Failed: m.Failed})
			assert.NotNil(t, w.Finish())
		},
		"too deep": func() { assert.Equal(t, diameter.TooDeep, m.Parse(deep)) },
		"find": func() {
			assert.True(t, diameter.Find(ulr[diameter.HeaderLen:], diameter.TGPPVisitedPLMNID, diameter.Vendor3GPP, &a))
		},
	} {
		assert.Zero(t, testing.AllocsPerRun(200, f), name)
	}
}

func BenchmarkHotParse(b *testing.B) {
	raw := named(b, "ULR")
	var m diameter.Message
	b.ReportAllocs()
	for b.Loop() {
		m.Parse(raw)
	}
}

func BenchmarkHotRelay(b *testing.B) {
	raw := named(b, "ULR")
	room := make([]byte, 4096)
	var m diameter.Message
	var w diameter.Writer
	b.ReportAllocs()
	for b.Loop() {
		relay(&m, &w, room, raw)
	}
}

func BenchmarkHotAnswer(b *testing.B) {
	raw := named(b, "ULA")
	var m diameter.Message
	b.ReportAllocs()
	for b.Loop() {
		m.Parse(raw)
	}
}

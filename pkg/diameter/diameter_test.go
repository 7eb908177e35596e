package diameter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func request(t testing.TB, add func(w *Writer)) []byte {
	t.Helper()
	var w Writer
	w.Begin(make([]byte, MaxLen), &Header{Flags: FlagRequest | FlagProxiable, Command: UpdateLocation, Application: AppS6a, HopByHop: 1, EndToEnd: 2})
	add(&w)
	b := w.Finish()
	require.NotNil(t, b)
	return b
}

func origin(w *Writer) {
	w.String(SessionID, 0, AVPMandatory, "mme.visited.example;1;2")
	w.String(OriginHost, 0, AVPMandatory, "mme.visited.example")
	w.String(OriginRealm, 0, AVPMandatory, "visited.example")
}

func TestEdit(t *testing.T) {
	raw := request(t, func(w *Writer) {
		origin(w)
		g := w.Group(ProxyInfo, 0, AVPMandatory)
		w.String(ProxyHost, 0, AVPMandatory, "a.example")
		w.End(g)
		w.String(UserName, 0, AVPMandatory, "001010000000001")
	})
	var m Message
	require.Equal(t, NoFault, m.Parse(raw))

	var w Writer
	w.Copy(make([]byte, 4096), raw)
	assert.Equal(t, raw, w.Finish(), "a copy")

	at, _ := m.Span(KnownOriginHost)
	w.Replace(at, []byte("a-longer.name.visited.example"))
	w.String(RouteRecord, 0, AVPMandatory, "hub.example")
	cut, end := m.Span(KnownProxyInfo)
	grown := len(w.Finish()) - len(raw)
	assert.Equal(t, 12+20, grown)
	w.Cut(cut+12, end+12)
	var edited Message
	require.Equal(t, NoFault, edited.Parse(w.Finish()))
	assert.Equal(t, "a-longer.name.visited.example", string(edited.Value(KnownOriginHost)))
	assert.Equal(t, "visited.example", string(edited.Value(KnownOriginRealm)))
	assert.Equal(t, "001010000000001", string(edited.Value(KnownUserName)))
	assert.False(t, edited.Has(KnownProxyInfo))
	assert.True(t, edited.Visited("HUB.example"))
	assert.False(t, edited.Visited("hub.exampl"))

	at, _ = edited.Span(KnownOriginHost)
	w.Replace(at, []byte("mme.visited.example"))
	require.Equal(t, NoFault, edited.Parse(w.Finish()))
	assert.Equal(t, "mme.visited.example", string(edited.Value(KnownOriginHost)))
}

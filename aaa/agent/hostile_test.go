package agent

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/judge"
	"github.com/roamgate/roamgate/test/mutation"
)

// hostileRig is a hub between a visited network and a home, with all that it has for
// messages: connections, the peer machine and the walk.
type hostileRig struct {
	*rig
	visited, home *fake
	serial        uint32
	forwarded     int
	refused       map[uint32]int // by Result-Code
	ignored       int
}

func newHostileRig(t *testing.T) *hostileRig {
	set := peersOf("visited", "home")
	set.Pools = []realm.Pool{
		{Name: "home", Diameter: true, Balance: realm.BalanceFirst, Members: []realm.Member{{Home: 1, Weight: 1}}},
		{Name: "visited", Diameter: true, Balance: realm.BalanceFirst, Members: []realm.Member{{Home: 0, Weight: 1}}},
	}
	set.Routes = []realm.Route{
		{Realm: "home", Auth: -1, Acct: -1, Diameter: &realm.DiameterRoute{Action: realm.DiameterProxy, Pool: 0}},
		{Realm: "visited", Index: 1, Auth: -1, Acct: -1, Diameter: &realm.DiameterRoute{Action: realm.DiameterProxy, Pool: 1}},
	}
	set.Table = realm.NewTable(set.Routes)
	r := &hostileRig{rig: newRig(t, set, nil), refused: map[uint32]int{}}
	r.visited, r.home = r.peer("visited"), r.peer("home")
	r.visited.garbage, r.home.garbage = true, true
	return r
}

// valid gives the good messages of the vectors, as if the peers of the rig had made them.
func valid(t testing.TB, request bool) (list []dict.Vector) {
	t.Helper()
	text, err := os.ReadFile("../../test/vectors/diameter/valid.txt")
	require.NoError(t, err)
	all, err := dict.Vectors(string(text))
	require.NoError(t, err)
	for _, v := range all {
		var m diameter.Message
		require.Equal(t, diameter.NoFault, m.Parse(v.Raw))
		if m.Request() != request || isBase(v.Raw) {
			continue
		}
		var w diameter.Writer
		w.Copy(make([]byte, len(v.Raw)+64), v.Raw)
		from := "visited"
		if !request {
			from = "home"
		}
		set := func(k diameter.Known, value string) {
			var now diameter.Message
			now.Parse(w.Finish())
			if at, _ := now.Span(k); at != 0 {
				w.Replace(at, []byte(value))
			}
		}
		set(diameter.KnownOriginHost, from+".example")
		set(diameter.KnownOriginRealm, from)
		set(diameter.KnownDestinationHost, "home.example")
		set(diameter.KnownDestinationRealm, "home")
		v.Raw = w.Finish()
		list = append(list, v)
	}
	require.NotEmpty(t, list)
	return list
}

// mark gives a message identifiers that no other has.
func (r *hostileRig) mark(raw []byte) []byte {
	r.serial++
	diameter.SetHopByHop(raw, r.serial)
	diameter.SetEndToEnd(raw, r.serial|0x5000_0000)
	return raw
}

// answerOf makes the answer of the home to what the hub has sent to it.
func answerOf(raw []byte) []byte {
	var m diameter.Message
	m.Parse(raw)
	var w diameter.Writer
	w.Answer(make([]byte, diameter.MaxLen), &m, &diameter.Answer{Result: diameter.ResultSuccess, Host: "home.example", Realm: "home"})
	return w.Finish()
}

// settled sees that all is as before: both links are there, and nothing is under way.
func (r *hostileRig) settled(name string) {
	require.True(r.t, r.node("visited").able() && !r.visited.gone(), "%s: the link of the sender is lost: %v", name, r.logs.All())
	require.True(r.t, r.node("home").able() && !r.home.gone(), "%s: the link of the home is lost: %v", name, r.logs.All())
	require.Zero(r.t, r.lp.table.used, "%s: it is still under way", name)
}

// request sends a request and follows it to its end.
func (r *hostileRig) request(name string, raw []byte) {
	raw = r.mark(raw)
	var sent diameter.Message
	fault := sent.Parse(raw)
	r.visited.send(raw)
	r.step()
	relayed, back := r.home.take(), r.visited.take()
	if len(relayed) > 0 {
		require.Len(r.t, relayed, 1, name)
		require.Empty(r.t, back, name)
		require.Equal(r.t, diameter.NoFault, fault, "%s is forwarded", name)
		require.Equal(r.t, raw[diameter.HeaderLen:], relayed[0][diameter.HeaderLen:len(raw)], "%s: it goes on as it came", name)
		r.forwarded++
		r.home.send(answerOf(relayed[0]))
		r.step()
		back = r.visited.take()
	} else if len(back) > 0 {
		judge.Collect(back[0]) // all of it is ours
	} else {
		require.False(r.t, sent.Request(), "%s: nobody answers", name)
		r.ignored++
		return
	}
	require.Len(r.t, back, 1, name)
	var m diameter.Message
	require.Equal(r.t, diameter.NoFault, m.Parse(back[0]), name)
	require.Equal(r.t, sent.HopByHop, m.HopByHop, name)
	require.Equal(r.t, sent.EndToEnd, m.EndToEnd, name)
	require.Equal(r.t, sent.Command, m.Command, name)
	require.False(r.t, m.Request(), name)
	result := resultOf(&m)
	if fault != diameter.NoFault {
		require.Equal(r.t, fault.Result(), result, "%s: %s", name, fault)
	}
	require.NotEqual(r.t, dict.ResultName(0, result), dict.Value(dict.Attr{Type: dict.Unsigned32}, []byte{byte(result >> 24), byte(result >> 16), byte(result >> 8), byte(result)}), "%s: %d is no result", name, result)
	require.Equal(r.t, result/1000 == 3, m.Flags&diameter.FlagError != 0, "%s: the E bit is that of a protocol error", name)
	r.refused[result]++
}

// Every mutation of every command goes to its peer as it came, or is answered with what
// is due; no link is lost, and nothing is left behind.
func TestHostileRequests(t *testing.T) {
	r := newHostileRig(t)
	good := valid(t, true)
	for _, v := range good {
		before := r.forwarded
		r.request(v.Name, v.Raw)
		require.Equal(t, before+1, r.forwarded, "%s as it is: %v", v.Name, r.refused)
		mutation.Each(v.Raw, func(name string, raw []byte) bool {
			name = v.Name + ": " + name
			r.request(name, raw)
			r.settled(name)
			return true
		})
		before = r.forwarded
		r.request(v.Name, v.Raw)
		require.Equal(t, before+1, r.forwarded, "%s after all of it", v.Name)
	}
	t.Log(r.forwarded, r.ignored, r.refused)
	for _, due := range []uint32{3003, 3007, 3008, 5004, 5005, 5009, 5014} {
		assert.Positive(t, r.refused[due], "%d", due)
	}
}

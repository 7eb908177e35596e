package agent

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

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
	answer        diameter.Message // the last one of the hub's own
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
		from := "visited"
		if !request {
			from = "home"
		}
		v.Raw = mutation.Readdress(v.Raw, from+".example", from, "home.example", "home")
		list = append(list, v)
	}
	require.NotEmpty(t, list)
	return list
}

// mutations gives those of a message; with the race detector, which makes them ten times
// as dear, one in nine.
func mutations(raw []byte, f func(name string, raw []byte) bool) {
	rnd := rand.New(rand.NewPCG(uint64(len(raw)), 9)) // every ninth would be the same kind each time
	mutation.Each(raw, func(name string, raw []byte) bool {
		return raced && rnd.IntN(9) != 0 || f(name, raw)
	})
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

// again connects the visited network once more. A connection that was lost proves itself
// by watchdogs before it is used (RFC 3539).
func (r *hostileRig) again() {
	r.visited.Close()
	r.step()
	f := r.come("visited")
	f.garbage = true
	f.introduce()
	r.after(3 * time.Minute)
	f.take()
	require.True(r.t, r.node("visited").able(), "%v", r.logs.All())
	r.fakes = []*fake{r.home, f}
	r.visited = f
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
	m := &r.answer
	require.Equal(r.t, diameter.NoFault, m.Parse(back[0]), name)
	require.Equal(r.t, sent.HopByHop, m.HopByHop, name)
	require.Equal(r.t, sent.EndToEnd, m.EndToEnd, name)
	require.Equal(r.t, sent.Command, m.Command, name)
	require.False(r.t, m.Request(), name)
	result := resultOf(m)
	if fault != diameter.NoFault {
		require.Equal(r.t, fault.Result(), result, "%s: %s", name, fault)
	}
	require.NotEqual(r.t, dict.ResultName(0, result), dict.Value(dict.Attr{Type: dict.Unsigned32}, []byte{byte(result >> 24), byte(result >> 16), byte(result >> 8), byte(result)}), "%s: %d is no result", name, result)
	require.Equal(r.t, result/1000 == 3, m.Flags&diameter.FlagError != 0, "%s: the E bit is that of a protocol error", name)
	r.refused[result]++
}

// D43: Every mutation of every command goes to its peer as it came, or is answered with what
// is due; no link is lost, and nothing is left behind.
func TestHostileRequests(t *testing.T) {
	r, due := newHostileRig(t), 0
	good := valid(t, true)
	for _, v := range good {
		before := r.forwarded
		r.request(v.Name, v.Raw)
		require.Equal(t, before+1, r.forwarded, "%s as it is: %v", v.Name, r.refused)
		mutations(v.Raw, func(name string, raw []byte) bool {
			result, failed := mutation.Due(name)
			name = v.Name + ": " + name
			r.answer.Raw = nil
			r.request(name, raw)
			if result != 0 {
				require.NotNil(t, r.answer.Raw, "%s: %d is due", name, result)
				require.Equal(t, result, resultOf(&r.answer), name)
				due++
			}
			if failed != 0 {
				var group, in diameter.AVP
				require.True(t, diameter.Find(r.answer.Body(), diameter.FailedAVP, 0, &group), "%s: Failed-AVP is missing", name)
				c := group.Group()
				require.True(t, c.Next(&in), "%s: Failed-AVP is empty", name)
				require.Equal(t, failed, in.Code, "%s: another has failed", name)
			}
			r.settled(name)
			return true
		})
		before = r.forwarded
		r.request(v.Name, v.Raw)
		require.Equal(t, before+1, r.forwarded, "%s after all of it", v.Name)
	}
	t.Log(r.forwarded, r.ignored, due, r.refused)
	for _, result := range []uint32{3003, 3007, 3008, 5004, 5005, 5009, 5014} {
		assert.Positive(t, r.refused[result], "%d", result)
	}
	if !raced {
		assert.Greater(t, due, 3000)
	}
}

// D44: Answers of the home with anything wrong: whoever asked gets one answer, and no link is
// lost. A bad answer is as none (3002), because it says nothing that could be passed on.
func TestHostileAnswers(t *testing.T) {
	var r *hostileRig
	ask := valid(t, true)
	byCommand := map[uint32][]byte{}
	for _, v := range ask {
		byCommand[diameter.ReadHeader(v.Raw).Command] = v.Raw
	}
	passed, replaced := 0, map[uint32]int{}
	for _, v := range valid(t, false) {
		r = newHostileRig(t) // what an answer says of overload is for what follows, too
		raw := byCommand[diameter.ReadHeader(v.Raw).Command]
		require.NotNil(t, raw, v.Name)
		mutations(v.Raw, func(name string, bad []byte) bool {
			name = v.Name + ": " + name
			if v.Name == "an answer with overload and load reports" {
				r = newHostileRig(t) // an overload report is for what follows, too
			}
			r.visited.send(r.mark(raw))
			r.step()
			relayed := r.home.take()
			require.Len(t, relayed, 1, name)
			asked := diameter.ReadHeader(relayed[0])
			diameter.SetHopByHop(bad, asked.HopByHop)
			diameter.SetEndToEnd(bad, asked.EndToEnd)
			r.home.send(bad)
			r.step()
			back := r.visited.take()
			if len(back) == 0 { // it answers something else, or it is no answer
				h := diameter.ReadHeader(bad)
				require.True(t, h.Request() || h.Command != asked.Command || isBase(bad), "%s: nobody answers", name)
				r.home.take()
				r.home.send(answerOf(relayed[0]))
				r.step()
				back = r.visited.take()
			}
			require.Len(t, back, 1, name)
			var m diameter.Message
			require.Equal(t, diameter.NoFault, m.Parse(back[0]), name)
			require.Equal(t, r.serial, m.HopByHop, name)
			require.Equal(t, r.serial|0x5000_0000, m.EndToEnd, name)
			if len(back[0]) == len(bad) && string(back[0][diameter.HeaderLen:]) == string(bad[diameter.HeaderLen:]) {
				passed++
			} else {
				replaced[resultOf(&m)]++
			}
			r.settled(name)
			return true
		})
	}
	t.Log(passed, replaced)
	assert.Greater(t, passed, 100)
	assert.Positive(t, replaced[diameter.ResultUnableToDeliver])
}

// D45: The peer machine's own commands, on a link that is open. What is wrong with a
// disconnection does not count: whoever says it may go.
func TestHostileBase(t *testing.T) {
	r := newHostileRig(t)
	text, err := os.ReadFile("../../test/vectors/diameter/valid.txt")
	require.NoError(t, err)
	all, err := dict.Vectors(string(text))
	require.NoError(t, err)
	r.visited.auto = false
	lost := 0
	for _, v := range all {
		if !isBase(v.Raw) {
			continue
		}
		mutations(v.Raw, func(name string, raw []byte) bool {
			name = v.Name + ": " + name
			h := diameter.ReadHeader(raw)
			r.visited.send(r.mark(raw))
			r.step()
			back := r.visited.take()
			for _, b := range back {
				var m diameter.Message
				require.Equal(t, diameter.NoFault, m.Parse(b), name)
				if m.Request() {
					continue // a watchdog of the hub
				}
				judge.Collect(b)
				require.Equal(t, r.serial, m.HopByHop, name)
				require.Equal(t, r.serial|0x5000_0000, m.EndToEnd, name)
			}
			r.home.take()
			if isBase(raw) && h.Command == diameter.DisconnectPeer && h.Request() || r.visited.gone() || !r.node("visited").able() {
				require.True(t, isBase(raw) && h.Command == diameter.DisconnectPeer, "%s: the link is lost: %v", name, r.logs.All())
				lost++
				r.again()
				r.visited.auto = false
			}
			require.True(t, r.node("home").able(), name)
			return true
		})
	}
	t.Log(lost)
	r.visited.auto = true
	r.request("after all of it", valid(t, true)[0].Raw)
	assert.Equal(t, 1, r.forwarded)
}

// D45: A capabilities exchange with anything wrong: the connection may be refused, and the
// door stays open for the next one.
func TestHostileCapabilities(t *testing.T) {
	r := newHostileRig(t)
	r.visited.Close()
	r.step()
	accepted, refused := 0, map[uint32]int{}
	good := r.visited.cer()
	mutations(good, func(name string, raw []byte) bool {
		f := r.come("visited")
		f.garbage = true
		f.send(r.mark(append([]byte{}, raw...)))
		r.step()
		for _, b := range f.take() {
			var m diameter.Message
			require.Equal(t, diameter.NoFault, m.Parse(b), name)
			if m.Command != diameter.CapabilitiesExchange || m.Request() {
				continue
			}
			judge.Collect(b)
			if result := resultOf(&m); result == diameter.ResultSuccess {
				accepted++
			} else {
				refused[result]++
			}
		}
		f.Close()
		r.step()
		r.fakes = r.fakes[:2]
		return true
	})
	t.Log(accepted, refused)
	assert.Positive(t, accepted)
	assert.Positive(t, refused[diameter.ResultInvalidAVPLength])
	r.again()
	r.request("after all of it", valid(t, true)[0].Raw)
	assert.Equal(t, 1, r.forwarded)
	require.True(t, r.node("home").able())
}

// D40: A18: where the frame is lost the link is, and nothing else.
func TestHostileFrames(t *testing.T) {
	r := newHostileRig(t)
	good := valid(t, true)[0].Raw
	for _, head := range mutation.Unframed() {
		r.visited.send(r.mark(append([]byte{}, good...)), head)
		r.step()
		require.Len(t, r.home.take(), 1, "what came before it counts")
		require.False(t, r.node("visited").able(), "%x", head)
		require.True(t, r.visited.gone(), "%x", head)
		require.True(t, r.node("home").able(), "%x", head)
		r.again()
	}
	before := r.forwarded
	r.request("after all of it", good)
	assert.Equal(t, before+1, r.forwarded)
}

// D40: D006, D007: another version is answered with 5011, and then the link is closed.
func TestHostileVersions(t *testing.T) {
	r := newHostileRig(t)
	for _, version := range []byte{0, 2, 255} {
		raw := r.mark(append([]byte{}, valid(t, true)[0].Raw...))
		raw[0] = version
		r.visited.send(raw)
		r.step()
		require.EqualValues(t, diameter.ResultUnsupportedVersion, r.visited.result(), "%d", version)
		require.True(t, r.visited.gone(), "%d", version)
		r.again()
	}
}

// D46: The vectors of bad messages, against the hub: the rows of the catalogue by their names.
func TestHostileCatalogue(t *testing.T) {
	text, err := os.ReadFile("../../test/vectors/diameter/malformed.txt")
	require.NoError(t, err)
	all, err := dict.Vectors(string(text))
	require.NoError(t, err)
	r := newHostileRig(t)
	for _, v := range all {
		var m diameter.Message
		if m.Parse(v.Raw); !m.Request() || isBase(v.Raw) || v.Raw[0] != 1 {
			continue
		}
		r.request(v.Name, v.Raw)
		r.settled(v.Name)
	}
}

// D43: A bad message between good ones, all in one piece: the good ones arrive, in their
// order.
func TestHostileBetweenOthers(t *testing.T) {
	r := newHostileRig(t)
	good := valid(t, true)[0].Raw
	mutations(good, func(name string, raw []byte) bool {
		first := r.mark(append([]byte{}, good...))
		bad := r.mark(append([]byte{}, raw...))
		last := r.mark(append([]byte{}, good...))
		end := func(b []byte) uint32 { return diameter.ReadHeader(b).EndToEnd }
		r.visited.send(append(append(append([]byte{}, first...), bad...), last...))
		r.step()
		var came []uint32
		for _, b := range r.home.take() {
			if end(b) != end(bad) {
				came = append(came, end(b))
			}
			r.home.send(answerOf(b))
		}
		require.Equal(t, []uint32{end(first), end(last)}, came, name)
		r.step()
		answered := 0
		for _, b := range r.visited.take() {
			if end(b) != end(bad) {
				answered++
			}
		}
		require.Equal(t, 2, answered, name)
		r.settled(name)
		return true
	})
}

// drain takes everything and keeps nothing.
type drain struct {
	wire
	buf [2 * diameter.MaxLen]byte
}

func (d *drain) RoomFor(n int) []byte { return d.buf[:n] }
func (d *drain) Commit(int)           {}

// D43: What is refused costs no memory, however it is broken.
func TestHostileAllocs(t *testing.T) {
	if raced {
		return // the race detector allocates
	}
	h := newHotWalk(t, nil)
	h.mme.conn = &drain{}
	var bad [][]byte
	for _, v := range valid(t, true) {
		mutations(v.Raw, func(_ string, raw []byte) bool {
			var m diameter.Message
			if m.Parse(raw) != diameter.NoFault && m.Request() && !isBase(raw) {
				bad = append(bad, append([]byte{}, raw...))
			}
			return true
		})
	}
	require.Greater(t, len(bad), 3000)
	assert.Zero(t, testing.AllocsPerRun(1, func() {
		for _, raw := range bad {
			h.lp.heard(h.mme, raw)
		}
	}), "of %d messages", len(bad))
	assert.Zero(t, h.lp.table.used)
}

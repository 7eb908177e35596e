package dynauth

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc3576"

	"github.com/roamgate/roamgate/realm"
)

func toVisited(attrs ...any) request {
	return fromA(append([]any{userName, "bob@a.example", operator, "1visited.example"}, attrs...)...)
}

// C103: the home's Proxy-States go on and come back, whole and in order; the
// hub adds one behind them and takes that one out again.
func TestC103ProxyState(t *testing.T) {
	r := newRig(t, nil)
	sent := r.send(toVisited(proxy, "one", proxy, "", proxy, "two"))
	got := values(r.at("visited"), proxy)
	require.Len(t, got, 4)
	assert.Equal(t, []string{"one", "", "two"}, got[:3])
	assert.Len(t, got[3], ownProxyState)
	r.says("visited", layeh.CodeDisconnectACK)
	assert.Equal(t, []string{"one", "", "two"}, values(r.reply(sent, secretOfA), proxy))

	sent = r.send(toVisited(proxy, "three"))
	b := r.at("visited").Response(layeh.CodeDisconnectNAK) // returns none of them
	rfc3576.ErrorCause_Set(b, rfc3576.ErrorCause_Value_SessionContextNotFound)
	raw, err := b.Encode()
	require.NoError(t, err)
	r.m.Reply("visited", r.wires["visited"], raw, r.now)
	assert.Equal(t, []string{"three"}, values(r.reply(sent, secretOfA), proxy))
	assert.EqualValues(t, 503, r.nak(sent, secretOfA), "the client's own cause")

	sent = r.send(fromA(userName, "bob@a.example", operator, "1nowhere.example", proxy, "four"))
	assert.Equal(t, []string{"four"}, values(r.reply(sent, secretOfA), proxy), "in a NAK of our own too")
}

// C103: a request that has been here, or through too many hops, goes no further.
func TestC103Loop(t *testing.T) {
	r := newRig(t, func(s *realm.Set, _ *Config) { s.Loops.MaxProxyStates = 3 })
	r.send(toVisited(proxy, "1"))
	ours := values(r.at("visited"), proxy)[1]
	sent := r.send(toVisited(proxy, "1", proxy, ours))
	assert.EqualValues(t, 502, r.nak(sent, secretOfA))
	assert.Equal(t, Loop, r.last())
	r.home = nil
	r.send(toVisited(proxy, "1", proxy, ours[:13]+string([]byte{ours[13] ^ 1})))
	assert.Empty(t, r.home, "one that only looks like ours is somebody else's")
	r.send(toVisited(proxy, "1", proxy, "2", proxy, "3"))
	assert.Empty(t, r.home)
	sent = r.send(toVisited(proxy, "1", proxy, "2", proxy, "3", proxy, "4"))
	assert.EqualValues(t, 502, r.nak(sent, secretOfA))
}

// C102: no attribute is mandatory for a proxy. What it does not know goes on as
// it is, in order.
func TestC102NothingIsMandatory(t *testing.T) {
	r := newRig(t, nil)
	attrs := []any{222, "unknown", 26, "\x00\x00\x01\x37\x01\x03x", 26, "\xff", extended, "\x08opaque", 245, "\x01\x80frag", 245, "\x01\x00ment", nasIP, "bad", 222, ""}
	r.send(toVisited(attrs...))
	got := r.at("visited")
	var names []int
	for _, a := range got.Attributes {
		names = append(names, int(a.Type))
	}
	assert.Equal(t, []int{80, userName, operator, 222, 26, 26, extended, 245, 245, nasIP, 222, proxy}, names)
	for i := 0; i < len(attrs); i += 2 {
		assert.Contains(t, values(got, attrs[i].(int)), attrs[i+1])
	}
}

// A repetition is answered with the same octets once there is an answer, and is
// not sent on before; another request under the same identifier is another one.
func TestRepetitions(t *testing.T) {
	r := newRig(t, nil)
	q := toVisited()
	q.id = 7
	b := q.encode(t)
	r.again(q, b)
	r.again(q, b)
	assert.Len(t, r.wires["visited"].got, 1)
	assert.Equal(t, Repeated, r.last())
	r.says("visited", layeh.CodeDisconnectACK)
	require.Len(t, r.home, 1)
	r.pass(29 * time.Second)
	r.again(q, b)
	require.Len(t, r.home, 2)
	assert.Equal(t, r.home[0], r.home[1])
	assert.Len(t, r.wires["visited"].got, 1)

	other := toVisited(sessionID, "other")
	other.id = 7
	r.again(other, other.encode(t))
	assert.Len(t, r.wires["visited"].got, 2)
	r.says("visited", layeh.CodeDisconnectACK)
	assert.Len(t, r.home, 3)
	r.pass(31 * time.Second)
	assert.Empty(t, r.m.known, "all is forgotten")
	assert.Empty(t, r.m.oldest)
	r.again(q, b)
	assert.Len(t, r.wires["visited"].got, 3, "it is a new request again")
}

// A home that begins anew does not want the answer to what it has given up.
func TestDisplaced(t *testing.T) {
	r := newRig(t, nil)
	q := toVisited()
	q.id = 7
	r.again(q, q.encode(t))
	late := r.saying("visited", layeh.CodeDisconnectACK)
	next := toVisited(sessionID, "other")
	next.id = 7
	sent := next.encode(t)
	r.again(next, sent)
	r.m.Reply("visited", r.wires["visited"], late, r.now)
	assert.Empty(t, r.home)
	assert.Equal(t, LateReply, r.last())
	r.says("visited", layeh.CodeDisconnectACK)
	assert.Equal(t, layeh.CodeDisconnectACK, r.reply(sent, secretOfA).Code)
	assert.Zero(t, r.m.Pending())
}

// What a client leaves unanswered is repeated with the same octets by the timers
// of RFC 5080, and in the end the home hears that nobody answers.
func TestRetransmission(t *testing.T) {
	r := newRig(t, nil)
	r.set.Clients[1].DynAuth = r.set.Clients[0].DynAuth // not asked here
	r.m.Detach("second", r.wires["second"], r.now)
	sent := r.send(toVisited())
	w := r.wires["visited"]
	for _, tt := range []struct {
		after time.Duration
		sent  int
	}{
		{1700 * time.Millisecond, 1}, {700 * time.Millisecond, 2}, {4700 * time.Millisecond, 3},
	} {
		r.pass(tt.after)
		assert.Len(t, w.got, tt.sent)
	}
	r.pass(22 * time.Second)
	assert.Empty(t, r.home)
	assert.GreaterOrEqual(t, len(w.got), 4)
	assert.LessOrEqual(t, len(w.got), 5)
	for _, b := range w.got {
		assert.Equal(t, w.got[0], b)
	}
	r.pass(time.Second)
	assert.EqualValues(t, 505, r.nak(sent, secretOfA))
	assert.Equal(t, Silent, r.last())
	n := len(w.got)
	r.pass(time.Minute)
	assert.Len(t, w.got, n)
	assert.Zero(t, r.m.Pending())
	assert.Empty(t, r.m.timers)
}

// An answer that is not authentic changes nothing.
func TestBadReplies(t *testing.T) {
	r := newRig(t, nil)
	sent := r.send(toVisited())
	good := r.saying("visited", layeh.CodeDisconnectACK)
	w := r.wires["visited"]
	with := func(i int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[i] ^= v
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		why  Reason
	}{
		{"short", good[:19], Malformed},
		{"empty", nil, Malformed},
		{"another identifier", with(1, 1), LateReply},
		{"another code", with(0, 1), BadReply},
		{"a code of the other kind", r.saying("visited", layeh.CodeCoAACK), BadReply},
		{"a request", r.saying("visited", layeh.CodeDisconnectRequest), BadReply},
		{"forged", with(4, 1), BadReply},
		{"cut", with(3, 1), Malformed},
	} {
		r.m.Reply("visited", w, tt.b, r.now)
		assert.Equal(t, tt.why.String(), r.last().String(), tt.name)
	}
	r.m.Reply("second", r.wires["second"], good, r.now)
	assert.Equal(t, LateReply, r.last(), "by another connection")
	r.m.Reply("second", w, good, r.now)
	assert.Equal(t, LateReply, r.last(), "of another client")
	r.m.Reply("nobody", w, good, r.now)
	assert.Empty(t, r.home)
	assert.Equal(t, 1, r.m.Pending())
	r.m.Reply("visited", w, good, r.now)
	assert.Equal(t, layeh.CodeDisconnectACK, r.reply(sent, secretOfA).Code)
}

// A Protocol-Error ends at this hop (RFC 7930 section 4).
func TestProtocolError(t *testing.T) {
	r := newRig(t, nil)
	sent := r.send(toVisited())
	r.says("visited", layeh.Code(52), 101, "\x00\x00\x01\xf6")
	assert.EqualValues(t, 502, r.nak(sent, secretOfA))
	sent = r.send(toVisited())
	r.says("visited", layeh.Code(52))
	assert.EqualValues(t, 505, r.nak(sent, secretOfA))
}

// Hidden attributes are hidden again for the next hop, without anybody having
// looked at them in between: a Tunnel-Password reads the same at the client.
func TestHiddenAttributes(t *testing.T) {
	r := newRig(t, nil)
	var zero [16]byte
	value, err := layeh.NewTunnelPassword([]byte("open sesame"), []byte{0x80, 1}, []byte(secretOfA), zero[:])
	require.NoError(t, err)
	r.send(toVisited(69, append([]byte{0}, value...)).coa())
	got := values(r.at("visited"), 69)
	require.Len(t, got, 1)
	clear, _, err := layeh.TunnelPassword([]byte(got[0][1:]), []byte(secretOfNAS), zero[:])
	require.NoError(t, err)
	assert.Equal(t, "open sesame", string(clear))
}

// More than one connection can carry is not lost silently for ever: the home
// repeats it and has its turn.
func TestIdentifiersRunOut(t *testing.T) {
	r := newRig(t, nil)
	r.m.Detach("second", r.wires["second"], r.now)
	for range identifiers {
		q := toVisited()
		q.from = "198.51.100.7:4001"
		r.send(q)
	}
	assert.Equal(t, identifiers, r.m.Pending())
	q := toVisited()
	q.id = 9
	b := q.encode(t)
	r.again(q, b)
	assert.Equal(t, NoIdentifier, r.last())
	r.says("visited", layeh.CodeDisconnectACK)
	r.again(q, b)
	assert.Equal(t, OK, r.last())
	assert.Equal(t, identifiers, r.m.Pending())
	r.pass(40 * time.Second)
	assert.Zero(t, r.m.Pending())
}

// One home that never stops takes nothing from the others.
func TestOverload(t *testing.T) {
	r := newRig(t, func(_ *realm.Set, c *Config) { c.MaxPending = 8 })
	r.send(toVisited())
	r.send(toVisited())
	r.send(toVisited())
	assert.Equal(t, Overload, r.last())
	r.send(fromB(userName, "eve@x.b.example", operator, "1visited.example"))
	assert.Equal(t, OK, r.last(), "another home has its own share")
	r.says("visited", layeh.CodeDisconnectACK)
	r.send(toVisited())
	assert.Equal(t, Overload, r.last())
	r.pass(40 * time.Second)
	r.send(toVisited())
	assert.Equal(t, OK, r.last())
	r.pass(2 * time.Minute)
	for name, s := range r.m.shares {
		assert.Zero(t, *s, name)
	}
}

// A new configuration takes nothing away from what is on its way, and sessions
// are still known by it.
func TestAdopt(t *testing.T) {
	r := newRig(t, nil)
	r.learn("visited", 0, userName, "bob@a.example", sessionID, "s-1")
	sent := r.send(toVisited())
	next := configuration()
	next.Clients = append([]realm.Client{{Name: "new", Secret: realm.Secret("x")}}, next.Clients...)
	next.Pools[0], next.Pools[1] = next.Pools[1], next.Pools[0]
	next.Routes[0].Auth, next.Routes[0].Acct, next.Routes[1].Auth, next.Routes[1].Acct = 1, 1, 0, 0
	next.Clients[1].Secret = realm.Secret("another secret from now on")
	next.Table = realm.NewTable(next.Routes)
	r.m.Adopt(NewTable(next, r.book, NewSealer([]byte("0123456789abcdef"))))
	r.says("visited", layeh.CodeDisconnectACK)
	assert.Equal(t, layeh.CodeDisconnectACK, r.reply(sent, secretOfA).Code)
	r.send(fromA(sessionID, "s-1"))
	assert.Equal(t, OK, r.last())
	r.send(fromB(sessionID, "s-1"))
	assert.Equal(t, OtherSession, r.last())
}

package dynauth

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"pgregory.net/rapid"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// packet is a request of a NAS.
func packet(t testing.TB, attrs ...any) *radius.Packet {
	p := new(radius.Packet)
	require.Equal(t, radius.OK, p.Parse(request{code: layeh.CodeAccessRequest, secret: "x", attrs: attrs, plain: true}.encode(t)))
	return p
}

// hidden is what stands in the place of a NAS's names.
func hidden(t testing.TB, s *Sealer, client, operatorName string, attrs ...any) (name, token string) {
	b := s.Append(nil, packet(t, attrs...), []byte(operatorName), s.Mark(client))
	w := radius.Writer{}
	w.Start(make([]byte, radius.MaxLen), radius.AccessRequest, 0, false)
	w.Raw(b)
	var p radius.Packet
	require.Equal(t, radius.OK, p.Parse(w.SignRequest(radius.NewCrypt(), radius.NewSecret([]byte("x")))))
	require.Equal(t, 2, p.Len())
	v, _ := p.First(radius.NASIdentifier)
	x, _ := p.First(radius.ExtendedAttribute1)
	require.EqualValues(t, OperatorNASIdentifier, x[0])
	return string(v), string(x[1:])
}

// C100: a home learns the operator's realm and a token in the place of what
// names a NAS: the same for one NAS, others for others, nothing of it legible,
// one at most, and none without Operator-Name.
func TestC100OperatorNASIdentifier(t *testing.T) {
	key := []byte("0123456789abcdef")
	s := NewSealer(key)
	nas := []any{nasIP, "\x0a\x00\x00\x01", 95, strings.Repeat("\x20\x01", 8), nasID, "ap-17.lobby"}
	name, token := hidden(t, s, "ap", "1edge.example", nas...)
	assert.Equal(t, "edge.example", name)
	for _, part := range []string{"\x0a\x00\x00\x01", "\x20\x01\x20\x01", "ap-17", "lobby"} {
		assert.NotContains(t, token, part)
	}
	_, again := hidden(t, NewSealer(key), "ap", "1edge.example", nas...)
	assert.Equal(t, token, again, "another hub, or the same after a restart")
	seen := map[string]bool{token: true}
	for _, o := range []struct {
		client, operator string
		attrs            []any
	}{
		{"ap2", "1edge.example", nas}, {"ap", "1other.example", nas},
		{"ap", "1edge.example", []any{nasIP, "\x0a\x00\x00\x02"}}, {"ap", "1edge.example", nil},
	} {
		_, other := hidden(t, s, o.client, o.operator, o.attrs...)
		assert.False(t, seen[other], "%v", o)
		seen[other] = true
	}
	_, other := hidden(t, NewSealer([]byte("another key of it")), "ap", "1edge.example", nas...)
	assert.NotEqual(t, token, other)
	for _, none := range []string{"", "1", strings.Repeat("x", 254)} {
		assert.Empty(t, s.Append(nil, packet(t, nas...), []byte(none), s.Mark("ap")), "%q is no Operator-Name", none)
	}
	d := NASTypes()
	for _, typ := range []radius.Type{radius.NASIPAddress, radius.NASIPv6Address, radius.NASIdentifier} {
		assert.True(t, d.Has(typ))
	}
}

// Whatever a NAS calls itself comes back octet for octet as long as it fits, and
// nothing else opens.
func TestSealRoundTrip(t *testing.T) {
	s := NewSealer([]byte("0123456789abcdef"))
	rapid.Check(t, func(rt *rapid.T) {
		var attrs []any
		for _, typ := range []int{nasIP, 95, nasID} {
			if rapid.Bool().Draw(rt, "has") {
				attrs = append(attrs, typ, rapid.StringN(0, 253, 253).Draw(rt, "value"))
			}
		}
		op := "1" + rapid.StringN(1, 252, 252).Draw(rt, "operator")
		_, token := hidden(t, s, "ap", op, attrs...)
		require.LessOrEqual(t, len(token), 252)
		mark, got, ok := s.Open([]byte(token), []byte(strings.ToUpper(op)))
		if strings.ToLower(op) == asciiLower(strings.ToUpper(op)) {
			require.True(t, ok)
			require.Equal(t, s.Mark("ap"), mark)
			want, n := "", len(mark)
			for i := 0; i < len(attrs); i += 2 {
				v := attrs[i+1].(string)
				if n+2+len(v) <= tokenPlain {
					want += string(rune(attrs[i].(int))) + string([]byte{byte(2 + len(v))}) + v
					n += 2 + len(v)
				}
			}
			require.Equal(t, want, string(got))
		}
		bad := []byte(token)
		bad[rapid.IntRange(0, len(bad)-1).Draw(rt, "at")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bit"))
		_, _, ok = s.Open(bad, []byte(op))
		require.False(t, ok)
	})
}

func asciiLower(s string) string { return fold(s) }

// C101: the last hop in the visited network takes Operator-Name and
// Operator-NAS-Identifier out and calls the NAS what it calls itself. What it
// has not made is answered with 403.
func TestC101LastHop(t *testing.T) {
	key := []byte("0123456789abcdef")
	nas := []any{nasIP, "\x0a\x00\x00\x01", nasID, "ap-17"}
	_, ap := hidden(t, NewSealer(key), "ap", "1edge.example", nas...)
	_, ap2 := hidden(t, NewSealer(key), "ap2", "1edge.example", nas...)
	_, foreign := hidden(t, NewSealer([]byte("another key of it")), "ap", "1edge.example", nas...)
	_, elsewhere := hidden(t, NewSealer(key), "visited", "1edge.example", nas...)
	_, otherOperator := hidden(t, NewSealer(key), "ap", "1visited.example", nas...)
	for _, tt := range []struct {
		name  string
		token string // with its extended type
		to    string
		cause uint32
	}{
		{"ours", "\x08" + ap, "ap", 0},
		{"of the other NAS", "\x08" + ap2, "ap2", 0},
		{"of another hub's key", "\x08" + foreign, "", 403},
		{"of another client", "\x08" + elsewhere, "", 403},
		{"of another operator", "\x08" + otherOperator, "", 403},
		{"truncated", "\x08" + ap[:len(ap)-1], "", 403},
		{"a block short", "\x08" + ap[:len(ap)-16], "", 403},
		{"empty", "\x08", "", 403},
		{"text", "\x08ap-17", "", 403},
		{"another version", "\x08\x02" + ap[1:], "", 403},
		{"none", "\x07" + ap, "", 403},
		{"nothing", "", "", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			sent := r.send(fromA(userName, "bob@a.example", nasID, "edge.example", operator, "1edge.example", extended, tt.token, extended, "\x01keep"))
			require.Equal(t, tt.cause, r.nak(sent, secretOfA))
			if tt.to == "" {
				return
			}
			got := r.at(tt.to)
			assert.Empty(t, values(got, operator))
			assert.Equal(t, []string{"\x01keep"}, values(got, extended))
			assert.Equal(t, []string{"ap-17"}, values(got, nasID))
			assert.Equal(t, []string{"\x0a\x00\x00\x01"}, values(got, nasIP))
			r.says(tt.to, layeh.CodeDisconnectACK, nasID, "ap-17")
			assert.Empty(t, values(r.reply(sent, secretOfA), nasID), "the home does not learn it from the answer")
		})
	}
}

// C101: two Operator-NAS-Identifiers, as two Operator-Names, are no request.
func TestC101SeveralAreInvalid(t *testing.T) {
	_, ap := hidden(t, NewSealer([]byte("0123456789abcdef")), "ap", "1edge.example")
	for name, q := range map[string]request{
		"two tokens":          fromA(userName, "bob@a.example", operator, "1edge.example", extended, "\x08"+ap, extended, "\x08"+ap),
		"two Operator-Names":  fromA(userName, "bob@a.example", operator, "1edge.example", operator, "1visited.example"),
		"the same one twice":  fromA(userName, "bob@a.example", operator, "1visited.example", operator, "1visited.example"),
		"empty Operator-Name": fromA(userName, "bob@a.example", operator, ""),
		"only a name space":   fromA(userName, "bob@a.example", operator, "1"),
		"two User-Names":      fromA(userName, "bob@a.example", userName, "eve@x.b.example", operator, "1visited.example"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			assert.EqualValues(t, 404, r.nak(r.send(q), secretOfA))
			for client, w := range r.wires {
				assert.Empty(t, w.got, client)
			}
		})
	}
}

// A session at the edge is found without Operator-Name or token too.
func TestEdgeBySession(t *testing.T) {
	r := newRig(t, nil)
	r.learn("ap2", 0, userName, "bob@a.example", sessionID, "s-1", nasID, "ap-2")
	r.send(fromA(userName, "bob@a.example", sessionID, "s-1", nasID, "edge.example", operator, "1edge.example"))
	got := r.at("ap2")
	assert.Empty(t, values(got, operator))
	assert.Empty(t, values(got, nasID), "what the home calls it would be none of the NAS's names")
	r.send(fromA(sessionID, "s-1"))
	assert.Len(t, r.wires["ap2"].got, 2)
}

// C104: the right to get requests hangs on the client's identity; an operator
// has several connections and a connection several operators; one that has
// been silent for Tw is passed over, and without any there is a 502.
func TestC104Connections(t *testing.T) {
	r := newRig(t, nil)
	assert.False(t, r.m.Attach("deaf", &wire{}), "the configuration does not let it")
	assert.False(t, r.m.Attach("nobody", &wire{}))

	// One operator, two clients; the second of them serves others too.
	sent := r.send(toVisited())
	r.at("visited")
	r.pass(14900 * time.Millisecond)
	assert.Empty(t, r.wires["second"].got)
	r.pass(200 * time.Millisecond)
	require.Len(t, r.wires["second"].got, 1, "Tw is over")
	r.says("second", layeh.CodeDisconnectACK)
	assert.Equal(t, layeh.CodeDisconnectACK, r.reply(sent, secretOfA).Code)
	r.send(fromA(userName, "bob@a.example", operator, "1x.fed.example"))
	assert.Len(t, r.wires["second"].got, 2)

	// The late answer of the first finds nobody.
	before := len(r.home)
	r.says("visited", layeh.CodeDisconnectACK)
	assert.Equal(t, LateReply, r.last())
	assert.Len(t, r.home, before)

	// Two connections of one client.
	more := &wire{client: "visited", rig: r}
	require.True(t, r.m.Attach("visited", more))
	r.m.Detach("second", r.wires["second"], r.now)
	r.send(toVisited())
	n := len(r.wires["visited"].got)
	r.m.Detach("visited", r.wires["visited"], r.now)
	assert.Len(t, more.got, 1, "what was on its way moves at once")
	assert.Len(t, r.wires["visited"].got, n)
	sent = r.send(toVisited())
	r.m.Detach("visited", more, r.now)
	assert.EqualValues(t, 505, r.nak(sent, secretOfA), "the last one has gone with it")
	sent = r.send(toVisited())
	assert.EqualValues(t, 502, r.nak(sent, secretOfA), "no connection is left")
	r.pass(time.Minute)
	assert.Zero(t, r.m.Pending())
}

// C104: new requests go to a connection that answers before one that has fallen
// silent, until that one answers again.
func TestC104SilentIsLast(t *testing.T) {
	r := newRig(t, nil)
	r.send(toVisited())
	r.pass(15100 * time.Millisecond)
	require.Len(t, r.wires["second"].got, 1, "moved")
	r.says("second", layeh.CodeDisconnectACK)
	r.send(toVisited())
	r.send(toVisited())
	n := len(r.wires["visited"].got)
	assert.Positive(t, n)
	r.m.links[r.book.Name("client visited")][0].owing = r.now.Now - watchdog // it still owes something
	r.send(toVisited())
	assert.Len(t, r.wires["visited"].got, n)
}

// Filters of both sides see a request and its answer on their way.
func TestFilters(t *testing.T) {
	var steps []Step
	refuse := Step(99)
	r := newRig(t, func(_ *realm.Set, c *Config) {
		c.Filter = func(step Step, buf []byte, p *radius.Packet, home *realm.Home, client *realm.Client) ([]byte, bool) {
			steps = append(steps, step)
			assert.Equal(t, "a", home.Name)
			assert.Equal(t, "visited", client.Name)
			n := copy(buf, p.Bytes())
			n += copy(buf[n:], []byte{222, 3, byte('0' + step)})
			buf[2], buf[3] = byte(n>>8), byte(n)
			return buf[:n], step != refuse
		}
	})
	sent := r.send(toVisited())
	assert.Equal(t, []string{"0", "1"}, values(r.at("visited"), 222))
	r.says("visited", layeh.CodeDisconnectACK)
	assert.Equal(t, []string{"2", "3"}, values(r.reply(sent, secretOfA), 222))
	assert.Equal(t, []Step{FromHome, ToClient, FromClient, ToHome}, steps)
	refuse = ToClient
	assert.EqualValues(t, 501, r.nak(r.send(toVisited()), secretOfA))
	refuse = FromHome
	assert.EqualValues(t, 501, r.nak(r.send(toVisited()), secretOfA))
	refuse = 99
	sent = r.send(toVisited())
	refuse = FromClient
	r.says("visited", layeh.CodeDisconnectACK)
	assert.EqualValues(t, 501, r.nak(sent, secretOfA))
}

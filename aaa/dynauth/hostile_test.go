package dynauth

import (
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// What is not what it claims to be is silently discarded, each for its reason.
func TestDropped(t *testing.T) {
	good := toVisited()
	with := func(change func(*request)) request {
		q := toVisited()
		change(&q)
		return q
	}
	requireMA := func(s *realm.Set, _ *Config) { s.Homes[0].RequireMessageAuthenticator = true }
	for _, tt := range []struct {
		name string
		q    request
		edit func(*realm.Set, *Config)
		raw  func([]byte) []byte
		why  Reason
	}{
		{"good", good, nil, nil, OK},
		{"padding behind it", good, nil, func(b []byte) []byte { return append(b, 1, 2, 3) }, OK},
		{"a stranger", with(func(q *request) { q.from = "192.0.2.99:4000" }), nil, nil, Stranger},
		{"a client", with(func(q *request) { q.from, q.secret = "192.0.2.1:4000", secretOfNAS }), nil, nil, Stranger},
		{"a mapped address is the same", with(func(q *request) { q.from = "[::ffff:198.51.100.7]:4000" }), nil, nil, OK},
		{"another home's secret", with(func(q *request) { q.secret = secretOfB }), nil, nil, BadAuthenticator},
		{"an authenticator of zeros", good, nil, func(b []byte) []byte { clear(b[4:20]); return b }, BadAuthenticator},
		{"one octet changed", good, nil, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, BadAuthenticator},
		{"short", good, nil, func(b []byte) []byte { return b[:19] }, Malformed},
		{"empty", good, nil, func(b []byte) []byte { return nil }, Malformed},
		{"cut", good, nil, func(b []byte) []byte { return b[:len(b)-1] }, Malformed},
		{"an attribute without length", good, nil, func(b []byte) []byte { b[21] = 0; return b }, Malformed},
		{"Access-Request", with(func(q *request) { q.code, q.plain = layeh.CodeAccessRequest, true }), nil, nil, CodeNotServed},
		{"Accounting-Request", with(func(q *request) { q.code = layeh.CodeAccountingRequest }), nil, nil, CodeNotServed},
		{"Status-Server", with(func(q *request) { q.code, q.plain = layeh.CodeStatusServer, true }), nil, nil, CodeNotServed},
		{"an ACK", with(func(q *request) { q.code, q.plain = layeh.CodeDisconnectACK, true }), nil, nil, CodeNotServed},
		{"without Message-Authenticator where it must be", with(func(q *request) { q.plain = true }), requireMA, nil, NoMessageAuthenticator},
		{"with it", good, requireMA, nil, OK},
		{"without it where it need not be", with(func(q *request) { q.plain = true }), nil, nil, OK},
		{"a wrong one", with(func(q *request) { q.plain, q.attrs = true, append(q.attrs, 80, strings.Repeat("x", 16)) }), nil, nil, BadMessageAuthenticator},
		{"now", toVisited(timestamp, began), nil, nil, OK},
		{"of five minutes ago", toVisited(timestamp, began-300), nil, nil, OK},
		{"older", toVisited(timestamp, began-301), nil, nil, Stale},
		{"of the future", toVisited(timestamp, began+301), nil, nil, Stale},
		{"two times, one of them old", toVisited(timestamp, began, timestamp, began-400), nil, nil, Stale},
		{"no time at all", toVisited(timestamp, "now"), nil, nil, Stale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.edit)
			b := tt.q.encode(t)
			if tt.raw != nil {
				b = tt.raw(b)
			}
			r.again(tt.q, b)
			assert.Equal(t, tt.why.String(), r.last().String())
			if tt.why != OK {
				assert.Empty(t, r.home, "nothing is answered")
				assert.Empty(t, r.wires["visited"].got)
				assert.Empty(t, r.m.known)
			} else {
				assert.NotEmpty(t, r.wires["visited"].got)
			}
		})
	}
}

// A home that uses one identifier for ever new requests is answered each time,
// and costs a word of memory for each, until its answers are forgotten.
func TestForgottenAnswers(t *testing.T) {
	r := newRig(t, nil)
	for i := range 1000 {
		q := fromA(userName, "bob@nowhere.example", sessionID, strconv.Itoa(i))
		r.again(q, q.encode(t))
	}
	assert.Len(t, r.home, 1000)
	assert.Len(t, r.m.known, 1)
	kept := 0
	for _, ex := range r.m.oldest {
		if ex != nil {
			kept++
		}
	}
	assert.Equal(t, 1, kept)
	r.pass(time.Duration(keepAnswers))
	assert.Empty(t, r.m.oldest)
	assert.Empty(t, r.m.known)
	q := fromA(userName, "bob@nowhere.example")
	r.again(q, q.encode(t))
	r.again(q, q.encode(t))
	assert.Len(t, r.home, 1002, "the same octets")
	assert.Equal(t, r.home[1000], r.home[1001])
}

// A roaming home does not open the equipment of a visited network (C13).
func TestAdministrative(t *testing.T) {
	for value, cause := range map[string]uint32{
		"\x00\x00\x00\x06": 501, "\x00\x00\x00\x07": 501, "\x00\x00\x00\x09": 501, "\x00\x00\x00\x0b": 501,
		"\x00\x00\x00\x11": 0, "\x00\x00\x00\x02": 0, "\x06": 0, "": 0,
	} {
		r := newRig(t, nil)
		assert.Equal(t, cause, r.nak(r.send(toVisited(service, value).coa()), secretOfA), "%x", value)
		assert.Equal(t, cause, r.nak(r.send(toVisited(service, "\x00\x00\x00\x02", service, value).coa()), secretOfA), "%x behind another", value)
	}
}

// What does not fit with what this hop adds is said so; where even that does not
// fit there is silence.
func TestTooLong(t *testing.T) {
	long := []any{}
	for range 15 {
		long = append(long, 222, strings.Repeat("x", 253))
	}
	r := newRig(t, nil)
	room := radius.MaxLen - len(toVisited(long...).encode(t)) - 2
	fits := append(long, 222, strings.Repeat("x", room-2-ownProxyState))
	r.send(toVisited(fits...))
	require.Equal(t, OK, r.last())
	tooLong := append(long, 222, strings.Repeat("x", room-1-ownProxyState))
	assert.EqualValues(t, 601, r.nak(r.send(toVisited(tooLong...)), secretOfA))

	states := []any{}
	for range 15 {
		states = append(states, proxy, strings.Repeat("x", 253))
	}
	states = append(states, proxy, strings.Repeat("x", radius.MaxLen-len(fromA(states...).encode(t))-2))
	r.home = nil
	r.send(fromA(states...))
	assert.Zero(t, len(r.home), "an answer without all of them would go astray")
	assert.Equal(t, TooLong, r.last())
	assert.Equal(t, 1, r.m.Pending(), "the one of before")
}

// Every reason is a label, a text and, where it is answered, an Error-Cause.
func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		assert.Regexp(t, `^[a-z_]+$`, r.String())
		assert.False(t, seen[r.String()], r.String())
		seen[r.String()] = true
		assert.NotEmpty(t, r.Text())
		assert.Equal(t, r.Dropped(), r.ErrorCause() == 0, r.String())
	}
	assert.False(t, OK.Dropped())
	assert.Equal(t, int(reasons)-1, len(seen))
}

// FuzzRequest: whatever a home signs, the Machine does not panic, answers it at
// most once, sends only well-formed packets, and forgets it in the end.
func FuzzRequest(f *testing.F) {
	seeds, err := filepath.Glob("../../test/vectors/dynauth/*.txt")
	require.NoError(f, err)
	require.NotEmpty(f, seeds)
	for _, name := range seeds {
		text, err := os.ReadFile(name)
		require.NoError(f, err)
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, "#")
			b, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
			require.NoError(f, err, "%s: %s", name, line)
			if len(b) > 0 {
				f.Add(b)
			}
		}
	}
	_, token := hidden(f, NewSealer([]byte("0123456789abcdef")), "ap", "1edge.example", nasIP, "\x0a\x00\x00\x01")
	f.Add(fromA(userName, "bob@a.example", operator, "1edge.example", extended, "\x08"+token).encode(f)[radius.HeaderLen:])
	f.Fuzz(func(t *testing.T, attributes []byte) {
		r := newRig(t, nil)
		r.learn("visited", 0, userName, "bob@a.example", sessionID, "s-1", stationID, "02")
		r.learn("ap2", 0, userName, "bob@a.example", sessionID, "s-2", nasID, "ap-2")
		if len(attributes) > radius.MaxLen-radius.HeaderLen {
			return
		}
		var w radius.Writer
		w.Start(make([]byte, radius.MaxLen), radius.CoARequest, 1, false)
		w.Raw(attributes)
		b := w.SignAccounting(radius.NewCrypt(), radius.NewSecret([]byte(secretOfA)))
		r.again(request{from: "198.51.100.7:4000"}, b)
		require.LessOrEqual(t, len(r.home), 1)
		sent := 0
		for name, wire := range r.wires {
			for _, got := range wire.got {
				sent++
				require.True(t, layeh.IsAuthenticRequest(got, []byte(secretOfNAS)))
				var p radius.Packet
				require.Equal(t, radius.OK, p.Parse(got))
				if strings.HasPrefix(name, "ap") {
					require.False(t, p.Has(radius.OperatorName))
				}
				r.says(name, layeh.CodeCoANAK)
			}
		}
		require.LessOrEqual(t, sent, 1)
		require.LessOrEqual(t, len(r.home), 1)
		if len(r.home) == 1 {
			require.True(t, layeh.IsAuthenticResponse(r.home[0], b, []byte(secretOfA)))
		}
		require.Zero(t, r.m.Pending())
		r.pass(1 << 36)
		require.Empty(t, r.m.known)
		require.Empty(t, r.m.timers)
	})
}

// FuzzOpen: no octets open but those that the key has made.
func FuzzOpen(f *testing.F) {
	s := NewSealer([]byte("0123456789abcdef"))
	_, token := hidden(f, s, "ap", "1edge.example", nasIP, "\x0a\x00\x00\x01", nasID, "ap")
	f.Add([]byte(token), []byte("1edge.example"))
	f.Add([]byte{tokenVersion}, []byte{})
	f.Add(make([]byte, maxToken), []byte("1"))
	f.Fuzz(func(t *testing.T, b, operatorName []byte) {
		if _, _, ok := s.Open(b, operatorName); ok && (string(b) != token || fold(string(operatorName)) != "1edge.example") {
			t.Fatal("opened what was not sealed")
		}
	})
}

// Unused addresses and secrets of the configuration make nobody a sender.
func TestTableWithout(t *testing.T) {
	book := NewBook(0)
	set := &realm.Set{Homes: []realm.Home{
		{Name: "no secret", DynAuth: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
		{Name: "no prefix", Secret: realm.Secret("x"), DynAuth: []netip.Prefix{{}}},
		{Name: "mapped", Secret: realm.Secret("x"), DynAuth: []netip.Prefix{netip.MustParsePrefix("::ffff:203.0.113.0/120")}},
	}, Table: realm.NewTable(nil)}
	table := NewTable(set, book, NewSealer(nil))
	assert.Empty(t, table.Senders(netip.MustParseAddr("198.51.100.1")))
	assert.Len(t, table.Senders(netip.MustParseAddr("203.0.113.1")), 1)
	assert.Empty(t, table.Reached([]byte("1x")))
	assert.Empty(t, table.Reached(nil))
}

package translate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// packet makes a packet of attribute lines.
func packet(t testing.TB, code radius.Code, attrs ...string) *radius.Packet {
	t.Helper()
	b, _ := head(code.String())
	for _, line := range attrs {
		a, err := readAttribute(line)
		require.NoError(t, err)
		b = append(b, a...)
	}
	seal(b, false)
	p := new(radius.Packet)
	require.Equal(t, radius.OK, p.Parse(b))
	return p
}

// C123: handles and Session-Ids are ours alone to make.
func TestC123Sessions(t *testing.T) {
	s := NewSessions(ourName, ourKey)
	id := ID{3976214400, 7}
	name := s.Name(nil, id)
	assert.Equal(t, "hub.example;3976214400;7", string(name))
	got, ok := s.Read(name)
	assert.True(t, ok)
	assert.Equal(t, id, got)
	for _, bad := range []string{
		"", "hub.example", "hub.example;", "hub.example;1", "hub.example;1;", "hub.example;;1", "hub.example;1;2;a00", "hub.example;1;2 ",
		"other.example;1;2", "hub.example;01;2", "hub.example;4294967296;1", "hub.example;1;99999999999", "hub.examplex;1;2",
	} {
		_, ok := s.Read([]byte(bad))
		assert.False(t, ok, bad)
	}
	h := s.Handle(nil, id)
	require.Len(t, h, HandleLen)
	got, rest, ok := s.Open(append(h, "S7"...))
	assert.True(t, ok)
	assert.Equal(t, id, got)
	assert.Equal(t, "S7", string(rest))
	for i := range h {
		forged := append([]byte(nil), h...)
		forged[i] ^= 1
		_, _, ok := s.Open(forged)
		assert.False(t, ok, "octet %d", i)
	}
	_, _, ok = NewSessions(ourName, []byte("another key")).Open(h)
	assert.False(t, ok, "another hub's key")
	_, _, ok = NewSessions("second."+ourName, ourKey).Open(h)
	assert.True(t, ok, "a hub with the same key")
}

// C123: every hub finds the same name for all records of a session.
func TestC123SessionOfAccountingWithoutClass(t *testing.T) {
	s, other := NewSessions(ourName, ourKey), NewSessions(ourName, ourKey)
	name := func(s *Sessions, attrs ...string) string {
		b, ok := s.Accounting(nil, packet(t, radius.AccountingRequest, attrs...))
		assert.True(t, ok)
		return string(b)
	}
	start := name(s, `40 1`, `44 "s-1"`, `32 "ap1"`, `126 "1visited.example"`)
	assert.True(t, strings.HasPrefix(start, "hub.example;"), start)
	assert.Equal(t, start, name(other, `32 "ap1"`, `44 "s-1"`, `40 2`, `46 60`, `126 "1visited.example"`, `41 30`), "the Stop, at another hub")
	assert.NotEqual(t, start, name(s, `44 "s-2"`, `32 "ap1"`, `126 "1visited.example"`))
	assert.NotEqual(t, start, name(s, `44 "s-1"`, `32 "ap2"`, `126 "1visited.example"`))
	assert.NotEqual(t, start, name(s, `44 "s-1"`, `32 "ap1"`, `126 "1edge.example"`))
	assert.NotEqual(t, name(s, `44 "ab"`, `32 "c"`), name(s, `44 "a"`, `32 "bc"`), "nothing runs together")
	_, ours := s.Read([]byte(start))
	assert.False(t, ours, "it is none of authentication")
	_, ok := s.Accounting(nil, packet(t, radius.AccountingRequest, `40 1`))
	assert.False(t, ok, "no Acct-Session-Id")
}

// C123: a record that comes again is the same record: the home counts it once.
func TestC123RecordNumber(t *testing.T) {
	number := func(kind uint32, arrival int64, attrs ...string) uint32 {
		return recordNumber(packet(t, radius.AccountingRequest, attrs...), kind, arrival)
	}
	const noon = 1767225600
	assert.Zero(t, number(recordStart, noon, `40 1`))
	stop := number(recordStop, noon, `40 2`, `46 60`, `42 5`)
	assert.Equal(t, stop, number(recordStop, noon+30, `40 2`, `46 60`, `42 5`, `41 30`), "with a delay")
	assert.Equal(t, stop, number(recordStop, noon+30, `40 2`, `46 60`, `42 5`, `41 30`, `55 1767225630`), "with the time of sending")
	assert.NotEqual(t, stop, number(recordInterim, noon, `40 3`, `46 60`, `42 5`), "an interim of the same second")
	assert.NotEqual(t, number(recordInterim, noon, `40 3`, `46 60`, `42 5`), number(recordInterim, noon, `40 3`, `46 61`, `42 5`))
	assert.NotEqual(t, number(recordInterim, noon, `40 3`, `46 60`, `42 5`), number(recordInterim, noon, `40 3`, `46 60`, `42 500000`), "other counters")
	assert.Equal(t, number(recordStop, noon, `40 2`, `55 1767225600`), number(recordStop, noon+99, `40 2`, `55 1767225600`), "Event-Timestamp")
	assert.Equal(t, number(recordStop, noon, `40 2`), number(recordStop, noon+10, `40 2`, `41 10`), "arrival less the delay")
	for _, kind := range []uint32{recordInterim, recordStop} {
		assert.NotZero(t, number(kind, noon, `46 0`), "0 is the Start's")
	}
	assert.NotEqual(t, number(recordInterim, noon, `46 0`), number(recordStop, noon, `46 0`))
}

// C123: the realm of the name, or the next one behind ours.
func TestC123Destination(t *testing.T) {
	for _, c := range []struct{ user, realm, name string }{
		{"bob@home.example", "home.example", "bob@home.example"},
		{"a@b@c.example", "c.example", "a@b@c.example"},
		{"home.example!bob@other.example", "other.example", "home.example!bob@other.example"},
		{"home.example!bob@hub", "home.example", "bob@home.example"},
		{"home.example!bob@HUB", "home.example", "bob@home.example"},
		{"one.example!home.example!bob@hub", "one.example", "home.example!bob@one.example"},
		{"!bob@hub", "hub", "!bob@hub"},
		{"bad realm!bob@hub", "hub", "bad realm!bob@hub"},
		{"bob@hub", "hub", "bob@hub"},
		{"bob", "", "bob"},
		{"bob@", "", "bob@"},
	} {
		t.Run(c.user, func(t *testing.T) {
			realm, name := Destination(make([]byte, 0, 256), packet(t, radius.AccessRequest, `1 "`+c.user+`"`), ourRealm)
			assert.Equal(t, c.realm, string(realm))
			assert.Equal(t, c.name, string(name))
		})
	}
	realm, name := Destination(nil, packet(t, radius.AccessRequest, `32 "ap1"`), ourRealm)
	assert.Nil(t, realm)
	assert.Nil(t, name)
}

// C123: the answers of RADIUS to results.
func TestC123Results(t *testing.T) {
	for _, c := range []struct {
		result uint32
		code   radius.Code
		cause  uint32
	}{
		{1001, radius.AccessChallenge, 0}, {2001, radius.AccessAccept, 0}, {2002, radius.AccessAccept, 0},
		{3001, radius.AccessReject, 406}, {3002, radius.AccessReject, 502}, {3003, radius.AccessReject, 502}, {3004, radius.AccessReject, 506},
		{3005, radius.AccessReject, 502}, {3007, radius.AccessReject, 405}, {3010, radius.AccessReject, 502}, {4001, radius.AccessReject, 0},
		{4002, radius.AccessReject, 506}, {5001, radius.AccessReject, 401}, {5002, radius.AccessReject, 503}, {5003, radius.AccessReject, 0},
		{5004, radius.AccessReject, 407}, {5005, radius.AccessReject, 402}, {5008, radius.AccessReject, 501}, {5012, radius.AccessReject, 404},
		{0, radius.AccessReject, 0}, {1002, radius.AccessReject, 0}, {1 << 31, radius.AccessReject, 0},
	} {
		assert.Equal(t, c.code, replyCode(c.result, false), c.result)
		if c.code == radius.AccessReject {
			assert.Equal(t, c.cause, causeOf(c.result, false), c.result)
		}
	}
	assert.Equal(t, radius.AccessReject, replyCode(1001, true), "a vendor's 1001 is no round")
	assert.Equal(t, radius.AccessAccept, replyCode(2001, true))
}

// What is too long for the room is refused whole.
func TestNoRoom(t *testing.T) {
	tr := New(NewSessions(ourName, ourKey))
	v := &vector{do: "access", keys: map[string]string{}}
	p := packet(t, radius.AccessRequest, `1 "bob@home.example"`)
	for n := range 120 {
		_, why := tr.Access(make([]byte, n), p, nil, v.terms())
		assert.Equal(t, NoRoom, why, n)
	}
	var m diameter.Message
	big, _ := head("265 1 P")
	for _, line := range []string{`268! 2001`, `18! "t"*4090`} {
		_, avp, err := readAVP(line)
		require.NoError(t, err)
		big = append(big, avp...)
	}
	seal(big, true)
	m.Parse(big)
	b, out, why := tr.Reply(make([]byte, radius.MaxLen), &m, &Asked{Packet: p})
	assert.Equal(t, NoRoom, why)
	assert.Equal(t, radius.AccessReject, out.Code)
	assert.Equal(t, byte(radius.AccessReject), b[0], "rather than nothing")
}

var stopLines = []string{
	`1 "262011234567890@wlan.mnc001.mcc262.3gppnetwork.org"`, `40 2`, `44 "5f2a00c1b7"`, `32 "ap1.visited.example"`, `4 xc0000201`, `5 7`, `61 19`,
	`30 "AA-BB-CC-DD-EE-FF:ssid"`, `31 "02-00-00-00-00-01"`, `42 2147483649`, `52 3`, `43 17`, `47 11`, `48 12`, `46 3600`, `49 1`, `55 1767225600`,
	`126 "1visited.example"`, `89 "cui"`, `10415.18 "26201"`, `10415.21 x06`, `33 "p1"`, `8 x0a000001`,
}

func TestTranslateAllocatesNothing(t *testing.T) {
	tr := New(NewSessions(ourName, ourKey))
	room, name, answer := make([]byte, diameter.MaxLen), make([]byte, 0, 512), make([]byte, radius.MaxLen)
	x := (&vector{do: "account", keys: map[string]string{}}).terms()
	p := packet(t, radius.AccountingRequest, stopLines...)
	back, _ := head("271 3 P")
	_, result, err := readAVP(`268! 2001`)
	require.NoError(t, err)
	back = append(back, result...)
	seal(back, true)
	var m diameter.Message
	var q Asked
	run := func() {
		x.Session, _ = tr.Sessions.Accounting(name[:0], p)
		b, why := tr.Accounting(room, p, nil, x)
		require.Equal(t, OK, why)
		m.Parse(b)
		if _, why := tr.Request(answer, &m, 7); why != OK {
			t.Fatal(why)
		}
		m.Parse(back)
		q.Packet = p
		if _, _, why := tr.Reply(answer, &m, &q); why != OK {
			t.Fatal(why)
		}
	}
	run()
	assert.Zero(t, testing.AllocsPerRun(100, run))
}

func BenchmarkAccountingStop(b *testing.B) {
	tr := New(NewSessions(ourName, ourKey))
	room, name, answer := make([]byte, diameter.MaxLen), make([]byte, 0, 512), make([]byte, radius.MaxLen)
	x := (&vector{do: "account", keys: map[string]string{}}).terms()
	raw := append([]byte(nil), packet(b, radius.AccountingRequest, stopLines...).Bytes()...)
	back, _ := head("271 3 P")
	_, result, _ := readAVP(`268! 2001`)
	back = append(back, result...)
	seal(back, true)
	var p radius.Packet
	var m diameter.Message
	var q Asked
	b.ReportAllocs()
	for b.Loop() {
		p.Parse(raw)
		x.Session, _ = tr.Sessions.Accounting(name[:0], &p)
		tr.Accounting(room, &p, nil, x)
		m.Parse(back)
		q.Packet = &p
		tr.Reply(answer, &m, &q)
	}
}

package gateway

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/judge"
)

// bench is a Gateway without its goroutine: a test is the clock, the hub and the agent.
type bench struct {
	t     *testing.T
	g     *Gateway
	stats *stat.Registry
	line  *packets // to a home of Diameter
	visit *packets // of the client of a Diameter peer, nil: none was opened
	now   int64
	token uint32
}

const must = diameter.AVPMandatory

func newBench(t *testing.T, conf Config) *bench {
	b := &bench{t: t, stats: stat.NewRegistry()}
	conf.Identity, conf.Realm = "hub.example", "hub"
	g, err := New(conf, Rooms{Stats: b.stats, Key: []byte("0123456789abcdef")})
	require.NoError(t, err)
	b.g, g.hub = g, b
	g.Apply(&realm.Set{
		Clients: []realm.Client{{Name: "nas-dia", Transport: realm.Diameter}},
		Peers:   []realm.Peer{{Name: "nas-dia", Identity: "nas.visited.example", Client: 0}},
	})
	c, err := g.Dial(&realm.Home{Name: "gate"})
	require.NoError(t, err)
	b.line = c.(*packets)
	b.step(0)
	t.Cleanup(g.close)
	return b
}

// Visit is that of Hub.
func (b *bench) Visit(_ string, c net.Conn) error {
	b.visit = c.(*packets)
	return nil
}

// step lets time pass.
func (b *bench) step(d time.Duration) {
	b.now += int64(d)
	b.g.step(b.now, 1767225600+b.now/int64(time.Second))
}

// request writes a request of RADIUS from the hub.
func (b *bench) request(code radius.Code, attrs ...string) {
	b.t.Helper()
	b.token++
	var auth [16]byte
	radius.PutToken(&auth, b.token)
	b.write(b.line, code, &auth, attrs...)
}

func (b *bench) write(c *packets, code radius.Code, auth *[16]byte, attrs ...string) {
	b.t.Helper()
	var w radius.Writer
	w.Start(make([]byte, radius.MaxLen), code, 0, false)
	w.SetAuthenticator(auth)
	for _, a := range attrs {
		require.True(b.t, w.Raw([]byte(a)))
	}
	_, err := c.Write(w.SignAccounting(nil, radius.Clear))
	require.NoError(b.t, err)
}

func attribute(t radius.Type, v string) string {
	return string([]byte{byte(t), byte(2 + len(v))}) + v
}

var (
	bob   = attribute(radius.UserName, "bob@home.example")
	ap    = attribute(radius.NASIdentifier, "ap1")
	begun = attribute(radius.AcctStatusType, "\x00\x00\x00\x01")
	over  = attribute(radius.AcctStatusType, "\x00\x00\x00\x02")
)

// packets gives what the hub has got.
func (b *bench) packets(c *packets) (all []*radius.Packet) {
	b.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.at < len(c.to) {
		n := int(c.to[c.at+2])<<8 | int(c.to[c.at+3])
		p := &radius.Packet{}
		require.Equal(b.t, radius.OK, p.Parse(append([]byte(nil), c.to[c.at:c.at+n]...)))
		all = append(all, p)
		c.at += n
	}
	c.to, c.at = c.to[:0], 0
	return all
}

// rejected is that the hub has got one Reject with an Error-Cause.
func (b *bench) rejected(cause uint32) {
	b.t.Helper()
	all := b.packets(b.line)
	require.Len(b.t, all, 1)
	assert.Equal(b.t, radius.AccessReject, all[0].Code())
	got, _ := all[0].Uint32(radius.ErrorCause)
	assert.Equal(b.t, cause, got)
	assert.Equal(b.t, b.token, radius.Token(all[0].Authenticator()))
}

// messages gives what the agent has got.
func (b *bench) messages() (all []*diameter.Message) {
	b.t.Helper()
	w := b.g.wire
	for more := true; more; {
		var err error
		more, err = w.Recv()
		require.NoError(b.t, err)
		for {
			raw, err := w.Next()
			require.NoError(b.t, err)
			if raw == nil {
				break
			}
			judge.Collect(raw)
			m := &diameter.Message{}
			require.Equal(b.t, diameter.NoFault, m.Parse(append([]byte(nil), raw...)))
			all = append(all, m)
		}
	}
	return all
}

// result is that of the only message that the agent has got.
func (b *bench) result() uint32 {
	b.t.Helper()
	all := b.messages()
	require.Len(b.t, all, 1)
	require.False(b.t, all[0].Request())
	v, _ := all[0].Uint32(diameter.KnownResultCode)
	return v
}

// says has the agent say something.
func (b *bench) says(write func(w *diameter.Writer, room []byte)) {
	b.t.Helper()
	var w diameter.Writer
	write(&w, make([]byte, diameter.MaxLen))
	raw := w.Finish()
	require.NotNil(b.t, raw)
	room := b.g.wire.RoomFor(len(raw))
	require.NotNil(b.t, room)
	b.g.wire.Commit(copy(room, raw))
	require.NoError(b.t, b.g.wire.Flush())
}

// answer has the home answer a request.
func (b *bench) answer(m *diameter.Message, result uint32) {
	b.t.Helper()
	b.says(func(w *diameter.Writer, room []byte) {
		w.Answer(room, m, &diameter.Answer{Result: result, Host: "aaa.home.example", Realm: "home.example"})
	})
	b.step(0)
}

// visits has a Diameter NAS ask.
func (b *bench) visits(command, app uint32, session string, more func(w *diameter.Writer)) {
	b.t.Helper()
	b.token++
	b.says(func(w *diameter.Writer, room []byte) {
		w.Begin(room, &diameter.Header{Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: command, Application: app, HopByHop: b.token, EndToEnd: b.token})
		w.String(diameter.SessionID, 0, must, session)
		w.String(diameter.OriginHost, 0, must, "nas.visited.example")
		w.String(diameter.OriginRealm, 0, must, "visited.example")
		w.String(diameter.UserName, 0, must, "eve@radius.example")
		if more != nil {
			more(w)
		}
		w.String(diameter.RouteRecord, 0, must, "nas.visited.example")
	})
	b.step(0)
}

// counts is that so many are known and under way.
func (b *bench) counts(sessions, exchanges int) {
	b.t.Helper()
	b.step(0)
	g := b.g
	assert.EqualValues(b.t, sessions, b.stats.Value("roamgate_gateway_sessions"), "sessions")
	assert.EqualValues(b.t, exchanges, b.stats.Value("roamgate_gateway_in_flight"), "exchanges")
	assert.Equal(b.t, exchanges, g.wheel.Len(), "timers")
	assert.Len(b.t, g.sessions.free, len(g.sessions.slots)-sessions)
	assert.Len(b.t, g.exchanges.free, len(g.exchanges.slots)-exchanges)
	if sessions == 0 {
		assert.Empty(b.t, g.sessions.of)
		assert.Empty(b.t, g.sessions.by)
		assert.Empty(b.t, g.sessions.names)
	}
}

// C123: a NAS for whose session there is no room hears so.
func TestC123SessionTableFull(t *testing.T) {
	b := newBench(t, Config{Sessions: 2, InFlight: 8})
	for range 2 {
		b.request(radius.AccessRequest, bob, ap)
	}
	b.step(0)
	asked := b.messages()
	require.Len(t, asked, 2)
	b.counts(2, 2)

	b.request(radius.AccessRequest, bob, ap)
	b.step(0)
	b.rejected(506)
	b.visits(diameter.AA, diameter.AppNASREQ, "nas;1;1", nil)
	assert.EqualValues(t, diameter.ResultTooBusy, b.result())
	assert.EqualValues(t, 2, b.stats.Value("roamgate_gateway_sessions_full_total"))
	b.counts(2, 2)

	b.answer(asked[0], diameter.ResultAuthenticationRejected)
	require.Len(t, b.packets(b.line), 1)
	b.counts(1, 1)
	b.request(radius.AccessRequest, bob, ap)
	b.step(0)
	require.Len(t, b.messages(), 1, "there is room again")
	b.counts(2, 2)
}

// C123: a record needs no session of ours, so a full table does not hinder it.
func TestC123AccountingWhileTheSessionTableIsFull(t *testing.T) {
	b := newBench(t, Config{Sessions: 1, InFlight: 8})
	b.request(radius.AccessRequest, bob, ap)
	b.request(radius.AccountingRequest, bob, ap, begun, attribute(radius.AcctSessionID, "s-1"))
	b.step(0)
	asked := b.messages()
	require.Len(t, asked, 2)
	assert.EqualValues(t, diameter.Accounting, asked[1].Command)
	b.answer(asked[1], diameter.ResultSuccess)
	all := b.packets(b.line)
	require.Len(t, all, 1)
	assert.Equal(t, radius.AccountingResponse, all[0].Code())
}

// C123: too many under way: an Access-Request is rejected and keeps no session, a record
// has no answer, a request of Diameter is answered 3004.
func TestC123ExchangeTableFull(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 1})
	b.request(radius.AccessRequest, bob, ap)
	b.step(0)
	first := b.messages()
	require.Len(t, first, 1)
	b.request(radius.AccessRequest, bob, ap)
	b.step(0)
	b.rejected(506)
	b.counts(1, 1)
	b.request(radius.AccountingRequest, bob, ap, begun, attribute(radius.AcctSessionID, "s-1"))
	b.step(0)
	assert.Empty(t, b.packets(b.line), "it is sent again")
	assert.Empty(t, b.messages())
	b.visits(diameter.AA, diameter.AppNASREQ, "nas;1;1", nil)
	assert.EqualValues(t, diameter.ResultTooBusy, b.result())
	assert.EqualValues(t, 3, b.stats.Value("roamgate_gateway_full_total"))
	b.answer(first[0], diameter.ResultAuthenticationRejected)
	b.counts(0, 0)
	b.answer(first[0], diameter.ResultSuccess)
	assert.EqualValues(t, 1, b.stats.Value("roamgate_gateway_late_total"), "its exchange is over")
	require.Len(t, b.packets(b.line), 1)
}

// C123: an agent that takes nothing: what waits for it is bounded, and who asks hears.
func TestC123AgentTakesNothing(t *testing.T) {
	b := newBench(t, Config{Sessions: 1 << 16, InFlight: 1 << 16})
	long := attribute(radius.ReplyMessage, string(make([]byte, 253)))
	attrs := []string{bob, ap, long, long, long, long, long, long, long, long, long, long, long}
	sent := 0
	for b.stats.Value("roamgate_gateway_stalled_total") == 0 {
		require.Less(t, sent, 1<<12)
		b.request(radius.AccessRequest, attrs...)
		b.step(0)
		sent++
	}
	b.rejected(506)
	assert.LessOrEqual(t, len(b.g.wire.to), mostWired)
	b.counts(sent-1, sent-1)
	b.request(radius.AccountingRequest, append(attrs, begun, attribute(radius.AcctSessionID, "s-1"))...)
	b.step(0)
	assert.Empty(t, b.packets(b.line))
	b.counts(sent-1, sent-1)
	asked := b.messages()
	require.Len(t, asked, sent-1)
	for _, m := range asked {
		b.answer(m, diameter.ResultAuthenticationRejected)
		require.Len(t, b.packets(b.line), 1)
	}
	b.counts(0, 0)
}

// C123: a hub that takes nothing: a request of Diameter is answered 3004, what it sends
// itself is bounded, and an answer for it is dropped.
func TestC123HubTakesNothing(t *testing.T) {
	b := newBench(t, Config{Sessions: 1 << 16, InFlight: 1 << 16})
	long := string(make([]byte, 4000))
	text := func(w *diameter.Writer) {
		w.Uint32(diameter.AuthRequestType, 0, must, 3)
		w.String(uint32(radius.ReplyMessage), 0, must, long[:3000])
	}
	sent := 0
	for b.stats.Value("roamgate_gateway_stalled_total") == 0 {
		require.Less(t, sent, 1<<12)
		b.visits(diameter.AA, diameter.AppNASREQ, "nas;1;1", text)
		sent++
	}
	assert.EqualValues(t, diameter.ResultTooBusy, b.result())
	assert.LessOrEqual(t, len(b.visit.to), mostPackets)
	b.counts(1, sent-1)

	for len(b.visit.from)+len(long) <= mostPackets {
		_, err := b.visit.Write([]byte(long))
		require.NoError(t, err)
	}
	require.NoError(t, b.visit.SetWriteDeadline(time.Now().Add(-time.Second)))
	_, err := b.visit.Write([]byte(long))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.LessOrEqual(t, len(b.visit.from), mostPackets)
	b.step(b.g.conf.Patience + time.Second)
	all := b.messages()
	assert.Len(t, all, sent-1, "each is answered when its time is over")
	for _, m := range all {
		v, _ := m.Uint32(diameter.KnownResultCode)
		require.EqualValues(t, diameter.ResultUnableToDeliver, v)
	}
	b.step(time.Duration(beginning))
	b.counts(0, 0)
}

// C123: answers that never come: who asks hears when the time is over, and nothing stays.
func TestC123AnswersThatNeverCome(t *testing.T) {
	b := newBench(t, Config{Sessions: 64, InFlight: 64, Patience: time.Second})
	b.request(radius.AccessRequest, bob, ap)
	access := b.token
	b.request(radius.AccountingRequest, bob, ap, over, attribute(radius.AcctSessionID, "s-1"))
	b.visits(diameter.AA, diameter.AppNASREQ, "nas;1;1", nil)
	require.Len(t, b.messages(), 2)
	b.counts(2, 3)
	b.step(500 * time.Millisecond)
	assert.Empty(t, b.messages())
	b.step(time.Second)
	b.token = access
	b.rejected(502)
	assert.EqualValues(t, diameter.ResultUnableToDeliver, b.result())
	assert.EqualValues(t, 3, b.stats.Value("roamgate_gateway_unanswered_total"))
	b.counts(2, 0)

	b.write(b.visit, radius.AccessAccept, b.packets(b.visit)[0].Authenticator())
	b.step(0)
	assert.EqualValues(t, 1, b.stats.Value("roamgate_gateway_late_total"))
	assert.Empty(t, b.messages())
	b.step(time.Duration(beginning))
	b.counts(0, 0)
}

// C123: a session lives as long as something is heard of it, and is forgotten then.
func TestC123SessionsExpire(t *testing.T) {
	b := newBench(t, Config{Sessions: 64, InFlight: 64})
	b.request(radius.AccessRequest, bob, ap)
	b.step(0)
	b.answer(b.messages()[0], diameter.ResultSuccess)
	accept := b.packets(b.line)[0]
	class, _ := accept.First(radius.Class)
	b.visits(diameter.AA, diameter.AppNASREQ, "nas;1;1", nil)
	b.write(b.visit, radius.AccessAccept, b.packets(b.visit)[0].Authenticator())
	b.step(0)
	assert.EqualValues(t, 2001, b.result())
	b.counts(2, 0)

	b.step(time.Duration(living) - time.Second)
	b.request(radius.AccountingRequest, bob, ap, begun, attribute(radius.AcctSessionID, "s-1"), attribute(radius.Class, string(class)))
	b.step(0)
	b.answer(b.messages()[0], diameter.ResultSuccess)
	b.step(2 * time.Second)
	b.counts(1, 0)
	b.step(time.Duration(living))
	b.counts(0, 0)
}

// C123: a connection of the hub that ends leaves nothing behind, and an answer for it is
// counted.
func TestC123HubHangsUp(t *testing.T) {
	b := newBench(t, Config{Sessions: 64, InFlight: 64, Patience: time.Second})
	b.request(radius.AccessRequest, bob, ap)
	b.request(radius.AccessRequest, bob, ap)
	b.visits(diameter.AA, diameter.AppNASREQ, "nas;1;1", nil)
	asked := b.messages()
	require.NoError(t, b.line.Close())
	require.NoError(t, b.visit.Close())
	b.step(0)
	assert.Empty(t, b.g.lines)
	assert.Empty(t, b.g.visits)
	assert.Empty(t, b.g.homes["gate"])
	b.answer(asked[0], diameter.ResultSuccess)
	assert.EqualValues(t, 1, b.stats.Value("roamgate_gateway_orphans_total"))
	b.counts(3, 2)
	b.step(2 * time.Second)
	assert.EqualValues(t, diameter.ResultUnableToDeliver, b.result(), "of the Diameter NAS")
	b.step(time.Duration(living))
	b.counts(0, 0)
}

// C123: two starts in one second name no session alike: each has a number of its own.
func TestC123SessionsOfTwoStarts(t *testing.T) {
	seen := map[string]bool{}
	for boot := uint32(7); boot < 9; boot++ {
		b := newBench(t, Config{Sessions: 64, InFlight: 64, Boot: boot})
		b.g.at.Low = 0 // chance is the same
		for range 2 {
			b.request(radius.AccessRequest, bob, ap)
			b.step(0)
			session := string(b.messages()[0].Value(diameter.KnownSessionID))
			assert.False(t, seen[session], session)
			seen[session] = true
		}
	}
}

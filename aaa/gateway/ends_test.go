package gateway

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// granted begins a session of a NAS of RADIUS, and gives its Session-Id and Class.
func (b *bench) granted(more ...string) (session, class string) {
	b.t.Helper()
	b.request(radius.AccessRequest, append(more, bob, ap)...)
	b.step(0)
	asked := b.messages()
	require.Len(b.t, asked, 1)
	b.answer(asked[0], diameter.ResultSuccess)
	all := b.packets(b.line)
	require.Len(b.t, all, 1)
	require.Equal(b.t, radius.AccessAccept, all[0].Code())
	v, _ := all[0].First(radius.Class)
	return string(asked[0].Value(diameter.KnownSessionID)), attribute(radius.Class, string(v))
}

// started has its accounting begin.
func (b *bench) started(acct, class string) {
	b.t.Helper()
	b.request(radius.AccountingRequest, bob, ap, begun, class, attribute(radius.AcctSessionID, acct))
	b.step(0)
	asked := b.messages()
	require.Len(b.t, asked, 1)
	b.answer(asked[0], diameter.ResultSuccess)
	require.Len(b.t, b.packets(b.line), 1)
}

func number(m *diameter.Message, code uint32) uint32 {
	var a diameter.AVP
	if !diameter.Find(m.Body(), code, 0, &a) {
		return 0
	}
	v, _ := a.Uint32()
	return v
}

// on is an Accounting-On, off an Accounting-Off.
var (
	on  = attribute(radius.AcctStatusType, "\x00\x00\x00\x07")
	off = attribute(radius.AcctStatusType, "\x00\x00\x00\x08")
)

// C123: Accounting-Off ends each session of the NAS, as its administrator has. The NAS has
// its answer when the home has the end of each.
func TestC123AccountingOff(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 8})
	session, class := b.granted()
	b.started("s-1", class)
	b.request(radius.AccountingRequest, ap, off, attribute(radius.ProxyState, "p1"))
	b.step(0)
	assert.Empty(t, b.packets(b.line), "nobody has the record")
	ends := b.messages()
	require.Len(t, ends, 1)
	assert.EqualValues(t, diameter.Accounting, ends[0].Command)
	b.answer(ends[0], diameter.ResultSuccess)
	all := b.packets(b.line)
	require.Len(t, all, 1)
	assert.Equal(t, radius.AccountingResponse, all[0].Code())
	assert.Equal(t, b.token, radius.Token(all[0].Authenticator()))
	assert.True(t, all[0].Has(radius.ProxyState))
	ends = append(ends, b.messages()...)
	require.Len(t, ends, 2)
	assert.EqualValues(t, diameter.SessionTermination, ends[1].Command)
	for _, m := range ends {
		assert.Equal(t, session, string(m.Value(diameter.KnownSessionID)))
		assert.EqualValues(t, 17, number(m, 295), "Admin Reboot")
	}
	b.answer(ends[1], diameter.ResultSuccess)
	b.counts(0, 0)
}

// C123: a NAS that begins anew is not answered before each of its sessions has its end, and
// what ends there already has no second one.
func TestC123AccountingOnWithoutRoom(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 2})
	for _, acct := range []string{"s-1", "s-2"} {
		_, class := b.granted()
		b.started(acct, class)
	}
	b.request(radius.AccountingRequest, ap, on)
	b.step(0)
	first := b.messages()
	require.Len(t, first, 1, "there is no room for the other")
	b.answer(first[0], diameter.ResultSuccess)
	assert.Empty(t, b.packets(b.line))
	b.answer(b.messages()[0], diameter.ResultSuccess)
	b.counts(1, 0)
	b.request(radius.AccountingRequest, ap, on)
	b.step(0)
	last := b.messages()
	require.Len(t, last, 1)
	assert.EqualValues(t, diameter.Accounting, last[0].Command)
	assert.NotEqual(t, first[0].Value(diameter.KnownSessionID), last[0].Value(diameter.KnownSessionID))
	b.answer(last[0], diameter.ResultSuccess)
	assert.Len(t, b.packets(b.line), 1)
	b.answer(b.messages()[0], diameter.ResultSuccess)
	b.counts(0, 0)
}

// C123: a home that does not take the end of a session leaves the NAS without an answer, and
// the end that comes again is the same record. One that refuses it for good has heard it.
func TestC123AccountingOnThatIsNotTaken(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails func(b *bench, m *diameter.Message)
		over  bool
	}{
		{"not delivered", func(b *bench, m *diameter.Message) { b.answer(m, diameter.ResultUnableToDeliver) }, false},
		{"no room at home", func(b *bench, m *diameter.Message) { b.answer(m, diameter.ResultOutOfSpace) }, false},
		{"no answer", func(b *bench, _ *diameter.Message) { b.step(b.g.conf.Patience + time.Second) }, false},
		{"refused", func(b *bench, m *diameter.Message) { b.answer(m, diameter.ResultUnableToComply) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Config{Sessions: 8, InFlight: 8})
			_, class := b.granted()
			b.started("s-1", class)
			b.request(radius.AccountingRequest, ap, on)
			b.request(radius.AccountingRequest, ap, on)
			b.step(0)
			first := b.messages()
			require.Len(t, first, 1, "said twice, it ends once")
			c.fails(b, first[0])
			if c.over {
				assert.Len(t, b.packets(b.line), 1)
				b.answer(b.messages()[0], diameter.ResultSuccess)
				b.counts(0, 0)
				return
			}
			assert.Empty(t, b.packets(b.line))
			b.counts(1, 0)
			b.step(5 * time.Second)
			b.request(radius.AccountingRequest, ap, on, attribute(radius.AcctDelayTime, "\x00\x00\x00\x05"))
			b.step(0)
			again := b.messages()
			require.Len(t, again, 1)
			assert.Equal(t, first[0].Value(diameter.KnownRecordNumber), again[0].Value(diameter.KnownRecordNumber))
			assert.Equal(t, number(first[0], diameter.EventTimestamp), number(again[0], diameter.EventTimestamp))
			b.answer(again[0], diameter.ResultSuccess)
			assert.Len(t, b.packets(b.line), 1)
			b.answer(b.messages()[0], diameter.ResultSuccess)
			b.counts(0, 0)
		})
	}
}

// C123: an Accounting-On that is said again, or comes late, ends no session that has begun
// since.
func TestC123AccountingOnThatIsOld(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 8})
	_, before := b.granted()
	b.started("s-1", before)
	b.step(time.Minute)
	_, since := b.granted()
	b.started("s-2", since)
	stamp := binary.BigEndian.AppendUint32(nil, uint32(b.g.wall-30))
	for _, age := range []string{attribute(radius.AcctDelayTime, "\x00\x00\x00\x1e"), attribute(radius.EventTimestamp, string(stamp))} {
		b.request(radius.AccountingRequest, ap, on, age)
		b.step(0)
		for _, m := range b.messages() {
			b.answer(m, diameter.ResultSuccess)
		}
		assert.Len(t, b.packets(b.line), 1)
		for _, m := range b.messages() {
			b.answer(m, diameter.ResultSuccess)
		}
		b.counts(1, 0)
	}
	b.request(radius.AccountingRequest, ap, on, attribute(radius.EventTimestamp, "\x00\x00\x00\x09"))
	b.step(0)
	assert.Len(t, b.messages(), 1, "a clock that nobody has set says nothing")
}

// C123: an STR has its answer when the record that it owes has one. While nobody has that
// record the session stays, and asked again the same record is sent.
func TestC123StopBeforeTheAnswer(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 8})
	b.visits(diameter.Accounting, diameter.AppAccounting, "nas;1;1", func(w *diameter.Writer) {
		w.Uint32(diameter.AccountingRecordType, 0, must, recordStart)
		w.Uint32(diameter.AccountingRecordNumber, 0, must, 0)
	})
	taken := func() []*radius.Packet {
		t.Helper()
		all := b.packets(b.visit)
		require.Len(t, all, 1)
		assert.Equal(t, radius.AccountingRequest, all[0].Code())
		return all
	}
	b.write(b.visit, radius.AccountingResponse, taken()[0].Authenticator())
	b.step(0)
	assert.EqualValues(t, 2001, b.result())
	end := func() {
		b.visits(diameter.SessionTermination, diameter.AppNASREQ, "nas;1;1", func(w *diameter.Writer) { w.Uint32(295, 0, must, 1) })
	}
	end()
	first := taken()[0]
	assert.Empty(t, b.messages(), "nobody has the record")
	b.step(b.g.conf.Patience + time.Second)
	assert.EqualValues(t, diameter.ResultUnableToDeliver, b.result())
	b.counts(1, 0)

	end()
	again := taken()[0]
	assert.Equal(t, first.Bytes()[radius.HeaderLen:], again.Bytes()[radius.HeaderLen:])
	b.write(b.visit, radius.ProtocolError, again.Authenticator())
	b.step(0)
	assert.EqualValues(t, diameter.ResultUnableToComply, b.result())
	b.counts(1, 0)

	end()
	b.write(b.visit, radius.AccountingResponse, taken()[0].Authenticator())
	b.step(0)
	assert.EqualValues(t, 2001, b.result())
	b.counts(0, 0)
	end()
	assert.EqualValues(t, diameter.ResultUnknownSessionID, b.result())
}

// C123: a session that its home has ended, and whose NAS sends no records, is over for the
// home by an STR.
func TestC123AbortedWithoutAccounting(t *testing.T) {
	for _, counted := range []bool{false, true} {
		b := newBench(t, Config{Sessions: 8, InFlight: 8})
		session, class := b.granted()
		if counted {
			b.started("s-1", class)
		}
		b.token++
		b.says(func(w *diameter.Writer, room []byte) {
			w.Begin(room, &diameter.Header{Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: diameter.AbortSession, Application: 1, HopByHop: 7, EndToEnd: 8})
			w.String(diameter.SessionID, 0, must, session)
			w.String(diameter.OriginHost, 0, must, "aaa.home.example")
			w.String(diameter.OriginRealm, 0, must, "home.example")
		})
		b.step(0)
		asks := b.packets(b.line)
		require.Len(t, asks, 1)
		assert.Equal(t, radius.DisconnectRequest, asks[0].Code())
		b.write(b.line, radius.DisconnectACK, asks[0].Authenticator())
		b.step(0)
		all := b.messages()
		require.NotEmpty(t, all)
		assert.EqualValues(t, diameter.AbortSession, all[0].Command)
		if counted {
			require.Len(t, all, 1, "the record of its end is to come")
			b.counts(1, 0)
			continue
		}
		require.Len(t, all, 2)
		assert.EqualValues(t, diameter.SessionTermination, all[1].Command)
		assert.Equal(t, session, string(all[1].Value(diameter.KnownSessionID)))
		b.answer(all[1], diameter.ResultSuccess)
		b.counts(0, 0)
	}
}

// C123: a request of STa that only authorises has no EAP, and its answer is found.
func TestC123AuthorisedBySTa(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 8})
	c, err := b.g.Dial(&realm.Home{Name: "gate", Gateway: diameter.AppSTa})
	require.NoError(t, err)
	b.line = c.(*packets)
	b.request(radius.AccessRequest, bob, ap, attribute(radius.ServiceType, "\x00\x00\x00\x11"))
	b.step(0)
	asked := b.messages()
	require.Len(t, asked, 1)
	assert.EqualValues(t, diameter.AA, asked[0].Command)
	assert.EqualValues(t, diameter.AppSTa, asked[0].Application)
	b.answer(asked[0], diameter.ResultSuccess)
	all := b.packets(b.line)
	require.Len(t, all, 1)
	assert.Equal(t, radius.AccessAccept, all[0].Code())
}

// C123: a conversation goes on behind a restart of the hub: its session and the home's
// State are in the State of the NAS.
func TestC123StateOverRoundsAndARestart(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 8})
	eap := attribute(radius.EAPMessage, "\x02\x01\x00\x05\x01")
	state, session := "", ""
	for round, home := range []string{"S1", "S2", "S3"} {
		if round == 2 {
			b = newBench(t, Config{Sessions: 8, InFlight: 8})
		}
		attrs := []string{bob, ap, eap}
		if state != "" {
			attrs = append(attrs, attribute(radius.State, state))
		}
		b.request(radius.AccessRequest, attrs...)
		b.step(0)
		asked := b.messages()
		require.Len(t, asked, 1)
		m := asked[0]
		if round == 0 {
			session = string(m.Value(diameter.KnownSessionID))
		} else {
			var a diameter.AVP
			require.True(t, diameter.Find(m.Body(), uint32(radius.State), 0, &a))
			assert.Equal(t, []string{"", "S1", "S2"}[round], string(a.Data))
		}
		assert.Equal(t, session, string(m.Value(diameter.KnownSessionID)))
		if round == 1 {
			assert.Equal(t, "aaa.home.example", string(m.Value(diameter.KnownDestinationHost)))
		}
		b.says(func(w *diameter.Writer, room []byte) {
			w.Answer(room, m, &diameter.Answer{Result: diameter.ResultMultiRoundAuth, Host: "aaa.home.example", Realm: "home.example"})
			w.String(462, 0, must, "\x01\x02\x00\x05\x01")
			w.String(uint32(radius.State), 0, must, home)
		})
		b.step(0)
		all := b.packets(b.line)
		require.Len(t, all, 1)
		require.Equal(t, radius.AccessChallenge, all[0].Code())
		v, _ := all[0].First(radius.State)
		state = string(v)
	}
	b.counts(1, 0)
	b.step(time.Duration(beginning) + time.Second)
	b.counts(0, 0)
	b.request(radius.AccessRequest, bob, ap, eap, attribute(radius.State, "of another"))
	b.step(0)
	b.rejected(503)
}

// C123: what a home of RADIUS asks of a session that nobody knows is denied, and what
// Diameter has no request for.
func TestC123DeniedAtOnce(t *testing.T) {
	b := newBench(t, Config{Sessions: 8, InFlight: 8})
	b.visits(diameter.AA, diameter.AppNASREQ, "nas;1;1", nil)
	asks := b.packets(b.visit)
	require.Len(t, asks, 1)
	b.write(b.visit, radius.AccessAccept, asks[0].Authenticator())
	b.step(0)
	assert.EqualValues(t, 2001, b.result())
	for _, c := range []struct {
		code  radius.Code
		acct  string
		want  radius.Code
		cause uint32
	}{
		{radius.DisconnectRequest, "unknown", radius.DisconnectNAK, 503},
		{radius.CoARequest, "unknown", radius.CoANAK, 503},
		{radius.CoARequest, "nas;1;1", radius.CoANAK, 405},
	} {
		b.write(b.visit, c.code, &[16]byte{}, attribute(radius.AcctSessionID, c.acct))
		b.step(0)
		all := b.packets(b.visit)
		require.Len(t, all, 1)
		cause, _ := all[0].Uint32(radius.ErrorCause)
		assert.Equal(t, c.want, all[0].Code())
		assert.Equal(t, c.cause, cause)
		assert.Empty(t, b.messages())
	}
}

package gateway_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

var bob = attr(radius.UserName, "bob@home.example")

// C123: a NAS of RADIUS is let in by a home of Diameter.
func TestC123AccessOfRADIUS(t *testing.T) {
	r := newRig(t, nil)
	r.connected("home-dia")
	r.home.says(2001, func(m *diameter.Message, w *diameter.Writer) {
		w.Uint32(diameter.SessionTimeout, 0, must, 3600)
		w.String(diameter.Class, 0, must, "home")
	})
	got := r.access(bob, attr(radius.NASIdentifier, "ap1"), attr(radius.CHAPPassword, string(make([]byte, 17))))
	m := r.home.next()
	assert.EqualValues(t, diameter.AA, m.Command)
	assert.EqualValues(t, diameter.AppNASREQ, m.Application)
	assert.Equal(t, "bob@home.example", string(value(m, diameter.UserName)))
	assert.Equal(t, "hub.example", string(m.Value(diameter.KnownOriginHost)))
	assert.Equal(t, "home.example", string(m.Value(diameter.KnownDestinationRealm)))
	assert.Equal(t, "ap1", string(value(m, uint32(radius.NASIdentifier))))
	assert.Len(t, value(m, uint32(radius.CHAPChallenge)), 16, "the NAS's Request Authenticator")
	assert.Equal(t, radius.AccessAccept, got.Code())
	timeout, _ := got.Uint32(radius.SessionTimeout)
	assert.EqualValues(t, 3600, timeout)
	assert.Equal(t, 2, got.Count(radius.Class), "the home's and ours")
	require.True(t, got.Has(radius.MessageAuthenticator))
}

// C123: EAP goes on with the server that it began with, and its keys reach the NAS. What the
// session is called stays the same to its end, of which the home is told.
func TestC123SessionOfRADIUS(t *testing.T) {
	r := newRig(t, nil)
	r.connected("home-dia")
	const msk = "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrssssssssssssssssssssssssssssssss"
	r.home.answers(func(m *diameter.Message) []byte {
		code, add := uint32(2001), func(m *diameter.Message, w *diameter.Writer) {}
		switch payload := value(m, 462); {
		case m.Command != diameter.EAP:
		case string(payload) == "\x02\x01\x00\x05\x01":
			code, add = 1001, func(_ *diameter.Message, w *diameter.Writer) {
				w.String(462, 0, must, "\x01\x02\x00\x05\x0d")
				w.String(uint32(radius.State), 0, must, "S7")
			}
		default:
			add = func(_ *diameter.Message, w *diameter.Writer) {
				w.String(462, 0, must, "\x03\x02\x00\x04")
				w.String(464, 0, 0, msk)
			}
		}
		return r.home.reply(m, code, add)
	})
	round := r.access(bob, attr(radius.NASIdentifier, "ap1"), attr(radius.EAPMessage, "\x02\x01\x00\x05\x01"))
	first := r.home.next()
	assert.EqualValues(t, diameter.EAP, first.Command)
	assert.EqualValues(t, diameter.AppEAP, first.Application)
	assert.Nil(t, first.Value(diameter.KnownDestinationHost))
	require.Equal(t, radius.AccessChallenge, round.Code())
	state, _ := round.First(radius.State)
	require.Len(t, state, 18)

	sent := r.send(listen.Auth, radius.AccessRequest, bob, attr(radius.NASIdentifier, "ap1"), attr(radius.EAPMessage, "\x02\x02\x00\x05\x0d"), attr(radius.State, string(state)))
	accept := r.get(sent)
	second := r.home.next()
	assert.Equal(t, "aaa.home.example", string(second.Value(diameter.KnownDestinationHost)))
	assert.Equal(t, "S7", string(value(second, uint32(radius.State))))
	session := string(first.Value(diameter.KnownSessionID))
	assert.Equal(t, session, string(second.Value(diameter.KnownSessionID)))
	assert.True(t, strings.HasPrefix(session, "hub.example;"), session)
	require.Equal(t, radius.AccessAccept, accept.Code())
	assert.Equal(t, msk[:32], r.key(accept, radius.MSMPPERecvKey, sent))
	assert.Equal(t, msk[32:], r.key(accept, radius.MSMPPESendKey, sent))

	class, _ := accept.First(radius.Class)
	kept := attr(radius.Class, string(class))
	record := func(attrs ...[]byte) *diameter.Message {
		t.Helper()
		got := r.account(append(attrs, bob, kept, attr(radius.NASIdentifier, "ap1"), attr(radius.AcctSessionID, "s-1"))...)
		assert.Equal(t, radius.AccountingResponse, got.Code())
		m := r.home.next()
		assert.EqualValues(t, diameter.Accounting, m.Command)
		assert.Equal(t, session, string(m.Value(diameter.KnownSessionID)))
		return m
	}
	record(attr32(radius.AcctStatusType, 1))
	stop := record(attr32(radius.AcctStatusType, 2), attr32(radius.AcctInputOctets, 0x80000001), attr32(radius.AcctInputGigawords, 3), attr32(radius.AcctSessionTime, 60))
	assert.EqualValues(t, 15032385537, binary.BigEndian.Uint64(value(stop, 363)))
	end := r.home.next()
	assert.EqualValues(t, diameter.SessionTermination, end.Command)
	assert.Equal(t, session, string(end.Value(diameter.KnownSessionID)))
	assert.Equal(t, "aaa.home.example", string(end.Value(diameter.KnownDestinationHost)))

	all := r.records()
	require.Len(t, all, 2, "each is recorded once")
	assert.Equal(t, accounting.Stop, all[1].Kind)
	assert.Equal(t, "wifi", all[1].Client)
	var e accounting.Event
	all[1].ReadEvent(&e)
	assert.EqualValues(t, 15032385537, e.InputOctets)
}

// key reads a key of an Accept.
func (r *rig) key(p *radius.Packet, typ uint8, sent []byte) string {
	v, ok := p.Vendor(radius.VendorMicrosoft, typ)
	require.True(r.t, ok)
	var b [radius.MaxValue]byte
	n, ok := r.crypt.RevealSalted(b[:], v[2:], [2]byte(v), (*[16]byte)(sent[4:20]), radius.NewSecret([]byte(nasSecret)))
	require.True(r.t, ok)
	return string(b[:n])
}

// C123: what a home of Diameter does not take has no answer of RADIUS.
func TestC123AccountingThatIsNotTaken(t *testing.T) {
	r := newRig(t, nil)
	r.connected("home-dia")
	r.home.says(4002, nil)
	lost := [][]byte{bob, attr32(radius.AcctStatusType, 1), attr(radius.AcctSessionID, "s-1"), attr(radius.NASIdentifier, "ap1")}
	r.send(listen.Acct, radius.AccountingRequest, lost...)
	m := r.home.next()
	assert.EqualValues(t, 0, word(m, diameter.AccountingRecordNumber))
	r.home.says(2001, nil)
	got := r.account(bob, attr32(radius.AcctStatusType, 1), attr(radius.AcctSessionID, "s-2"), attr(radius.NASIdentifier, "ap1"))
	assert.Equal(t, radius.AccountingResponse, got.Code())
	assert.Equal(t, r.id, got.Identifier(), "that of the other session, and the first has none")
}

// C123: the answers of a home of Diameter that is not there, and of one that refuses.
func TestC123Refused(t *testing.T) {
	r := newRig(t, nil)
	r.connected("home-dia")
	r.home.says(4001, nil)
	assert.Equal(t, radius.AccessReject, r.access(bob).Code())
	r.home.next()
	r.home.says(5003, nil)
	got := r.access(bob, attr(radius.EAPMessage, "\x02\x07\x00\x05\x01"))
	assert.Equal(t, radius.AccessReject, got.Code())
	eap, _ := got.First(radius.EAPMessage)
	assert.Equal(t, "\x04\x07\x00\x04", string(eap))
}

// C123: a NAS of Diameter is let in by a home of RADIUS, with the keys that it gives; what it
// counts arrives exact, and is recorded once.
func TestC123SessionOfDiameter(t *testing.T) {
	r := newRig(t, func(s *realm.Set) {})
	secret := radius.NewSecret([]byte(homeSecret))
	crypt := radius.NewCrypt()
	asked := make(chan *radius.Packet, 8)
	r.serve(r.server, func(p *radius.Packet) (radius.Code, [][]byte) {
		asked <- clone(t, p)
		salted := func(typ uint8, key string, salt [2]byte) []byte {
			var b [radius.MaxValue]byte
			n, _ := crypt.HideSalted(b[:], []byte(key), salt, p.Authenticator(), secret)
			v := append([]byte{26, byte(8 + 2 + n), 0, 0, 1, 55, typ, byte(4 + n)}, salt[:]...)
			return append(v, b[:n]...)
		}
		return radius.AccessAccept, [][]byte{
			attr(radius.EAPMessage, "\x03\x02\x00\x04"), salted(17, strings.Repeat("r", 32), [2]byte{0x80, 1}), salted(16, strings.Repeat("s", 32), [2]byte{0x80, 2}),
			attr(radius.Class, "cls"), attr32(radius.SessionTimeout, 600),
		}
	})
	r.connected("nas-dia")
	ask := func(command, app uint32, add func(w *diameter.Writer)) *diameter.Message {
		return r.nas.ask(command, app, func(w *diameter.Writer) {
			w.String(diameter.SessionID, 0, must, "nas.visited.example;1;2")
			w.String(diameter.DestinationRealm, 0, must, "radius.example")
			w.String(diameter.UserName, 0, must, "eve@radius.example")
			add(w)
		})
	}
	got := ask(diameter.EAP, diameter.AppEAP, func(w *diameter.Writer) {
		w.Uint32(diameter.AuthApplicationID, 0, must, diameter.AppEAP)
		w.Uint32(diameter.AuthRequestType, 0, must, 3)
		w.String(462, 0, must, "\x02\x02\x00\x05\x01")
	})
	require.EqualValues(t, 2001, result(got))
	assert.Equal(t, strings.Repeat("r", 32)+strings.Repeat("s", 32), string(value(got, 464)))
	assert.Equal(t, "\x03\x02\x00\x04", string(value(got, 462)))
	assert.EqualValues(t, 600, word(got, diameter.SessionTimeout))
	assert.Equal(t, "nas.visited.example;1;2", string(got.Value(diameter.KnownSessionID)))
	p := <-asked
	nas, _ := p.First(radius.NASIdentifier)
	assert.Equal(t, "nas.visited.example", string(nas))
	assert.True(t, p.Has(radius.MessageAuthenticator))

	record := func(kind, number uint32, add func(w *diameter.Writer)) *diameter.Message {
		return ask(diameter.Accounting, diameter.AppAccounting, func(w *diameter.Writer) {
			w.Uint32(diameter.AcctApplicationID, 0, must, 3)
			w.Uint32(diameter.AccountingRecordType, 0, must, kind)
			w.Uint32(diameter.AccountingRecordNumber, 0, must, number)
			if add != nil {
				add(w)
			}
		})
	}
	assert.EqualValues(t, 2001, result(record(2, 0, nil)))
	assert.EqualValues(t, 2001, result(record(4, 1, func(w *diameter.Writer) {
		w.Uint64(363, 0, must, 15032385537)
		w.Uint64(364, 0, must, 0x80000001)
	})))
	all := r.records()
	require.Len(t, all, 2, "each is recorded once")
	var e accounting.Event
	all[1].ReadEvent(&e)
	assert.Equal(t, "nas-dia", all[1].Client)
	assert.EqualValues(t, 15032385537, e.InputOctets)
	assert.EqualValues(t, 0x80000001, e.OutputOctets)

	over := ask(diameter.SessionTermination, diameter.AppEAP, func(w *diameter.Writer) {
		w.Uint32(diameter.AuthApplicationID, 0, must, diameter.AppEAP)
		w.Uint32(295, 0, must, 1)
	})
	assert.EqualValues(t, 2001, result(over))
	assert.Len(t, r.records(), 2, "accounting was over: nothing is owed")
}

func clone(t *testing.T, p *radius.Packet) *radius.Packet {
	c := &radius.Packet{}
	require.Equal(t, radius.OK, c.Parse(append([]byte(nil), p.Bytes()...)))
	return c
}

// C123: what a NAS of Diameter ends without a record of its end has one of ours.
func TestC123StopThatIsOwed(t *testing.T) {
	r := newRig(t, nil)
	r.connected("nas-dia")
	ask := func(command, app uint32, add func(w *diameter.Writer)) uint32 {
		return result(r.nas.ask(command, app, func(w *diameter.Writer) {
			w.String(diameter.SessionID, 0, must, "nas.visited.example;7;7")
			w.String(diameter.DestinationRealm, 0, must, "radius.example")
			w.String(diameter.UserName, 0, must, "eve@radius.example")
			add(w)
		}))
	}
	assert.EqualValues(t, 2001, ask(diameter.Accounting, 3, func(w *diameter.Writer) {
		w.Uint32(diameter.AcctApplicationID, 0, must, 3)
		w.Uint32(diameter.AccountingRecordType, 0, must, 2)
		w.Uint32(diameter.AccountingRecordNumber, 0, must, 0)
	}))
	end := func(w *diameter.Writer) {
		w.Uint32(diameter.AuthApplicationID, 0, must, 1)
		w.Uint32(295, 0, must, 5)
	}
	assert.EqualValues(t, 2001, ask(diameter.SessionTermination, 1, end))
	require.Eventually(t, func() bool { return len(r.records()) == 2 }, patience, 10*time.Millisecond)
	assert.Equal(t, accounting.Stop, r.records()[1].Kind)
	assert.EqualValues(t, 5002, ask(diameter.SessionTermination, 1, end), "it is over")
}

// C123: what homes ask of sessions goes to their NASes: RAR and ASR to one of RADIUS.
func TestC123HomeOfDiameterAsks(t *testing.T) {
	nas := udpSocket(t)
	r := newRig(t, func(s *realm.Set) { s.Clients[0].DynAuth = nas.LocalAddr().(*net.UDPAddr).AddrPort() })
	r.connected("home-dia")
	r.connected("nas-dia")
	r.home.says(2001, nil)
	accept := r.access(bob, attr(radius.NASIdentifier, "ap1"), attr(radius.AcctSessionID, "s-1"), attr(radius.CallingStationID, "02-00-00-00-00-01"))
	require.Equal(t, radius.AccessAccept, accept.Code())
	session := string(r.home.next().Value(diameter.KnownSessionID))
	cause := uint32(507)
	done := make(chan *radius.Packet, 4)
	r.plays(nas, func(p *radius.Packet) (radius.Code, uint32) {
		done <- clone(t, p)
		if p.Code() == radius.CoARequest {
			return radius.CoANAK, cause
		}
		return radius.DisconnectACK, 0
	})
	ask := func(command uint32, id string) uint32 {
		return result(r.home.ask(command, diameter.AppNASREQ, func(w *diameter.Writer) {
			w.String(diameter.SessionID, 0, must, id)
			w.String(diameter.DestinationRealm, 0, must, "hub")
			w.String(diameter.DestinationHost, 0, must, "hub.example")
			w.Uint32(diameter.AuthApplicationID, 0, must, diameter.AppNASREQ)
			w.Uint32(285, 0, must, 0)
		}))
	}
	assert.EqualValues(t, 2002, ask(diameter.ReAuth, session), "the NAS will have it authorised")
	coa := <-done
	id, _ := coa.First(radius.AcctSessionID)
	assert.Equal(t, "s-1", string(id))
	state, _ := coa.First(radius.State)
	require.Len(t, state, 16)

	again := r.access(bob, attr(radius.NASIdentifier, "ap1"), attr32(radius.ServiceType, 17), attr(radius.State, string(state)))
	assert.Equal(t, radius.AccessAccept, again.Code())
	m := r.home.next()
	assert.Equal(t, session, string(m.Value(diameter.KnownSessionID)), "of the same session")
	assert.EqualValues(t, 2, word(m, diameter.AuthRequestType))

	guessed := result(r.nas.ask(diameter.AbortSession, diameter.AppNASREQ, func(w *diameter.Writer) {
		w.String(diameter.SessionID, 0, must, session)
		w.String(diameter.DestinationRealm, 0, must, "hub")
		w.String(diameter.DestinationHost, 0, must, "hub.example")
		w.Uint32(diameter.AuthApplicationID, 0, must, diameter.AppNASREQ)
	}))
	assert.EqualValues(t, 5002, guessed, "it is another's session")
	assert.EqualValues(t, 2001, ask(diameter.AbortSession, session))
	assert.Equal(t, radius.DisconnectRequest, (<-done).Code())
	assert.EqualValues(t, diameter.SessionTermination, r.home.next().Command, "no record of its end will come")
	assert.EqualValues(t, 5002, ask(diameter.AbortSession, "hub.example;1;1"), "nobody knows it")
	assert.EqualValues(t, 3001, ask(diameter.AbortSession, "other.example;1;1"), "it is not ours")
}

// plays answers CoA and Disconnect on a socket.
func (r *rig) plays(c *net.UDPConn, answer func(p *radius.Packet) (radius.Code, uint32)) {
	crypt, secret := radius.NewCrypt(), radius.NewSecret([]byte(nasSecret))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, radius.MaxLen)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			var p radius.Packet
			if p.Parse(b[:n]) != radius.OK {
				continue
			}
			code, cause := answer(&p)
			var w radius.Writer
			w.Start(make([]byte, radius.MaxLen), code, p.Identifier(), true)
			if cause != 0 {
				w.AddErrorCause(cause)
			}
			_, _ = c.WriteToUDPAddrPort(w.SignResponse(crypt, secret, p.Authenticator()), from)
		}
	}()
	r.t.Cleanup(func() { _ = c.Close(); <-done })
}

// C123: and a Disconnect-Request of a home of RADIUS goes to a NAS of Diameter.
func TestC123HomeOfRADIUSAsks(t *testing.T) {
	r := newRig(t, func(s *realm.Set) { s.Homes[1].DynAuth = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	r.serve(r.server, func(*radius.Packet) (radius.Code, [][]byte) { return radius.AccessAccept, nil })
	r.connected("nas-dia")
	got := r.nas.ask(diameter.AA, diameter.AppNASREQ, func(w *diameter.Writer) {
		w.String(diameter.SessionID, 0, must, "nas.visited.example;1;2")
		w.String(diameter.DestinationRealm, 0, must, "radius.example")
		w.Uint32(diameter.AuthApplicationID, 0, must, 1)
		w.Uint32(diameter.AuthRequestType, 0, must, 3)
		w.String(diameter.UserName, 0, must, "eve@radius.example")
		w.String(diameter.AcctSessionID, 0, must, "s-9")
	})
	require.EqualValues(t, 2001, result(got))
	r.nas.says(2001, nil)

	ask := func(code radius.Code, attrs ...[]byte) *radius.Packet {
		c := udpSocket(t)
		var w radius.Writer
		w.Start(make([]byte, radius.MaxLen), code, 1, true)
		for _, a := range append(attrs, attr(radius.UserName, "eve@radius.example"), attr(radius.OperatorName, "1visited.example")) {
			w.Raw(a)
		}
		secret := radius.NewSecret([]byte(homeSecret))
		b := w.SignAccounting(r.crypt, secret)
		for _, a := range r.hub.Fronts() {
			if a.Service == listen.DynAuth {
				_, err := c.WriteToUDPAddrPort(b, a.Addr)
				require.NoError(t, err)
			}
		}
		answer := make([]byte, radius.MaxLen)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		n, _, err := c.ReadFromUDPAddrPort(answer)
		require.NoError(t, err)
		p := &radius.Packet{}
		require.Equal(t, radius.OK, p.Parse(answer[:n]))
		return p
	}
	assert.Equal(t, radius.DisconnectACK, ask(radius.DisconnectRequest, attr(radius.AcctSessionID, "s-9")).Code())
	m := r.nas.next()
	assert.EqualValues(t, diameter.AbortSession, m.Command)
	assert.Equal(t, "nas.visited.example;1;2", string(m.Value(diameter.KnownSessionID)))
	assert.Equal(t, "nas.visited.example", string(m.Value(diameter.KnownDestinationHost)))

	nak := ask(radius.CoARequest, attr(radius.AcctSessionID, "s-9"), attr32(radius.ServiceType, 17), attr(radius.State, "S1"))
	cause, _ := nak.Uint32(radius.ErrorCause)
	assert.Equal(t, radius.CoANAK, nak.Code())
	assert.EqualValues(t, 507, cause)
	m = r.nas.next()
	assert.EqualValues(t, diameter.ReAuth, m.Command)
	assert.Equal(t, "S1", string(value(m, uint32(radius.State))))
}

// C123: a NAS that begins anew has lost its sessions: each of them ends at its home.
func TestC123AccountingOn(t *testing.T) {
	r := newRig(t, nil)
	r.connected("home-dia")
	r.home.says(2001, nil)
	nas := attr(radius.NASIdentifier, "ap1")
	accept := r.access(bob, nas)
	session := string(r.home.next().Value(diameter.KnownSessionID))
	class, _ := accept.First(radius.Class)
	r.account(bob, nas, attr(radius.Class, string(class)), attr(radius.AcctSessionID, "s-1"), attr32(radius.AcctStatusType, 1))
	r.home.next()
	r.access(attr(radius.UserName, "eve@home.example"), attr(radius.NASIdentifier, "ap2"))
	r.home.next()

	// On has no user, so the hub has no home for it; the NAS of another protocol
	// says it by its realm.
	got := r.account(attr(radius.UserName, "@home.example"), nas, attr(radius.AcctSessionID, "on"), attr32(radius.AcctStatusType, 7))
	assert.Equal(t, radius.AccountingResponse, got.Code())
	stop, end := r.home.next(), r.home.next()
	assert.EqualValues(t, diameter.Accounting, stop.Command)
	assert.EqualValues(t, 4, word(stop, diameter.AccountingRecordType))
	assert.EqualValues(t, 21, word(stop, 295))
	assert.EqualValues(t, diameter.SessionTermination, end.Command)
	for _, m := range []*diameter.Message{stop, end} {
		assert.Equal(t, session, string(m.Value(diameter.KnownSessionID)))
	}
}

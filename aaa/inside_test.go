package aaa

import (
	"crypto/tls"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// insideRig has a client that takes requests by its own connection, and a home
// that sends them by ours.
type insideRig struct {
	*rig
	desk   *desk
	nas    *peer
	secret *radius.Secret
	crypt  *radius.Crypt
}

func newInside(t tester, version string, edit func(*realm.Set)) *insideRig {
	n := newTenant(t, "root")
	home := openOffice(t, &tls.Config{
		Certificates: []tls.Certificate{n.nas().TLS()}, NextProtos: []string{version}, ClientAuth: tls.RequireAnyClientCert,
	})
	s := n.overTLS(func(set *realm.Set) {
		home.reach(set.Securities[0], 0)(set)
		h, c := &set.Homes[0], &set.Clients[len(set.Clients)-1]
		h.Secret, h.ReverseCoA, h.Holder = realm.TLS.Secret(), true, &realm.Holder{Hosts: []string{"nas.example"}}
		c.Secret, c.ReverseCoA = realm.TLS.Secret(), true
		if edit != nil {
			edit(set)
		}
	}, version)
	doors := s.conf
	s.conf = func(c *Config) { doors(c); c.ReverseCoA, c.DynAuthMem = true, 1<<20 }
	r := &insideRig{rig: newRigOf(t, s), crypt: radius.NewCrypt(), secret: radius.NewSecret(realm.TLS.Secret())}
	t.Cleanup(r.hub.dynauth.close)
	if version == radius11 {
		r.secret = radius.Clear
	}
	r.desk = r.opened(home)
	r.linked(2)
	r.nas = r.visit(n.nas(), func(c *tls.Config) { c.NextProtos = []string{version} })
	r.turnBack()
	return r
}

// turnBack is a round of the loop of the way back, and what comes of it.
func (r *insideRig) turnBack() {
	r.t.Helper()
	d := r.hub.dynauth
	tags, _, err := d.poller.Wait(0)
	require.NoError(r.t, err)
	d.clock = dynauth.Clock{Now: r.now, Wall: r.wall / 1e9}
	d.step(tags)
	r.turn(0)
}

// ask lets the home send a Disconnect-Request.
func (r *insideRig) ask(operator string) []byte {
	var w radius.Writer
	w.Start(make([]byte, radius.MaxLen), radius.DisconnectRequest, 0, false)
	if r.secret.IsClear() {
		var auth [16]byte
		radius.PutToken(&auth, 0x01020304)
		w.SetAuthenticator(&auth)
	}
	w.Add(radius.UserName, []byte("bob@home.example"))
	w.Add(radius.OperatorName, []byte(operator))
	b := w.SignAccounting(r.crypt, r.secret)
	r.desk.say(b)
	return b
}

// packet reads one that the hub sends.
func (r *insideRig) packet(from interface {
	Read([]byte) (int, error)
	SetReadDeadline(time.Time) error
}) *radius.Packet {
	r.t.Helper()
	b := make([]byte, radius.MaxLen)
	n := 0
	for n < 4 || n < int(binary.BigEndian.Uint16(b[2:])) {
		require.NoError(r.t, from.SetReadDeadline(time.Now().Add(patience)))
		m, err := from.Read(b[n:])
		require.NoError(r.t, err)
		n += m
	}
	p := new(radius.Packet)
	require.Equal(r.t, radius.OK, p.Parse(b[:n]))
	return p
}

// C104: CoA and Disconnect go inside connections: from the home by one that the
// hub has opened, to the client by one that the client has opened.
func TestC104InsideTheHub(t *testing.T) {
	for _, version := range []string{radius10, radius11} {
		t.Run(version, func(t *testing.T) {
			r := newInside(t, version, nil)
			sent := r.ask("1secured.example")
			r.until("it is on its way", func() bool { r.turnBack(); return r.hub.dynauth.machine.Pending() == 1 })
			r.turnBack()
			q := r.packet(r.nas)
			assert.Equal(t, radius.DisconnectRequest, q.Code())
			assert.True(t, r.crypt.CheckRequestAuthenticator(q, r.secret))
			name, _ := q.First(radius.UserName)
			assert.Equal(t, "bob@home.example", string(name))

			var w radius.Writer
			auth := *q.Authenticator()
			w.Start(make([]byte, radius.MaxLen), radius.DisconnectACK, q.Identifier(), false)
			r.nas.offer(w.SignResponse(r.crypt, r.secret, &auth))
			r.until("it is answered", func() bool { r.turnBack(); return r.hub.dynauth.machine.Pending() == 0 })
			r.turnBack()
			l := r.arrives(r.desk.office)
			assert.EqualValues(t, radius.DisconnectACK, l.raw[0])
			var p radius.Packet
			require.Equal(t, radius.OK, p.Parse(l.raw))
			home := [16]byte(sent[4:20])
			assert.True(t, r.crypt.CheckResponse(&p, &home, r.secret))
			if version == radius11 {
				assert.Equal(t, home[:4], l.raw[4:8], "the token comes back")
			}
		})
	}
}

// C104, C68: a home without the right gets a Protocol-Error, and a client
// without it no request; the connections stand.
func TestC104NoRight(t *testing.T) {
	for _, version := range []string{radius10, radius11} {
		t.Run(version, func(t *testing.T) {
			r := newInside(t, version, func(s *realm.Set) { s.Homes[0].ReverseCoA = false })
			sent := r.ask("1secured.example")
			l := r.arrives(r.desk.office)
			assert.EqualValues(t, radius.ProtocolError, l.raw[0])
			assert.EqualValues(t, 406, binary.BigEndian.Uint32(l.raw[len(l.raw)-4:]))
			var p radius.Packet
			require.Equal(t, radius.OK, p.Parse(l.raw))
			home := [16]byte(sent[4:20])
			assert.True(t, r.crypt.CheckResponse(&p, &home, r.secret))
			r.linked(2)

			r = newInside(t, version, func(s *realm.Set) { s.Clients[len(s.Clients)-1].ReverseCoA = false })
			r.ask("1secured.example")
			r.until("it is refused", func() bool { r.turnBack(); return len(r.desk.office.letters) > 0 })
			l = r.arrives(r.desk.office)
			assert.EqualValues(t, radius.DisconnectNAK, l.raw[0])
			assert.EqualValues(t, 502, binary.BigEndian.Uint32(l.raw[len(l.raw)-4:]), "there is no way to it")
			assert.Len(t, r.hub.connections.list(), 3)
		})
	}
}

// What is on its way by a connection that ends is answered without it.
func TestInsideEnds(t *testing.T) {
	r := newInside(t, radius11, nil)
	r.ask("1secured.example")
	r.until("it is on its way", func() bool { r.turnBack(); return r.hub.dynauth.machine.Pending() == 1 })
	require.NoError(t, r.nas.Close())
	r.until("it is answered", func() bool { r.turnBack(); return r.hub.dynauth.machine.Pending() == 0 })
	r.turnBack()
	l := r.arrives(r.desk.office)
	assert.EqualValues(t, radius.DisconnectNAK, l.raw[0])
	assert.Empty(t, r.hub.dynauth.inners)
}

// A configuration takes the right from a connection that stands, and gives it.
func TestInsideFollowsTheFiles(t *testing.T) {
	r := newInside(t, radius11, nil)
	attached := func() bool {
		r.turnBack()
		for w := range r.hub.dynauth.inners {
			return w.attached
		}
		return false
	}
	require.True(t, attached())
	for _, may := range []bool{false, true} {
		set := *r.set
		set.Clients = append([]realm.Client(nil), set.Clients...)
		set.Clients[len(set.Clients)-1].ReverseCoA = may
		require.NoError(t, r.hub.Apply(&set))
		r.turn(0)
		assert.Equal(t, may, attached())
	}
}

// Nobody fills the memory by what nobody reads.
func TestInsideIsBounded(t *testing.T) {
	r := newInside(t, radius11, nil)
	d := r.hub.dynauth
	for w := range d.inners {
		for range mostInside {
			d.tell(told{way: w, what: toldAnswer})
		}
		assert.False(t, d.tell(told{way: w, what: toldAnswer}))
		assert.True(t, d.tell(told{way: w, what: toldOpened}), "what opens and closes is few")
		for range mostSaid {
			require.True(t, w.Send([]byte{1}))
		}
		assert.False(t, w.Send([]byte{1}))
	}
}

package dynauth

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// newReverseRig has a client that takes requests by its own connections, and a
// home that sends by ours.
func newReverseRig(t testing.TB) *rig {
	return newRig(t, func(set *realm.Set, _ *Config) {
		for i := range set.Clients {
			set.Clients[i].DynAuth = netip.AddrPort{}
		}
		set.Clients = set.Clients[:1]
		c := &set.Clients[0]
		c.Transport, c.Secret, c.ReverseCoA = realm.TLS, realm.TLS.Secret(), true
		h := &set.Homes[0]
		h.Transport, h.Secret, h.ReverseCoA, h.DynAuth = realm.TLS, realm.TLS.Secret(), true, nil
		h.RequireMessageAuthenticator = true
	})
}

func (r *rig) attach(client string, secret *radius.Secret) *wire {
	w := &wire{client: client, rig: r, secret: secret, tls: true}
	require.True(r.t, r.m.Attach(client, w))
	return w
}

// signed is a request of RADIUS/1.1, or one of the secret.
func signed(t testing.TB, code radius.Code, id uint8, token uint32, s *radius.Secret, attrs ...any) []byte {
	var w radius.Writer
	w.Start(make([]byte, radius.MaxLen), code, id, false)
	for i := 0; i < len(attrs); i += 2 {
		require.True(t, w.Add(radius.Type(attrs[i].(int)), []byte(attrs[i+1].(string))))
	}
	if s.IsClear() {
		var auth [16]byte
		radius.PutToken(&auth, token)
		w.SetAuthenticator(&auth)
	}
	return append([]byte(nil), w.SignAccounting(radius.NewCrypt(), s)...)
}

// C104: a request comes by the connection that we have opened to a home and
// leaves by one that the client has opened, whatever version of RADIUS each of
// the two speaks, and its answer goes back the same way.
func TestC104InsideConnections(t *testing.T) {
	radsec := radius.NewSecret(realm.TLS.Secret())
	for name, tt := range map[string]struct{ home, client *radius.Secret }{
		"1.0 and 1.0": {radsec, radsec},
		"1.1 and 1.1": {radius.Clear, radius.Clear},
		"1.1 and 1.0": {radius.Clear, radsec},
		"1.0 and 1.1": {radsec, radius.Clear},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReverseRig(t)
			w := r.attach("visited", tt.client)
			h := &wire{rig: r, secret: tt.home, tls: true}
			src := Source{From: netip.MustParseAddrPort("203.0.113.99:2083"), Front: -7, Way: h}
			sent := signed(t, radius.DisconnectRequest, 5, 0xabcdef01, tt.home, userName, "bob@a.example", operator, "1visited.example", proxy, "of-home")
			r.m.RequestBy("a", src, sent, r.now)
			require.Len(t, w.got, 1)
			var q radius.Packet
			require.Equal(t, radius.OK, q.Parse(w.got[0]))
			c := radius.NewCrypt()
			assert.True(t, c.CheckRequestAuthenticator(&q, tt.client))
			assert.Equal(t, tt.client.IsClear(), q.Identifier() == 0 && radius.Token(q.Authenticator()) != 0 && *q.Authenticator() == tokenOnly(&q))

			// The answer, first one to nothing that was asked.
			say := func(token uint32) []byte {
				var aw radius.Writer
				aw.Start(make([]byte, radius.MaxLen), radius.DisconnectACK, q.Identifier(), false)
				for a, off, ok := q.Next(radius.HeaderLen); ok; a, off, ok = q.Next(off) {
					if a.Type == radius.ProxyState {
						aw.Raw(a.Raw)
					}
				}
				auth := *q.Authenticator()
				if tt.client.IsClear() {
					radius.PutToken(&auth, token)
				}
				return aw.SignResponse(c, tt.client, &auth)
			}
			token := radius.Token(q.Authenticator())
			if tt.client.IsClear() {
				r.m.Reply("visited", w, say(token+256), r.now)
				assert.Equal(t, LateReply, r.last(), "another token with the same last octet")
			}
			require.Empty(t, h.got)
			r.m.Reply("visited", w, say(token), r.now)
			require.Len(t, h.got, 1)
			var p radius.Packet
			require.Equal(t, radius.OK, p.Parse(h.got[0]))
			auth := [16]byte(sent[4:20])
			assert.Equal(t, radius.DisconnectACK, p.Code())
			assert.True(t, c.CheckResponse(&p, &auth, tt.home))
			assert.Equal(t, 1, p.Count(radius.ProxyState), "the home's comes back, ours does not")
			if tt.home.IsClear() {
				assert.Equal(t, []byte{0xab, 0xcd, 0xef, 0x01}, h.got[0][4:8])
				assert.Zero(t, p.Identifier())
			} else {
				assert.EqualValues(t, 5, p.Identifier())
			}
			assert.Empty(t, r.home, "nothing leaves by a door")
		})
	}
}

func tokenOnly(p *radius.Packet) (a [16]byte) {
	radius.PutToken(&a, radius.Token(p.Authenticator()))
	return a
}

// C104: what is not to be routed is answered by the connection it came by; a home
// without the right is not heard, and by a connection nothing is repeated.
func TestC104Refusals(t *testing.T) {
	r := newReverseRig(t)
	h := &wire{rig: r, secret: radius.Clear, tls: true}
	src := Source{From: netip.MustParseAddrPort("203.0.113.99:2083"), Front: -7, Way: h}
	ask := func(home string, token uint32, attrs ...any) {
		r.m.RequestBy(home, src, signed(t, radius.CoARequest, 0, token, radius.Clear, attrs...), r.now)
	}
	ask("a", 1, userName, "bob@a.example", operator, "1nowhere.example")
	require.Len(t, h.got, 1)
	assert.Equal(t, byte(radius.CoANAK), h.got[0][0])
	assert.EqualValues(t, 502, binary.BigEndian.Uint32(h.got[0][len(h.got[0])-4:]))
	assert.EqualValues(t, 1, binary.BigEndian.Uint32(h.got[0][4:]))

	for _, home := range []string{"b", "nobody"} {
		ask(home, 2, userName, "bob@b.example", operator, "1visited.example")
		assert.Equal(t, Stranger, r.last(), "home %s has no right", home)
	}
	r.m.RequestBy("a", src, []byte{43, 0, 0, 19}, r.now)
	assert.Equal(t, Malformed, r.last())
	r.m.RequestBy("a", src, signed(t, radius.AccountingRequest, 0, 3, radius.Clear), r.now)
	assert.Equal(t, CodeNotServed, r.last())
	require.Len(t, h.got, 1)

	w := r.attach("visited", radius.Clear)
	ask("a", 4, userName, "bob@a.example", operator, "1visited.example")
	require.Len(t, w.got, 1)
	ask("a", 4, userName, "bob@a.example", operator, "1visited.example")
	assert.Equal(t, Repeated, r.last())
	r.pass(time.Minute)
	assert.Len(t, w.got, 1, "TCP repeats, not we")
	require.Len(t, h.got, 2)
	assert.EqualValues(t, 505, binary.BigEndian.Uint32(h.got[1][len(h.got[1])-4:]), "the client was silent")
	assert.Zero(t, r.m.Pending())
	var set realm.Set
	assert.False(t, NewTable(&set, r.book, NewSealer(nil)).Reverse("visited"))
	assert.True(t, r.m.Table().Reverse("visited"))
}

// An answer of a client over UDP is not proved by what TLS would prove.
func TestC104UDPHomeStaysStrict(t *testing.T) {
	r := newReverseRig(t)
	_, there := r.m.Table().reversed["b"]
	assert.False(t, there)
	q := fromA(userName, "bob@a.example", operator, "1visited.example")
	r.send(request{code: layeh.CodeCoARequest, from: "198.51.100.7:4000", secret: "radsec", attrs: q.attrs})
	assert.Equal(t, Stranger, r.last(), "an address alone is no connection")
}

package aaa

import (
	"crypto/sha256"
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/realm"
)

// answers asserts that a connection still does.
func (p *peer) answers() {
	p.rig.t.Helper()
	b := encode(p.rig.t, statusServer(over(radsec)), true)
	p.offer(b)
	p.got(b, radsec)
}

// with gives a security with other trust.
func believing(s *realm.Security, trust *pki.Trust) *realm.Security {
	next := *s
	next.Trust = trust
	return &next
}

// C61: after a change of the files each live peer is judged again; who is still
// the same goes on, also where our own certificate has been rotated.
func TestC61LivePeersAreJudgedAgain(t *testing.T) {
	n, other := newTenant(t, "tenant"), newTenant(t, "other")
	nas := n.nas()
	security := func(s *realm.Set, next *realm.Security) { s.Securities[0], s.Clients[1].Security = next, next }
	for _, tt := range []struct {
		name string
		edit func(*realm.Set)
		why  Closing
	}{
		{"nothing", func(*realm.Set) {}, StaysOpen},
		{"a client is added before it", func(s *realm.Set) {
			first := s.Clients[1]
			first.Name, first.Holder = "first", &realm.Holder{Hosts: []string{"first.example"}}
			s.Clients = append([]realm.Client{first}, s.Clients...)
		}, StaysOpen},
		{"our certificate", func(s *realm.Set) {
			next := *s.Securities[0]
			own := n.issue(issue.Names{Hosts: []string{"new.example"}})
			next.Credential = &pki.Credential{TLS: own.TLS(), Hash: sha256.Sum256(own.Cert.Raw)}
			security(s, &next)
		}, StaysOpen},
		{"the same authority, read again", func(s *realm.Set) { security(s, believing(s.Securities[0], n.trust())) }, StaysOpen},
		{"gone", func(s *realm.Set) { s.Clients = s.Clients[:1] }, ClosedGone},
		{"renamed", func(s *realm.Set) { s.Clients[1].Name = "renamed" }, ClosedGone},
		{"by another transport", func(s *realm.Set) { s.Clients[1].Transport = realm.DTLS }, ClosedGone},
		{"another authority", func(s *realm.Set) { security(s, believing(s.Securities[0], other.trust())) }, ClosedUntrusted},
		{"revoked", func(s *realm.Set) { security(s, believing(s.Securities[0], n.trust(nas))) }, ClosedUntrusted},
		{"another holder", func(s *realm.Set) { s.Clients[1].Holder = &realm.Holder{Hosts: []string{"x.example"}} }, ClosedUntrusted},
		{"a newer version of TLS", func(s *realm.Set) {
			next := *s.Securities[0]
			next.MinVersion = tls.VersionTLS13
			security(s, &next)
		}, ClosedReassigned},
		{"another security", func(s *realm.Set) {
			next := *s.Securities[0]
			next.Name = "renamed"
			security(s, &next)
		}, ClosedReassigned},
		{"somebody else by now", func(s *realm.Set) {
			first := s.Clients[1]
			first.Name = "first"
			s.Clients = append([]realm.Client{first}, s.Clients...)
		}, ClosedReassigned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, n.overTLS(nil))
			p := r.visit(nas, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
			p.answers()
			r.apply(tt.edit)
			r.hub.judgeAll()
			r.turn(0)
			if tt.why == StaysOpen {
				p.answers()
				i := r.theConn().client.Index
				assert.Equal(t, "secured", r.set.Clients[i].Name)
				assert.Same(t, &r.hub.Snapshot().Set.Clients[i], r.theConn().client.Spec)
			} else {
				p.ended(tt.why)
			}
			r.clean()
		})
	}
}

// TestNameOfAnother: where the files give the name of a client to somebody else,
// no packet of who had it is taken for his, not even until it is judged.
func TestNameOfAnother(t *testing.T) {
	n, other := newTenant(t, "tenant"), newTenant(t, "other")
	for _, tt := range []struct {
		name string
		edit func(*realm.Set)
		why  Closing
	}{
		{"of the same authority", func(s *realm.Set) { s.Clients[1].Holder = &realm.Holder{Hosts: []string{"x.example"}} }, ClosedUntrusted},
		{"of another tenant", func(s *realm.Set) {
			s.Securities = append(s.Securities, other.security("other"))
			s.Clients[1].Security = s.Securities[1]
		}, ClosedReassigned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, n.overTLS(nil))
			p := r.visit(n.nas())
			p.answers()
			before := r.value("roamgate_requests_total", "client", "secured")
			r.apply(tt.edit)
			_, err := p.Write(encode(t, statusServer(over(radsec)), true))
			require.NoError(t, err)
			p.ended(tt.why)
			assert.Equal(t, before, r.value("roamgate_requests_total", "client", "secured"))
			r.clean()
		})
	}
}

// C66: a session is resumed only where the peer would be let in anew, as the
// same client, and is a full handshake otherwise.
func TestC66Resumption(t *testing.T) {
	n, other := newTenant(t, "tenant"), newTenant(t, "other")
	nas := n.nas()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		r := newRigOf(t, n.overTLS(nil))
		cache := tls.NewLRUClientSessionCache(4)
		resuming := func(c *tls.Config) {
			c.ClientSessionCache, c.MaxVersion, c.ServerName = cache, version, "hub.tenant.example"
		}
		resumed := func(p *peer) bool { return p.Conn.(*tls.Conn).ConnectionState().DidResume }
		p := r.visit(nas, resuming)
		p.answers() // and with the answer come the tickets
		require.False(t, resumed(p))
		p = r.visit(nas, resuming)
		p.answers()
		assert.True(t, resumed(p))
		assert.Equal(t, "nas.example", r.hub.connections.list()[0].identity.Hosts[0])

		// Whoever else is believed makes other keys.
		r.apply(func(s *realm.Set) {
			second := s.Clients[1]
			second.Name, second.Security = "second", other.security("second")
			s.Securities = append(s.Securities, second.Security)
			s.Clients = append(s.Clients, second)
		})
		p = r.visit(nas, resuming)
		p.answers()
		assert.False(t, resumed(p), "the ticket is of before")
		p = r.visit(nas, resuming)
		p.answers()
		assert.True(t, resumed(p))

		// The keys may be the same, the verdict is new.
		r.apply(func(s *realm.Set) { s.Clients[1].Holder = &realm.Holder{Hosts: []string{"x.example"}} })
		require.Error(t, r.refusedTLS(nas, resuming))
		r.apply(func(s *realm.Set) { s.Clients[1].Holder = &realm.Holder{Hosts: []string{"nas.example"}} })
		r.apply(func(s *realm.Set) {
			next := believing(s.Securities[0], n.trust(nas))
			s.Securities = []*realm.Security{next, s.Securities[1]}
			s.Clients[1].Security = next
		})
		require.Error(t, r.refusedTLS(nas, resuming), "revoked")
	}
}

// C66: the keys of tickets are forgotten, and those of one group tell nothing of
// another's.
func TestTicketKeys(t *testing.T) {
	var k tickets
	k.now[0] = 1
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	first := k.keys(at, []byte("a"), []byte("b"))
	assert.Equal(t, first, k.keys(at.Add(ticketsLive-1), []byte("a"), []byte("b")))
	assert.NotEqual(t, first[0], k.keys(at, []byte("ab"), nil)[0])
	next := k.keys(at.Add(ticketsLive), []byte("a"), []byte("b"))
	assert.Equal(t, first[0], next[1], "what was the newest is still taken")
	assert.NotEqual(t, first[0], next[0])
	assert.NotContains(t, k.keys(at.Add(2*ticketsLive), []byte("a"), []byte("b")), first[0])
	assert.NotContains(t, k.keys(at.Add(100*ticketsLive), []byte("a"), []byte("b")), next[0])
}

// C61: a connection ends with the certificate of its peer, and when it has
// carried nothing for long; C74 does not hold a packet that never ends.
func TestC61Overdue(t *testing.T) {
	n := newTenant(t, "tenant")
	for _, tt := range []struct {
		name string
		say  []byte
		wait time.Duration
		wall func(c *conn) int64
		why  Closing
	}{
		{"idle", nil, 10 * time.Minute, nil, ClosedIdle},
		{"not yet idle", nil, 10*time.Minute - time.Second, nil, StaysOpen},
		{"half a packet", []byte{1, 1, 16, 0}, 30 * time.Second, nil, ClosedStalled},
		{"the certificate", nil, time.Second, func(c *conn) int64 { return c.identity.NotAfter.UnixNano() }, ClosedExpired},
		{"not yet the certificate", nil, time.Second, func(c *conn) int64 { return c.identity.NotAfter.UnixNano() - 1 }, StaysOpen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, n.overTLS(nil))
			p := r.visit(n.nas())
			if tt.say != nil {
				p.offer(tt.say)
			}
			if tt.wall != nil {
				r.wall = tt.wall(r.theConn()) - int64(tt.wait)
			}
			r.pass(tt.wait)
			if tt.why != StaysOpen {
				p.ended(tt.why)
			} else {
				p.answers()
			}
		})
	}
}

// C78: we do not talk to ourselves, whether that is known before the first packet
// or with it, over TLS and without.
func TestC78Self(t *testing.T) {
	n := newTenant(t, "tenant")
	o := n.overTLS(func(set *realm.Set) {
		c := set.Clients[0]
		c.Name, c.Transport = "plain", realm.TCP
		set.Clients = append(set.Clients, c)
	})
	for _, by := range []realm.Transport{realm.TLS, realm.TCP} {
		for _, early := range []bool{true, false} {
			r := newRigOf(t, o)
			var p *peer
			if by == realm.TLS {
				p = r.visit(n.nas())
			} else {
				p = r.visitTCP()
			}
			c := r.theConn()
			var key callMark
			if by == realm.TLS {
				cs := p.Conn.(*tls.Conn).ConnectionState()
				made, err := cs.ExportKeyingMaterial(markLabel, nil, len(key))
				require.NoError(t, err)
				key = callMark(made)
			} else {
				key = c.mark
			}
			require.Equal(t, key, c.mark, "both ends make the same")
			r.hub.calls.add(key)
			if early {
				r.shard.welcome(c)
			} else {
				_, err := p.Write(encode(t, statusServer(over(radsec)), true))
				require.NoError(t, err)
				r.turn(patience)
			}
			assert.Empty(t, p.ended(ClosedSelf))
			r.hub.calls.remove(key)
			assert.False(t, r.hub.calls.has(key))
			r.clean()
		}
	}
}

// C72: one client has no more connections than it may have, nor has the hub.
func TestC72ConnectionsOfOneClient(t *testing.T) {
	n := newTenant(t, "tenant")
	o := n.overTLS(nil)
	conf := o.conf
	o.conf = func(c *Config) { conf(c); c.Connections.PerClient = 2 }
	r := newRigOf(t, o)
	first, second := r.visit(n.nas()), r.visit(n.nas())
	c, err := r.dial(n.nas())
	require.NoError(t, err)
	(&peer{Conn: c, rig: r}).ended(ClosedMany)
	first.answers()
	require.NoError(t, second.Close())
	r.until("one has gone", func() bool { return len(r.hub.connections.list()) == 1 })
	r.visit(n.nas()).answers()
}

// Who is connected is told without secrets.
func TestConnectionReports(t *testing.T) {
	n := newTenant(t, "tenant")
	r := newRigOf(t, n.overTLS(nil, radius11, radius10))
	nas := n.nas()
	p := r.visit(nas, speaking(radius11))
	assert.Equal(t, []ConnectionReport{{
		Peer: "secured", Direction: "in", Transport: "tls", Address: p.LocalAddr().String(), Version: "1.1",
		TLS: "TLS 1.3 TLS_AES_128_GCM_SHA256", Certificate: r.theConn().identity.ID, Until: nas.Cert.NotAfter.Unix(),
	}}, r.hub.ConnectionReports())
	require.NoError(t, p.Close())
	r.until("it is gone", func() bool { return len(r.hub.ConnectionReports()) == 0 })
}

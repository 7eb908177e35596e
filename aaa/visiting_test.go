package aaa

import (
	"crypto/tls"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/realm"
)

// Requests of all kinds come and are answered by one connection, however they
// are cut.
func TestVisit(t *testing.T) {
	n := newTenant(t, "tenant")
	for _, tt := range []struct {
		name string
		cut  int
		max  uint16
	}{
		{"in one piece", 1 << 16, tls.VersionTLS13},
		{"by the octet", 1, tls.VersionTLS13},
		{"TLS 1.2", 1 << 16, tls.VersionTLS12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, n.overTLS(nil))
			p := r.visit(n.nas(), func(c *tls.Config) { c.MaxVersion = tt.max })
			auth := encode(t, access("bob@home.example", over(radsec), withPassword("x")), true)
			probe := encode(t, statusServer(over(radsec)), true)
			acct := encode(t, acctStop("bob@home.example", "s1", over(radsec)), false)
			all := append(append(append([]byte(nil), auth...), probe...), acct...)
			for len(all) > 0 {
				k := min(tt.cut, len(all))
				p.offer(all[:k])
				all = all[k:]
			}
			r.settleDown()
			assert.Equal(t, layeh.CodeAccessAccept, p.got(probe, radsec).Code)
			h := r.atHome(0)
			assert.Equal(t, "x", rfc2865.UserPassword_GetString(h.Packet))
			h.answer(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "c"))
			a := p.got(auth, radsec)
			assert.Equal(t, layeh.CodeAccessAccept, a.Code)
			r.recorded(1)
			r.atAcct(0).answer(layeh.CodeAccountingResponse)
			assert.Equal(t, layeh.CodeAccountingResponse, p.got(acct, radsec).Code)
			assert.Equal(t, 3, r.value("roamgate_requests_total", "client", "secured"))
			assert.Equal(t, 1, r.value("roamgate_connections", "peer", "secured", "direction", "in", "transport", "tls"))
			r.clean()
		})
	}
}

// TCP is a connection with the client's own secret.
func TestVisitTCP(t *testing.T) {
	n := newTenant(t, "tenant")
	r := newRigOf(t, n.overTLS(func(set *realm.Set) {
		c := set.Clients[0]
		c.Name, c.Transport = "plain", realm.TCP
		set.Clients = append(set.Clients, c)
	}))
	p := r.visitTCP()
	b := encode(t, access("bob@home.example", withPassword("x")), true)
	p.offer(b)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, p.got(b, visitedSecret).Code)
	assert.Equal(t, 1, r.value("roamgate_requests_total", "client", "plain"))
	r.apply(func(s *realm.Set) { s.Clients[2].Secret = realm.Secret("another secret of sixteen") })
	b = encode(t, access("bob@home.example", over("another secret of sixteen"), withPassword("x")), true)
	p.offer(b)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, p.got(b, "another secret of sixteen").Code)
	r.clean()
}

// C65: two tenants with two authorities and the same names are two clients.
func TestC65TwoTenants(t *testing.T) {
	a, b := newTenant(t, "same"), newTenant(t, "same")
	o := a.overTLS(func(set *realm.Set) {
		set.Securities = append(set.Securities, b.security("other"))
		c := set.Clients[1]
		c.Name, c.Security = "other", set.Securities[1]
		set.Clients = append(set.Clients, c)
	})
	r := newRigOf(t, o)
	for _, tt := range []struct {
		name string
		pair *issue.Pair
	}{{"other", b.nas()}, {"secured", a.nas()}} {
		p := r.visit(tt.pair)
		before := r.value("roamgate_requests_total", "client", tt.name)
		p.offer(encode(t, statusServer(over(radsec)), true))
		p.next()
		assert.Equal(t, before+1, r.value("roamgate_requests_total", "client", tt.name))
	}
	stranger := newTenant(t, "same")
	require.Error(t, r.refusedTLS(stranger.nas()))
	require.Error(t, r.refusedTLS(a.issue(issue.Names{Hosts: []string{"other.example"}})))
	require.Error(t, r.refusedTLS(a.issue(issue.Names{Common: "nas.example"})), "a common name is nobody's")
	require.Error(t, r.refusedTLS(nil))
	r.until("the refusals are counted", func() bool {
		return r.value("roamgate_tls_handshakes_total", "result", "distrusted") == 3 && r.value("roamgate_tls_handshakes_total", "result", "no_certificate") == 1 &&
			r.value("roamgate_tls_certificates_refused_total", "direction", "in") == 3
	})
	assert.Len(t, r.hub.connections.list(), 2)
}

// Who wants TLS 1.3 gets nothing older, and takes it from nobody else.
func TestOldestTLS(t *testing.T) {
	a, b := newTenant(t, "a"), newTenant(t, "b")
	old := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	both := a.overTLS(func(set *realm.Set) {
		set.Securities[0].MinVersion = tls.VersionTLS13
		set.Securities = append(set.Securities, b.security("other"))
		c := set.Clients[1]
		c.Name, c.Security = "other", set.Securities[1]
		set.Clients = append(set.Clients, c)
	})
	r := newRigOf(t, both)
	r.visit(a.nas())
	r.visit(b.nas(), old)
	require.Error(t, r.refusedTLS(a.nas(), old))
	alone := newRigOf(t, a.overTLS(func(set *realm.Set) { set.Securities[0].MinVersion = tls.VersionTLS13 }))
	require.ErrorContains(t, alone.refusedTLS(a.nas(), old), "protocol version")
	alone.until("it is told", func() bool {
		return alone.value("roamgate_tls_handshakes_total", "result", "no_agreement") == 1
	})
}

// Our certificate is that of the name that the peer asks for.
func TestOurCertificate(t *testing.T) {
	a, b := newTenant(t, "a"), newTenant(t, "b")
	r := newRigOf(t, a.overTLS(func(set *realm.Set) {
		set.Securities = append(set.Securities, b.security("other"))
		c := set.Clients[1]
		c.Name, c.Security = "other", set.Securities[1]
		set.Clients = append(set.Clients, c)
	}))
	for _, tt := range []struct{ asked, shown string }{
		{"", "hub.tenant.example"}, {"hub.other.example", "hub.other.example"}, {"nobody.example", "hub.tenant.example"},
	} {
		p := r.visit(a.nas(), func(c *tls.Config) { c.ServerName = tt.asked })
		assert.Equal(t, []string{tt.shown}, p.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames, tt.asked)
	}
}

// C48: what must be signed over UDP need not be over TLS; what is signed must be
// right. C74: a packet that is not what it claims to be ends the connection.
func TestC48C74(t *testing.T) {
	n := newTenant(t, "tenant")
	for _, tt := range []struct {
		name string
		make func(t *testing.T) []byte
		why  Closing
		drop Reason
	}{
		{"unsigned", func(t *testing.T) []byte { return encode(t, access("bob@home.example", over(radsec)), false) }, StaysOpen, OK},
		{"unsigned, proxied", func(t *testing.T) []byte {
			return encode(t, access("bob@home.example", over(radsec), with(33, "p")), false)
		}, StaysOpen, OK},
		{"signed wrong", func(t *testing.T) []byte { return spoil(encode(t, access("bob@home.example", over(radsec)), true), 25) }, ClosedAuthenticator, BadMessageAuthenticator},
		{"signed with another secret", func(t *testing.T) []byte { return encode(t, access("bob@home.example"), true) }, ClosedAuthenticator, BadMessageAuthenticator},
		{"accounting", func(t *testing.T) []byte { return encode(t, acctStop("bob@home.example", "s"), false) }, ClosedAuthenticator, BadRequestAuthenticator},
		{"status", func(t *testing.T) []byte { return encode(t, statusServer(), true) }, ClosedAuthenticator, BadMessageAuthenticator},
		{"malformed", func(t *testing.T) []byte {
			b := encode(t, access("bob@home.example", over(radsec)), false)
			b[21] = 0
			return b
		}, ClosedMalformed, ofRadius(4)},
		{"length of nothing", func(t *testing.T) []byte { return []byte{1, 1, 0, 19} }, ClosedFraming, OK},
		{"EAP without signature", func(t *testing.T) []byte {
			return encode(t, access("bob@home.example", over(radsec), withEAP(1)), false)
		}, StaysOpen, EAPWithoutMessageAuthenticator},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, n.overTLS(nil))
			p := r.visit(n.nas())
			first := encode(t, statusServer(over(radsec)), true)
			p.offer(append(first, tt.make(t)...))
			r.settleDown()
			if tt.why == StaysOpen {
				assert.Len(t, r.hub.connections.list(), 1)
				p.next()
				if tt.drop == OK {
					r.atHome(0).answer(layeh.CodeAccessAccept)
					assert.EqualValues(t, layeh.CodeAccessAccept, p.next()[0])
				} else {
					assert.Equal(t, 1, r.value("roamgate_dropped_total", "client", "secured", "reason", tt.drop.String()))
				}
			} else {
				rest := p.ended(tt.why)
				assert.EqualValues(t, 2, rest[0], "what came before is answered")
				assert.Empty(t, r.hub.connections.list())
				if tt.drop != OK && tt.drop < radiusReasons {
					assert.Equal(t, 1, r.value("roamgate_dropped_total", "client", "secured", "reason", tt.drop.String()))
				}
				assert.Equal(t, 0, r.value("roamgate_connections"))
				closed := r.logs.FilterMessage("connection closed").All()
				require.Len(t, closed, 1)
				assert.Equal(t, tt.why.String(), closed[0].ContextMap()["reason"])
			}
			r.clean()
		})
	}
}

// C68, C81, C82: what is not served is answered with a Protocol-Error, and the
// connection stays.
func TestC68C81C82ProtocolError(t *testing.T) {
	n := newTenant(t, "tenant")
	r := newRigOf(t, n.overTLS(nil))
	p := r.visit(n.nas())
	long := make([]byte, 5000)
	long[0], long[1] = 1, 77
	binary.BigEndian.PutUint16(long[2:], 5000)
	for _, tt := range []struct {
		name  string
		b     []byte
		cause uint32
	}{
		{"CoA-Request", encode(t, &layeh.Packet{Code: layeh.CodeCoARequest, Identifier: 9, Secret: []byte(radsec)}, false), 406},
		{"unknown", []byte{200, 8, 0, 20, 19: 0}, 406},
		{"too long", long, 601},
	} {
		p.offer(tt.b)
		b := p.next()
		a, err := layeh.Parse(b, []byte(radsec))
		require.NoError(t, err)
		request := append([]byte(nil), tt.b[:20]...)
		assert.True(t, layeh.IsAuthenticResponse(b, request, []byte(radsec)), tt.name)
		assert.EqualValues(t, 52, a.Code, tt.name)
		assert.Equal(t, tt.b[1], a.Identifier)
		assert.Equal(t, string(binary.BigEndian.AppendUint32(nil, tt.cause)), values(a, 101)[0])
		assert.Equal(t, string([]byte{4, 0, 0, 0, tt.b[0]}), values(a, 241)[0], "Original-Packet-Code")
		if tt.cause == 601 {
			assert.Equal(t, string([]byte{3, 0, 0, 0x10, 0}), values(a, 241)[1], "Response-Length")
		}
	}
	for _, code := range []byte{2, 3, 5, 11, 41, 42, 44, 45, 52} {
		p.offer([]byte{code, 8, 0, 20, 19: 0})
	}
	b := encode(t, statusServer(over(radsec)), true)
	p.offer(b)
	assert.Equal(t, layeh.CodeAccessAccept, p.got(b, radsec).Code, "answers to nothing are not answered")
	r.quietHome(0)
	r.clean()
}

// C73: with its connection a client gives up what it has asked for; accounting
// is finished.
func TestC73ConnectionEnds(t *testing.T) {
	n := newTenant(t, "tenant")
	o := n.overTLS(nil)
	conf := o.conf
	o.conf = func(c *Config) { conf(c); c.InFlight = 1024 }
	r := newRigOf(t, o)
	p := r.visit(n.nas())
	const pending = 200
	for i := range pending {
		_, err := p.Write(encode(t, access("bob@home.example", over(radsec), withID(byte(i))), true))
		require.NoError(t, err)
	}
	acct := encode(t, acctStop("bob@home.example", "s", over(radsec), withID(201)), false)
	_, err := p.Write(acct)
	require.NoError(t, err)
	r.until("all are at the home", func() bool { return r.shard.slab.used == pending+1 })
	r.recorded(1)
	require.NoError(t, p.Close())
	r.until("the connection is gone", func() bool { return len(r.hub.connections.list()) == 0 })
	for range pending {
		h := r.listen(r.homes[0])
		_, err := h.at.WriteToUDP(h.reply(layeh.CodeAccessAccept), h.hub)
		require.NoError(t, err)
	}
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	r.until("nothing is left", func() bool { return r.shard.slab.used == 0 })
	assert.Equal(t, 0, r.value("roamgate_responses_total", "client", "secured", "result", "accept"))
	assert.Equal(t, 1, r.value("roamgate_acct_packets_total", "result", "recorded"))
	assert.Equal(t, 1, r.value("roamgate_connections_closed_total", "peer", "secured", "direction", "in", "transport", "tls", "reason", "peer"))
	r.clean()
}

// C77: over TLS the client repeats nothing, so the hub does, whatever the pool
// says of others, until the client has gone. What comes twice all the same goes
// to the home once.
func TestC77Retransmission(t *testing.T) {
	n := newTenant(t, "tenant")
	r := newRigOf(t, n.overTLS(func(set *realm.Set) { set.Pools[0].Retransmit = realm.RetransmitClient }))
	p := r.visit(n.nas())
	b := encode(t, access("bob@home.example", over(radsec), withPassword("x")), true)
	p.offer(b)
	p.offer(b)
	first := r.atHome(0)
	r.quietHome(0)
	assert.Equal(t, 1, r.value("roamgate_duplicates_total", "client", "secured", "action", "suppressed"))
	r.pass(3 * time.Second)
	again := r.atHome(0)
	assert.Equal(t, first.raw, again.raw)
	require.NoError(t, p.Close())
	r.until("the connection is gone", func() bool { return len(r.hub.connections.list()) == 0 })
	r.pass(30 * time.Second)
	r.quietHome(0)
	r.clean()
}

// C73: an answer is kept for repetitions over UDP alone: what comes by a connection
// with an identifier that was answered is a new request.
func TestC73NothingIsKept(t *testing.T) {
	n := newTenant(t, "tenant")
	r := newRigOf(t, n.overTLS(nil))
	p := r.visit(n.nas())
	b := encode(t, access("bob@home.example", over(radsec), withPassword("x")), true)
	for range 2 {
		p.offer(b)
		r.atHome(0).answer(layeh.CodeAccessAccept)
		assert.Equal(t, layeh.CodeAccessAccept, p.got(b, radsec).Code)
	}
	assert.Zero(t, r.shard.dups.Len())
	r.clean()
}

// What handshakes leave behind is collected by numbers of them, and who counts
// waits for nobody.
func TestHandshakesAreCollected(t *testing.T) {
	r := reception{collect: make(chan struct{}, 1)}
	for range handsAtOnce - 1 {
		r.shaken()
	}
	assert.Empty(t, r.collect)
	r.shaken()
	assert.Len(t, r.collect, 1)
	for range 2 * handsAtOnce {
		r.shaken()
	}
	assert.Len(t, r.collect, 1)
}

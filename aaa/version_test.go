package aaa

import (
	"crypto/tls"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
)

// clear writes a packet of RADIUS/1.1.
func clearPacket(code byte, token uint32, attributes []byte) []byte {
	b := append([]byte{code, 0, 0, 0}, make([]byte, 16)...)
	binary.BigEndian.PutUint32(b[4:], token)
	b = append(b, attributes...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func speaking(versions ...string) func(*tls.Config) {
	return func(c *tls.Config) { c.NextProtos = versions }
}

// C84, C87: RADIUS/1.1 in, UDP out: tokens in the place of identifiers, nothing hidden and
// nothing signed toward the client, and everything toward the home.
func TestC84VisitClear(t *testing.T) {
	n := newTenant(t, "tenant")
	o := n.overTLS(nil, radius11, radius10)
	conf := o.conf
	o.conf = func(c *Config) { conf(c); c.InFlight = 1024 }
	r := newRigOf(t, o)
	p := r.visit(n.nas(), speaking(radius10, radius11))
	require.Equal(t, radius11, p.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol)

	const requests = 300 // more than identifiers
	var asked []*heard
	for i := range uint32(requests) {
		p.offer(clearPacket(1, 0xfffffff0+i, tlv(1, "bob@home.example", 2, "secret of bob", 33, "p")))
		asked = append(asked, r.atHome(0))
	}
	require.Equal(t, requests, r.shard.slab.used)
	for _, h := range asked {
		require.Equal(t, "secret of bob", rfc2865.UserPassword_GetString(h.Packet))
		h.answer(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "c"))
	}
	seen := map[uint32]bool{}
	for range requests {
		b := p.next()
		seen[binary.BigEndian.Uint32(b[4:])] = true
		require.Equal(t, []byte{2, 0}, b[:2])
		require.Equal(t, make([]byte, 12), b[8:20], "reserved")
		a, err := layeh.Parse(b, nil)
		require.NoError(t, err)
		require.Nil(t, a.Get(80), "no Message-Authenticator")
		require.Equal(t, []string{"p"}, states(a))
	}
	assert.Len(t, seen, requests)
	for i := range uint32(requests) {
		assert.True(t, seen[0xfffffff0+i])
	}

	// Status-Server, accounting, a refusal and a Protocol-Error.
	p.offer(clearPacket(12, 7, nil))
	assert.Equal(t, clearPacket(2, 7, nil), p.next())
	p.offer(clearPacket(4, 8, tlv(1, "bob@local.example", 40, "\x00\x00\x00\x02", 44, "s")))
	r.recorded(1)
	assert.Equal(t, clearPacket(5, 8, nil), p.next())
	p.offer(clearPacket(1, 9, tlv(1, "bob@nowhere.example")))
	b := p.next()
	assert.Equal(t, clearPacket(3, 9, b[20:]), b)
	p.offer(clearPacket(43, 10, nil))
	assert.Equal(t, clearPacket(52, 10, tlv(101, "\x00\x00\x01\x96")), p.next(), "no Original-Packet-Code (C87)")

	// A token that is in use is the same request; another packet with it is
	// none.
	twice := clearPacket(1, 11, tlv(1, "bob@home.example"))
	p.offer(append(append(append([]byte(nil), twice...), twice...), clearPacket(1, 11, tlv(1, "eve@home.example"))...))
	h := r.atHome(0)
	r.quietHome(0)
	assert.Equal(t, 1, r.value("roamgate_duplicates_total", "client", "secured", "action", "suppressed"))
	assert.Equal(t, 1, r.value("roamgate_dropped_total", "client", "secured", "reason", ConflictingDuplicate.String()))
	h.answer(layeh.CodeAccessAccept)
	p.next()
	r.clean()
}

// What comes as 1.0 on a 1.1 link is read as 1.1: its authenticators are nobody's
// token, and nothing hidden is revealed.
func TestOldFramesOnAClearLink(t *testing.T) {
	n := newTenant(t, "tenant")
	r := newRigOf(t, n.overTLS(nil, radius11))
	p := r.visit(n.nas(), speaking(radius11))
	b := encode(t, access("bob@home.example", over(radsec), withID(9), withPassword("x")), true)
	p.offer(b)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	a := p.next()
	assert.Equal(t, byte(0), a[1])
	assert.Equal(t, b[4:8], a[4:8])
	assert.Equal(t, make([]byte, 12), a[8:20])
	assert.Len(t, r.hub.connections.list(), 1)
	r.clean()
}

// C83: 1.1 takes TLS 1.3 and ALPN; who shares no version with us is refused by
// the alert no_application_protocol, and who says nothing has 1.0.
func TestC83Versions(t *testing.T) {
	n := newTenant(t, "tenant")
	nas := n.nas()
	both := []string{radius11, radius10}
	for _, tt := range []struct {
		name  string
		ours  []string
		their []string
		max   uint16
		got   string
		alert string
	}{
		{"both", both, both, tls.VersionTLS13, radius11, ""},
		{"the order is ours", both, []string{radius10, radius11}, tls.VersionTLS13, radius11, ""},
		{"ours prefers 1.0", []string{radius10, radius11}, both, tls.VersionTLS13, radius10, ""},
		{"no ALPN", both, nil, tls.VersionTLS13, "", ""},
		{"no ALPN, and nothing said", nil, nil, tls.VersionTLS13, "", ""},
		{"nothing said", nil, both, tls.VersionTLS13, radius10, ""},
		{"1.2", both, both, tls.VersionTLS12, radius10, ""},
		{"1.1 over 1.2", both, []string{radius11}, tls.VersionTLS12, "", "no application protocol"},
		{"1.1 alone over 1.2", []string{radius11}, []string{radius11}, tls.VersionTLS12, "", "protocol version"},
		{"strange", both, []string{"h2"}, tls.VersionTLS13, "", "no application protocol"},
		{"strange over 1.2", both, []string{"h2"}, tls.VersionTLS12, "", "no application protocol"},
		{"no ALPN where it takes 1.1", []string{radius11}, nil, tls.VersionTLS13, "", "access denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, n.overTLS(nil, tt.ours...))
			edit := func(c *tls.Config) { c.NextProtos, c.MaxVersion = tt.their, tt.max }
			if tt.alert != "" {
				assert.ErrorContains(t, r.refusedTLS(nas, edit), tt.alert)
				return
			}
			p := r.visit(nas, edit)
			assert.Equal(t, tt.got, p.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol)
			assert.Equal(t, tt.got == radius11, r.theConn().clear)
		})
	}
}

// C83: a session keeps its version: with another one there is none to resume.
func TestC83ResumptionKeepsTheVersion(t *testing.T) {
	n := newTenant(t, "tenant")
	nas := n.nas()
	r := newRigOf(t, n.overTLS(nil, radius11, radius10))
	cache := tls.NewLRUClientSessionCache(4)
	meet := func(version string) (resumed bool) {
		p := r.visit(nas, speaking(version), func(c *tls.Config) { c.ClientSessionCache, c.ServerName = cache, "hub" })
		if version == radius11 {
			p.offer(clearPacket(12, 7, nil))
			p.next()
		} else {
			p.answers()
		}
		return p.Conn.(*tls.Conn).ConnectionState().DidResume
	}
	assert.False(t, meet(radius11))
	assert.True(t, meet(radius11))
	assert.False(t, meet(radius10))
	assert.True(t, meet(radius10))
	assert.False(t, meet(radius11))
}

package aaa

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"github.com/roamgate/roamgate/aaa/listen"
)

type edit = func(*layeh.Packet)

// identifiers go round, as those of a NAS do; drawn by lot they would meet.
var identifiers atomic.Uint32

func request(code layeh.Code) *layeh.Packet {
	p := layeh.New(code, []byte(visitedSecret))
	p.Identifier = byte(identifiers.Add(1))
	return p
}

// access makes an Access-Request; its Message-Authenticator is added by
// encode.
func access(user string, edits ...edit) *layeh.Packet {
	p := request(layeh.CodeAccessRequest)
	if user != "" {
		_ = rfc2865.UserName_SetString(p, user)
	}
	for _, e := range edits {
		e(p)
	}
	return p
}

func acctStop(user, session string, edits ...edit) *layeh.Packet {
	p := request(layeh.CodeAccountingRequest)
	if user != "" {
		_ = rfc2865.UserName_SetString(p, user)
	}
	_ = rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Stop)
	if session != "" {
		_ = rfc2866.AcctSessionID_SetString(p, session)
	}
	for _, e := range edits {
		e(p)
	}
	return p
}

func statusServer(edits ...edit) *layeh.Packet {
	p := request(layeh.CodeStatusServer)
	for _, e := range edits {
		e(p)
	}
	return p
}

func with(t layeh.Type, values ...string) edit {
	return func(p *layeh.Packet) {
		for _, v := range values {
			p.Add(t, layeh.Attribute(v))
		}
	}
}

func with32(t layeh.Type, v uint32) edit {
	return with(t, string(binary.BigEndian.AppendUint32(nil, v)))
}

func withPassword(pw string) edit {
	return func(p *layeh.Packet) { _ = rfc2865.UserPassword_SetString(p, pw) }
}

func withID(id byte) edit { return func(p *layeh.Packet) { p.Identifier = id } }

// withEAP adds an EAP-Response/Identity.
func withEAP(id byte) edit {
	return with(rfc2869.EAPMessage_Type, string([]byte{2, id, 0, 6, 1, 'x'}))
}

// encode signs a request as its code asks.
func encode(t tester, p *layeh.Packet, ma bool) []byte {
	t.Helper()
	if ma {
		_ = rfc2869.MessageAuthenticator_Set(p, make([]byte, 16))
		b, err := p.MarshalBinary()
		require.NoError(t, err)
		if p.Code == layeh.CodeAccountingRequest {
			clear(b[4:20])
		}
		_ = rfc2869.MessageAuthenticator_Set(p, sum(p.Secret, b))
	}
	b, err := p.Encode()
	require.NoError(t, err)
	return b
}

func sum(secret, b []byte) []byte {
	h := hmac.New(md5.New, secret)
	h.Write(b)
	return h.Sum(nil)
}

// requireSigned asserts that the Message-Authenticator of raw is its first
// attribute (C46, C47) and made over auth.
func requireSigned(t tester, raw, auth []byte, secret string) {
	t.Helper()
	require.GreaterOrEqual(t, len(raw), 38)
	require.Equal(t, []byte{80, 18}, raw[20:22], "Message-Authenticator comes first")
	b := bytes.Clone(raw)
	copy(b[4:20], auth)
	clear(b[22:38])
	require.Equal(t, sum([]byte(secret), b), raw[22:38], "Message-Authenticator")
}

func (r *rig) front(s listen.Service) *net.UDPAddr {
	return net.UDPAddrFromAddrPort(r.shard.fronts[s].Addr)
}

// offer sends octets to a front and lets the shard read them.
func (r *rig) offer(s listen.Service, b []byte) { r.t.Helper(); r.offerFrom(r.nas, s, b) }

func (r *rig) offerFrom(c *net.UDPConn, s listen.Service, b []byte) {
	r.t.Helper()
	_, err := c.WriteToUDP(b, r.front(s))
	require.NoError(r.t, err)
	r.turn(patience)
}

// ask sends an Access-Request with a Message-Authenticator and returns what
// was sent.
func (r *rig) ask(p *layeh.Packet) []byte {
	r.t.Helper()
	b := encode(r.t, p, true)
	r.offer(listen.Auth, b)
	return b
}

// report sends an Accounting-Request and returns what was sent.
func (r *rig) report(p *layeh.Packet) []byte {
	r.t.Helper()
	b := encode(r.t, p, false)
	r.offer(listen.Acct, b)
	return b
}

// recorded waits until n records are durable and the shard has heard of it.
func (r *rig) recorded(n int) {
	r.t.Helper()
	r.until("the record is durable", func() bool {
		waiting := false
		r.each(func(ex *Exchange) { waiting = waiting || (ex.waits || ex.toSpool && !ex.onDisk) })
		return !waiting && r.hub.spool.Last() >= uint64(n)
	})
}

// read takes the next datagram, if it comes in time. One that is there is taken
// also where the deadline passed before the goroutine had its turn to read, which
// then refuses to look.
func read(t tester, c *net.UDPConn, wait time.Duration) ([]byte, *net.UDPAddr) {
	t.Helper()
	buf := make([]byte, 5000)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(wait)))
	if n, from, err := c.ReadFromUDP(buf); err == nil {
		return buf[:n], from
	}
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	n, from, failed := 0, unix.Sockaddr(nil), error(nil)
	require.NoError(t, raw.Read(func(fd uintptr) bool {
		n, from, failed = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
		return true
	}))
	if failed != nil {
		return nil, nil
	}
	at, ok := from.(*unix.SockaddrInet4)
	require.True(t, ok)
	return buf[:n], net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)))
}

// heard is a request as a home got it.
type heard struct {
	*layeh.Packet
	raw []byte
	hub *net.UDPAddr
	at  *net.UDPConn
	rig *rig
}

// atHome gives the Access-Request that reached home i; it must be there, and
// signed.
func (r *rig) atHome(i int) *heard {
	r.t.Helper()
	h := r.listen(r.homes[i])
	requireSigned(r.t, h.raw, h.raw[4:20], homeSecret)
	return h
}

// atAcct gives the Accounting-Request that reached home i.
func (r *rig) atAcct(i int) *heard {
	r.t.Helper()
	h := r.listen(r.accts[i])
	require.True(r.t, layeh.IsAuthenticRequest(h.raw, []byte(homeSecret)), "its Request Authenticator is wrong")
	return h
}

func (r *rig) listen(at *net.UDPConn) *heard {
	r.t.Helper()
	b, from := read(r.t, at, patience)
	require.NotNil(r.t, b, "no request reached the home")
	p, err := layeh.Parse(b, []byte(homeSecret))
	require.NoError(r.t, err)
	return &heard{Packet: p, raw: b, hub: from, at: at, rig: r}
}

// quietHome asserts that nothing reached home i. Loopback delivers before
// the send returns, so there is nothing to wait for.
func (r *rig) quietHome(i int) {
	r.t.Helper()
	for _, c := range []*net.UDPConn{r.homes[i], r.accts[i]} {
		b, _ := read(r.t, c, time.Millisecond)
		require.Nil(r.t, b, "a request reached the home")
	}
}

// reply makes the home's answer: it returns Proxy-State, as RFC 2865 section
// 5.33 asks, and is signed.
func (h *heard) reply(code layeh.Code, edits ...edit) []byte {
	p := h.Response(code)
	for _, a := range h.Attributes {
		if a.Type == rfc2865.ProxyState_Type {
			p.Add(a.Type, a.Attribute)
		}
	}
	for _, e := range edits {
		e(p)
	}
	return signReply(h.rig.t, p, code != layeh.CodeAccountingResponse)
}

// say sends octets of the home to the hub and lets the shard read them.
func (h *heard) say(b []byte) {
	h.rig.t.Helper()
	_, err := h.at.WriteToUDP(b, h.hub)
	require.NoError(h.rig.t, err)
	h.rig.turn(patience)
}

func (h *heard) answer(code layeh.Code, edits ...edit) {
	h.rig.t.Helper()
	h.say(h.reply(code, edits...))
}

// states are the values of the packet's Proxy-State attributes in order.
func states(p *layeh.Packet) (all []string) { return values(p, rfc2865.ProxyState_Type) }

func values(p *layeh.Packet, t layeh.Type) (all []string) {
	for _, a := range p.Attributes {
		if a.Type == t {
			all = append(all, string(a.Attribute))
		}
	}
	return all
}

// signReply encodes a reply made by Response: its authenticator field still
// holds that of the request.
func signReply(t tester, p *layeh.Packet, ma bool) []byte {
	t.Helper()
	if ma {
		_ = rfc2869.MessageAuthenticator_Set(p, make([]byte, 16))
		b, err := p.MarshalBinary()
		require.NoError(t, err)
		_ = rfc2869.MessageAuthenticator_Set(p, sum(p.Secret, b))
	}
	b, err := p.Encode()
	require.NoError(t, err)
	return b
}

// got gives the answer at the NAS, verified against its request. Answers to
// anything but accounting are signed.
func (r *rig) got(req []byte) *layeh.Packet {
	r.t.Helper()
	b := r.raw()
	require.True(r.t, layeh.IsAuthenticResponse(b, req, []byte(visitedSecret)), "the answer's authenticator is wrong")
	require.Equal(r.t, req[1], b[1], "the answer's identifier")
	if layeh.Code(req[0]) != layeh.CodeAccountingRequest {
		requireSigned(r.t, b, req[4:20], visitedSecret)
	}
	p, err := layeh.Parse(b, []byte(visitedSecret))
	require.NoError(r.t, err)
	copy(p.Authenticator[:], req[4:20]) // for hidden attributes
	return p
}

// raw gives the octets of the answer at the NAS.
func (r *rig) raw() []byte {
	r.t.Helper()
	b, _ := read(r.t, r.nas, patience)
	require.NotNil(r.t, b, "the NAS got no answer")
	return b
}

// rejected asserts that the request was refused here.
func (r *rig) rejected(req []byte) *layeh.Packet {
	r.t.Helper()
	p := r.got(req)
	assert.Equal(r.t, layeh.CodeAccessReject, p.Code)
	return p
}

// silent asserts that the NAS got nothing.
func (r *rig) silent() {
	r.t.Helper()
	b, _ := read(r.t, r.nas, time.Millisecond)
	require.Nil(r.t, b, "the NAS got an answer")
}

package peer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
)

// NAS is an independent RADIUS client for load: it sends byte-identical
// retransmissions from one socket per request, as an access point does.
type NAS struct {
	Server  netip.AddrPort
	Secret  string
	Timeout time.Duration // for each try
	Tries   int
	From    netip.Addr // its own address; invalid: any
}

// ErrNoAnswer says that every try of a request went unanswered.
var ErrNoAnswer = errors.New("no answer")

// Authenticate sends one PAP Access-Request with a Message-Authenticator.
// tries tells how many were sent.
func (n NAS) Authenticate(user, password string) (reply *radius.Packet, tries int, err error) {
	p := radius.New(radius.CodeAccessRequest, []byte(n.Secret))
	err = errors.Join(
		rfc2865.UserName_SetString(p, user),
		rfc2865.UserPassword_SetString(p, password),
		rfc2865.NASIdentifier_SetString(p, "nas.test"),
	)
	if err != nil {
		return nil, 0, fmt.Errorf("building an Access-Request: %w", err)
	}
	p.Identifier = randomID()
	if err := AddMessageAuthenticator(p); err != nil {
		return nil, 0, err
	}
	return n.Send(p)
}

// Account sends one Accounting-Request of a session.
func (n NAS) Account(user, session string, status rfc2866.AcctStatusType) (reply *radius.Packet, tries int, err error) {
	p := radius.New(radius.CodeAccountingRequest, []byte(n.Secret))
	err = errors.Join(
		rfc2865.UserName_SetString(p, user),
		rfc2866.AcctStatusType_Set(p, status),
		rfc2866.AcctSessionID_SetString(p, session),
		rfc2865.NASIdentifier_SetString(p, "nas.test"),
		rfc2866.AcctSessionTime_Set(p, 60),
		rfc2866.AcctInputOctets_Set(p, 1000),
		rfc2866.AcctOutputOctets_Set(p, 2000),
	)
	if err != nil {
		return nil, 0, fmt.Errorf("building an Accounting-Request: %w", err)
	}
	p.Identifier = randomID()
	return n.Send(p)
}

// Send sends p, again and again until it is answered, from one socket.
func (n NAS) Send(p *radius.Packet) (*radius.Packet, int, error) {
	request, err := p.Encode()
	if err != nil {
		return nil, 0, fmt.Errorf("encoding a request: %w", err)
	}
	var own *net.UDPAddr
	if n.From.IsValid() {
		own = net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.From, 0))
	}
	c, err := net.DialUDP("udp", own, net.UDPAddrFromAddrPort(n.Server))
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = c.Close() }()
	for try := 1; try <= n.Tries; try++ {
		again := time.Now().Add(n.Timeout)
		reply, err := ask(c, request, p.Secret, n.Timeout)
		if err == nil {
			return reply, try, nil
		}
		// A refused port answers at once; a NAS waits its timeout all the same.
		<-time.After(time.Until(again))
	}
	return nil, n.Tries, ErrNoAnswer
}

// Datagram is one packet as a Home received it.
type Datagram struct {
	From   netip.AddrPort
	Octets []byte
}

// Home is a home server in this process that keeps what reaches it, for the
// tests that look at the octets on the wire. It accepts every Access-Request
// and acknowledges every Accounting-Request.
type Home struct {
	Addr   netip.AddrPort
	Secret string

	mu   sync.Mutex
	seen []Datagram
	mute int
}

// ListenHome starts a Home on a free loopback port.
func ListenHome(t testing.TB, secret string) *Home {
	t.Helper()
	h := &Home{Addr: Port(t), Secret: secret}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(h.Addr))
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.serve(c)
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return h
}

// Mute leaves the next n requests without an answer.
func (h *Home) Mute(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mute = n
}

// Received is what came so far, Status-Server left out.
func (h *Home) Received() []Datagram {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Datagram(nil), h.seen...)
}

func (h *Home) serve(c *net.UDPConn) {
	buf := make([]byte, radius.MaxPacketLength)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return // closed
		}
		p, err := radius.Parse(buf[:n], []byte(h.Secret))
		if err != nil || !h.keep(p.Code, from, buf[:n]) {
			continue
		}
		if b, err := Answer(p); err == nil {
			_, _ = c.WriteToUDPAddrPort(b, from)
		}
	}
}

// keep stores a request and tells whether to answer it.
func (h *Home) keep(code radius.Code, from netip.AddrPort, b []byte) bool {
	if code == radius.CodeStatusServer {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, Datagram{From: from, Octets: append([]byte(nil), b...)})
	h.mute--
	return h.mute < 0
}

// Answer accepts what p asks.
func Answer(p *radius.Packet) ([]byte, error) {
	reply := p.Response(radius.CodeAccessAccept)
	if p.Code == radius.CodeAccountingRequest {
		reply.Code = radius.CodeAccountingResponse
	}
	for _, state := range p.Attributes {
		if state.Type == rfc2865.ProxyState_Type {
			reply.Add(rfc2865.ProxyState_Type, state.Attribute)
		}
	}
	// Response has copied the request's authenticator into reply, over which a
	// Message-Authenticator is computed (RFC 3579 section 3.2).
	if p.Code != radius.CodeAccountingRequest {
		if err := AddMessageAuthenticator(reply); err != nil {
			return nil, err
		}
	}
	return reply.Encode()
}

// Types lists the attribute types of the packet, in their order.
func (d Datagram) Types() []byte {
	var types []byte
	for b := d.Octets[20:]; len(b) >= 2 && int(b[1]) >= 2 && int(b[1]) <= len(b); b = b[b[1]:] {
		types = append(types, b[0])
	}
	return types
}

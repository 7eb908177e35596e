package peer

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2869"
)

// aliveLimit bounds one question whether a server answers.
const aliveLimit = time.Second

// Alive asks a server once with Status-Server (RFC 5997 section 4.1).
func Alive(server netip.AddrPort, secret string) error {
	p := radius.New(radius.CodeStatusServer, []byte(secret))
	_, err := exchange(server, p, aliveLimit)
	return err
}

// AddMessageAuthenticator puts one into a request, as its first attribute
// (RFC 3579 section 3.2; the order is that of RFC 2865 successors).
func AddMessageAuthenticator(p *radius.Packet) error {
	rfc2869.MessageAuthenticator_Del(p)
	p.Attributes = append(radius.Attributes{{Type: rfc2869.MessageAuthenticator_Type, Attribute: make([]byte, md5.Size)}}, p.Attributes...)
	b, err := p.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encoding a request: %w", err)
	}
	mac := hmac.New(md5.New, p.Secret)
	mac.Write(b)
	copy(p.Attributes[0].Attribute, mac.Sum(nil))
	return nil
}

// exchange sends one packet from a socket of its own and returns the first
// verified answer.
func exchange(server netip.AddrPort, p *radius.Packet, limit time.Duration) (*radius.Packet, error) {
	p.Identifier = randomID()
	if p.Code == radius.CodeStatusServer {
		if err := AddMessageAuthenticator(p); err != nil {
			return nil, err
		}
	}
	request, err := p.Encode()
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return ask(c, request, p.Secret, limit)
}

// ask sends an encoded request and waits for its answer.
func ask(c *net.UDPConn, request, secret []byte, limit time.Duration) (*radius.Packet, error) {
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	buf := make([]byte, radius.MaxPacketLength)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if !radius.IsAuthenticResponse(buf[:n], request, secret) {
			continue // somebody else's
		}
		return radius.Parse(buf[:n], secret)
	}
}

// listening connects once.
func listening(at netip.AddrPort) error {
	c, err := net.DialTimeout("tcp", at.String(), aliveLimit)
	if err != nil {
		return err
	}
	return c.Close()
}

func randomID() byte {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails
	return b[0]
}

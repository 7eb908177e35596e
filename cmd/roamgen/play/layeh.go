package play

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
)

// LayehHome is a home server written with layeh.com/radius: it accepts the
// password it was started with, acknowledges all accounting, and knows
// nothing of pkg/radius. layeh.com/radius neither makes nor checks a
// Message-Authenticator, so it is made here with the standard library.
type LayehHome struct {
	Requests atomic.Uint64
	address  netip.AddrPort
	server   *radius.PacketServer
	done     chan error
}

// StartLayehHome answers authentication and accounting on one port of the
// loopback until Close.
func StartLayehHome(secret []byte, password string) (*LayehHome, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting layeh home: %w", err)
	}
	h := &LayehHome{done: make(chan error, 1)}
	h.address = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	h.server = &radius.PacketServer{
		SecretSource: radius.StaticSecretSource(secret),
		Handler: radius.HandlerFunc(func(w radius.ResponseWriter, r *radius.Request) {
			h.Requests.Add(1)
			_ = w.Write(layehAnswer(r, password))
		}),
	}
	go func() { h.done <- h.server.Serve(conn) }()
	return h, nil
}

// Address takes both Access-Request and Accounting-Request.
func (h *LayehHome) Address() netip.AddrPort { return h.address }

// Close stops the server and waits for it.
func (h *LayehHome) Close() error {
	if err := h.server.Shutdown(context.Background()); err != nil {
		return fmt.Errorf("stopping layeh home: %w", err)
	}
	<-h.done
	return nil
}

func layehAnswer(r *radius.Request, password string) *radius.Packet {
	if r.Code == radius.CodeAccountingRequest {
		return layehEcho(r.Packet, radius.CodeAccountingResponse)
	}
	if !layehSigned(r.Packet, r.Authenticator) || rfc2865.UserPassword_GetString(r.Packet) != password {
		p := layehEcho(r.Packet, radius.CodeAccessReject)
		_ = rfc2865.ReplyMessage_SetString(p, "layeh home: unsigned or wrong password")
		layehSign(p, r.Authenticator)
		return p
	}
	p := layehEcho(r.Packet, radius.CodeAccessAccept)
	_ = rfc2865.SessionTimeout_Set(p, 1800)
	layehSign(p, r.Authenticator)
	return p
}

func layehEcho(request *radius.Packet, code radius.Code) *radius.Packet {
	p := request.Response(code)
	for _, a := range request.Attributes {
		if a.Type == rfc2865.ProxyState_Type {
			p.Add(a.Type, a.Attribute)
		}
	}
	return p
}

// LayehSession is one device of a client written with layeh.com/radius:
// Access-Request with PAP, and after an Accept a Start and a Stop. The
// addresses may be a proxy or a home.
type LayehSession struct {
	Auth, Acct     netip.AddrPort
	Secret         []byte
	User, Password string
	Session        string // Acct-Session-Id
	Timeout        time.Duration
}

// Run gives the answer to the Access-Request once the session is over.
func (s *LayehSession) Run(ctx context.Context) (*radius.Packet, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	client := radius.Client{Retry: s.Timeout / 4, MaxPacketErrors: 10}
	p := radius.New(radius.CodeAccessRequest, s.Secret)
	if err := rfc2865.UserName_SetString(p, s.User); err != nil {
		return nil, fmt.Errorf("building Access-Request: %w", err)
	}
	if err := rfc2865.UserPassword_SetString(p, s.Password); err != nil {
		return nil, fmt.Errorf("building Access-Request: %w", err)
	}
	layehSign(p, p.Authenticator)
	answer, err := client.Exchange(ctx, p, s.Auth.String())
	if err != nil {
		return nil, fmt.Errorf("authenticating %s: %w", s.User, err)
	}
	if !layehSigned(answer, p.Authenticator) {
		return nil, fmt.Errorf("authenticating %s: answer has no right Message-Authenticator", s.User)
	}
	if answer.Code != radius.CodeAccessAccept || !s.Acct.IsValid() {
		return answer, nil
	}
	for _, status := range []rfc2866.AcctStatusType{rfc2866.AcctStatusType_Value_Start, rfc2866.AcctStatusType_Value_Stop} {
		if err := s.account(ctx, &client, status); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func (s *LayehSession) account(ctx context.Context, client *radius.Client, status rfc2866.AcctStatusType) error {
	p := radius.New(radius.CodeAccountingRequest, s.Secret)
	_ = rfc2865.UserName_SetString(p, s.User)
	_ = rfc2866.AcctSessionID_SetString(p, s.Session)
	_ = rfc2866.AcctStatusType_Set(p, status)
	answer, err := client.Exchange(ctx, p, s.Acct.String())
	if err != nil {
		return fmt.Errorf("accounting %v of %s: %w", status, s.Session, err)
	}
	if answer.Code != radius.CodeAccountingResponse {
		return fmt.Errorf("accounting %v of %s: answered with %v", status, s.Session, answer.Code)
	}
	return nil
}

// layehSign puts the Message-Authenticator (RFC 3579 section 3.2) first.
func layehSign(p *radius.Packet, auth [16]byte) {
	empty := &radius.AVP{Type: rfc2869.MessageAuthenticator_Type, Attribute: make(radius.Attribute, 16)}
	p.Attributes = append(radius.Attributes{empty}, p.Attributes...)
	copy(empty.Attribute, layehMAC(p, auth))
}

func layehSigned(p *radius.Packet, auth [16]byte) bool {
	got := rfc2869.MessageAuthenticator_Get(p)
	if len(got) != 16 {
		return false
	}
	q := *p
	q.Attributes = nil
	for _, a := range p.Attributes {
		if a.Type == rfc2869.MessageAuthenticator_Type {
			a = &radius.AVP{Type: a.Type, Attribute: make(radius.Attribute, 16)}
		}
		q.Attributes = append(q.Attributes, a)
	}
	return string(layehMAC(&q, auth)) == string(got)
}

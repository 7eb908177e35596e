package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
)

// tried is a connection with the peer that is tried.
type tried struct {
	net.Conn
	asking *asking
	room   []byte
}

// connect opens a connection and exchanges capabilities.
func (a *asking) connect(ctx context.Context) (*tried, error) {
	var config *tls.Config
	if a.tls {
		var err error
		if config, err = a.tlsConfig(); err != nil {
			return nil, err
		}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.to)
	if err != nil {
		return nil, &exitError{exitUnreachable, fmt.Sprintf("%s does not answer: %v", a.to, err)}
	}
	end, _ := ctx.Deadline()
	_ = conn.SetDeadline(end)
	if config != nil {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, problem("TLS with %s: %v", a.to, err)
		}
		conn = secure
	}
	p := &tried{Conn: conn, asking: a, room: make([]byte, diameter.MaxLen)}
	if err := p.capabilities(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return p, nil
}

// begin starts a message of the peer machine.
func (p *tried) begin(w *diameter.Writer, flags diameter.Flags, command, id uint32) {
	w.Begin(p.room, &diameter.Header{Flags: flags, Command: command, HopByHop: id, EndToEnd: id})
	w.String(diameter.OriginHost, 0, diameter.AVPMandatory, p.asking.identity)
	w.String(diameter.OriginRealm, 0, diameter.AVPMandatory, p.asking.realm)
}

func (p *tried) capabilities() error {
	var w diameter.Writer
	p.begin(&w, diameter.FlagRequest, diameter.CapabilitiesExchange, 1)
	w.Bytes(diameter.HostIPAddress, 0, diameter.AVPMandatory, localAddress(p.LocalAddr()))
	w.Uint32(diameter.VendorID, 0, diameter.AVPMandatory, 0)
	w.String(diameter.ProductName, 0, 0, "roamgate send")
	w.Uint32(diameter.SupportedVendorID, 0, diameter.AVPMandatory, diameter.Vendor3GPP)
	switch app := p.asking.app; {
	case app >= 1<<24 && app != diameter.AppRelay:
		g := w.Group(diameter.VendorSpecificApplicationID, 0, diameter.AVPMandatory)
		w.Uint32(diameter.VendorID, 0, diameter.AVPMandatory, diameter.Vendor3GPP)
		w.Uint32(diameter.AuthApplicationID, 0, diameter.AVPMandatory, app)
		w.End(g)
	case app == diameter.AppAccounting:
		w.Uint32(diameter.AcctApplicationID, 0, diameter.AVPMandatory, app)
	case app == diameter.AppBase || app == diameter.AppRelay:
		w.Uint32(diameter.AuthApplicationID, 0, diameter.AVPMandatory, diameter.AppRelay)
	default:
		w.Uint32(diameter.AuthApplicationID, 0, diameter.AVPMandatory, app)
		w.Uint32(diameter.AcctApplicationID, 0, diameter.AVPMandatory, app)
	}
	if _, err := p.Write(w.Finish()); err != nil {
		return p.gone(err, "the exchange of capabilities")
	}
	raw, err := p.read()
	if err != nil {
		return p.gone(err, "the exchange of capabilities")
	}
	var m diameter.Message
	fault := m.Parse(raw)
	switch {
	case fault != diameter.NoFault || m.Command != diameter.CapabilitiesExchange || m.Request():
		return problem("%s answers the exchange of capabilities with\n%s", p.asking.to, dict.Format(raw))
	case !succeeded(&m):
		return problem("%s refuses the connection: %s\n%s", p.asking.to, resultText(&m), dict.Format(raw))
	}
	return nil
}

// localAddress is our end of a connection as an Address (RFC 6733 section 4.3.1).
func localAddress(at net.Addr) []byte {
	a, err := netip.ParseAddrPort(at.String())
	if err != nil {
		return []byte{0, 1, 127, 0, 0, 1}
	}
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return append([]byte{0, 1}, ip.AsSlice()...)
	}
	return append([]byte{0, 2}, ip.AsSlice()...)
}

// ask sends the request and waits for its answer. What the peer asks meanwhile is
// answered: that it is alive, and that nothing else is known here.
func (p *tried) ask(req []byte) ([]byte, error) {
	h := diameter.ReadHeader(req)
	if _, err := p.Write(req); err != nil {
		return nil, p.gone(err, "the request")
	}
	for {
		raw, err := p.read()
		if err != nil {
			return nil, p.gone(err, "the request")
		}
		in := diameter.ReadHeader(raw)
		switch {
		case !in.Request() && in.HopByHop == h.HopByHop && in.EndToEnd == h.EndToEnd && in.Command == h.Command:
			return raw, nil
		case in.Request():
			if err := p.answer(raw); err != nil {
				return nil, p.gone(err, "the request")
			}
		}
	}
}

func (p *tried) answer(raw []byte) error {
	var m diameter.Message
	_ = m.Parse(raw) // what is malformed gets the same answer
	result := uint32(diameter.ResultCommandUnsupported)
	switch m.Command {
	case diameter.DeviceWatchdog, diameter.DisconnectPeer:
		result = diameter.ResultSuccess
	}
	var w diameter.Writer
	w.Answer(p.room, &m, &diameter.Answer{Result: result, Host: p.asking.identity, Realm: p.asking.realm})
	_, err := p.Write(w.Finish())
	return err
}

// goodbye bounds how long the end of a connection is waited for.
const goodbye = time.Second

// leave says that nothing more comes, so that nobody waits for us to come back.
func (p *tried) leave() {
	const doNotWantToTalk = 2
	_ = p.SetDeadline(time.Now().Add(goodbye))
	var w diameter.Writer
	p.begin(&w, diameter.FlagRequest, diameter.DisconnectPeer, 2)
	w.Uint32(diameter.DisconnectCause, 0, diameter.AVPMandatory, doNotWantToTalk)
	_, err := p.Write(w.Finish())
	for err == nil {
		var raw []byte
		if raw, err = p.read(); err == nil {
			if h := diameter.ReadHeader(raw); h.Command == diameter.DisconnectPeer {
				break
			}
		}
	}
	_ = p.Close()
}

// read reads one message.
func (p *tried) read() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(p, head[:]); err != nil {
		return nil, err
	}
	n, fault := diameter.Frame(head[:])
	if fault != diameter.NoFault {
		return nil, fmt.Errorf("what comes is no message: %s", fault)
	}
	raw := make([]byte, n)
	copy(raw, head[:])
	_, err := io.ReadFull(p, raw[len(head):])
	return raw, err
}

// gone says how a connection ended.
func (p *tried) gone(err error, during string) error {
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return &exitError{exitUnreachable, fmt.Sprintf("%s does not answer %s in %s", p.asking.to, during, p.asking.timeout)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return problem("%s has closed the connection during %s: does it know %s?", p.asking.to, during, p.asking.identity)
	}
	return problem("%s, during %s: %v", p.asking.to, during, err)
}

package dtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"

	"github.com/roamgate/roamgate/pkg/stream"
)

// Version12 is DTLS 1.2 as it stands in tls.ConnectionState.
const Version12 = 0xfefd

// radius10 is what is offered by ALPN, whatever a tls.Config says: RADIUS/1.1
// needs TLS 1.3 (RFC 9765 section 3).
const radius10 = "radius/1.0"

var (
	// ErrNoVerify is a tls.Config by which nobody would be judged.
	ErrNoVerify = errors.New("dtls: nothing verifies the peer")
	errNoCert   = errors.New("dtls: no certificate of ours")
)

var suites = []dtls.CipherSuiteID{
	dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, dtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
}

// quiet keeps pion from writing to the standard error of a daemon.
var quiet = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// shared are the options of both sides. conf gives the configuration of this
// connection once it is known.
func shared(conf func() *tls.Config) []dtls.Option {
	return []dtls.Option{
		dtls.WithCipherSuites(suites...),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithSupportedProtocols(radius10),
		dtls.WithInsecureSkipVerify(true), // VerifyConnection judges
		dtls.WithLoggerFactory(quiet),
		dtls.WithVerifyConnection(func(s *dtls.State) error {
			state, err := translate(s)
			if err != nil {
				return err
			}
			c := conf()
			if c == nil || c.VerifyConnection == nil {
				return ErrNoVerify
			}
			return c.VerifyConnection(*state)
		}),
	}
}

// translate says in the words of crypto/tls what pion found out.
func translate(s *dtls.State) (*tls.ConnectionState, error) {
	if len(s.PeerCertificates) == 0 {
		return nil, stream.ErrNoCertificate
	}
	state := &tls.ConnectionState{
		Version: Version12, HandshakeComplete: true, CipherSuite: uint16(s.CipherSuiteID),
		NegotiatedProtocol: s.NegotiatedProtocol,
	}
	for _, der := range s.PeerCertificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("reading a certificate of the peer: %w", err)
		}
		state.PeerCertificates = append(state.PeerCertificates, c)
	}
	return state, nil
}

// Server does the handshake of a peer, until ctx ends. It closes p when that
// fails. conf is asked as crypto/tls does; its GetConfigForClient knows the
// hello by its ServerName.
func Server(ctx context.Context, p *Peer, conf *tls.Config) (*stream.Conn, error) {
	chosen := conf
	if conf.GetConfigForClient != nil {
		chosen = nil
	}
	var opts []dtls.ServerOption
	for _, o := range shared(func() *tls.Config { return chosen }) {
		opts = append(opts, o)
	}
	opts = append(opts,
		dtls.WithClientAuth(dtls.RequestClientCert), // translate asks for it, with an alert of TLS
		dtls.WithGetCertificate(func(h *dtls.ClientHelloInfo) (*tls.Certificate, error) {
			hello := &tls.ClientHelloInfo{
				ServerName: h.ServerName, SupportedVersions: []uint16{Version12}, SupportedProtos: []string{radius10},
			}
			for _, s := range h.CipherSuites {
				hello.CipherSuites = append(hello.CipherSuites, uint16(s))
			}
			if conf.GetConfigForClient != nil && chosen == nil {
				c, err := conf.GetConfigForClient(hello)
				if err != nil {
					return nil, err
				}
				chosen = c
			}
			return certificate(chosen, func() (*tls.Certificate, error) { return chosen.GetCertificate(hello) },
				chosen.GetCertificate != nil)
		}))
	c, err := dtls.ServerWithOptions(p, net.UDPAddrFromAddrPort(p.remote), opts...)
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return shake(ctx, c)
}

// Client does the handshake over a socket that is connected to the peer, until
// ctx ends. It closes c when that fails.
func Client(ctx context.Context, c *net.UDPConn, conf *tls.Config) (*stream.Conn, error) {
	if conf.VerifyConnection == nil {
		_ = c.Close()
		return nil, ErrNoVerify
	}
	var opts []dtls.ClientOption
	for _, o := range shared(func() *tls.Config { return conf }) {
		opts = append(opts, o)
	}
	if conf.ServerName != "" {
		opts = append(opts, dtls.WithServerName(conf.ServerName))
	}
	opts = append(opts, dtls.WithGetClientCertificate(func(*dtls.CertificateRequestInfo) (*tls.Certificate, error) {
		return certificate(conf, func() (*tls.Certificate, error) {
			return conf.GetClientCertificate(&tls.CertificateRequestInfo{Version: Version12})
		}, conf.GetClientCertificate != nil)
	}))
	d, err := dtls.ClientWithOptions(connected{c}, c.RemoteAddr(), opts...)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return shake(ctx, d)
}

// certificate is what ask gives where conf has that, else the first.
func certificate(conf *tls.Config, ask func() (*tls.Certificate, error), has bool) (*tls.Certificate, error) {
	if has {
		return ask()
	}
	if len(conf.Certificates) == 0 {
		return nil, errNoCert
	}
	return &conf.Certificates[0], nil
}

func shake(ctx context.Context, c *dtls.Conn) (*stream.Conn, error) {
	if err := c.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		if e := ctx.Err(); e != nil {
			err = errors.Join(err, e)
		}
		return nil, err
	}
	s, ok := c.ConnectionState()
	if !ok {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	state, err := translate(&s)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return stream.Secured(c, state, func(label string, n int) ([]byte, error) {
		return s.ExportKeyingMaterial(label, nil, n)
	}), nil
}

// connected is a socket with one peer in the shape that pion wants.
type connected struct{ *net.UDPConn }

func (c connected) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := c.Read(b)
	return n, c.RemoteAddr(), err
}

func (c connected) WriteTo(b []byte, _ net.Addr) (int, error) { return c.Write(b) }

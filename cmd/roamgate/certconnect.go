package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/pkg/pki"
)

const (
	// connectTime bounds reaching a server and the handshake.
	connectTime = 10 * time.Second
	// alertTime is how long a server of TLS 1.3 may take to say that it does
	// not take our certificate: the handshake is over for us before that.
	alertTime = time.Second
)

// server asks a live server and judges what it shows.
func (c *certCheck) server(cmd *cobra.Command) error {
	host, _, err := net.SplitHostPort(c.connect)
	if err != nil {
		return misuse(cmd, "--connect %q is not HOST:PORT", c.connect)
	}
	if c.name == "" && net.ParseIP(host) == nil {
		c.name = host
	}
	c.roles = []pki.Role{pki.Server}
	asked, out := false, cmd.OutOrStdout()
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: c.name, NextProtos: []string{"radius/1.1", "radius/1.0"},
		InsecureSkipVerify: true, // the chain is judged below, and printed whatever it is
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return c.ours()
		},
	}
	ctx := cmd.Context()
	raw, err := (&net.Dialer{Timeout: connectTime}).DialContext(ctx, "tcp", c.connect)
	if err != nil {
		return &exitError{exitUnreachable, err.Error()}
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(connectTime))
	conn := tls.Client(raw, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		return problem("the handshake with %s failed: %v", raw.RemoteAddr(), err)
	}
	cs := conn.ConnectionState()
	fmt.Fprintf(out, "%s: %s, %s, %s\n", raw.RemoteAddr(), tls.VersionName(cs.Version), tls.CipherSuiteName(cs.CipherSuite), alpnText(cs.NegotiatedProtocol))
	c.show(out, cs.PeerCertificates)
	var wrong []pki.Mistake
	if !asked {
		wrong = append(wrong, pki.Mistake{Text: "the server asks for no certificate of ours", Hint: "RADIUS over TLS is mutual: is it another service?"})
	} else if err := refusal(conn); err != nil {
		wrong = append(wrong, pki.Mistake{Text: "the server does not take what we show: " + err.Error(), Hint: c.shownHint()})
	}
	if len(cs.OCSPResponse) > 0 {
		fmt.Fprintln(out, "an OCSP response is stapled")
	}
	return c.judge(out, cs.PeerCertificates, cs.OCSPResponse, wrong)
}

func (c *certCheck) shownHint() string {
	if c.cert == "" {
		return "--cert and --key show it our certificate"
	}
	return "its operator must trust our authority and know our names"
}

// ours is what we show, nothing without --cert.
func (c *certCheck) ours() (*tls.Certificate, error) {
	if c.shows != nil {
		return c.shows, nil
	}
	if c.cert == "" {
		return &tls.Certificate{}, nil
	}
	var files [2]pki.File
	for i, path := range []string{c.cert, c.key} {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files[i] = pki.File{Name: path, Data: data}
	}
	made, wrong := pki.NewCredential(files[0], files[1], pki.File{}, time.Now())
	if made == nil {
		return nil, wrong[0]
	}
	return &made.TLS, nil
}

// refusal waits for the alert with which a server answers our certificate; one
// that says nothing takes it.
func refusal(conn *tls.Conn) error {
	_ = conn.SetReadDeadline(time.Now().Add(alertTime))
	_, err := conn.Read(make([]byte, 1))
	var late net.Error
	if err == nil || errors.As(err, &late) && late.Timeout() {
		return nil
	}
	return err
}

func alpnText(protocol string) string {
	if protocol == "" {
		return "no ALPN: historic RADIUS over TLS"
	}
	return "ALPN " + protocol
}

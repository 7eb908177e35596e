package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// streamFlags say that packets travel over connections.
type streamFlags struct {
	transport            string
	cert, key, ca, peer  string
	versions, tlsVersion string
	requests             int
}

func (f *streamFlags) add(l *pflag.FlagSet) {
	l.StringVar(&f.transport, "transport", "udp", "udp, tcp or tls")
	l.StringVar(&f.cert, "cert", "", "certificate chain (PEM) shown over TLS")
	l.StringVar(&f.key, "key", "", "its key (PEM)")
	l.StringVar(&f.ca, "ca", "", "authorities (PEM) that the peer's certificate must come from")
	l.StringVar(&f.versions, "versions", "", "RADIUS versions offered over TLS, as 1.1,1.0; empty offers none, which is 1.0")
	l.StringVar(&f.tlsVersion, "tls", "", "the only TLS version: 1.2 or 1.3")
	l.IntVar(&f.requests, "requests", 0, "requests in flight on a connection of RADIUS/1.1, 0 for 4096")
}

// stream is nil over UDP.
func (f *streamFlags) stream() (*play.Stream, error) {
	s := &play.Stream{Requests: f.requests}
	switch f.transport {
	case "udp":
		return nil, nil
	case "tcp":
		return s, nil
	case "tls":
	default:
		return nil, fmt.Errorf("--transport %q: want udp, tcp or tls", f.transport)
	}
	var err error
	s.TLS, err = f.config()
	return s, err
}

func (f *streamFlags) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.peer, ClientAuth: tls.RequireAndVerifyClientCert}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("reading --cert and --key: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	pem, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, fmt.Errorf("reading --ca: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("reading --ca: there is no certificate in it")
	}
	c.ClientCAs = c.RootCAs
	versions := map[string]uint16{"": 0, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	v, known := versions[f.tlsVersion]
	if !known {
		return nil, fmt.Errorf("--tls %q: want 1.2 or 1.3", f.tlsVersion)
	}
	if v != 0 {
		c.MinVersion, c.MaxVersion = v, v
	}
	for name := range strings.SplitSeq(f.versions, ",") {
		if name == "" {
			continue
		}
		c.NextProtos = append(c.NextProtos, "radius/"+name)
		if !slices.Contains([]string{play.Version10, play.Version11}, "radius/"+name) {
			return nil, fmt.Errorf("--versions %q: want 1.0, 1.1 or both", f.versions)
		}
	}
	return c, nil
}

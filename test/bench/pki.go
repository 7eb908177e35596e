package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// Names of the lab's files, and in its certificates.
const (
	caName    = "ca"
	caFile    = caName + ".pem"
	proxyName = "proxy"
	loadName  = "load"
	proxyHost = "proxy.example"
	loadHost  = "load.example"
)

// writePKI makes an authority, and a certificate for each side of a hop.
func writePKI(dir string) (string, error) {
	dir = filepath.Join(dir, "pki")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the directory of the certificates: %w", err)
	}
	ca, err := lab.NewCA("bench")
	if err != nil {
		return "", err
	}
	if _, err := ca.Write(dir, caName); err != nil {
		return "", err
	}
	for name, host := range map[string]string{proxyName: proxyHost, loadName: loadHost} {
		p, err := ca.Issue(lab.Leaf{Name: host, Hosts: []string{host}, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
		if err != nil {
			return "", err
		}
		if _, _, err := p.Write(dir, name); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// stream is the load's side of connections, which takes both ends of a hop for
// a peer: the proxy, and the homes where there is no proxy.
func stream(version, pki string) (*play.Stream, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(pki, loadName+".pem"), filepath.Join(pki, loadName+".key"))
	if err != nil {
		return nil, fmt.Errorf("reading the load's certificate: %w", err)
	}
	pem, err := os.ReadFile(filepath.Join(pki, caFile))
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("reading the authority: there is none")
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: roots, ClientCAs: roots, ServerName: "127.0.0.1",
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	}
	if version == "1.1" {
		c.NextProtos = []string{play.Version11}
	}
	return &play.Stream{TLS: c}, nil
}

package peer

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
)

// RadsecSecret is what TLS prescribes (RFC 6614 section 2.3).
const RadsecSecret = "radsec"

// Lab is a public key infrastructure of a test, with its files.
type Lab struct {
	*lab.CA
	Root string // PEM of the authority
	dir  string
	t    testing.TB
}

// Keys are the files of one peer, in PEM.
type Keys struct {
	Cert, Key string
	Root      string // of those whose certificates it takes
	*lab.Pair
}

// NewLab makes an authority.
func NewLab(t testing.TB, name string) *Lab {
	t.Helper()
	l := &Lab{dir: t.TempDir(), t: t}
	var err error
	l.CA, err = lab.NewCA(name)
	require.NoError(t, err)
	l.Root, err = l.CA.Write(l.dir, "root")
	require.NoError(t, err)
	return l
}

// Keys issues a certificate into files of the name; those of the same name
// before are replaced, as when a certificate is renewed.
func (l *Lab) Keys(name string, leaf lab.Leaf) *Keys {
	l.t.Helper()
	if leaf.Name == "" {
		leaf.Name = name
	}
	p, err := l.Issue(leaf)
	require.NoError(l.t, err)
	k := &Keys{Root: l.Root, Pair: p}
	k.Cert, k.Key, err = p.Write(l.dir, name)
	require.NoError(l.t, err)
	return k
}

// Revoke writes the list of what has been revoked and gives its file, which
// stays the same.
func (l *Lab) Revoke(number int64, keys ...*Keys) string {
	l.t.Helper()
	var pairs []*lab.Pair
	for _, k := range keys {
		pairs = append(pairs, k.Pair)
	}
	b, err := l.CA.Revoke(number, pairs...)
	require.NoError(l.t, err)
	path := filepath.Join(l.dir, "revocations.crl")
	require.NoError(l.t, os.WriteFile(path+".next", b, 0o600))
	require.NoError(l.t, os.Rename(path+".next", path))
	return path
}

// Next is the next hop of a visited proxy, over UDP or over TLS.
type Next struct {
	Server                // over UDP
	TLS    netip.AddrPort // or over TLS
	Keys   *Keys          // shown to it
}

// StartRadsecproxyTLS starts a radsecproxy between TLS and UDP, or TLS on both
// sides. in are the keys that it shows to its clients; without them it takes
// them over UDP at r.Server.
func StartRadsecproxyTLS(t testing.TB, name, secret string, in *Keys, next Next) *Radsecproxy {
	t.Helper()
	Need(t, "radsecproxy")
	r := &Radsecproxy{Server: Server{Port(t), Port(t), secret}, TLS: Port(t)}
	tls := func(name string, k *Keys) string {
		return fmt.Sprintf("tls %s {\n\tCACertificateFile %s\n\tCertificateFile %s\n\tCertificateKeyFile %s\n}\n", name, k.Root, k.Cert, k.Key)
	}
	text := "LogLevel 2\n"
	if in != nil {
		r.Secret = RadsecSecret
		text += fmt.Sprintf("ListenTLS %s\n", r.TLS) + tls("in", in) +
			"client 127.0.0.0/8 {\n\ttype tls\n\ttls in\n\tsecret radsec\n\tcertificateNameCheck off\n}\n"
	} else {
		text += fmt.Sprintf("ListenUDP %s\nListenUDP %s\nclient 127.0.0.0/8 {\n\ttype udp\n\tsecret %q\n}\n", r.Auth, r.Acct, secret)
	}
	if next.Keys != nil {
		text += tls("out", next.Keys) + fmt.Sprintf(
			"server next {\n\ttype tls\n\ttls out\n\thost %s\n\tport %d\n\tsecret radsec\n\tstatusserver on\n}\n"+
				"realm * {\n\tserver next\n\taccountingServer next\n}\n", next.TLS.Addr(), next.TLS.Port())
	} else {
		text += fmt.Sprintf("server next_auth {\n\ttype udp\n\thost %s\n\tport %d\n\tsecret %q\n\tstatusserver off\n}\n",
			next.Auth.Addr(), next.Auth.Port(), next.Secret) +
			fmt.Sprintf("server next_acct {\n\ttype udp\n\thost %s\n\tport %d\n\tsecret %q\n\tstatusserver off\n}\n",
				next.Acct.Addr(), next.Acct.Port(), next.Secret) +
			"realm * {\n\tserver next_auth\n\taccountingServer next_acct\n}\n"
	}
	conf := filepath.Join(t.TempDir(), "radsecproxy.conf")
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	r.Process = Start(t, name, exec.Command("radsecproxy", "-f", "-c", conf))
	if in != nil {
		r.ready(func() error { return listening(r.TLS) })
		return r
	}
	r.ready(func() error { return Alive(r.Auth, r.Secret) })
	r.ready(func() error { return Alive(r.Acct, r.Secret) })
	return r
}

package peer

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FreeDiameterConfig describes a freeDiameterd, which relays what it knows no
// application for: all that Debian has of it is an agent.
type FreeDiameterConfig struct {
	Identity, Realm string
	// Keys are shown over TLS, which then has a port of its own; nil: TCP alone.
	Keys  *Keys
	Peers []FreeDiameterPeer
	// Allow are identities that may connect without being one of Peers, as
	// "*.visited.test". They are taken without TLS where there are no Keys.
	Allow []string
	// Routes say which peer has what, in lines of its rt_default extension, as
	// `dr="home.test" : "hss.home.test" += REALM ;`.
	Routes []string
	// TCP is where it listens, a free port where it is not valid.
	TCP netip.AddrPort
	// Loud prints each message.
	Loud bool
}

// FreeDiameterPeer is a node that it connects to.
type FreeDiameterPeer struct {
	Identity, Realm string
	Addr            netip.AddrPort
	TLS             bool
}

// FreeDiameter is a running freeDiameterd.
type FreeDiameter struct {
	*Process
	FreeDiameterConfig
	TLS netip.AddrPort // where it takes peers over TLS, if it has Keys
	t   testing.TB
	dir string
}

// StartFreeDiameter starts one.
func StartFreeDiameter(t testing.TB, c FreeDiameterConfig) *FreeDiameter {
	t.Helper()
	Need(t, "freeDiameterd")
	f := &FreeDiameter{FreeDiameterConfig: c, t: t, dir: t.TempDir()}
	if !f.TCP.IsValid() {
		f.TCP = Port(t)
	}
	if c.Keys != nil {
		f.TLS = Port(t)
	}
	f.write("freeDiameter.conf", f.config())
	f.write("acl_wl.conf", f.allowed())
	f.write("rt_default.conf", strings.Join(c.Routes, "\n")+"\n")
	f.Restart()
	return f
}

// Restart starts it again, with the same files, after Kill or Stop.
func (f *FreeDiameter) Restart() {
	f.t.Helper()
	f.Process = Start(f.t, "freeDiameterd "+f.Identity, exec.Command("freeDiameterd", "-c", filepath.Join(f.dir, "freeDiameter.conf")))
	f.ready(func() error {
		if f.TLS.IsValid() {
			if err := listening(f.TLS); err != nil {
				return err
			}
		}
		return listening(f.TCP)
	})
}

func (f *FreeDiameter) write(name, text string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600))
}

func (f *FreeDiameter) config() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Identity = %q;\nRealm = %q;\nPort = %d;\nSecPort = %d;", f.Identity, f.Realm, f.TCP.Port(), f.TLSPort())
	line("No_SCTP;\nNo_IPv6;\nListenOn = \"127.0.0.1\";\nAppServThreads = 2;\nTcTimer = 1;\nTwTimer = 6;")
	if f.Keys != nil {
		line("TLS_Cred = %q, %q;\nTLS_CA = %q;", f.Keys.Cert, f.Keys.Key, f.Keys.Root)
	}
	for _, p := range f.Peers {
		how := "No_TLS; "
		if p.TLS {
			how = ""
		}
		line("ConnectPeer = %q { %sNo_SCTP; ConnectTo = %q; Port = %d; TcTimer = 1; TwTimer = 6; };",
			p.Identity, how, p.Addr.Addr(), p.Addr.Port())
	}
	const extension = "LoadExtension = \"/usr/lib/freeDiameter/%s.fdx\""
	line(extension+" : %q;", "acl_wl", filepath.Join(f.dir, "acl_wl.conf"))
	line(extension+" : %q;", "rt_default", filepath.Join(f.dir, "rt_default.conf"))
	if f.Loud {
		line(extension+" : \"0x8888\";", "dbg_msg_dumps")
	}
	return b.String()
}

// TLSPort is 0 without TLS, which disables it.
func (f *FreeDiameter) TLSPort() uint16 {
	if f.Keys == nil {
		return 0
	}
	return f.TLS.Port()
}

func (f *FreeDiameter) allowed() string {
	how := "ALLOW_IPSEC "
	if f.Keys != nil {
		how = ""
	}
	var b strings.Builder
	for _, who := range f.Allow {
		fmt.Fprintf(&b, "%s%s\n", how, who)
	}
	return b.String()
}

// Diameter gives the keys as a node wants them; who is the name that the certificate of
// the other side must have where the node connects, "": it accepts.
func (k *Keys) Diameter(t testing.TB, who string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(k.Root)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{k.TLS}, ServerName: who,
		RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// Path is that of one of its files, such as freeDiameter.conf.
func (f *FreeDiameter) Path(name string) string { return filepath.Join(f.dir, name) }

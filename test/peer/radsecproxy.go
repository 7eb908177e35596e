package peer

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Radsecproxy is a running radsecproxy that proxies every realm to one next hop.
type Radsecproxy struct {
	*Process
	Server // for its NAS
	// TLS is where it takes clients over TLS, if it does.
	TLS netip.AddrPort
}

// StartRadsecproxy starts one; secret is its NAS's.
func StartRadsecproxy(t testing.TB, name, secret string, next Server) *Radsecproxy {
	t.Helper()
	Need(t, "radsecproxy")
	r := &Radsecproxy{Server: Server{Port(t), Port(t), secret}}
	conf := filepath.Join(t.TempDir(), "radsecproxy.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, `
LogLevel 2
ListenUDP %s
ListenUDP %s
client 127.0.0.0/8 {
	type udp
	secret %q
}
server next_auth {
	type udp
	host %s
	port %d
	secret %q
	statusserver off
}
server next_acct {
	type udp
	host %s
	port %d
	secret %q
	statusserver off
}
realm * {
	server next_auth
	accountingServer next_acct
}
`, r.Auth, r.Acct, secret,
		next.Auth.Addr(), next.Auth.Port(), next.Secret,
		next.Acct.Addr(), next.Acct.Port(), next.Secret), 0o600))
	// -f: stay in the foreground and log to standard error.
	r.Process = Start(t, name, exec.Command("radsecproxy", "-f", "-c", conf))
	r.ready(func() error { return Alive(r.Auth, r.Secret) })
	r.ready(func() error { return Alive(r.Acct, r.Secret) })
	return r
}

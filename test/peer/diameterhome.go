package peer

import (
	"net/netip"
	"os/exec"
	"testing"
	"time"
)

// DiameterHome is a home of Diameter that is a process of its own and can be killed:
// roamgen, which answers every request with success.
type DiameterHome struct {
	*Process
	Addr netip.AddrPort
}

// StartDiameterHome starts one over TLS that thinks for a while about each request.
func StartDiameterHome(t testing.TB, identity, realm string, keys *Keys, delay time.Duration) *DiameterHome {
	t.Helper()
	h := &DiameterHome{Addr: Port(t)}
	h.Process = Start(t, "roamgen", exec.Command(Roamgen(t),
		"diameter", "answer", "--identity", identity, "--origin-realm", realm, "--listen", h.Addr.String(), "--delay", delay.String(),
		"--transport", "tls", "--cert", keys.Cert, "--key", keys.Key, "--ca", keys.Root))
	h.ready(func() error { return listening(h.Addr) })
	return h
}

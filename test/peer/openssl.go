package peer

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// handshakeLimit bounds one run of openssl.
const handshakeLimit = 15 * time.Second

// Handshake is what `openssl s_client` saw.
type Handshake struct {
	// Done says that the server has not refused the connection until it was
	// asked to close it.
	Done     bool
	Protocol string // "TLSv1.3"
	ALPN     string
	Alert    int // fatal, that the server sent (RFC 8446 section 6.2), 0 for none
	Output   string
}

// OpenSSL connects once with `openssl s_client` and the arguments given, such
// as -tls1_1 or -alpn. keys may be nil: no certificate is shown. In TLS 1.3 a
// server refuses a client after its handshake, and so the peer is heard until
// it closes or has been silent for a moment.
func OpenSSL(t testing.TB, at netip.AddrPort, keys *Keys, args ...string) *Handshake {
	t.Helper()
	Need(t, "openssl")
	// The security level 0 lets openssl offer what is refused.
	all := []string{"s_client", "-connect", at.String(), "-state", "-cipher", "ALL:@SECLEVEL=0"}
	if keys != nil {
		all = append(all, "-cert", keys.Cert, "-key", keys.Key, "-cert_chain", keys.Cert)
	}
	// It ends when its standard input does: the pipe is closed as soon as the
	// server had the time to refuse.
	command := exec.Command("openssl", append(all, args...)...)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := Start(t, "openssl s_client", command)
	heard := func() bool {
		out := p.Output()
		return p.Ended() || strings.Contains(out, "SSL3 alert read:") || strings.Contains(out, "---\nSSL handshake has read") && strings.Contains(out, "\n---\n")
	}
	deadline := time.After(handshakeLimit)
	for !heard() {
		select {
		case <-deadline:
			t.Fatalf("openssl s_client did not come to an end in %s:\n%s", handshakeLimit, p.Output())
		case <-time.After(askAgain):
		}
	}
	// An alert that follows the handshake comes within a round trip.
	select {
	case <-p.done:
	case <-time.After(settle):
	}
	_ = in.Close()
	_ = p.Wait(handshakeLimit)
	return readHandshake(p.Output())
}

// settle is how long a refusal may come after the client's own Finished.
const settle = 500 * time.Millisecond

func readHandshake(out string) *Handshake {
	h := &Handshake{Output: out}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "New, "); ok {
			h.Protocol, _, _ = strings.Cut(v, ",")
		}
		if v, ok := strings.CutPrefix(line, "ALPN protocol: "); ok {
			h.ALPN = v
		}
		if _, v, ok := strings.Cut(line, ":SSL alert number "); ok {
			h.Alert, _ = strconv.Atoi(v)
		}
	}
	h.Done = h.Alert == 0 && h.Protocol != "" && h.Protocol != "(NONE)" && !strings.Contains(out, "unexpected eof") &&
		!strings.Contains(out, "Connection reset") && !strings.Contains(out, "write:errno") && !strings.Contains(out, "read:errno")
	return h
}

// StartOpenSSLServer starts `openssl s_server`: a TLS server that speaks no
// RADIUS at all. It accepts, and takes what comes.
func StartOpenSSLServer(t testing.TB, keys *Keys, args ...string) netip.AddrPort {
	t.Helper()
	Need(t, "openssl")
	at := Port(t)
	all := []string{"s_server", "-accept", at.String(), "-cert", keys.Cert, "-key", keys.Key, "-CAfile", keys.Root,
		"-Verify", "2", "-verify_return_error", "-quiet"}
	p := Start(t, "openssl s_server", exec.Command("openssl", append(all, args...)...))
	p.ready(func() error {
		if err := listening(at); err != nil {
			return fmt.Errorf("openssl s_server: %w", err)
		}
		return nil
	})
	return at
}

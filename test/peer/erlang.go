package peer

import (
	_ "embed"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// erlangNode is a node on OTP's diameter, the third implementation of it here: base
// accounting over TCP, as client and as server.
//
//go:embed erlang.escript
var erlangNode string

func erlang(t testing.TB, identity, realm string, port uint16, role string, more ...string) *Process {
	t.Helper()
	Need(t, "erl")
	path := filepath.Join(t.TempDir(), "node.escript")
	require.NoError(t, os.WriteFile(path, []byte("#!/usr/bin/env escript\n"+erlangNode), 0o600))
	return Start(t, "erlang "+identity, exec.Command("escript",
		append([]string{path, role, identity, realm, strconv.Itoa(int(port))}, more...)...))
}

// StartErlang starts a server that answers base accounting, and gives where it listens.
func StartErlang(t testing.TB, identity, realm string) (*Process, netip.AddrPort) {
	t.Helper()
	at := Port(t)
	p := erlang(t, identity, realm, at.Port(), "server")
	p.ready(func() error {
		if !strings.Contains(p.Output(), "ready") {
			return fmt.Errorf("it has not said that it is ready")
		}
		return listening(at)
	})
	return p, at
}

var erlangResult = regexp.MustCompile(`success (\d+) of (\d+)`)

// AskErlang lets a client connect and ask for n records in the realm of another; success
// is how many were answered with DIAMETER_SUCCESS.
func AskErlang(t testing.TB, identity, realm string, at netip.AddrPort, to string, n int) (success int, output string) {
	t.Helper()
	p := erlang(t, identity, realm, at.Port(), "client", to, strconv.Itoa(n))
	err := p.Wait(startLimit)
	m := erlangResult.FindStringSubmatch(p.Output())
	if err != nil || m == nil {
		t.Fatalf("erlang %s: %v\n%s", identity, err, p.Output())
	}
	success, err = strconv.Atoi(m[1])
	require.NoError(t, err)
	return success, p.Output()
}

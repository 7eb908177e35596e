package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// limit bounds every wait for an event.
const limit = 60 * time.Second

// Distinctive values, of which none may appear where operators look.
const (
	clientSecret = "Zq7-client-secret-Zq7-of-32-oct."
	homeSecret   = "Zq7-home-secret-Zq7-also-32-oct."
	userName     = "zq7-subscriber"
	userPassword = "Zq7-password"
	userIMSI     = "262017654321098"
	userMAC      = "02-5A-71-37-00-99"
)

// rig is a hub of this tree in a process of its own, with one client range
// and one home on loopback.
type rig struct {
	*peer.Process
	t                 testing.TB
	bin, dir          string
	auth, acct, admin netip.AddrPort
	home, acctHome    *peer.Home
}

// start starts a hub; more is added to its main file, files to its directory.
func start(t testing.TB, more string, files ...map[string]string) *rig {
	t.Helper()
	h := prepare(t, more)
	for _, f := range files {
		write(t, h.dir, f)
	}
	h.serve()
	return h
}

// prepare writes what start starts.
func prepare(t testing.TB, more string) *rig {
	t.Helper()
	h := &rig{t: t, bin: program(t), dir: t.TempDir(), auth: peer.Port(t), acct: peer.Port(t), admin: peer.Port(t),
		home: peer.ListenHome(t, homeSecret), acctHome: peer.ListenHome(t, homeSecret)}
	write(t, h.dir, map[string]string{
		"roamgate.yaml": fmt.Sprintf("listen: {auth: [%q], acct: [%q]}\nadmin: {listen: %q}\nreject_delay: 0s\nspool: {min_free: 1MiB}\n"+
			"routing: {poll: 50ms}\nqueue: {node: hub-1}\nshards: 1\n", h.auth, h.acct, h.admin) + more,
		"client.secret":     clientSecret + "\n",
		"home.secret":       homeSecret + "\n",
		"password":          userPassword + "\n",
		"realms/peers.yaml": h.routing("acme.example"),
	})
	return h
}

func (h *rig) routing(realm string) string {
	return fmt.Sprintf(`clients:
  - {name: airport, address: 127.0.0.1, secret_file: ../client.secret, country: DE}
homes:
  - {name: acme-1, auth: %[1]q, acct: %[2]q, secret_file: ../home.secret}
pools:
  - {name: acme, homes: [acme-1], timers: {irt: 500ms}}
realms:
  - {realm: %[3]s, auth: acme, accounting: acme, acknowledge: durable}
  - {realm: policy.example, auth: acme, policy: {enabled: true}}
  - {realm: default, reject: no agreement}
`, h.home.Addr, h.acctHome.Addr, realm)
}

// route replaces the routing file at once, as an editor does that renames.
func (h *rig) route(text string) {
	h.t.Helper()
	write(h.t, h.dir, map[string]string{"realms/.next": text})
	require.NoError(h.t, os.Rename(h.path("realms/.next"), h.path("realms/peers.yaml")))
}

func (h *rig) path(name string) string { return filepath.Join(h.dir, name) }

// serve starts the process and waits until it is ready.
func (h *rig) serve() {
	h.t.Helper()
	h.launch()
	peer.Eventually(h.t, limit, "the hub is ready", func() bool {
		require.False(h.t, h.Ended(), "the hub ended:\n%s", h.Output())
		code, _, err := h.get("/readyz")
		return err == nil && code == http.StatusOK
	})
}

// launch starts the process.
func (h *rig) launch(env ...string) {
	h.t.Helper()
	cmd := exec.Command(h.bin, "serve", "--config", h.path("roamgate.yaml"))
	cmd.Env = append(os.Environ(), env...)
	h.Process = peer.Start(h.t, "roamgate", cmd)
}

func (h *rig) get(path string) (code int, body string, err error) { return peer.Page(h.admin, path) }

// page is the body of a path that must answer with code.
func (h *rig) page(code int, path string) string {
	h.t.Helper()
	got, body, err := h.get(path)
	require.NoError(h.t, err)
	require.Equal(h.t, code, got, "%s\n%s", path, body)
	return body
}

// ask runs a command against the hub.
func (h *rig) ask(args string) result {
	return command(append(strings.Fields(args), "--admin", h.admin.String())...)
}

// send runs a send command as the hub's client.
func (h *rig) send(kind string, args ...string) result {
	to := h.auth
	if kind == "acct" {
		to = h.acct
	}
	all := append([]string{"send", kind, "--to", to.String(), "--secret-file", h.path("client.secret"), "--timeout", "5s"}, args...)
	return command(all...)
}

// stop records a finished session.
func (h *rig) stop(user, session string) result {
	return h.send("acct", "User-Name="+user, "Acct-Status-Type=Stop", "Acct-Session-Id="+session, "NAS-Identifier=nas-1",
		"Acct-Session-Time=61", "Acct-Input-Octets=1000", "Acct-Output-Octets=2000")
}

// since is what the hub printed behind the first mark octets.
func (h *rig) since(mark int) string { return h.Output()[mark:] }

func (h *rig) eventually(what string, ok func() bool) {
	h.t.Helper()
	peer.Eventually(h.t, limit, what, ok)
}

package peer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// buildLimit bounds the build of roamgate, with the race detector and
	// nothing cached, on a slow machine.
	buildLimit = 10 * time.Minute
	// commandLimit bounds one roamgate subcommand.
	commandLimit = time.Minute
	// requestLimit bounds one request to the administration port.
	requestLimit = 30 * time.Second
)

// Realm is the realm that every hub here routes.
const Realm = "home.example"

// HubConfig describes a hub with one client range, one pool and one realm.
type HubConfig struct {
	Secret string // of every client on loopback
	// RelaxClients lets clients send Access-Requests without a
	// Message-Authenticator, as radsecproxy 1.9.2 does.
	RelaxClients bool
	Homes        []HubHome
	Timers       string // YAML of the pool's timers, such as "{irt: 1s}"
	Acknowledge  string // home or durable
	Policy       string // YAML of the realm's policy
	Devices      string // a policy file, used where there is no Redis
	Redis        *Redis
	Name         string // toward the clearing side, default Node
	DynAuth      bool   // listens to CoA and Disconnect
	RadSec       bool   // listens to clients over TLS
	Diameter     *HubDiameter
	Routes       string // the whole routing file, where the realm and its pool are not enough
	DNS          netip.AddrPort
	More         string // YAML appended to roamgate.yaml
	IdentityKey  string // of event keys and hashes, the same for all hubs of one store; default: the hub makes one
}

// HubDiameter is who a hub is to Diameter peers. With TLS it takes them so too, with
// what the tls: entries of its routing files show.
type HubDiameter struct {
	Identity, Realm string
	TLS             bool
}

// HubHome is one home of the pool.
type HubHome struct {
	Name string
	Server
	// RequireMessageAuthenticator refuses replies without one. FreeRADIUS
	// 3.2.1 sends one beside PAP only when told to.
	RequireMessageAuthenticator bool
}

// Hub is a running roamgate.
type Hub struct {
	*Process
	Server // for its clients
	Admin  netip.AddrPort
	// DynAuth is where homes send CoA and Disconnect, and RadSec where clients
	// connect, if it listens to them.
	DynAuth, RadSec netip.AddrPort
	// Diameter is where peers connect over TCP, DiameterTLS over TLS.
	Diameter, DiameterTLS netip.AddrPort
	Dir                   string // holds roamgate.yaml and everything it names
	Config                HubConfig

	t   testing.TB
	bin string
}

// StartHub builds roamgate from this tree and starts it.
func StartHub(t testing.TB, c HubConfig) *Hub {
	t.Helper()
	h := &Hub{t: t, Server: Server{Port(t), Port(t), c.Secret}, Admin: Port(t), Dir: t.TempDir(), Config: c, bin: Roamgate(t)}
	if c.DynAuth {
		h.DynAuth = Port(t)
	}
	if c.RadSec {
		h.RadSec = Port(t)
	}
	if c.Diameter != nil {
		h.Diameter = Port(t)
		if c.Diameter.TLS {
			h.DiameterTLS = Port(t)
		}
	}
	h.file("roamgate.yaml", h.mainConfig())
	if c.Secret != "" {
		h.file("client.secret", c.Secret)
	}
	for _, home := range c.Homes {
		h.file(home.Name+".secret", home.Secret)
	}
	if c.Devices != "" {
		h.file("devices.yaml", c.Devices)
	}
	if c.IdentityKey != "" {
		h.file("identity.key", c.IdentityKey)
	}
	h.Route(cmp.Or(c.Routes, c.Routing()))
	h.Restart()
	return h
}

// Restart starts the hub again, with the same files, after Kill or Stop.
func (h *Hub) Restart() {
	h.t.Helper()
	h.Process = Start(h.t, "roamgate", exec.Command(h.bin, "serve", "--config", h.path("roamgate.yaml")))
	h.ready(func() error { _, err := h.Get("/readyz"); return err })
}

// mainConfig is the main configuration file.
func (h *Hub) mainConfig() string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: {auth: [%q], acct: [%q]", h.Auth, h.Acct)
	if h.Config.DynAuth {
		fmt.Fprintf(&b, ", dynauth: [%q]", h.DynAuth)
	}
	if h.RadSec.IsValid() {
		fmt.Fprintf(&b, ", radsec: [%q]", h.RadSec)
	}
	fmt.Fprintf(&b, "}\n")
	if d := h.Config.Diameter; d != nil {
		fmt.Fprintf(&b, "diameter: {identity: %s, realm: %s, listen: [%q]", d.Identity, d.Realm, h.Diameter)
		if d.TLS {
			fmt.Fprintf(&b, ", tls: [%q]", h.DiameterTLS)
		}
		fmt.Fprintf(&b, "}\n")
	}
	fmt.Fprintf(&b, "reject_delay: 0s\nadmin: {listen: %q}\n", h.Admin)
	fmt.Fprintf(&b, "routing: {directory: realms, poll: 100ms}\n")
	fmt.Fprintf(&b, "spool: {directory: spool, min_free: 1MiB}\n")
	fmt.Fprintf(&b, "queue: {node: %s}\n", cmp.Or(h.Config.Name, Node))
	if h.Config.IdentityKey != "" {
		fmt.Fprintf(&b, "privacy: {key_file: identity.key}\n")
	}
	fmt.Fprintf(&b, "log: {format: json, level: info}\nshards: 2\n")
	if h.Config.Redis != nil {
		// A wide budget: a look-up that is late on a loaded machine would be
		// answered as if the store were away.
		fmt.Fprintf(&b, "redis: {address: %q}\npolicy: {budget: 1s}\n", h.Config.Redis.Addr)
	}
	if h.Config.Devices != "" {
		fmt.Fprintf(&b, "policy: {file: devices.yaml}\n")
	}
	if h.Config.DNS.IsValid() {
		fmt.Fprintf(&b, "dns: {servers: [%q]}\n", h.Config.DNS)
	}
	b.WriteString(h.Config.More)
	return b.String()
}

// Node is the name toward the clearing side of a hub that is given none.
const Node = "hub"

// Routing is the routing file for c.
func (c HubConfig) Routing() string {
	var b strings.Builder
	fmt.Fprintf(&b, "clients:\n  - name: loopback\n    address: [127.0.0.0/8]\n    secret_file: ../client.secret\n")
	if c.RelaxClients {
		fmt.Fprintf(&b, "    require_message_authenticator: false\n")
	}
	fmt.Fprintf(&b, "homes:\n")
	var names []string
	for _, home := range c.Homes {
		names = append(names, home.Name)
		fmt.Fprintf(&b, "  - name: %s\n    auth: %q\n    acct: %q\n    secret_file: ../%s.secret\n    status_server: true\n",
			home.Name, home.Auth, home.Acct, home.Name)
		if !home.RequireMessageAuthenticator {
			fmt.Fprintf(&b, "    require_message_authenticator: false\n")
		}
	}
	fmt.Fprintf(&b, "pools:\n  - name: pool\n    homes: [%s]\n", strings.Join(names, ", "))
	if c.Timers != "" {
		fmt.Fprintf(&b, "    timers: %s\n", c.Timers)
	}
	fmt.Fprintf(&b, "realms:\n  - realm: %s\n    auth: pool\n    accounting: pool\n", Realm)
	if c.Acknowledge != "" {
		fmt.Fprintf(&b, "    acknowledge: %s\n", c.Acknowledge)
	}
	if c.Policy != "" {
		fmt.Fprintf(&b, "    policy: %s\n", c.Policy)
	}
	return b.String()
}

// Route replaces the routing file at once, as an editor does that renames.
func (h *Hub) Route(text string) {
	h.t.Helper()
	h.file("realms/.next", text)
	require.NoError(h.t, os.Rename(h.path("realms/.next"), h.path("realms/peers.yaml")))
}

// Secrets writes secrets for homes that only the routing file names.
func (h *Hub) Secrets(of map[string]string) {
	h.t.Helper()
	for name, secret := range of {
		h.file(name+".secret", secret)
	}
}

func (h *Hub) path(name string) string { return filepath.Join(h.Dir, name) }

func (h *Hub) file(name, text string) {
	h.t.Helper()
	require.NoError(h.t, os.MkdirAll(filepath.Dir(h.path(name)), 0o700))
	require.NoError(h.t, os.WriteFile(h.path(name), []byte(text), 0o600))
}

// Get asks the administration port; any status but 200 is an error.
func (h *Hub) Get(path string) (string, error) { return Good(h.Admin, path) }

// Metric sums the series of a metric whose labels contain all of labels, each
// written as name="value".
func (h *Hub) Metric(name string, labels ...string) float64 {
	h.t.Helper()
	text, err := h.Get("/metrics")
	require.NoError(h.t, err)
	sum := 0.0
	for _, line := range strings.Split(text, "\n") {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || !hasLabels(line[:at], name, labels) {
			continue
		}
		value, v := line[at+1:], 0.0
		_, err := fmt.Sscan(value, &v)
		require.NoError(h.t, err, line)
		sum += v
	}
	return sum
}

func hasLabels(series, name string, labels []string) bool {
	metric, rest, _ := strings.Cut(series, "{")
	if metric != name {
		return false
	}
	for _, l := range labels {
		if !strings.Contains(rest, l) {
			return false
		}
	}
	return true
}

// Result is how a subcommand ended.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Command runs a roamgate subcommand in the hub's directory.
func (h *Hub) Command(args ...string) Result {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.bin, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = h.Dir, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatalf("roamgate %s: %v", strings.Join(args, " "), err)
	}
	return Result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// Roamgate builds roamgate from this tree, with the race detector when the
// test has it, and returns the program's path. All tests of a process share
// one build.
func Roamgate(t testing.TB) string {
	t.Helper()
	bin, err := buildRoamgate()
	require.NoError(t, err)
	return bin
}

// Roamgen is the same with the load generator, which plays peers that can be killed.
func Roamgen(t testing.TB) string {
	t.Helper()
	bin, err := buildRoamgen()
	require.NoError(t, err)
	return bin
}

var (
	buildRoamgate = sync.OnceValues(func() (string, error) { return build("roamgate") })
	buildRoamgen  = sync.OnceValues(func() (string, error) { return build("roamgen") })
)

func build(name string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	// One place for all processes: the build cache makes a second build cheap,
	// and a rename leaves running programs alone.
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("roamgate-test-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	next := filepath.Join(dir, fmt.Sprintf("%s.%d", name, os.Getpid()))
	args := []string{"build", "-o", next}
	if raceEnabled {
		args = append(args, "-race")
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/"+name)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	bin := filepath.Join(dir, name)
	return bin, os.Rename(next, bin)
}

// moduleRoot is the folder of go.mod above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}

package play

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// HubFiles is a configuration of roamgate for a demo, test or benchmark. It
// is written here and nowhere else, so that a change of the files' shape is
// one change; package realm/file and cmd/roamgate describe the files.
type HubFiles struct {
	Auth, Acct, Admin netip.AddrPort
	RadSec            netip.AddrPort // of clients over TLS, none if unset
	LogLevel          string         // info if unset
	Poll              time.Duration  // of the routing files, 200 ms if unset
	Redis             string         // host:port, empty for the embedded policy and queue
	More              string         // YAML appended to roamgate.yaml

	TLS      []HubTLS
	Clients  []HubClient
	Homes    []HubHome
	Pools    []HubPool
	Realms   []HubRealm
	Routes   string // YAML of one more routing file
	Profiles []HubProfile
	Devices  []HubDevice // written where there is no Redis
}

// HubTLS is a trust base of the hub, with its own certificate; the names are
// those of PEM files.
type HubTLS struct {
	Name, Certificate, Key, Authority string
	Versions                          []string // of RADIUS, the hub's own choice if unset
}

// HubClient is a visited network as the hub knows it. With TLS, the name of a
// trust base, it has no secret and the host in its certificate.
type HubClient struct {
	Name, Address, Secret, Operator, Country string
	TLS, Host                                string
}

// HubHome is a home server as the hub knows it.
type HubHome struct {
	Name         string
	Auth, Acct   netip.AddrPort
	Secret       string
	StatusServer bool
	// TLS is the name of a trust base; it is reached at Auth then, and the host
	// is in its certificate.
	TLS, Host   string
	Connections int // of an event loop, the hub's own choice if unset
}

// HubPool is an ordered choice of homes; Priority gives the first names the
// priority 1, the next 2 and so on, otherwise they share the load.
type HubPool struct {
	Name     string
	Homes    []string
	Priority bool
	More     string // YAML lines of the pool, such as "retransmit: client"
}

// HubRealm is a routing entry; Reject, or the two pools.
type HubRealm struct {
	Realm            []string
	Auth, Accounting string
	Acknowledge      string // home or durable
	Reject           string
	Policy           bool
	UnknownDevice    string // allow or reject
}

// HubProfile is a device policy; Lines are its YAML lines.
type HubProfile struct {
	Name  string
	Lines []string
}

// HubDevice refers a device to a profile. Identity is as the policy file
// names devices: "imsi: ...", "mac: ..." or "nai: ...".
type HubDevice struct{ Identity, Profile string }

// Write fills dir and gives the path of the main file.
func (h *HubFiles) Write(dir string) (string, error) {
	main := filepath.Join(dir, "roamgate.yaml")
	files := map[string]string{
		main: h.mainFile(),
		filepath.Join(dir, "realms", "clients.yaml"): h.clientsFile(),
		filepath.Join(dir, "realms", "homes.yaml"):   h.homesFile(),
		filepath.Join(dir, "realms", "realms.yaml"):  h.realmsFile(),
	}
	if h.Routes != "" {
		files[filepath.Join(dir, "realms", "more.yaml")] = h.Routes
	}
	for name, secret := range h.secrets() {
		files[filepath.Join(dir, "realms", name)] = secret + "\n"
	}
	if h.Redis == "" && len(h.Profiles) > 0 {
		files[filepath.Join(dir, "devices.yaml")] = h.devicesFile()
	}
	for _, d := range []string{"realms", filepath.Join("realms", "secrets"), "spool"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return "", fmt.Errorf("making the hub's directories: %w", err)
		}
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("writing the hub's configuration: %w", err)
		}
	}
	return main, nil
}

// secrets gives each peer a file of its own, relative to the routing files.
func (h *HubFiles) secrets() map[string]string {
	m := map[string]string{}
	for _, c := range h.Clients {
		if c.TLS == "" {
			m[secretFile(c.Name)] = c.Secret
		}
	}
	for _, c := range h.Homes {
		if c.TLS == "" {
			m[secretFile(c.Name)] = c.Secret
		}
	}
	return m
}

func secretFile(peer string) string { return "secrets/" + peer }

func (h *HubFiles) mainFile() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	poll, level := h.Poll, h.LogLevel
	setDefault(&poll, 200*time.Millisecond)
	setDefault(&level, "info")
	line("listen:")
	line("  auth: [%q]", h.Auth)
	line("  acct: [%q]", h.Acct)
	if h.RadSec.IsValid() {
		line("  radsec: [%q]", h.RadSec)
	}
	line("admin:\n  listen: %q", h.Admin)
	line("routing:\n  directory: realms\n  poll: %s", poll)
	line("spool:\n  directory: spool\n  min_free: 64MiB")
	line("log:\n  format: json\n  level: %s", level)
	switch {
	case h.Redis != "":
		line("redis:\n  address: %q", h.Redis)
	case len(h.Profiles) > 0:
		line("policy:\n  file: devices.yaml")
	}
	b.WriteString(h.More)
	return b.String()
}

func (h *HubFiles) clientsFile() string {
	var b strings.Builder
	if len(h.TLS) > 0 {
		fmt.Fprintln(&b, "# What is shown over TLS, and whose word is taken.\ntls:")
	}
	for _, t := range h.TLS {
		fmt.Fprintf(&b, "  - name: %s\n    certificate: %s\n    key: %s\n    authorities: [%s]\n", t.Name, t.Certificate, t.Key, t.Authority)
		if t.Versions != nil {
			fmt.Fprintf(&b, "    versions: [%s]\n", strings.Join(t.Versions, ", "))
		}
	}
	fmt.Fprintln(&b, "# Visited networks: who may ask.\nclients:")
	for _, c := range h.Clients {
		if c.TLS == "" {
			fmt.Fprintf(&b, "  - name: %s\n    address: [%s]\n    secret_file: %s\n", c.Name, c.Address, secretFile(c.Name))
		} else {
			fmt.Fprintf(&b, "  - name: %s\n    transport: tls\n    tls: %s\n    certificate: {hosts: [%s]}\n", c.Name, c.TLS, c.Host)
			optional(&b, "    address: [%s]\n", c.Address)
		}
		optional(&b, "    operator: %q\n", c.Operator)
		optional(&b, "    country: %s\n", c.Country)
	}
	return b.String()
}

func (h *HubFiles) homesFile() string {
	var b strings.Builder
	fmt.Fprintln(&b, "# Home servers, and the pools that choose among them.\nhomes:")
	for _, c := range h.Homes {
		fmt.Fprintf(&b, "  - name: %s\n    status_server: %t\n", c.Name, c.StatusServer)
		if c.TLS == "" {
			fmt.Fprintf(&b, "    auth: %q\n    acct: %q\n    secret_file: %s\n", c.Auth, c.Acct, secretFile(c.Name))
			continue
		}
		fmt.Fprintf(&b, "    transport: tls\n    tls: %s\n    certificate: {hosts: [%s]}\n    address: %s\n    port: %d\n",
			c.TLS, c.Host, c.Auth.Addr(), c.Auth.Port())
		if c.Connections > 0 {
			fmt.Fprintf(&b, "    connections: %d\n", c.Connections)
		}
	}
	fmt.Fprintln(&b, "pools:")
	for _, p := range h.Pools {
		fmt.Fprintf(&b, "  - name: %s\n    homes:\n", p.Name)
		for i, home := range p.Homes {
			priority := 1
			if p.Priority {
				priority = i + 1
			}
			fmt.Fprintf(&b, "      - {home: %s, priority: %d}\n", home, priority)
		}
		optional(&b, "    %s\n", p.More)
	}
	return b.String()
}

func (h *HubFiles) realmsFile() string {
	var b strings.Builder
	fmt.Fprintln(&b, "# Where each realm goes. Edit me while the hub runs.\nrealms:")
	for _, r := range h.Realms {
		quoted := make([]string, len(r.Realm))
		for i, name := range r.Realm {
			quoted[i] = fmt.Sprintf("%q", name)
		}
		fmt.Fprintf(&b, "  - realm: [%s]\n", strings.Join(quoted, ", "))
		optional(&b, "    reject: %q\n", r.Reject)
		optional(&b, "    auth: %s\n", r.Auth)
		optional(&b, "    accounting: %s\n", r.Accounting)
		optional(&b, "    acknowledge: %s\n", r.Acknowledge)
		if r.Policy {
			fmt.Fprintf(&b, "    policy:\n      enabled: true\n")
			optional(&b, "      unknown_device: %s\n", r.UnknownDevice)
		}
	}
	return b.String()
}

func (h *HubFiles) devicesFile() string {
	var b strings.Builder
	fmt.Fprintln(&b, "# What homes allow their devices abroad.\nprofiles:")
	for _, p := range h.Profiles {
		fmt.Fprintf(&b, "  - name: %s\n", p.Name)
		for _, l := range p.Lines {
			fmt.Fprintf(&b, "    %s\n", l)
		}
	}
	fmt.Fprintln(&b, "devices:")
	for _, d := range h.Devices {
		fmt.Fprintf(&b, "  - {%s, profile: %s}\n", d.Identity, d.Profile)
	}
	return b.String()
}

func optional(b *strings.Builder, format, value string) {
	if value != "" {
		fmt.Fprintf(b, format, value)
	}
}

// The ports of FreePort lie below those that the system gives to clients by
// itself, so that no socket of the load takes one before its server has begun.
const (
	firstFree = 10000
	freePorts = 10000
)

// givenPorts counts the ports that FreePort has looked at, from one by chance.
var givenPorts atomic.Uint32

func init() { givenPorts.Store(rand.Uint32N(freePorts)) }

// FreePort gives a port of 127.0.0.1 that neither UDP nor TCP holds now, and that it has
// not given before.
func FreePort() (netip.AddrPort, error) {
	for range 1000 {
		port := firstFree + givenPorts.Add(1)%freePorts
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
		tcp, err := net.Listen("tcp", at.String())
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", at.String())
		_ = tcp.Close()
		if err == nil {
			return at, udp.Close()
		}
	}
	return netip.AddrPort{}, errors.New("looking for a free port: all tries were taken")
}

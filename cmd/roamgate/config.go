package main

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// config is the main configuration file. Peers and routes are not in it:
// they are in the routing directory, which is read again while the hub runs.
// Relative paths are relative to the file.
type config struct {
	Listen struct {
		Auth []netip.AddrPort `yaml:"auth"` // authentication, usually port 1812
		Acct []netip.AddrPort `yaml:"acct"` // accounting, usually port 1813
		// CoA and Disconnect of homes, usually port 3799; default none
		DynAuth []netip.AddrPort `yaml:"dynauth"`
		RadSec  []netip.AddrPort `yaml:"radsec"` // RADIUS over TLS, usually port 2083; default none
		DTLS    []netip.AddrPort `yaml:"dtls"`   // RADIUS over DTLS, usually port 2083; default none
		TCP     []netip.AddrPort `yaml:"tcp"`    // RADIUS over TCP alone; default none
	} `yaml:"listen"`
	Connections struct { // that are accepted; those to homes stand in the routing files
		Handshake time.Duration `yaml:"handshake"`  // what a handshake may take, default 10s
		HalfOpen  int           `yaml:"half_open"`  // handshakes at a time, default 4096
		PerSource int           `yaml:"per_source"` // of them from one /24 or /56, default 256
		PerClient int           `yaml:"per_client"` // connections of one client, default 256
		Most      int           `yaml:"most"`       // connections in all, default 16384
		Idle      time.Duration `yaml:"idle"`       // without a packet, default 10m
		Stalled   time.Duration `yaml:"stalled"`    // without progress of what is to be sent, default 30s
	} `yaml:"connections"`
	DynAuth struct {
		// Connections carry it too, of peers that the routing files let
		Connections bool      `yaml:"connections"`
		Memory      file.Size `yaml:"memory"` // in which live sessions are remembered
	} `yaml:"dynauth"`
	Diameter diameterConfig `yaml:"diameter"`
	Source   struct {
		IPv4 netip.Addr `yaml:"ipv4"` // local address toward homes, default any
		IPv6 netip.Addr `yaml:"ipv6"`
	} `yaml:"source"`
	DNS struct {
		Servers []netip.AddrPort `yaml:"servers"` // that know the names of homes; default those of the host
	} `yaml:"dns"`
	Shards      int           `yaml:"shards"`       // event loops, default one for each processor
	InFlight    int           `yaml:"in_flight"`    // requests in flight of a shard, default 65536
	RejectDelay time.Duration `yaml:"reject_delay"` // of an Access-Reject of our own, 1s to 10s, 0s none; default 1s
	Duplicates  struct {
		Keep   time.Duration `yaml:"keep"`   // how long an answer is repeated, 5s to 30s
		Memory file.Size     `yaml:"memory"` // of a shard
	} `yaml:"duplicates"`
	Admin struct {
		Listen netip.AddrPort `yaml:"listen"` // metrics, health and the commands' port; default 127.0.0.1:9812
	} `yaml:"admin"`
	Routing struct {
		Directory string        `yaml:"directory"` // default realms
		Poll      time.Duration `yaml:"poll"`      // how often it is looked at, default 2s
		Apply     string        `yaml:"apply"`     // auto: a good change is taken into use; manual: by roamgate apply
		History   string        `yaml:"history"`   // versions that were in use; default history beside the spool
		Keep      int           `yaml:"keep"`      // so many entries, default 50
	} `yaml:"routing"`
	Spool struct {
		Directory string        `yaml:"directory"` // default spool
		MinFree   file.Size     `yaml:"min_free"`  // below this, accounting is not acknowledged; default 512MiB
		Keep      time.Duration `yaml:"keep"`      // delivered records stay readable, default 72h
	} `yaml:"spool"`
	Redis struct {
		Address      string   `yaml:"address"` // host:port; without it the policy is a file
		More         []string `yaml:"more"`    // further addresses, of a cluster or of sentinels
		Master       string   `yaml:"master"`  // the addresses are those of sentinels that know it by this name
		Cluster      bool     `yaml:"cluster"` // the addresses are those of a cluster
		Username     string   `yaml:"username"`
		PasswordFile string   `yaml:"password_file"`
		Sentinel     struct {
			Username     string `yaml:"username"`
			PasswordFile string `yaml:"password_file"`
		} `yaml:"sentinel"`
		Database int  `yaml:"database"`
		TLS      bool `yaml:"tls"`
	} `yaml:"redis"`
	Queue    queueConfig    `yaml:"queue"`
	Clearing clearingConfig `yaml:"clearing"`
	Policy   struct {
		Space  string        `yaml:"space"`  // first part of every Redis key, default dp
		File   string        `yaml:"file"`   // profiles and devices where there is no Redis
		Budget time.Duration `yaml:"budget"` // what a look-up may take, default 5ms
	} `yaml:"policy"`
	Privacy struct {
		KeyFile string `yaml:"key_file"` // keys the hashes of identities; made in the spool directory when not given
		Plain   bool   `yaml:"plain"`    // show identities in records
	} `yaml:"privacy"`
	FTicks struct {
		Reporting string `yaml:"reporting"` // none, basic or full; default none
		MAC       string `yaml:"mac"`       // how devices are shown; default vendor_key_hashed
		KeyFile   string `yaml:"key_file"`  // of the keyed modes
		Prefix    string `yaml:"prefix"`    // default F-TICKS/eduroam/1.0
		To        string `yaml:"to"`        // unix:PATH, udp:HOST:PORT or file:PATH; default unix:/dev/log
		Facility  string `yaml:"facility"`  // of syslog, default daemon
	} `yaml:"fticks"`
	Log struct {
		Format string `yaml:"format"` // json or console
		Level  string `yaml:"level"`  // debug, info, warn or error
	} `yaml:"log"`

	base string         // directory of the file
	doc  *file.Document // where each key stands
}

// The words of routing.apply.
const (
	applyAuto   = "auto"
	applyManual = "manual"
)

// adminDefault is where commands look for the hub.
const adminDefault = "127.0.0.1:9812"

// loadConfig reads the main configuration file and fills in defaults. After
// mistakes it is there for finding more of them; nil says that nothing could
// be read.
func loadConfig(path string) (*config, file.Problems) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, file.Problems{{Pos: filePos(path), Severity: file.Error,
			Text: "reading the configuration: " + reason(err), Hint: "name it with --config"}}
	}
	c := &config{base: filepath.Dir(path), RejectDelay: time.Second}
	doc, ps := file.Parse(path, data)
	if ps.Failed() {
		return nil, ps
	}
	c.doc = doc
	ps = append(ps, doc.Decode(c)...)
	c.defaults()
	if ps.Failed() {
		return c, ps
	}
	return c, append(ps, c.check()...)
}

func (c *config) defaults() {
	if c.Listen.Auth == nil && c.Listen.Acct == nil {
		for _, any := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			c.Listen.Auth = append(c.Listen.Auth, netip.AddrPortFrom(any, 1812))
			c.Listen.Acct = append(c.Listen.Acct, netip.AddrPortFrom(any, 1813))
		}
	}
	if !c.Admin.Listen.IsValid() {
		c.Admin.Listen = netip.MustParseAddrPort(adminDefault)
	}
	text := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	text(&c.Routing.Directory, "realms")
	text(&c.Spool.Directory, "spool")
	text(&c.Clearing.Directory, "clearing")
	text(&c.Routing.Apply, applyAuto)
	text(&c.Routing.History, filepath.Join(filepath.Dir(c.Spool.Directory), "history"))
	if c.Routing.Keep == 0 {
		c.Routing.Keep = 50
	}
	text(&c.FTicks.Reporting, "none")
	text(&c.FTicks.MAC, "vendor_key_hashed")
	text(&c.FTicks.To, "unix:/dev/log")
	text(&c.Log.Format, "json")
	text(&c.Log.Level, "info")
	if c.Spool.MinFree == 0 {
		c.Spool.MinFree = 512 << 20
	}
	if c.Spool.Keep == 0 {
		c.Spool.Keep = 72 * time.Hour
	}
	if c.Policy.Budget == 0 {
		c.Policy.Budget = 5 * time.Millisecond
	}
}

// defaultNode is the name of a hub that has none, where its spool has not
// been given one before: a host that is renamed is still the same hub.
func (c *config) defaultNode() string {
	host, err := os.Hostname()
	if host = strings.ToLower(host); err != nil || !nodeName.MatchString(host) {
		return "roamgate"
	}
	return host
}

// reason is the cause of an error about a file whose path is named already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// path makes a path of the file absolute to where the file is.
func (c *config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.base, p)
}

// listens lists the front doors.
func (c *config) listens() (as []listen.Address) {
	for _, a := range c.Listen.Auth {
		as = append(as, listen.Address{Service: listen.Auth, Addr: a})
	}
	for _, a := range c.Listen.Acct {
		as = append(as, listen.Address{Service: listen.Acct, Addr: a})
	}
	for _, a := range c.Listen.DynAuth {
		as = append(as, listen.Address{Service: listen.DynAuth, Addr: a})
	}
	every := func(by realm.Transport, list []netip.AddrPort) {
		for _, a := range list {
			as = append(as, listen.Address{Service: listen.Every, Addr: a, Transport: by})
		}
	}
	every(realm.TLS, c.Listen.RadSec)
	every(realm.DTLS, c.Listen.DTLS)
	every(realm.TCP, c.Listen.TCP)
	return as
}

func (c *config) hub() aaa.Config {
	return aaa.Config{
		Listen: c.listens(), Source4: c.Source.IPv4, Source6: c.Source.IPv6, DNS: c.DNS.Servers,
		Shards: c.Shards, InFlight: c.InFlight,
		RejectDelay: c.RejectDelay, DuplicateTTL: c.Duplicates.Keep, DuplicateMem: int(c.Duplicates.Memory), DynAuthMem: int(c.DynAuth.Memory), ReverseCoA: c.DynAuth.Connections,
		Connections: aaa.Connections{
			Handshake: c.Connections.Handshake, HalfOpen: c.Connections.HalfOpen, PerSource: c.Connections.PerSource,
			PerClient: c.Connections.PerClient, Most: c.Connections.Most, Idle: c.Connections.Idle, Stalled: c.Connections.Stalled,
		},
	}
}

func (c *config) redisTLS() *tls.Config {
	if !c.Redis.TLS {
		return nil
	}
	return clientTLS(c.Redis.Address)
}

// policyStore says where the device policy is, nil where it is in a file.
func (c *config) policyStore() (*device.Redis, error) {
	if c.Redis.Address == "" {
		return nil, nil
	}
	pw, err := c.secretText(c.Redis.PasswordFile, "the Redis password")
	if err != nil {
		return nil, err
	}
	spw, err := c.secretText(c.Redis.Sentinel.PasswordFile, "the sentinels' password")
	if err != nil {
		return nil, err
	}
	return &device.Redis{
		Addresses: append([]string{c.Redis.Address}, c.Redis.More...), Cluster: c.Redis.Cluster,
		Master: c.Redis.Master, SentinelUsername: c.Redis.Sentinel.Username, SentinelPassword: realm.Secret(spw),
		Username: c.Redis.Username, Password: realm.Secret(pw),
		DB: c.Redis.Database, TLS: c.redisTLS(), Space: c.Policy.Space,
	}, nil
}

const (
	identityKeyLen = 32 // of a key made here
	identityKeyMin = 16 // of one that is given
)

// identityKey reads the key of identity hashes. Where none is configured it
// is kept beside the spool, and made when create says so: records of one
// spool must be comparable for as long as they are kept.
func (c *config) identityKey(create bool) ([]byte, error) {
	path := c.path(c.Privacy.KeyFile)
	if path == "" {
		path = filepath.Join(c.path(c.Spool.Directory), "identity.key")
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && create && c.Privacy.KeyFile == "" {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the identity key: %w", err)
	}
	if len(b) < identityKeyMin {
		return nil, fmt.Errorf("the identity key %s is shorter than %d octets", path, identityKeyMin)
	}
	return b, nil
}

// makeKey writes a new key.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, identityKeyLen)
	_, _ = rand.Read(key)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the identity key: %w", err)
	}
	if err := keepFile(path, key); err != nil {
		return nil, fmt.Errorf("writing the identity key: %w", err)
	}
	return key, nil
}

func (c *config) recordView(key []byte) *accounting.View {
	return &accounting.View{Hasher: accounting.NewHasher(key), Plain: c.Privacy.Plain}
}

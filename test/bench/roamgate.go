package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// roamgate gets every realm of its own, each with policy where there is one.
func (st *stage) roamgate(ctx context.Context, p *proxy, dir string) ([]string, error) {
	var err error
	if p.admin, err = st.freePort(); err != nil {
		return nil, err
	}
	h := play.HubFiles{
		Auth: p.auth, Acct: p.acct, Admin: p.admin, LogLevel: "warn",
		Clients: []play.HubClient{{
			Name: "visited", Address: "127.0.0.0/8", Secret: visitedSecret, Operator: "1visited.example", Country: "DE",
		}},
	}
	if st.keep > 0 {
		h.More = fmt.Sprintf("duplicates:\n  keep: %s\n", st.keep)
	}
	if p.clients > 0 {
		h.Clients = nil
	}
	st.overTLS(p, &h)
	for i := range p.clients {
		h.Clients = append(h.Clients, play.HubClient{
			Name: fmt.Sprint("visited-", i), Address: clientAddress(i).String(), Secret: visitedSecret,
			Operator: "1visited.example", Country: "DE",
		})
	}
	if st.nodes {
		st.overNodes(p, &h)
		return st.roamgateCommand(p, dir, &h)
	}
	for i, home := range st.load.homes {
		name := fmt.Sprint("home-", i)
		at := play.HubHome{Name: name, Auth: home.Auth, Acct: home.Acct, Secret: homeSecret}
		if st.out != "" {
			at.TLS, at.Host, at.Connections = trustName, loadHost, st.connections
		}
		h.Homes = append(h.Homes, at)
		h.Pools = append(h.Pools, play.HubPool{Name: name, Homes: []string{name}})
	}
	mode := p.acknowledge
	if mode == "" {
		mode = "home"
	}
	for i := range st.realms {
		pool := fmt.Sprint("home-", i%len(st.load.homes))
		h.Realms = append(h.Realms, play.HubRealm{
			Realm: []string{realmName(i)}, Auth: pool, Accounting: pool, Acknowledge: mode, Policy: st.devices > 0,
		})
	}
	if st.devices > 0 {
		h.Profiles = []play.HubProfile{{Name: "meter", Lines: []string{
			"operators: [1visited.example]", "countries: [DE]", "nas_port_types: [wireless-802.11]",
			"session_timeout: 1h", "interim_interval: 1h",
		}}}
		h.Devices = make([]play.HubDevice, st.devices)
		for i := range h.Devices {
			h.Devices[i] = play.HubDevice{Identity: fmt.Sprintf("imsi: %q", imsi(uint64(i), st.realms)), Profile: "meter"}
		}
	}
	if st.redis {
		if h.Redis, err = st.startRedis(ctx, p, dir); err != nil {
			return nil, err
		}
	}
	return st.roamgateCommand(p, dir, &h)
}

func (st *stage) roamgateCommand(p *proxy, dir string, h *play.HubFiles) ([]string, error) {
	config, err := h.Write(dir)
	if err != nil {
		return nil, err
	}
	p.version = firstLine(st.options.roamgate, "version")
	return []string{st.options.roamgate, "serve", "--config", config}, nil
}

const trustName = "bench"

// overTLS adds what connections on either side need.
func (st *stage) overTLS(p *proxy, h *play.HubFiles) {
	if st.in == "" && st.out == "" {
		return
	}
	versions := []string{play.Version10}
	if st.in == "1.1" || st.out == "1.1" {
		versions = []string{play.Version11, play.Version10}
	}
	h.TLS = []play.HubTLS{{
		Name: trustName, Certificate: filepath.Join(st.pki, proxyName+".pem"), Key: filepath.Join(st.pki, proxyName+".key"),
		Authority: filepath.Join(st.pki, caFile), Versions: versions,
	}}
	if st.in != "" {
		h.RadSec = p.radsec
		h.Clients = []play.HubClient{{Name: "visited", TLS: trustName, Host: loadHost, Operator: "1visited.example", Country: "DE"}}
		h.More += "connections:\n  per_client: 4096\n  per_source: 4096\n"
	}
}

// startRedis starts a redis-server that keeps nothing on disk, on the load's
// processor: its time is not the hub's.
func (st *stage) startRedis(ctx context.Context, p *proxy, dir string) (string, error) {
	at, err := st.freePort()
	if err != nil {
		return "", err
	}
	c := pinned(st.loadCPU, "redis-server", "--bind", at.Addr().String(), "--port", fmt.Sprint(at.Port()),
		"--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no", "--maxmemory-policy", "noeviction")
	if err := c.Start(); err != nil {
		return "", fmt.Errorf("starting redis-server: %w", err)
	}
	p.redis = c
	return at.String(), awaitTCP(ctx, at)
}

// awaitTCP waits until something listens.
func awaitTCP(ctx context.Context, at netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp", at.String())
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", at, err)
		case <-tick.C:
		}
	}
}

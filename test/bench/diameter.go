package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// overDiameter says that the homes of the load process are Diameter nodes.
const overDiameter = "diameter"

// Identities of the nodes: a realm and a node in it for each home, and one for each
// visited network, numbered.
const visitedNodeRealm = "visited.example"

func homeNodeRealm(i int) string { return fmt.Sprintf("home-%d.example", i) }

func homeNode(i int) string { return "hss." + homeNodeRealm(i) }

func visitedNode(i int) string { return fmt.Sprintf("mme-%d.%s", i, visitedNodeRealm) }

// homeReceives is what a stalled home takes at most without reading it.
const homeReceives = 256 << 10

// nodes are the homes of Diameter, and a last one of RADIUS.
type nodes struct {
	all      []*node.Node
	radius   radiusHomes
	released []func() // of those that are stalled, nil: they are not
}

// loadNodes is the load process where the homes are Diameter nodes.
func loadNodes(ctx context.Context, e estate, in io.Reader, out io.Writer) (err error) {
	w := &nodes{released: make([]func(), e.Homes)}
	defer func() {
		w.script(homeScript{Home: -1})
		for _, h := range w.all {
			err = errors.Join(err, h.Close())
		}
	}()
	var ports []homePorts
	for i := range e.Homes {
		h, err := node.Start(ctx, node.Config{
			Identity: homeNode(i), Realm: homeNodeRealm(i), Listen: netip.MustParseAddrPort("127.0.0.1:0"), Receive: homeReceives,
			Spin: e.Spin,
		})
		if err != nil {
			return err
		}
		w.all = append(w.all, h)
		ports = append(ports, homePorts{h.Addr(), h.Addr()})
	}
	homes, last, err := estate{Homes: 1}.start()
	if err != nil {
		return err
	}
	defer homes.Close()
	w.radius = homes.All
	return serve(ctx, w, append(ports, last...), in, out)
}

func (w *nodes) script(s homeScript) {
	for i, h := range w.all {
		if s.Home >= 0 && s.Home != i {
			continue
		}
		if release := w.released[i]; release != nil && !s.Stall {
			release()
			w.released[i] = nil
		}
		h.SetScript(node.Script{Silent: s.Silent, Delay: s.Delay})
		if s.Stall && w.released[i] == nil {
			w.released[i] = h.Stall()
		}
	}
}

func (w *nodes) reached() (n uint64) {
	for i, h := range w.all {
		if w.released[i] != nil {
			continue // it reads nothing
		}
		n += h.Snapshot().Answered
	}
	return n + w.radius.reached()
}

// runNode is a visit of a Diameter node.
func (v *visit) runNode(ctx context.Context) outcome {
	steps, err := node.ParseSteps(v.Steps)
	if err != nil {
		return outcome{Error: err.Error()}
	}
	start, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	n, err := node.Start(start, node.Config{
		Identity: visitedNode(v.FirstRealm), Realm: visitedNodeRealm, Connect: []netip.AddrPort{v.Auth}, Spin: v.Spin,
	})
	if err != nil {
		return outcome{Error: err.Error()}
	}
	defer n.Close()
	crowd, err := gather(start, v.Crowd, v.Auth)
	defer func() {
		for _, c := range crowd {
			_ = c.Close()
		}
	}()
	if err != nil {
		return outcome{Error: err.Error()}
	}
	begun := time.Now()
	err = n.Play(ctx, node.Work{
		Steps: steps, Realm: homeNodeRealm(v.FirstRealm), Window: v.Window, Rate: v.Rate, Duration: v.Duration,
		Devices: v.Devices, First: v.First, Timeout: cmp.Or(v.Timeout, 4*clientTimeout),
	})
	if err != nil {
		return outcome{Error: err.Error()}
	}
	c := n.Snapshot()
	return outcome{
		Finished: c.Success, Sent: c.Sent, Lost: c.Lost, Bad: c.Flaws, Refused: c.Failed, Repeated: c.Repeated, Skipped: c.Skipped,
		InTime: c.InTime, MostOpen: uint64(v.Window), AddsUp: c.AddsUp(), Took: time.Since(begun),
		P50: c.Latency.Quantile(0.5), P99: c.Latency.Quantile(0.99), P999: c.Latency.Quantile(0.999),
	}
}

// gather connects nodes that say nothing.
func gather(ctx context.Context, count int, to netip.AddrPort) ([]*node.Node, error) {
	all, failed := make([]*node.Node, count), make([]error, count)
	free := make(chan struct{}, 16)
	var wait sync.WaitGroup
	for i := range count {
		free <- struct{}{}
		wait.Go(func() {
			all[i], failed[i] = node.Start(ctx, node.Config{
				Identity: visitedNode(i + firstOfCrowd), Realm: visitedNodeRealm, Connect: []netip.AddrPort{to},
			})
			<-free
		})
	}
	wait.Wait()
	err := errors.Join(failed...)
	if err != nil {
		for _, n := range all {
			if n != nil {
				_ = n.Close()
			}
		}
		return nil, fmt.Errorf("gathering %d nodes: %w", count, err)
	}
	return all, nil
}

// firstOfCrowd is the number of the first node that says nothing.
const firstOfCrowd = 100

const agentIdentity, agentRealm = "hub.bench.example", "bench.example"

// overNodes adds what Diameter needs.
func (st *stage) overNodes(p *proxy, h *play.HubFiles) {
	h.More += fmt.Sprintf("diameter:\n  identity: %s\n  realm: %s\n  listen: [%q]\n", agentIdentity, agentRealm, p.diameter)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("peers:")
	visited := func(i int) {
		line("  - {name: visited-%d, identity: %s, realm: %s, from: 127.0.0.0/8, operator: 1visited.example, country: DE}",
			i, visitedNode(i), visitedNodeRealm)
	}
	for i := range st.homes {
		visited(i)
	}
	for i := range st.peers {
		visited(firstOfCrowd + i)
	}
	homes, last := st.load.homes[:st.homes], st.load.homes[st.homes]
	for i, home := range homes {
		line("  - {name: home-%d, identity: %s, realm: %s, address: %s, port: %d}",
			i, homeNode(i), homeNodeRealm(i), home.Auth.Addr(), home.Auth.Port())
	}
	if st.steps == "" && !p.untranslated {
		line("homes:\n  - {name: to-diameter, transport: diameter}")
	}
	line("pools:")
	for i := range homes {
		line("  - {name: home-%d, peers: home-%d}", i, i)
	}
	if st.steps == "" && !p.untranslated {
		line("  - {name: to-diameter, homes: to-diameter}")
	}
	line("realms:")
	for i := range homes {
		line("  - realm: %s\n    diameter: home-%d", homeNodeRealm(i), i)
	}
	switch {
	case st.steps != "":
	case p.untranslated:
		h.Homes = []play.HubHome{{Name: "radius", Auth: last.Auth, Acct: last.Acct, Secret: homeSecret}}
		h.Pools = []play.HubPool{{Name: "radius", Homes: []string{"radius"}}}
		h.Realms = []play.HubRealm{{Realm: []string{realmName(0)}, Auth: "radius", Accounting: "radius", Acknowledge: "home"}}
	default:
		line("  - realm: %s\n    auth: to-diameter\n    accounting: to-diameter\n    acknowledge: home\n    diameter: home-0", realmName(0))
	}
	h.Routes = b.String()
}

// freediameter relays by realm: its peers' own.
func (st *stage) freediameter(p *proxy, dir string) ([]string, error) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Identity = %q;\nRealm = %q;\nPort = %d;\nSecPort = 0;\nNo_SCTP;\nNo_IPv6;", agentIdentity, agentRealm, p.diameter.Port())
	line("ListenOn = \"127.0.0.1\";\nTcTimer = 1;\nTwTimer = 30;")
	for i, home := range st.load.homes[:st.homes] {
		line("ConnectPeer = %q { No_TLS; No_SCTP; ConnectTo = %q; Port = %d; TcTimer = 1; };", homeNode(i), home.Auth.Addr(), home.Auth.Port())
	}
	acl := filepath.Join(dir, "acl_wl.conf")
	if _, err := writeConfig(dir, "acl_wl.conf", "ALLOW_IPSEC *."+visitedNodeRealm+"\n", ""); err != nil {
		return nil, err
	}
	line("LoadExtension = \"/usr/lib/freeDiameter/acl_wl.fdx\" : %q;", acl)
	p.version = firstLine("freeDiameterd", "--version")
	return writeConfig(dir, "freeDiameter.conf", b.String(), "freeDiameterd", "-c")
}

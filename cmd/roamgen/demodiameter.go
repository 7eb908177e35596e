package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
	dia "github.com/roamgate/roamgate/pkg/diameter"
)

const (
	hubIdentity   = "hub.demo.example"
	guestIdentity = "guest.demo.example"

	realmMobile  = "epc.mnc001.mcc001.3gppnetwork.org"
	realmFleet   = "fleet.example"       // its home speaks Diameter
	realmStaff   = "staff.alpha.example" // Diameter networks reach the RADIUS homes of alpha
	firstIMSI    = 5e6                   // apart from the devices of the RADIUS networks
	unknownToEPS = 5420                  // UNKNOWN_EPS_SUBSCRIPTION of 3GPP: what a stolen device gets
)

// cell is a visited network that speaks Diameter.
type cell struct {
	name, identity, country string
	steps                   []node.Step
	realm                   string  // that it asks for
	share                   float64 // of the rate of a RADIUS network
}

// cells connect to the hub, which tells them apart by their identities.
var cells = []cell{
	{"mobile-y", "mme.epc.mnc001.mcc208.3gppnetwork.org", "FR", node.Roles["mme"], realmMobile, 0.25},
	{"gateway-y", "pgw.mobile-y.example", "FR", []node.Step{node.RecordStart, node.RecordInterim, node.RecordStop}, realmFleet, 0.15},
	{"stadium", "nas.stadium.example", "DE", node.Roles["nas"], realmStaff, 0.15},
}

// core is a home that speaks Diameter.
type core struct {
	name, identity, realm string
	apps                  []uint32
	words                 string // of apps in the routing files
}

var cores = []core{
	{"hss", "hss." + realmMobile, realmMobile, []uint32{dia.AppS6a}, "s6a"},
	{"fleet-aaa", "aaa." + realmFleet, realmFleet, []uint32{dia.AppNASREQ, dia.AppAccounting}, "nasreq, accounting"},
}

// coreCounts are what a home has seen of Diameter.
type coreCounts struct {
	node.Counts
	stops     uint64 // each session once
	connected bool
}

// playCores starts the homes, which wait for the hub.
func (d *demo) playCores(ctx context.Context) error {
	for _, c := range cores {
		n, err := node.Start(ctx, node.Config{
			Identity: c.identity, Realm: c.realm, Applications: c.apps,
			Listen: netip.MustParseAddrPort("127.0.0.1:0"), Track: true,
		})
		if err != nil {
			return err
		}
		d.cores = append(d.cores, n)
	}
	return nil
}

// playCells connects the networks to the hub.
func (d *demo) playCells(ctx context.Context) error {
	for _, c := range cells {
		n, err := node.Start(ctx, node.Config{
			Identity: c.identity, Realm: realmOf(c.identity), Applications: node.Applications(c.steps),
			Connect: []netip.AddrPort{d.diameter},
		})
		if err != nil {
			return err
		}
		d.cells = append(d.cells, n)
	}
	return nil
}

func realmOf(identity string) string {
	_, realm, _ := strings.Cut(identity, ".")
	return realm
}

// work is what a network asks.
func (d *demo) work(c *cell) node.Work {
	return node.Work{
		Steps: c.steps, Realm: c.realm, Prefix: "00101", PLMN: [3]byte{0x02, 0xf8, 0x10}, // 208-01
		Password: demoPassword, Rate: c.share * d.flags.rate, Duration: d.flags.duration, Total: d.flags.devices,
		First: firstIMSI, Devices: d.flags.devices,
	}
}

// stolenSIMs gives every 13th subscriber of the mobile network the profile.
func (d *demo) stolenSIMs() {
	for i := uint64(2); i < d.flags.devices; i += 13 {
		d.files.Devices = append(d.files.Devices, play.HubDevice{
			Identity: fmt.Sprintf(`imsi: "00101%010d"`, uint64(firstIMSI)+i), Profile: "stolen",
		})
	}
}

// diameterMain is the part of the main file that switches Diameter on.
func (d *demo) diameterMain() string {
	return fmt.Sprintf("diameter:\n  identity: %s\n  listen: [%q]\n", hubIdentity, d.diameter)
}

// diameterRoutes is the routing file of everything that has to do with Diameter.
func (d *demo) diameterRoutes() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Diameter networks and homes, and what is translated.\npeers:")
	for _, c := range cells {
		line("  - {name: %s, identity: %s, from: 127.0.0.1, applications: [%s], country: %s}",
			c.name, c.identity, strings.Join(words(c.steps), ", "), c.country)
	}
	line("  - {name: guest-peer, identity: %s, from: 127.0.0.1, applications: [s6a, nasreq, accounting]}", guestIdentity)
	for i, c := range cores {
		at := d.cores[i].Addr()
		line("  - {name: %s, identity: %s, address: %s, port: %d, protected: true, applications: [%s]}",
			c.name, c.identity, at.Addr(), at.Port(), c.words)
	}
	line("homes:\n  - {name: to-diameter, transport: diameter}\npools:\n  - {name: to-diameter, homes: to-diameter}")
	for _, c := range cores {
		line("  - {name: %s, peers: %s}", c.name, c.name)
	}
	line("realms:\n  - realm: %s\n    diameter: hss\n    policy: {enabled: true, unknown_device: allow}", realmMobile)
	line("  - realm: %s               # RADIUS networks reach a Diameter home\n    auth: to-diameter\n    accounting: to-diameter\n    diameter: fleet-aaa", realmFleet)
	line("  - realm: %s         # Diameter networks reach RADIUS homes\n    auth: alpha\n    accounting: alpha\n    diameter: {action: radius}", realmStaff)
	return b.String()
}

// words are the applications of steps as the routing files name them.
func words(steps []node.Step) (all []string) {
	for _, app := range node.Applications(steps) {
		all = append(all, map[uint32]string{dia.AppS6a: "s6a", dia.AppNASREQ: "nasreq", dia.AppAccounting: "accounting"}[app])
	}
	return all
}

// records are the sent and the acknowledged records of accounting.
func records(c *node.Counts) (sent, taken uint64) {
	for _, s := range []node.Step{node.RecordStart, node.RecordInterim, node.RecordStop} {
		sent, taken = sent+c.Asked[s], taken+c.Succeeded[s]
	}
	return sent, taken
}

// diameter holds what the Diameter networks sent against what became of it.
func (b *balance) diameter(p *picture) {
	var denied uint64
	for i := range p.cells {
		c := &p.cells[i]
		b.sum(cells[i].name+" Diameter", count{"sent", c.Sent}, count{"success", c.Success}, count{"refused", c.Failed}, count{"lost", c.Lost})
		if sent, taken := records(c); sent > 0 {
			b.once(p, cells[i].name, sent, taken)
		}
		denied += c.Results[unknownToEPS]
	}
	last := &p.nets[len(p.nets)-1]
	b.once(p, hotel, last.Sent.Accounting(), last.Answered.Accounting())
	b.sum("S6a", count{"sent", p.cells[0].Sent}, count{"at the hss", p.cores[0].Unique}, count{"hub: denied", denied})
}

// once is the way of a network's records, each of which counts once.
func (b *balance) once(p *picture, network string, sent, taken uint64) {
	b.equal(network+" records", count{"sent", sent}, count{"acknowledged", taken},
		count{"durable", p.durable.of(network, "")}, count{"cleared once", p.cleared[network]})
}

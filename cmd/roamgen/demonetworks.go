package main

import (
	"net/netip"
	"strings"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

const (
	demoPassword = "correct-horse-1"
	guestSecret  = "demo-guest-secret-1"
	hubPoll      = 200 * time.Millisecond

	realmSIM     = "wlan.mnc001.mcc001.3gppnetwork.org"
	realmAlpha   = "alpha.example"
	realmIoT     = "fleet.iot.example"
	realmUnknown = "no-agreement.example"
)

// playHomes starts alpha-1 and alpha-2, which share the realms of operator
// alpha, and iot-1, the home of a maker of devices.
func (d *demo) playHomes() error {
	any := netip.MustParseAddrPort("127.0.0.1:0")
	for i, name := range []string{"alpha-1", "alpha-2", "iot-1"} {
		s := play.Script{
			Delay:          play.Delay{Min: 2 * time.Millisecond, Mean: 6 * time.Millisecond, Max: 80 * time.Millisecond},
			Rounds:         2,
			Keys:           true,
			SessionTimeout: 3600,
			Rejects:        []play.Rejection{{Share: 0.03, Message: "subscription has ended"}},
		}
		h, err := play.StartHome(play.HomeConfig{
			// One name for the pool: its servers know each other's State.
			Name: strings.TrimRight(name, "-12"), Auth: any, Acct: any, Secret: []byte(homeSecret(name)),
			Password: demoPassword, Track: true, Seed: uint64(i), Script: s,
		})
		if err != nil {
			return err
		}
		d.homes = append(d.homes, h)
		d.files.Homes = append(d.files.Homes, play.HubHome{
			Name: name, Auth: h.Auth(), Acct: h.Acct(), Secret: homeSecret(name), StatusServer: true,
		})
	}
	return nil
}

func homeSecret(name string) string { return "demo-" + name + "-secret-1" }

// hotel is the RADIUS network whose home speaks Diameter.
const hotel = "hotel-wifi"

var manyHomes = []play.Realm{
	{Name: realmSIM, Weight: 8, Identity: play.IdentityIMSI},
	{Name: realmAlpha, Weight: 5},
	{Name: realmIoT, Weight: 6, Identity: play.IdentityMAC},
	{Name: realmUnknown, Weight: 1},
}

// visited are the RADIUS networks; the hub tells them apart by their addresses.
var visited = []struct {
	name, address, operator, country, secret string
	share                                    float64 // of the rate
	realms                                   []play.Realm
	mix                                      play.Mix
}{
	{"airport-wifi", "127.0.0.2", "1airport-wifi.example", "DE", "demo-airport-secret-1", 1, manyHomes, play.Mix{PAP: 3, CHAP: 1, EAP: 4}},
	{"cellular-x", "127.0.0.3", "1cellular-x.example", "FR", "demo-cellular-secret-1", 1, manyHomes, play.Mix{PAP: 3, CHAP: 1, EAP: 4}},
	{hotel, "127.0.0.4", "1hotel-wifi.example", "DE", "demo-hotel-secret-1", 0.15, []play.Realm{{Name: realmFleet}}, play.Mix{PAP: 3, CHAP: 1}},
}

func (d *demo) playVisited() error {
	f := &d.files
	for _, at := range []*netip.AddrPort{&f.Auth, &f.Acct, &f.Admin, &d.diameter} {
		var err error
		if *at, err = play.FreePort(); err != nil {
			return err
		}
	}
	for i, v := range visited {
		n, err := play.NewNAS(play.NASConfig{
			Name: v.name + "-ap", Auth: f.Auth, Acct: f.Acct, Bind: netip.MustParseAddr(v.address),
			Secret: []byte(v.secret), Password: demoPassword,
			Rate: v.share * d.flags.rate, Duration: d.flags.duration, Devices: d.flags.devices, First: uint64(i+1) * 1e6,
			Realms: v.realms, Mix: v.mix, WantKeys: true,
			Accounting: play.AccountingAfter, Interims: 1, Dwell: 150 * time.Millisecond,
			Timeout: 3 * time.Second, Retries: 4, Operator: v.operator, ProxyState: i == 1,
		})
		if err != nil {
			return err
		}
		d.nets = append(d.nets, n)
		f.Clients = append(f.Clients, play.HubClient{
			Name: v.name, Address: v.address, Secret: v.secret, Operator: v.operator, Country: v.country,
		})
	}
	return nil
}

// writeFiles completes the hub's configuration: pools, realms and a policy
// that refuses stolen devices and keeps some at home.
func (d *demo) writeFiles() (string, error) {
	f := &d.files
	f.Poll = hubPoll
	f.More = "reject_delay: 0s\n" + d.diameterMain() // the latency shown is the hub's, not that of rejects it holds back
	f.Routes = d.diameterRoutes()
	f.Clients = append(f.Clients, play.HubClient{Name: "guest", Address: "127.0.0.1", Secret: guestSecret})
	f.Pools = []play.HubPool{
		{Name: "alpha", Homes: []string{"alpha-1", "alpha-2"}},
		{Name: "iot", Homes: []string{"iot-1"}},
	}
	f.Realms = []play.HubRealm{
		{Realm: []string{realmSIM, realmAlpha}, Auth: "alpha", Accounting: "alpha", Acknowledge: "home"},
		{Realm: []string{"*.iot.example"}, Auth: "iot", Accounting: "iot", Acknowledge: "durable", Policy: true, UnknownDevice: "allow"},
	}
	f.Profiles = []play.HubProfile{
		{Name: "stolen", Lines: []string{"deny: true", "deny_reason: reported stolen"}},
		{Name: "germany-only", Lines: []string{"countries: [DE]", "session_timeout: 1h"}},
		{Name: "meter", Lines: []string{"countries: [DE, FR]", "session_timeout: 24h", "interim_interval: 10m", "class: meter"}},
	}
	for _, n := range d.nets {
		for i := range n.Devices() {
			dev := n.Device(i)
			if dev.Realm != realmIoT {
				continue
			}
			profile := "meter"
			switch i % 13 {
			case 2:
				profile = "stolen"
			case 5:
				profile = "germany-only"
			}
			mac := strings.ToLower(strings.ReplaceAll(dev.MAC, "-", ""))
			f.Devices = append(f.Devices, play.HubDevice{Identity: `mac: "` + mac + `"`, Profile: profile})
		}
	}
	d.stolenSIMs()
	return f.Write(d.dir)
}

package file

import (
	"cmp"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// diameterFile uses every key of Diameter.
const diameterFile = `tls:
  - {name: fed, certificate: hub.pem, key: hub.key, authorities: ca.pem}
groups:
  - {name: cores, kind: own, realms: "*.epc.example"}
  - {name: visited, realms: "*.example"}
clients:
  - {name: nas, address: 192.0.2.1, secret_file: s}
homes:
  - {name: gate, transport: diameter, application: swm, dynauth: connection, group: cores}
  - {name: h, address: 192.0.2.2, secret_file: s2}
peers:
  - name: dra
    identity: DRA.Visited.example
    realm: Visited.example
    origins: ["*.3gppnetwork.org"]
    host: Dra.visited.example
    port: 5869
    transport: tls
    tls: fed
    certificate: {realms: visited.example}
    from: [192.0.2.0/24]
    connections: 3
    watchdog: 6s
    retry: 2s
    rate: 100
    burst: 200
    queue: 128KiB
    in_flight: 50
    hide_topology: true
    group: visited
    operator: 1visited.example
    operators: ["1*.visited.example"]
    country: de
    realms: [a.example]
    takes: [visited.example]
  - {name: hss, identity: hss.epc.example, address: [192.0.2.9, "::ffff:192.0.2.10"], applications: [S6a, "16777252", 4], group: cores, protected: true}
  - {name: nas-d, identity: nas.epc.example, origins: any, tls: fed, group: cores, applications: relay, drain: true}
  - {name: old, identity: old.epc.example, transport: sctp, address: 192.0.2.11, disabled: true, group: cores, origins: [old.example, epc.example]}
pools:
  - {name: hss, peers: [old, {peer: hss, priority: 2, weight: 3}], balance: round_robin}
  - {name: gate, homes: gate}
  - {name: h, homes: h}
realms:
  - {imsi: 26201, diameter: hss, policy: {enabled: true}}
  - {imsi: 26201, rank: 1, diameter: {action: reject}, when: {application: [s6a, 1], command: [clr, 319], client: dra}}
  - {realm: a.example, auth: gate, diameter: {action: relay, pool: hss, deadline: 7s}}
  - {realm: b.example, auth: h, accounting: h, diameter: {action: radius, deadline: 9s}}
  - {realm: c.example, diameter: {action: redirect, hosts: ["aaa://a.example", "aaas://b.example:1;transport=sctp;protocol=diameter"], usage: user, max_cache: 90s}}
  - {realm: default, auth: h, diameter: {action: reject, result: 5012}}
`

func diameterFiles(t testing.TB) map[string]string {
	files := problemFiles(t)
	files["a.yaml"] = diameterFile
	for _, s := range []string{"s", "s2"} {
		files[s] = "hunter2-hunter2-hunter2-" + s
	}
	return files
}

func diameterSet(t *testing.T, files map[string]string, edit ...string) *realm.Set {
	t.Helper()
	files, dir := maps.Clone(files), t.TempDir()
	files["a.yaml"] = strings.NewReplacer(edit...).Replace(files["a.yaml"])
	put(t, dir, files)
	set, ps := Load(dir, noEnv)
	require.NoError(t, ps.Err())
	return set
}

func TestLoadDiameter(t *testing.T) {
	set := diameterSet(t, diameterFiles(t))
	require.Len(t, set.Peers, 4)
	dra, hss, nas, old := &set.Peers[0], &set.Peers[1], &set.Peers[2], &set.Peers[3]
	assert.Equal(t, &realm.Peer{
		Name: "dra", Identity: "dra.visited.example", Realm: "visited.example", Origins: dra.Origins, Client: 1, Group: set.Groups[1], Realms: dra.Realms,
		Transport: realm.TLS, Security: set.Securities[0], Holder: dra.Holder, Host: "dra.visited.example", Port: 5869, From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Connections: 3, Watchdog: 6 * time.Second, Retry: 2 * time.Second, Rate: 100, Burst: 200, Queue: 128 << 10, InFlight: 50, HideTopology: true,
		Screening: dra.Screening, Pos: dra.Pos,
	}, dra)
	for origin, allowed := range map[string]bool{"visited.example": true, "epc.mnc001.mcc262.3gppnetwork.org": true, "other.example": false} {
		assert.Equal(t, allowed, dra.Origins.Allow([]byte(origin)), origin)
	}
	assert.Equal(t, []string{"visited.example"}, dra.Realms.List())
	assert.Equal(t, []string{"visited.example"}, dra.Holder.Realms)

	assert.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:3868"), netip.MustParseAddrPort("192.0.2.10:3868")}, hss.Addresses)
	assert.Equal(t, []uint32{diameter.AppS6a, diameter.AppS13, diameter.AppCredit}, hss.Applications)
	assert.Equal(t, "epc.example", hss.Realm, "the identity without its first label")
	assert.Equal(t, []string{"epc.example"}, hss.Origins.List(), "its own alone")
	assert.Equal(t, []string{"*.epc.example"}, hss.Realms.List(), "its group's")
	assert.Nil(t, nas.Origins)
	assert.Nil(t, nas.Applications)
	assert.True(t, nas.Drain)
	assert.Equal(t, []string{"nas.epc.example"}, nas.Holder.Hosts, "its identity")
	assert.Equal(t, realm.SCTP, old.Transport)
	assert.True(t, old.Disabled)
	assert.ElementsMatch(t, []string{"old.example", "epc.example"}, old.Origins.List())

	for i, p := range set.Peers {
		c := &set.Clients[p.Client]
		assert.Equal(t, p.Name, c.Name)
		assert.Equal(t, realm.Diameter, c.Transport)
		assert.Empty(t, c.Secret)
		assert.True(t, c.ReverseCoA)
		assert.EqualValues(t, i+1, p.Client)
	}
	c := &set.Clients[1]
	assert.Equal(t, []any{"1visited.example", []string{"1*.visited.example"}, "DE", set.Groups[1]}, []any{c.Operator, c.Operators, c.Country, c.Group})
	assert.Equal(t, []string{"a.example"}, c.Realms.List())
	assert.True(t, set.Clients[2].Protected)

	gate := &set.Homes[0]
	assert.Equal(t, []any{realm.Diameter, uint32(diameter.AppSWm), realm.Nowhere, realm.Nowhere, true, 0}, []any{gate.Transport, gate.Gateway, gate.Auth, gate.Acct, gate.ReverseCoA, len(gate.Secret)})

	pool := &set.Pools[0]
	assert.True(t, pool.Diameter)
	assert.Same(t, set.Groups[0], pool.Group)
	assert.Equal(t, []realm.Member{{Home: 3, Priority: 1, Weight: 1}, {Home: 1, Priority: 2, Weight: 3}}, pool.Members)
	assert.Equal(t, realm.BalanceRoundRobin, pool.Balance)
	assert.False(t, set.Pools[1].Diameter)

	for label, want := range map[string]realm.DiameterRoute{
		"imsi:26201":   {Pool: 0},
		"imsi:26201/1": {Action: realm.DiameterReject, Pool: -1, Result: diameter.ResultRealmNotServed},
		"a.example":    {Action: realm.DiameterRelay, Pool: 0, Deadline: 7 * time.Second},
		"b.example":    {Action: realm.DiameterRADIUS, Pool: -1, Deadline: 9 * time.Second},
		"c.example":    {Action: realm.DiameterRedirect, Pool: -1, Hosts: []string{"aaa://a.example", "aaas://b.example:1;transport=sctp;protocol=diameter"}, Usage: 6, Cache: 90},
		"default":      {Action: realm.DiameterReject, Pool: -1, Result: diameter.ResultUnableToComply},
	} {
		r := set.Table.Labelled(label)
		require.NotNil(t, r, label)
		assert.Equal(t, &want, r.Diameter, label)
	}
	assert.Equal(t, &realm.Condition{Clients: []string{"dra"}, Applications: []uint32{diameter.AppS6a, 1}, Commands: []uint32{diameter.CancelLocation, diameter.InsertSubscriberData}}, set.Table.Labelled("imsi:26201/1").When)
	assert.Equal(t, realm.AcknowledgeHome, set.Table.Labelled("imsi:26201").Acknowledge, "a peer has to answer too")
	assert.False(t, set.Table.Labelled("imsi:26201").RADIUS())
	assert.True(t, set.Table.Labelled("default").RADIUS())
}

// TestDetailsOfDiameter: what changes is told in the words of the files.
func TestDetailsOfDiameter(t *testing.T) {
	files := diameterFiles(t)
	old := diameterSet(t, files)
	set := diameterSet(t, files, "watchdog: 6s", "watchdog: 9s", "country: de", "country: FR", "applications: [S6a, \"16777252\", 4]", "applications: [s6a]",
		"weight: 3", "weight: 4", "deadline: 7s", "deadline: 8s", "command: [clr, 319]", "command: [clr]", "application: swm", "application: sta", "name: nas-d", "name: nas-e")
	var lines []string
	for _, d := range Details(old, set, 100) {
		lines = append(lines, d.String())
	}
	assert.Equal(t, []string{
		"home gate: application: swm -> sta",
		"peer dra: watchdog: 6s -> 9s",
		"peer dra: country: DE -> FR",
		"peer hss: applications: s6a, s13, credit -> s6a",
		"pool hss: peers: old (priority 1, weight 1), hss (priority 2, weight 3) -> old (priority 1, weight 1), hss (priority 2, weight 4)",
		"realm imsi:26201/1: when: client dra; application s6a, nasreq; command CLR, IDR -> client dra; application s6a, nasreq; command CLR",
		"realm a.example: diameter: relay, pool hss, deadline 7s -> relay, pool hss, deadline 8s",
	}, lines)
	change := Diff(old, set)
	assert.Equal(t, Delta{Added: []string{"nas-e"}, Removed: []string{"nas-d"}, Changed: []string{"dra", "hss"}}, change.Peers)
	assert.Empty(t, change.Clients.Added, "a peer is told as a peer")
	assert.Contains(t, change.String(), "peers +1 -1 ~2")
	assert.True(t, Diff(old, diameterSet(t, files)).Empty())
}

// TestFormatDiameter: the canonical form says the same.
func TestFormatDiameter(t *testing.T) {
	out, ps := Format("a.yaml", []byte(diameterFile))
	require.Empty(t, ps)
	files := diameterFiles(t)
	before := diameterSet(t, files)
	files["a.yaml"] = string(out)
	assert.True(t, Diff(before, diameterSet(t, files)).Empty())
}

func TestApplicationWords(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want uint32
		ok   bool
		out  string
	}{
		{"s6a", diameter.AppS6a, true, "s6a"}, {"S6A", diameter.AppS6a, true, "s6a"}, {"16777251", diameter.AppS6a, true, "s6a"},
		{"relay", diameter.AppRelay, true, "relay"}, {"Relay", diameter.AppRelay, true, "relay"}, {"4294967295", diameter.AppRelay, true, "relay"},
		{"99", 99, true, "99"}, {"base", 0, false, ""}, {"0", 0, false, ""}, {"-1", 0, false, ""}, {"", 0, false, ""},
	} {
		n, ok := Application(tc.in)
		assert.Equal(t, tc.ok, ok, tc.in)
		if ok {
			assert.Equal(t, []any{tc.want, tc.out}, []any{n, ApplicationName(n)}, tc.in)
		}
	}
	for in, want := range map[string]uint32{"ULR": 316, "ulr": 316, "316": 316, "ULA": 0, "0": 0, "16777216": 0, "x": 0, "": 0} {
		n, ok := Command(in)
		assert.Equal(t, want != 0, ok, in)
		if ok {
			assert.Equal(t, want, n, in)
		}
	}
	assert.Equal(t, "ULR", CommandName(316))
	assert.Equal(t, "99999", CommandName(99999))
}

// A peer has the screening that it names, else its group's, else none of its own.
func TestScreeningOfGroups(t *testing.T) {
	set := diameterSet(t, diameterFiles(t),
		`kind: own, realms`, `kind: own, screening: inner, realms`,
		"origins: any,", "origins: any, screening: default,",
		"pools:\n", "screenings:\n  - {name: default}\n  - {name: inner}\npools:\n")
	for name, want := range map[string]string{"dra": "", "hss": "inner", "nas-d": "default", "old": "inner"} {
		for i := range set.Peers {
			p := &set.Peers[i]
			if p.Name != name {
				continue
			}
			got := ""
			if p.Screening != nil {
				got = p.Screening.Name
			}
			assert.Equal(t, want, got, name)
			assert.Equal(t, cmp.Or(want, "default"), set.Screened(p, nil).Name, name)
		}
	}
}

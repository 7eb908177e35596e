package file

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

// fullFile uses every key that wholeFile does not.
const fullFile = `identity: {allow: [several_at, backslash], own: [hub.example, "*.hub.example"]}
loops: {proxy_states: 20, hop_attribute: 27262:1, hops: 10}
filters:
  - {name: clean}
  - {name: cleaner}
groups:
  - {name: edu, kind: federation, realms: ["*.edu.example", shared.example], in: clean}
  - {name: open, kind: federation, out: clean}
  - {name: mine, kind: own, operator_name: stamp}
contracts:
  - {from: edu, to: open, realms: shared.example}
clients:
  - {name: edu-1, address: 192.0.2.1, secret_file: secrets/one, group: edu, operators: ["1*.edu.example"], dynauth: 3799, institution: edu.example}
  - {name: nas, address: 192.0.2.2, secret_file: secrets/one, group: mine, operator: 1air.example, hide_nas: true, out: cleaner, realms: [a.example, none]}
homes:
  - {name: h, address: [198.51.100.1, "2001:db8::1"], secret_file: secrets/two, group: open, dynauth: self, in: clean}
  - {name: i, host: radius.i.example, auth_port: 1645, secret_file: secrets/two, group: open, drain: true}
  - name: own
    address: 198.51.100.2
    secret_file: secrets/two
    realms: [a.example, "*.b.example"]
    maintenance: [{days: [sat, sun], from: "22:00", to: "04:00", zone: Europe/Berlin}, {begin: 2035-12-01, end: 2035-12-02T03:00:00Z}]
pools:
  - {name: open, homes: [h, {home: i, priority: 2}], balance: least_outstanding, panic: 40}
  - {name: own, homes: own, balance: first, breaker: false}
realms:
  - {realm: shared.example, auth: open}
  - {realm: a.example, auth: own}
  - {realm: a.example, auth: open, rank: 1, name: canary, when: {percent: 2.5%, nas_port_type: Wireless-802.11, ssid: corp}}
  - {realm: a.example, auth: open, rank: 2, groups: [mine, edu]}
  - {imsi: 262011230000000-262011239999999, auth: own, cui: issue}
  - {imsi: [26202, 262031234567890], auth: own}
  - {plmn: [262-01, 26202, 310260, 262], auth: open}
  - {realm_regexp: '^x[0-9]+\.b\.example$', auth: own, rank: 1, rewrite: {realm: b.example}}
  - {name_regexp: "^test", reject: "no tests", rank: 2}
  - realm: b.example
    auth: own
    when:
      client: nas
      operator: ["1*.air.example", 1air.example]
      rcoi: [5A-03-BA-00-00, 004096]
      user: [meter-0001..meter-0999, bob, "test-*"]
      during: [{days: mon-fri, from: "08:00", to: "18:00"}]
  - {realm: default, auth: own, rewrite: {strip: true}}
`

func TestLoadFull(t *testing.T) {
	set, _ := loadWhole(t, fullFile)
	assert.Equal(t, realm.Identity{ManyAt: true, Backslash: true, Own: realm.NewNames([]string{"hub.example", "*.hub.example"})}.Own.List(), set.Identity.Own.List())
	assert.True(t, set.Identity.ManyAt && set.Identity.Backslash && !set.Identity.OneLabel)
	assert.Equal(t, realm.Loops{MaxProxyStates: 20, Hops: 10, Hop: realm.HopAttribute{Type: 26, Vendor: 27262, Sub: 1}}, set.Loops)

	edu, open, mine := set.Groups[0], set.Groups[1], set.Groups[2]
	assert.Equal(t, realm.Federation, edu.Kind)
	assert.Equal(t, realm.Own, mine.Kind)
	c, needed := set.Transit(edu, open, []byte("shared.example"))
	assert.True(t, needed)
	assert.NotNil(t, c)
	c, needed = set.Transit(edu, open, []byte("a.example"))
	assert.True(t, needed && c == nil)
	c, needed = set.Transit(open, edu, []byte("shared.example"))
	assert.True(t, needed && c == nil)

	a, b := set.Clients[0], set.Clients[1]
	assert.Same(t, edu, a.Group)
	assert.True(t, a.Realms.Allow([]byte("x.edu.example")) && !a.Realms.Allow([]byte("a.example")))
	assert.Equal(t, "clean", a.In.Name)
	assert.Equal(t, "192.0.2.1:3799", a.DynAuth.String())
	assert.Equal(t, realm.OperatorStamp, b.OperatorName)
	assert.True(t, b.HideNAS && b.Realms.Allow(nil))
	assert.Equal(t, "cleaner", b.Out.Name)

	h, i, own := set.Homes[0], set.Homes[1], set.Homes[2]
	assert.Equal(t, "198.51.100.1:1812", h.Auth.String())
	assert.Len(t, h.Found, 2)
	assert.EqualValues(t, 1813, h.AcctPort)
	assert.Len(t, h.DynAuth, 2)
	assert.True(t, !i.Auth.IsValid() && i.Auth.Port() == 1645 && i.Drain)
	assert.Equal(t, "radius.i.example", i.Host)
	assert.Len(t, own.Maintenance, 2)
	assert.Same(t, open, set.Pools[0].Group)
	assert.True(t, set.Pools[0].Breaker && !set.Pools[1].Breaker)

	var labels []string
	for i := range set.Routes {
		labels = append(labels, set.Routes[i].Label())
		assert.Same(t, &set.Routes[i], set.Table.Labelled(set.Routes[i].Label()))
	}
	assert.Equal(t, []string{
		"shared.example", "a.example", "canary", "a.example/2", "imsi:26201123", "imsi:26202", "imsi:262031234567890",
		"plmn:262-01", "plmn:262-02", "plmn:310-260", "plmn:262", `realm~^x[0-9]+\.b\.example$`, "name~^test", "b.example", "default",
	}, labels)
	assert.Equal(t, len(labels), set.Table.Len())
	w := set.Table.Labelled("b.example").When
	assert.Equal(t, []string{"\x5a\x03\xba\x00\x00", "\x00\x40\x96"}, w.RCOIs)
	assert.Equal(t, []realm.UserRange{{First: "meter-0001", Last: "meter-0999"}, {First: "bob", Last: "bob"}, {First: "test-", Prefix: true}}, w.Users)
	assert.EqualValues(t, 250, set.Table.Labelled("canary").When.Percent)
}

func TestDetails(t *testing.T) {
	for _, tc := range []struct{ name, from, to, want string }{
		{"identity", "several_at, ", "one_label, ", "identity: allow: several_at, backslash -> backslash, one_label"},
		{"own realms", `hub.example, "*.`, `hubs.example, "*.`, "identity: own: hub.example, *.hub.example -> hubs.example, *.hub.example"},
		{"loops", "hop_attribute: 27262:1, hops: 10", "hop_attribute: 225", "loops: hop_attribute: 27262:1 -> 225\nloops: hops: 10 -> none"},
		{"kind", "mine, kind: own", "mine, kind: visited", "group mine: kind: own -> visited"},
		{"contract", "to: open, realms: shared.example", "to: open", "contract edu to open: realms: shared.example -> none"},
		{"group's filter", `shared.example], in: clean}`, `shared.example], in: cleaner}`, "client edu-1: in: clean -> cleaner"},
		{"group's realms", `realms: ["*.edu.example", shared.example]`, `realms: "*.edu.example"`, "client edu-1: realms: *.edu.example, shared.example -> *.edu.example"},
		{"group", "group: mine", "group: open, operator_name: stamp", "client nas: group: mine -> open"},
		{"operator name", "operator_name: stamp", "operator_name: check", "client nas: operator_name: stamp -> check"},
		{"operators", `["1*.edu.example"]`, `[1edu.example]`, "client edu-1: operators: 1*.edu.example -> 1edu.example"},
		{"reverse path", "dynauth: 3799", "dynauth: 1700", "client edu-1: dynauth: 192.0.2.1:3799 -> 192.0.2.1:1700"},
		{"institution", "institution: edu.example", "institution: x", "client edu-1: institution: edu.example -> x"},
		{"hidden NAS", "hide_nas: true", "hide_nas: false", "client nas: hide_nas: true -> false"},
		{"secret", "secret_file: secrets/one, group: mine", "secret_file: secrets/two, group: mine", "client nas: secret: one -> another"},
		{"second address", `, "2001:db8::1"]`, "]", "home h: address: 198.51.100.1, 2001:db8::1 -> none\nhome h: dynauth: 198.51.100.1/32, 2001:db8::1/128 -> 198.51.100.1/32"},
		{"host", "host: radius.i.example", "host: radius.j.example", "home i: host: radius.i.example -> radius.j.example"},
		{"port of a host", "auth_port: 1645", "auth_port: none", ""},
		{"drain", "drain: true", "drain: false", "home i: drain: true -> false"},
		{"maintenance", "days: [sat, sun]", "days: sat", "home own: maintenance: sun sat 22:00-04:00 Europe/Berlin, from 2035-12-01T00:00:00Z until 2035-12-02T03:00:00Z -> sat 22:00-04:00 Europe/Berlin, from 2035-12-01T00:00:00Z until 2035-12-02T03:00:00Z"},
		{"home's realms", `realms: [a.example, "*.b.example"]`, "realms: a.example", "home own: realms: a.example, *.b.example -> a.example"},
		{"balance", "balance: first", "balance: round_robin", "pool own: balance: first -> round_robin"},
		{"panic", "panic: 40", "panic: 0", "pool open: panic: 40 -> 0"},
		{"breaker", "breaker: false", "breaker: true", "pool own: breaker: false -> true"},
		{"priority", "priority: 2", "priority: 3", "pool open: homes: h (priority 1, weight 1), i (priority 2, weight 1) -> h (priority 1, weight 1), i (priority 3, weight 1)"},
		{"share", "percent: 2.5%", "percent: 50", "realm canary: when: nas_port_type Wireless-802.11; ssid corp; percent 2.5 -> nas_port_type Wireless-802.11; ssid corp; percent 50"},
		{"rank", "rank: 1, name: canary", "rank: 3, name: canary", "realm canary: rank: 1 -> 3"},
		{"groups", "groups: [mine, edu]", "groups: mine", "realm a.example/2: groups: edu, mine -> mine"},
		{"order of groups", "groups: [mine, edu]", "groups: [edu, mine]", ""},
		{"rewrite", "rewrite: {realm: b.example}", "rewrite: {strip: true}", `realm realm~^x[0-9]+\.b\.example$: rewrite: realm b.example -> strip`},
		{"cui", "cui: issue", "cui: pass", "realm imsi:26201123: cui: issue -> pass"},
		{"rcoi", "004096", "004097", "realm b.example: when: client nas; operator 1*.air.example, 1air.example; rcoi 5A03BA0000, 004096; user meter-0001..meter-0999, bob, test-*; during mon tue wed thu fri 08:00-18:00 -> client nas; operator 1*.air.example, 1air.example; rcoi 5A03BA0000, 004097; user meter-0001..meter-0999, bob, test-*; during mon tue wed thu fri 08:00-18:00"},
		{"reject", "no tests", "not here", "realm name~^test: reject: no tests -> not here"},
		{"an equal subject", "imsi: 262011230000000-262011239999999", "imsi: 26201123", ""},
		{"nothing", "name: canary", "name: canary # x", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Contains(t, fullFile, tc.from)
			text := strings.Replace(fullFile, tc.from, tc.to, 1)
			if tc.name == "nothing" {
				text = fullFile + "# x\n"
			}
			if tc.name == "port of a host" {
				tc.want = "home i: auth: 1645 -> 1812"
				text = strings.Replace(fullFile, tc.from, "auth_port: 1812", 1)
			}
			old, _ := loadWhole(t, fullFile)
			set, _ := loadWhole(t, text)
			var lines []string
			for _, d := range Details(old, set, 100) {
				lines = append(lines, d.String())
				assert.True(t, d.Pos.Line > 0 || d.Name == "", "%+v stands somewhere", d)
			}
			got := strings.Join(lines, "\n")
			assert.True(t, strings.HasPrefix(got, tc.want) && (got == "") == (tc.want == ""), "got %s", got)
			assert.Equal(t, got == "", Diff(old, set).Empty())
			assert.NotContains(t, got, "hunter2")
		})
	}
	old, _ := loadWhole(t, fullFile)
	set, _ := loadWhole(t, strings.Replace(fullFile, "hop_attribute: 27262:1, hops: 10", "hop_attribute: 225", 1))
	assert.Len(t, Details(old, set, 1), 1)
	assert.Empty(t, Details(nil, set, 3))
	assert.Equal(t, "groups +3 -0 ~0, contracts +1 -0 ~0, filters +2 -0 ~0, clients +2 -0 ~0, homes +3 -0 ~0, pools +2 -0 ~0, realms +15 -0 ~0",
		strings.TrimPrefix(Diff(nil, old).String(), "settings +0 -0 ~2, "))
}

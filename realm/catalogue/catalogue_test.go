package catalogue_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/catalogue"
	"github.com/roamgate/roamgate/realm/file"
)

const peers = `
groups:
  - {name: airports, kind: visited}
  - {name: ours, kind: own}
  - {name: students, kind: federation}
  - {name: open, kind: federation, consortium: openroaming}
  - {name: paid, kind: federation, consortium: openroaming, settlement: settled}
contracts:
  - {from: students, to: open, realms: [contract.example]}
identity: {own: [hub.example, "*.hub.example"]}
clients:
  - {name: airport, address: 192.0.2.1, secret_file: s, group: airports, operator: 1Airport.example}
  - {name: lounge, address: 192.0.2.2, secret_file: s, group: airports, realms: [acme.example, "*.3gppnetwork.org"]}
  - {name: shop, address: 192.0.2.3, secret_file: s, group: ours}
  - {name: campus, address: 192.0.2.4, secret_file: s, group: students}
homes:
  - {name: acme, address: 198.51.100.1, secret_file: s}
  - {name: acct-only, address: 198.51.100.2, secret_file: s, auth_port: none}
  - {name: gone, address: 198.51.100.3, secret_file: s, disabled: true}
  - {name: picky, address: 198.51.100.4, secret_file: s, realms: [picky.example]}
  - {name: open, address: 198.51.100.5, secret_file: s, group: open}
  - {name: paid, address: 198.51.100.6, secret_file: s, group: paid}
peers:
  - {name: aaa, identity: aaa.acme.example, address: 198.51.100.7}
pools:
  - {name: aaa, peers: aaa}
  - {name: acme, homes: acme}
  - {name: acct-only, homes: acct-only}
  - {name: gone, homes: gone}
  - {name: picky, homes: picky}
  - {name: open, homes: open}
  - {name: paid, homes: paid}
realms:
`

func load(t testing.TB, routes string) *realm.Set {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "s"), []byte("0123456789abcdef0123456789abcdef"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(peers+routes), 0o600))
	set, ps := file.Load(dir, nil)
	require.NotNil(t, set, ps.Error())
	return set
}

func clientsOf(set *realm.Set, names ...string) (cs []*realm.Client) {
	for i := range set.Clients {
		for _, name := range names {
			if set.Clients[i].Name == name {
				cs = append(cs, &set.Clients[i])
			}
		}
	}
	return cs
}

// said is an offer in one line.
func said(c *catalogue.Catalogue) string {
	var words []string
	for _, r := range c.Realms {
		var eap []string
		for _, m := range r.EAP {
			eap = append(eap, m.Name)
		}
		words = append(words, r.Realm+"("+strings.Join(eap, "+")+")")
	}
	for _, oi := range c.Consortia {
		words = append(words, "oi:"+oi)
	}
	for _, n := range c.Networks {
		words = append(words, n.MCC+"/"+n.MNC)
	}
	for _, l := range c.LeftOut {
		words = append(words, "-"+l.Route)
	}
	return strings.Join(words, " ")
}

func TestOf(t *testing.T) {
	const wlan = "wlan.mnc001.mcc262.3gppnetwork.org"
	for _, tt := range []struct {
		name, routes, client, want string
	}{
		{"a realm", "- {realm: acme.example, auth: acme}", "airport", "acme.example(tls+ttls)"},
		{"in order", "- {realm: [b.example, a.example], auth: acme}", "airport", "a.example(tls+ttls) b.example(tls+ttls)"},
		{"for Diameter alone", "- {realm: acme.example, diameter: aaa}", "airport", ""},
		{"for both", "- {realm: acme.example, auth: acme, diameter: aaa}", "airport", "acme.example(tls+ttls)"},
		{"for Diameter in front of RADIUS", "- {realm: " + wlan + ", diameter: aaa}\n- {plmn: 262-01, auth: acme}", "airport", wlan + "(sim+aka+aka-prime) 262/01"},
		{"rejected", "- {realm: acme.example, reject: no}", "airport", ""},
		{"another group's", "- {realm: acme.example, auth: acme, groups: [ours]}", "airport", ""},
		{"closed to the group, so the wider route is too", "- {realm: a.acme.example, auth: acme, groups: [ours]}\n- {realm: \"*.acme.example\", auth: acme}", "airport", "-*.acme.example"},
		{"for the group", "- {realm: acme.example, auth: acme, groups: [airports]}", "airport", "acme.example(tls+ttls)"},
		{"not on the client's list", "- {realm: [acme.example, b.example], auth: acme}", "lounge", "acme.example(tls+ttls)"},
		{"no home authenticates", "- {realm: acme.example, auth: gone}", "airport", ""},
		{"no home takes the realm", "- {realm: [acme.example, picky.example], auth: picky}", "airport", "picky.example(tls+ttls)"},
		{"accounting alone", "- {realm: acme.example, accounting: acct-only, reject: no}", "airport", ""},
		{"another client's", "- {realm: acme.example, auth: acme, when: {client: [shop]}}", "airport", ""},
		{"the client's", "- {realm: acme.example, auth: acme, when: {client: [airport]}}", "airport", "acme.example(tls+ttls)"},
		{"another access", "- {realm: acme.example, auth: acme, when: {nas_port_type: [Ethernet]}}", "airport", ""},
		{"Wi-Fi", "- {realm: acme.example, auth: acme, when: {nas_port_type: [\"19\"]}}", "airport", "acme.example(tls+ttls)"},
		{"an SSID is possible", "- {realm: acme.example, auth: acme, when: {ssid: [x]}}", "airport", "acme.example(tls+ttls)"},
		{"some are rejected", "- {realm: acme.example, reject: no, name: no, rank: 1, when: {percent: 10}}\n- {realm: acme.example, auth: acme, rank: 2}", "airport", "acme.example(tls+ttls)"},
		{"the client is rejected", "- {realm: acme.example, reject: no, name: no, rank: 1, when: {client: [airport]}}\n- {realm: acme.example, auth: acme, rank: 2}", "airport", ""},
		{"no contract", "- {realm: [acme.example, contract.example], auth: open}", "campus", "contract.example(tls+ttls) oi:5a03ba0000"},
		{"wildcards", "- {realm: [\"*.acme.example\", acme.example], auth: acme}", "airport", "acme.example(tls+ttls) -*.acme.example"},
		{"expressions", "- {realm_regexp: \"x.*\", rank: 1, auth: acme}", "airport", "-realm~x.*"},
		{"nothing to say of the rest", "- {realm: [none, default], auth: acme}", "airport", ""},
		{"a 3GPP realm", "- {realm: " + wlan + ", auth: acme}", "airport", wlan + "(sim+aka+aka-prime) 262/01"},
		{"a 3GPP realm of three digits", "- {realm: wlan.mnc026.mcc310.3gppnetwork.org, auth: acme}", "airport", "wlan.mnc026.mcc310.3gppnetwork.org(sim+aka+aka-prime) 310/026"},
		{"a mobile network", "- {plmn: 262-01, auth: acme}", "airport", "262/01"},
		{"a mobile network of three digits", "- {plmn: 310-026, auth: acme}", "airport", "310/026"},
		{"on the client's list by its realm", "- {plmn: 262-01, auth: acme}", "lounge", "262/01"},
		{"all of a country", "- {plmn: \"262\", auth: acme}", "airport", "-plmn:262"},
		{"subscribers", "- {imsi: \"26201\", auth: acme}", "airport", "262/01"},
		{"a range of subscribers", "- {imsi: 262011230000000-262011239999999, auth: acme}", "airport", "262/01"},
		{"three digits", "- {imsi: \"310026\", auth: acme}", "airport", "310/026"},
		{"three digits, of which two are said", "- {imsi: \"31002\", auth: acme}", "airport", "-imsi:31002"},
		{"either number of digits", "- {imsi: \"405012\", auth: acme}", "airport", "-imsi:405012"},
		{"either number of digits, and five alone", "- {imsi: \"40501\", auth: acme}", "airport", "405/01"},
		{"two networks", "- {imsi: 262010-262029, auth: acme}", "airport", "-imsi:262010000000000-262029999999999"},
		{"its own consortium", "- {realm: acme.example, auth: acme, when: {rcoi: [00-1B-C5-04-60, 004096]}}", "airport", "acme.example(tls+ttls) oi:001bc50460 oi:004096"},
		{"words", "- {realm: default, auth: acme, when: {rcoi: [free, settled]}}", "airport", "oi:5a03ba0000 oi:baa2d00000"},
		{"four octets", "- {realm: default, auth: acme, when: {rcoi: [00-1B-C5-04]}}", "airport", "-default"},
		{"homes of OpenRoaming", "- {realm: default, auth: open}", "airport", "oi:5a03ba0000"},
		{"homes of OpenRoaming that are paid", "- {realm: default, auth: paid}", "airport", "oi:baa2d00000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := load(t, "  "+strings.ReplaceAll(tt.routes, "\n", "\n  ")+"\n")
			c := catalogue.Of(set, clientsOf(set, tt.client), nil)
			assert.Equal(t, tt.want, said(c))
			assert.NoError(t, c.Limits())
		})
	}
}

// Several clients offer what any of them does, and one domain name is said once.
func TestOfSeveral(t *testing.T) {
	set := load(t, "  - {realm: [acme.example, b.example], auth: acme, groups: [airports]}\n  - {realm: c.example, auth: acme, groups: [ours]}\n")
	c := catalogue.Of(set, clientsOf(set, "lounge", "airport"), []catalogue.Method{catalogue.PEAP})
	assert.Equal(t, "acme.example(peap) b.example(peap)", said(c))
	assert.Equal(t, []string{"airport", "lounge"}, c.Clients)
	assert.Equal(t, []string{"airport.example"}, c.Domains)
	c = catalogue.Of(set, clientsOf(set, "shop"), nil)
	assert.Equal(t, "c.example(tls+ttls)", said(c))
	assert.Equal(t, []string{"hub.example"}, c.Domains)
	assert.Empty(t, said(catalogue.Of(set, nil, nil)))
}

// The text and the hash change with the offer and with nothing else.
func TestHash(t *testing.T) {
	text := func(routes string) string {
		set := load(t, routes)
		var b strings.Builder
		require.NoError(t, catalogue.Of(set, clientsOf(set, "airport"), nil).WriteHostapd(&b))
		return b.String()
	}
	one := text("  - {realm: a.example, auth: acme}\n  - {realm: b.example, auth: acme}\n")
	assert.Equal(t, one, text("  - {realm: b.example, auth: acme}\n  - {realm: a.example, auth: acme, accounting: acme}\n  - {realm: c.example, reject: no}\n"))
	other := text("  - {realm: a.example, auth: acme}\n")
	assert.NotEqual(t, strings.Split(one, "\n")[0], strings.Split(other, "\n")[0], "the first line has the hash")
}

func TestWriteHostapd(t *testing.T) {
	routes := "  - {realm: [ü.example, a.example], auth: acme}\n  - {plmn: [262-01, 310-026], auth: acme}\n  - {realm: default, auth: open}\n"
	for i := range 11 {
		routes += fmt.Sprintf("  - {realm: %c.many.example, auth: acme}\n", 'a'+i)
	}
	routes += "  - {realm: [" + strings.Repeat("l", 60) + "." + strings.Repeat("m", 60) + "." + strings.Repeat("n", 60) + ".example, z.example, " + strings.Repeat("y", 60) + ".example], auth: acme}\n"
	set := load(t, routes)
	var b strings.Builder
	require.NoError(t, catalogue.Of(set, clientsOf(set, "airport"), nil).WriteHostapd(&b))
	_, rest, _ := strings.Cut(b.String(), "\n")
	assert.Equal(t, `interworking=1
domain_name=airport.example
roaming_consortium=5a03ba0000
nai_realm=0,a.example;a.many.example;b.many.example;c.many.example;d.many.example;e.many.example;f.many.example;g.many.example;h.many.example;i.many.example,13[5:6],21[2:4][5:7]
nai_realm=0,j.many.example;k.many.example;`+strings.Repeat("l", 60)+"."+strings.Repeat("m", 60)+"."+strings.Repeat("n", 60)+`.example,13[5:6],21[2:4][5:7]
nai_realm=0,`+strings.Repeat("y", 60)+`.example;z.example,13[5:6],21[2:4][5:7]
nai_realm=1,ü.example,13[5:6],21[2:4][5:7]
anqp_3gpp_cell_net=262,01;310,026
`, rest)
}

func TestLimits(t *testing.T) {
	realms := func(n, size int) (o catalogue.Offer) {
		for i := range n {
			o.Realms = append(o.Realms, catalogue.Realm{Realm: fmt.Sprintf("%0*d.example", size-8, i), EAP: []catalogue.Method{catalogue.TLS}})
		}
		return o
	}
	for _, tt := range []struct {
		name  string
		offer catalogue.Offer
		says  string
	}{
		{"as many networks as there may be", catalogue.Offer{Networks: make([]catalogue.Network, 42)}, ""},
		{"one more", catalogue.Offer{Networks: make([]catalogue.Network, 43)}, "43 mobile networks: hostapd takes 42"},
		{"a domain name that fits", catalogue.Offer{Domains: []string{strings.Repeat("x", 4083)}}, ""},
		{"and one that does not", catalogue.Offer{Domains: []string{strings.Repeat("x", 4084)}}, "a line of 4096 octets: hostapd takes 4095"},
		{"a long realm", realms(1, 255), ""},
		{"a longer one", realms(1, 256), "a realm of 256 octets: hostapd takes 255"},
		{"many realms", realms(248, 253), ""},
		{"too many", realms(252, 253), "ANQP carries 65535; ask for one client or group"},
		{"six methods", catalogue.Offer{Realms: []catalogue.Realm{{Realm: "a", EAP: make([]catalogue.Method, 6)}}}, "6 EAP methods: hostapd takes 5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := catalogue.Catalogue{Offer: tt.offer}
			var b strings.Builder
			err := c.WriteHostapd(&b)
			if tt.says == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.says)
			assert.Empty(t, b.String())
		})
	}
}

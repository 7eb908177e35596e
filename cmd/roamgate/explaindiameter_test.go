package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/test/peer"
)

const mobile = `groups:
  - {name: visited}
peers:
  - {name: mme, identity: mme.visited.example, from: 127.0.0.1, origins: any, group: visited, realms: ["*.3gppnetwork.org", "*.example"]}
  - {name: hss-1, identity: hss-1.epc.example, address: 127.0.0.1, applications: s6a}
  - {name: hss-2, identity: hss-2.epc.example, address: 127.0.0.2, applications: s6a, takes: other.example}
  - {name: sms, identity: sms.epc.example, address: 127.0.0.3, applications: sgd}
pools:
  - {name: hss, peers: [hss-1, {peer: hss-2, priority: 2}, sms], balance: first}
homes:
  - {name: h, address: 192.0.2.1, secret_env: TEST_SECRET}
realms:
  - {imsi: 26201123, diameter: hss, policy: {enabled: true}}
  - {imsi: 26201123, rank: 1, when: {application: sgd}, diameter: {action: reject, result: 5012}}
  - {realm: direct.example, diameter: {action: redirect, hosts: ["aaa://hss.direct.example"]}}
  - {realm: office.example, auth: office, diameter: {action: radius}}
  - {realm: mine.example, auth: office}
`

func TestExplainDiameter(t *testing.T) {
	t.Setenv("TEST_SECRET", "0123456789abcdef")
	text := strings.Replace(mobile, "balance: first}\n", "balance: first}\n  - {name: office, homes: h}\n", 1)
	dir, path := configuration(t, map[string]string{"roamgate.yaml": "diameter: {identity: hub.roam.example, listen: \"127.0.0.1:3868\"}\n", "realms/d.yaml": text})
	for _, tc := range []struct {
		name string
		args string
		code int
		want []string
	}{
		{"forwarded", "--diameter ULR --imsi 262011234567890 --realm epc.mnc001.mcc262.3gppnetwork.org --from mme", 0, []string{
			`request +ULR of s6a`, `peer +mme  \(DIR/realms/d.yaml:4:5\)`, `group +visited`,
			`rule +imsi:26201123, imsi match  \(DIR/realms/d.yaml:14:12\)`,
			`  - +imsi:26201123/1 \(imsi\) is not for this application  \(DIR/realms/d.yaml:15:12\)`,
			`action +proxy`, `pool +hss  \(DIR/realms/d.yaml:9:5\)`, `  1\. +hss-1 hss-1.epc.example  \(DIR/realms/d.yaml:5:5\)`,
			`  - +hss-2 hss-2.epc.example: .*`, `  - +sms sms.epc.example: .*`, `policy +applies`, `deadline +\S+s`, `result +forward`,
		}},
		{"rejected", "--diameter OFR --imsi 262011234567890 --realm epc.mnc001.mcc262.3gppnetwork.org", 1, []string{`action +reject`, `result +answer 5012 UNABLE_TO_COMPLY: route_rejects`}},
		{"redirected", "--diameter AIR --realm direct.example", 0, []string{`action +redirect`, `ask +aaa://hss.direct.example`, `result +redirect 3006 .*`}},
		{"to RADIUS", "--diameter AAR bob@office.example", 0, []string{`rule +office.example, exact match .*`, `result +radius`}},
		{"RADIUS alone", "--diameter AAR bob@mine.example", 1, []string{`  - +mine.example \(exact\) does nothing with requests of this protocol .*`, `result +answer 3003 .*`}},
		{"not its realm", "--diameter AAR bob@a.test --from mme", 1, []string{`result +answer \d+ .*`}},
		{"screened", "--diameter ULR --imsi 262011234567890 --realm a.example --from hss-1 --origin-realm b.example", 1, []string{
			`screening +default`, `  breaks +origin_realm: answer`, `result +answer 3010 .*`,
		}},
		{"a device by the IMSI in its User-Identifier", "--diameter OFR --imsi 262011234567890 --realm a.example --service-centre +491710760000", 1, []string{`rule +imsi:26201123/1, imsi match .*`}},
		{"a service centre", "--diameter SRR --realm a.example --service-centre 49x", 2, nil},
		{"a network", "--diameter ULR --imsi 262011234567890 --realm a.example --visited-plmn 262-1", 2, nil},
		{"by number", "--diameter 316 --application 16777251 --imsi 262011234567890 --realm a.example", 0, []string{`request +ULR of s6a`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := command(append([]string{"explain", "--config", path}, strings.Fields(tc.args)...)...)
			assert.Equal(t, tc.code, r.code, r.errs)
			out := strings.ReplaceAll(r.out, dir, "DIR")
			for _, want := range tc.want {
				assert.Regexp(t, `(?m)^`+want+`$`, out)
			}
		})
	}
	var x diameterExplanation
	r := command("explain", "--config", path, "--diameter", "ULR", "--imsi", "262011234567890", "--realm", "a.example", "--json")
	require.Zero(t, r.code, r.errs)
	require.NoError(t, json.Unmarshal([]byte(r.out), &x))
	assert.Equal(t, "forward", x.Result)
	assert.Len(t, x.Peers, 3)
	for args, want := range map[string]string{
		"--diameter XYZ --realm a.example":                    "is no Diameter request",
		"--diameter ULR --realm a.example --application nope": "is no application",
		"--diameter ULR": "Destination-Realm is missing",
		"--diameter ULR --realm a.example --ssid x":                "--ssid is not of --diameter",
		"bob@a.example --host x":                                   "--host is of --diameter",
		"--diameter ULR --realm a.example --from nobody":           `there is no peer "nobody"`,
		"--diameter ULR --realm a.example.":                        `"a.example." ends with a dot`,
		"--diameter ULR --realm a.example --host hss.a.example.":   `"hss.a.example." ends with a dot`,
		"--diameter ULR --realm a.example --origin-realm b.":       `"b." ends with a dot`,
		"--diameter ULR --realm a.example --imsi abc":              `--imsi: "abc" is no IMSI`,
		"--diameter ULR --realm a.example --imsi 2620112345678901": `is no IMSI`,
		"bob@a.example --imsi 26201x":                              `--imsi: "26201x" is no IMSI`,
		"--diameter ULR a b":                                       "one user is wanted, not 2",
		"--diameter ULR --realm " + strings.Repeat("a", 300):       "at most 255 octets",
	} {
		r := command(append([]string{"explain", "--config", path}, strings.Fields(args)...)...)
		assert.NotZero(t, r.code, args)
		assert.Contains(t, r.errs, want, args)
	}
	_, path = configuration(t, nil)
	assert.Contains(t, command("explain", "--config", path, "--diameter", "ULR", "--realm", "a.example").errs, "the hub speaks no Diameter")
}

// TestPeersOfAHub has a hub with a peer that is there and one that is not.
func TestPeersOfAHub(t *testing.T) {
	hss := answerer(t, node.Config{Applications: []uint32{diameter.AppS6a}})
	door := peer.Port(t)
	h := prepare(t, fmt.Sprintf("diameter: {identity: hub.roam.example, listen: [%q]}\n", door))
	write(t, h.dir, map[string]string{"realms/d.yaml": fmt.Sprintf(`peers:
  - {name: hss, identity: "hss.%s", address: 127.0.0.1, port: %d, applications: s6a}
  - {name: mme, identity: mme.visited.example, from: 127.0.0.1}
  - {name: gone, identity: gone.epc.example, address: 127.0.0.1, port: %d}
  - {name: old, identity: old.epc.example, address: 127.0.0.1, disabled: true}
pools:
  - {name: hss, peers: [hss, gone], balance: first}
realms:
  - {imsi: 26201123, diameter: hss}
`, aRealm, hss.Addr().Port(), peer.Port(t).Port())})
	h.serve()
	h.eventually("the peer is open", func() bool { return strings.Contains(h.ask("status peers hss").out, "open") })
	r := h.ask("status peers")
	assert.Equal(t, exitProblem, r.code, "one is down")
	for _, want := range []string{
		`PEER +STATE +IDENTITY +ADDRESS .*`, `hss +open +hss\.` + aRealm + ` +127.0.0.1:\d+ +0 +0 +0`, `gone +\S.* gone.epc.example .*`, `old +disabled .*`,
	} {
		assert.Regexp(t, `(?m)^`+want+`$`, r.out)
	}
	r = h.ask("status peers hss")
	assert.Zero(t, r.code, r.errs)
	for _, want := range []string{`speaks +s6a`, `connection +.* to 127.0.0.1:\d+ over tcp, watchdog \S+, since \S+, 0 awaited, 0 owed, 0 octets queued`} {
		assert.Regexp(t, `(?m)^`+want+`$`, r.out)
	}
	var all []agent.PeerStatus
	require.NoError(t, json.Unmarshal([]byte(h.ask("status peers --json").out), &all))
	assert.Len(t, all, 4)
	assert.Contains(t, h.ask("status peers nobody").errs, "there is no peer nobody")
	assert.Regexp(t, `(?m)^peers +warn +down: .*gone`, h.ask("status").out)

	r = h.ask("explain --diameter ULR --imsi 262011234567890 --realm " + aRealm + " --from mme")
	assert.Zero(t, r.code, r.errs)
	assert.Regexp(t, `(?m)^  1\. +hss hss\.\S+ open  \(`, r.out)
	assert.Regexp(t, `(?m)^  - +gone gone.epc.example \S+: it is not connected  \(`, r.out)
	h.page(400, "/explain/diameter?diameter=ULR")
	h.page(400, "/explain/diameter?diameter=ULR&realm=a.example&x=y")

	// What the hub was told by its peer goes back by it.
	r = sendDiameterTo(door, "--command", "ULR", "--imsi", "262011234567890", "--destination-realm", aRealm, "Visited-PLMN-Id=0x62f210", "RAT-Type=1004", "ULR-Flags=34")
	assert.Zero(t, r.code, r.errs+r.out)
	assert.Contains(t, r.out, "2001 SUCCESS")
}

func sendDiameterTo(to netip.AddrPort, more ...string) result {
	return command(append([]string{"send", "diameter", "--to", to.String(), "--identity", "mme.visited.example"}, more...)...)
}

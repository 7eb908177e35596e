package file

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// TestHiddenIsNeverFound asks random routes with every request of a small world:
// what is called never reached must not be found, and ranges that are not, must.
func TestHiddenIsNeverFound(t *testing.T) {
	const peers = `groups:
  - {name: g, kind: own}
  - {name: h}
clients:
  - {name: cg, address: 192.0.2.1, secret_env: GOOD_SECRET, group: g}
  - {name: ch, address: 192.0.2.2, secret_env: GOOD_SECRET, group: h, realms: [a.example, "*.b.example", wlan.mnc001.mcc262.3gppnetwork.org, none]}
  - {name: cn, address: 192.0.2.3, secret_env: GOOD_SECRET}
homes:
  - {name: h1, address: 198.51.100.1, secret_env: GOOD_SECRET}
peers:
  - {name: pg, identity: pg.example, address: 192.0.2.9, group: g}
pools:
  - {name: p, homes: h1}
  - {name: d, peers: pg}
realms:
`
	subjects := []string{
		"realm: a.example", `realm: "*.b.example"`, `realm: "*.example"`, `realm: "*.mcc262.3gppnetwork.org"`, "plmn: 262-01", "plmn: 262",
		"imsi: 2620112", "imsi: 26201123", "imsi: 2620112[0-4]", "imsi: 262011230-262011234", "imsi: 262011235-262011239", "imsi: 262011200-262011229", "imsi: 262011240-262011299",
		`realm_regexp: '^a\.example$'`, `realm_regexp: 'b\.example$'`, `realm_regexp: '^(x|y)\.b\.example$'`, "realm_regexp: .*", `name_regexp: '@a\.example$'`, "name_regexp: ^u1", "name_regexp: .",
		"realm: default", "realm: none",
	}
	groups := []string{"", "", "groups: g, ", "groups: [g, h], "}
	whens := []string{"", "", "when: {client: cg}, ", "when: {client: [cg, cn]}, ", "when: {user: u1}, ", `when: {user: "u*"}, `, "when: {user: u1..u2}, ", "when: {percent: 100}, ", "when: {percent: 30, user: u1}, "}
	// What a route is for: RADIUS, Diameter, or both.
	protocols := []string{"auth: p", "auth: p", "diameter: d", "auth: p, diameter: d"}
	diameterWhens := []string{"", "", "when: {application: s6a}, ", "when: {application: [s6a, s13]}, ", "when: {command: ULR}, ", "when: {command: ULR, application: s6a}, ", "when: {user: u1}, "}
	realms := []string{"", "a.example", "x.b.example", "y.b.example", "z.example", "c.test", "wlan.mnc001.mcc262.3gppnetwork.org", "wlan.mnc002.mcc262.3gppnetwork.org"}
	users := []string{"u1", "u2", "v"}
	var numbers []string
	for n := range 100 {
		numbers = append(numbers, fmt.Sprintf("2620112%02d000000", n))
	}
	loaded := 0
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString(peers)
		for rank := range rapid.IntRange(1, 9).Draw(t, "routes") {
			order := ""
			subject := rapid.SampledFrom(subjects).Draw(t, "subject")
			group, when := rapid.SampledFrom(groups).Draw(t, "groups"), rapid.SampledFrom(whens).Draw(t, "when")
			protocol := rapid.SampledFrom(protocols).Draw(t, "protocol")
			if protocol == "diameter: d" {
				when = rapid.SampledFrom(diameterWhens).Draw(t, "when of Diameter")
			}
			if group+when != "" || strings.Contains(subject, "regexp") {
				order = fmt.Sprintf("rank: %d, ", rank+1)
			}
			fmt.Fprintf(&b, "  - {%s, %s%s%s%s}\n", subject, group, when, order, protocol)
		}
		set, ps := compileFiles([]content{{name: "f", data: []byte(b.String())}}, 1)
		if set == nil {
			return
		}
		loaded++
		hidden := make(map[realm.Pos]bool)
		for _, p := range ps {
			if strings.Contains(p.Text, "is never reached") {
				hidden[p.Pos] = true
			}
		}
		for c := range set.Clients {
			client := &set.Clients[c]
			for _, name := range realms {
				for _, user := range users {
					for n := -1; n < len(numbers); n++ {
						q := realm.Query{Client: client, User: []byte(user), Name: []byte(user), Device: uint64(len(user) * 77)}
						if name != "" {
							q.Realm, q.Name = []byte(name), []byte(user+"@"+name)
						}
						if n >= 0 {
							q.IMSI = []byte(numbers[n])
						}
						if !client.Realms.Allow(q.Realm) {
							continue // it does not come so far
						}
						for _, of := range [][2]uint32{{}, {diameter.AppS6a, diameter.UpdateLocation}, {diameter.AppS6a, diameter.PurgeUE}, {diameter.AppS13, diameter.UpdateLocation}} {
							if len(hidden) == 0 {
								break
							}
							q.Application, q.Command, q.Message = of[0], of[1], of[0] != 0
							if r, _ := set.Table.Find(&q); r != nil && hidden[r.Pos] {
								t.Fatalf("%s is found for %v, %s of %s, IMSI %s\n%s\n%s", r.Label(), of, q.Name, client.Name, q.IMSI, b.String(), ps.Error())
							}
						}
					}
				}
			}
		}
	})
	if loaded == 0 {
		t.Fatal("no file was good")
	}
}

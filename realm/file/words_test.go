package file

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/realm"
)

// TestWords: the words that the schema offers are those that the loader takes.
func TestWords(t *testing.T) {
	const peers = "homes:\n  - {name: h, address: 192.0.2.1, secret_env: GOOD_SECRET}\n"
	texts := map[string]string{
		"identityEntry.allow":        "identity: {allow: [%s]}\n",
		"groupEntry.kind":            "groups:\n  - {name: g, kind: %s}\n",
		"groupEntry.operator_name":   "groups:\n  - {name: g, operator_name: %s}\n",
		"groupEntry.consortium":      "groups:\n  - {name: g, consortium: %s}\n",
		"groupEntry.settlement":      "groups:\n  - {name: g, consortium: openroaming, settlement: %s}\n",
		"groupEntry.uncleared":       "groups:\n  - {name: g, consortium: openroaming, uncleared: %s}\n",
		"clientEntry.operator_name":  "clients:\n  - {name: c, address: 192.0.2.1, secret_env: GOOD_SECRET, operator: 1a.example, operator_name: %s}\n",
		"clientEntry.transport":      "clients:\n  - {name: c, address: 192.0.2.1, secret_env: GOOD_SECRET, transport: %s}\n",
		"homeEntry.transport":        "homes:\n  - {name: h, address: 192.0.2.1, secret_env: GOOD_SECRET, transport: %s}\n",
		"tlsEntry.revocation":        "tls:\n  - {name: t, authorities: ca.pem, revocation: %s}\n",
		"tlsEntry.versions":          "tls:\n  - {name: t, authorities: ca.pem, versions: %s}\n",
		"tlsEntry.min_version":       "tls:\n  - {name: t, authorities: ca.pem, min_version: \"%s\"}\n",
		"discoveryEntry.profile":     "discoveries:\n  - {name: d, profile: %s}\n",
		"discoveryEntry.certificate": "discoveries:\n  - {name: d, certificate: %s}\n",
		"poolEntry.retransmit":       peers + "pools:\n  - {name: p, homes: h, retransmit: %s}\n",
		"poolEntry.balance":          peers + "pools:\n  - {name: p, homes: h, balance: %s}\n",
		"realmEntry.acknowledge":     peers + "pools:\n  - {name: p, homes: h}\nrealms:\n  - {realm: a.example, auth: p, accounting: p, acknowledge: %s}\n",
		"homeEntry.application":      "homes:\n  - {name: h, transport: diameter, application: %s}\n",
		"peerEntry.transport":        "peers:\n  - {name: p, identity: p.example, address: 192.0.2.1, transport: %s}\n",
		"diameterKeys.action":        "realms:\n  - {realm: a.example, diameter: {action: %s}}\n",
		"screenKeys.mode":            "screenings:\n  - {name: s, rules: {rate: {mode: %s}}}\n",
		"diameterKeys.usage":         "realms:\n  - {realm: a.example, diameter: {action: redirect, usage: %s}}\n",
		"realmEntry.cui":             peers + "pools:\n  - {name: p, homes: h}\nrealms:\n  - {realm: a.example, auth: p, cui: %s}\n",
		"policyEntry.unknown_device": peers + "pools:\n  - {name: p, homes: h}\nrealms:\n  - {realm: a.example, auth: p, policy: {enabled: true, unknown_device: %s}}\n",
		"policyEntry.store_away":     peers + "pools:\n  - {name: p, homes: h}\nrealms:\n  - {realm: a.example, auth: p, policy: {enabled: true, store_away: %s}}\n",
	}
	tagged := 0
	for _, typ := range []reflect.Type{
		reflect.TypeFor[identityEntry](), reflect.TypeFor[loopsEntry](), reflect.TypeFor[groupEntry](), reflect.TypeFor[contractEntry](), reflect.TypeFor[filterEntry](),
		reflect.TypeFor[ruleEntry](), reflect.TypeFor[clientEntry](), reflect.TypeFor[homeEntry](), reflect.TypeFor[poolEntry](), reflect.TypeFor[realmEntry](), reflect.TypeFor[policyEntry](),
		reflect.TypeFor[tlsEntry](), reflect.TypeFor[discoveryEntry](), reflect.TypeFor[peerEntry](), reflect.TypeFor[diameterKeys](), reflect.TypeFor[screenKeys](),
	} {
		for i := range typ.NumField() {
			words := typ.Field(i).Tag.Get("words")
			if words == "" {
				continue
			}
			tagged++
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
			text := texts[typ.Name()+"."+key]
			require.NotEmpty(t, text, "%s.%s has a case", typ.Name(), key)
			said := func(word string) string {
				_, ps := compileFiles([]content{{name: "f", data: fmt.Appendf(nil, text, word)}}, 1)
				return ps.Error()
			}
			list := strings.Split(words, "|")
			for _, word := range list {
				assert.NotContains(t, said(word), "unknown word", "%s: %s", key, word)
			}
			last := len(list) - 1
			assert.Contains(t, said("qqqqqqqq"), "write "+strings.Join(list[:last], ", ")+" or "+list[last])
		}
	}
	assert.Len(t, texts, tagged)
}

// TestDiffKnowsEveryField sets one field after the other: each change shows,
// but for what is worked out from others.
func TestDiffKnowsEveryField(t *testing.T) {
	derived := map[string]bool{
		"Name": true, "Pos": true, "Index": true, // what objects are compared by, and places
		"Pool.Group": true, "Home.Unfound": true, "Home.AuthPort": true, "Home.AcctPort": true, // follow from members and addresses
		"Group.Name": true, "Filter.Name": true, "Pool.Diameter": true, "Peer.Client": true,
	}
	n := 0
	each(t, derived, &n, "Client", func(c realm.Client) *realm.Set { return &realm.Set{Clients: []realm.Client{c}} })
	each(t, derived, &n, "Home", func(h realm.Home) *realm.Set { return &realm.Set{Homes: []realm.Home{h}} })
	each(t, derived, &n, "Pool", func(p realm.Pool) *realm.Set { return &realm.Set{Pools: []realm.Pool{p}, Homes: make([]realm.Home, 3)} })
	each(t, derived, &n, "Peer", func(p realm.Peer) *realm.Set {
		return &realm.Set{Peers: []realm.Peer{p}, Clients: make([]realm.Client, 1)}
	})
	each(t, derived, &n, "Route", func(r realm.Route) *realm.Set {
		if r.Realm == "" {
			r.Realm = "a.example"
		}
		if r.Rank != 0 {
			r.When = &realm.Condition{} // counts where there is one
		}
		s := &realm.Set{Routes: []realm.Route{r}, Pools: []realm.Pool{{Name: "p"}, {Name: "q"}}}
		s.Table = realm.NewTable(s.Routes)
		return s
	})
	each(t, derived, &n, "Security", func(s realm.Security) *realm.Set { return &realm.Set{Securities: []*realm.Security{&s}} })
	each(t, derived, &n, "Discovery", func(d realm.Discovery) *realm.Set { return &realm.Set{Discoveries: []*realm.Discovery{&d}} })
	assert.Greater(t, n, 60)
}

func each[T any](t *testing.T, derived map[string]bool, n *int, kind string, set func(T) *realm.Set) {
	typ := reflect.TypeFor[T]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() || derived[f.Name] || derived[kind+"."+f.Name] {
			continue
		}
		*n++
		var was, is T
		other(t, reflect.ValueOf(&is).Elem().Field(i))
		assert.False(t, Diff(set(was), set(is)).Empty(), "%s.%s", kind, f.Name)
	}
}

// other gives a field another value than zero.
func other(t *testing.T, v reflect.Value) {
	switch v.Interface().(type) {
	case *realm.Names:
		v.Set(reflect.ValueOf(realm.NewNames([]string{"x.example"})))
		return
	case *realm.Group:
		v.Set(reflect.ValueOf(&realm.Group{Name: "g"}))
		return
	case *realm.Security:
		v.Set(reflect.ValueOf(&realm.Security{Name: "s"}))
		return
	case *realm.Discovery:
		v.Set(reflect.ValueOf(&realm.Discovery{Name: "d"}))
		return
	case *realm.Holder:
		v.Set(reflect.ValueOf(&realm.Holder{Anyone: true}))
		return
	case *pki.Credential:
		v.Set(reflect.ValueOf(&pki.Credential{Hash: [32]byte{1}}))
		return
	case *pki.Trust:
		v.Set(reflect.ValueOf(&pki.Trust{Hash: [32]byte{1}}))
		return
	case *realm.Filter:
		v.Set(reflect.ValueOf(&realm.Filter{Name: "f"}))
		return
	case *realm.Condition:
		v.Set(reflect.ValueOf(&realm.Condition{SSIDs: []string{"x"}}))
		return
	case *realm.Screening:
		v.Set(reflect.ValueOf(&realm.Screening{Name: "s"}))
		return
	case *realm.Steering:
		v.Set(reflect.ValueOf(&realm.Steering{Name: "s"}))
		return
	case *realm.Scope:
		v.Set(reflect.ValueOf(&realm.Scope{Groups: []*realm.Group{{Name: "g"}}}))
		return
	}
	_, addr, _ := strings.Cut(v.Type().String(), "netip.")
	switch {
	case addr == "AddrPort" && v.Kind() == reflect.Struct:
		v.Set(reflect.ValueOf(netip.MustParseAddrPort("192.0.2.1:1")))
	case v.Kind() == reflect.Slice:
		one := reflect.New(v.Type().Elem()).Elem()
		switch e := one.Addr().Interface().(type) {
		case *realm.Window:
			e.Days = 1
		case *realm.Member:
			e.Weight = 1
		case *string:
			*e = "x"
		case *netip.AddrPort:
			*e = netip.MustParseAddrPort("192.0.2.1:1")
		case *uint32:
			*e = 1
		case *netip.Prefix:
			*e = netip.MustParsePrefix("10.0.0.0/8")
		case *byte:
			*e = 'x'
		}
		v.Set(reflect.Append(v, one))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if w, ok := v.Interface().(*realm.Rewrite); ok {
			w.Strip = true
		}
	case v.Kind() == reflect.Struct:
		other(t, v.Field(0))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString("x")
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	default:
		require.Fail(t, "no value", "%s", v.Type())
	}
}

// Package catalogue says what a visited network can offer to devices before they
// attach (Passpoint): realms, roaming consortia, mobile networks and domain
// names. Access points tell it by ANQP.
//
// It stands beside the walk: a Catalogue is made of the same routing table, and
// holds what a request of that network would be forwarded for, by the groups,
// contracts and lists that decide it. What depends on the single request, as a
// user or an hour, counts as possible. ANQP has no wildcards, so what cannot be
// said in it is named as left out, with the reason.
//
// A Catalogue is a plain value and shares nothing with the Set. It is the same
// for the same Set, in the same order, and its Hash is that of what it offers:
// two of them differ in their text where they differ in what they say.
//
// It follows IEEE 802.11 sections 9.4.5 (ANQP elements) and 3GPP TS 24.234 annex
// H (cellular networks), and writes the words of hostapd. It does not speak ANQP.
package catalogue

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

// Catalogue is what is offered.
type Catalogue struct {
	Generation uint64   `json:"generation,omitempty"` // of the running configuration
	Hash       string   `json:"hash"`                 // of what is offered
	Clients    []string `json:"clients"`              // for whom it is
	Offer
	LeftOut []LeftOut `json:"left_out,omitempty"`
}

// Offer is what access points say. All lists are sorted.
type Offer struct {
	Realms    []Realm   `json:"nai_realms"`
	Consortia []string  `json:"roaming_consortia"` // hexadecimal
	Networks  []Network `json:"cellular_networks"`
	Domains   []string  `json:"domain_names"`
}

// Realm is an NAI realm with the ways to authenticate there.
type Realm struct {
	Realm string   `json:"realm"`
	EAP   []Method `json:"eap"`
}

// Network is a mobile network.
type Network struct {
	MCC string `json:"mcc"`
	MNC string `json:"mnc"`
}

// LeftOut is a route that ANQP cannot say.
type LeftOut struct {
	Route string `json:"route"`
	Why   string `json:"why"`
	At    string `json:"at"`
}

// Of makes the catalogue of some clients of a Set: whatever one of them can
// offer. methods are for realms that are not those of mobile networks, none: TLS
// and TTLS.
func Of(set *realm.Set, clients []*realm.Client, methods []Method) *Catalogue {
	if len(methods) == 0 {
		methods = []Method{TLS, TTLS}
	}
	b := builder{set: set, methods: methods, realms: make(map[string][]Method), consortia: make(map[string]bool),
		networks: make(map[Network]bool), domains: make(map[string]bool), left: make(map[LeftOut]bool)}
	named := conditioned(set)
	c := &Catalogue{Clients: []string{}}
	alike := make(map[kind]bool)
	for _, client := range clients {
		c.Clients = append(c.Clients, client.Name)
		b.domain(client)
		k := kind{group: client.Group, realms: client.Realms}
		if named[client.Name] {
			k.name = client.Name
		}
		if !alike[k] {
			alike[k] = true
			b.client = client
			b.routes()
		}
	}
	slices.Sort(c.Clients)
	c.Offer = b.offer()
	for l := range b.left {
		c.LeftOut = append(c.LeftOut, l)
	}
	slices.SortFunc(c.LeftOut, func(a, b LeftOut) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.At, b.At), cmp.Compare(a.Why, b.Why))
	})
	text, err := json.Marshal(&c.Offer)
	if err != nil {
		panic("catalogue: " + err.Error()) // lists of texts
	}
	sum := sha256.Sum256(text)
	c.Hash = hex.EncodeToString(sum[:8])
	return c
}

// kind is what clients have in common that can send the same.
type kind struct {
	group  *realm.Group
	realms *realm.Names
	name   string // of one that a condition names
}

type builder struct {
	set       *realm.Set
	methods   []Method
	client    *realm.Client
	realms    map[string][]Method
	consortia map[string]bool
	networks  map[Network]bool
	domains   map[string]bool
	left      map[LeftOut]bool
}

// conditioned are the clients that a condition asks for.
func conditioned(set *realm.Set) map[string]bool {
	named := make(map[string]bool)
	for i := range set.Routes {
		if w := set.Routes[i].When; w != nil {
			for _, name := range w.Clients {
				named[name] = true
			}
		}
	}
	return named
}

// domain takes the domain names of the operator of the access points: a device
// is at home where it has one of them.
func (b *builder) domain(c *realm.Client) {
	if name, ok := strings.CutPrefix(c.Operator, "1"); ok {
		b.domains[strings.ToLower(name)] = true
	}
	if c.Group != nil && c.Group.Kind == realm.Own {
		for _, name := range b.set.Identity.Own.List() {
			if name != realm.NameNone && !strings.HasPrefix(name, "*") {
				b.domains[name] = true
			}
		}
	}
}

// routes takes what the client can be forwarded for.
func (b *builder) routes() {
	for i := range b.set.Routes {
		r := &b.set.Routes[i]
		switch r.Tier() {
		case realm.TierExact:
			if b.served(&realm.Query{Realm: []byte(r.Realm)}) {
				b.realm(r.Realm)
			}
		case realm.TierIMSI:
			b.subscribers(r)
		case realm.TierPLMN:
			b.network(r)
		case realm.TierSuffix:
			b.leave(r, "ANQP has no wildcards: name the realms below it")
		case realm.TierExpression:
			b.leave(r, "ANQP has no expressions: name the realms that it matches")
		}
		b.consortium(r)
	}
}

// leave notes a route that would be offered if ANQP could say it.
func (b *builder) leave(r *realm.Route, why string) {
	if b.open(r) && b.forwards(r, nil) {
		b.left[LeftOut{Route: r.Label(), Why: why, At: r.Pos.String()}] = true
	}
}

// realm offers a realm, and the mobile network that it is of.
func (b *builder) realm(name string) {
	mcc, mnc, mobile := nai.PLMN([]byte(name))
	if !mobile {
		b.realms[name] = b.methods
		return
	}
	b.realms[name] = []Method{SIM, AKA, AKAPrime}
	code := string(mnc[:])
	if nai.MNCLen(string(mcc[:])) != 3 && code[0] == '0' {
		code = code[1:] // a realm has a zero in front of two digits
	}
	b.networks[Network{string(mcc[:]), code}] = true
}

// network offers the mobile network of a subject plmn:MCC-MNC.
func (b *builder) network(r *realm.Route) {
	mcc, mnc, one := strings.Cut(strings.TrimPrefix(r.Realm, realm.SubjectPLMN), "-")
	if !one {
		b.leave(r, "it is all networks of a country: name them")
		return
	}
	if b.served(&realm.Query{Realm: accessRealm(mcc, mnc)}) {
		b.networks[Network{mcc, mnc}] = true
	}
}

// subscribers offers the mobile network that a range of subscribers is of.
func (b *builder) subscribers(r *realm.Route) {
	from, to, isRange := strings.Cut(strings.TrimPrefix(r.Realm, realm.SubjectIMSI), "-")
	if !isRange {
		to = from
	}
	const mccLen = 3
	n := nai.MNCLen(from[:mccLen])
	if n == 0 && len(from) == mccLen+2 {
		n = 2
	}
	end := mccLen + n
	if n == 0 || len(from) < end || from[:end] != to[:end] {
		b.leave(r, "its digits do not tell one mobile network: add a route by plmn")
		return
	}
	mcc, mnc := from[:mccLen], from[mccLen:end]
	if b.served(&realm.Query{Realm: accessRealm(mcc, mnc), IMSI: []byte(from)}) {
		b.networks[Network{mcc, mnc}] = true
	}
}

// accessRealm is the realm that devices of a mobile network make up for Wi-Fi
// (3GPP TS 23.003 section 19.3.2).
func accessRealm(mcc, mnc string) []byte {
	if len(mnc) == 2 {
		mnc = "0" + mnc
	}
	return []byte("wlan.mnc" + mnc + ".mcc" + mcc + ".3gppnetwork.org")
}

// consortium offers the roaming consortia that a route is for.
func (b *builder) consortium(r *realm.Route) {
	if !b.open(r) || !b.forwards(r, nil) {
		return
	}
	if r.When != nil && len(r.When.RCOIs) > 0 {
		for _, octets := range r.When.RCOIs {
			if c, ok := wba.ReadRCOI([]byte(octets)); ok {
				whole := c.Octets() // devices compare all five
				octets = string(whole[:])
			}
			if len(octets) == 3 || len(octets) == 5 {
				b.consortia[hex.EncodeToString([]byte(octets))] = true
			} else {
				b.left[LeftOut{Route: r.Label(), Why: "a roaming consortium has three octets or five", At: r.Pos.String()}] = true
			}
		}
		return
	}
	for _, g := range []*realm.Group{b.client.Group, b.group(r)} {
		if g.In(realm.OpenRoaming) {
			octets := wba.RCOI{Settled: g.Terms.Settled}.Octets()
			b.consortia[hex.EncodeToString(octets[:])] = true
			return
		}
	}
}

// offer sorts what was found.
func (b *builder) offer() Offer {
	o := Offer{Realms: []Realm{}, Consortia: sorted(b.consortia), Networks: []Network{}, Domains: sorted(b.domains)}
	for name, methods := range b.realms {
		o.Realms = append(o.Realms, Realm{name, methods})
	}
	slices.SortFunc(o.Realms, func(a, b Realm) int { return cmp.Compare(a.Realm, b.Realm) })
	for n := range b.networks {
		o.Networks = append(o.Networks, n)
	}
	slices.SortFunc(o.Networks, func(a, b Network) int { return cmp.Or(cmp.Compare(a.MCC, b.MCC), cmp.Compare(a.MNC, b.MNC)) })
	return o
}

func sorted(set map[string]bool) []string {
	all := make([]string, 0, len(set))
	for s := range set {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

package file

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roamgate/roamgate/pkg/radius/dict"
	"github.com/roamgate/roamgate/realm"
)

// Detail is one thing that a new version changes in an object that both have.
type Detail struct {
	Kind     string // client, home, peer, pool, discovery, realm, group, contract, filter, tls, screening, steering, identity, loops
	Name     string
	Field    string // the key of the files
	Old, New string // in the words of the files, "" where it is not set; of a secret only that it has changed
	Pos      realm.Pos
}

// String says it in one line.
func (d Detail) String() string {
	name := d.Kind
	if d.Name != "" {
		name += " " + d.Name
	}
	return fmt.Sprintf("%s: %s: %s -> %s", name, d.Field, orNone(d.Old), orNone(d.New))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Details says what changes in the objects that both sets have, kind by kind in
// the order of the new files; at most so many.
func Details(old, set *realm.Set, most int) []Detail {
	if old == nil || set == nil {
		return nil
	}
	l := &detailed{old: old, set: set, most: most}
	for _, s := range settings {
		l.note(Detail{Kind: s.section, Field: s.field, Old: s.text(old), New: s.text(set)})
	}
	detail(l, "group", groupsOf, groupFields)
	detail(l, "contract", contractsOf, contractFields)
	detail(l, "filter", filtersOf, filterFields)
	detail(l, "tls", securitiesOf, securityFields)
	detail(l, "client", clientsOf, clientFields)
	detail(l, "home", homesOf, homeFields)
	detail(l, "peer", peersOf, peerFields)
	detail(l, "pool", poolsOf, poolFields)
	detail(l, "discovery", discoveriesOf, discoveryFields)
	detail(l, "screening", screeningsOf, screeningFields)
	detail(l, "steering", steeringsOf, steeringFields)
	eachRoute(old, set, func(was, r *realm.Route) {
		if was != nil && !sameRoute(old, set, was, r) {
			fieldsOf(l, "realm", r.Label(), r.Pos, was, r, routeFields)
		}
	})
	return l.list
}

type detailed struct {
	old, set *realm.Set
	most     int
	list     []Detail
}

func (l *detailed) note(d Detail) {
	if d.Old != d.New && len(l.list) < l.most {
		l.list = append(l.list, d)
	}
}

func detail[T any](l *detailed, kind string, all func(*realm.Set) []object[T], fields []property[T]) {
	was := make(map[string]*T)
	for _, o := range all(l.old) {
		was[o.name] = o.value
	}
	for _, o := range all(l.set) {
		if b := was[o.name]; b != nil {
			fieldsOf(l, kind, o.name, o.pos, b, o.value, fields)
		}
	}
}

func fieldsOf[T any](l *detailed, kind, name string, pos realm.Pos, was, is *T, fields []property[T]) {
	for _, f := range fields {
		d := Detail{Kind: kind, Name: name, Field: f.name, Old: f.text(l.old, was), New: f.text(l.set, is), Pos: pos}
		if f.name == keySecret && d.Old != d.New {
			d.Old, d.New = "one", "another"
		}
		l.note(d)
	}
}

// keySecret is the field of which nothing is shown.
const keySecret = "secret"

// object is what stands in a set by which name it is compared.
type object[T any] struct {
	name  string
	value *T
	pos   realm.Pos
}

func objectsOf[T any](list []T, of func(*T) (string, realm.Pos)) []object[T] {
	out := make([]object[T], len(list))
	for i := range list {
		out[i].value = &list[i]
		out[i].name, out[i].pos = of(&list[i])
	}
	return out
}

func clientsOf(s *realm.Set) []object[realm.Client] {
	list := objectsOf(s.Clients, func(c *realm.Client) (string, realm.Pos) { return c.Name, c.Pos })
	return slices.DeleteFunc(list, func(o object[realm.Client]) bool { return o.value.Transport == realm.Diameter }) // told as peers
}

func homesOf(s *realm.Set) []object[realm.Home] {
	return objectsOf(s.Homes, func(h *realm.Home) (string, realm.Pos) { return h.Name, h.Pos })
}

func peersOf(s *realm.Set) []object[realm.Peer] {
	return objectsOf(s.Peers, func(p *realm.Peer) (string, realm.Pos) { return p.Name, p.Pos })
}

func poolsOf(s *realm.Set) []object[realm.Pool] {
	return objectsOf(s.Pools, func(p *realm.Pool) (string, realm.Pos) { return p.Name, p.Pos })
}

func groupsOf(s *realm.Set) []object[*realm.Group] {
	return objectsOf(s.Groups, func(g **realm.Group) (string, realm.Pos) { return (*g).Name, (*g).Pos })
}

func filtersOf(s *realm.Set) []object[*realm.Filter] {
	return objectsOf(s.Filters, func(f **realm.Filter) (string, realm.Pos) { return (*f).Name, (*f).Pos })
}

// contractsOf numbers contracts of one pair of groups.
func contractsOf(s *realm.Set) []object[realm.Contract] {
	seen := make(map[string]int)
	return objectsOf(s.Contracts, func(c *realm.Contract) (string, realm.Pos) {
		name := c.From.Name + " to " + c.To.Name
		if seen[name]++; seen[name] > 1 {
			name += " " + strconv.Itoa(seen[name])
		}
		return name, c.Pos
	})
}

// property is one key of an object, in words that are equal where the values
// are.
type property[T any] struct {
	name string
	text func(s *realm.Set, v *T) string
}

var settings = []struct {
	section, field string
	text           func(s *realm.Set) string
}{
	{"identity", "allow", func(s *realm.Set) string {
		var words []string
		for _, w := range []struct {
			on   bool
			word string
		}{{s.Identity.ManyAt, "several_at"}, {s.Identity.Backslash, "backslash"}, {s.Identity.OneLabel, "one_label"}} {
			if w.on {
				words = append(words, w.word)
			}
		}
		return strings.Join(words, ", ")
	}},
	{"identity", "own", func(s *realm.Set) string { return namesText(s.Identity.Own) }},
	{"loops", "proxy_states", func(s *realm.Set) string { return numberText(s.Loops.MaxProxyStates) }},
	{"loops", "hop_attribute", func(s *realm.Set) string { return hopText(s.Loops.Hop) }},
	{"loops", "hops", func(s *realm.Set) string { return numberText(int(s.Loops.Hops)) }},
}

var groupFields = []property[*realm.Group]{
	{"kind", func(_ *realm.Set, g **realm.Group) string { return (*g).Kind.String() }},
	{"consortium", func(_ *realm.Set, g **realm.Group) string { return (*g).Consortium.String() }},
	{"settlement", func(_ *realm.Set, g **realm.Group) string { return settlementText(*g) }},
	{"uncleared", func(_ *realm.Set, g **realm.Group) string { return unclearedText(*g) }},
	{"tariff", func(_ *realm.Set, g **realm.Group) string { return (*g).Terms.Tariff }},
}

var contractFields = []property[realm.Contract]{
	{"realms", func(_ *realm.Set, c *realm.Contract) string { return namesText(c.Realms) }},
}

var filterFields = []property[*realm.Filter]{
	{"rules", func(_ *realm.Set, f **realm.Filter) string {
		var rules []string
		for i := range (*f).Rules {
			rules = append(rules, (*f).Rules[i].Text)
		}
		return strings.Join(rules, "; ")
	}},
}

var clientFields = []property[realm.Client]{
	{"address", func(_ *realm.Set, c *realm.Client) string { return join(c.Prefixes) }},
	{keySecret, func(_ *realm.Set, c *realm.Client) string { return secretText(c.Secret) }},
	{"require_message_authenticator", func(_ *realm.Set, c *realm.Client) string { return strconv.FormatBool(c.RequireMessageAuthenticator) }},
	{"limit_proxy_state", func(_ *realm.Set, c *realm.Client) string { return strconv.FormatBool(c.LimitProxyState) }},
	{"operator", func(_ *realm.Set, c *realm.Client) string { return c.Operator }},
	{"operators", func(_ *realm.Set, c *realm.Client) string { return strings.Join(c.Operators, ", ") }},
	{"country", func(_ *realm.Set, c *realm.Client) string { return c.Country }},
	{"group", func(_ *realm.Set, c *realm.Client) string { return groupText(c.Group) }},
	{"realms", func(_ *realm.Set, c *realm.Client) string { return namesText(c.Realms) }},
	{"operator_name", func(_ *realm.Set, c *realm.Client) string { return c.OperatorName.String() }},
	{"in", func(_ *realm.Set, c *realm.Client) string { return filterText(c.In) }},
	{"out", func(_ *realm.Set, c *realm.Client) string { return filterText(c.Out) }},
	{"hide_nas", func(_ *realm.Set, c *realm.Client) string { return strconv.FormatBool(c.HideNAS) }},
	{"dynauth", func(_ *realm.Set, c *realm.Client) string {
		if c.ReverseCoA {
			return byConnection
		}
		return addrText(c.DynAuth)
	}},
	{"institution", func(_ *realm.Set, c *realm.Client) string { return c.Institution }},
	{"transport", func(_ *realm.Set, c *realm.Client) string { return c.Transport.String() }},
	{"tls", func(_ *realm.Set, c *realm.Client) string { return securityText(c.Security) }},
	{"certificate", func(_ *realm.Set, c *realm.Client) string { return holderText(c.Holder) }},
	{"protected", func(_ *realm.Set, c *realm.Client) string { return strconv.FormatBool(c.Protected) }},
}

var homeFields = []property[realm.Home]{
	{"host", func(_ *realm.Set, h *realm.Home) string { return h.Host }},
	{"auth", func(_ *realm.Set, h *realm.Home) string { return homeAddr(h, h.Auth, h.AuthPort) }},
	{"acct", func(_ *realm.Set, h *realm.Home) string { return homeAddr(h, h.Acct, h.AcctPort) }},
	{"address", func(_ *realm.Set, h *realm.Home) string {
		if h.Host != "" {
			return "" // it is found out
		}
		return join(h.Found)
	}},
	{keySecret, func(_ *realm.Set, h *realm.Home) string { return secretText(h.Secret) }},
	{"require_message_authenticator", func(_ *realm.Set, h *realm.Home) string { return strconv.FormatBool(h.RequireMessageAuthenticator) }},
	{"status_server", func(_ *realm.Set, h *realm.Home) string { return strconv.FormatBool(h.StatusServer) }},
	{"disabled", func(_ *realm.Set, h *realm.Home) string { return strconv.FormatBool(h.Disabled) }},
	{"drain", func(_ *realm.Set, h *realm.Home) string { return strconv.FormatBool(h.Drain) }},
	{"maintenance", func(_ *realm.Set, h *realm.Home) string { return windowsText(h.Maintenance) }},
	{"group", func(_ *realm.Set, h *realm.Home) string { return groupText(h.Group) }},
	{"operator", func(_ *realm.Set, h *realm.Home) string { return h.Operator }},
	{"realms", func(_ *realm.Set, h *realm.Home) string { return namesText(h.Realms) }},
	{"in", func(_ *realm.Set, h *realm.Home) string { return filterText(h.In) }},
	{"out", func(_ *realm.Set, h *realm.Home) string { return filterText(h.Out) }},
	{"dynauth", func(_ *realm.Set, h *realm.Home) string {
		words := []string{join(h.DynAuth)}
		if h.ReverseCoA {
			words = append(words, byConnection)
		}
		return strings.TrimPrefix(strings.Join(words, ", "), ", ")
	}},
	{"transport", func(_ *realm.Set, h *realm.Home) string { return h.Transport.String() }},
	{"tls", func(_ *realm.Set, h *realm.Home) string { return securityText(h.Security) }},
	{"certificate", func(_ *realm.Set, h *realm.Home) string { return holderText(h.Holder) }},
	{"application", func(_ *realm.Set, h *realm.Home) string {
		if h.Gateway == 0 {
			return ""
		}
		return ApplicationName(h.Gateway)
	}},
	{"connections", func(_ *realm.Set, h *realm.Home) string { return numberText(h.Connections) }},
	{"protected", func(_ *realm.Set, h *realm.Home) string { return strconv.FormatBool(h.Protected) }},
}

var poolFields = []property[realm.Pool]{
	{"homes", func(s *realm.Set, p *realm.Pool) string {
		if p.Diameter {
			return ""
		}
		return membersText(p, func(i int32) string { return s.Homes[i].Name })
	}},
	{"peers", func(s *realm.Set, p *realm.Pool) string {
		if !p.Diameter {
			return ""
		}
		return membersText(p, func(i int32) string { return s.Peers[i].Name })
	}},
	{"retransmit", func(_ *realm.Set, p *realm.Pool) string {
		if p.Retransmit == realm.RetransmitClient {
			return "client"
		}
		return "proxy"
	}},
	{"timers", func(_ *realm.Set, p *realm.Pool) string { return timersText(p.Timers) }},
	{"balance", func(_ *realm.Set, p *realm.Pool) string { return p.Balance.String() }},
	{"panic", func(_ *realm.Set, p *realm.Pool) string { return strconv.Itoa(p.Panic) }},
	{"breaker", func(_ *realm.Set, p *realm.Pool) string { return strconv.FormatBool(p.Breaker) }},
}

var routeFields = []property[realm.Route]{
	{"subject", func(_ *realm.Set, r *realm.Route) string { return subjectName(r.Realm) }},
	{"auth", func(s *realm.Set, r *realm.Route) string { return poolName(s, r.Auth) }},
	{"accounting", func(s *realm.Set, r *realm.Route) string { return poolName(s, r.Acct) }},
	{"discover", func(_ *realm.Set, r *realm.Route) string { return discoveryName(r.Discover) }},
	{"diameter", func(s *realm.Set, r *realm.Route) string { return diameterText(s, r.Diameter) }},
	{"acknowledge", func(_ *realm.Set, r *realm.Route) string { return r.Acknowledge.String() }},
	{"reject", func(_ *realm.Set, r *realm.Route) string { return r.Reject }},
	{"policy", func(_ *realm.Set, r *realm.Route) string { return policyText(r.Policy) }},
	{"steering", func(_ *realm.Set, r *realm.Route) string {
		if r.Steering == nil {
			return ""
		}
		return r.Steering.Name
	}},
	{"rank", func(_ *realm.Set, r *realm.Route) string {
		if !conditioned(r) && !isExpression(r.Realm) {
			return "" // it is the last anyway
		}
		return strconv.Itoa(int(r.Rank))
	}},
	{"groups", func(_ *realm.Set, r *realm.Route) string {
		if r.For == nil {
			return ""
		}
		var names []string
		for _, g := range r.For.Groups {
			names = append(names, g.Name)
		}
		slices.Sort(names)
		return strings.Join(names, ", ")
	}},
	{"when", func(_ *realm.Set, r *realm.Route) string { return conditionText(r.When) }},
	{"rewrite", func(_ *realm.Set, r *realm.Route) string {
		switch {
		case r.Rewrite == nil:
			return ""
		case r.Rewrite.Strip:
			return "strip"
		}
		return "realm " + r.Rewrite.Realm
	}},
	{"cui", func(_ *realm.Set, r *realm.Route) string {
		if r.IssueCUI {
			return "issue"
		}
		return "pass"
	}},
}

func membersText(p *realm.Pool, name func(int32) string) string {
	var list []string
	for _, m := range p.Members {
		list = append(list, fmt.Sprintf("%s (priority %d, weight %d)", name(m.Home), m.Priority, m.Weight))
	}
	return strings.Join(list, ", ")
}

func policyText(p realm.Policy) string {
	if !p.Enabled {
		return "off"
	}
	word := func(allow bool) string {
		if allow {
			return "allow"
		}
		return "reject"
	}
	return "unknown_device " + word(p.AllowUnknown) + ", store_away " + word(p.FailOpen)
}

// secretText tells secrets apart, and nothing else.
func secretText(s realm.Secret) string {
	sum := sha256.Sum256(s)
	return string(sum[:])
}

func namesText(n *realm.Names) string { return strings.Join(n.List(), ", ") }

func numberText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func hopText(h realm.HopAttribute) string {
	switch {
	case h.Type == 0:
		return ""
	case h.Vendor > 0:
		return fmt.Sprintf("%d:%d", h.Vendor, h.Sub)
	}
	return strconv.Itoa(int(h.Type))
}

func groupText(g *realm.Group) string {
	if g == nil {
		return ""
	}
	return g.Name
}

func filterText(f *realm.Filter) string {
	if f == nil {
		return ""
	}
	return f.Name
}

func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// homeAddr is where a home serves: of a name only the port is the files'.
func homeAddr(h *realm.Home, a netip.AddrPort, port uint16) string {
	if h.Host != "" {
		return numberText(int(port))
	}
	return addrText(a)
}

func join[T fmt.Stringer](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = v.String()
	}
	return strings.Join(words, ", ")
}

func conditionText(c *realm.Condition) string {
	if c == nil {
		return ""
	}
	var parts []string
	add := func(key string, words ...string) {
		if len(words) > 0 {
			parts = append(parts, key+" "+strings.Join(words, ", "))
		}
	}
	add("client", c.Clients...)
	add("application", named(c.Applications, ApplicationName)...)
	add("command", named(c.Commands, CommandName)...)
	var types []string
	for _, t := range c.NASPortTypes {
		types = append(types, portTypeName(t))
	}
	add("nas_port_type", types...)
	add("ssid", c.SSIDs...)
	add("operator", c.Operators...)
	var rcois []string
	for _, r := range c.RCOIs {
		rcois = append(rcois, fmt.Sprintf("%X", r))
	}
	add("rcoi", rcois...)
	var users []string
	for _, u := range c.Users {
		users = append(users, userText(u))
	}
	add("user", users...)
	if len(c.During) > 0 {
		add("during", windowsText(c.During))
	}
	if c.Percent > 0 {
		add("percent", strconv.FormatFloat(float64(c.Percent)/100, 'f', -1, 64))
	}
	return strings.Join(parts, "; ")
}

func portTypeName(t uint32) string {
	raw := []byte{61, 6, byte(t >> 24), byte(t >> 16), byte(t >> 8), byte(t)}
	_, name, _ := strings.Cut(dict.Format(raw), " = ")
	return name
}

func userText(u realm.UserRange) string {
	switch {
	case u.Prefix:
		return u.First + "*"
	case u.First == u.Last:
		return u.First
	}
	return u.First + ".." + u.Last
}

func windowsText(list []realm.Window) string {
	words := make([]string, len(list))
	for i := range list {
		words[i] = windowText(&list[i])
	}
	return strings.Join(words, ", ")
}

func windowText(w *realm.Window) string {
	var parts []string
	for d, name := range dayNames {
		if w.Days&(1<<d) != 0 {
			parts = append(parts, name)
		}
	}
	if w.From != w.To {
		parts = append(parts, clock(w.From)+"-"+clock(w.To))
	}
	if w.Zone != nil {
		parts = append(parts, w.Zone.String())
	}
	if !w.Begin.IsZero() {
		parts = append(parts, "from "+w.Begin.Format(time.RFC3339))
	}
	if !w.End.IsZero() {
		parts = append(parts, "until "+w.End.Format(time.RFC3339))
	}
	return strings.Join(parts, " ")
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}

package dynauth

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// Sender is who sends from an address: homes that share it and a secret.
type Sender struct {
	Homes  []int32     // indexes into Set.Homes
	Spec   *realm.Home // of the first: its name and filters are those of all
	Secret *radius.Secret
	strict bool // a home of them must send a Message-Authenticator
}

// Client is one that takes requests.
type Client struct {
	Spec   *realm.Client
	Secret *radius.Secret
	Index  int32 // into Set.Clients
	Name   int32 // in the Book
	Mark   Mark
}

// Table is who may send, and which operators are reached through which
// clients. It is immutable and safe for concurrent use.
type Table struct {
	Set     *realm.Set
	senders bart.Table[[]*Sender]
	// reversed are the homes that send by connections of ours, by name.
	reversed map[string]*Sender
	clients  []*Client // by index into Set.Clients, nil: takes none
	names    []int32   // of clients in the Book, by index
	pools    []int32   // of pools in the Book, by index
	byName   map[int32]*Client
	byPool   map[int32]int32 // index into Set.Pools
	exact    map[string][]*Client
	suffix   map[string][]*Client      // without "1*."
	renamed  map[string][]*realm.Route // by the realm that the home sees
	mostPS   int
}

const defaultProxyStates = 32

// NewTable compiles a configuration. s is needed for marks only.
func NewTable(set *realm.Set, book *Book, s *Sealer) *Table {
	t := &Table{
		Set: set, clients: make([]*Client, len(set.Clients)), names: make([]int32, len(set.Clients)), pools: make([]int32, len(set.Pools)),
		reversed: make(map[string]*Sender), byName: make(map[int32]*Client), byPool: make(map[int32]int32),
		exact: make(map[string][]*Client), suffix: make(map[string][]*Client), renamed: make(map[string][]*realm.Route), mostPS: set.Loops.MaxProxyStates,
	}
	if t.mostPS == 0 {
		t.mostPS = defaultProxyStates
	}
	for i := range set.Homes {
		t.addSender(int32(i))
	}
	for i := range set.Clients {
		t.addClient(int32(i), book, s)
	}
	for i := range set.Routes {
		t.rename(&set.Routes[i])
	}
	for i := range set.Pools {
		t.pools[i] = book.Name("pool " + set.Pools[i].Name)
		t.byPool[t.pools[i]] = int32(i)
	}
	return t
}

func (t *Table) addSender(i int32) {
	h := &t.Set.Homes[i]
	within := h.Transport == realm.Diameter // of the hub: nobody else can send by it
	if h.ReverseCoA && h.Transport != realm.UDP && (within || len(h.Secret) > 0) {
		// TLS has proved who sends: no Message-Authenticator need do it.
		t.reversed[h.Name] = &Sender{Homes: []int32{i}, Spec: h, Secret: radius.NewSecret(h.Secret), strict: h.RequireMessageAuthenticator && !h.Transport.Secured() && !within}
	}
	for _, p := range h.DynAuth {
		p = unmap(p)
		if !p.IsValid() || len(h.Secret) == 0 {
			continue
		}
		there, _ := t.senders.Get(p)
		at := slices.IndexFunc(there, func(s *Sender) bool { return bytes.Equal(s.Spec.Secret, h.Secret) })
		if at >= 0 {
			there[at].Homes = append(there[at].Homes, i)
			there[at].strict = there[at].strict || h.RequireMessageAuthenticator
			continue
		}
		t.senders.Insert(p, append(there, &Sender{Homes: []int32{i}, Spec: h, Secret: radius.NewSecret(h.Secret), strict: h.RequireMessageAuthenticator}))
	}
}

// within is the sender with those of its homes only that take the realm.
func (s *Sender) within(set *realm.Set, rlm []byte) *Sender {
	barred := func(i int32) bool { return !set.Homes[i].Realms.Allow(rlm) }
	if !slices.ContainsFunc(s.Homes, barred) {
		return s
	}
	some := *s
	some.Homes = slices.DeleteFunc(slices.Clone(s.Homes), barred)
	return &some
}

// unmap turns a prefix of IPv4-mapped addresses into the IPv4 prefix it means.
func unmap(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

func (t *Table) addClient(i int32, book *Book, s *Sealer) {
	spec := &t.Set.Clients[i]
	t.names[i] = book.Name("client " + spec.Name)
	if !spec.DynAuth.IsValid() && !spec.ReverseCoA || len(spec.Secret) == 0 && spec.Transport != realm.Diameter {
		return
	}
	c := &Client{Spec: spec, Secret: radius.NewSecret(spec.Secret), Index: i, Name: t.names[i], Mark: s.Mark(spec.Name)}
	t.clients[i], t.byName[c.Name] = c, c
	for _, operator := range append([]string{spec.Operator}, spec.Operators...) {
		name, table := fold(operator), t.exact
		if below, ok := strings.CutPrefix(name, "1*."); ok {
			name, table = below, t.suffix
		}
		if name != "" && !slices.Contains(table[name], c) {
			table[name] = append(table[name], c)
		}
	}
}

// fold makes an Operator-Name what it is looked up by.
func fold(operator string) string {
	b := []byte(operator)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}

// Clients are those that take requests.
func (t *Table) Clients() []*Client {
	return slices.DeleteFunc(slices.Clone(t.clients), func(c *Client) bool { return c == nil })
}

// Takes reports whether a client takes requests: of others no session need be
// remembered.
func (t *Table) Takes(index int32) bool { return t.clients[index] != nil }

// ClientName is the number that the Book has for a client of the configuration.
func (t *Table) ClientName(index int32) int32 { return t.names[index] }

// PoolName is the number that the Book has for a pool, NoName for -1.
func (t *Table) PoolName(index int32) int32 {
	if index < 0 {
		return NoName
	}
	return t.pools[index]
}

// Senders finds who may send from an address: the most specific range counts.
func (t *Table) Senders(a netip.Addr) []*Sender {
	s, _ := t.senders.Lookup(a.Unmap())
	return s
}

// Reached are the clients through which an operator is reached: those that
// name it, else those of the longest suffix. The result is shared.
func (t *Table) Reached(operator []byte) []*Client {
	if len(operator) < 2 || len(operator) > radius.MaxValue {
		return nil
	}
	var buf [radius.MaxValue]byte
	name := buf[:len(operator)]
	for i, c := range operator {
		name[i] = lower(c)
	}
	if cs := t.exact[string(name)]; cs != nil {
		return cs
	}
	if name[0] != '1' {
		return nil // of the other name spaces none is a domain name
	}
	for rest := name[1:]; ; {
		dot := bytes.IndexByte(rest, '.')
		if dot < 0 {
			return nil
		}
		rest = rest[dot+1:]
		if cs := t.suffix[string(rest)]; cs != nil {
			return cs
		}
	}
}

// serves reports whether one of the sender's homes belongs to the pool.
func (t *Table) serves(s *Sender, pool int32) bool {
	if pool < 0 || int(pool) >= len(t.Set.Pools) {
		return false
	}
	return slices.ContainsFunc(t.Set.Pools[pool].Members, func(m realm.Member) bool { return slices.Contains(s.Homes, m.Home) })
}

// servesNamed is serves for the number that a Book has.
func (t *Table) servesNamed(s *Sender, name int32) bool {
	pool, known := t.byPool[name]
	return known && t.serves(s, pool)
}

// reverse is the reverse-path check: whether a request for this user, coming
// from the client, would be sent to one of the sender's homes (RFC 8559 section
// 4.3.1). What a route asks of a request beside its name need not stand in a
// CoA-Request: a route that is passed over for that only may be the one. number
// is a 3GPP-IMSI to route by, nil: that of the name, if it has one.
func (t *Table) reverse(s *Sender, c *Client, p *radius.Packet, number []byte, now Clock) bool {
	name, ok := p.First(radius.UserName)
	if !ok {
		return false
	}
	q := realm.Query{Name: name, Packet: p, Client: c.Spec, Wall: now.Wall}
	user, rlm, why := nai.Split(name)
	if !t.readable(why) {
		return false
	}
	var buf [nai.MaxLen]byte
	q.User = user
	if rlm != nil {
		q.Realm = nai.Fold(&buf, rlm)
	}
	if q.IMSI = number; number == nil {
		q.IMSI, _ = nai.IMSI(user, q.Realm)
	}
	return c.Spec.Realms.Allow(q.Realm) && t.routed(s.within(t.Set, q.Realm), &q)
}

const imsi = 1 // of 3GPP's attributes (TS 29.061)

// routed goes through the routes of a name as routing does.
func (t *Table) routed(s *Sender, q *realm.Query) (found bool) {
	subject, closed := "", false
	t.Set.Table.Candidates(q, func(c realm.Candidate) bool {
		r := c.Route
		if r.Realm != subject {
			if closed {
				return false // all of that subject are for others: no wider one takes it
			}
			subject, closed = r.Realm, true
		}
		closed = closed && c.Why == realm.OtherGroup
		switch c.Why {
		case realm.OtherGroup, realm.OtherClient, realm.OtherUser:
			return true
		}
		found = r.Reject == "" && (t.serves(s, r.Auth) || t.serves(s, r.Acct))
		return !found && c.Why != realm.Matches
	})
	return found
}

// maxNames bounds how many names a user may have had before a route renamed it.
const maxNames = 16

// original gives, one after the other, the names that a user may have at the
// client, where the home knows it by another realm or by none.
func (t *Table) original(s *Sender, name []byte, yield func(name []byte) (done bool)) {
	user, rlm, why := nai.Split(name)
	if why != nai.OK && !t.readable(why) {
		return
	}
	var buf [nai.MaxLen]byte
	n := 0
	for _, r := range t.renamed[string(nai.Fold(&buf, rlm))] {
		if len(user)+1+len(r.Realm) > nai.MaxLen || !t.serves(s, r.Auth) && !t.serves(s, r.Acct) {
			continue
		}
		b := append(append(append([]byte(nil), user...), '@'), r.Realm...)
		if n++; n > maxNames || yield(b) {
			return
		}
	}
}

// rename notes a route that gives users another realm toward the home; only one
// of a single realm can be undone.
func (t *Table) rename(r *realm.Route) {
	if r.Rewrite == nil || r.Tier() != realm.TierExact {
		return
	}
	to := fold(r.Rewrite.Realm)
	switch {
	case r.Rewrite.Strip:
		to = ""
	case to == "":
		return
	}
	t.renamed[to] = append(t.renamed[to], r)
}

// readable reports whether the identity rules take such a name.
func (t *Table) readable(why nai.Reason) bool {
	switch id := &t.Set.Identity; why {
	case nai.OK:
		return true
	case nai.ManyAt:
		return id.ManyAt
	case nai.Backslash:
		return id.Backslash
	case nai.NoDot:
		return id.OneLabel
	}
	return false
}

// Reverse reports whether a client takes requests by its own connections.
func (t *Table) Reverse(client string) bool {
	for _, c := range t.clients {
		if c != nil && c.Spec.Name == client {
			return c.Spec.ReverseCoA
		}
	}
	return false
}

// Way is a home that a user's requests may go to, and whether it may send
// requests of its own about the user.
type Way struct {
	Home string   `json:"home"`
	From []string `json:"from,omitempty"` // addresses, none: it may not
}

// String says it for people.
func (w Way) String() string {
	if len(w.From) == 0 {
		return w.Home + ": it has no dynauth addresses and may send none"
	}
	return w.Home + ", at " + strings.Join(w.From, ", ")
}

// Explain says which homes pass the reverse-path check for a user of a client,
// nil for any.
func (t *Table) Explain(name string, from *realm.Client, now Clock) (ways []Way) {
	var w radius.Writer
	w.Start(make([]byte, radius.MaxLen), radius.CoARequest, 0, false)
	var p radius.Packet
	if !w.Add(radius.UserName, []byte(name)) || p.Parse(w.SignAccounting(radius.NewCrypt(), radius.NewSecret(nil))) != radius.OK {
		return nil
	}
	c := &Client{Spec: from}
	if from == nil {
		c.Spec = &realm.Client{}
	}
	for i := range t.Set.Homes {
		h := &t.Set.Homes[i]
		if !t.reverse(&Sender{Homes: []int32{int32(i)}, Spec: h}, c, &p, nil, now) {
			continue
		}
		way := Way{Home: h.Name}
		for _, a := range h.DynAuth {
			way.From = append(way.From, a.String())
		}
		if t.reversed[h.Name] != nil {
			way.From = append(way.From, "its own connections")
		}
		ways = append(ways, way)
	}
	return ways
}

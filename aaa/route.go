package aaa

import (
	"bytes"
	"net/netip"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// router says where requests go. A Shard asks its router once for each
// request, an Explainer its own: whatever is decided here is decided once.
type router struct {
	fold  [nai.MaxLen]byte
	moved [2][nai.MaxLen]byte // a decorated name without its first realms
	sent  [nai.MaxLen]byte    // what the route makes of the name
	query realm.Query
	to    direction
}

// direction is where a request goes, or why it goes nowhere. Its octets are
// borrowed from the packet and the router until the next one.
type direction struct {
	why      Reason
	mismatch realm.Mismatch // of no_route and scope_denied
	name     []byte         // that it is routed by, as it was or without its first realms
	user     []byte
	folded   []byte // the realm, nil: none
	shifts   uint8  // realms taken from the front of a decorated name
	key      uint64
	route    *realm.Route
	pool     *home.Pool
	contract *realm.Contract // that opens the way between two federations
	barred   uint64          // members of the pool that the request must not be sent to
	seek     bool            // the pool has to be discovered
}

// asking is a request to be routed.
type asking struct {
	snap   *Snapshot
	client *client.Client // nil: anybody
	from   netip.Addr     // not valid: anywhere
	kind   home.Kind
	states int    // Proxy-States
	wall   int64  // unix seconds
	now    int64  // monotonic ns
	peers  *peers // discovered, nil: nothing is known
}

// decide routes a request by its name. The order is a contract: the name, what
// the client may ask for, the route, what federations have agreed on, the
// homes one by one, what the route makes of the name, and how far the request
// has come. Nothing of it is asked again later, so an Exchange goes on as it
// began whatever the clock or the configuration become.
//
// hot: 0 allocs but for expressions
func (o *router) decide(a *asking, p *radius.Packet, name []byte) *direction {
	d := &o.to
	*d = direction{key: deviceHash(p, name)}
	if d.why = o.identify(&a.snap.Set.Identity, name); d.why != OK {
		return d
	}
	var group *realm.Group
	spec := nobody
	if a.client != nil {
		spec = a.client.Spec
		group = spec.Group
	}
	if spec.Realms != nil && !spec.Realms.Allow(d.folded) {
		d.why = RealmNotAllowed
		return d
	}
	q := &o.query
	*q = realm.Query{Name: d.name, User: d.user, Realm: d.folded, Packet: p, Client: spec, Device: d.key, Wall: a.wall}
	if imsi, ok := p.Vendor(vendor3GPP, tgppIMSI); ok {
		q.IMSI = imsi
	} else if imsi, ok := nai.IMSI(d.user, d.folded); ok {
		q.IMSI = imsi
	}
	d.route, d.mismatch = a.snap.Set.Table.Find(q)
	switch {
	case d.route != nil:
	case d.mismatch == realm.OtherGroup:
		d.why = ScopeDenied
		return d
	default:
		d.why = NoRoute
		return d
	}
	if d.route.Reject != "" {
		d.why = RouteRejects
		return d
	}
	o.place(a, group)
	return d
}

// nobody stands for the client of a question that names none.
var nobody = &realm.Client{}

// place finds the pool of the route, and what of it is closed to the request.
func (o *router) place(a *asking, group *realm.Group) {
	d := &o.to
	pool := d.route.Auth
	if a.kind == home.Acct {
		pool = d.route.Acct
	}
	found := d.route.Discover
	var to *realm.Group
	switch {
	case pool >= 0:
		d.pool = a.snap.Homes.Pool(pool, a.kind)
		to = d.pool.Spec.Group
	case found != nil && (a.kind == home.Auth || len(found.Acct) > 0):
		to = found.Group
		if found.Realms != nil && !found.Realms.Allow(d.folded) {
			d.why = RealmNotAllowed // before DNS is asked
			return
		}
	case a.kind == home.Auth:
		d.why = NoPool
		return
	default:
		return
	}
	if d.folded == nil && to.In(realm.OpenRoaming) {
		d.why = RealmNotAllowed // a name without a realm is of nobody there
		return
	}
	needed := false
	if d.contract, needed = a.snap.Set.Transit(group, to, d.folded); needed && d.contract == nil {
		d.why = TransitDenied
		return
	}
	if pool < 0 {
		o.peers(a)
	} else if a.snap.fence.applies(pool, a.client) {
		d.barred, d.why = barred(a.snap.Homes, d.pool, d.folded, a.from)
	}
	if d.why != OK {
		return
	}
	if to := d.route.Rewrite; to != nil && d.name != nil {
		if _, d.why = renamed(&o.sent, d.name, to); d.why != OK {
			return
		}
	}
	d.why = travelled(&a.snap.Set.Loops, o.query.Packet, a.states)
}

// barred gives the members of a pool that a request must not be sent to, and
// why it can be sent to none.
func barred(homes *home.View, pool *home.Pool, folded []byte, from netip.Addr) (mask uint64, why Reason) {
	n := pool.Len()
	for i := range n {
		if bar := bars(homes.Home(pool.Member(i)).Spec, folded, from); bar != OK {
			mask |= 1 << i
			why = max(why, bar)
			n--
		}
	}
	if n > 0 {
		return mask, OK
	}
	return mask, why
}

// bars says why a request must not be sent to a home: the home does not take
// its realm, or has sent it.
func bars(h *realm.Home, folded []byte, from netip.Addr) Reason {
	switch {
	case h.Realms != nil && !h.Realms.Allow(folded):
		return RealmNotAllowed
	case serves(h, from):
		return Hairpin
	}
	return OK
}

// serves says whether an address is the home's. Loopback belongs to everybody
// on the machine, so it tells nothing.
func serves(h *realm.Home, a netip.Addr) bool {
	if !a.IsValid() || a.IsLoopback() {
		return false
	}
	if h.Auth.Addr() == a || h.Acct.Addr() == a {
		return true
	}
	for _, found := range h.Found {
		if found == a {
			return true
		}
	}
	return false
}

// fence says of which pools and clients single homes have to be looked at, so
// that all the others cost nothing.
type fence struct {
	pools   []bool // a home of it takes some realms only
	clients []bool // a home has an address of it
}

func newFence(set *realm.Set, clients *client.Table) fence {
	f := fence{pools: make([]bool, len(set.Pools)), clients: make([]bool, len(set.Clients))}
	for i := range set.Pools {
		if set.Pools[i].Diameter {
			continue
		}
		for _, m := range set.Pools[i].Members {
			f.pools[i] = f.pools[i] || set.Homes[m.Home].Realms != nil
		}
	}
	mark := func(a netip.Addr) {
		if !a.IsValid() {
			return
		}
		for _, c := range clients.Everybody(a) {
			f.clients[c.Index] = true
		}
	}
	for i := range set.Homes {
		h := &set.Homes[i]
		mark(h.Auth.Addr())
		mark(h.Acct.Addr())
		for _, a := range h.Found {
			mark(a)
		}
	}
	return f
}

func (f *fence) applies(pool int32, c *client.Client) bool {
	return f.pools[pool] || c != nil && f.clients[c.Index]
}

// maxShifts bounds the realms of ours that stand in one name.
const maxShifts = 8

// identify reads a name as the operator wants names to be read. A decorated
// name in a realm of ours is sent to the next realm of its source route; in
// another's it is as any other, and the realm behind the @ counts (RFC 7542
// section 3.3.1).
func (o *router) identify(id *realm.Identity, name []byte) Reason {
	d := &o.to
	if name == nil {
		return OK // accounting may name nobody
	}
	for {
		user, rlm, bad := nai.Split(name)
		d.name, d.user, d.folded = name, user, nil
		if rlm != nil {
			d.folded = nai.Fold(&o.fold, rlm)
		}
		if bad == nai.OK {
			return OK
		}
		if bad = tolerated(id, user, rlm, bad); bad != nai.OK {
			return ofNAI(bad)
		}
		if rlm == nil || id.Own == nil || !id.Own.Allow(d.folded) {
			return OK
		}
		next, ok := shift(o.moved[d.shifts&1][:0], user)
		if !ok {
			return OK
		}
		if d.shifts++; d.shifts > maxShifts {
			return ofNAI(nai.Decorated)
		}
		name = next
	}
}

// tolerated gives what is still wrong with a name where some of what is
// ambiguous is not to the operator.
func tolerated(id *realm.Identity, user, rlm []byte, bad nai.Reason) nai.Reason {
	switch {
	case user == nil:
		return bad
	case !id.ManyAt && bytes.IndexByte(user, '@') >= 0:
		return nai.ManyAt
	case !id.Backslash && bytes.IndexByte(user, '\\') >= 0:
		return nai.Backslash
	case rlm == nil && bytes.IndexByte(user, '!') >= 0:
		return nai.Decorated // a source route that leads nowhere
	case !id.OneLabel && rlm != nil && bytes.IndexByte(rlm, '.') < 0:
		return nai.NoDot
	}
	return nai.OK
}

// shift turns the user part "next!user" of a decorated name into "user@next".
func shift(dst, user []byte) ([]byte, bool) {
	next, rest, decorated := bytes.Cut(user, []byte{'!'})
	if !decorated {
		return nil, false
	}
	dst = append(dst, rest...)
	dst = append(dst, '@')
	return append(dst, next...), true
}

// routedName is the User-Name of an Exchange as it is routed by: without the
// realms of ours that stood in front. It is borrowed from the request, or from
// the router until it is used again.
func (s *Shard) routedName(ex *Exchange, name []byte) []byte {
	for i := range ex.shifts {
		at := bytes.LastIndexByte(name, '@')
		next, ok := shift(s.router.moved[i&1][:0], name[:max(at, 0)])
		if !ok {
			return name
		}
		name = next
	}
	return name
}

// asks describes the Exchange's request to the router.
func (s *Shard) asks(ex *Exchange) *asking {
	s.asking = asking{snap: ex.snap, client: ex.client, from: ex.from.Addr(), kind: ex.kind, states: int(ex.states), wall: s.wall / 1e9, now: s.now}
	if s.hub != nil {
		s.asking.peers = s.hub.peers
	}
	return &s.asking
}

// quarantines says why a record is not forwarded that is routed nowhere.
func (r Reason) quarantines() accounting.Reason {
	switch r {
	case OK:
		return accounting.NotQuarantined
	case RealmNotAllowed:
		return accounting.RealmNotAllowed
	case ScopeDenied:
		return accounting.ScopeDenied
	case TransitDenied:
		return accounting.TransitDenied
	case Hairpin:
		return accounting.Hairpin
	case OperatorNameMismatch:
		return accounting.OperatorNameMismatch
	case ManyProxyStates, HopsSpent:
		return accounting.TooManyHops
	}
	return accounting.NoRoute
}

// wayOf finds where a record that is owed goes now, nil for nowhere: by the
// route that took it while that is there, whatever the time and the share of
// devices are by now; else by its realm, if that is open to its client. The
// realm is empty where there was none.
func (snap *Snapshot) wayOf(rec *accounting.Record) (r *realm.Route, bar uint64) {
	var folded []byte
	if rec.Realm != "" {
		folded = []byte(rec.Realm)
	}
	set := snap.Set
	if r = set.Table.Labelled(rec.Route); r == nil || !takesAccounting(r) {
		if r = set.Table.None(); folded != nil {
			r = set.Table.Lookup(folded)
		}
		if r == nil || !takesAccounting(r) || !snap.open(r, rec.Client, folded) {
			return nil, 0
		}
	}
	if r.Acct >= 0 && snap.fence.pools[r.Acct] {
		var why Reason
		if bar, why = barred(snap.Homes, snap.Homes.Pool(r.Acct, home.Acct), folded, netip.Addr{}); why != OK {
			return nil, 0
		}
	}
	return r, bar
}

// open says whether a client's group may use a route and the homes behind it.
// A client that is no more is of no group.
func (snap *Snapshot) open(r *realm.Route, name string, folded []byte) bool {
	var group *realm.Group
	if v := snap.byName[name]; v != nil {
		group = v.spec.Group
	}
	if !r.For.Has(group) {
		return false
	}
	to := r.Discover
	if r.Acct < 0 {
		c, needed := snap.Set.Transit(group, to.Group, folded)
		return (c != nil || !needed) && folded != nil && (to.Realms == nil || to.Realms.Allow(folded))
	}
	c, needed := snap.Set.Transit(group, snap.Set.Pools[r.Acct].Group, folded)
	return c != nil || !needed
}

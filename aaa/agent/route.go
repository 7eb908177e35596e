package agent

import (
	"bytes"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
)

// router says where requests go. The loop asks its router once for each request, an
// Explainer its own: whatever is decided here is decided once.
type router struct {
	fold  [nai.MaxLen]byte
	named [nai.MaxLen]byte // the realm of a User-Name
	moved [2][nai.MaxLen]byte
	query realm.Query
	to    direction
}

// direction is where a request goes, or why it goes nowhere. Its octets are borrowed
// from the message and the router until the next one.
type direction struct {
	why      Reason
	result   uint32 // of the answer, 0: that of the reason
	failed   []byte // the AVP that is at fault
	mismatch realm.Mismatch
	folded   []byte // Destination-Realm
	name     []byte // User-Name
	way      *way
	pool     *pool
	only     *node // the one that its Destination-Host is, or the gateway to RADIUS
	contract *realm.Contract
	barred   uint64 // members of the pool that it must not be sent to
	fixed    bool   // it has a Destination-Host
	here     bool   // that is us, as servers are to whom we turn RADIUS into Diameter
	key      uint64
	// user and realm are what a decorated name becomes (RFC 5729), nil: it is none.
	user, realm []byte
}

// asking is a request to be routed.
type asking struct {
	atlas   *atlas
	from    *node // nil: anybody
	gateway *node // to RADIUS, nil: there is none
	client  *realm.Client
	now     int64
	wall    int64 // Unix seconds
}

// maxShifts bounds the realms of ours that stand in one name.
const maxShifts = 8

// maxHops bounds the agents that a request has been through. No way is that long, so it
// goes round where nobody leaves his name.
const maxHops = 64

// nobody stands for the client of a question that names none, and for the gateway: who
// is behind it has been judged by the walk of RADIUS.
var nobody = &realm.Client{}

// decide routes a request that is whole. The order is a contract: what may be routed at
// all, loops, the host, what the sender may ask for, the route, what federations have
// agreed on, and the peers one by one.
//
// hot: 0 allocs but for expressions
func (o *router) decide(a *asking, m *diameter.Message) *direction {
	d := &o.to
	*d = direction{}
	if !o.addressed(a, m) || d.only != nil {
		return d
	}
	spec := nobody
	if a.client != nil {
		spec = a.client
	}
	if spec.Realms != nil && !spec.Realms.Allow(d.folded) {
		d.why = RealmNotAllowed
		return d
	}
	o.ask(a, m, spec)
	r, mismatch := a.atlas.set.Table.Find(&o.query)
	d.mismatch = mismatch
	switch {
	case r != nil && r.Diameter != nil:
		d.way = &a.atlas.ways[r.Index]
	case r == nil && mismatch == realm.OtherGroup:
		d.why = ScopeDenied
		return d
	}
	if d.here && (d.way == nil || d.way.route.Diameter.Action != realm.DiameterRADIUS) {
		d.why = ForUs
		return d
	}
	if m.Has(diameter.KnownDestinationHost) && d.realm == nil {
		d.fixed = true
		d.only = o.host(a, m)
	}
	switch {
	case d.way == nil && d.only == nil:
		d.why = NoRoute
		if a.atlas.own(d.folded) {
			d.why = PeersDown // the realm is ours, and nobody in it serves the application
		}
		return d
	case d.way != nil && !o.act(a, d.way.route.Diameter):
		return d
	}
	o.fence(a, m, spec)
	return d
}

// addressed reads who a request is for. false: it is answered here.
func (o *router) addressed(a *asking, m *diameter.Message) bool {
	d := &o.to
	if m.Application == diameter.AppBase || m.Application == diameter.AppRelay {
		d.why = ApplicationBase
		return false
	}
	if m.Flags&diameter.FlagProxiable == 0 {
		d.why = NotProxiable
		return false
	}
	if m.Routes > maxHops || m.Visited(a.atlas.identity) {
		d.why = Loop
		return false
	}
	dest := m.Value(diameter.KnownDestinationRealm)
	host := m.Value(diameter.KnownDestinationHost)
	ours := host != nil && diameter.SameIdentity(host, a.atlas.identity)
	switch {
	case dest == nil && host == nil:
		d.why, d.failed = NoDestinationRealm, exampleDestinationRealm[:]
		return false
	case dest == nil:
		d.why = HostWithoutRealm
		return false
	case len(dest) > nai.MaxLen:
		at, end := m.Span(diameter.KnownDestinationRealm)
		d.why, d.failed = BadDestination, m.Raw[at:end]
		return false
	}
	d.folded = nai.Fold(&o.fold, dest)
	d.name = m.Value(diameter.KnownUserName)
	if (host == nil || ours) && a.atlas.own(d.folded) && bytes.IndexByte(d.name, '!') > 0 {
		if !o.decorated(a) {
			return false
		}
		if d.realm != nil {
			ours = false
		}
	}
	if d.name == nil {
		d.name = identified(m)
	}
	switch {
	case ours && a.ofGateway(m):
		d.only = a.gateway
	case ours && (a.gateway == nil || a.from == a.gateway):
		d.why = ForUs
		return false
	}
	d.here = ours
	return true
}

// ofGateway reports whether a request is what a home asks of a session that a NAS of
// RADIUS has: the gateway has begun it, under our identity.
func (a *asking) ofGateway(m *diameter.Message) bool {
	if a.gateway == nil || a.from == a.gateway || m.Command != diameter.ReAuth && m.Command != diameter.AbortSession {
		return false
	}
	id, n := m.Value(diameter.KnownSessionID), len(a.atlas.identity)
	return len(id) > n && id[n] == ';' && diameter.SameIdentity(id[:n], a.atlas.identity)
}

// exampleDestinationRealm is that of a request that has none.
var exampleDestinationRealm = [8]byte{3: diameter.DestinationRealm & 0xff, 2: diameter.DestinationRealm >> 8, 4: byte(diameter.AVPMandatory), 7: 8}

// decorated follows the source route in front of a name while it leads through realms
// of ours (RFC 5729 section 4.2).
func (o *router) decorated(a *asking) bool {
	d := &o.to
	for shifts := 0; ; shifts++ {
		user, rlm, bad := nai.Split(d.name)
		if bad != nai.OK && bad != nai.Decorated {
			d.why = BadName
			return false
		}
		next, rest, more := bytes.Cut(user, []byte{'!'})
		if !more || rlm == nil && shifts > 0 {
			return true
		}
		if shifts == maxShifts || len(next) == 0 || !diameter.ValidIdentity(next) {
			d.why = BadName
			return false
		}
		to := append(o.moved[shifts&1][:0], rest...)
		to = append(append(to, '@'), next...)
		d.name, d.user, d.realm = to, to, to[len(rest)+1:]
		d.folded = nai.Fold(&o.fold, d.realm)
		if !a.atlas.own(d.folded) {
			return true
		}
	}
}

// identified gives the IMSI in the User-Identifier of a short message or of non-IP data,
// nil: there is none (TS 29.336 section 6.4.2).
//
// hot: 0 allocs
func identified(m *diameter.Message) []byte {
	switch m.Application {
	case diameter.AppS6c, diameter.AppSGd, diameter.AppS6t, diameter.AppT6a:
	default:
		return nil
	}
	var of, name diameter.AVP
	if diameter.Find(m.Body(), diameter.TGPPUserIdentifier, diameter.Vendor3GPP, &of) && diameter.Find(of.Data, diameter.UserName, 0, &name) {
		return name.Data
	}
	return nil
}

// ask describes the request to the table.
func (o *router) ask(a *asking, m *diameter.Message, spec *realm.Client) {
	d, q := &o.to, &o.query
	*q = realm.Query{
		Name: d.name, User: d.name, Realm: d.folded, Message: true,
		Application: m.Application, Command: m.Command, Client: spec, Wall: a.wall,
	}
	if m.Application >= vendorApplications && digits(d.name) {
		q.IMSI = d.name
	} else if d.name != nil {
		if user, rlm, _ := nai.Split(d.name); user != nil {
			q.User = user
			if rlm != nil {
				if imsi, ok := nai.IMSI(user, nai.Fold(&o.named, rlm)); ok {
					q.IMSI = imsi
				}
			}
		}
	}
	name, session := d.name, m.Value(diameter.KnownSessionID)
	if name == nil {
		name = session
	}
	q.Device = hash(name)
	if d.key = q.Device; sessions(m.Application) && session != nil {
		d.key = hash(session)
	}
}

// sessions reports whether an application keeps sessions at the server, so that all
// requests of one go the same way. The others of 3GPP are one request each, and the
// subscriber decides.
//
// hot: 0 allocs
func sessions(application uint32) bool {
	switch application {
	case diameter.AppS6a, diameter.AppS13, diameter.AppSWx, diameter.AppS6c, diameter.AppSGd, diameter.AppS6t, diameter.AppT6a:
		return false
	}
	return true
}

// digits says whether a name is an IMSI as 3GPP writes it.
func digits(name []byte) bool {
	if len(name) < 6 || len(name) > 15 {
		return false
	}
	for _, c := range name {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// host gives the peer that a Destination-Host is, nil: it is none, or another must
// bring the request there.
func (o *router) host(a *asking, m *diameter.Message) *node {
	if v := m.Value(diameter.KnownDestinationHost); len(v) <= nai.MaxLen {
		var b [nai.MaxLen]byte
		return a.atlas.hosts[string(lowered(&b, v))]
	}
	return nil
}

func lowered(dst *[nai.MaxLen]byte, v []byte) []byte {
	for i, c := range v {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst[i] = c
	}
	return dst[:len(v)]
}

// act does what the route says. false: it is answered here.
func (o *router) act(a *asking, r *realm.DiameterRoute) bool {
	d := &o.to
	switch r.Action {
	case realm.DiameterReject:
		d.why, d.result = RouteRejects, r.Result
		return false
	case realm.DiameterRedirect:
		if d.only != nil && d.only.able() {
			return true // it is here that the host is reached
		}
		d.why = Redirected
		return false
	case realm.DiameterRADIUS:
		if a.gateway == nil || a.from != nil && a.from == a.gateway {
			d.why = NoPool // the gateway is given back nothing that it has sent
			return false
		}
		d.only, d.fixed = a.gateway, false
		return true
	}
	if r.Pool < 0 || int(r.Pool) >= len(a.atlas.pools) {
		d.why = NoPool
		return d.only != nil
	}
	d.pool = &a.atlas.pools[r.Pool]
	return true
}

// fence looks at who may have the request, one by one.
func (o *router) fence(a *asking, m *diameter.Message, spec *realm.Client) {
	d := &o.to
	d.why = OK
	if d.only != nil && d.only == a.gateway {
		return
	}
	if only := d.only; only != nil && !o.reached(only) {
		// A host of another realm than the one that was asked for would be a way round
		// what the sender may ask for.
		if d.only = nil; d.pool == nil {
			d.why = HostAway
			return
		}
	} else if only != nil {
		switch why := o.bars(a, m, only); {
		case only.able() && why == OK:
			d.pool = nil
			d.contract, d.why = o.transit(a, spec, only.peer.Group)
			return
		case only.able():
			d.why = why
			return
		case d.pool == nil:
			d.why = HostAway
			return
		}
		d.only = nil
	}
	if d.contract, d.why = o.transit(a, spec, d.pool.spec.Group); d.why != OK {
		return
	}
	left := 0
	worst := OK
	for i := range d.pool.members {
		n := d.pool.members[i].node
		why := o.bars(a, m, n)
		if why == OK && d.fixed && !n.agent() && !o.names(m, n) {
			why = HostAway // it knows no host but itself
		}
		if why != OK {
			d.barred |= 1 << i
			worst = max(worst, why)
			continue
		}
		left++
	}
	if left == 0 {
		d.why = worst
		if len(d.pool.members) == 0 {
			d.why = NoPool
		}
	}
}

// reached reports whether a peer is one that the Destination-Realm leads to: it is in
// it, takes it, or is in the pool of its route.
func (o *router) reached(n *node) bool {
	d := &o.to
	if string(d.folded) == n.peer.Realm || n.peer.Realms != nil && n.peer.Realms.Allow(d.folded) {
		return true
	}
	if d.pool != nil {
		for i := range d.pool.members {
			if d.pool.members[i].node == n {
				return true
			}
		}
	}
	return false
}

// transit says whether the sender's group may have its requests go to another.
func (o *router) transit(a *asking, spec *realm.Client, to *realm.Group) (*realm.Contract, Reason) {
	c, needed := a.atlas.set.Transit(spec.Group, to, o.to.folded)
	if needed && c == nil {
		return nil, TransitDenied
	}
	return c, OK
}

// bars says why a request must not be sent to a peer: the peer does not take its realm,
// has sent it, or has had it already (RFC 6733 section 6.1.7).
func (o *router) bars(a *asking, m *diameter.Message, n *node) Reason {
	switch {
	case n == a.from, m.Routes > 0 && m.Visited(n.peer.Identity):
		return Hairpin
	case n.peer.Realms != nil && !n.peer.Realms.Allow(o.to.folded):
		return RealmNotAllowed
	}
	return OK
}

func (o *router) names(m *diameter.Message, n *node) bool {
	return diameter.SameIdentity(m.Value(diameter.KnownDestinationHost), n.peer.Identity)
}

// hash spreads names over peers. It is the same after a restart, and in every hub.
//
// hot: 0 allocs
func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// mix ends a hash: every bit of it depends on every one of h (Stafford's variant 13).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

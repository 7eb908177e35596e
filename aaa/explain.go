package aaa

import (
	"math"
	"net/netip"
	"time"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

// Candidate is one member of the pool, in the order it would be tried.
type Candidate struct {
	Home     string `json:"home"`
	Address  string `json:"address"`
	Priority int    `json:"priority"`
	Weight   int    `json:"weight"`
	State    string `json:"state"`
	Cause    string `json:"cause,omitempty"`
	Use      string `json:"use,omitempty"`     // what the operator lets it do, where that is less than all
	Breaker  bool   `json:"breaker,omitempty"` // it leaves this realm unanswered, and others get its requests
	Barred   string `json:"barred,omitempty"`  // why the request must not be sent to it
	In       string `json:"in,omitempty"`      // filters
	Out      string `json:"out,omitempty"`
	At       string `json:"at"`
}

// Tried is one route whose subject matches, in the order of trial.
type Tried struct {
	Rule    string `json:"rule"`
	Subject string `json:"subject"`
	Match   string `json:"match"` // the word of a realm.Tier
	Why     string `json:"why"`   // why it does not take the request, or that it matches
	Taken   bool   `json:"taken,omitempty"`
	At      string `json:"at"`
}

// Explanation is the answer to a Question. Empty fields were not reached.
type Explanation struct {
	Generation   uint64      `json:"generation,omitempty"`
	Client       string      `json:"client,omitempty"`
	ClientAt     string      `json:"client_at,omitempty"`
	ClientGroup  string      `json:"client_group,omitempty"`
	In           string      `json:"in,omitempty"` // filters of the client
	Out          string      `json:"out,omitempty"`
	Name         string      `json:"name,omitempty"` // by which it is routed, where it is another than asked for
	Realm        string      `json:"realm,omitempty"`
	Consortium   string      `json:"consortium,omitempty"`    // what the one means that the device has chosen
	Settlement   string      `json:"settlement,omitempty"`    // whether the session is paid, in a consortium
	Discovery    string      `json:"discovery,omitempty"`     // the name of a 3GPP realm in public DNS
	DiscoveredBy string      `json:"discovered_by,omitempty"` // what finds the homes by DNS
	Known        *Known      `json:"known,omitempty"`         // what DNS has said about the realm, nil: nothing yet
	Routes       []Tried     `json:"routes,omitempty"`
	Rule         string      `json:"rule,omitempty"`
	RuleAt       string      `json:"rule_at,omitempty"`
	Match        string      `json:"match,omitempty"` // the word of a realm.Tier
	Pool         string      `json:"pool,omitempty"`
	PoolAt       string      `json:"pool_at,omitempty"`
	PoolGroup    string      `json:"pool_group,omitempty"`
	Balance      string      `json:"balance,omitempty"`
	Contract     string      `json:"contract,omitempty"` // that opens the way between two federations
	ContractAt   string      `json:"contract_at,omitempty"`
	Order        []Candidate `json:"order,omitempty"`
	Barred       []Candidate `json:"barred,omitempty"`    // members that it must not be sent to
	UserName     string      `json:"user_name,omitempty"` // toward the first home, where it is another
	Policy       string      `json:"policy,omitempty"`
	Profile      string      `json:"profile,omitempty"`
	Ack          string      `json:"acknowledge,omitempty"`
	Result       string      `json:"result"` // forward, discover, reject, record or drop
	Reason       string      `json:"reason,omitempty"`
	Text         string      `json:"text,omitempty"`
	Back         *WayBack    `json:"dynauth,omitempty"` // nil: no home sends CoA
}

// Explainer answers Questions from a configuration. It has a Shard without
// sockets take the decisions, so they are those of a running hub.
type Explainer struct {
	Set     *realm.Set
	Clients *client.Table
	Homes   *home.View
	Policy  *device.Table // nil: none is loaded
	Now     int64         // monotonic ns of the homes' states
	Wall    int64         // unix seconds

	hub  *Hub      // nil: none runs
	snap *Snapshot // nil: made of what stands above

	first int32 // home of the order
}

// Explain answers from the running configuration and the homes' present
// state.
func (h *Hub) Explain(q Question) Explanation {
	snap := h.Snapshot()
	e := Explainer{Set: snap.Set, Clients: snap.Clients, Homes: snap.Homes, Policy: h.policy,
		Now: h.monotonic(), Wall: wallSeconds(), hub: h, snap: snap}
	x := e.Explain(q)
	x.Generation = snap.Generation
	return x
}

// Explain answers q.
func (e *Explainer) Explain(q Question) (x Explanation) {
	c, known := e.client(q.Client)
	if !known {
		return refused(x, "drop", UnknownClient, "no client has this name or address: its packets are silently discarded (RFC 2865 section 3)")
	}
	if c != nil {
		x.Client, x.ClientAt = c.Spec.Name, c.Spec.Pos.String()
		x.ClientGroup, x.In, x.Out = groupName(c.Spec.Group), filterName(c.Spec.In), filterName(c.Spec.Out)
	}
	x.Back = e.wayBack(&q, c)
	p, err := q.packet()
	if err != nil {
		return unroutable(x, &q, ofNAI(nai.TooLong), err.Error())
	}
	s, ex, err := e.shard(&q, c, p)
	if err != nil {
		return refused(x, "drop", UnknownClient, err.Error())
	}
	taken, why := s.accepted(ex, p)
	if why != OK {
		return unroutable(x, &q, why, why.Text())
	}
	name, ok := taken.First(radius.UserName)
	if !ok {
		return unroutable(x, &q, NoUserName, NoUserName.Text())
	}
	d := s.router.decide(s.asks(ex), taken, name)
	ex.follow(d)
	x = e.routed(x, &q, s, d, p)
	switch {
	case d.why == RouteRejects:
		return unroutable(x, &q, RouteRejects, d.route.Reject)
	case d.why != OK:
		return unroutable(x, &q, d.why, d.why.Text())
	case q.Accounting:
		x.Ack = d.route.Acknowledge.String()
		if d.seek {
			x.Result = "discover"
			return x
		}
		return accounted(e.renamed(x, &q, s, ex, p), d.pool)
	}
	if v, ok := taken.Vendor(wba.VendorWFA, wba.RoamingConsortium); ok {
		if r, ok := wba.ReadRCOI(v); ok {
			x.Consortium = r.String()
		}
	}
	if why = s.settles(ex, taken); ex.settlement != unsettled {
		x.Settlement = settlementNames[ex.settlement]
	}
	if why != OK {
		return unroutable(x, &q, why, why.Text())
	}
	x = e.renamed(e.permit(x, d, c, taken), &q, s, ex, p)
	if x.Result == "forward" && d.seek {
		x.Result = "discover"
		return x
	}
	if x.Result == "forward" && len(x.Order) == 0 {
		return refused(x, "reject", NoPool, NoPool.Text())
	}
	return x
}

// shard makes a Shard and an Exchange as far as decisions need them.
func (e *Explainer) shard(q *Question, c *client.Client, p *radius.Packet) (*Shard, *Exchange, error) {
	snap := e.snap
	if snap == nil {
		h := &Hub{stats: stat.NewRegistry(), sealer: dynauth.NewSealer(nil)}
		snap = &Snapshot{Set: e.Set, Clients: e.Clients, Homes: e.Homes, fence: newFence(e.Set, e.Clients)}
		var err error
		if snap.filtering, err = h.filtering(snap); err != nil {
			return nil, nil, err
		}
		e.snap = snap
	}
	s := &Shard{hub: e.hub, now: e.Now, wall: e.Wall * 1e9, sealer: dynauth.NewSealer(nil)}
	if !q.At.IsZero() {
		s.wall = q.At.UnixNano()
	}
	// What is asked for here counts nowhere.
	ex := &Exchange{snap: snap, client: c, homeIdx: -1, buf: p.Bytes(), sent: 1, tallied: true}
	ex.from = e.source(q, c)
	if q.Accounting {
		ex.kind = home.Acct
	}
	ex.states = uint8(min(p.Count(radius.ProxyState), math.MaxUint8))
	return s, ex, nil
}

// routed tells the name, the routes that were tried and where the request goes.
func (e *Explainer) routed(x Explanation, q *Question, s *Shard, d *direction, p *radius.Packet) Explanation {
	x.Realm = string(d.folded)
	if string(d.name) != q.NAI {
		x.Name = string(d.name)
	}
	var public [nai.MaxLen + 8]byte
	if name, ok := nai.PublicName(public[:0], d.folded); ok {
		x.Discovery = string(name)
	}
	if s.router.query.Packet != nil { // it came as far as the routes
		e.Set.Table.Candidates(&s.router.query, func(c realm.Candidate) bool {
			x.Routes = append(x.Routes, Tried{Rule: c.Route.Label(), Subject: c.Route.Realm, Match: c.Route.Tier().String(),
				Why: c.Why.String(), Taken: c.Route == d.route, At: c.Route.Pos.String()})
			return len(x.Routes) < mostTried
		})
	}
	if d.route == nil {
		return x
	}
	x.Rule, x.RuleAt, x.Match = d.route.Label(), d.route.Pos.String(), d.route.Tier().String()
	e.discovered(&x, s, d)
	if d.pool == nil {
		return x
	}
	spec := d.pool.Spec
	x.Pool, x.PoolAt, x.PoolGroup, x.Balance = spec.Name, spec.Pos.String(), groupName(spec.Group), spec.Balance.String()
	if k := d.contract; k != nil {
		x.Contract, x.ContractAt = k.From.Name+" to "+k.To.Name, k.Pos.String()
	}
	x.Order, x.Barred = e.order(s, d, p)
	return x
}

// mostTried bounds the routes that an answer lists.
const mostTried = 100

// renamed tells the User-Name that the first home gets.
func (e *Explainer) renamed(x Explanation, q *Question, s *Shard, ex *Exchange, p *radius.Packet) Explanation {
	if ex.pool == nil || len(x.Order) == 0 {
		return x
	}
	out, why := s.outgoing(ex, p, e.first)
	if why != OK {
		return unroutable(x, q, why, why.Text())
	}
	if name, _ := out.First(radius.UserName); string(name) != q.NAI {
		x.UserName = string(name)
	}
	return x
}

func groupName(g *realm.Group) string {
	if g == nil {
		return ""
	}
	return g.Name
}

func filterName(f *realm.Filter) string {
	if f == nil {
		return ""
	}
	return f.Name
}

// source is where the question comes from: the address it names, or the one
// address of its client.
func (e *Explainer) source(q *Question, c *client.Client) udp.Addr {
	a, err := netip.ParseAddr(q.Client)
	if err != nil {
		if c == nil || len(c.Spec.Prefixes) != 1 || !c.Spec.Prefixes[0].IsSingleIP() {
			return udp.Addr{}
		}
		a = c.Spec.Prefixes[0].Addr()
	}
	return udp.AddrFrom(netip.AddrPortFrom(a, 1812))
}

// accounted says what becomes of a record that has a rule.
func accounted(x Explanation, pool *home.Pool) Explanation {
	x.Result = "forward"
	switch {
	case pool == nil:
		x.Result, x.Ack = "record", realm.AcknowledgeDurable.String()
	case len(x.Order) == 0:
		return refused(x, "record", NoPool, "recorded; no home of the pool can take it now")
	}
	return x
}

// unroutable is a request that has no rule or one that refuses it. Accounting
// is evidence all the same.
func unroutable(x Explanation, q *Question, why Reason, text string) Explanation {
	if q.Accounting {
		x.Ack = realm.AcknowledgeDurable.String()
		return refused(x, "record", why, "recorded as quarantined and acknowledged, never billed")
	}
	return refused(x, "reject", why, text)
}

func refused(x Explanation, result string, why Reason, text string) Explanation {
	x.Result, x.Reason, x.Text = result, why.String(), text
	return x
}

// client finds who asks: nothing named is any client.
func (e *Explainer) client(name string) (*client.Client, bool) {
	if name == "" {
		return nil, true
	}
	if a, err := netip.ParseAddr(name); err == nil {
		if all := e.Clients.Everybody(a); len(all) > 0 {
			return all[0], true
		}
		return nil, false
	}
	for i := range e.Set.Clients {
		if e.Set.Clients[i].Name == name {
			return e.Clients.At(int32(i)), true
		}
	}
	return nil, false
}

func (e *Explainer) permit(x Explanation, d *direction, c *client.Client, p *radius.Packet) Explanation {
	x.Result, x.Policy = "forward", "off"
	if !d.route.Policy.Enabled {
		return x
	}
	if e.Policy == nil {
		x.Policy = "not loaded"
		return x
	}
	q := deviceQuery(p, d.user, d.folded)
	q.Route, q.Now, q.Wall = d.route, e.Now, e.Wall
	if c != nil {
		q.Client = c.Spec
	}
	says := e.Policy.Peek(&q)
	x.Policy = says.Outcome.String()
	if says.Profile != nil {
		x.Profile = says.Profile.Name
	}
	switch {
	case says.Outcome == device.Miss:
		x.Policy = "not in memory: the store would be asked"
	case says.Outcome != device.Allow:
		return refused(x, "reject", ofDevice(says.Reason), ofDevice(says.Reason).Text())
	case says.Reason != device.OK:
		x.Policy += " by the realm's rule: " + says.Reason.String()
	}
	return x
}

// order lists the members of a pool as Pick would try them now, and those that
// the request must not be sent to.
func (e *Explainer) order(s *Shard, d *direction, request *radius.Packet) (order, barred []Candidate) {
	p, kind := d.pool, s.asking.kind
	e.first = -1
	for _, i := range p.Order(d.key) {
		hm := e.Homes.Home(i)
		health, cause := hm.HealthHere(kind)
		c := Candidate{Home: hm.Spec.Name, State: health.String(), Cause: cause.String(), At: hm.Spec.Pos.String(),
			Address: addressOf(hm, kind), In: filterName(hm.Spec.In), Out: filterName(hm.Spec.Out)}
		if mode := p.Mode(i); mode.Use != home.InUse {
			c.Use = mode.Use.String() + " (" + mode.By + ")"
		}
		c.Breaker = e.hub != nil && p.Spec.Breaker && e.hub.homes.Breaker().Open(i, e.hub.breakerRealm(kind, d.folded))
		for _, m := range p.Spec.Members {
			if e.Set.Homes[m.Home].Name == hm.Spec.Name {
				c.Priority, c.Weight = m.Priority, m.Weight
			}
		}
		if p.Bit(i)&d.barred != 0 {
			c.Barred = bars(hm.Spec, d.folded, s.asking.from).String()
			barred = append(barred, c)
			continue
		}
		if e.first < 0 {
			e.first = i
		}
		order = append(order, c)
	}
	return order, barred
}

func wallSeconds() int64 { return time.Now().Unix() }

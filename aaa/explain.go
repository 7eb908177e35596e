package aaa

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
)

// Question asks what the hub would do with a request, without sending one.
type Question struct {
	NAI         string
	Client      string // name or address of a client, "" any
	Accounting  bool
	IMSI        string // 3GPP-IMSI
	Station     string // Calling-Station-Id
	CUI         string // Chargeable-User-Identity
	NASPortType int    // -1 absent
	RATType     int    // -1 absent
}

// Values encodes the question for the administration port.
func (q *Question) Values() url.Values {
	v := url.Values{"nai": {q.NAI}}
	set := func(k, s string) {
		if s != "" {
			v.Set(k, s)
		}
	}
	set("client", q.Client)
	set("imsi", q.IMSI)
	set("station", q.Station)
	set("cui", q.CUI)
	if q.Accounting {
		v.Set("kind", "acct")
	}
	if q.NASPortType >= 0 {
		v.Set("nas_port_type", strconv.Itoa(q.NASPortType))
	}
	if q.RATType >= 0 {
		v.Set("rat_type", strconv.Itoa(q.RATType))
	}
	return v
}

// ParseQuestion is the inverse of Values.
func ParseQuestion(v url.Values) (q Question, err error) {
	q = Question{NAI: v.Get("nai"), Client: v.Get("client"), Accounting: v.Get("kind") == "acct",
		IMSI: v.Get("imsi"), Station: v.Get("station"), CUI: v.Get("cui")}
	number := func(k string, limit int) int {
		s := v.Get(k)
		if s == "" {
			return -1
		}
		n, e := strconv.Atoi(s)
		if e != nil || n < 0 || n > limit {
			err = fmt.Errorf("%s: not a number from 0 to %d", k, limit)
		}
		return n
	}
	q.NASPortType, q.RATType = number("nas_port_type", 1<<31-1), number("rat_type", 255)
	return q, err
}

// Candidate is one member of the pool, in the order it would be tried.
type Candidate struct {
	Home     string `json:"home"`
	Address  string `json:"address"`
	Priority int    `json:"priority"`
	Weight   int    `json:"weight"`
	State    string `json:"state"`
	Cause    string `json:"cause,omitempty"`
	At       string `json:"at"`
}

// Explanation is the answer to a Question. Empty fields were not reached.
type Explanation struct {
	Generation uint64      `json:"generation,omitempty"`
	Client     string      `json:"client,omitempty"`
	ClientAt   string      `json:"client_at,omitempty"`
	Realm      string      `json:"realm,omitempty"`
	Rule       string      `json:"rule,omitempty"`
	RuleAt     string      `json:"rule_at,omitempty"`
	Match      string      `json:"match,omitempty"` // exact, suffix, none or default
	Pool       string      `json:"pool,omitempty"`
	PoolAt     string      `json:"pool_at,omitempty"`
	Order      []Candidate `json:"order,omitempty"`
	Policy     string      `json:"policy,omitempty"`
	Profile    string      `json:"profile,omitempty"`
	Ack        string      `json:"acknowledge,omitempty"`
	Result     string      `json:"result"` // forward, reject, record or drop
	Reason     string      `json:"reason,omitempty"`
	Text       string      `json:"text,omitempty"`
}

// Explainer answers Questions from a configuration. It takes the same
// decisions as a Shard, with time to say why.
type Explainer struct {
	Set     *realm.Set
	Clients *client.Table
	Homes   *home.View
	Policy  *device.Table // nil: none is loaded
	Now     int64         // monotonic ns of the homes' states
	Wall    int64         // unix seconds
}

// Explain answers from the running configuration and the homes' present
// state.
func (h *Hub) Explain(q Question) Explanation {
	snap := h.Snapshot()
	e := Explainer{Set: snap.Set, Clients: snap.Clients, Homes: snap.Homes, Policy: h.policy,
		Now: h.monotonic(), Wall: wallSeconds()}
	x := e.Explain(q)
	x.Generation = snap.Generation
	return x
}

// Explain answers q.
func (e *Explainer) Explain(q Question) (x Explanation) {
	spec, known := e.client(q.Client)
	if !known {
		return refused(x, "drop", UnknownClient, "no client has this name or address: its packets are silently discarded (RFC 2865 section 3)")
	}
	if spec != nil {
		x.Client, x.ClientAt = spec.Name, spec.Pos.String()
	}
	user, rlm, why := nai.Split([]byte(q.NAI))
	if why != nai.OK {
		return unroutable(x, &q, ofNAI(why), ofNAI(why).Text())
	}
	var buf [253]byte
	var folded []byte
	r := e.Set.Table.None()
	x.Match = "none"
	if rlm != nil {
		folded = nai.Fold(&buf, rlm)
		r = e.Set.Table.Lookup(folded)
		x.Realm, x.Match = string(folded), match(r, string(folded))
	}
	if r == nil {
		return unroutable(x, &q, NoRoute, NoRoute.Text())
	}
	x.Rule, x.RuleAt = r.Realm, r.Pos.String()
	if r.Reject != "" {
		return unroutable(x, &q, RouteRejects, r.Reject)
	}
	if q.Accounting {
		x.Ack = r.Acknowledge.String()
		return accounted(e.place(x, r.Acct, home.Acct, &q), r.Acct)
	}
	x = e.place(x, r.Auth, home.Auth, &q)
	if r.Auth < 0 {
		return refused(x, "reject", NoPool, NoPool.Text())
	}
	x = e.permit(x, r, spec, &q, user, folded)
	if x.Result == "forward" && len(x.Order) == 0 {
		return refused(x, "reject", NoPool, NoPool.Text())
	}
	return x
}

// place tells the pool and the order of its homes now.
func (e *Explainer) place(x Explanation, pool int32, kind home.Kind, q *Question) Explanation {
	if pool >= 0 {
		p := e.Homes.Pool(pool, kind)
		x.Pool, x.PoolAt = p.Spec.Name, p.Spec.Pos.String()
		x.Order = e.order(p, kind, q)
	}
	return x
}

// accounted says what becomes of a record that has a rule.
func accounted(x Explanation, pool int32) Explanation {
	x.Result = "forward"
	switch {
	case pool < 0:
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

func match(r *realm.Route, folded string) string {
	switch {
	case r == nil:
		return ""
	case r.Realm == folded:
		return "exact"
	case r.Realm == realm.NameDefault:
		return "default"
	}
	return "suffix"
}

// client finds who asks: nothing named is any client.
func (e *Explainer) client(name string) (*realm.Client, bool) {
	if name == "" {
		return nil, true
	}
	if a, err := netip.ParseAddr(name); err == nil {
		if c := e.Clients.Lookup(a); c != nil {
			return c.Spec, true
		}
		return nil, false
	}
	for i := range e.Set.Clients {
		if e.Set.Clients[i].Name == name {
			return &e.Set.Clients[i], true
		}
	}
	return nil, false
}

func (e *Explainer) permit(x Explanation, r *realm.Route, spec *realm.Client, q *Question, user, folded []byte) Explanation {
	x.Result, x.Policy = "forward", "off"
	if !r.Policy.Enabled {
		return x
	}
	if e.Policy == nil {
		x.Policy = "not loaded"
		return x
	}
	d := e.Policy.Peek(e.query(r, spec, q, user, folded))
	x.Policy = d.Outcome.String()
	if d.Profile != nil {
		x.Profile = d.Profile.Name
	}
	switch {
	case d.Outcome == device.Miss:
		x.Policy = "not in memory: the store would be asked"
	case d.Outcome != device.Allow:
		return refused(x, "reject", ofDevice(d.Reason), ofDevice(d.Reason).Text())
	case d.Reason != device.OK:
		x.Policy += " by the realm's rule: " + d.Reason.String()
	}
	return x
}

func (e *Explainer) query(r *realm.Route, spec *realm.Client, q *Question, user, folded []byte) *device.Query {
	dq := &device.Query{Route: r, User: user, Realm: folded, Client: spec, Now: e.Now, Wall: e.Wall}
	set := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	dq.IMSI, dq.CallingStation, dq.CUI = set(q.IMSI), set(q.Station), set(q.CUI)
	if q.NASPortType >= 0 {
		dq.NASPortType, dq.HasNASPortType = uint32(q.NASPortType), true
	}
	if q.RATType >= 0 {
		dq.RATType, dq.HasRATType = uint8(q.RATType), true
	}
	return dq
}

// order lists the members of a pool as Pick would try them now.
func (e *Explainer) order(p *home.Pool, kind home.Kind, q *Question) []Candidate {
	key := spread(hashBasis, []byte(q.NAI))
	if q.Station != "" {
		key = spread(key, []byte(q.Station))
	}
	var cs []Candidate
	for _, i := range p.Order(key) {
		hm := e.Homes.Home(i)
		health, cause := hm.Health(kind)
		c := Candidate{Home: hm.Spec.Name, State: health.String(), Cause: cause.String(), At: hm.Spec.Pos.String(),
			Address: hm.Addr[kind].AddrPort().String()}
		for _, m := range p.Spec.Members {
			if e.Set.Homes[m.Home].Name == hm.Spec.Name {
				c.Priority, c.Weight = m.Priority, m.Weight
			}
		}
		cs = append(cs, c)
	}
	return cs
}

func wallSeconds() int64 { return time.Now().Unix() }

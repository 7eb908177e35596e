package aaa

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
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
	Match      string      `json:"match,omitempty"` // the word of a realm.Tier
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
	c, known := e.client(q.Client)
	if !known {
		return refused(x, "drop", UnknownClient, "no client has this name or address: its packets are silently discarded (RFC 2865 section 3)")
	}
	if c != nil {
		x.Client, x.ClientAt = c.Spec.Name, c.Spec.Pos.String()
	}
	p, err := q.packet()
	if err != nil {
		return unroutable(x, &q, ofNAI(nai.TooLong), err.Error())
	}
	o, kind := &router{}, home.Auth
	if q.Accounting {
		kind = home.Acct
	}
	name, _ := p.First(radius.UserName)
	d := o.decide(&asking{snap: e.snapshot(), client: c, from: e.source(&q, c), kind: kind, wall: e.Wall}, p, name)
	x.Realm = string(d.folded)
	if d.route == nil {
		return unroutable(x, &q, d.why, d.why.Text())
	}
	x.Rule, x.RuleAt, x.Match = d.route.Label(), d.route.Pos.String(), d.route.Tier().String()
	if d.why == RouteRejects {
		return unroutable(x, &q, RouteRejects, d.route.Reject)
	}
	if d.pool != nil {
		x.Pool, x.PoolAt = d.pool.Spec.Name, d.pool.Spec.Pos.String()
		x.Order = e.order(d, kind)
	}
	switch {
	case d.why != OK:
		return unroutable(x, &q, d.why, d.why.Text())
	case q.Accounting:
		x.Ack = d.route.Acknowledge.String()
		return accounted(x, d.pool)
	}
	x = e.permit(x, d, c, p)
	if x.Result == "forward" && len(x.Order) == 0 {
		return refused(x, "reject", NoPool, NoPool.Text())
	}
	return x
}

// snapshot is as much of one as routing looks at.
func (e *Explainer) snapshot() *Snapshot {
	return &Snapshot{Set: e.Set, Clients: e.Clients, Homes: e.Homes, fence: newFence(e.Set, e.Clients)}
}

// source is where the question comes from: the address it names, or the one
// address of its client.
func (e *Explainer) source(q *Question, c *client.Client) netip.Addr {
	if a, err := netip.ParseAddr(q.Client); err == nil {
		return a.Unmap()
	}
	if c != nil && len(c.Spec.Prefixes) == 1 && c.Spec.Prefixes[0].IsSingleIP() {
		return c.Spec.Prefixes[0].Addr().Unmap()
	}
	return netip.Addr{}
}

// packet is the request that the question is about, as far as it says.
func (q *Question) packet() (*radius.Packet, error) {
	var w radius.Writer
	code := radius.AccessRequest
	if q.Accounting {
		code = radius.AccountingRequest
	}
	b := make([]byte, radius.MaxLen)
	w.Start(b, code, 0, false)
	fits := w.Add(radius.UserName, []byte(q.NAI))
	add := func(t radius.Type, s string) {
		if s != "" {
			fits = fits && w.Add(t, []byte(s))
		}
	}
	add(radius.CallingStationID, q.Station)
	add(radius.ChargeableUserID, q.CUI)
	if q.IMSI != "" {
		fits = fits && w.AddVendor(vendor3GPP, tgppIMSI, []byte(q.IMSI))
	}
	if q.NASPortType >= 0 {
		w.AddUint32(radius.NASPortType, uint32(q.NASPortType))
	}
	if q.RATType >= 0 {
		w.AddVendor(vendor3GPP, tgppRATType, []byte{uint8(q.RATType)})
	}
	binary.BigEndian.PutUint16(b[2:], uint16(w.Len()))
	p := new(radius.Packet)
	if !fits || p.Parse(b[:w.Len()]) != radius.OK {
		return nil, errors.New("no attribute holds so much")
	}
	return p, nil
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
		c := e.Clients.Lookup(a)
		return c, c != nil
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

// order lists the members of a pool as Pick would try them now.
func (e *Explainer) order(d *direction, kind home.Kind) []Candidate {
	var cs []Candidate
	p := d.pool
	for _, i := range p.Order(d.key) {
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

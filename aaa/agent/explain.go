package agent

import (
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// Question is a request that somebody asks about.
type Question struct {
	From                 string // name of the peer, "": anybody
	Application, Command uint32
	Realm                string // Destination-Realm
	Host                 string // Destination-Host, "": none
	User                 string // User-Name, "": none
	Session              string // Session-Id, "": any
	OriginHost           string // "": that of From
	OriginRealm          string
	RouteRecords         []string
	Visited              realm.Network // Visited-PLMN-Id, 0: none
	ServiceCentre        string        // SC-Address, digits, "": none
}

// Explanation is what would become of it.
type Explanation struct {
	Why    Reason // OK: it would be sent to the first of Candidates that is connected
	Text   string
	Result uint32 // Result-Code of the answer, 0: a peer's
	// Realm and User are what a decorated name becomes, "": it stays.
	Realm, User string
	Route       *realm.Route // nil: none
	Routes      []realm.Candidate
	Pool        *realm.Pool // nil: the host itself, or the gateway to RADIUS
	RADIUS      bool
	Contract    *realm.Contract
	Candidates  []Candidate // in the order of trial
	Deadline    time.Duration
	// Screening is what the peer is judged by, "": nothing, and Broken are its rules
	// that the request breaks, each with its mode.
	Screening string
	Broken    []string
}

// Candidate is a peer that could have the request, or why it could not.
type Candidate struct {
	Peer *realm.Peer
	Why  Reason
}

// Explainer says what would become of requests, by the code that decides it, with all
// peers connected. It is for one goroutine.
type Explainer struct {
	atlas  *atlas
	nodes  []*node
	router router
	radius *node
	guard  *guard
}

// NewExplainer makes one for a configuration. The identity and the realm are the
// agent's.
func NewExplainer(identity, rlm string, set *realm.Set) *Explainer {
	e := &Explainer{nodes: make([]*node, len(set.Peers)), radius: &node{peer: &realm.Peer{}, nodeWalk: nodeWalk{gateway: true}}}
	for i := range set.Peers {
		if p := &set.Peers[i]; !p.Disabled {
			e.nodes[i] = &node{peer: p, index: int32(i), relay: true, links: make([]*link, 1)}
		}
	}
	e.atlas = newAtlas(lower(identity), lower(rlm), newSnapshot(set, stat.NewRegistry()), e.nodes)
	e.guard = newGuard(&Config{Identity: identity, Realm: rlm}, &Rooms{}, set)
	return e
}

// Explain answers a Question. wall is in Unix seconds.
func (e *Explainer) Explain(q Question, wall int64) *Explanation {
	a := asking{atlas: e.atlas, gateway: e.radius, client: nobody, wall: wall}
	for _, n := range e.nodes {
		if n != nil && n.peer.Name == q.From {
			a.from = n
			if c := n.peer.Client; c >= 0 && int(c) < len(e.atlas.set.Clients) {
				a.client = &e.atlas.set.Clients[c]
			}
			if q.OriginHost == "" {
				q.OriginHost, q.OriginRealm = n.peer.Identity, n.peer.Realm
			}
		}
	}
	var m diameter.Message
	x := &Explanation{}
	if fault := m.Parse(q.message()); fault != diameter.NoFault {
		x.say(ofFault(fault), 0)
		return x
	}
	refused := e.screened(x, &a, &m)
	d := e.router.decide(&a, &m)
	x.say(d.why, d.result)
	x.Realm, x.User, x.Contract = string(d.realm), string(d.user), d.contract
	if d.way != nil {
		x.Route = d.way.route
	}
	if d.folded != nil && e.router.query.Realm != nil {
		e.atlas.set.Table.Candidates(&e.router.query, func(c realm.Candidate) bool {
			x.Routes = append(x.Routes, c)
			return true
		})
	}
	x.Deadline = time.Duration(d.way.deadlineOf(&m.Header))
	switch {
	case d.only == e.radius && d.only != nil:
		x.RADIUS = true
	case d.only != nil:
		x.Candidates = []Candidate{{Peer: d.only.peer}}
	case d.pool != nil:
		x.Pool = d.pool.spec
		e.candidates(x, &a, &m, d)
	}
	if refused != nil {
		x.say(Screened, refused.result)
		if refused.disposition == dropped {
			x.say(Dropped, 0)
		}
	}
	return x
}

// screened says which rules a request breaks, and gives what is answered for it, nil: it
// goes on. Of subscribers nothing is known here.
func (e *Explainer) screened(x *Explanation, a *asking, m *diameter.Message) *verdict {
	if a.from == nil {
		return nil
	}
	q := asked{m: m, peer: a.from.index, client: a.client}
	x.Broken = e.guard.explainScreening(&q)
	v := e.guard.screened(&q)
	x.Screening = e.guard.screen.Of(a.from.index).Name
	if v.disposition == passed {
		return nil
	}
	return &v
}

func (x *Explanation) say(why Reason, result uint32) {
	x.Why, x.Text, x.Result = why, why.Text(), result
	if result == 0 {
		x.Result = why.Result()
	}
}

// candidates puts the members of the pool into the order of trial.
func (e *Explainer) candidates(x *Explanation, a *asking, m *diameter.Message, d *direction) {
	tried, key := d.barred, d.key
	for {
		at, why := d.pool.choose(tried, m.Application, defaultPriority, key)
		if at < 0 {
			if len(x.Candidates) == 0 && x.Why == OK {
				x.say(why, 0)
			}
			break
		}
		tried |= 1 << at
		x.Candidates = append(x.Candidates, Candidate{Peer: d.pool.members[at].node.peer})
	}
	for i := range d.pool.members {
		n := d.pool.members[i].node
		if tried&(1<<i) != 0 && d.barred&(1<<i) == 0 {
			continue
		}
		why := e.router.bars(a, m, n)
		switch {
		case why == OK && d.barred&(1<<i) != 0:
			why = HostAway
		case why == OK:
			why = ApplicationNotServed
		}
		x.Candidates = append(x.Candidates, Candidate{Peer: n.peer, Why: why})
	}
}

// message writes the request that the Question is about.
func (q *Question) message() []byte {
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	var w diameter.Writer
	w.Begin(make([]byte, diameter.MaxLen), &diameter.Header{
		Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: q.Command, Application: q.Application,
	})
	const m = diameter.AVPMandatory
	w.String(diameter.SessionID, 0, m, or(q.Session, "explain;1;1"))
	w.String(diameter.OriginHost, 0, m, or(q.OriginHost, "somebody.invalid"))
	w.String(diameter.OriginRealm, 0, m, or(q.OriginRealm, "invalid"))
	if q.Realm != "" {
		w.String(diameter.DestinationRealm, 0, m, q.Realm)
	}
	if q.Host != "" {
		w.String(diameter.DestinationHost, 0, m, q.Host)
	}
	switch {
	case q.User == "":
	case q.identifies():
		at := w.Group(diameter.TGPPUserIdentifier, diameter.Vendor3GPP, m)
		w.String(diameter.UserName, 0, m, q.User)
		w.End(at)
	default:
		w.String(diameter.UserName, 0, m, q.User)
	}
	if q.Visited != 0 {
		w.Bytes(diameter.TGPPVisitedPLMNID, diameter.Vendor3GPP, m, q.Visited.AppendVisited(nil))
	}
	if q.ServiceCentre != "" {
		w.Bytes(diameter.TGPPSCAddress, diameter.Vendor3GPP, m, tbcd(q.ServiceCentre))
	}
	for _, r := range q.RouteRecords {
		w.String(diameter.RouteRecord, 0, m, r[:min(len(r), nai.MaxLen)])
	}
	return w.Finish()
}

// identifies reports whether the request has its subscriber in a User-Identifier (TS
// 29.338 sections 5.3 and 6.3, TS 29.128 section 6.2).
func (q *Question) identifies() bool {
	switch q.Application {
	case diameter.AppS6t, diameter.AppT6a:
		return true
	case diameter.AppS6c, diameter.AppSGd:
		return q.Command != diameter.SendRoutingInfoSM && q.Command != diameter.MTForwardSM
	}
	return false
}

// tbcd writes digits two in an octet, the first in the lower half.
func tbcd(number string) (out []byte) {
	for i := 0; i < len(number); i += 2 {
		high := byte(15)
		if i+1 < len(number) {
			high = number[i+1] - '0'
		}
		out = append(out, (number[i]-'0')&15|high<<4)
	}
	return out
}

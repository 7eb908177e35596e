package aaa

import (
	"context"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/discovery"
)

// A route may leave it to DNS where its requests go (realm.Discovery). The
// router looks the realm up in a table that all shards share; what is there
// costs no more than a pool. What is not there is looked up off the shard
// while the Exchange is parked, as with the device policy, and no other packet
// waits. Access-Requests for which there is no peer are rejected; accounting is
// recorded as ever, and owed where the route acknowledges it first.

// peers are the pools that were made of what DNS says.
type peers = discovery.Table[*home.Pool]

// selfWarn is how often it is logged that a zone names us, whatever number of
// zones do.
const selfWarn = int64(time.Second)

// newPeers makes the table; it looks up what the configuration of the moment
// says, with the servers of the host's names.
func (h *Hub) newPeers() *peers {
	resolver := &discovery.Resolver{DNS: discovery.NewDNS(h.conf.DNS), Listens: h.ownDoors()}
	seconds := h.stats.AtomicHistogram("roamgate_discovery_seconds", "Time that looking a realm up took.", stat.LatencyBounds)
	return discovery.NewTable(discovery.Config[*home.Pool]{
		Now: h.monotonic,
		Discover: func(ctx context.Context, name string, of *realm.Discovery, s discovery.Service) discovery.Result {
			began := h.monotonic()
			defer func() { seconds.Observe(h.monotonic() - began) }()
			return resolver.Discover(ctx, name, of, s, nil)
		},
		Build: h.buildPeers, Learned: h.learnedPeers,
	})
}

// ownDoors are where peers can reach us.
func (h *Hub) ownDoors() (all []netip.AddrPort) {
	for _, a := range h.conf.Listen {
		if a.Transport.Secured() {
			all = append(all, a.Addr)
		}
	}
	return all
}

// buildPeers makes a pool of the targets of a realm.
func (h *Hub) buildPeers(name string, of *realm.Discovery, s discovery.Service, res *discovery.Result, ttl time.Duration) (*home.Pool, bool) {
	until := time.Now().Add(ttl).Unix()
	var members []home.FoundMember
	for i := range res.Targets {
		to := &res.Targets[i]
		if to.Transport != realm.TLS {
			continue // connections to homes are TLS
		}
		hm, err := h.homes.Discover(home.Target{Addr: to.Addr, Host: to.Host, Holder: expected(name, of, to), By: of}, until)
		if err != nil {
			break // as many as there is room for: the best come first
		}
		members = append(members, home.FoundMember{Home: hm, Priority: to.Priority, Weight: to.Weight})
	}
	if len(members) == 0 {
		return nil, false
	}
	return h.homes.FoundPool(of, kindOf(s), members), true
}

// expected says whose certificate a target has to show: one that names the realm
// (RFC 7585 section 2.2), or the host where the profile is content with it.
func expected(name string, of *realm.Discovery, to *discovery.Target) *realm.Holder {
	if of.Hosts {
		return &realm.Holder{Hosts: []string{to.Host}}
	}
	label, _ := discovery.Question(name, false) // as certificates have it, in A-labels
	return &realm.Holder{Realms: []string{label}}
}

// learnedPeers tells what operators should look at: that a realm which is routed
// to others is served by ourselves (RFC 7585 section 3.4.3 step 19).
func (h *Hub) learnedPeers(e *discovery.Entry[*home.Pool], client string) {
	switch e.Cause {
	case discovery.OK:
		h.log.Debug("peers discovered", zap.String("realm", e.Realm), zap.Stringer("kind", e.Service), zap.Int("targets", len(e.Targets)), zap.Duration("ttl", e.TTL))
	case discovery.Self:
		if now := h.monotonic(); now >= h.selfQuiet.Load() {
			h.selfQuiet.Store(now + selfWarn)
			h.log.Warn("realm is discovered to be served here: it is not asked for until the back-off is over",
				zap.String("realm", e.Realm), zap.String("discovery", e.By.Name), zap.String("client", client),
				zap.String("target", e.Why), zap.Duration("backoff", e.TTL))
		}
	default:
		h.log.Debug("no peer discovered", zap.String("realm", e.Realm), zap.Stringer("kind", e.Service), zap.String("reason", e.Cause.String()), zap.String("why", e.Why))
	}
}

// peerSeries exports what the table counts.
func (h *Hub) peerSeries() {
	c := h.peers.Counters()
	for _, cause := range discovery.Causes() {
		h.stats.CounterFunc("roamgate_discovery_lookups_total", "Realms looked up by DNS for their peers, and those that were not because too many are.",
			func() float64 { return float64(c.Lookups[cause].Load()) }, "result", cause.String())
	}
	for _, b := range discovery.Blocks() {
		h.stats.CounterFunc("roamgate_discovery_blocked_total", "Records of realms' zones that were not used.",
			func() float64 { return float64(c.Blocked[b].Load()) }, "reason", b.String())
	}
	h.stats.GaugeFunc("roamgate_discovery_cache_entries", "Realms of which it is known what DNS says, that there is nothing included.", func() float64 {
		n, _, _ := h.peers.Level()
		return float64(n)
	})
}

func serviceOf(k home.Kind) discovery.Service {
	if k == home.Acct {
		return discovery.Acct
	}
	return discovery.Auth
}

func kindOf(s discovery.Service) home.Kind {
	if s == discovery.Acct {
		return home.Acct
	}
	return home.Auth
}

// takesAccounting says whether a route forwards accounting.
func takesAccounting(r *realm.Route) bool {
	return r.Acct >= 0 || r.Discover != nil && len(r.Discover.Acct) > 0
}

// ofCause is the Reason of an Access-Reject.
func ofCause(c discovery.Cause) Reason {
	switch c {
	case discovery.OK:
		return OK
	case discovery.Timeout, discovery.Failed:
		return DiscoveryFailed
	case discovery.OverQuota, discovery.Busy, discovery.NoRoom:
		return DiscoveryBusy
	}
	return NoPeer
}

// peers finds the pool of a route that is discovered: it is known, or has to be
// sought, or there is none.
//
// hot: 0 allocs
func (o *router) peers(a *asking) {
	d := &o.to
	if d.folded == nil {
		d.why = NoPeer
		return
	}
	d.seek = true
	if a.peers == nil {
		return
	}
	e := a.peers.Lookup(d.route.Discover, serviceOf(a.kind), d.folded, a.now)
	switch {
	case e == nil:
	case e.Cause == discovery.OK:
		d.pool, d.seek = e.Value, false
		d.barred, d.why = barred(a.snap.Homes, d.pool, d.folded, a.from)
	case a.kind == home.Auth:
		d.why, d.seek = ofCause(e.Cause), false
	case e.Cause == discovery.NoPeer:
		d.seek = false // the realm takes no accounting: it ends here
	}
}

// seek has the peers of an Exchange's realm looked up. Until PeersFound it
// waits for nothing else.
func (s *Shard) seek(slot uint32, ex *Exchange) Reason {
	name := ""
	if ex.client != nil {
		name = ex.client.Spec.Name
	}
	folded := s.routedRealm(ex, s.acceptedAgain(ex))
	return ofCause(s.hub.peers.Ask(name, ex.route.Discover, serviceOf(ex.kind), folded, s, s.slab.token(slot)))
}

// acceptedAgain gives the request of an Exchange as it was taken: it was, so it
// is again.
func (s *Shard) acceptedAgain(ex *Exchange) *radius.Packet {
	p, _ := s.accepted(ex, s.parsed(ex))
	return p
}

// routedRealm gives the realm that an Exchange is routed by, folded, until the
// router decides again.
func (s *Shard) routedRealm(ex *Exchange, p *radius.Packet) []byte {
	name, _ := p.First(radius.UserName)
	s.router.to = direction{}
	s.router.identify(&ex.snap.Set.Identity, name)
	return s.router.to.folded
}

// PeersFound goes on with an Exchange whose realm has been looked up. It is safe
// for concurrent use.
func (s *Shard) PeersFound(token uint64) { post(s, &s.mail.peers, token) }

// found goes on with an Exchange whose realm has been looked up.
func (s *Shard) found(slot uint32, ex *Exchange) {
	if ex.kind == home.Auth && ex.orphan() {
		s.end(slot)
		return
	}
	p := s.acceptedAgain(ex)
	folded := s.routedRealm(ex, p)
	e := s.hub.peers.Lookup(ex.route.Discover, serviceOf(ex.kind), folded, s.now)
	why := DiscoveryBusy // there was no room for what was found
	if e != nil {
		why = ofCause(e.Cause)
	}
	if why == OK {
		ex.pool, ex.seeks = e.Value, false
		ex.barred, why = barred(ex.snap.Homes, ex.pool, folded, ex.from.Addr())
		ex.tried = ex.barred
	}
	switch {
	case ex.kind == home.Auth && why == OK:
		s.forwardAuth(slot, ex, p)
		return
	case ex.kind == home.Auth:
		s.refuse(slot, ex, why)
		return
	case why == OK:
		s.forwardAccounting(slot, ex)
	case e != nil && e.Cause == discovery.NoPeer:
		ex.homeDone = true // the realm takes no accounting: it is here, and that is all
	default:
		s.homeFailed(slot, ex, why)
	}
	s.settle(slot, ex)
}

// Known is what DNS has said about a realm, for people.
type Known struct {
	Result  string        `json:"result"` // the word of a discovery.Cause
	Text    string        `json:"text,omitempty"`
	Why     string        `json:"why,omitempty"`
	Seconds int           `json:"seconds"` // that it holds
	Targets []KnownTarget `json:"targets,omitempty"`
}

// KnownTarget is one address that DNS has led to.
type KnownTarget struct {
	Address  string `json:"address"`
	Host     string `json:"host,omitempty"`
	Priority int    `json:"priority"`
	Weight   int    `json:"weight"`
}

// discovered tells by what the homes of a route are found, and what is known.
func (e *Explainer) discovered(x *Explanation, s *Shard, d *direction) {
	of, kind := d.route.Discover, s.asking.kind
	if of == nil || d.folded == nil || kind == home.Auth && d.route.Auth >= 0 || kind == home.Acct && (d.route.Acct >= 0 || len(of.Acct) == 0) {
		return
	}
	x.DiscoveredBy = of.Name
	x.Discovery, _ = discovery.Question(string(d.folded), of.Public)
	if e.hub == nil {
		return
	}
	entry := e.hub.peers.Peek(of, serviceOf(kind), d.folded, e.Now)
	if entry == nil {
		return
	}
	x.Known = &Known{Result: entry.Cause.String(), Why: entry.Why, Seconds: int(time.Duration(entry.Until-e.Now).Round(time.Second) / time.Second)}
	if entry.Cause != discovery.OK {
		x.Known.Text = entry.Cause.Text()
	}
	for _, to := range entry.Targets {
		x.Known.Targets = append(x.Known.Targets, KnownTarget{to.Addr.String(), to.Host, to.Priority, to.Weight})
	}
}

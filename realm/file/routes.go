package file

import (
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// Services of a home, as indexes.
const (
	auth = iota
	acct
	diam // of a peer
	services
)

// realms compiles the realms of all files.
func (l *loader) realms(all []source) {
	l.usedPool = l.noPool()
	var parts []part
	for i := range all {
		s := &all[i]
		parts = append(parts, part{source: s, rows: s.Realms})
		for _, p := range s.pieces {
			parts = append(parts, part{source: s, piece: p})
		}
		s.Realms, s.pieces = nil, nil
	}
	readers := make([]routeReader, min(l.workers, len(parts)))
	for i := range readers {
		readers[i].init(l)
	}
	inOrder(len(parts), len(readers), func(worker, i int, r *routes) {
		readers[worker].read(&parts[i], r)
	}, func(i int, r *routes) bool {
		l.take(&parts[i], r, len(parts)-i)
		return true
	})
	for i := range readers {
		for service := range l.usedPool {
			for p, used := range readers[i].usedPool[service] {
				l.usedPool[service][p] = l.usedPool[service][p] || used
			}
		}
		l.special = l.special || readers[i].special
		l.ranged = l.ranged || readers[i].ranged
		l.narrow = l.narrow || readers[i].narrow
	}
	if len(l.doubtful) > 0 {
		return
	}
	l.order()
	if l.set.Table = realm.NewTable(l.set.Routes); !l.special && l.set.Table.Len() < len(l.set.Routes) {
		l.realmsTwice()
	}
}

func (l *loader) noPool() (used [services][]bool) {
	for i := range used {
		used[i] = make([]bool, len(l.set.Pools))
	}
	return used
}

// part is what is compiled at once: all realms of a file, or a piece of them.
type part struct {
	source *source
	rows   []realmEntry
	piece  piece
}

// routes are compiled from one part.
type routes struct {
	list            []realm.Route
	decoded, judged report
	spans           []span
	doubtful        bool
}

// routeReader compiles one part after the other.
type routeReader struct {
	loader
	tree tree
	row  realmEntry
}

// init shares with l what is only read.
func (w *routeReader) init(l *loader) {
	w.loader = loader{
		set: &realm.Set{}, groups: l.groups, clients: l.clients, homes: l.homes, pools: l.pools, ofPeers: l.ofPeers, peers: l.peers, discoveries: l.discoveries, steerings: l.steerings,
		oneLabel: l.oneLabel, partial: l.partial, now: l.now,
		usedPool: l.noPool(), scopes: make(map[string]*realm.Scope),
	}
}

func (w *routeReader) read(p *part, out *routes) {
	*out = routes{list: out.list[:0], spans: out.spans[:0]}
	w.set.Routes, w.spans, w.report = out.list, out.spans, &out.judged
	if p.piece.text == nil {
		for i := range p.rows {
			w.realm(&p.rows[i])
		}
	} else {
		w.readPiece(p, out)
	}
	out.list, out.spans = w.set.Routes, w.spans
}

func (w *routeReader) readPiece(p *part, out *routes) {
	t, ok := p.piece.parse(w.tree)
	if w.tree = t; !ok {
		out.doubtful = true
		return
	}
	d := decoder{name: p.source.name, tree: t, report: &out.decoded, reuse: true}
	for i := 1; i < len(t); i = int(t[i].end) {
		if !w.row.usual(&d, i) {
			w.row = realmEntry{Realm: w.row.Realm[:0]}
			d.into(i, &w.row, "each of realms")
		}
		w.realm(&w.row)
	}
}

// take adds what was compiled from the next of the parts; left are to come.
func (l *loader) take(p *part, r *routes, left int) {
	if r.doubtful {
		l.doubtful = append(l.doubtful, p.source.name)
	}
	p.source.report.join(&r.decoded)
	l.report.join(&r.judged)
	if n := len(r.list); cap(l.set.Routes)-len(l.set.Routes) < n {
		l.set.Routes = slices.Grow(l.set.Routes, n+n*(left-1)*17/16)
	}
	first := len(l.set.Routes)
	l.set.Routes = append(l.set.Routes, r.list...)
	for _, s := range r.spans {
		l.spans = append(l.spans, span{s.first + int32(first), s.n})
	}
	for i := first; i < len(l.set.Routes); i++ {
		l.set.Routes[i].Index = int32(i)
	}
}

// realmsTwice names each realm that stands twice.
func (l *loader) realmsTwice() {
	seen := make(map[string]int, len(l.set.Routes))
	for i := range l.set.Routes {
		r := &l.set.Routes[i]
		if first, twice := seen[r.Realm]; twice {
			l.fail(r.Pos, twiceHint(r, &l.set.Routes[first]), "realm %s is defined twice", quote(r.Realm))
			continue
		}
		seen[r.Realm] = i
	}
}

// twiceHint says where a subject stood first.
func twiceHint(r, first *realm.Route) string {
	hint := "first at " + first.Pos.String()
	if r.RADIUS() != first.RADIUS() || (r.Diameter == nil) != (first.Diameter == nil) {
		hint += "; one entry says what becomes of both protocols"
	}
	return hint
}

// realm adds a route for each subject of the entry.
func (l *loader) realm(e *realmEntry) {
	if e.Pos.Line == 0 {
		return
	}
	route := realm.Route{
		Discover:    l.discover(e),
		Auth:        l.poolFor(e, e.Auth, auth),
		Acct:        l.poolFor(e, e.Accounting, acct),
		Diameter:    l.diameter(e),
		Steering:    l.steeringOf(e),
		Reject:      l.names.keep(e.Reject.v),
		Acknowledge: l.acknowledge(e),
		Policy:      l.policy(e),
	}
	l.judgeRoute(e)
	name := l.routeRules(e, &route)
	s := l.subjectsOf(e)
	first := len(l.set.Routes)
	for i := range s.list {
		pos := s.list[i].pos(e.Pos.File)
		subject, text, hint := l.subject(&s, s.list[i].v)
		if text != "" {
			l.badSubject(s.key, pos, s.list[i].v, text, hint)
			continue
		}
		if s.prefix != "" {
			subject = s.prefix + subject
		}
		route.Realm, route.Pos = l.names.keep(subject), pos
		if name != "" {
			route.Name = name
			if len(s.list) > 1 {
				route.Name = l.names.keep(name + "/" + subject)
			}
		}
		l.set.Routes = append(l.set.Routes, route)
	}
	l.ranged = l.ranged || s.prefix == prefixIMSI
	l.narrow = l.narrow || s.prefix == prefixPLMN
	if s.prefix == prefixRealm || s.prefix == prefixName {
		l.special, l.narrow = true, true
		if n := len(l.set.Routes) - first; n > 1 {
			l.spans = append(l.spans, span{int32(first), int32(n)})
		}
	}
}

func (l *loader) badSubject(key string, pos realm.Pos, value, text, hint string) {
	if key == "realm" {
		l.fail(pos, hint, "%s: %s", quote(value), text)
		return
	}
	l.fail(pos, hint, "%s: %s %s", key, quote(value), text)
}

const maxRank = 1_000_000_000

// routeRules reads what narrows and changes a route beside its subject, and
// returns its name.
func (l *loader) routeRules(e *realmEntry, r *realm.Route) (name string) {
	if e.Groups == nil && e.When == nil && !e.Rank.set() && !e.Name.set() && !e.CUI.set() && !e.Rewrite.Realm.set() && !e.Rewrite.Strip.set() {
		return ""
	}
	file := e.Pos.File
	r.For = l.scope(e)
	r.When = l.condition(e, r.For)
	r.Rewrite = l.rewrite(e)
	r.IssueCUI = choose(l, e.Pos, "cui", e.CUI, false, []string{"issue", "pass"}, true, false)
	if r.Rewrite != nil && !r.RADIUS() {
		l.warn(e.Pos, "remove it", "rewrite: the User-Name of Diameter requests stays as it is")
	}
	if r.IssueCUI && !e.Auth.set() {
		l.warn(e.CUI.pos(file), "remove it", "cui: nothing is authenticated here")
	}
	if r.Rank = int32(e.Rank.v); e.Rank.v < 0 || e.Rank.v > maxRank {
		l.fail(e.Rank.pos(file), "the lower is tried first", "rank is not in 0 to %d", maxRank)
	}
	expr := len(e.RealmRegexp)+len(e.NameRegexp) > 0
	if e.Rank.set() && !conditioned(r) && !expr && e.When == nil {
		l.warn(e.Rank.pos(file), "remove it", "rank: a route without groups and when comes last among those of its name")
	}
	l.judgeProtocols(e, r)
	l.special = l.special || conditioned(r) || e.Name.set() || expr
	if e.Name.set() && l.name(e.Pos, e.Name) {
		return l.names.keep(e.Name.v)
	}
	return ""
}

// poolFor returns the index of a pool for a service, -1 if none is named.
func (l *loader) poolFor(e *realmEntry, name at[string], service int) int32 {
	if !name.set() {
		return -1
	}
	p, known := l.pools[name.v]
	if !known && l.partial {
		return -1
	}
	if !known {
		if _, isHome := l.homes[name.v]; isHome {
			l.fail(name.pos(e.Pos.File), "that is a home; name a pool it is in", "pool %s does not exist", quote(name.v))
			return -1
		}
		if _, isPeer := l.peers[name.v]; isPeer {
			l.fail(name.pos(e.Pos.File), "that is a peer; name a pool it is in", "pool %s does not exist", quote(name.v))
			return -1
		}
		word := strings.Clone(name.v)
		l.report.later(name.pos(e.Pos.File), Error, func() string { return meant(word, l.pools, "add it under pools:") },
			"pool %s does not exist", quote(name.v))
		return -1
	}
	if of := l.ofPeers[p]; of != (service == diam) {
		text, hint := "pool %s has homes, which do not speak Diameter", "name a pool with peers:"
		if of {
			text, hint = "pool %s has peers, which speak Diameter", "write diameter: "+name.v
		}
		l.fail(name.pos(e.Pos.File), hint, text, quote(name.v))
		return -1
	}
	l.usedPool[service][p] = true
	return p
}

func (l *loader) acknowledge(e *realmEntry) realm.Acknowledge {
	otherwise := realm.AcknowledgeDurable
	forwarded := e.Accounting.set() || e.Diameter.set() && (!e.Diameter.Action.set() || e.Diameter.Action.v == "proxy" || e.Diameter.Action.v == "relay")
	if e.Discover.set() {
		d := l.discoveries[e.Discover.v]
		forwarded = forwarded || d != nil && len(d.Acct) > 0
	}
	if forwarded {
		otherwise = realm.AcknowledgeHome
	}
	mode := choose(l, e.Pos, "acknowledge", e.Acknowledge, otherwise,
		[]string{"home", "durable"}, realm.AcknowledgeHome, realm.AcknowledgeDurable)
	if mode == realm.AcknowledgeHome && !forwarded && !l.partial {
		l.fail(e.Acknowledge.pos(e.Pos.File), "add accounting:, or write durable", "acknowledge: home without an accounting pool")
	}
	return mode
}

func (l *loader) policy(e *realmEntry) realm.Policy {
	p := realm.Policy{
		Enabled: e.Policy.Enabled.v,
		AllowUnknown: choose(l, e.Pos, "unknown_device", e.Policy.UnknownDevice, false,
			[]string{"reject", "allow"}, false, true),
		FailOpen: choose(l, e.Pos, "store_away", e.Policy.StoreAway, false,
			[]string{"reject", "allow"}, false, true),
	}
	for _, word := range []at[string]{e.Policy.UnknownDevice, e.Policy.StoreAway} {
		if word.set() && !p.Enabled {
			l.warn(word.pos(e.Pos.File), "add enabled: true", "the policy is off, so this has no effect")
			break
		}
	}
	l.unjudged(e, p.Enabled)
	return p
}

// unjudged looks for a policy that Diameter requests pass by.
func (l *loader) unjudged(e *realmEntry, enabled bool) {
	d, pos := &e.Diameter, e.Policy.Enabled.pos(e.Pos.File)
	switch action := d.Action.v; {
	case !enabled || !d.set():
	case action == realm.DiameterRelay.String():
		l.warn(pos, "write action: proxy, or remove it", "policy: action: relay passes Diameter requests on without asking it")
	case (action == realm.DiameterRedirect.String() || action == realm.DiameterReject.String()) && !e.Auth.set() && !e.Discover.set():
		l.warn(pos, "remove it", "policy: with action: %s it is never asked", action)
	}
}

// judgeRoute looks at keys that do not go together.
func (l *loader) judgeRoute(e *realmEntry) {
	file := e.Pos.File
	switch {
	case e.Reject.set() && (e.Auth.set() || e.Policy.Enabled.set() && !e.Diameter.set()):
		l.fail(e.Reject.pos(file), "keep auth or reject", "a rejected realm has no auth and no policy")
	case e.Reject.set() && e.Discover.set():
		l.fail(e.Reject.pos(file), "keep discover or reject", "a rejected realm is not discovered")
	case e.Reject.set() && strings.TrimSpace(e.Reject.v) == "":
		l.fail(e.Reject.pos(file), "say why, for whoever looks at the device", "reject has no text")
	case e.Reject.set():
		if text := badText(e.Reject.v); text != "" {
			l.fail(e.Reject.pos(file), "", "reject: %s", text)
		}
	case e.Discover.set():
		if e.NameRegexp == nil && slices.ContainsFunc(e.Realm, func(r at[string]) bool { return foldASCII(r.v) == realm.NameNone }) {
			l.fail(e.Discover.pos(file), "write auth: with a pool, or reject: with a text", "a name without a realm cannot be discovered")
		}
	case !e.Auth.set() && !e.Accounting.set() && e.Diameter.set():
	case !e.Auth.set() && !e.Accounting.set():
		l.fail(e.Pos, "write auth: with a pool, discover: or reject: with a text; or diameter:", "the realm goes nowhere")
	case !e.Auth.set():
		l.warn(e.Pos, "write reject: with a text to say why", "the realm has accounting only: every Access-Request is rejected")
	}
}

// services checks that each home of a pool offers what realms want of the
// pool.
func (l *loader) services() {
	names := [diam]string{"authentication", "accounting"}
	keys := [diam]string{"auth_port", "acct_port"}
	for p := range l.set.Pools {
		for service := range names {
			if !l.usedPool[service][p] {
				continue
			}
			for _, m := range l.members[p] {
				i, known := l.homes[m.Home.v]
				if !known || m.Weight.v <= 0 {
					continue
				}
				h := &l.set.Homes[i]
				if a := offers(h); a[service] || a == [2]bool{} {
					continue
				}
				l.fail(m.Home.pos(l.set.Pools[p].Pos.File), "give it "+keys[service]+", or use another pool",
					"home %s has no port for %s, which realms want of pool %s", quote(h.Name), names[service], quote(l.set.Pools[p].Name))
			}
		}
	}
}

package file

import (
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// Services of a home, as indexes.
const (
	auth = iota
	acct
)

// realm adds a route for each name of the entry.
func (l *loader) realm(e *realmEntry) {
	if e.Pos.Line == 0 {
		return
	}
	route := realm.Route{
		Auth:        l.poolFor(e, e.Auth, auth),
		Acct:        l.poolFor(e, e.Accounting, acct),
		Reject:      strings.Clone(e.Reject.v),
		Acknowledge: l.acknowledge(e),
		Policy:      l.policy(e),
		Pos:         e.Pos,
	}
	l.judgeRoute(e)
	if len(e.Realm) == 0 {
		l.fail(e.Pos, "a name, a list of names, none or default", "realm is missing")
	}
	for i := range e.Realm {
		pos := e.Realm[i].pos(e.Pos.File)
		name, text, hint := foldRealm(e.Realm[i].v)
		if text != "" {
			l.fail(pos, hint, "%s: %s", quote(e.Realm[i].v), text)
			continue
		}
		if first, twice := l.routes[name]; twice {
			l.twice(pos, l.set.Routes[first].Pos, "realm", name)
			continue
		}
		route.Realm, route.Pos, route.Index = name, pos, int32(len(l.set.Routes))
		l.routes[name] = route.Index
		l.set.Routes = append(l.set.Routes, route)
	}
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
		hint := meant(name.v, l.pools, "add it under pools:")
		if _, isHome := l.homes[name.v]; isHome {
			hint = "that is a home; name a pool it is in"
		}
		l.fail(name.pos(e.Pos.File), hint, "pool %s does not exist", quote(name.v))
		return -1
	}
	l.usedPool[service][p] = true
	return p
}

func (l *loader) acknowledge(e *realmEntry) realm.Acknowledge {
	otherwise := realm.AcknowledgeDurable
	if e.Accounting.set() {
		otherwise = realm.AcknowledgeHome
	}
	mode := choose(l, e.Pos, "acknowledge", e.Acknowledge, otherwise,
		[]string{"home", "durable"}, realm.AcknowledgeHome, realm.AcknowledgeDurable)
	if mode == realm.AcknowledgeHome && !e.Accounting.set() {
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
	return p
}

// judgeRoute looks at keys that do not go together.
func (l *loader) judgeRoute(e *realmEntry) {
	file := e.Pos.File
	switch {
	case e.Reject.set() && (e.Auth.set() || e.Policy.Enabled.set()):
		l.fail(e.Reject.pos(file), "keep auth or reject", "a rejected realm has no auth and no policy")
	case e.Reject.set() && strings.TrimSpace(e.Reject.v) == "":
		l.fail(e.Reject.pos(file), "say why, for whoever looks at the device", "reject has no text")
	case e.Reject.set():
		if text := badText(e.Reject.v); text != "" {
			l.fail(e.Reject.pos(file), "", "reject: %s", text)
		}
	case !e.Auth.set() && !e.Accounting.set():
		l.fail(e.Pos, "write auth: with a pool, or reject: with a text", "the realm goes nowhere")
	case !e.Auth.set():
		l.warn(e.Pos, "write reject: with a text to say why", "the realm has accounting only: every Access-Request is rejected")
	}
}

// services checks that each home of a pool offers what realms want of the
// pool.
func (l *loader) services() {
	names := [2]string{"authentication", "accounting"}
	keys := [2]string{"auth_port", "acct_port"}
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
				if a := [2]bool{h.Auth.IsValid(), h.Acct.IsValid()}; a[service] || a == [2]bool{} {
					continue
				}
				l.fail(m.Home.pos(l.set.Pools[p].Pos.File), "give it "+keys[service]+", or use another pool",
					"home %s has no port for %s, which realms want of pool %s", quote(h.Name), names[service], quote(l.set.Pools[p].Name))
			}
		}
	}
}

package device

// KeyOf gives the key of q's device, for Usage; ok is false where nothing
// names it.
// hot: 0 allocs
func (t *Table) KeyOf(q *Query) (k Key, ok bool) {
	var buf [identCap]byte
	ident, c := appendIdentity(buf[:0], q)
	if c == classNone {
		return Key{}, false
	}
	return t.hash.sum(ident), true
}

// Peek decides as Decide would, but counts nothing, uses no attempt up and
// has nothing fetched: for explaining a decision to a person.
func (t *Table) Peek(q *Query) (d Decision) {
	if q.Route != nil && !q.Route.Policy.Enabled {
		return Decision{}
	}
	k, ok := t.KeyOf(q)
	if !ok {
		return unknown(q, NoIdentity)
	}
	k0, k1 := k.words()
	now := seconds(q.Now)
	st := t.state.Load()
	if r, _, _, ok := st.devices.find(k0, k1); ok && r.hard > now {
		p := st.profiles.at(r.profile)
		d = conclude(q, t.lasting(q, &r, p, k0, k1), p)
		inDoubt := r.epoch != t.epoch.Load() || now >= r.soft && !t.stats.redisUp.Load()
		d.Stale = inDoubt && r.flags&flagPinned == 0
	} else {
		d, _ = t.missing(q, k0, k1, now)
	}
	d.Key = k
	return d
}

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

// Version gives the version of the policy that is known of a device, and
// whether the store could not confirm it lately, for a record of what applied.
// It is 0 where none is known; nothing is fetched. now is monotonic, as in a
// Query.
// hot: 0 allocs
func (t *Table) Version(k Key, now int64) (version uint32, stale bool) {
	k0, k1 := k.words()
	at := seconds(now)
	r, _, _, ok := t.state.Load().devices.find(k0, k1)
	if !ok || r.hard <= at {
		return 0, false
	}
	return r.version, t.inDoubt(&r, at)
}

// inDoubt says whether the store could not confirm an entry lately.
func (t *Table) inDoubt(r *ref, now uint32) bool {
	return r.flags&flagPinned == 0 && (r.epoch != t.epoch.Load() || now >= r.soft && !t.stats.redisUp.Load())
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
		why, long := t.lasting(q, &r, p, k0, k1)
		d = conclude(q, why, p)
		d.Long = long
		d.Stale = t.inDoubt(&r, now)
	} else {
		d, _ = t.missing(q, k0, k1, now)
	}
	d.Key = k
	return d
}

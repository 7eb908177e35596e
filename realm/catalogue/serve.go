package catalogue

import (
	"slices"

	"github.com/roamgate/roamgate/realm"
)

// wifi is Wireless-802.11 of NAS-Port-Type (RFC 2865 section 5.41).
const wifi = 19

// served says whether some request of the client for a name is forwarded: the
// routes are asked in the order of the walk. One with conditions that only a
// request can meet decides nothing when it refuses, as the next one may take it.
func (b *builder) served(q *realm.Query) bool {
	q.Client = b.client
	if !b.client.Realms.Allow(q.Realm) {
		return false
	}
	found, subject, closed := false, "", false
	b.set.Table.Candidates(q, func(c realm.Candidate) bool {
		r := c.Route
		if c.Why == realm.OtherProtocol {
			return true // it is for Diameter
		}
		if r.Realm != subject {
			if closed {
				return false // all routes of the one before are for other groups
			}
			subject, closed = r.Realm, true
		}
		if c.Why == realm.OtherGroup {
			return true
		}
		closed = false
		if !b.open(r) {
			return true
		}
		found = b.forwards(r, q.Realm)
		return !found && depends(r)
	})
	return found
}

// open says whether the client can use a route at all.
func (b *builder) open(r *realm.Route) bool {
	w := r.When
	return r.For.Has(b.client.Group) && (w == nil ||
		(len(w.Clients) == 0 || slices.Contains(w.Clients, b.client.Name)) &&
			(len(w.NASPortTypes) == 0 || slices.Contains(w.NASPortTypes, wifi)))
}

// depends says whether a route takes some requests of the client only.
func depends(r *realm.Route) bool {
	w := r.When
	return w != nil && len(w.NASPortTypes)+len(w.SSIDs)+len(w.Operators)+len(w.RCOIs)+len(w.Users)+len(w.During)+int(w.Percent) > 0
}

// forwards says whether a route leads to a home that takes the realm, nil: any.
func (b *builder) forwards(r *realm.Route, folded []byte) bool {
	if r.Reject != "" || r.Auth < 0 && r.Discover == nil {
		return false
	}
	if folded != nil {
		if contract, needed := b.set.Transit(b.client.Group, b.group(r), folded); needed && contract == nil {
			return false
		}
	}
	if r.Auth < 0 {
		return folded == nil || r.Discover.Realms.Allow(folded)
	}
	for _, m := range b.set.Pools[r.Auth].Members {
		h := &b.set.Homes[m.Home]
		serves := h.Auth.IsValid() || h.AuthPort != 0
		if serves && !h.Disabled && (folded == nil || h.Realms.Allow(folded)) {
			return true
		}
	}
	return false
}

// group is that of the homes of a route.
func (b *builder) group(r *realm.Route) *realm.Group {
	switch {
	case r.Auth >= 0:
		return b.set.Pools[r.Auth].Group
	case r.Discover != nil:
		return r.Discover.Group
	}
	return nil
}

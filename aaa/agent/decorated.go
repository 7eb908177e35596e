package agent

import "github.com/roamgate/roamgate/pkg/diameter"

// undecorate rewrites a request whose name leads through a realm of ours: the next realm
// of the source route becomes its Destination-Realm, and the name is without ours (RFC
// 5729 section 4.2). A Destination-Host, which can only be ours, goes. false: it does
// not fit.
func (lp *loop) undecorate(m *diameter.Message, d *direction) bool {
	w := &lp.w
	w.Copy(lp.scratch, m.Raw)
	host, hostEnd := m.Span(diameter.KnownDestinationHost)
	edits := [...]struct {
		at, end int
		v       []byte
	}{
		{at: first(m.Span(diameter.KnownUserName)), v: d.user},
		{at: first(m.Span(diameter.KnownDestinationRealm)), v: d.realm},
		{at: host, end: hostEnd},
	}
	// What stands behind moves, so the last is edited first.
	for limit := len(m.Raw); ; {
		last := -1
		for i := range edits {
			if at := edits[i].at; at > 0 && at < limit && (last < 0 || at > edits[last].at) {
				last = i
			}
		}
		if last < 0 {
			break
		}
		if e := &edits[last]; e.v != nil {
			w.Replace(e.at, e.v)
		} else {
			w.Cut(e.at, e.end)
		}
		limit = edits[last].at
	}
	b := w.Finish()
	return b != nil && m.Parse(b) == diameter.NoFault
}

func first(at, _ int) int { return at }

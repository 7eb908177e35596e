package agent

import (
	"hash/maphash"
	"slices"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// steers remembers whom the steering has refused, and who was let in, in a fixed table
// of sets: an entry for a device in a network, and one for it in all networks. A hub that
// begins anew has forgotten them: each device is refused once more, GiveUp times at most.
type steers struct {
	seed maphash.Seed
	all  []steerEntry
	mask uint64
	room int
	used int // entries that are somebody's
}

// steerEntry is 24 octets. The zero entry is nobody's.
type steerEntry struct {
	key      uint64
	until    int64 // when it is forgotten, monotonic ns
	refused  uint8
	accepted bool
}

const steerWays = 8

// resized gives a table for so many, the old one where that is its size; nil: none is
// needed.
func (t *steers) resized(room int) *steers {
	switch {
	case room == 0:
		return nil
	case t != nil && t.room == room:
		return t
	}
	sets := 1
	for sets*steerWays < room {
		sets *= 2
	}
	return &steers{seed: maphash.MakeSeed(), all: make([]steerEntry, sets*steerWays), mask: uint64(sets - 1), room: room}
}

// steerMark is what a transaction keeps to tell that a device was let in.
type steerMark struct {
	key    uint64
	memory int64
}

// at gives an entry, a new one in the place of the one that is forgotten first.
func (t *steers) at(key uint64, now int64) *steerEntry {
	at := (key >> 16 & t.mask) * steerWays
	set := t.all[at : at+steerWays]
	least := &set[0]
	for i := range set {
		e := &set[i]
		if e.key == key && e.until > now {
			return e
		}
		if e.until < least.until {
			least = e
		}
	}
	if least.key == 0 {
		t.used++
	}
	*least = steerEntry{key: key}
	return least
}

// answered remembers that a device has been let into a network.
func (t *steers) answered(k steerMark, ok bool, now int64) {
	if t == nil || !ok || k.key == 0 {
		return
	}
	e := t.at(k.key, now)
	e.accepted, e.until = true, now+k.memory
}

// steerCounters count what steering decides.
type steerCounters struct {
	refused, gaveUp, exempt *stat.AtomicCounter
}

func newSteerCounters(r *stat.Registry, name string) *steerCounters {
	if r == nil {
		return nil
	}
	of := func(decision string) *stat.AtomicCounter {
		return r.Atomic("roamgate_diameter_steering_total",
			"Update-Location-Requests from networks that devices are steered away from, by decision.",
			"steering", name, "decision", decision)
	}
	return &steerCounters{refused: of("refused"), gaveUp: of("gave_up"), exempt: of("exempt")}
}

// Bit 2 of ULR-Flags (TS 29.272 section 7.3.7), and Emergency-Services, whose bit 0 is
// an emergency (TS 29.273 section 7.2.3.4).
const (
	skipSubscriberData = 1 << 2
	emergencyServices  = 1538
)

// steer refuses the first requests of a device in a network that its home does not
// prefer. Only an Update-Location-Request is refused: after a refused
// Authentication-Information-Request a device takes the network for a wrong one for
// longer than is wanted.
//
// hot: 0 allocs
func (g *guard) steer(q *asked) verdict {
	s, m := q.route.Steering, q.m
	if g.steers == nil || m.Application != diameter.AppS6a || m.Command != diameter.UpdateLocation {
		return verdict{}
	}
	imsi := m.Value(diameter.KnownUserName)
	network, ok := realm.VisitedNetwork(m.Value(diameter.KnownVisitedPLMN))
	if !ok || len(imsi) == 0 || len(imsi) > 15 || !s.Steers(network) {
		return verdict{}
	}
	c := g.steered[s]
	if exempt(s, m) {
		c.count(steerExempt)
		return verdict{}
	}
	t := g.steers
	whole := max(maphash.Bytes(t.seed, imsi), 1)
	key := max(whole^(uint64(network)+1)*0x9e3779b97f4a7c15, 1)
	one := t.at(key, q.now)
	q.mark.steer = steerMark{key: key, memory: int64(s.Memory)}
	if one.accepted || int(one.refused) >= s.Reject {
		if !one.accepted {
			c.count(steerGaveUp)
		}
		return verdict{}
	}
	times := one.refused + 1
	*one = steerEntry{key: key, until: q.now + int64(s.Memory), refused: times}
	all := t.at(whole, q.now)
	if int(all.refused) >= s.GiveUp {
		// The device has been through enough: it stays where it is.
		c.count(steerGaveUp)
		return verdict{}
	}
	all.refused++
	all.until = q.now + int64(s.Memory)
	c.count(steerRefused)
	return verdict{disposition: refused, result: s.Result, vendor: diameter.Vendor3GPP, why: "steered"}
}

type steerDecision uint8

const (
	steerRefused steerDecision = iota
	steerGaveUp
	steerExempt
)

func (c *steerCounters) count(d steerDecision) {
	if c == nil {
		return
	}
	switch d {
	case steerRefused:
		c.refused.Add(1)
	case steerGaveUp:
		c.gaveUp.Add(1)
	case steerExempt:
		c.exempt.Add(1)
	}
}

// exempt reports whether a request is never refused for steering: an emergency, a
// device that the network has already, and a radio of which this may be the last.
func exempt(s *realm.Steering, m *diameter.Message) bool {
	rat, ok := m.Uint32(diameter.KnownRATType)
	if ok && slices.Contains(s.LastResort, rat) {
		return true
	}
	var a diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		if a.Vendor != diameter.Vendor3GPP {
			continue
		}
		v, _ := a.Uint32()
		if a.Code == diameter.TGPPULRFlags && v&skipSubscriberData != 0 || a.Code == emergencyServices && v&1 != 0 {
			return true
		}
	}
	return false
}

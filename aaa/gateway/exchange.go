package gateway

import (
	"github.com/roamgate/roamgate/aaa/translate"
	"github.com/roamgate/roamgate/pkg/diameter"
)

// purpose is what an exchange is for.
type purpose uint8

const (
	idle purpose = iota
	// asksDiameter: a request of RADIUS that an answer of Diameter ends.
	asksDiameter
	// asksRADIUS: a request of Diameter that an answer of RADIUS ends.
	asksRADIUS
	// closes: an STR of ours, whose answer nobody waits for.
	closes
	// restarts: an Accounting-On or -Off, until all sessions of its NAS have ended.
	restarts
	// loses: the last record of a session whose NAS has begun anew.
	loses
)

// exchange is one request that waits for its answer.
type exchange struct {
	purpose purpose
	gen     uint32
	line    uint64 // that it came by, or went to
	raw     []byte // the request as it came
	id      translate.ID
	named   bool // id is a session's
	// application is that of the request of Diameter.
	application uint32
	key         uint64 // of an inward session
	session     uint64 // hash of the Session-Id that was sent
	command     uint32
	endToEnd    uint32
	owner       uint32 // of a lost session: the exchange of its NAS
	left        int    // of a NAS: lost sessions whose last record has no answer
	failed      bool   // one of them has not ended
	cause       uint32 // Acct-Terminate-Cause of a lost session
}

const (
	slotBits = 20
	slotMask = 1<<slotBits - 1
	mostSlot = 1 << slotBits
)

// exchanges are those under way. The number of one is its slot and how often that was
// used, so that a late answer finds nobody.
type exchanges struct {
	most  int
	slots []*exchange
	free  []uint32
	used  int
}

// begin takes a slot, nil: there is none.
func (t *exchanges) begin(why purpose, raw []byte) (number uint32, x *exchange) {
	var slot uint32
	switch n := len(t.free); {
	case n > 0:
		slot, t.free = t.free[n-1], t.free[:n-1]
	case len(t.slots) < t.most:
		slot = uint32(len(t.slots))
		t.slots = append(t.slots, new(exchange))
	default:
		return 0, nil
	}
	x = t.slots[slot]
	*x = exchange{purpose: why, gen: x.gen + 1, raw: append(x.raw[:0], raw...)}
	t.used++
	return x.gen<<slotBits | slot, x
}

// find gives the exchange of a number, nil: it is over.
func (t *exchanges) find(number uint32) *exchange {
	slot := number & slotMask
	if int(slot) >= len(t.slots) {
		return nil
	}
	if x := t.slots[slot]; x.purpose != idle && x.gen<<slotBits == number&^uint32(slotMask) {
		return x
	}
	return nil
}

// end frees a slot. A request of unusual length leaves nothing behind.
func (t *exchanges) end(number uint32) {
	x := t.slots[number&slotMask]
	x.purpose = idle
	if cap(x.raw) > 2*diameter.HeaderLen+4096 {
		x.raw = nil
	}
	t.used--
	t.free = append(t.free, number&slotMask)
}

package aaa

import (
	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/realm"
)

// Carrier brings records of Diameter to their homes, and says by Ended what became of
// them: the Diameter walk.
type Carrier interface {
	Carry(o agent.Owed)
}

// CarryBy has records of Diameter that are owed given to c. It is called before Run;
// without it they wait.
func (h *Hub) CarryBy(c Carrier) { h.carrier = c }

var _ agent.Creditor = (*Hub)(nil)

// Enter counts a record of the Diameter walk that will be owed.
//
// hot: 0 allocs
func (h *Hub) Enter(client string, e *accounting.Event) (session uint32, turn bool) {
	session = h.sessionOf(client, e)
	return session, h.later.debts.enter(session, h.later.rebuilt.Load())
}

// Cancel takes that back of a record that was not stored.
func (h *Hub) Cancel(session uint32, turn bool) {
	h.later.debts.pay(session)
	if turn {
		h.later.debts.leave(session)
	}
}

// Ended says what became of records that the Diameter walk had on their way.
func (h *Hub) Ended(all []agent.Ending) {
	ended := make([]ending, 0, len(all))
	for _, a := range all {
		e := ending{seq: a.Seq, session: a.Session}
		e.lane, _ = a.Lane.(*lane)
		switch a.Fate {
		case agent.FateTaken:
			e.how = fateTaken
		case agent.FateBusy:
			e.how = fateBusy
		case agent.FateDown:
			e.how = fateDown
		case agent.FateHeld:
			e.how = fateHeld
		case agent.FateRefused:
			e.how, e.letter = fateDead, DeadRefused
		case agent.FateTooLong:
			e.how, e.letter = fateDead, DeadTooLong
		case agent.FateForeign:
			e.how, e.letter = fateDead, DeadUnreadable
		default:
			e.how = fateSilent
		}
		ended = append(ended, e)
	}
	h.later.report(ended)
}

// laneFor finds whose records a record is among, -1: there is no rule for it any more.
func (snap *Snapshot) laneFor(rec *accounting.Record, diameter bool) int32 {
	if !diameter {
		if r, _ := snap.wayOf(rec); r != nil {
			return snap.laneOf(r)
		}
		return -1
	}
	r := snap.Set.Table.Labelled(rec.Route)
	if !takesDiameter(r) && rec.Realm != "" {
		r = snap.Set.Table.Lookup([]byte(rec.Realm))
	}
	if !takesDiameter(r) {
		return -1
	}
	return r.Diameter.Pool
}

func takesDiameter(r *realm.Route) bool {
	if r == nil || r.Diameter == nil || r.Diameter.Pool < 0 {
		return false
	}
	return r.Diameter.Action == realm.DiameterProxy || r.Diameter.Action == realm.DiameterRelay
}

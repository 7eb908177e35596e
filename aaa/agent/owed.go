package agent

import (
	"encoding/binary"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/diameter"
)

// Creditor is the walk over the records that are owed to homes, which both protocols
// share: who counts them by session, so that a home gets those of one in their order.
// It is safe for concurrent use, and keeps nothing that it is given.
type Creditor interface {
	// Enter counts a record that will be owed. turn: no other of its session is, and
	// it may be sent at once.
	Enter(client string, e *accounting.Event) (session uint32, turn bool)
	// Cancel takes that back of a record that was not stored.
	Cancel(session uint32, turn bool)
	// Ended says what became of records that were on their way.
	Ended(ended []Ending)
}

// Fate is what became of a record that was on its way to a home.
type Fate uint8

// The fates.
const (
	FateTaken   Fate = iota
	FateSilent       // no answer, or one that is no last word
	FateBusy         // no home had room for it
	FateDown         // no home could be asked
	FateHeld         // it may not be sent now, which says nothing of others
	FateRefused      // a home will never take it
	FateTooLong      // it is too long for the next hop
	FateForeign      // it is no Diameter request
)

// Ending is what the agent says of a record that was owed.
type Ending struct {
	Seq     uint64
	Session uint32
	Fate    Fate
	Lane    any // of Owed
}

// Owed is a record that is to be brought to its home.
type Owed struct {
	Seq     uint64
	Record  []byte // kept
	Session uint32
	Lane    any
}

// readOwed reads a record that is owed.
func (lp *loop) readOwed(b []byte) (rec accounting.Record, m *diameter.Message, ok bool) {
	rec, err := accounting.Decode(b)
	if err != nil || !accounting.IsDiameter(rec.Raw) || len(rec.Raw) < diameter.HeaderLen {
		return rec, nil, false
	}
	if n, fault := diameter.Frame(rec.Raw); fault != diameter.NoFault || n != len(rec.Raw) {
		return rec, nil, false
	}
	m = &lp.in
	return rec, m, m.Parse(rec.Raw) == diameter.NoFault
}

// aged gives the message as it is sent so many seconds after it came: one that does not
// say when its event was says how long ago (RFC 2866 section 5.2, RFC 7155 section 4.6).
func (lp *loop) aged(m *diameter.Message, seconds int64) []byte {
	const delay = 41 // Acct-Delay-Time
	var a diameter.AVP
	if diameter.Find(m.Body(), diameter.EventTimestamp, 0, &a) || seconds <= 0 {
		return m.Raw
	}
	older := uint32(min(seconds, 1<<31))
	if diameter.Find(m.Body(), delay, 0, &a) {
		if v, ok := a.Uint32(); ok {
			binary.BigEndian.PutUint32(a.Data, v+min(older, ^v))
		}
		return m.Raw
	}
	lp.w.Copy(lp.scratch, m.Raw)
	lp.w.Uint32(delay, 0, diameter.AVPMandatory, older)
	if b := lp.w.Finish(); b != nil {
		return b
	}
	return m.Raw
}

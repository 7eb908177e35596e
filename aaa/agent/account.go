package agent

import (
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// ledger makes a record of each request for accounting, which is on the disk before
// anything is answered or forwarded (RFC 6733 section 9.4), and says what then becomes
// of the request. It belongs to the loop.
//
// The walk of one: record, and where that waits settled, once the commit is back; then
// the walk forwards it, and answered or failed says what goes to who asked. What was
// acknowledged before a home had it is owed: package aaa's walk over the spool gives it
// back until one has it (Creditor).
type ledger struct {
	spool  *spool.Spool
	events *accounting.Events
	hasher *accounting.Hasher
	owed   Creditor // nil: nothing is acknowledged before a home has it
	done   spool.Done

	event  accounting.Event
	header accounting.Header
	buf    []byte
	recs   *spool.Batch // submitted at the end of the round
	spare  []*spool.Batch
	ended  []Ending
}

// course is what the walk does with a request for accounting.
type course uint8

const (
	// goesOn: to a home, whose answer goes to who asked.
	goesOn course = iota
	// waits: the record is on its way to the disk. settle comes with the transaction's
	// token; until then nothing may be answered or forwarded, and the transaction not
	// be ended, whatever becomes of the connection that it came by.
	waits
	// accepted: it is safe; the answer is 2001, by us, and that is all.
	accepted
	// acceptedGoesOn: the answer is 2001, by us, and the request goes to a home, whose
	// answer goes to nobody.
	acceptedGoesOn
	// refuses: nothing is recorded; the answer is the voucher's result, by us.
	refuses
	// quiet: nobody waits for an answer.
	quiet
)

// voucher is what a transaction keeps of its record. The zero voucher is of a request
// that is not recorded, of which answered and failed change nothing.
type voucher struct {
	event   accounting.Key
	content uint64
	seq     uint64 // of the record, 0: not on the disk yet
	lane    any    // of the walk over the spool, nil: the request itself is here
	session uint32 // where its debt is counted
	result  uint32 // of refuses
	turns   uint16 // times it waited for its first copy
	stage   stage
}

type stage uint16

const (
	recorded stage = 1 << iota // it has a record, or another copy of it has
	claimed                    // event is claimed, and not settled
	entered                    // its debt is counted
	turned                     // it may go to a home: no earlier record of its session is owed
	early                      // answered as soon as it is on the disk
	stored                     // may be answered once a home is found to be away (GRANT_AND_STORE)
	answered                   // who asked has an answer
)

// reported is a request with its route, for the ledger.
type reported struct {
	m      *diameter.Message
	client *realm.Client
	route  *realm.Route
	realm  []byte // that was asked for, folded
	wall   int64  // of its arrival, Unix ns
	token  uint64 // of its transaction
}

// records reports whether a request is one that is recorded: the rest needs no ledger.
//
// hot: 0 allocs
func records(m *diameter.Message) bool {
	return m.Request() && (m.Command == diameter.Accounting ||
		m.Command == diameter.CreditControl && m.Application == diameter.AppCredit)
}

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
	FateRefused      // a home will never take it
	FateForeign      // it cannot be sent as it is: it is no Diameter request, or too long
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

func newLedger(r *Rooms, done spool.Done) *ledger {
	return &ledger{
		spool: r.Spool, events: r.Events, hasher: accounting.NewHasher(r.Identity), owed: r.Owed, done: done,
	}
}

// record begins the record of a request that has found its route, and is to be sent to
// a peer of its pool. What is translated is not the ledger's: the walk of RADIUS records
// it, both ways.
//
// hot: 0 allocs
func (l *ledger) record(v *voucher, q *reported) course { return goesOn }

// settler is the walk, where a batch comes back to.
type settler interface {
	// voucherOf gives the voucher of a transaction, and its request once more.
	voucherOf(token uint64) (v *voucher, q reported, ok bool)
	// settle goes on with it.
	settle(token uint64, c course)
}

// spooled takes a batch back from the disk.
func (l *ledger) spooled(b *spool.Batch, to settler) {}

// answered says what becomes of a home's answer with this Result-Code.
//
// hot: 0 allocs
func (l *ledger) answered(v *voucher, result uint32) course { return goesOn }

// failed says what becomes of a request that no home could be brought to answer, where
// the walk has an error to say.
//
// hot: 0 allocs
func (l *ledger) failed(v *voucher, how Fate) course { return goesOn }

// flush is called at the end of every round of the loop: it submits what was recorded
// in it.
//
// hot: 0 allocs
func (l *ledger) flush() {}

var _ = []any{newLedger, (*ledger).record, (*ledger).spooled, (*ledger).answered, (*ledger).failed, (*ledger).flush,
	records, waits, accepted, acceptedGoesOn, refuses, quiet, recorded, claimed, entered, turned, early, stored, answered}

package agent

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/stat"
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
	to     settler
	stats  *stat.Shard
	ctr    ledgerStats

	event  accounting.Event
	header accounting.Header
	buf    []byte
	realms names
	recs   *spool.Batch // submitted at the end of the round
	spare  []*spool.Batch
	ended  []Ending
	lost   stat.ID // records of our own that the spool did not take
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
	signal  uint32 // where it is counted, plus 1; 0: it is not
	octets  uint32 // of non-IP data in it
	turns   uint16 // times it waited for its first copy
	stage   stage
}

type stage uint16

const (
	recorded stage = 1 << iota // it has a record, or another copy of it has
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
	route  *realm.Route // nil: its Destination-Host is connected
	realm  []byte       // that was asked for, folded
	from   netip.AddrPort
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

// settler is the walk, where what waited goes on.
type settler interface {
	// voucherOf gives the voucher of a transaction, and its request once more.
	voucherOf(token uint64) (v *voucher, q reported, ok bool)
	// settle goes on with it.
	settle(token uint64, c course)
}

// Results of a request for accounting, for counters.
const (
	ledgerRecorded = iota
	ledgerConflict
	ledgerDuplicate
	ledgerRefused
	numLedger
)

var ledgerNames = [numLedger]string{"recorded", "conflict", "duplicate", "refused"}

type ledgerStats struct {
	requests    [numLedger]stat.ID
	records     [256]stat.ID // by accounting.Kind
	quarantined [256]stat.ID // by accounting.Reason
	waited      stat.ID
	forwarded   stat.ID
	vouched     stat.ID
}

func newLedgerStats(r *stat.Registry) (c ledgerStats) {
	for i, name := range ledgerNames {
		c.requests[i] = r.Counter("roamgate_diameter_accounting_total", "Accounting and credit control requests by what became of their record: recorded, recorded in conflict with an earlier record of the same number, duplicate of a durable record, or refused, which are never acknowledged.", "result", name)
	}
	for _, k := range []accounting.Kind{accounting.Start, accounting.Stop, accounting.Interim, accounting.Quarantined} {
		c.records[k] = r.Counter("roamgate_acct_records_total", "Accounting records handed to the spool.", "kind", k.String())
	}
	for _, why := range accounting.Reasons() {
		c.quarantined[why] = r.CounterSparse("roamgate_acct_quarantined_total", "Accounting records kept but never billed.", "reason", why.String())
	}
	c.waited = r.Counter("roamgate_diameter_accounting_waited_total", "Repetitions of an accounting request that came while it was on its way to the disk, and waited for it.")
	c.forwarded = r.Counter("roamgate_diameter_accounting_forwarded_later_total", "Acknowledged accounting records of Diameter that reached their home from the spool.")
	c.vouched = r.Counter("roamgate_diameter_accounting_vouched_total", "Accounting requests that the hub has acknowledged itself, because their record is durable and the route or Accounting-Realtime-Required allows it.")
	return c
}

func newLedger(r *Rooms, stats *stat.Shard, to settler, done spool.Done) *ledger {
	return &ledger{
		spool: r.Spool, events: r.Events, hasher: accounting.NewHasher(r.Identity), owed: r.Owed,
		done: done, to: to, stats: stats, ctr: newLedgerStats(r.Stats), realms: newNames(),
		lost: r.Stats.Counter("roamgate_diameter_signalling_lost_total", "Records of signalling that the spool did not take: their counts are missing in clearing."),
	}
}

// Accounting-Realtime-Required (RFC 6733 section 9.8.7). Without it a record may be
// stored.
const (
	deliverAndGrant = 1
	grantAndStore   = 2
	grantAndLose    = 3
)

// record begins the record of a request that has found its route, and is to be sent to
// a peer. What is translated is not the ledger's.
//
// hot: 0 allocs
func (l *ledger) record(v *voucher, q *reported) course {
	if l.spool == nil || !records(q.m) {
		return goesOn
	}
	if len(q.m.Raw) > accounting.MaxMessage {
		l.stats.Add(l.ctr.requests[ledgerRefused], 1)
		v.result = diameter.ResultUnableToComply
		return refuses
	}
	l.describe(v, q)
	return l.claim(v, q)
}

// describe classifies the request and says how it may be acknowledged; what the record
// will say beside the message is in l.header until the next call.
func (l *ledger) describe(v *voucher, q *reported) {
	e := &l.event
	accounting.Classify(e, q.m.Raw, q.wall)
	l.header = accounting.Header{
		Time: q.wall, From: q.from, Client: q.client.Name, Operator: q.client.Operator, Country: q.client.Country,
		Realm: l.realms.of(q.realm),
	}
	durable := false
	if q.route != nil {
		l.header.Route, durable = q.route.Label(), q.route.Acknowledge == realm.AcknowledgeDurable
	}
	l.header.SetEvent(e)
	visited := q.client.Operator
	if visited == "" {
		visited = q.client.Name
	}
	v.event, v.content = l.hasher.Key(e, visited), l.hasher.Content(q.m.Raw)
	v.stage &^= early | stored
	if l.owed == nil || e.Kind == accounting.Quarantined || q.m.Command != diameter.Accounting {
		return // a home must say of it what it says
	}
	required := uint32(0)
	var a diameter.AVP
	if diameter.Find(q.m.Body(), diameter.AccountingRealtimeRequired, 0, &a) {
		required, _ = a.Uint32()
	}
	switch {
	case required == deliverAndGrant:
	case durable:
		v.stage |= early
	case required == grantAndStore || required == grantAndLose:
		v.stage |= stored
	}
}

// claim stores the record once, however often the request comes.
func (l *ledger) claim(v *voucher, q *reported) course {
	out, other := l.events.Claim(v.event, v.content, q.wall/1e9)
	switch out {
	case accounting.Committing:
		return l.wait(v, q.token)
	case accounting.Duplicate:
		l.stats.Add(l.ctr.requests[ledgerDuplicate], 1)
		v.stage |= recorded
		if v.stage&(early|stored) != 0 && other&accounting.Owed != 0 {
			// The first copy gets to the home without this one.
			v.stage = v.stage&^(early|stored) | answered
			l.stats.Add(l.ctr.vouched, 1)
			return accepted
		}
		// A home must take it before anybody says that it is safe with one.
		v.stage &^= early | stored
		return goesOn
	case accounting.Conflict:
		l.header.Flags |= accounting.FlagConflict
		l.header.Other = other
		l.store(v, q)
	default:
		l.store(v, q)
	}
	return waits
}

// maxTurns bounds how often a repetition waits for its first copy: a turn is as long as
// a commit.
const maxTurns = 4096

// wait lets a repetition, whose first copy is on its way to the disk, go the same way
// without a record.
func (l *ledger) wait(v *voucher, token uint64) course {
	if v.turns == maxTurns {
		return l.refuse(v, diameter.ResultTooBusy)
	}
	if v.turns == 0 {
		l.stats.Add(l.ctr.waited, 1)
	}
	v.turns++
	l.gather().Wait(token)
	return waits
}

// store appends the record to the batch.
func (l *ledger) store(v *voucher, q *reported) {
	l.header.Key = v.event
	owed := v.stage&(early|stored) != 0
	if v.stage&early != 0 {
		// Else the home may still answer, and who asked heard that: after a restart a
		// repetition must not be told that the record is on its way.
		l.header.Flags |= accounting.FlagForward
	}
	if owed {
		var turn bool
		v.session, turn = l.owed.Enter(l.header.Client, &l.event)
		v.stage |= entered
		if turn {
			v.stage |= turned
		}
	}
	l.buf = accounting.AppendRecord(l.buf[:0], &l.header, q.m.Raw)
	l.gather().Add(q.token, l.buf, owed)
	l.stats.Add(l.ctr.records[l.header.Kind], 1)
	if l.header.Kind == accounting.Quarantined {
		l.stats.Add(l.ctr.quarantined[l.header.Quarantine], 1)
	}
	result := ledgerRecorded
	if l.header.Flags&accounting.FlagConflict != 0 {
		result = ledgerConflict
	}
	l.stats.Add(l.ctr.requests[result], 1)
}

// gather gives the batch that is submitted at the end of this round.
func (l *ledger) gather() *spool.Batch {
	if l.recs != nil {
		return l.recs
	}
	if n := len(l.spare); n > 0 {
		l.recs, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		l.recs = l.spool.NewBatch()
	}
	return l.recs
}

// flush is called at the end of every round of the loop: it submits what was recorded
// in it, and says what has ended.
//
// hot: 0 allocs
func (l *ledger) flush() {
	if b := l.recs; b != nil {
		l.recs = nil
		if !l.spool.Submit(b, l.done) {
			b.Err = errRefused
			if l.spool.State() == spool.NoSpace {
				b.Err = spool.ErrNoSpace
			}
			l.spooled(b)
		}
	}
	if len(l.ended) > 0 {
		l.owed.Ended(l.ended)
		clear(l.ended)
		l.ended = l.ended[:0]
	}
}

var errRefused = errors.New("the spool takes no records now")

// spooled takes a batch back from the disk.
func (l *ledger) spooled(b *spool.Batch) {
	for i, token := range b.Tokens() {
		if token == ownRecord {
			if b.Err != nil {
				l.stats.Add(l.lost, 1)
			}
			continue
		}
		v, _, ok := l.to.voucherOf(token)
		switch {
		case !ok:
			// It ended before its record was durable: a mistake of ours.
		case b.Err != nil:
			l.events.Abandon(v.event, v.content)
			if v.stage&entered != 0 {
				l.owed.Cancel(v.session, v.stage&turned != 0)
			}
			v.stage = 0
			l.to.settle(token, l.refuse(v, unstored(b.Err)))
		default:
			l.to.settle(token, l.durable(v, b.Seq(i)))
		}
	}
	for _, token := range b.Waits() {
		v, q, ok := l.to.voucherOf(token)
		switch {
		case !ok:
		case b.Err != nil:
			l.to.settle(token, l.refuse(v, unstored(b.Err)))
		default:
			// A duplicate now, or it takes the place of a first copy that was refused.
			l.describe(v, &q)
			if c := l.claim(v, &q); c != waits {
				l.to.settle(token, c)
			}
		}
	}
	b.Reset()
	l.spare = append(l.spare, b)
}

// unstored is the Result-Code where a record could not be stored: the sender keeps it.
func unstored(err error) uint32 {
	if errors.Is(err, spool.ErrNoSpace) {
		return diameter.ResultOutOfSpace
	}
	return diameter.ResultTooBusy
}

func (l *ledger) refuse(v *voucher, result uint32) course {
	l.stats.Add(l.ctr.requests[ledgerRefused], 1)
	v.result = result
	return refuses
}

// durable goes on with a request whose record is on the disk.
func (l *ledger) durable(v *voucher, seq uint64) course {
	v.seq = seq
	v.stage |= recorded
	known := seq
	if v.stage&entered != 0 {
		known |= accounting.Owed
	}
	l.events.Settle(v.event, v.content, known)
	switch {
	case v.stage&(early|stored) != 0 && v.stage&turned == 0: // an earlier record of its session goes first
		v.stage |= answered
		l.stats.Add(l.ctr.vouched, 1)
		return accepted
	case v.stage&early != 0:
		v.stage |= answered
		l.stats.Add(l.ctr.vouched, 1)
		return acceptedGoesOn
	}
	return goesOn
}

// answered says what becomes of a home's answer with this Result-Code.
//
// hot: 0 allocs
func (l *ledger) answered(v *voucher, result uint32) course {
	if v.stage&turned == 0 {
		return goesOn
	}
	how := FateTaken
	if v.stage&answered != 0 {
		switch family := result / 1000; {
		case family == 2:
			if v.lane != nil {
				l.stats.Add(l.ctr.forwarded, 1)
			}
		case family == 3, result == diameter.ResultUnableToComply:
			// The latter says nothing of the record: it is also what an agent says where
			// its home has too much to do (RFC 7683 section 8).
			how = FateBusy
		case family == 5:
			how = FateRefused
		default:
			how = FateSilent
		}
	} else if result/1000 != 2 {
		// Who asked hears it, and keeps the record: it is owed no more. When it comes
		// once more, a home must say that it has it.
		l.events.Settle(v.event, v.content, v.seq)
	}
	return l.end(v, how)
}

// failed says what becomes of a request that no home could be brought to answer, where
// the walk has an error to say.
//
// hot: 0 allocs
func (l *ledger) failed(v *voucher, how Fate) course {
	if v.stage&turned == 0 {
		return goesOn
	}
	if v.stage&stored != 0 && v.stage&answered == 0 {
		v.stage |= answered
		l.stats.Add(l.ctr.vouched, 1)
		l.end(v, how)
		return accepted
	}
	return l.end(v, how)
}

func (l *ledger) end(v *voucher, how Fate) course {
	l.ended = append(l.ended, Ending{Seq: v.seq, Session: v.session, Fate: how, Lane: v.lane})
	v.stage &^= turned
	if v.stage&answered != 0 {
		return quiet
	}
	return goesOn
}

// acknowledge adds to the answer to a request for accounting what it must say beside
// the result (RFC 6733 section 9.7.2).
//
// hot: 0 allocs
func acknowledge(w *diameter.Writer, m *diameter.Message) {
	var a diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		if a.Vendor != 0 || len(a.Data) != 4 {
			continue
		}
		switch a.Code {
		case diameter.AccountingRecordType, diameter.AccountingRecordNumber, diameter.AcctApplicationID:
			w.Uint32(a.Code, 0, diameter.AVPMandatory, binary.BigEndian.Uint32(a.Data))
		}
	}
}

// names keeps the text of realms that came up: a record of a known one allocates
// nothing.
type names map[string]string

const mostNames = 1 << 16

func newNames() names { return make(names) }

func (n names) of(v []byte) string {
	if s, ok := n[string(v)]; ok {
		return s
	}
	if len(n) == mostNames {
		clear(n)
	}
	s := string(v)
	n[s] = s
	return s
}

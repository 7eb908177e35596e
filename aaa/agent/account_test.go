package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// ledgerRig is a walk with a spool. Commits are awaited, so that nothing is left to
// chance.
type ledgerRig struct {
	*walkRig
	spool   *spool.Spool
	commits chan *spool.Batch
	owed    *creditor
}

func (r *ledgerRig) SpoolDone(b *spool.Batch) { r.commits <- b }

// creditor counts debts by session, as the hub does.
type creditor struct {
	debts  map[uint32]int
	ended  []Ending
	cancel int
}

func (c *creditor) Enter(_ string, e *accounting.Event) (session uint32, turn bool) {
	for _, b := range e.SessionID {
		session = session*31 + uint32(b)
	}
	turn = c.debts[session] == 0
	c.debts[session]++
	return session, turn
}

func (c *creditor) Cancel(session uint32, _ bool) {
	c.debts[session]--
	c.cancel++
}

func (c *creditor) Ended(ended []Ending) {
	for _, e := range ended {
		if e.Fate == FateTaken {
			c.debts[e.Session]--
		}
		c.ended = append(c.ended, e)
	}
}

func (c *creditor) fates() (list []Fate) {
	for _, e := range c.ended {
		list = append(list, e.Fate)
	}
	c.ended = nil
	return list
}

func newLedgerRig(t *testing.T, how realm.Acknowledge) *ledgerRig {
	sp, err := spool.Open(t.TempDir(), spool.Options{MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sp.Close() })
	r := &ledgerRig{
		walkRig: newWalkRig(t, func(set *realm.Set) {
			set.Routes[0].Acknowledge = how
			for i := range set.Peers {
				if set.Peers[i].Applications != nil {
					set.Peers[i].Applications = append(set.Peers[i].Applications, diameter.AppCredit)
				}
			}
		}),
		spool: sp, commits: make(chan *spool.Batch, 8), owed: &creditor{debts: map[uint32]int{}},
	}
	r.lp.ledger = newLedger(&Rooms{Spool: sp, Events: accounting.NewEvents(1024, 0), Owed: r.owed, Identity: []byte("key"), Stats: r.reg}, r.lp.stats, r.lp, r)
	return r
}

// round ends a round of the loop, and awaits its commit.
func (r *ledgerRig) round() {
	waits := r.lp.ledger.recs != nil
	r.lp.ledger.flush()
	if waits {
		r.lp.ledger.spooled(<-r.commits)
		r.round()
	}
}

// away takes all homes.
func (r *ledgerRig) away() {
	for _, name := range []string{"hss1", "hss2", "dra"} {
		r.suspect(r.links[name])
	}
}

func (r *ledgerRig) records() (list []accounting.Record) {
	require.NoError(r.t, r.spool.Read(1, func(seq uint64, b []byte) bool {
		rec, err := accounting.Decode(append([]byte(nil), b...))
		require.NoError(r.t, err)
		rec.Seq = seq
		list = append(list, rec)
		return true
	}))
	return list
}

func (r *ledgerRig) result(name string) uint32 {
	r.t.Helper()
	list := r.sent(name)
	require.Len(r.t, list, 1, "sent to %s", name)
	v, ok := list[0].Uint32(diameter.KnownResultCode)
	require.True(r.t, ok)
	return v
}

const recordStart, recordInterim, recordStop = 2, 3, 4

// accounts is a record of a session at the MME.
func accounts(kind, number uint32, more ...avp) *message {
	return &message{
		diameter.Header{Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: diameter.Accounting, Application: diameter.AppAccounting, HopByHop: 7, EndToEnd: 100 + number},
		append([]avp{
			{diameter.SessionID, 0, "mme.visited.example;1;2"},
			{diameter.OriginHost, 0, "mme.visited.example"},
			{diameter.OriginRealm, 0, "visited.example"},
			{diameter.DestinationRealm, 0, "Home.Example"},
			{diameter.AccountingRecordType, 0, kind},
			{diameter.AccountingRecordNumber, 0, number},
			{diameter.AcctApplicationID, 0, uint32(diameter.AppAccounting)},
			{diameter.UserName, 0, imsi},
			{363, 0, []byte{0, 0, 0, 3, 0, 0, 0, 7}},
		}, more...),
	}
}

// again is the same record as another request.
func (m *message) again(endToEnd uint32) *message {
	n := *m
	n.EndToEnd = endToEnd
	return &n
}

func required(v uint32) avp { return avp{diameter.AccountingRealtimeRequired, 0, v} }

// C117: whoever asked hears 2001 when, and only when, the record is where its mode says.
func TestC117AcknowledgedAsDue(t *testing.T) {
	durable, home := realm.AcknowledgeDurable, realm.AcknowledgeHome
	for _, tt := range []struct {
		name   string
		how    realm.Acknowledge
		in     *message
		answer uint32 // of the home, 0: it is away
		want   uint32
		fates  []Fate
		owed   bool
	}{
		{"home: it has answered", home, accounts(recordStart, 0), 2001, 2001, nil, false},
		{"home: it refuses", home, accounts(recordStart, 0), 5012, 5012, nil, false},
		{"home: it is away", home, accounts(recordStart, 0), 0, 3002, nil, false},
		{"home, GRANT_AND_STORE: it is away", home, accounts(recordStart, 0, required(2)), 0, 2001, []Fate{FateDown}, true},
		{"home, GRANT_AND_LOSE: it is away", home, accounts(recordStart, 0, required(3)), 0, 2001, []Fate{FateDown}, true},
		{"home, DELIVER_AND_GRANT: it is away", home, accounts(recordStart, 0, required(1)), 0, 3002, nil, false},
		{"home, GRANT_AND_STORE: it has answered", home, accounts(recordStart, 0, required(2)), 2001, 2001, []Fate{FateTaken}, true},
		{"home, GRANT_AND_STORE: it refuses", home, accounts(recordStart, 0, required(2)), 4002, 4002, []Fate{FateTaken}, true},
		{"durable: it has answered", durable, accounts(recordStart, 0), 2001, 2001, []Fate{FateTaken}, true},
		{"durable: it has no space", durable, accounts(recordStart, 0), 4002, 2001, []Fate{FateSilent}, true},
		{"durable: it has too much to do, and all ways lead to it", durable, accounts(recordStart, 0), 5012, 2001, []Fate{FateBusy}, true},
		{"durable: it refuses for good", durable, accounts(recordStart, 0), 5004, 2001, []Fate{FateRefused}, true},
		{"durable: it is away", durable, accounts(recordStart, 0), 0, 2001, []Fate{FateDown}, true},
		{"durable, DELIVER_AND_GRANT: it is away", durable, accounts(recordStart, 0, required(1)), 0, 3002, nil, false},
		{"durable, DELIVER_AND_GRANT: it has answered", durable, accounts(recordStart, 0, required(1)), 2001, 2001, nil, false},
		{"durable: what nobody can bill is the home's to answer", durable, accounts(9, 0), 5004, 5004, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newLedgerRig(t, tt.how)
			if tt.answer == 0 {
				r.away()
			}
			r.heard("mme", tt.in)
			r.nothing()
			assert.Empty(t, r.records())
			r.round()
			require.Len(t, r.records(), 1)
			assert.Equal(t, tt.owed && tt.how == durable, r.records()[0].Flags&accounting.FlagForward != 0, "acknowledged before a home has it")
			early := r.sent("mme")
			if tt.answer != 0 {
				out := r.one("hss1")
				r.heard("hss1", answerTo(out, "hss1.home.example", tt.answer))
			}
			r.round()
			got := append(early, r.sent("mme")...)
			require.Len(t, got, 1, "one answer")
			result, _ := got[0].Uint32(diameter.KnownResultCode)
			assert.Equal(t, tt.want, result)
			assert.Equal(t, uint32(7), got[0].HopByHop)
			if result == 2001 && tt.owed && tt.answer != 2001 {
				number, ok := got[0].Uint32(diameter.KnownRecordNumber)
				assert.True(t, ok)
				assert.Zero(t, number)
				kind, _ := got[0].Uint32(diameter.KnownRecordType)
				assert.Equal(t, uint32(recordStart), kind)
			}
			assert.Equal(t, tt.fates, r.owed.fates())
			assert.Equal(t, tt.owed, r.spool.Stats().Pending > 0)
			r.rest()
		})
	}
}

func TestRecordOfTheWalk(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeHome)
	in := accounts(recordStop, 3, avp{diameter.UserPassword, 0, "hidden"})
	r.heard("mme", in)
	r.round()
	rec := r.records()[0]
	assert.Equal(t, accounting.Quarantined, rec.Kind)
	assert.NotContains(t, string(rec.Raw), "hidden")
	assert.Contains(t, string(r.one("hss1").Raw), "hidden", "what is forwarded is as it came")

	in = accounts(recordStop, 4)
	r.heard("mme", in)
	r.round()
	rec = r.records()[1]
	assert.Equal(t, in.octets(), rec.Raw)
	assert.Equal(t, accounting.Stop, rec.Kind)
	assert.Equal(t, []string{"mme", "home.example", "home.example"}, []string{rec.Client, rec.Realm, rec.Route})
	var e accounting.Event
	rec.ReadEvent(&e)
	assert.Equal(t, uint64(3<<32+7), e.InputOctets)
}

func TestC117RepetitionsOfRecords(t *testing.T) {
	for _, how := range []realm.Acknowledge{realm.AcknowledgeHome, realm.AcknowledgeDurable} {
		t.Run(how.String(), func(t *testing.T) {
			r := newLedgerRig(t, how)
			one := accounts(recordInterim, 1)
			r.heard("mme", one)
			r.heard("mme", one.again(900)) // on its way to the disk
			r.round()
			require.Len(t, r.records(), 1)
			out := r.sent("hss1")
			if how == realm.AcknowledgeDurable {
				require.Len(t, out, 1)
				assert.Len(t, r.sent("mme"), 2)
			} else {
				require.Len(t, out, 2)
				assert.Empty(t, r.sent("mme"), "no home has it")
			}
			for _, m := range out {
				r.heard("hss1", answerTo(m, "hss1.home.example", 2001))
			}
			r.sent("mme")

			r.heard("mme", one.again(901)) // it is durable
			r.round()
			require.Len(t, r.records(), 1)
			if how == realm.AcknowledgeDurable {
				assert.Equal(t, uint32(2001), r.result("mme"))
				r.nothing()
			} else {
				r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", 2001))
				assert.Equal(t, uint32(2001), r.result("mme"))
			}

			r.heard("mme", one.with(avp{46, 0, uint32(5)}).again(902)) // it contradicts
			r.round()
			list := r.records()
			require.Len(t, list, 2)
			assert.NotZero(t, list[1].Flags&accounting.FlagConflict)
			assert.Equal(t, list[0].Seq, list[1].Other)
			assert.Equal(t, list[0].Key, list[1].Key)
			assert.Equal(t, 1, r.counted("roamgate_diameter_accounting_total", "result", "conflict"))
		})
	}
}

func TestSpoolThatTakesNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want uint32
	}{
		{"no space", spool.ErrNoSpace, diameter.ResultOutOfSpace},
		{"failed", spool.ErrFailed, diameter.ResultTooBusy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newLedgerRig(t, realm.AcknowledgeDurable)
			r.heard("mme", accounts(recordStart, 0))
			r.heard("mme", accounts(recordStart, 0).again(900))
			b := r.lp.ledger.recs
			r.lp.ledger.recs, b.Err = nil, tt.err
			r.lp.ledger.spooled(b)
			for _, m := range r.sent("mme") {
				v, _ := m.Uint32(diameter.KnownResultCode)
				assert.Equal(t, tt.want, v)
			}
			assert.Equal(t, 1, r.owed.cancel)
			r.rest()

			r.heard("mme", accounts(recordStart, 0).again(901)) // nothing of it was remembered
			r.round()
			assert.Equal(t, uint32(2001), r.result("mme"))
			assert.Len(t, r.records(), 1)
		})
	}
	r := newLedgerRig(t, realm.AcknowledgeDurable)
	require.NoError(t, r.spool.Close())
	r.heard("mme", accounts(recordStart, 0))
	r.lp.ledger.flush()
	assert.Equal(t, uint32(diameter.ResultTooBusy), r.result("mme"))
	r.rest()
}

func TestSenderLeavesWhileItsRecordIsWritten(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeHome)
	r.heard("mme", accounts(recordStart, 0))
	r.close(r.links["mme"])
	r.pass(time.Minute)
	r.round()
	r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", 2001))
	r.nothing()
	assert.Len(t, r.records(), 1)
	r.rest()
}

func TestRecordsThatAreTooLong(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeDurable)
	long := accounts(recordStart, 0)
	for range 300 {
		long = long.with(avp{25, 0, make([]byte, 52)})
	}
	require.Greater(t, len(long.octets()), accounting.MaxMessage)
	r.heard("mme", long)
	assert.Equal(t, uint32(diameter.ResultUnableToComply), r.result("mme"))
	r.round()
	assert.Empty(t, r.records())
	r.rest()
}

func TestCreditControlIsEvidence(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeDurable)
	ccr := accounts(0, 0).without(diameter.AccountingRecordType).without(diameter.AccountingRecordNumber).
		with(avp{diameter.CCRequestType, 0, uint32(3)}, avp{diameter.CCRequestNumber, 0, uint32(9)}, required(2))
	ccr.Command, ccr.Application = diameter.CreditControl, diameter.AppCredit
	r.heard("mme", ccr)
	r.round()
	require.Len(t, r.records(), 1)
	assert.Equal(t, accounting.Stop, r.records()[0].Kind)
	assert.Empty(t, r.sent("mme"), "credit is the home's alone")
	r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", 4012))
	assert.Equal(t, uint32(4012), r.result("mme"))
	assert.Zero(t, r.spool.Stats().Pending)
	r.rest()
}

func TestOwedRecords(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeDurable)
	r.away()
	r.heard("mme", accounts(recordStart, 0))
	r.round()
	r.heard("mme", accounts(recordStop, 1))
	r.round()
	assert.Len(t, r.sent("mme"), 2)
	assert.Equal(t, []Fate{FateDown}, r.owed.fates(), "the second is not tried before the first")
	var list []Owed
	require.NoError(t, r.spool.Pending(1, 0, func(seq uint64, b []byte) bool {
		list = append(list, Owed{Seq: seq, Record: append([]byte(nil), b...), Session: 5, Lane: t})
		return true
	}))
	require.Len(t, list, 2)
	r.lp.carry(list[0])
	r.round()
	assert.Equal(t, []Ending{{Seq: 1, Session: 5, Fate: FateDown, Lane: t}}, r.owed.ended)
	r.owed.ended = nil

	r.open("hss1")
	r.pass(time.Minute)
	for i, result := range []uint32{2001, 5004} {
		r.lp.carry(list[i])
		out := r.one("hss1")
		assert.NotZero(t, out.Flags&diameter.FlagRetransmitted)
		assert.Equal(t, uint32(100+i), out.EndToEnd)
		var delay diameter.AVP
		require.True(t, diameter.Find(out.Body(), 41, 0, &delay), "it has no Event-Timestamp")
		v, _ := delay.Uint32()
		assert.Equal(t, uint32(60), v)
		assert.Equal(t, []string{"mme.visited.example"}, recordsOf(out))
		r.heard("hss1", answerTo(out, "hss1.home.example", result))
		r.nothing()
	}
	r.round()
	assert.Equal(t, []Fate{FateTaken, FateRefused}, r.owed.fates())
	assert.Equal(t, 1, r.counted("roamgate_diameter_accounting_forwarded_later_total"))

	r.lp.carry(Owed{Seq: 9, Record: []byte("no record")})
	r.lp.carry(list[0])
	r.one("hss1")
	r.pass(time.Minute) // no answer
	r.round()
	assert.Equal(t, []Fate{FateForeign, FateSilent}, r.owed.fates())

	set := *r.set
	set.Clients = append([]realm.Client(nil), set.Clients...)
	set.Clients[0].Name = "another"
	r.apply(&set)
	r.lp.carry(list[0]) // who sent it is none any more
	r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", 2001))
	r.round()
	assert.Equal(t, []Fate{FateTaken}, r.owed.fates())
	r.rest()
}

func TestAllocsRecords(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeHome)
	raw := accounts(recordStart, 0).octets()
	var m diameter.Message
	require.Equal(t, diameter.NoFault, m.Parse(raw))
	l := r.lp.ledger
	q := reported{m: &m, client: &r.set.Clients[0], route: &r.set.Routes[0], realm: []byte("home.example"), wall: 1}
	number := uint32(0)
	again := func() {
		number++
		at, _ := m.Span(diameter.KnownRecordNumber)
		raw[at+10], raw[at+11] = byte(number>>8), byte(number)
		var v voucher
		require.Equal(t, waits, l.record(&v, &q))
		l.recs.Reset()
		assert.Equal(t, goesOn, l.answered(&v, 2001))
	}
	again()
	assert.Zero(t, testing.AllocsPerRun(200, again))
}

// C117: a record that its home has refused is no longer owed, so who asks once more hears
// nothing but what a home says.
func TestC117RefusedRecordComesAgain(t *testing.T) {
	for _, c := range []struct {
		refusal  uint32
		restarts bool
	}{{3004, false}, {4002, false}, {5012, false}, {4002, true}, {5012, true}} {
		refusal := c.refusal
		r := newLedgerRig(t, realm.AcknowledgeHome)
		one := accounts(recordStart, 0, required(2))
		r.heard("mme", one)
		r.round()
		if refusal/1000 == 3 {
			r.suspect(r.links["hss2"])
			r.suspect(r.links["dra"])
		}
		r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", refusal))
		r.round()
		require.Equal(t, refusal, r.result("mme"))
		require.Equal(t, []Fate{FateTaken}, r.owed.fates())
		if c.restarts {
			events := accounting.NewEvents(1024, 0)
			require.NoError(t, r.spool.Read(1, func(seq uint64, b []byte) bool { return assert.NoError(t, events.Replay(seq, b)) }))
			r.lp.ledger.events = events
		}

		r.heard("mme", one.again(901))
		r.round()
		r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", 2001))
		assert.Equal(t, uint32(2001), r.result("mme"))
		assert.Len(t, r.records(), 1)
		r.rest()
	}
}

// C117: a record says whose it is as the files said when it came, also where its sender
// is in them no more when it is written.
func TestC117SenderIsRemovedWhileItsRecordIsWritten(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeDurable)
	one := accounts(recordStart, 0)
	r.heard("mme", one)
	r.heard("mme", one.again(900)) // waits for the first, and is described once more
	n := r.node("mme")
	n.index = -1
	r.round()
	require.Len(t, r.records(), 1)
	assert.Equal(t, "mme", r.records()[0].Client)
}

package aaa

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"

	"github.com/roamgate/roamgate/accounting"
)

// debts counts the records that are owed to homes, by session: a record is
// sent only when no earlier one of its session is owed, and one at a time. The
// table is fixed (newDebts), so two sessions may share a count: then one waits for the
// other, which costs time and nothing else. All its operations are one atomic
// step, as every shard and the walk work on it.
type debts []atomic.Uint32

const (
	leastDebtors = 1 << 10
	mostDebtors  = 1 << 22
	underway     = 1 << 31 // one record of the session is on its way
	unreadable   = 0       // where records that name no session are counted
)

// newDebts has 16 counts for each request that can be in flight: sessions that
// have nothing to do with each other seldom share one.
func newDebts(slots int) debts {
	return make(debts, 1+1<<bits.Len(uint(min(max(16*slots, leastDebtors), mostDebtors)-1)))
}

// enter counts one more record. turn says that it may be sent at once: then
// it is on its way, until leave.
//
// hot: 0 allocs
func (d debts) enter(session uint32, may bool) (turn bool) {
	c := &d[session]
	for {
		v := c.Load()
		if v == 0 && may {
			if c.CompareAndSwap(0, underway|1) {
				return true
			}
		} else if c.CompareAndSwap(v, v+1) {
			return false
		}
	}
}

// seize takes the session for one record that is counted already; false:
// another is on its way.
func (d debts) seize(session uint32) bool { return d[session].Or(underway)&underway == 0 }

// leave gives the session free.
func (d debts) leave(session uint32) { d[session].And(^uint32(underway)) }

// pay counts one record less.
func (d debts) pay(session uint32) { d[session].Add(^uint32(0)) }

// sessionOf is where records of one client, NAS and Acct-Session-Id (RFC 2866
// section 5.5), or Session-Id of Diameter, are counted.
//
// hot: 0 allocs
func (h *Hub) sessionOf(client string, e *accounting.Event) uint32 {
	const odd = 0x9e3779b97f4a7c15
	nas := e.NASIdentifier
	switch {
	case e.Diameter:
		nas = nil // a Session-Id names a session by itself (RFC 6733 section 8.8)
	case len(nas) == 0:
		nas = e.NASAddress
	}
	sum := maphash.String(h.seed, client)
	sum = sum*odd ^ maphash.Bytes(h.seed, nas)
	sum = sum*odd ^ maphash.Bytes(h.seed, e.SessionID)
	return 1 + uint32(sum>>32)%uint32(len(h.later.debts)-1)
}

// sessionOfRecord is that of a record in the spool; all that cannot be read
// share one.
func (h *Hub) sessionOfRecord(b []byte, e *accounting.Event) (rec accounting.Record, session uint32, ok bool) {
	rec, err := accounting.Decode(b)
	if err != nil {
		return rec, unreadable, false
	}
	accounting.Classify(e, rec.Raw, rec.Time)
	return rec, h.sessionOf(rec.Client, e), true
}

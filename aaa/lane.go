package aaa

// lane is what the walk knows of one pool of homes: how far it has come with
// the records owed there, and how many at once the homes take. Lanes do not
// wait for each other.
type lane struct {
	pool string

	next   uint64 // all earlier records are taken, on their way, or not before low
	low    uint64 // the first that was left behind since began, 0 none
	began  int64
	rest   int64  // nothing is sent before
	again  bool   // go back to low without having seen the end
	end    bool   // the end of the log was seen
	full   bool   // wait until half of limit is free
	served uint64 // turn of the walk in which it was looked for last

	limit    int
	underway int

	blocked []uint64 // sessions of which something was left behind, a bit each
}

const (
	firstLimit = 16
	mostLimit  = 512
	blockable  = 1 << 16

	laneAgain = int64(1e9)    // between two tries of what was left behind
	noneAgain = int64(3600e9) // ... where there is no rule that says where to
	laneBusy  = int64(100e6)  // rest after a home had no turn for a record
	laneDown  = int64(1e9)    // rest after no home could be asked
)

func newLane(pool string) *lane { return &lane{pool: pool, limit: firstLimit} }

// start goes back to a record and tries all from there on once more.
func (l *lane) start(at uint64, now int64) {
	l.next, l.low, l.began = at, 0, now
	l.again, l.end, l.full = false, false, false
	clear(l.blocked)
}

// ready says whether there may be something to send.
func (l *lane) ready(now int64, horizon uint64) bool {
	if now < l.rest {
		return false
	}
	again := laneAgain
	if l.pool == "" {
		again = noneAgain
	}
	if l.low != 0 && (l.again || l.end) && now-l.began >= again {
		l.start(l.low, now)
	}
	if l.full && l.underway > l.limit/2 {
		return false
	}
	l.full = false
	return l.next <= horizon
}

// leave passes a record by: nothing of its session is sent until the lane
// starts again.
func (l *lane) leave(seq uint64, session uint32) {
	if l.low == 0 || seq < l.low {
		l.low = seq
	}
	if l.blocked == nil {
		l.blocked = make([]uint64, blockable/64)
	}
	l.blocked[session%blockable/64] |= 1 << (session % 64)
}

func (l *lane) blocks(session uint32) bool {
	return l.blocked != nil && l.blocked[session%blockable/64]&(1<<(session%64)) != 0
}

// won hears that a record is owed no longer.
func (l *lane) won() { l.limit = min(l.limit+1, mostLimit) }

// lost hears that no home has taken a record, and why.
func (l *lane) lost(how fate, now int64) {
	switch how {
	case fateDown:
		l.limit, l.rest, l.again = 1, now+laneDown, true
	case fateBusy:
		l.limit, l.rest = max(l.limit/2, 1), now+laneBusy
	case fateHeld: // it says nothing of the records of other realms
	default:
		l.limit = max(l.limit/2, 1)
	}
}

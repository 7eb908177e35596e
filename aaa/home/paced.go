package home

import "math"

const (
	paceFloor   = 16             // requests that may be at any home
	spanFirst   = 5 * second / 4 // of a home that begins to struggle: below the first retransmission
	spanLeast   = second / 8     // the least, as answers come in bursts
	spanMost    = 8 * second     // above it the home is at no pace
	backlog     = 8              // seconds of a home's work that may wait here
	holdFirst   = 2 * second     // between two steps down
	holdMost    = 64 * second    // the same where they made the home do less
	enoughLate  = 3              // timeouts; fewer are lost datagrams
	lateShare   = 16             // of the answers: less is a lossy path
	bucketShift = 26             // 67 ms
	buckets     = 32             // two seconds of answers and timeouts
	memory      = 64             // four of transmissions
	slowBuckets = 4              // a quarter of a second
	rateWindow  = buckets << bucketShift
	quickShift  = 36 // 69 s
)

// paced is one address of a home.
type paced struct {
	held     int            // slots that are at the home or wait for it
	there    int            // requests that it may be working on: sent and not lost
	sent     [memory]uint32 // of them, by the bucket they were sent in
	lost     int64          // what was sent in earlier buckets and not answered is lost
	slow     [2]int64       // slowest answer of the two last quarters of a second that had any
	slowAt   int64
	fresh    list  // new requests that wait for their turn, the newest first
	late     list  // repetitions that wait, the oldest first
	span     int64 // 0: no pace
	judged   int64 // when the span was moved last
	lowered  int64 // when it was made smaller last, or found too small
	hold     int64 // it is not made smaller again before
	best     int64 // the rate since it struggles: halves in 44 s
	bucket   int64 // the present one's number
	answered [buckets]uint32
	expired  [buckets]uint32
	answers  uint32   // sum of answered
	timeouts uint32   // sum of expired
	rate     int64    // answers in two seconds, lately: halves in a second and a half
	quick    [2]int64 // quickest answer of this and of the last 69 s
	quickAt  int64
}

// limit is how many requests may be at the home.
func (l *paced) limit(now int64) int {
	l.rotate(now)
	return max(int(l.rate*(l.span>>10)/(rateWindow>>10)), paceFloor)
}

// backlog is how many new ones may wait.
func (l *paced) backlog(now int64) int {
	l.rotate(now)
	return max(int(l.rate*backlog*(second>>10)/(rateWindow>>10)), paceFloor)
}

// fails reports whether the home left a part of the last two seconds
// unanswered that is no chance.
func (l *paced) fails() bool {
	return l.timeouts >= enoughLate && l.timeouts*lateShare > l.answers
}

// judge moves the span once a second.
func (l *paced) judge(now int64) {
	for ; l.span != 0 && now-l.judged >= second; l.judged += second {
		l.rotate(now)
		l.best = max(l.rate, l.best-l.best/64)
		at := l.judged + second
		switch {
		case !l.fails():
			if l.span += l.span / 8; l.span > max(spanMost, 2*l.least()) {
				l.span = 0
			}
		case l.starves():
			l.span = max(l.span, min(l.span*3/2, max(spanFirst, l.least())))
			l.lowered, l.hold = at, min(2*l.hold, holdMost)
		case at-l.lowered >= l.hold:
			l.span = max(l.span*3/4, l.least())
			l.lowered = at
		}
	}
}

// starves reports whether the home does less than it did while requests wait
// for it. One that has too much does no less when it is given less; one whose
// datagrams are lost on the way does, and loses as many, until it has none.
func (l *paced) starves() bool { return l.waiting() > 0 && l.rate < l.best*3/4 }

// least is the span that a home needs to go on as quickly as it can.
func (l *paced) least() int64 {
	quick := min(l.quick[0], l.quick[1])
	if quick == math.MaxInt64 {
		return spanLeast
	}
	return max(spanLeast, quick+quick/4)
}

func (l *paced) learn(took, now int64) {
	if at := now >> quickShift; at != l.quickAt {
		l.quick[1] = l.quick[0]
		if at != l.quickAt+1 {
			l.quick[1] = math.MaxInt64
		}
		l.quick[0], l.quickAt = math.MaxInt64, at
	}
	l.quick[0] = min(l.quick[0], took)
}

// rotate moves the counts of two seconds on.
func (l *paced) rotate(now int64) {
	at := now >> bucketShift
	if at == l.bucket {
		return
	}
	for range min(at-l.bucket, buckets) {
		l.bucket++
		i := l.bucket % buckets
		l.answers -= l.answered[i]
		l.timeouts -= l.expired[i]
		l.answered[i], l.expired[i] = 0, 0
		l.rate = max(l.rate-(l.rate+buckets-1)/buckets, int64(l.answers))
	}
	if at != l.bucket {
		l.bucket, l.rate = at, 0
	}
	l.forget()
}

// lag notes how long ago a request was sent that is answered now.
func (l *paced) lag(took int64) {
	if at := l.bucket / slowBuckets; l.slowAt != at {
		l.slow[1], l.slow[0], l.slowAt = l.slow[0], 0, at
	}
	l.slow[0] = max(l.slow[0], took)
}

// forget counts as lost what was sent so long before the slowest of the last
// answers that its own would have come, and what is older than the memory.
// Homes answer more or less in order; where one does not, it is sent more
// than its span, and less lies idle.
func (l *paced) forget() {
	lost := l.bucket - memory + 1
	if slowest := max(l.slow[0], l.slow[1]); slowest > 0 {
		lost = max(lost, l.bucket-slowest>>bucketShift-1)
	}
	for ; l.lost < lost && l.there > 0; l.lost++ {
		l.there -= int(l.sent[l.lost%memory])
		l.sent[l.lost%memory] = 0
	}
	l.lost = max(l.lost, lost)
}

func (l *paced) queue(s placeState) *list {
	if s == fresh {
		return &l.fresh
	}
	return &l.late
}

func (l *paced) waiting() int { return l.fresh.n + l.late.n }

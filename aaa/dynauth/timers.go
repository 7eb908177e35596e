package dynauth

import (
	"math/rand/v2"
	"time"
)

// Retransmission of RFC 5080 section 2.2.1, which RFC 5176 section 2.3 asks
// for.
const (
	irt = int64(2 * time.Second)
	mrt = int64(16 * time.Second)
	mrd = int64(30 * time.Second)
	mrc = 5
)

// backoff is the wait behind a transmission, twice the last one, moved by up to
// a tenth either way.
func backoff(rt int64) int64 {
	base, step := irt, irt
	if rt != 0 {
		base, step = 2*rt, rt
	}
	next := base + jitter(step)
	if next > mrt {
		next = mrt + jitter(mrt)
	}
	return next
}

func jitter(d int64) int64 { return rand.Int64N(d/5) - d/10 }

// timers is a heap of exchanges by when they are due.
type timers []*exchange

func (t timers) first() *exchange {
	if len(t) == 0 {
		return nil
	}
	return t[0]
}

func (t *timers) set(ex *exchange, due int64) {
	t.remove(ex)
	ex.due, ex.timer = due, len(*t)
	*t = append(*t, ex)
	t.up(ex.timer)
}

func (t *timers) remove(ex *exchange) {
	i := ex.timer
	if i < 0 {
		return
	}
	h := *t
	last := len(h) - 1
	h.swap(i, last)
	h[last] = nil
	*t = h[:last]
	ex.timer = -1
	if i < last {
		t.up(i)
		t.down(i)
	}
}

func (t timers) swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].timer, t[j].timer = i, j
}

func (t timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if t[parent].due <= t[i].due {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t timers) down(i int) {
	for {
		least := i
		for _, c := range [...]int{2*i + 1, 2*i + 2} {
			if c < len(t) && t[c].due < t[least].due {
				least = c
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}

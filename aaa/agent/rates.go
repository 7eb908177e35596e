package agent

import "github.com/roamgate/roamgate/pkg/diameter"

// bucket holds what a peer may send at once. Full it has the burst, and it fills at the
// rate.
type bucket struct {
	spent float64 // of the burst
	at    int64
}

// take takes a request's worth out. A rate of 0 bounds nothing. A priority above the
// default may go into debt, which the others pay; one below it leaves some for them.
//
// hot: 0 allocs
func (b *bucket) take(now int64, rate, burst int, priority uint8) bool {
	if rate == 0 {
		return true
	}
	if burst == 0 {
		burst = rate
	}
	b.spent = max(b.spent-float64(now-b.at)*float64(rate)/1e9, 0)
	b.at = now
	if b.spent+1 > float64(burst)*float64(20-int(priority))/(20-defaultPriority) {
		return false
	}
	b.spent++
	return true
}

// priorityOf is what DRMP says (RFC 7944), 0 the highest and 15 the lowest.
//
// hot: 0 allocs
func priorityOf(m *diameter.Message) uint8 {
	if v, ok := m.Uint32(diameter.KnownDRMP); ok && v <= 15 {
		return uint8(v)
	}
	return defaultPriority
}

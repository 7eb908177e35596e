package admit

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	ms = int64(1e6)
	us = int64(1e3)
)

// front is a shard that reads one socket: a bounded first-in-first-out
// buffer, a cost for each packet served and a smaller one for each packet
// shed. Clients send at steady rates. All in virtual time.
type front struct {
	share  *Share
	serve  int64 // ns
	drop   int64
	buffer int
	gaps   []int64 // ns between packets of a client, 0 it is silent
	off    bool    // without the Share

	now   int64
	due   []int64
	queue []int32

	sent, served, shed, lost []int
}

func newFront(gaps ...int64) *front {
	n := len(gaps)
	f := &front{
		share: NewShare(), serve: 10 * us, drop: us, buffer: 4000, gaps: gaps, due: make([]int64, n),
		sent: make([]int, n), served: make([]int, n), shed: make([]int, n), lost: make([]int, n),
	}
	f.share.Resize(n)
	return f
}

// arrive fills the buffer with what was sent until now.
func (f *front) arrive() {
	for {
		first := -1
		for c, gap := range f.gaps {
			if gap > 0 && f.due[c] <= f.now && (first < 0 || f.due[c] < f.due[first]) {
				first = c
			}
		}
		if first < 0 {
			return
		}
		f.due[first] += f.gaps[first]
		f.sent[first]++
		if len(f.queue) >= f.buffer {
			f.lost[first]++
			continue
		}
		f.queue = append(f.queue, int32(first))
	}
}

// turn reads at most 256 packets in batches of 64, as a shard does.
func (f *front) turn() {
	waiting := true
	for range 4 {
		f.arrive()
		n := min(len(f.queue), 64)
		for _, c := range f.queue[:n] {
			if f.off || f.share.Seen(c, false) {
				f.served[c]++
				f.now += f.serve
			} else {
				f.shed[c]++
				f.now += f.drop
			}
		}
		f.queue = f.queue[n:]
		if n < 64 {
			waiting = false
			break
		}
	}
	f.now += 5 * us
	f.share.Turn(f.now, waiting)
}

func (f *front) run(until int64) {
	for f.now < until {
		f.turn()
	}
}

// reset forgets the counts of the tests, not of the Share.
func (f *front) reset() {
	for c := range f.gaps {
		f.sent[c], f.served[c], f.shed[c], f.lost[c] = 0, 0, 0, 0
	}
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// others is a share of what all clients but the first sent.
func others(of, sent []int) float64 {
	return float64(sum(of[1:])) / float64(sum(sent[1:]))
}

// F38: one client sends a hundred times what the others do, and more than we
// can do.
func TestShareHoldsAScreamingClient(t *testing.T) {
	for _, tt := range []struct {
		name   string
		others int
		gap    int64 // of the others
		scream int64 // gap of the first
	}{
		{"beside one", 1, ms, 4 * us},
		{"beside four", 4, ms, 4 * us},
		{"beside ten at a hundredth each", 10, 400 * us, 4 * us},
		{"beside forty", 40, ms, 3 * us},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gaps := []int64{tt.scream}
			for range tt.others {
				gaps = append(gaps, tt.gap)
			}
			without := newFront(gaps...)
			without.off = true
			without.run(2000 * ms)
			f := newFront(gaps...)
			f.run(200 * ms)
			f.reset()
			f.run(2200 * ms)
			t.Logf("others lose %.1f %% without and %.3f %% with the share; served in all %d and %d",
				100*others(without.lost, without.sent), 100*others(f.lost, f.sent), sum(without.served), sum(f.served))
			require.Greater(t, others(without.lost, without.sent), 0.3, "the case is no overload")
			assert.Zero(t, sum(f.shed[1:]), "shed of others")
			assert.Less(t, others(f.lost, f.sent), 0.001)
			assert.Greater(t, sum(f.served), sum(without.served)*6/10, "the capacity is used")
		})
	}
}

// Everybody is too many: reading only to drop would cost work that gets done.
func TestShareLeavesACrowdToTheKernel(t *testing.T) {
	for _, tt := range []struct {
		name string
		gaps []int64
	}{
		{"one alone", []int64{us}},
		{"two alike", []int64{4 * us, 4 * us}},
		{"eight alike", []int64{20 * us, 20 * us, 20 * us, 20 * us, 20 * us, 20 * us, 20 * us, 20 * us}},
		{"half of eight", []int64{10 * us, 10 * us, 10 * us, 10 * us, ms, ms, ms, ms}},
		{"one of many, who is not why", append([]int64{50 * us}, repeated(60, 300*us)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFront(tt.gaps...)
			f.run(500 * ms)
			require.NotZero(t, sum(f.lost), "the case is no overload")
			assert.Zero(t, sum(f.shed))
			assert.Equal(t, Counters{}, f.share.Counters())
		})
	}
}

func repeated(n int, gap int64) (gaps []int64) {
	for range n {
		gaps = append(gaps, gap)
	}
	return gaps
}

func TestShareTouchesNobodyWithoutAStandingQueue(t *testing.T) {
	f := newFront(20*us, ms, ms, ms)
	f.run(500 * ms)
	assert.Zero(t, sum(f.lost))
	assert.Equal(t, Counters{}, f.share.Counters())
}

// The limit is gone soon after the client has stopped screaming, and binds
// it again when it begins again.
func TestShareRecovers(t *testing.T) {
	f := newFront(3*us, ms, ms, ms, ms)
	f.run(300 * ms)
	require.NotZero(t, f.share.Limit())
	f.gaps[0] = 200 * us
	ended := f.now
	for f.share.Limit() != 0 {
		require.Less(t, f.now-ended, 500*ms, "still limited")
		f.turn()
	}
	f.run(f.now + 100*ms)
	f.reset()
	f.run(f.now + 500*ms)
	assert.Zero(t, sum(f.shed)+sum(f.lost))
	f.gaps[0] = 3 * us
	f.run(f.now + 300*ms)
	assert.NotZero(t, f.share.Limit())
	assert.EqualValues(t, 2, f.share.Counters().Episodes)
}

// held drives a Share by hand into a limit for client 0 beside n others.
func held(t require.TestingT, n int) (s *Share, now int64) {
	s = NewShare()
	s.Resize(n + 1)
	for range 4 {
		s.Turn(now, true)
		for range 1000 + 3*n {
			s.Seen(0, false)
		}
		for c := range n {
			s.Seen(int32(c+1), false)
		}
		now += interval
	}
	require.NotZero(t, s.Limit())
	return s, now
}

func taken(s *Share, client int32, urgent bool, tries int) (n int) {
	for range tries {
		if s.Seen(client, urgent) {
			n++
		}
	}
	return n
}

func TestShareLimits(t *testing.T) {
	tests := []struct {
		name   string
		client int32
		urgent bool
		want   func(limit int) int
	}{
		{"held", 0, false, func(limit int) int { return limit }},
		{"held, urgent", 0, true, func(limit int) int { return 2 * limit }},
		{"other", 1, false, func(int) int { return 5000 }},
		{"unseen", 9, false, func(int) int { return 5000 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, now := held(t, 9)
			s.Turn(now, true)
			assert.Equal(t, tt.want(s.Limit()), taken(s, tt.client, tt.urgent, 5000))
		})
	}
}

func TestShareForgetsOnReload(t *testing.T) {
	s, _ := held(t, 9)
	s.Resize(3)
	assert.Zero(t, s.Limit())
	assert.Equal(t, 5000, taken(s, 0, false, 5000))
	assert.Equal(t, 5000, taken(s, 2, false, 5000))
}

// Whatever clients do and however long turns last: nobody is shed below an
// equal share of what was taken, a client alone never, the held never get
// more than their limit, and without a standing queue all of it ends.
func TestShareHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "clients")
		s := NewShare()
		s.Resize(n)
		now, peak := int64(0), 0
		for range rapid.IntRange(1, 60).Draw(t, "turns") {
			waiting := rapid.IntRange(0, 9).Draw(t, "waiting") > 0
			limit, begun := s.Limit(), s.began
			before := s.Counters().Shed
			took := make([]int, n)
			busy := 0
			for c := range n {
				sent := rapid.SampledFrom([]int{0, 1, 2, 5, 100, 2000}).Draw(t, "sent")
				if sent > 0 {
					busy++
				}
				peak = max(peak, sent)
				took[c] = taken(s, int32(c), false, sent)
				if took[c] < sent {
					require.NotZero(t, limit, "shed without a limit")
					require.LessOrEqual(t, took[c], limit)
					require.LessOrEqual(t, s.capacity/uint64(n), uint64(s.accounts[c].taken), "shed below an equal share")
				}
			}
			if n == 1 {
				require.Equal(t, before, s.Counters().Shed, "alone")
			}
			now += rapid.SampledFrom([]int64{ms, 5 * ms, interval, 35 * ms}).Draw(t, "ns")
			s.Turn(now, waiting)
			if s.began != begun && s.watching {
				require.Zero(t, len(s.active))
			}
		}
		for range 64 { // 5/4 to the power of 64 is above any limit
			taken(s, 0, false, peak)
			now += interval
			s.Turn(now, false)
		}
		require.Zero(t, s.Limit())
		require.False(t, s.watching)
	})
}

// The level is the one of max-min fairness: it fits, and one more would not.
func TestShareLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		demands := rapid.SliceOfN(rapid.IntRange(1, 100000), 1, 40).Draw(t, "demands")
		s := NewShare()
		s.Resize(len(demands))
		s.watching = true
		total := uint64(0)
		for c, d := range demands {
			taken(s, int32(c), false, d)
			total += uint64(d)
		}
		room := rapid.Uint64Range(0, total).Draw(t, "room")
		level := s.level(room)
		given, next := uint64(0), uint64(0)
		for _, d := range demands {
			given += min(uint64(d), level)
			next += min(uint64(d), level+1)
		}
		require.LessOrEqual(t, given, room)
		if next != given { // else everybody has all
			require.Greater(t, next, room)
		}
	})
}

func TestAllocsShare(t *testing.T) {
	s, now := held(t, 9)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		for c := range int32(10) {
			s.Seen(c, c%2 == 0)
		}
		now += 3 * ms
		s.Turn(now, now%4 != 0)
	}))
}

func BenchmarkHotSeen(b *testing.B) {
	quiet := NewShare()
	quiet.Resize(1000)
	standing, _ := held(b, 999)
	for _, bb := range []struct {
		name  string
		share *Share
	}{{"quiet", quiet}, {"overload", standing}} {
		b.Run(bb.name, func(b *testing.B) {
			n, took := int32(0), 0
			for b.Loop() {
				if bb.share.Seen(n, false) {
					took++
				}
				if n++; n == 1000 {
					n = 0
				}
			}
		})
	}
}

// BenchmarkTurn closes an interval of a thousand active clients each time.
func BenchmarkTurn(b *testing.B) {
	s, now := held(b, 999)
	for b.Loop() {
		for c := range int32(1000) {
			s.Seen(c, false)
		}
		now += interval
		s.Turn(now, true)
	}
}

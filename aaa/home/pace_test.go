package home

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// struggling is a Pace whose home 1 answers a hundred requests a second and
// leaves as many unanswered. Slots from 500 on are free.
func struggling(t require.TestingT) (p *Pace, now int64) {
	p, now = NewPace(2000), 50*second
	for slot := range uint32(400) {
		now += 10 * millisecond
		p.Sent(slot, 1, Auth, now)
		if slot%2 == 1 {
			p.Expired(slot, now)
		} else {
			p.Answered(slot, 20*millisecond, now)
		}
	}
	require.True(t, p.Paced(1, Auth))
	for slot := range uint32(400) {
		p.Leave(slot)
	}
	return p, now
}

func TestPaceKeepsOutOfTheWayOfAWellHome(t *testing.T) {
	tests := []struct {
		name string
		lost func(n int) bool
		want bool
	}{
		{"all answered", func(int) bool { return false }, false},
		{"two lost", func(n int) bool { return n == 100 || n == 200 }, false},
		{"one in fifty lost", func(n int) bool { return n%50 == 0 }, false},
		{"one in ten lost", func(n int) bool { return n%10 == 0 }, true},
		{"all lost", func(int) bool { return true }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, now := NewPace(100000), int64(0)
			for n := range 2000 {
				now += 2 * millisecond
				slot := uint32(n)
				require.NotEqual(t, Busy, p.Ask(3, Acct, false, now))
				p.Sent(slot, 3, Acct, now)
				if tt.lost(n) {
					p.Expired(slot, now)
				} else {
					p.Answered(slot, 20*millisecond, now)
				}
			}
			assert.Equal(t, tt.want, p.Paced(3, Acct))
			assert.False(t, p.Paced(3, Auth), "authentication is counted apart")
		})
	}
}

func TestPaceTurns(t *testing.T) {
	p, now := struggling(t)
	limit := p.Limit(1, Auth, now)
	assert.Greater(t, limit, paceFloor)
	slot := uint32(500)
	for range limit {
		require.Equal(t, Go, p.Ask(1, Auth, false, now))
		p.Sent(slot, 1, Auth, now)
		slot++
	}
	assert.Equal(t, Wait, p.Ask(1, Auth, false, now), "the home has its span")
	assert.Equal(t, Go, p.Ask(1, Auth, true, now), "what has begun goes ahead")
	assert.Equal(t, Go, p.Ask(1, Acct, false, now))
	assert.Equal(t, Go, p.Ask(2, Auth, false, now))
	for range limit {
		p.Sent(slot, 1, Auth, now)
		slot++
	}
	assert.Equal(t, Wait, p.Ask(1, Auth, true, now), "to twice the span")
	_, ok := p.Next(1, Auth, now)
	assert.False(t, ok, "nobody waits")
}

// The newest goes first, and what was sent before goes last; a repetition is
// never pushed out by a new request, as the home may still answer it.
func TestPaceOrder(t *testing.T) {
	p, now := struggling(t)
	room := p.line(1, Auth).backlog(now)
	p.Sent(500, 1, Auth, now)
	p.Sent(501, 1, Auth, now)
	assert.False(t, p.Expired(500, now))
	assert.False(t, p.Expired(501, now))
	for n := range room {
		_, full := p.Enqueue(uint32(600+n), 1, Auth, now)
		require.False(t, full)
	}
	oldest, full := p.Enqueue(1999, 1, Auth, now)
	assert.True(t, full)
	assert.Equal(t, uint32(600), oldest)
	assert.False(t, p.Queued(600))
	assert.True(t, p.Queued(1999))
	assert.Equal(t, room+2, p.Waiting(1, Auth))
	p.Leave(1999)
	p.Leave(uint32(600 + room - 2))
	var order []uint32
	for {
		slot, ok := p.Next(1, Auth, now)
		if !ok {
			break
		}
		order = append(order, slot)
	}
	require.Len(t, order, room)
	assert.Equal(t, uint32(600+room-1), order[0])
	assert.Equal(t, uint32(600+room-3), order[1])
	assert.Equal(t, []uint32{601, 500, 501}, order[len(order)-3:])
}

func TestPaceEnds(t *testing.T) {
	p, now := struggling(t)
	for n := 0; p.Paced(1, Auth); n++ {
		require.Less(t, n, 60, "seconds")
		now += second
		p.Sent(500, 1, Auth, now)
		p.Answered(500, 20*millisecond, now)
		p.Ask(1, Auth, false, now)
	}
	assert.Zero(t, p.Limit(1, Auth, now))
	assert.EqualValues(t, 1, p.Counters().Struggles)
}

// No home and kind holds more than half of the slots, answering or not.
func TestPaceHalf(t *testing.T) {
	p := NewPace(100)
	for slot := range uint32(50) {
		require.Equal(t, Go, p.Ask(7, Auth, false, 0))
		p.Sent(slot, 7, Auth, 0)
	}
	assert.Equal(t, Busy, p.Ask(7, Auth, true, 0))
	assert.Equal(t, Go, p.Ask(7, Acct, false, 0))
	assert.Equal(t, Go, p.Ask(8, Auth, false, 0))
	p.Answered(3, millisecond, 0)
	assert.Equal(t, Go, p.Ask(7, Auth, false, 0))
	assert.EqualValues(t, 1, p.Counters().Busy)
}

// A request that goes to another home counts there and no more here.
func TestPaceFailOver(t *testing.T) {
	p := NewPace(100)
	p.Sent(1, 7, Auth, 0)
	p.Sent(1, 8, Auth, second)
	assert.Zero(t, p.There(7, Auth))
	assert.Equal(t, 1, p.There(8, Auth))
	p.Sent(1, 8, Auth, 2*second)
	assert.Equal(t, 1, p.There(8, Auth), "again")
	p.Leave(1)
	p.Leave(1)
	assert.True(t, p.Expired(1, 3*second), "a slot that is nowhere")
	assert.Zero(t, p.There(8, Auth))
}

// Whatever comes in whatever order, every slot is where it was last said to
// be, and nothing is left when all have gone.
func TestPaceModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const slots, homes = 60, 2
		p := NewPace(slots)
		now := int64(0)
		at := map[uint32]int32{} // slots in the Pace, by home
		var queue [homes][]uint32
		var late [homes][]uint32
		gone := func(slot uint32) {
			delete(at, slot)
			for h := range homes {
				drop := func(s uint32) bool { return s == slot }
				queue[h], late[h] = slices.DeleteFunc(queue[h], drop), slices.DeleteFunc(late[h], drop)
			}
		}
		slotOf := func(t *rapid.T) uint32 { return rapid.Uint32Range(0, slots-1).Draw(t, "slot") }
		homeOf := func(t *rapid.T) int32 { return rapid.Int32Range(0, homes-1).Draw(t, "home") }
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				slot, h := slotOf(t), homeOf(t)
				p.Sent(slot, h, Auth, now)
				gone(slot)
				at[slot] = h
			},
			"enqueue": func(t *rapid.T) {
				slot, h := slotOf(t), homeOf(t)
				oldest, full := p.Enqueue(slot, h, Auth, now)
				gone(slot)
				if full {
					require.Equal(t, queue[h][len(queue[h])-1], oldest)
					gone(oldest)
				}
				at[slot] = h
				queue[h] = append([]uint32{slot}, queue[h]...)
			},
			"expire": func(t *rapid.T) {
				slot := slotOf(t)
				waited := p.Queued(slot)
				again := p.Expired(slot, now)
				if h, in := at[slot]; in && !waited && !again {
					late[h] = append(late[h], slot)
				}
				require.False(t, waited && again)
			},
			"answer": func(t *rapid.T) {
				slot := slotOf(t)
				p.Answered(slot, rapid.Int64Range(0, 3*second).Draw(t, "took"), now)
				gone(slot)
			},
			"leave": func(t *rapid.T) {
				slot := slotOf(t)
				p.Leave(slot)
				gone(slot)
			},
			"next": func(t *rapid.T) {
				h := homeOf(t)
				slot, ok := p.Next(h, Auth, now)
				if !ok {
					return
				}
				require.Equal(t, append(slices.Clone(queue[h]), late[h]...)[0], slot)
				gone(slot)
			},
			"wait": func(t *rapid.T) { now += rapid.Int64Range(0, 3*second).Draw(t, "ns") },
			"": func(t *rapid.T) {
				held := map[int32]int{}
				for slot, h := range at {
					held[h]++
					require.Equal(t, slices.Contains(queue[h], slot) || slices.Contains(late[h], slot), p.Queued(slot))
				}
				for h := range int32(homes) {
					l := p.line(h, Auth)
					require.Equal(t, held[h], l.held)
					require.Equal(t, len(queue[h]), l.fresh.n)
					require.Equal(t, len(late[h]), l.late.n)
					require.LessOrEqual(t, l.there, held[h]-l.waiting())
					require.GreaterOrEqual(t, l.there, 0)
				}
			},
		})
		for slot := range uint32(slots) {
			p.Leave(slot)
		}
		for h := range int32(homes) {
			l := p.line(h, Auth)
			require.Zero(t, l.held+l.there+l.waiting())
			require.Equal(t, [memory]uint32{}, l.sent)
		}
	})
}

func TestAllocsPace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		paced bool
	}{{"well", false}, {"paced", true}} {
		t.Run(tt.name, func(t *testing.T) {
			p, now := struggling(t)
			home := int32(0)
			if tt.paced {
				home = 1
			}
			slot := uint32(0)
			assert.Zero(t, testing.AllocsPerRun(1000, func() {
				now += millisecond
				slot = (slot + 1) % 100
				if p.Ask(home, Auth, slot%2 == 0, now) == Wait {
					p.Enqueue(slot, home, Auth, now)
				} else {
					p.Sent(slot, home, Auth, now)
				}
				p.Expired((slot+50)%100, now)
				p.Answered((slot+30)%100, millisecond, now)
				if next, ok := p.Next(home, Auth, now); ok {
					p.Sent(next, home, Auth, now)
				}
			}))
		})
	}
}

// BenchmarkHotPace is what a request costs that is answered, with 4096 in
// flight to 8 homes.
func BenchmarkHotPace(b *testing.B) {
	p, now, n := NewPace(1<<16), int64(0), 0
	b.ReportAllocs()
	for b.Loop() {
		slot, home := uint32(n&4095), int32(n&7)
		if n >= 4096 {
			p.Answered(slot, int64(time.Millisecond), now)
			p.Next(home, Auth, now)
		}
		p.Ask(home, Auth, false, now)
		p.Sent(slot, home, Auth, now)
		now += 1000
		n++
	}
}

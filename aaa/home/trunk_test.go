package home

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// cable is a Wire of tests.
type cable struct {
	full    bool
	records uint64
}

func (c *cable) Full() bool                { return c.full }
func (c *cable) Records() (in, out uint64) { return 0, c.records }

// C69: 255 for requests, 0 for Status-Server.
func TestC69Numbers(t *testing.T) {
	n := NewNumbers(false)
	seen := map[uint32]bool{}
	for slot := range uint32(255) {
		id, ok := n.Take(slot, 0)
		require.True(t, ok)
		assert.NotZero(t, id, "0 is for Status-Server")
		assert.False(t, seen[id])
		seen[id] = true
		found, ok := n.Find(id)
		assert.True(t, ok)
		assert.Equal(t, slot, found)
	}
	_, ok := n.Take(255, 0)
	assert.False(t, ok)
	assert.Zero(t, n.Probe())
	_, ok = n.Find(0)
	assert.False(t, ok)
	_, ok = n.Find(1 << 20)
	assert.False(t, ok)
	assert.Len(t, n.Slots(nil), 255)

	n.Give(7, false, 0)
	_, ok = n.Take(300, second)
	assert.False(t, ok, "its answer may still come")
	id, ok := n.Take(300, 31*second)
	assert.True(t, ok)
	assert.Equal(t, uint32(7), id)
	n.Give(9, true, 31*second)
	id, _ = n.Take(301, 31*second)
	assert.Equal(t, uint32(9), id, "an answered one is free")
}

func TestTokens(t *testing.T) {
	n, left := NewNumbers(true), map[uint32]uint32{}
	for slot := range uint32(70_000) {
		token, ok := n.Take(slot, 0)
		require.True(t, ok)
		left[token] = slot
		if slot%3 != 0 {
			n.Give(token, true, 0)
			delete(left, token)
			_, ok = n.Find(token)
			require.False(t, ok, "a late answer meets nobody")
		}
	}
	assert.Equal(t, 23_334, n.Len())
	assert.Len(t, n.Slots(nil), 23_334)
	for token, slot := range left {
		found, ok := n.Find(token)
		require.True(t, ok)
		require.Equal(t, slot, found)
	}
	n.next = math.MaxUint32 - 100 // it comes round and meets those that have waited
	for range 1000 {
		token, ok := n.Take(1, 0)
		require.True(t, ok)
		n.Give(token, false, 0)
	}
	assert.Equal(t, 23_334, n.Len())
}

func TestTokensEnd(t *testing.T) {
	n := NewNumbers(true)
	for {
		if _, ok := n.Take(1, 0); !ok {
			break
		}
	}
	assert.Equal(t, allTokens, n.Len())
}

func TestNumbersAllocs(t *testing.T) {
	for name, tokens := range map[string]bool{"1.0": false, "1.1": true} {
		tr := NewTrunk(TrunkConfig{Links: 1})
		tr.Acquire(0, 0)
		serial, _ := tr.Dial(0)
		tr.Opened(serial, &cable{}, tokens, 0)
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			l, number := tr.Acquire(5, 1)
			l.Find(number)
			l.Give(number, true, 1)
			tr.Heard(l, 1)
		}), name)
	}
}

// model is a Trunk with a home that does as the test says.
type model struct {
	*Trunk
	t      *rapid.T
	now    int64
	dialed uint32 // the attempt under way, 0 none
	ended  int64  // when an attempt failed or a connection broke last, 0 never since one stood
	slots  map[uint32]taken
	slot   uint32
}

type taken struct {
	link   *Link
	number uint32
}

func (m *model) dial() {
	serial, ok := m.Dial(m.now)
	if !ok {
		return
	}
	assert.Zero(m.t, m.dialed, "one attempt at a time")
	if m.ended != 0 {
		assert.GreaterOrEqual(m.t, m.now-m.ended, reconnectFloor, "whatever waits")
	}
	m.dialed = serial
}

func (m *model) lose(l *Link, idle bool) {
	for slot, at := range m.slots {
		if at.link == l {
			delete(m.slots, slot)
		}
	}
	broken := !idle && l.draining == 0
	m.Lost(l, idle, m.now)
	if broken {
		m.ended = m.now
	}
}

// C70: a Trunk driven by chance; after each step what must always hold is checked.
func TestC70Trunk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 4).Draw(rt, "links")
		m := &model{t: rt, slots: map[uint32]taken{}, Trunk: NewTrunk(TrunkConfig{
			Links: most, Eager: rapid.Bool().Draw(rt, "eager"), Probe: rapid.Bool().Draw(rt, "probe"), Seed: 3,
		})}
		pick := func() *Link {
			if len(m.Links()) == 0 {
				return nil
			}
			return m.Links()[rapid.IntRange(0, len(m.Links())-1).Draw(rt, "link")]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"time": func(rt *rapid.T) { m.now += rapid.Int64Range(1, 3*second).Draw(rt, "ns") },
			"ask": func(rt *rapid.T) {
				for range rapid.IntRange(1, 200).Draw(rt, "requests") {
					if l, number := m.Acquire(m.slot, m.now); l != nil {
						assert.Zero(rt, l.draining, "nothing new where it drains")
						m.slots[m.slot] = taken{l, number}
						m.slot++
					}
				}
				m.dial()
			},
			"answers": func(*rapid.T) {
				for slot, at := range m.slots {
					at.link.Give(at.number, true, m.now)
					m.Heard(at.link, m.now)
					delete(m.slots, slot)
				}
			},
			"opened": func(rt *rapid.T) {
				if m.dialed == 0 {
					return
				}
				useless := m.closing || m.void
				l := m.Opened(m.dialed, &cable{}, rapid.Bool().Draw(rt, "tokens"), m.now)
				require.Equal(rt, useless, l == nil)
				m.dialed, m.ended = 0, 0
			},
			"failed": func(*rapid.T) {
				if m.dialed != 0 {
					if m.Failed(m.dialed, m.now) {
						m.ended = m.now
					}
					m.dialed = 0
				}
			},
			"stale word": func(*rapid.T) {
				m.Failed(m.serial+1, m.now)
				assert.Nil(rt, m.Opened(m.serial+1, &cable{}, false, m.now))
			},
			"broken": func(*rapid.T) {
				if l := pick(); l != nil {
					m.lose(l, false)
				}
			},
			"idle": func(*rapid.T) {
				if l := pick(); l != nil && l.Len() == 0 {
					m.lose(l, true)
				}
			},
			"full": func(*rapid.T) {
				if l := pick(); l != nil {
					l.Wire.(*cable).full = !l.Wire.(*cable).full
				}
			},
			"renew": func(*rapid.T) { m.Renew() },
			"leave": func(*rapid.T) { m.Leave(m.now) },
			"close": func(rt *rapid.T) {
				if rapid.IntRange(0, 20).Draw(rt, "seldom") == 0 {
					m.Close(m.now)
				}
			},
			"step": func(rt *rapid.T) {
				m.Step(m.now, func(l *Link, need Need) {
					switch need {
					case NeedProbe:
						assert.Zero(rt, l.draining)
						assert.False(rt, l.probe.out)
						m.Probing(l, m.now)
					case NeedRelease:
						m.lose(l, false)
					case NeedRest:
						assert.Zero(rt, l.Len())
						m.lose(l, true)
					case NeedBreak:
						assert.GreaterOrEqual(rt, m.now-l.probe.sent, watchFloor)
						m.lose(l, false)
					}
				})
				for _, l := range m.Links() {
					assert.False(rt, l.draining != 0 && (l.Len() == 0 || m.now-l.draining >= drainTime), "it drains no longer than it may")
				}
				m.dial()
			},
			"": func(rt *rapid.T) {
				fresh := 0
				for _, l := range m.Links() {
					if !l.stale && l.draining == 0 {
						fresh++
					}
				}
				assert.LessOrEqual(rt, fresh, most)
				for slot, at := range m.slots {
					found, ok := at.link.Find(at.number)
					require.True(rt, ok)
					require.Equal(rt, slot, found)
				}
			},
		})
	})
}

// standing returns a Trunk with one connection at the time 0.
func standing(t *testing.T, conf TrunkConfig) (*Trunk, *Link, *cable) {
	t.Helper()
	tr, c := NewTrunk(conf), &cable{}
	tr.Acquire(0, 0)
	serial, ok := tr.Dial(0)
	require.True(t, ok)
	l := tr.Opened(serial, c, false, 0)
	require.NotNil(t, l)
	return tr, l, c
}

func needsAt(tr *Trunk, now int64) (all []Need) {
	tr.Step(now, func(_ *Link, need Need) { all = append(all, need) })
	return all
}

// C70: how long after a failure another attempt is made.
func TestC70Reconnect(t *testing.T) {
	tr := NewTrunk(TrunkConfig{Links: 8, Eager: true, Seed: 1})
	var pauses []int64
	now := int64(0)
	for range 12 {
		failed := now
		for {
			tr.Acquire(1, now) // what waits makes it no sooner
			if serial, ok := tr.Dial(now); ok {
				pauses = append(pauses, now-failed)
				tr.Failed(serial, now)
				break
			}
			now += millisecond
		}
	}
	assert.Zero(t, pauses[0], "the first attempt is at once")
	for i, p := range pauses[1:] {
		most := min(reconnectFloor<<i, reconnectCap)
		assert.GreaterOrEqual(t, p, max(reconnectFloor, most/2), "%d", i)
		assert.LessOrEqual(t, p, most+millisecond, "%d", i)
	}
}

// C70: who ends an idle connection has done nothing wrong.
func TestC70IdleClosesAreNoFailures(t *testing.T) {
	tr, l, _ := standing(t, TrunkConfig{Links: 1, Eager: true})
	tr.Lost(l, true, 100*second)
	_, ok := tr.Dial(100 * second)
	assert.False(t, ok, "nobody needs one")
	assert.False(t, tr.Broken(100*second))
	tr.Acquire(1, 200*second)
	_, ok = tr.Dial(200 * second)
	assert.True(t, ok)
	assert.True(t, tr.Hopeful(200*second))

	tr, l, _ = standing(t, TrunkConfig{Links: 1, Eager: true})
	tr.Lost(l, true, millisecond)
	tr.Acquire(1, 2*millisecond)
	_, ok = tr.Dial(2 * millisecond)
	assert.False(t, ok, "who hangs up at once is not called at once")
	_, ok = tr.Dial(reconnectFloor)
	assert.True(t, ok)
}

func TestRenew(t *testing.T) {
	tr, old, _ := standing(t, TrunkConfig{Links: 1})
	tr.Acquire(1, second)
	tr.Renew()
	serial, ok := tr.Dial(2 * second)
	require.True(t, ok)
	l, _ := tr.Acquire(2, 2*second)
	assert.Same(t, old, l, "until the new one stands")
	tr.Failed(serial, 3*second)
	l, _ = tr.Acquire(3, 3*second)
	assert.Same(t, old, l, "also if it never does")
	serial, ok = tr.Dial(5 * second)
	require.True(t, ok)
	now := tr.Opened(serial, &cable{}, true, 6*second)
	l, _ = tr.Acquire(4, 6*second)
	assert.Same(t, now, l)
	assert.Empty(t, needsAt(tr, 15*second), "three are under way")
	assert.Equal(t, []Need{NeedRelease}, needsAt(tr, 16*second))
}

// TestRenewGivesUp: what is being opened is judged by the files of before, so it
// is none of these.
func TestRenewGivesUp(t *testing.T) {
	tr, _, _ := standing(t, TrunkConfig{Links: 2})
	tr.wanted = true
	was, ok := tr.Dial(second)
	require.True(t, ok)
	tr.Renew()
	assert.Nil(t, tr.Opened(was, &cable{}, false, second))
	was, ok = tr.Dial(second)
	require.True(t, ok, "another is opened at once")
	tr.Renew()
	assert.False(t, tr.Failed(was, second), "nor does it say anything of the home")
	now, ok := tr.Dial(second)
	require.True(t, ok)
	assert.NotNil(t, tr.Opened(now, &cable{}, false, second))
}

// TestLeave: connections to who a home was take nothing more.
func TestLeave(t *testing.T) {
	tr, _, _ := standing(t, TrunkConfig{Links: 1})
	tr.Acquire(1, second)
	tr.Leave(second)
	l, _ := tr.Acquire(2, second)
	assert.Nil(t, l)
	_, ok := tr.Dial(second)
	assert.True(t, ok)
	assert.Empty(t, needsAt(tr, 2*second), "what is under way may be answered")
}

// C79: a connection that has carried much is replaced.
func TestC79Worn(t *testing.T) {
	tr, old, c := standing(t, TrunkConfig{Links: 1})
	c.records = worn - 1
	needsAt(tr, second)
	_, ok := tr.Dial(second)
	assert.False(t, ok)
	c.records = worn
	needsAt(tr, 2*second)
	serial, ok := tr.Dial(2 * second)
	require.True(t, ok)
	tr.Opened(serial, &cable{}, false, 2*second)
	assert.NotZero(t, old.draining)
}

// Where all Status-Servers have one number, a late answer must not look like one
// with a wrong authenticator, which would end a connection that is well.
func TestWatchdogOwed(t *testing.T) {
	tr, l, _ := standing(t, TrunkConfig{Links: 1, Probe: true})
	_, auth, again := tr.Probing(l, 1)
	assert.False(t, again)
	auth[0] = 7
	tr.Heard(l, second) // another answer
	_, auth, again = tr.Probing(l, 34*second)
	assert.True(t, again)
	assert.EqualValues(t, 7, auth[0])
	l.Vouched()
	_, auth, again = tr.Probing(l, 70*second)
	assert.False(t, again)
	assert.Zero(t, auth[0])
}

func TestWatchdog(t *testing.T) {
	tr, l, _ := standing(t, TrunkConfig{Links: 1, Probe: true})
	assert.Equal(t, []Need{NeedProbe}, needsAt(tr, 0), "the first one says that the home is ready")
	number, _, _ := tr.Probing(l, 1)
	assert.Zero(t, number)
	_, ok := l.Probed(0)
	assert.True(t, ok)
	tr.Heard(l, second)
	l.Vouched()
	_, ok = l.Probed(0)
	assert.False(t, ok)
	assert.Empty(t, needsAt(tr, 28*second))
	assert.Equal(t, []Need{NeedProbe}, needsAt(tr, 34*second), "Tw after it was heard")
	tr.Probing(l, 34*second)
	assert.Empty(t, needsAt(tr, 40*second))
	assert.Equal(t, []Need{NeedBreak}, needsAt(tr, 43*second))
	tr.Heard(l, 42*second)
	assert.Empty(t, needsAt(tr, 43*second), "any packet will do")

	tr.Acquire(1, 50*second)
	assert.Empty(t, needsAt(tr, 50*second+watchBusy-1))
	assert.Equal(t, []Need{NeedProbe}, needsAt(tr, 50*second+watchBusy), "a request is not answered")

	quiet, _, _ := standing(t, TrunkConfig{Links: 1})
	quiet.Acquire(1, 0)
	assert.Empty(t, needsAt(quiet, 3600*second), "where it is not asked")
}

func TestSurplusConnections(t *testing.T) {
	tr, first, _ := standing(t, TrunkConfig{Links: 2})
	for range 255 {
		l, _ := tr.Acquire(0, 0)
		require.Same(t, first, l)
	}
	l, _ := tr.Acquire(0, 0)
	require.Nil(t, l)
	serial, ok := tr.Dial(0)
	require.True(t, ok)
	assert.False(t, func() bool { _, ok := tr.Dial(0); return ok }(), "one at a time")
	next := tr.Opened(serial, &cable{}, false, 0)
	for range 255 {
		l, _ := tr.Acquire(0, 0)
		require.Same(t, next, l)
	}
	l, _ = tr.Acquire(0, 0)
	assert.Nil(t, l)
	_, ok = tr.Dial(0)
	assert.False(t, ok, "two are enough")
	for id := range uint32(255) {
		next.Give(id+1, true, 0)
	}
	assert.Equal(t, []Need{NeedRest}, needsAt(tr, surplusIdle))
	tr.Lost(next, true, surplusIdle)
	for id := range uint32(255) {
		first.Give(id+1, true, 0)
	}
	assert.Empty(t, needsAt(tr, 10*surplusIdle), "the last one stays")
}

// C94: an attempt that failed is made again where a request needs it, and takes
// long but once.
func TestC94Once(t *testing.T) {
	tr := NewTrunk(TrunkConfig{Links: 1, Once: true})
	_, ok := tr.Dial(0)
	assert.False(t, ok, "nobody needs one")
	tr.Acquire(1, 0)
	serial, ok := tr.Dial(0)
	require.True(t, ok)
	assert.True(t, tr.Hopeful(second-1))
	assert.False(t, tr.Late(second-1))
	assert.False(t, tr.Broken(second-1))
	assert.False(t, tr.Hopeful(second))
	assert.True(t, tr.Broken(second))
	assert.True(t, tr.Late(second))
	assert.False(t, tr.Late(second), "it was said")
	assert.True(t, tr.Failed(serial, 2*second))
	_, ok = tr.Dial(1000 * second)
	assert.False(t, ok, "it has failed")
	tr.Acquire(2, 1000*second)
	_, ok = tr.Dial(1000 * second)
	assert.True(t, ok)
}

package dedup_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roamgate/roamgate/aaa/dedup"
)

// remembered is an entry as the model knows it.
type remembered struct {
	key      dedup.Key
	mark     dedup.Mark
	entry    dedup.Entry
	slot     uint32
	reply    []byte // nil while pending
	answered int64
}

// model is a list in the order of answers; what must be forgotten early is
// told by the count of evictions, and the oldest answer must be the victim.
type model struct {
	cache   *dedup.Cache
	now     int64
	list    []*remembered
	evicted uint64
	max     int
}

func (m *model) find(k dedup.Key) *remembered {
	for _, r := range m.list {
		if r.key == k {
			return r
		}
	}
	return nil
}

func (m *model) remove(r *remembered) {
	m.list = slices.DeleteFunc(m.list, func(x *remembered) bool { return x == r })
}

func (m *model) oldest() *remembered {
	var old *remembered
	for _, r := range m.list {
		if r.reply != nil && (old == nil || r.answered < old.answered) {
			old = r
		}
	}
	return old
}

func (m *model) expire() {
	m.list = slices.DeleteFunc(m.list, func(r *remembered) bool {
		return r.reply != nil && r.answered+10*second <= m.now
	})
}

func (m *model) claim(t *rapid.T) {
	k := key(rapid.IntRange(0, 40).Draw(t, "key"))
	mk := mark(rapid.Byte().Draw(t, "auth")%3, uint64(rapid.IntRange(0, 1).Draw(t, "body")))
	slot := rapid.Uint32Range(0, 100).Draw(t, "slot")
	out, e, other, reply := m.cache.Claim(k, mk, slot, m.now)

	m.expire()
	old := m.find(k)
	wantOther := dedup.NoSlot
	if old != nil && old.reply == nil {
		wantOther = old.slot
	}
	require.Equal(t, wantOther, other)
	switch {
	case old != nil && old.mark == mk && old.reply == nil:
		require.Equal(t, dedup.Pending, out)
	case old != nil && old.mark == mk:
		require.Equal(t, dedup.Answered, out)
		require.Equal(t, old.reply, bytes.Clone(reply))
	case old != nil && old.mark.Auth == mk.Auth:
		require.Equal(t, dedup.Conflict, out)
	default:
		require.Equal(t, dedup.Claimed, out)
		if old != nil {
			m.remove(old)
		}
		m.follow(t)
		if len(m.list) == m.max {
			require.Equal(t, dedup.NoEntry, e)
			return
		}
		m.list = append(m.list, &remembered{key: k, mark: mk, entry: e, slot: slot})
	}
}

// follow evicts what the cache says it has evicted.
func (m *model) follow(t *rapid.T) {
	for now := m.cache.Counters().Evicted; m.evicted < now; m.evicted++ {
		old := m.oldest()
		require.NotNil(t, old)
		m.remove(old)
	}
}

func (m *model) pending(t *rapid.T) *remembered {
	for _, r := range m.list {
		if r.reply == nil && rapid.Bool().Draw(t, "this") {
			return r
		}
	}
	t.Skip("nothing pending")
	return nil
}

func (m *model) answer(t *rapid.T) {
	r := m.pending(t)
	size := rapid.SampledFrom([]int{0, 20, 21, 180, 1500, 4096}).Draw(t, "size")
	reply := bytes.Repeat([]byte{byte(m.now)}, size)
	m.now++ // answers are in order
	m.expire()
	m.cache.Answer(r.entry, reply, m.now)
	m.follow(t)
	r.reply, r.answered = reply, m.now
}

func (m *model) check(t *rapid.T) {
	m.cache.Expire(m.now)
	m.expire()
	require.Equal(t, len(m.list), m.cache.Len())
	total := 0
	for _, r := range m.list {
		total += len(r.reply)
	}
	require.LessOrEqual(t, total, dedup.MinReplyBytes)
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{1, 8, 30, 64}).Draw(t, "max")
		m := &model{
			cache: dedup.New(dedup.Config{TTL: 10 * time.Second, MaxEntries: limit, ReplyBytes: dedup.MinReplyBytes}),
			max:   limit,
		}
		t.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"claim":  m.claim,
			"answer": m.answer,
			"forget": func(t *rapid.T) {
				r := m.pending(t)
				m.cache.Forget(r.entry)
				m.remove(r)
			},
			"wait": func(t *rapid.T) {
				m.now += rapid.Int64Range(1, 4*second).Draw(t, "ns")
			},
		})
	})
}

// Each removal must leave every other entry reachable, whatever lies in its
// probe sequence.
func TestIndexRemoval(t *testing.T) {
	c := dedup.New(dedup.Config{MaxEntries: 4096})
	live := map[int]dedup.Entry{}
	for round := range 20_000 {
		n := round * 7919 % 5000
		if e, ok := live[n]; ok {
			c.Forget(e)
			delete(live, n)
			continue
		}
		if len(live) == 4096 {
			continue
		}
		live[n] = claimed(t, c, key(n), mark(1, 1), uint32(n), 0)
	}
	require.Equal(t, len(live), c.Len())
	for n := range live {
		out, _, other, _ := c.Claim(key(n), mark(1, 1), 0, 0)
		require.Equal(t, dedup.Pending, out)
		require.Equal(t, uint32(n), other)
	}
}

package dedup_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/dedup"
	"github.com/roamgate/roamgate/pkg/udp"
)

const second = int64(time.Second)

func key(n int) dedup.Key {
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n >> 8)}), 1024)
	return dedup.Key{From: udp.AddrFrom(from), Door: 1, Code: 1, ID: uint32(n)}
}

func mark(auth byte, body uint64) dedup.Mark {
	return dedup.Mark{Auth: [16]byte{0: auth, 15: 1}, Body: body}
}

// claimed is a new request in the cache.
func claimed(t testing.TB, c *dedup.Cache, k dedup.Key, m dedup.Mark, slot uint32, now int64) dedup.Entry {
	t.Helper()
	out, e, other, reply := c.Claim(k, m, slot, now)
	require.Equal(t, dedup.Claimed, out)
	require.NotEqual(t, dedup.NoEntry, e)
	require.Equal(t, dedup.NoSlot, other)
	require.Nil(t, reply)
	return e
}

// C32, C33, R088, R089, R092: what a second packet of the same key meets.
func TestClaimAgain(t *testing.T) {
	type found struct {
		out   dedup.Outcome
		other uint32
		reply string
	}
	tests := []struct {
		name     string
		answered bool
		again    dedup.Mark
		at       int64
		want     found
		then     found // the first packet once more
	}{
		{"same while pending", false, mark(1, 1), 1, found{dedup.Pending, 7, ""}, found{dedup.Pending, 7, ""}},
		{"same long after, still pending", false, mark(1, 1), 60 * second, found{dedup.Pending, 7, ""}, found{dedup.Pending, 7, ""}},
		{"same after the answer", true, mark(1, 1), second, found{dedup.Answered, dedup.NoSlot, "accept"}, found{dedup.Answered, dedup.NoSlot, "accept"}},
		{"same at the last moment", true, mark(1, 1), 10*second - 1, found{dedup.Answered, dedup.NoSlot, "accept"}, found{dedup.Answered, dedup.NoSlot, "accept"}},
		{"same after its time", true, mark(1, 1), 10 * second, found{dedup.Claimed, dedup.NoSlot, ""}, found{dedup.Pending, 8, ""}},
		{"new authenticator while pending", false, mark(2, 2), 1, found{dedup.Claimed, 7, ""}, found{dedup.Claimed, 8, ""}},
		{"new authenticator after the answer", true, mark(2, 2), 1, found{dedup.Claimed, dedup.NoSlot, ""}, found{dedup.Claimed, 8, ""}},
		{"other body while pending", false, mark(1, 2), 1, found{dedup.Conflict, 7, ""}, found{dedup.Pending, 7, ""}},
		{"other body after the answer", true, mark(1, 2), 1, found{dedup.Conflict, dedup.NoSlot, ""}, found{dedup.Answered, dedup.NoSlot, "accept"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dedup.New(dedup.Config{})
			e := claimed(t, c, key(1), mark(1, 1), 7, 0)
			if tt.answered {
				c.Answer(e, []byte("accept"), 0)
			}
			claim := func(m dedup.Mark) found {
				out, _, other, reply := c.Claim(key(1), m, 8, tt.at)
				return found{out, other, string(reply)}
			}
			assert.Equal(t, tt.want, claim(tt.again))
			assert.Equal(t, tt.then, claim(mark(1, 1)))
		})
	}
}

func TestKeysAreApart(t *testing.T) {
	base := key(1)
	tests := []struct {
		name   string
		change func(k *dedup.Key)
	}{
		{"address", func(k *dedup.Key) { k.From.IP[15]++ }},
		{"port", func(k *dedup.Key) { k.From.Port++ }},
		{"family", func(k *dedup.Key) { k.From.V4 = !k.From.V4 }},
		{"zone", func(k *dedup.Key) { k.From.Zone++ }},
		{"listener", func(k *dedup.Key) { k.Door++ }},
		{"code", func(k *dedup.Key) { k.Code = 4 }},
		{"identifier", func(k *dedup.Key) { k.ID++ }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dedup.New(dedup.Config{})
			claimed(t, c, base, mark(1, 1), 1, 0)
			other := base
			tt.change(&other)
			claimed(t, c, other, mark(1, 1), 2, 0)
		})
	}
}

func TestForget(t *testing.T) {
	c := dedup.New(dedup.Config{})
	e := claimed(t, c, key(1), mark(1, 1), 1, 0)
	c.Forget(e)
	assert.Zero(t, c.Len())
	claimed(t, c, key(1), mark(1, 1), 2, 0)
}

func TestStaleEntryIsIgnored(t *testing.T) {
	for _, tt := range []struct {
		name string
		use  func(c *dedup.Cache, e dedup.Entry)
	}{
		{"answer", func(c *dedup.Cache, e dedup.Entry) { c.Answer(e, []byte("x"), 0) }},
		{"forget", func(c *dedup.Cache, e dedup.Entry) { c.Forget(e) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dedup.New(dedup.Config{})
			tt.use(c, dedup.NoEntry)
			tt.use(c, ^dedup.Entry(0))
			old := claimed(t, c, key(1), mark(1, 1), 1, 0)
			out, e, displaced, _ := c.Claim(key(1), mark(2, 2), 2, 0)
			require.Equal(t, dedup.Claimed, out)
			require.Equal(t, uint32(1), displaced)
			tt.use(c, old)
			out, _, other, _ := c.Claim(key(1), mark(2, 2), 3, 0)
			assert.Equal(t, dedup.Pending, out)
			assert.Equal(t, uint32(2), other)

			c.Answer(e, []byte("first"), 0)
			tt.use(c, e)
			out, _, _, reply := c.Claim(key(1), mark(2, 2), 3, 0)
			assert.Equal(t, dedup.Answered, out)
			assert.Equal(t, "first", string(reply))
		})
	}
}

func TestExpire(t *testing.T) {
	c := dedup.New(dedup.Config{TTL: 5 * time.Second})
	for i := range 10 {
		c.Answer(claimed(t, c, key(i), mark(1, 1), 1, 0), []byte("x"), int64(i)*second)
	}
	claimed(t, c, key(100), mark(1, 1), 1, 0)
	for _, want := range []struct {
		at  int64
		len int
	}{{4 * second, 11}, {5*second - 1, 11}, {5 * second, 10}, {8 * second, 7}, {60 * second, 1}} {
		c.Expire(want.at)
		assert.Equal(t, want.len, c.Len(), "at %v", time.Duration(want.at))
	}
	assert.Zero(t, c.Counters().Evicted)
}

func TestConfigIsBounded(t *testing.T) {
	for _, tt := range []struct {
		ttl  time.Duration
		want int64
	}{{time.Second, 5 * second}, {0, 10 * second}, {time.Hour, 30 * second}} {
		c := dedup.New(dedup.Config{TTL: tt.ttl, MaxEntries: -1, ReplyBytes: -1})
		c.Answer(claimed(t, c, key(1), mark(1, 1), 1, 0), nil, 0)
		c.Expire(tt.want - 1)
		assert.Equal(t, 1, c.Len(), tt.ttl)
		c.Expire(tt.want)
		assert.Equal(t, 0, c.Len(), tt.ttl)
	}
}

func TestFullEvictsOldestAnswered(t *testing.T) {
	c := dedup.New(dedup.Config{MaxEntries: 4})
	for i := range 4 {
		e := claimed(t, c, key(i), mark(1, 1), uint32(i), 0)
		if i > 0 {
			c.Answer(e, []byte{byte(i)}, 0)
		}
	}
	claimed(t, c, key(4), mark(1, 1), 4, 1)
	assert.Equal(t, uint64(1), c.Counters().Evicted)
	out, _, _, _ := c.Claim(key(0), mark(1, 1), 9, 1)
	assert.Equal(t, dedup.Pending, out, "a pending request is never evicted")
	out, _, _, _ = c.Claim(key(2), mark(1, 1), 9, 1)
	assert.Equal(t, dedup.Answered, out)
	claimed(t, c, key(1), mark(1, 1), 9, 1)
}

func TestFullOfPending(t *testing.T) {
	c := dedup.New(dedup.Config{MaxEntries: 2})
	first := claimed(t, c, key(0), mark(1, 1), 0, 0)
	claimed(t, c, key(1), mark(1, 1), 1, 0)
	out, e, other, _ := c.Claim(key(2), mark(1, 1), 2, 0)
	assert.Equal(t, dedup.Claimed, out)
	assert.Equal(t, dedup.NoEntry, e)
	assert.Equal(t, dedup.NoSlot, other)
	assert.Equal(t, uint64(1), c.Counters().Untracked)
	c.Answer(first, []byte("x"), 0)
	claimed(t, c, key(2), mark(1, 1), 2, 0)
}

func TestFullRingEvictsOldest(t *testing.T) {
	c := dedup.New(dedup.Config{ReplyBytes: dedup.MinReplyBytes})
	reply := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1000+i) }
	const n = 64
	for i := range n {
		c.Answer(claimed(t, c, key(i), mark(1, 1), 0, 0), reply(i), 0)
	}
	kept := c.Len()
	assert.Equal(t, uint64(n-kept), c.Counters().Evicted)
	assert.Greater(t, kept, 10)
	for i := n - kept; i < n; i++ {
		out, _, _, got := c.Claim(key(i), mark(1, 1), 0, 0)
		assert.Equal(t, dedup.Answered, out)
		assert.Equal(t, reply(i), got)
	}
}

func TestReplySizes(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
		want dedup.Outcome
	}{
		{"empty", 0, dedup.Answered},
		{"header", 20, dedup.Answered},
		{"largest", 4096, dedup.Answered},
		{"no packet", 4097, dedup.Claimed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dedup.New(dedup.Config{ReplyBytes: dedup.MinReplyBytes})
			for i := range 50 {
				want := bytes.Repeat([]byte{byte(i)}, tt.size)
				c.Answer(claimed(t, c, key(i), mark(1, 1), 0, 0), want, 0)
				out, _, _, got := c.Claim(key(i), mark(1, 1), 0, 0)
				require.Equal(t, tt.want, out)
				if out == dedup.Answered {
					require.Equal(t, want, got)
				}
			}
		})
	}
}

func TestCounters(t *testing.T) {
	c := dedup.New(dedup.Config{})
	e := claimed(t, c, key(1), mark(1, 1), 1, 0)
	c.Claim(key(1), mark(1, 1), 2, 0) // pending
	c.Claim(key(1), mark(1, 2), 2, 0) // conflict
	c.Answer(e, []byte("x"), 0)
	c.Claim(key(1), mark(1, 1), 2, 0) // hit
	c.Claim(key(1), mark(1, 1), 2, 0) // hit
	c.Claim(key(1), mark(2, 2), 2, 0) // displaces
	assert.Equal(t, dedup.Counters{Hits: 2, Pending: 1, Conflicts: 1, Displaced: 1}, c.Counters())
}

func TestOutcomeString(t *testing.T) {
	for out, want := range map[dedup.Outcome]string{
		dedup.Claimed: "new", dedup.Pending: "pending", dedup.Answered: "answered",
		dedup.Conflict: "conflict", 9: "unknown",
	} {
		assert.Equal(t, want, fmt.Sprint(out))
	}
}

// cycle is the life of one request: claimed, repeated, answered, repeated.
func cycle(c *dedup.Cache, n int, reply []byte, now int64) {
	k, m := key(n), mark(byte(n), uint64(n))
	_, e, _, _ := c.Claim(k, m, 1, now)
	c.Claim(k, m, 1, now)
	c.Answer(e, reply, now)
	c.Claim(k, m, 1, now)
}

func TestAllocs(t *testing.T) {
	c := dedup.New(dedup.Config{MaxEntries: 512, ReplyBytes: dedup.MinReplyBytes})
	reply := make([]byte, 180)
	n, now := 0, int64(0)
	assert.Zero(t, testing.AllocsPerRun(5000, func() {
		cycle(c, n, reply, now)
		_, e, _, _ := c.Claim(key(n), mark(byte(n)+1, 0), 1, now)
		c.Forget(e)
		c.Expire(now)
		n, now = n+1, now+second/10
	}))
}

func BenchmarkHotClaimAnswer(b *testing.B) {
	c := dedup.New(dedup.Config{MaxEntries: 1 << 17, ReplyBytes: 32 << 20})
	reply := make([]byte, 180)
	k := key(0)
	b.ReportAllocs()
	n, now := 0, int64(0)
	for b.Loop() {
		k.ID, k.From.Port = uint32(n&255), uint16(n>>8)
		_, e, _, _ := c.Claim(k, mark(byte(n), uint64(n)), 1, now)
		c.Answer(e, reply, now)
		if n, now = n+1, now+100_000; n%1000 == 0 { // 10,000 a second
			c.Expire(now)
		}
	}
}

func BenchmarkHotClaimRetransmission(b *testing.B) {
	c := dedup.New(dedup.Config{})
	reply := make([]byte, 180)
	const n = 10_000
	for i := range n {
		_, e, _, _ := c.Claim(key(i), mark(1, 1), 1, 0)
		c.Answer(e, reply, 0)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.Claim(key(i), mark(1, 1), 1, 0)
		if i++; i == n {
			i = 0
		}
	}
}

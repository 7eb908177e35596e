package dedup_test

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/aaa/dedup"
)

// TestRingOfParts keeps more replies than a ring of several arrays has room for, three
// times round: each that is still there is the one that was kept.
func TestRingOfParts(t *testing.T) {
	const size, reply, n = 4 << 20, 1000, 3 * (4 << 20) / 1000
	c := dedup.New(dedup.Config{ReplyBytes: size, MaxEntries: 1 << 15})
	text := make([]byte, reply)
	k := func(i int) dedup.Key {
		k := key(i)
		k.ID = uint32(i)
		return k
	}
	for i := range n {
		binary.BigEndian.PutUint64(text, uint64(i))
		binary.BigEndian.PutUint64(text[reply-8:], uint64(i))
		c.Answer(claimed(t, c, k(i), mark(1, 1), 7, 0), text, 0)
	}
	kept := 0
	for i := range n {
		out, e, _, got := c.Claim(k(i), mark(1, 1), 8, 1)
		if out == dedup.Claimed {
			c.Forget(e)
			continue
		}
		kept++
		if len(got) != reply || binary.BigEndian.Uint64(got) != uint64(i) || binary.BigEndian.Uint64(got[reply-8:]) != uint64(i) {
			t.Fatalf("reply %d is another one", i)
		}
	}
	assert.InDelta(t, size/(reply+8), kept, 200, "what an array cannot hold is in the next")
}

// TestRingTakesNothingInAdvance makes caches that are never used.
func TestRingTakesNothingInAdvance(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := dedup.New(dedup.Config{ReplyBytes: 512 << 20, MaxEntries: 1})
	c.Answer(claimed(t, c, key(1), mark(1, 1), 7, 0), []byte("accept"), 0)
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20))
}

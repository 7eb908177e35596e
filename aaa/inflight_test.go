package aaa

import (
	"bytes"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// resident is the memory that this process has touched.
func resident(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.Atoi(string(bytes.Fields(b)[1]))
	require.NoError(t, err)
	return pages * os.Getpagesize()
}

// Two hundred thousand requests at homes that take their time: each has its
// place and its identifier, costs at most 2 KiB, and is answered.
func TestManyInFlight(t *testing.T) {
	many := 200_000
	if raced {
		many = 20_000
	}
	h := newHotOf(t, setup{homes: 4, conf: func(c *Config) { c.InFlight = 1 << 18 }})
	debug.FreeOSMemory()
	before := resident(t)
	batch := make([][]byte, 0, batchSize)
	for n := 0; n < many; {
		batch = batch[:0]
		for range batchSize {
			batch = append(batch, h.request(byte(n), papRequest))
			n++
		}
		// A client has 256 identifiers for each of its ports.
		h.from = udp.AddrFrom(netip.AddrPortFrom(addrOf(h.nas).Addr(), uint16(1024+n/256)))
		h.together(batch...)
	}
	h.shard.flush()
	inFlight := h.shard.slab.used
	require.GreaterOrEqual(t, inFlight, many)
	each := (resident(t) - before) / inFlight
	t.Logf("%d in flight, %d octets each", inFlight, each)
	if !raced {
		assert.LessOrEqual(t, each, 2048)
	}
	h.each(func(ex *Exchange) {
		h.w.Start(h.buf[:], radius.AccessAccept, ex.homeID, true)
		h.w.Add(radius.ProxyState, h.shard.seal(ex.nonce))
		b := h.w.SignResponse(h.crypt, h.out, &ex.homeAuth)
		h.shard.reply(int(ex.sock), b, ex.snap.Homes.Home(ex.homeIdx).Addr[ex.kind])
	})
	assert.Zero(t, h.shard.slab.used)
	assert.Equal(t, inFlight, h.value("roamgate_responses_total", "kind", "auth", "result", "accept"))
	assert.Zero(t, h.shard.ids.InUse())
}

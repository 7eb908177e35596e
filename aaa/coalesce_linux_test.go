package aaa

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/udp"
)

// A front whose datagrams come together is read until the kernel has no more:
// what is left of a batch says nothing about that.
func TestFrontIsReadEmpty(t *testing.T) {
	h := newHot(t, false)
	c, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udp.Options{Segment: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	queue, to := udp.NewQueue(c, batchSize), udp.AddrFrom(h.shard.fronts[listen.Auth].Addr)
	const pieces = batchSize + 6
	sent := 0
	for piece := range pieces {
		for range 2 + piece%2 {
			queue.Send(h.request(byte(sent), papRequest), to, udp.LocalInfo{})
			sent++
		}
		queue.Flush()
	}
	h.turn(patience)
	assert.Equal(t, sent, h.value("roamgate_requests_total"))
}

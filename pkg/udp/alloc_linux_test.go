package udp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// packet has the size of an EAP-AKA' Access-Request.
var packet = make([]byte, 230)

func TestAllocsBatch(t *testing.T) {
	for _, o := range []Options{{PacketInfo: true}, {PacketInfo: true, Segment: true}} {
		for _, at := range []string{"0.0.0.0:0", "[::]:0"} {
			c, err := Listen(netip.MustParseAddrPort(at), o)
			require.NoError(t, err)
			defer c.Close()
			p, err := NewPoller()
			require.NoError(t, err)
			defer p.Close()
			require.NoError(t, p.Add(c, 1))
			to := AddrFrom(netip.AddrPortFrom(netip.IPv6Loopback(), c.LocalAddr().Port()))
			if c.v4 {
				to = AddrFrom(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), c.LocalAddr().Port()))
			}
			b, q := NewBatch(64, MaxPacket+1), NewQueue(c, 64)
			q.Send(packet, to, LocalInfo{})
			got := testing.AllocsPerRun(50, func() {
				q.Flush()
				for range 64 {
					q.Send(packet, to, LocalInfo{})
				}
				q.Flush()
				_, _, _ = p.Wait(time.Second)
				n, _ := c.Recv(b)
				for i := range n {
					if b.Addr(i).Addr().IsValid() {
						q.Send(b.Data(i), b.Addr(i), b.Local(i))
					}
				}
				q.n = 0
				p.Wake()
				_, _, _ = p.Wait(-1)
				_, _, _ = p.Wait(0)
			})
			require.Zero(t, got)
			require.Zero(t, q.Errors())
		}
	}
}

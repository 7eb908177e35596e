package udp

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// arrived sends n datagrams from a source and counts those that come.
func arrived(t *testing.T, server *end, from *net.UDPConn, n int) (got int) {
	t.Helper()
	for range n {
		_, err := from.WriteToUDPAddrPort([]byte("request"), server.conn.LocalAddr())
		require.NoError(t, err)
	}
	for {
		k, err := server.conn.Recv(server.batch)
		require.NoError(t, err)
		if k == 0 {
			return got // loopback delivers before the send returns
		}
		got += k
	}
}

func TestThin(t *testing.T) {
	for _, tt := range []struct{ name, server, loud, other string }{
		{"v4", "127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"},
		{"v6", "[::1]:0", "[::1]:0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			open := func(addr string) *net.UDPConn {
				c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
				require.NoError(t, err)
				t.Cleanup(func() { _ = c.Close() })
				return c
			}
			conn, err := Listen(netip.MustParseAddrPort(tt.server), Options{RecvBuffer: 1 << 20})
			require.NoError(t, err)
			p, err := NewPoller()
			require.NoError(t, err)
			server, loud := newEnd(t, conn, p), open(tt.loud)
			source := AddrFrom(loud.LocalAddr().(*net.UDPAddr).AddrPort())
			source.Port = 1 // does not matter

			const n = 400
			assert.Equal(t, n, arrived(t, server, loud, n))
			require.NoError(t, conn.Thin([]Thinned{{source, 0}}))
			assert.Zero(t, arrived(t, server, loud, n))
			require.NoError(t, conn.Thin([]Thinned{{source, 1 << 31}}))
			assert.InDelta(t, n/2, arrived(t, server, loud, n), n/4)
			if tt.other != "" {
				other := open(tt.other)
				require.NoError(t, conn.Thin([]Thinned{{source, 0}}))
				assert.Equal(t, n, arrived(t, server, other, n), "nobody else")
				assert.NotZero(t, conn.Drops(), "what was dropped is counted")
			}
			// Eight others before it, of both families, and more than can be.
			var many []Thinned
			for i := range byte(6) {
				for _, a := range []string{"127.0.1.1", "fd00::1"} {
					addr := AddrFrom(netip.AddrPortFrom(netip.MustParseAddr(a), 1))
					addr.IP[15] += i
					many = append(many, Thinned{addr, 0})
				}
			}
			require.NoError(t, conn.Thin(append(many[:MostThinned-1:MostThinned-1], Thinned{source, 0})))
			assert.Zero(t, arrived(t, server, loud, n))
			require.NoError(t, conn.Thin(append(many, Thinned{source, 0})))
			assert.Equal(t, n, arrived(t, server, loud, n), "too many: the last one is left out")
			require.NoError(t, conn.Thin(nil))
			require.NoError(t, conn.Thin(nil), "twice is no mistake")
			assert.Equal(t, n, arrived(t, server, loud, n))
			require.NoError(t, conn.Close())
			assert.ErrorIs(t, conn.Thin(nil), net.ErrClosed)
		})
	}
}

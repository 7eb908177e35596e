package listen

import (
	"fmt"
	"net/netip"

	"github.com/roamgate/roamgate/pkg/udp"
)

// sendDepth is how many answers wait for one sendmmsg.
const sendDepth = 64

// Front is one UDP socket of one shard.
type Front struct {
	Service Service
	Index   uint16 // same for the sockets of all shards that share the address
	Addr    netip.AddrPort
	Conn    *udp.Conn
	Queue   *udp.Queue
}

// UDP opens every address once for each of n shards, sharing the port
// between them (SO_REUSEPORT). The result has a row a shard. A port of 0 is
// chosen by the first shard and shared by the others.
func UDP(addrs []Address, n, recvBuffer int) ([][]*Front, error) {
	rows := make([][]*Front, n)
	for i, a := range addrs {
		conns, err := udp.ListenShared(a.Addr, n, udp.Options{
			RecvBuffer: recvBuffer, Segment: true, Coalesce: true,
			PacketInfo: a.Addr.Addr().IsUnspecified(),
		})
		if err != nil {
			Close(rows)
			return nil, fmt.Errorf("listening on %s for %s: %w", a.Addr, a.Service, err)
		}
		for s, c := range conns {
			rows[s] = append(rows[s], &Front{
				Service: a.Service, Index: uint16(i), Addr: c.LocalAddr(),
				Conn: c, Queue: udp.NewQueue(c, sendDepth),
			})
		}
	}
	return rows, nil
}

// Close closes every socket.
func Close(rows [][]*Front) {
	for _, row := range rows {
		for _, f := range row {
			_ = f.Conn.Close()
		}
	}
}

package load

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// flood sends datagrams made before, at a rate or as fast as the machine lets
// it, until it is stopped. What comes back is read and thrown away.
type flood struct {
	rate float64 // a second, 0 no bound
	sent atomic.Uint64
	stop atomic.Bool
	wait sync.WaitGroup
}

// startFlood sends the packets round and round to a front door. Each socket
// has packets of its own, as identifiers belong to a socket.
func startFlood(t testing.TB, from netip.Addr, to netip.AddrPort, rate float64, sockets [][][]byte) *flood {
	t.Helper()
	f := &flood{rate: rate}
	conns := make([]*udp.Conn, len(sockets))
	for i := range conns {
		var err error
		conns[i], err = udp.Listen(netip.AddrPortFrom(from, 0), udp.Options{SendBuffer: 4 << 20})
		require.NoError(t, err)
	}
	f.wait.Go(func() { f.run(conns, udp.AddrFrom(to), sockets) })
	t.Cleanup(func() {
		f.end()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return f
}

func (f *flood) run(conns []*udp.Conn, to udp.Addr, sockets [][][]byte) {
	queues := make([]*udp.Queue, len(conns))
	for i, c := range conns {
		queues[i] = udp.NewQueue(c, 64)
	}
	back := udp.NewBatch(64, radius.MaxLen+1)
	const piece = 32
	began := time.Now()
	for at := 0; !f.stop.Load(); at += piece {
		for i, q := range queues {
			packets := sockets[i]
			for n := range piece {
				q.Send(packets[(at+n)%len(packets)], to, udp.LocalInfo{})
			}
			q.Flush()
			f.sent.Add(piece)
			for {
				if n, err := conns[i].Recv(back); n < 64 || err != nil {
					break
				}
			}
			if ahead := float64(f.sent.Load()) - f.rate*time.Since(began).Seconds(); f.rate > 0 && ahead > 0 {
				<-time.After(time.Duration(ahead / f.rate * 1e9))
			}
		}
	}
}

// end stops the flood and says how many datagrams it sent.
func (f *flood) end() uint64 {
	f.stop.Store(true)
	f.wait.Wait()
	return f.sent.Load()
}

// requests makes n different Access-Requests for each of some sockets, signed
// with the secret.
func requests(sockets, n int, secret, realm string) [][][]byte {
	crypt, key := radius.NewCrypt(), radius.NewSecret([]byte(secret))
	out := make([][][]byte, sockets)
	for s := range out {
		for i := range n {
			var w radius.Writer
			var auth [16]byte
			crypt.Random(auth[:])
			w.Start(make([]byte, radius.MaxLen), radius.AccessRequest, uint8(i), true)
			w.SetAuthenticator(&auth)
			w.Add(radius.UserName, []byte("screamer@"+realm))
			w.Add(radius.NASIdentifier, []byte("screaming"))
			var hidden [128]byte
			size, _ := crypt.HideUserPassword(hidden[:], append(make([]byte, 0, 128), password...), &auth, key)
			w.Add(radius.UserPassword, hidden[:size])
			out[s] = append(out[s], append([]byte(nil), w.SignRequest(crypt, key)...))
		}
	}
	return out
}

// rate is a count in a time, each second.
func rate(n uint64, d time.Duration) float64 { return float64(n) / d.Seconds() }

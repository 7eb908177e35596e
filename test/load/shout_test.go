package load

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// shout is a home that has gone mad: once it has been asked, it sends answers
// that do not verify to where it was asked from, as fast as it may.
type shout struct {
	addr netip.AddrPort
	sent atomic.Uint64
}

// startShout starts one. rate is in datagrams a second, 0 without a bound.
func startShout(t testing.TB, rate float64) *shout {
	t.Helper()
	conn, err := udp.Listen(loopback, udp.Options{RecvBuffer: 1 << 20, SendBuffer: 4 << 20})
	require.NoError(t, err)
	s := &shout{addr: conn.LocalAddr()}
	var end atomic.Bool
	var wait sync.WaitGroup
	wait.Go(func() { s.run(conn, rate, &end) })
	t.Cleanup(func() {
		end.Store(true)
		wait.Wait()
		_ = conn.Close()
	})
	return s
}

func (s *shout) run(conn *udp.Conn, rate float64, end *atomic.Bool) {
	var to []udp.Addr
	batch, queue := udp.NewBatch(64, radius.MaxLen+1), udp.NewQueue(conn, 64)
	garbage := answers()
	for n := 0; !end.Load(); {
		got, _ := conn.Recv(batch)
		for i := range got {
			if a := batch.Addr(i); len(to) < 64 && !slices.Contains(to, a) {
				to = append(to, a)
			}
		}
		began := time.Now()
		for _, a := range to {
			for range 64 {
				queue.Send(garbage[n%len(garbage)], a, udp.LocalInfo{})
				n++
			}
			queue.Flush()
			s.sent.Add(64)
		}
		pause := time.Duration(0)
		if rate > 0 {
			pause = time.Duration(float64(64*len(to))/rate*1e9) - time.Since(began)
		}
		if len(to) == 0 || pause > 0 {
			<-time.After(max(pause, time.Millisecond))
		}
	}
}

// answers look like answers to every identifier.
func answers() (out [][]byte) {
	r := rand.New(rand.NewPCG(3, 4))
	crypt, key := radius.NewCrypt(), radius.NewSecret([]byte("not the secret"))
	for id := range 256 {
		for _, code := range []radius.Code{radius.AccessAccept, radius.AccessReject, radius.AccessChallenge, radius.AccountingResponse} {
			var w radius.Writer
			var auth [16]byte
			crypt.Random(auth[:])
			w.Start(make([]byte, radius.MaxLen), code, uint8(id), true)
			out = append(out, append([]byte(nil), w.SignResponse(crypt, key, &auth)...))
		}
		noise := make([]byte, r.IntN(4096))
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		out = append(out, noise)
	}
	return out
}

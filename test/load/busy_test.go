package load

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// busyHome accepts as many requests a second as it can, the oldest first.
// What does not fit into a small receive buffer is lost in the kernel.
type busyHome struct {
	size   int // packets of one turn
	conn   *udp.Conn
	queue  *udp.Queue
	batch  *udp.Batch
	crypt  *radius.Crypt
	secret *radius.Secret
	could  atomic.Int64 // packets that it had the time for
	served atomic.Int64
}

// startBusyHome starts a home that answers that many a second.
func startBusyHome(t testing.TB, does int) *busyHome {
	t.Helper()
	conn, err := udp.Listen(loopback, udp.Options{RecvBuffer: 64 << 10})
	require.NoError(t, err)
	const turn = 10 * time.Millisecond
	size := max(1, int(turn.Seconds()*float64(does)))
	b := &busyHome{
		size: size, conn: conn, queue: udp.NewQueue(conn, 64), crypt: radius.NewCrypt(), secret: radius.NewSecret([]byte(homeSecret)),
		batch: udp.NewBatch(size, radius.MaxLen+1),
	}
	end := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(turn)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				b.turn()
			}
		}
	})
	t.Cleanup(func() {
		close(end)
		wait.Wait()
		_ = conn.Close()
	})
	return b
}

func (b *busyHome) turn() {
	n, _ := b.conn.Recv(b.batch)
	b.could.Add(int64(b.size))
	b.served.Add(int64(n))
	for i := range n {
		var p radius.Packet
		if p.Parse(b.batch.Data(i)) != radius.OK || !b.crypt.CheckMessageAuthenticator(&p, b.secret) {
			continue
		}
		var w radius.Writer
		w.Start(b.queue.Next(), radius.AccessAccept, p.Identifier(), true)
		for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
			if a.Type == radius.ProxyState {
				w.Raw(a.Raw)
			}
		}
		b.queue.Commit(len(w.SignResponse(b.crypt, b.secret, p.Authenticator())), b.batch.Addr(i), b.batch.Local(i))
	}
	b.queue.Flush()
}

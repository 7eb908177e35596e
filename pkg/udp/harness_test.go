package udp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for a datagram over loopback.
const patience = time.Minute

// implementations is the table that every test of behaviour runs over.
var implementations = []struct {
	name   string
	listen func(netip.AddrPort, Options) (*Conn, error)
	poller func() (*Poller, error)
}{
	{"native", Listen, NewPoller},
	{"portable", ListenPortable, NewPortablePoller},
}

var families = []struct{ name, any string }{
	{"v4", "127.0.0.1:0"},
	{"v6", "[::1]:0"},
}

// end is a socket with its poller, as a shard has it.
type end struct {
	t      *testing.T
	conn   *Conn
	poller *Poller
	batch  *Batch
	queue  *Queue
}

// each runs f for both implementations and both families with a server end
// and a client end.
func each(t *testing.T, o Options, f func(t *testing.T, server, client *end)) {
	for _, impl := range implementations {
		for _, fam := range families {
			t.Run(impl.name+"/"+fam.name, func(t *testing.T) {
				open := func(o Options) *end {
					c, err := impl.listen(netip.MustParseAddrPort(fam.any), o)
					require.NoError(t, err)
					p, err := impl.poller()
					require.NoError(t, err)
					return newEnd(t, c, p)
				}
				f(t, open(o), open(Options{}))
			})
		}
	}
}

func newEnd(t *testing.T, c *Conn, p *Poller) *end {
	require.NoError(t, p.Add(c, 7))
	e := &end{t: t, conn: c, poller: p, batch: NewBatch(64, MaxPacket+1), queue: NewQueue(c, 64)}
	t.Cleanup(func() {
		e.poller.Remove(c)
		e.poller.Close()
		if !c.closed {
			assert.NoError(t, c.Close())
		}
	})
	return e
}

func (e *end) addr() Addr { return AddrFrom(e.conn.LocalAddr()) }

func (e *end) send(to Addr, data ...[]byte) {
	for _, b := range data {
		e.queue.Send(b, to, LocalInfo{})
	}
	e.queue.Flush()
}

// recv returns the next batch that is not empty.
func (e *end) recv() int {
	e.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		n, err := e.conn.Recv(e.batch)
		require.NoError(e.t, err)
		if n > 0 {
			return n
		}
		_, _, err = e.poller.Wait(patience)
		require.NoError(e.t, err)
	}
	e.t.Fatal("no datagram came")
	return 0
}

// collect copies the data of the next want datagrams.
func (e *end) collect(want int) (out [][]byte) {
	e.t.Helper()
	for len(out) < want {
		for i := range e.recv() {
			out = append(out, append([]byte{}, e.batch.Data(i)...))
		}
	}
	return out
}

// wait is Poller.Wait until there is something to report.
func (e *end) wait(d time.Duration) ([]uint32, bool) {
	e.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		tags, woken, err := e.poller.Wait(d)
		require.NoError(e.t, err)
		if len(tags) > 0 || woken {
			return tags, woken
		}
	}
	e.t.Fatal("the poller has nothing to report")
	return nil, false
}

package queue

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// natsCluster is JetStream of some servers in this process, each with a
// directory of its own.
type natsCluster struct {
	t    testing.TB
	opts []*natsserver.Options
	srv  []*natsserver.Server
}

// startNATS starts n servers; with sync each write is synced before it is
// confirmed.
func startNATS(t testing.TB, n int, sync bool) *natsCluster {
	c := &natsCluster{t: t, srv: make([]*natsserver.Server, n)}
	dir := t.TempDir()
	var routes []*url.URL
	for i := range n {
		o := &natsserver.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: int(peer.Port(t).Port()),
			JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprint(i)), SyncAlways: sync,
			NoSigs: true, NoLog: true,
		}
		if n > 1 {
			o.Cluster = natsserver.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: int(peer.Port(t).Port())}
			routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", o.Cluster.Port)})
		}
		c.opts = append(c.opts, o)
	}
	for _, o := range c.opts {
		o.Routes = routes
	}
	for i := range c.srv {
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.srv {
			c.stop(i)
		}
	})
	c.ready()
	return c
}

func (c *natsCluster) start(i int) {
	s, err := natsserver.NewServer(c.opts[i].Clone())
	require.NoError(c.t, err)
	c.srv[i] = s
	s.Start()
}

func (c *natsCluster) stop(i int) {
	if s := c.srv[i]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.srv[i] = nil
	}
}

// ready waits until there is a leader to ask.
func (c *natsCluster) ready() {
	require.Eventually(c.t, func() bool {
		for _, s := range c.srv {
			if s != nil && s.ReadyForConnections(time.Second) && (len(c.srv) == 1 || s.JetStreamIsLeader()) {
				return true
			}
		}
		return false
	}, waitLong, waitShort, "no server leads")
}

func (c *natsCluster) server() NATSServer {
	s := NATSServer{Replicas: len(c.srv)}
	for _, o := range c.opts {
		s.Addresses = append(s.Addresses, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return s
}

func (c *natsCluster) sink(epoch uint64) *NATS {
	n, err := OpenNATS(c.server(), "n1.a", epoch, nil)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = n.Close() })
	return n
}

func (c *natsCluster) source() *NATSSource {
	n, err := OpenNATSSource(c.server(), SourceOptions{Takeover: 300 * time.Millisecond, Poll: 5 * time.Millisecond})
	require.NoError(c.t, err)
	return n
}

// stream looks at the stream as an operator does.
func (c *natsCluster) stream() (jetstream.JetStream, jetstream.Stream) {
	nc, err := nats.Connect(c.server().Addresses[0])
	require.NoError(c.t, err)
	c.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(c.t, err)
	var st jetstream.Stream
	require.Eventually(c.t, func() bool { // a server just started learns who leads
		st, err = js.Stream(ctx, "CLR")
		return err == nil
	}, waitLong, waitShort)
	return js, st
}

func TestNATSCluster(t *testing.T) {
	t.Parallel()
	c := startNATS(t, 3, true)
	s := openTight(t, vfs.NewMem())
	o := testOptions()
	o.Trim = TrimWatermark
	d, _ := drain(t, s, c.sink(s.Epoch()), o)
	l := newLedger()
	k, stop := consume(t, c.source(), l)
	put(t, s, stops(0, 50)...)
	put(t, s, record(99, 1))
	settled(t, d, s)
	n := min(rounds(t, 1), 3)
	for i := range n { // each of the servers dies once in the long form
		c.stop(i)
		put(t, s, stops(100*i, 30)...)
		require.Eventually(t, func() bool { return l.count("n1.a", s.Epoch()) == 51+30*(i+1) }, waitLong, waitShort,
			"two of three are enough")
		c.start(i)
		c.ready()
	}
	settled(t, d, s)
	stop()
	l.wantAll(t, "n1.a", s.Epoch(), 51+30*n)
	assert.Zero(t, k.Stats().Foreign.Load())
	assert.Zero(t, d.Stats().Alarms.Load())
	_, st := c.stream()
	require.Eventually(t, func() bool {
		info, err := st.Info(ctx)
		return err == nil && info.State.Msgs <= 1
	}, waitLong, waitShort, "what is stored is purged")
}

// TestNATSRefusesReplay sends what was sent before.
func TestNATSRefusesReplay(t *testing.T) {
	t.Parallel()
	c := startNATS(t, 1, false)
	n := c.sink(7)
	_, known, err := n.Last(ctx)
	require.NoError(t, err)
	require.True(t, known)
	batch := func(first uint64, hash byte) *Batch {
		b := &Batch{Epoch: 7, First: first, Last: first, N: 1, Data: fmt.Appendf(nil, "{\"seq\":%d}\n", first)}
		b.Hash[0] = hash
		return b
	}
	for first := range uint64(3) {
		require.NoError(t, n.Publish(ctx, batch(first+1, 1)))
	}
	_, st := c.stream()
	count := func() uint64 {
		info, err := st.Info(ctx)
		require.NoError(t, err)
		return info.State.Msgs
	}
	require.Equal(t, uint64(3), count())

	zombie := c.sink(7) // the answer to the third was lost to it
	zombie.st, zombie.last = n.st, n.last-1
	require.NoError(t, zombie.Publish(ctx, batch(3, 1)), "it is there")
	assert.Equal(t, n.last, zombie.last)
	zombie.last--
	require.ErrorIs(t, zombie.Publish(ctx, batch(3, 2)), ErrConflict, "something else is there")
	require.ErrorIs(t, zombie.Publish(ctx, batch(2, 1)), ErrConflict, "another process is ahead")
	assert.Equal(t, uint64(3), count(), "nothing was stored twice")

	first, known, err := zombie.Last(ctx)
	require.NoError(t, err)
	assert.True(t, known)
	assert.Equal(t, uint64(3), first)
	require.NoError(t, zombie.Publish(ctx, batch(4, 1)))
	require.ErrorIs(t, n.Publish(ctx, batch(4, 2)), ErrConflict, "the first process finds the second")

	require.NoError(t, st.DeleteMsg(ctx, n.last+1))
	err = n.Publish(ctx, batch(5, 1))
	require.NoError(t, err, "the newest is the one we sent last")
	require.NoError(t, st.Purge(ctx))
	err = n.Publish(ctx, batch(6, 1))
	require.Error(t, err)
	require.False(t, errors.Is(err, ErrConflict), "it lost its tail: the drainer will find out how much")
	first, err = n.First(ctx)
	require.NoError(t, err)
	assert.Zero(t, first)
}

// TestNATSTruncated (acceptance row 9) deletes by hand what nobody has stored,
// at either end.
func TestNATSTruncated(t *testing.T) {
	t.Parallel()
	c := startNATS(t, 1, false)
	s := openTight(t, vfs.NewMem())
	o := testOptions()
	o.Trim = TrimWatermark
	d, stop := drain(t, s, c.sink(s.Epoch()), o)
	l := newLedger()
	put(t, s, stops(0, 100)...)
	caughtUp(t, d, s)
	js, st := c.stream()
	info, err := st.Info(ctx)
	require.NoError(t, err)
	require.NoError(t, st.DeleteMsg(ctx, info.State.LastSeq))
	put(t, s, stops(100, 5)...)
	caughtUp(t, d, s)
	require.Eventually(t, func() bool { return d.Stats().Rewinds.Load() == 1 && d.Lag() == 0 }, waitLong, waitShort)
	require.NoError(t, st.Purge(ctx, jetstream.WithPurgeKeep(3)))
	_, stopConsumer := consume(t, c.source(), l)
	settled(t, d, s)
	l.wantAll(t, "n1.a", s.Epoch(), 105)

	// All of it, the reports included.
	stopConsumer()
	put(t, s, stops(200, 15)...)
	caughtUp(t, d, s)
	require.NoError(t, js.DeleteStream(ctx, "CLR"))
	require.NoError(t, js.DeleteKeyValue(ctx, "CLR_wm"))
	put(t, s, stops(300, 15)...)
	_, stopConsumer = consume(t, c.source(), l)
	settled(t, d, s)
	stopConsumer()
	stop()
	l.wantAll(t, "n1.a", s.Epoch(), 135)
	assert.Zero(t, d.Stats().Alarms.Load())
}

// TestNATSTakeover (acceptance row 11) lets a consumer die with messages in
// its hands.
func TestNATSTakeover(t *testing.T) {
	t.Parallel()
	c := startNATS(t, 1, false)
	s := openTight(t, vfs.NewMem())
	o := testOptions()
	o.Trim = TrimWatermark
	d, _ := drain(t, s, c.sink(s.Epoch()), o)
	put(t, s, stops(0, 100)...)
	caughtUp(t, d, s)
	dying := c.source()
	ds := next(t, dying)
	l := newLedger()
	_, err := l.Take(ctx, ds[0])
	require.NoError(t, err)
	require.NoError(t, dying.Close())
	k, stop := consume(t, c.source(), l)
	settled(t, d, s)
	stop()
	l.wantAll(t, "n1.a", s.Epoch(), 100)
	// What the dead one had stored may be trimmed before it comes again.
	assert.GreaterOrEqual(t, k.Stats().TakenOver.Load(), uint64(len(ds)-1))
}

// TestNATSForeign publishes what no hub sends.
func TestNATSForeign(t *testing.T) {
	t.Parallel()
	c := startNATS(t, 1, false)
	n := c.sink(7)
	_, _, err := n.Last(ctx)
	require.NoError(t, err)
	js, _ := c.stream()
	for _, m := range []struct{ subject, data string }{
		{"clr.x", "no epoch"}, {"clr.n.x", "no number"}, {"clr.n.07", "no number we write"}, {"clr.n.7", "no headers"},
	} {
		_, err := js.Publish(ctx, m.subject, []byte(m.data))
		require.NoError(t, err)
	}
	b := &Batch{Epoch: 7, First: 1, Last: 2, N: 1, NQ: 1, Data: []byte("{\"seq\":1}\n"), Quarantined: []byte("{\"seq\":2}\n")}
	require.NoError(t, n.Publish(ctx, b))
	wrong := nats.NewMsg("clr.n9.9")
	b.fields(wrong.Header.Set)
	wrong.Data = b.payload()
	_, err = js.PublishMsg(ctx, wrong)
	require.NoError(t, err)
	l := newLedger()
	_, stop := consume(t, c.source(), l)
	require.Eventually(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.dead) == 5 }, waitLong, waitShort)
	require.Eventually(t, func() bool {
		seq, known, err := n.Watermark(ctx)
		return err == nil && known && seq == 2
	}, waitLong, waitShort)
	stop()
	require.Equal(t, 2, l.count("n1.a", 7))
	for i, why := range []string{"subject", "subject", "subject", "field data", "its epoch"} {
		require.ErrorIs(t, l.dead[i].Err, ErrForeign)
		assert.Contains(t, l.dead[i].Err.Error(), why)
	}
}

func TestNATSNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{"n1": true, "n7.3": true, "": false, ".n": false, "n.": false, "a..b": false, "a b": false, "a>": false, "*": false} {
		assert.Equal(t, ok, validToken(name), name)
	}
	_, err := OpenNATS(NATSServer{}, "a*", 1, nil)
	require.Error(t, err)
}

// TestNATSReport is TestReportNeverFalls with two consumers at a time.
func TestNATSReport(t *testing.T) {
	t.Parallel()
	c := startNATS(t, 1, false)
	n := c.sink(7)
	_, _, err := n.Last(ctx)
	require.NoError(t, err)
	done := make(chan error, 2)
	for range 2 {
		src := c.source()
		defer func() { _ = src.Close() }()
		require.NoError(t, src.open(ctx))
		go func() {
			var err error
			for seq := range uint64(50) {
				err = errors.Join(err, src.Report(context.Background(), "n1.a", 7, seq))
			}
			done <- err
		}()
	}
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	seq, known, err := n.Watermark(ctx)
	require.NoError(t, err)
	assert.True(t, known)
	assert.Equal(t, uint64(49), seq)
}

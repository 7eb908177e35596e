package queue

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/roamgate/roamgate/test/peer"
)

// kafka is a Kafka in this process, with its data in a directory, so that
// it can be stopped and started again.
type kafka struct {
	t    testing.TB
	opts []kfake.Opt
	c    *kfake.Cluster
}

func startKafka(t testing.TB) *kafka {
	k := &kafka{t: t}
	var err error
	for range 10 { // a free port may be another's by the time it is listened on
		k.opts = []kfake.Opt{
			kfake.Ports(int(peer.Port(t).Port()), int(peer.Port(t).Port()), int(peer.Port(t).Port())), kfake.DataDir(t.TempDir()), kfake.SyncWrites(),
			kfake.GroupMinSessionTimeout(time.Millisecond),
		}
		if k.c, err = kfake.NewCluster(k.opts...); err == nil {
			t.Cleanup(k.stop)
			return k
		}
	}
	require.NoError(t, err)
	return nil
}

func (k *kafka) start() {
	c, err := kfake.NewCluster(k.opts...)
	require.NoError(k.t, err)
	k.c = c
}

func (k *kafka) stop() {
	if k.c != nil {
		k.c.Close()
		k.c = nil
	}
}

func (k *kafka) server() KafkaServer {
	return KafkaServer{Addresses: k.c.ListenAddrs(), Partitions: 3}
}

func (k *kafka) sink(epoch uint64) *Kafka {
	s, err := OpenKafka(k.server(), "n1.a", epoch, nil)
	require.NoError(k.t, err)
	k.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (k *kafka) source() *KafkaSource {
	s, err := OpenKafkaSource(k.server(), SourceOptions{Takeover: 900 * time.Millisecond})
	require.NoError(k.t, err)
	return s
}

func TestKafka(t *testing.T) {
	t.Parallel()
	k := startKafka(t)
	s := openTight(t, vfs.NewMem())
	o := testOptions()
	o.Trim = TrimWatermark
	d, _ := drain(t, s, k.sink(s.Epoch()), o)
	l := newLedger()
	c, stop := consume(t, k.source(), l)
	put(t, s, stops(0, 50)...)
	put(t, s, record(99, 1))
	settled(t, d, s)
	k.stop()
	put(t, s, stops(100, 30)...)
	require.Eventually(t, func() bool { return !d.Stats().Up.Load() }, waitLong, waitShort)
	k.start()
	settled(t, d, s)
	stop()
	l.wantAll(t, "n1.a", s.Epoch(), 81)
	assert.Zero(t, c.Stats().Foreign.Load())
	assert.Zero(t, d.Stats().Alarms.Load())
	assert.Zero(t, d.Stats().Rewinds.Load())
}

// TestKafkaFences runs two processes under one name: the first is fenced.
func TestKafkaFences(t *testing.T) {
	t.Parallel()
	k := startKafka(t)
	batch := func(first uint64) *Batch {
		return &Batch{Epoch: 7, First: first, Last: first, N: 1, Data: fmt.Appendf(nil, "{\"seq\":%d}\n", first)}
	}
	zombie, second := k.sink(7), k.sink(7)
	require.ErrorIs(t, zombie.Publish(ctx, batch(1)), errNotAsked)
	last := func(s *Kafka, want uint64) {
		t.Helper()
		var first uint64
		require.Eventually(t, func() bool { // a topic just made is not everywhere at once
			var known bool
			var err error
			first, known, err = s.Last(ctx)
			return known && err == nil
		}, waitLong, waitShort)
		assert.Equal(t, want, first)
	}
	last(zombie, 0)
	require.NoError(t, zombie.Publish(ctx, batch(1)))
	require.NoError(t, zombie.Publish(ctx, batch(2)))
	// It dies in the midst of the third.
	require.NoError(t, zombie.cl.BeginTransaction())
	require.NoError(t, zombie.cl.ProduceSync(ctx, &kgo.Record{Topic: "clr", Partition: zombie.partition, Key: []byte("n1.a"),
		Headers: []kgo.RecordHeader{{Key: "epoch", Value: []byte("7")}, {Key: "first", Value: []byte("3")}}}).FirstErr())
	last(second, 2)
	require.NoError(t, second.Publish(ctx, batch(3)))
	err := zombie.cl.EndTransaction(ctx, kgo.TryCommit)
	require.Error(t, err)
	err = zombie.Publish(ctx, batch(4))
	require.Error(t, err)
	last(second, 3)
	require.NoError(t, second.Publish(ctx, batch(4)))
	last(zombie, 4)
	err = second.Publish(ctx, batch(5))
	require.ErrorIs(t, err, ErrConflict)
	assert.Contains(t, err.Error(), "clr-n1.a-7")
	assert.Contains(t, err.Error(), "another process")
}

// TestKafkaTruncated (acceptance row 9) deletes records that nobody has
// stored, and lets the topic grow beyond one step of the search for its end.
func TestKafkaTruncated(t *testing.T) {
	t.Parallel()
	k := startKafka(t)
	s := openTight(t, vfs.NewMem())
	o := testOptions()
	o.Trim = TrimWatermark
	sink := k.sink(s.Epoch())
	d, stop := drain(t, s, sink, o)
	put(t, s, stops(0, 100)...)
	caughtUp(t, d, s)
	stop()
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer cl.Close()
	for range 40 { // of other nodes
		require.NoError(t, cl.ProduceSync(ctx, &kgo.Record{Topic: "clr", Partition: sink.partition, Key: []byte("n2")}).FirstErr())
	}
	first, _, err := sink.Last(ctx)
	require.NoError(t, err)
	assert.Equal(t, uint64(91), first)
	first, err = sink.First(ctx)
	require.NoError(t, err)
	assert.Equal(t, uint64(1), first)

	var offs kadm.Offsets
	offs.AddOffset("clr", sink.partition, 7, -1)
	_, err = kadm.NewClient(cl).DeleteRecords(ctx, offs)
	require.NoError(t, err)
	first, err = sink.First(ctx)
	require.NoError(t, err)
	assert.Greater(t, first, uint64(11))
	d, _ = drain(t, s, sink, o)
	l := newLedger()
	c, stopConsumer := consume(t, k.source(), l)
	settled(t, d, s)
	stopConsumer()
	l.wantAll(t, "n1.a", s.Epoch(), 100)
	assert.NotZero(t, l.again)
	assert.Equal(t, uint64(40), c.Stats().Foreign.Load())
}

// TestKafkaTakeover (acceptance row 11) has two consumers; one dies, without
// leaving the group, with messages in its hands.
func TestKafkaTakeover(t *testing.T) {
	t.Parallel()
	k := startKafka(t)
	s := openTight(t, vfs.NewMem())
	o := testOptions()
	o.Trim = TrimWatermark
	d, _ := drain(t, s, k.sink(s.Epoch()), o)
	put(t, s, stops(0, 100)...)
	caughtUp(t, d, s)
	dying := k.source()
	ds := next(t, dying)
	l := newLedger()
	_, err := l.Take(ctx, ds[0])
	require.NoError(t, err)
	// To leave is a courtesy that the dead do not have.
	k.c.ControlKey(int16(kmsg.LeaveGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, errors.New("the line is dead"), true
	})
	require.NoError(t, dying.Close())
	_, stop := consume(t, k.source(), l)
	settled(t, d, s)
	stop()
	l.wantAll(t, "n1.a", s.Epoch(), 100)
	assert.Equal(t, 1, l.again)
}

// TestKafkaCommitInDoubt loses the answer to a commit: the batch is there
// once, or it is sent again.
func TestKafkaCommitInDoubt(t *testing.T) {
	t.Parallel()
	k := startKafka(t)
	s := openTight(t, vfs.NewMem())
	o := testOptions()
	o.Trim = TrimWatermark
	d, _ := drain(t, s, k.sink(s.Epoch()), o)
	l := newLedger()
	_, stop := consume(t, k.source(), l)
	for i := range 4 {
		k.c.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
			resp := req.ResponseKind().(*kmsg.EndTxnResponse)
			resp.ErrorCode = kerr.UnknownServerError.Code
			return resp, nil, true
		})
		put(t, s, stops(20*i, 20)...)
		settled(t, d, s)
	}
	stop()
	l.wantAll(t, "n1.a", s.Epoch(), 80)
	assert.Zero(t, d.Stats().Alarms.Load())
	assert.NotZero(t, d.Stats().Retries.Load())
}

func TestKafkaOptions(t *testing.T) {
	t.Parallel()
	for mechanism, ok := range map[string]bool{"": true, "plain": true, "scram-sha-256": true, "scram-sha-512": true, "md5": false} {
		s := KafkaServer{Username: "u", Password: "p", Mechanism: mechanism}
		_, err := s.options()
		assert.Equal(t, ok, err == nil, mechanism)
	}
	_, err := OpenKafka(KafkaServer{Username: "u", Mechanism: "md5"}, "n1", 1, nil)
	require.Error(t, err)
	_, err = OpenKafkaSource(KafkaServer{Username: "u", Mechanism: "md5"}, SourceOptions{})
	require.Error(t, err)
	_, err = OpenKafkaSource(KafkaServer{}, SourceOptions{})
	require.Error(t, err, "no address")
}

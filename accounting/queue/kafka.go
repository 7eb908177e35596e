package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.uber.org/zap"
)

// KafkaServer says where the Kafka of the clearing side is.
type KafkaServer struct {
	Addresses []string // host:port
	Username  string
	Password  string
	Mechanism string      // plain, scram-sha-256 or scram-sha-512; "" is the last, where there is a user
	TLS       *tls.Config // nil: none
	// Topic has the batches of all nodes, those of one in one partition, and
	// <Topic>-wm what the clearing side reports; "" is clr. They are made
	// when they are not there, with Partitions (0 is 12) and Replicas (0 is
	// 3); what an operator has made is left as it is.
	Topic      string
	Partitions int
	Replicas   int
}

func (s *KafkaServer) watermarks() string { return s.Topic + "-wm" }

// kafkaTimeout bounds every step of a transaction.
const kafkaTimeout = 5 * time.Second

// options are those that all clients share.
func (s *KafkaServer) options(more ...kgo.Opt) ([]kgo.Opt, error) {
	if s.Topic == "" {
		s.Topic = "clr"
	}
	if s.Partitions <= 0 {
		s.Partitions = 12
	}
	if s.Replicas <= 0 {
		s.Replicas = 3
	}
	o := []kgo.Opt{
		kgo.SeedBrokers(s.Addresses...), kgo.ClientID("roamgate"), kgo.DisableClientMetrics(),
		kgo.DialTimeout(kafkaTimeout), kgo.RetryTimeout(kafkaTimeout),
	}
	if s.TLS != nil {
		o = append(o, kgo.DialTLSConfig(s.TLS))
	}
	if s.Username != "" {
		m, err := s.mechanism()
		if err != nil {
			return nil, err
		}
		o = append(o, kgo.SASL(m))
	}
	return append(o, more...), nil
}

func (s *KafkaServer) mechanism() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "plain":
		return plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism(), nil
	case "scram-sha-256":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha256Mechanism(), nil
	case "", "scram-sha-512":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("kafka mechanism %q is none of plain, scram-sha-256, scram-sha-512", s.Mechanism)
}

// topics makes the topics when they are not there and returns how many
// partitions there are.
func (s *KafkaServer) topics(ctx context.Context, cl *kgo.Client) (int, error) {
	adm := kadm.NewClient(cl)
	have, err := adm.ListTopics(ctx, s.Topic, s.watermarks())
	if err != nil {
		return 0, err
	}
	text := func(v string) *string { return &v }
	for _, t := range []struct {
		name       string
		partitions int
		config     map[string]*string
	}{
		{s.Topic, s.Partitions, map[string]*string{
			"cleanup.policy": text("delete"), "retention.ms": text(strconv.FormatInt((7 * 24 * time.Hour).Milliseconds(), 10)),
			"compression.type": text("producer"),
		}},
		{s.watermarks(), 1, map[string]*string{"cleanup.policy": text("compact")}},
	} {
		if have.Has(t.name) {
			continue
		}
		_, err := adm.CreateTopic(ctx, int32(t.partitions), int16(s.Replicas), t.config, t.name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return 0, fmt.Errorf("making the topic %s: %w", t.name, err)
		}
	}
	have, err = adm.ListTopics(ctx, s.Topic)
	if err == nil {
		err = have.Error()
	}
	return len(have[s.Topic].Partitions), err
}

// Kafka is a Sink that produces to Kafka, one record a batch in a
// transaction of its own, keyed by the node, in the partition that belongs to
// the node. Headers first, last, epoch, n, nq, hash, encoding and data (how
// many octets of the value are Data; Quarantined follows) say what it is.
//
// The transactional id is of the node and the spool: a second process that
// takes it fences the first, which then alarms. A producer that asks where
// the topic stands takes its own id anew, so that what it had under way is
// done or undone before it looks.
//
// It does not trim: the topic's retention does. What that removed unread is
// noticed and sent again.
type Kafka struct {
	s     KafkaServer
	log   *zap.Logger
	node  string
	epoch uint64

	cl        *kgo.Client // nil: Last was not asked, or it failed since
	wm        *kgo.Client
	partition int32
	base      int64 // below this offset nothing counts any more (Forget)
	mark      kafkaMark
}

// kafkaMark is the clearing side's word.
type kafkaMark struct {
	known bool
	seq   uint64
	next  int64 // offset behind what was read
}

// OpenKafka returns a sink for the spool of the given epoch, on the proxy that
// the name node tells from others using the same queue. Nothing is sent
// before the first use; Close it after the drainer has ended.
func OpenKafka(s KafkaServer, node string, epoch uint64, log *zap.Logger) (*Kafka, error) {
	if log == nil {
		log = zap.NewNop()
	}
	_, err := s.options()
	return &Kafka{s: s, log: log, node: node, epoch: epoch}, err
}

// Close ends the connections.
func (k *Kafka) Close() error {
	for _, cl := range []**kgo.Client{&k.cl, &k.wm} {
		if *cl != nil {
			(*cl).Close()
			*cl = nil
		}
	}
	return nil
}

func (k *Kafka) open(more ...kgo.Opt) (*kgo.Client, error) {
	o, err := k.s.options(more...)
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(o...)
}

var errNotAsked = errors.New("kafka was not asked where it stands")

// Publish implements Sink.
func (k *Kafka) Publish(ctx context.Context, b *Batch) error {
	if k.cl == nil {
		return errNotAsked
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	r := &kgo.Record{Topic: k.s.Topic, Partition: k.partition, Key: []byte(k.node), Value: b.payload()}
	b.fields(func(name, value string) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	})
	err := k.cl.BeginTransaction()
	if err == nil {
		err = produce(ctx, k.cl, r)
	}
	if err == nil {
		err = k.cl.EndTransaction(ctx, kgo.TryCommit)
	}
	if err == nil {
		return nil
	}
	// What became of it Last finds out, under the same id again.
	k.cl.Close()
	k.cl = nil
	if errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) {
		return fmt.Errorf("%w: another producer has taken the transactional id %s: does another process send under this name? %w",
			ErrConflict, k.transactionalID(), err)
	}
	return err
}

// produce waits no longer than ctx, which the client alone would: a record
// whose fate it does not know it never gives up.
func produce(ctx context.Context, cl *kgo.Client, r *kgo.Record) error {
	done := make(chan error, 1)
	cl.Produce(ctx, r, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *Kafka) transactionalID() string { return fmt.Sprintf("clr-%s-%d", k.node, k.epoch) }

// Last implements Sink.
func (k *Kafka) Last(ctx context.Context) (first uint64, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*kafkaTimeout)
	defer cancel()
	_ = k.Close()
	k.mark.next = 0
	k.cl, err = k.open(
		kgo.TransactionalID(k.transactionalID()), kgo.TransactionTimeout(3*kafkaTimeout),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RecordDeliveryTimeout(kafkaTimeout), kgo.ProducerLinger(0),
	)
	if err != nil {
		return 0, false, err
	}
	n, err := k.s.topics(ctx, k.cl)
	if err != nil {
		return 0, false, err
	}
	if n == 0 {
		return 0, false, fmt.Errorf("the topic %s has no partitions yet", k.s.Topic)
	}
	k.partition = kafkaPartition(k.node, n)
	if _, _, err = k.cl.ProducerID(ctx); err != nil {
		return 0, false, fmt.Errorf("taking the transactional id %s: %w", k.transactionalID(), err)
	}
	if first, err = k.newest(ctx); err != nil {
		return 0, false, err
	}
	return first, true, nil
}

// kafkaPartition is where all batches of a node go.
func kafkaPartition(node string, n int) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(node))
	return int32(h.Sum32() % uint32(n))
}

// newest reads backwards, in steps that grow, until there is a batch of this
// spool. A partition that changed its number, or one whose end nobody can
// read, looks as if we had sent nothing: that costs a repetition.
func (k *Kafka) newest(ctx context.Context) (first uint64, err error) {
	start, end, err := k.bounds(ctx, k.s.Topic, k.partition)
	if err != nil {
		return 0, err
	}
	start = max(start, k.base)
	step := int64(16)
	for to := end; to > start && first == 0; step *= 4 {
		from := max(start, to-step)
		err := k.scan(ctx, k.s.Topic, k.partition, from, to, func(r *kgo.Record) bool {
			if n, ok := k.own(r); ok {
				first = n // the last of the step is the newest
			}
			return true
		})
		if err != nil {
			return 0, err
		}
		to = from
	}
	return first, nil
}

// own returns the first record of a batch of this spool.
func (k *Kafka) own(r *kgo.Record) (first uint64, ok bool) {
	if string(r.Key) != k.node || header(r)("epoch") != strconv.FormatUint(k.epoch, 10) {
		return 0, false
	}
	first, err := strconv.ParseUint(header(r)("first"), 10, 64)
	return first, err == nil && first > 0
}

// header returns how to look at the headers of a record: the first of a name
// stands.
func header(r *kgo.Record) func(name string) string {
	return func(name string) string {
		for i := range r.Headers {
			if r.Headers[i].Key == name {
				return string(r.Headers[i].Value)
			}
		}
		return ""
	}
}

// bounds returns the first offset of a partition and the one behind the last
// that is committed.
func (k *Kafka) bounds(ctx context.Context, topic string, partition int32) (start, end int64, err error) {
	adm := kadm.NewClient(k.cl)
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	ends, err := adm.ListCommittedOffsets(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	s, ok1 := starts.Lookup(topic, partition)
	e, ok2 := ends.Lookup(topic, partition)
	if !ok1 || !ok2 {
		return 0, 0, fmt.Errorf("the topic %s has no partition %d", topic, partition)
	}
	return s.Offset, e.Offset, errors.Join(s.Err, e.Err)
}

// kafkaIdle is after how long without a record a partition is taken to be
// read to its end: what was aborted there does not show.
const kafkaIdle = time.Second

// scan calls fn for the committed records of a partition from the offset
// from up to to, until fn returns false.
func (k *Kafka) scan(ctx context.Context, topic string, partition int32, from, to int64, fn func(*kgo.Record) bool) error {
	cl, err := k.open(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(from)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(kafkaIdle/4),
		kgo.FetchMaxPartitionBytes(1<<20), kgo.MaxConcurrentFetches(1),
	)
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		wait, cancel := context.WithTimeout(ctx, kafkaIdle)
		fs := cl.PollFetches(wait)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if fs.NumRecords() == 0 {
			if err := fs.Err0(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return nil
		}
		for it := fs.RecordIter(); !it.Done(); {
			r := it.Next()
			if r.Offset < to && !r.Attrs.IsControl() && !fn(r) {
				return nil
			}
			if r.Offset+1 >= to {
				return nil
			}
		}
	}
}

// Watermark implements Sink. The first call after Last reads the topic to
// its end, later ones what has come since.
func (k *Kafka) Watermark(ctx context.Context) (seq uint64, known bool, err error) {
	if k.cl == nil {
		return 0, false, errNotAsked
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	topic := k.s.watermarks()
	if k.wm == nil {
		start, end, err := k.bounds(ctx, topic, 0)
		if err != nil {
			return 0, false, err
		}
		if k.mark.next = start; start < end {
			if err := k.scan(ctx, topic, 0, start, end, k.hear); err != nil {
				return 0, false, err
			}
		}
		k.wm, err = k.open(
			kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(k.mark.next)}}),
			kgo.MaxConcurrentFetches(1),
		)
		return k.mark.seq, k.mark.known, err
	}
	now, cancel := context.WithTimeout(ctx, time.Millisecond)
	fs := k.wm.PollFetches(now)
	cancel()
	fs.EachRecord(func(r *kgo.Record) { k.hear(r) })
	if err := fs.Err0(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return 0, false, err
	}
	return k.mark.seq, k.mark.known, nil
}

// hear takes one report. Two consumers may report out of order: the highest
// counts.
func (k *Kafka) hear(r *kgo.Record) bool {
	k.mark.next = r.Offset + 1
	seq, epoch, ok := parseID(string(r.Value))
	if ok && string(r.Key) == k.node && epoch == k.epoch {
		k.mark.seq, k.mark.known = max(k.mark.seq, seq), true
	}
	return true
}

// kafkaFront is how many offsets from the partition's start are looked at
// for a batch of ours: with none there the front is taken to be whole.
const kafkaFront = 256

// First implements Keeper.
func (k *Kafka) First(ctx context.Context) (first uint64, err error) {
	if k.cl == nil {
		return 0, errNotAsked
	}
	ctx, cancel := context.WithTimeout(ctx, 3*kafkaTimeout)
	defer cancel()
	start, end, err := k.bounds(ctx, k.s.Topic, k.partition)
	if err != nil {
		return 0, err
	}
	if start = max(start, k.base); start >= end {
		return 0, nil
	}
	to := min(end, start+kafkaFront)
	err = k.scan(ctx, k.s.Topic, k.partition, start, to, func(r *kgo.Record) bool {
		n, ok := k.own(r)
		if ok {
			first = n
		}
		return !ok
	})
	if first == 0 && to < end {
		first = 1
	}
	return first, err
}

// Forget implements Keeper: what the partition has now counts no more. A
// process that starts again may have to find the same out once more.
func (k *Kafka) Forget(ctx context.Context) (err error) {
	_, k.base, err = k.bounds(ctx, k.s.Topic, k.partition)
	return err
}

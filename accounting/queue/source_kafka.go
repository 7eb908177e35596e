package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaSource reads the topic as a member of a consumer group, whose members
// share its partitions. Offsets are committed when the store has what is
// below them. The share of a member that died goes to the others when its
// session ends, which is a part of Takeover.
type KafkaSource struct {
	s    KafkaServer
	o    SourceOptions
	cl   *kgo.Client
	made bool // the topics are there
	told map[string]kafkaTold
}

// kafkaTold is what was reported of a node, and when.
type kafkaTold struct {
	value string
	at    time.Time
}

// OpenKafkaSource returns a Source.
func OpenKafkaSource(s KafkaServer, o SourceOptions) (*KafkaSource, error) {
	o.defaults()
	session := min(o.Takeover*2/3, 45*time.Second)
	opts, err := s.options()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append(opts,
		kgo.ConsumerGroup(o.Group), kgo.ConsumeTopics(s.Topic), kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(250*time.Millisecond),
		kgo.FetchMaxBytes(16<<20), kgo.FetchMaxPartitionBytes(4<<20),
		kgo.SessionTimeout(session), kgo.HeartbeatInterval(session/6), kgo.RebalanceTimeout(session),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordDeliveryTimeout(kafkaTimeout), kgo.ProducerLinger(0),
	)...)
	if err != nil {
		return nil, err
	}
	return &KafkaSource{s: s, o: o, cl: cl, told: map[string]kafkaTold{}}, nil
}

// Close implements Source. It leaves the group, so that others have its
// share at once.
func (k *KafkaSource) Close() error {
	k.cl.Close()
	return nil
}

// Next implements Source.
func (k *KafkaSource) Next(ctx context.Context) ([]*Delivery, error) {
	if !k.made {
		if _, err := k.s.topics(ctx, k.cl); err != nil {
			return nil, fmt.Errorf("looking for the topic %s: %w", k.s.Topic, err)
		}
		k.made = true
	}
	wait, cancel := context.WithTimeout(ctx, kafkaWait)
	defer cancel()
	fs := k.cl.PollRecords(wait, k.o.Batches)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var ds []*Delivery
	fs.EachRecord(func(r *kgo.Record) { ds = append(ds, decodeKafka(r)) })
	if len(ds) > 0 {
		return ds, nil
	}
	var errs error
	fs.EachError(func(_ string, _ int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			errs = errors.Join(errs, err)
		}
	})
	if errs != nil {
		errs = fmt.Errorf("reading the topic %s: %w", k.s.Topic, errs)
	}
	return nil, errs
}

// Done implements Source.
func (k *KafkaSource) Done(ctx context.Context, ds ...*Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	rs := make([]*kgo.Record, len(ds))
	for i, d := range ds {
		rs[i] = d.at.(*kgo.Record)
	}
	if err := k.cl.CommitRecords(ctx, rs...); err != nil {
		return fmt.Errorf("confirming to the topic %s: %w", k.s.Topic, err)
	}
	return nil
}

// kafkaWait is how long Next waits for messages.
const kafkaWait = time.Second

// kafkaRepeat is after how long a watermark is reported again though it did
// not change.
const kafkaRepeat = 5 * time.Second

// Report implements Source. Hubs take the highest they read.
func (k *KafkaSource) Report(ctx context.Context, node string, epoch, seq uint64) error {
	value := fmt.Sprintf("%d-%d", seq, epoch)
	if told := k.told[node]; told.value == value && time.Since(told.at) < kafkaRepeat {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	r := &kgo.Record{Topic: k.s.watermarks(), Key: []byte(node), Value: []byte(value)}
	if err := produce(ctx, k.cl, r); err != nil {
		return fmt.Errorf("reporting to node %s: %w", node, err)
	}
	k.told[node] = kafkaTold{value, time.Now()}
	return nil
}

// decodeKafka reads a record, which anybody can have written.
func decodeKafka(r *kgo.Record) *Delivery {
	d := &Delivery{ID: fmt.Sprintf("%s/%d:%d", r.Topic, r.Partition, r.Offset), at: r}
	field := header(r)
	if node := string(r.Key); validNode(node) {
		d.Node = node
	} else {
		d.refuse("its key is not the name of a node")
	}
	d.Epoch = number(field("epoch"))
	d.unpack(r.Value, field)
	return d
}

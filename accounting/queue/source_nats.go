package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATSSource reads the messages of all nodes through one durable pull
// consumer, which all members of the group share. What one of them does not
// confirm for Takeover comes to another; it may come as often as it takes.
type NATSSource struct {
	s    NATSServer
	o    SourceOptions
	nc   *nats.Conn
	js   jetstream.JetStream
	cons jetstream.Consumer // nil: to be looked up
	kv   jetstream.KeyValue
}

// OpenNATSSource returns a Source.
func OpenNATSSource(s NATSServer, o SourceOptions) (*NATSSource, error) {
	o.defaults()
	nc, js, err := s.connect(o.Logger)
	if err != nil {
		return nil, err
	}
	return &NATSSource{s: s, o: o, nc: nc, js: js}, nil
}

// Close implements Source. What was not confirmed comes to another consumer
// after Takeover.
func (n *NATSSource) Close() error {
	n.nc.Close()
	return nil
}

func (n *NATSSource) open(ctx context.Context) (err error) {
	if n.cons != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	st, err := n.s.stream(ctx, n.js)
	if err != nil {
		return fmt.Errorf("opening the stream %s: %w", n.s.Stream, err)
	}
	if n.kv, err = n.s.bucket(ctx, n.js); err != nil {
		return fmt.Errorf("opening the bucket of watermarks: %w", err)
	}
	n.cons, err = st.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: n.o.Group, FilterSubject: natsSubjects, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: n.o.Takeover, MaxDeliver: -1,
		MaxAckPending: natsPending,
	})
	return err
}

// natsPending bounds the messages that are with consumers: more of them
// would be held up behind one that died.
const natsPending = 1024

// Next implements Source.
func (n *NATSSource) Next(ctx context.Context) ([]*Delivery, error) {
	ds, err := n.fetch(ctx)
	if err != nil {
		n.cons = nil // it may be gone
		return nil, fmt.Errorf("reading the stream %s: %w", n.s.Stream, err)
	}
	if len(ds) == 0 {
		sleep(ctx, n.o.Poll)
	}
	return ds, ctx.Err()
}

func (n *NATSSource) fetch(ctx context.Context) (ds []*Delivery, err error) {
	if err := n.open(ctx); err != nil {
		return nil, err
	}
	got, err := n.cons.FetchNoWait(n.o.Batches)
	if err != nil {
		return nil, err
	}
	for m := range got.Messages() {
		ds = append(ds, decodeNATS(m))
	}
	err = got.Error()
	if len(ds) > 0 || errors.Is(err, jetstream.ErrNoMessages) {
		err = nil
	}
	return ds, err
}

// Done implements Source. The server answers to the last, which it has after
// all before it.
func (n *NATSSource) Done(ctx context.Context, ds ...*Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	for i, d := range ds {
		m := d.at.(jetstream.Msg)
		confirm := m.Ack
		if i == len(ds)-1 {
			confirm = func() error { return m.DoubleAck(ctx) }
		}
		if err := confirm(); err != nil {
			return fmt.Errorf("confirming to the stream %s: %w", n.s.Stream, err)
		}
	}
	return nil
}

// Report implements Source.
func (n *NATSSource) Report(ctx context.Context, node string, epoch, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	value := []byte(fmt.Sprintf("%d-%d", seq, epoch))
	for {
		e, err := n.kv.Get(ctx, node)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			_, err = n.kv.Create(ctx, node, value)
		case err == nil:
			s, ep, ok := parseID(string(e.Value()))
			if ok && (ep > epoch || ep == epoch && s >= seq) {
				return nil
			}
			_, err = n.kv.Update(ctx, node, value, e.Revision())
		}
		if !errors.Is(err, jetstream.ErrKeyExists) { // another consumer was faster: look again
			if err != nil {
				n.cons = nil
				err = fmt.Errorf("reporting to node %s: %w", node, err)
			}
			return err
		}
	}
}

// decodeNATS reads a message, which anybody can have written.
func decodeNATS(m jetstream.Msg) *Delivery {
	d := &Delivery{ID: m.Subject(), at: m}
	if meta, err := m.Metadata(); err == nil {
		d.ID = fmt.Sprintf("%s:%d", m.Subject(), meta.Sequence.Stream)
		d.Times = int(min(meta.NumDelivered, 1<<20)) - 1
		d.TakenOver = d.Times > 0
	}
	name := strings.TrimPrefix(m.Subject(), "clr.")
	if i := strings.LastIndexByte(name, '.'); i > 0 && validToken(name[:i]) {
		epoch, err := strconv.ParseUint(name[i+1:], 10, 64)
		if err == nil && natsSubject(name[:i], epoch) == m.Subject() {
			d.Node, d.Epoch = name[:i], epoch
		}
	}
	if d.Node == "" {
		d.refuse("its subject is not that of a node")
	}
	d.unpack(m.Data(), m.Headers().Get)
	return d
}

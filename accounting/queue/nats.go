package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// NATSServer says where the JetStream of the clearing side is.
type NATSServer struct {
	Addresses   []string // nats://host:port
	Username    string
	Password    string
	Credentials string // file with a JWT and its key; "": none
	TLS         *tls.Config
	// Stream holds the messages of all nodes, and the bucket <Stream>_wm what
	// the clearing side reports; "" is CLR. They are made when they are not
	// there, with Replicas copies (0 is 3) on disk; what an operator has made
	// is left as it is.
	Stream   string
	Replicas int
}

func (s *NATSServer) defaults() {
	if s.Stream == "" {
		s.Stream = "CLR"
	}
	if s.Replicas <= 0 {
		s.Replicas = 3
	}
}

// natsTimeout bounds every request: a leader that died has a successor in a
// few seconds.
const natsTimeout = 5 * time.Second

// natsSubjects are the subjects of all nodes: clr.<node>.<epoch>.
const natsSubjects = "clr.>"

// connect returns a connection that comes up by itself, at once or later.
// Nothing is kept for sending while it is down: an error is wanted.
func (s *NATSServer) connect(log *zap.Logger) (*nats.Conn, jetstream.JetStream, error) {
	s.defaults()
	o := []nats.Option{
		nats.Name("roamgate"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectBufSize(-1), nats.Timeout(natsTimeout),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("nats reports an error", zap.Error(err))
		}),
	}
	if s.Username != "" {
		o = append(o, nats.UserInfo(s.Username, s.Password))
	}
	if s.Credentials != "" {
		o = append(o, nats.UserCredentials(s.Credentials))
	}
	if s.TLS != nil {
		o = append(o, nats.Secure(s.TLS))
	}
	nc, err := nats.Connect(strings.Join(s.Addresses, ","), o...)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to nats: %w", err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(natsTimeout))
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("using jetstream: %w", err)
	}
	return nc, js, nil
}

// stream returns the stream, making it when it is not there. It takes no
// message over its limits rather than throw an old one away, and reads go to
// its leader: a replica may be behind.
func (s *NATSServer) stream(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	st, err := js.Stream(ctx, s.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		st, err = js.CreateStream(ctx, jetstream.StreamConfig{
			Name: s.Stream, Subjects: []string{natsSubjects}, Replicas: s.Replicas,
			Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		})
	}
	return st, err
}

// bucket returns where watermarks are, making it when it is not there.
func (s *NATSServer) bucket(ctx context.Context, js jetstream.JetStream) (jetstream.KeyValue, error) {
	name := s.Stream + "_wm"
	kv, err := js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: name, Replicas: s.Replicas, Storage: jetstream.FileStorage, History: 1,
		})
	}
	return kv, err
}

// NATS is a Sink that publishes to JetStream, one message a batch, on the
// subject clr.<node>.<epoch>. Headers first, last, n, nq, hash, encoding and
// data (how many octets of the payload are Data; Quarantined follows) say
// what it is.
//
// Each message names the one before it on its subject, by its sequence in the
// stream: the server refuses what comes twice, however late, what another
// process sends beside us, and what would follow a message that it lost. The
// message ids of NATS do none of that: they are remembered for minutes, and
// also when their message is gone.
//
// In a cluster the servers should have `sync_interval: always`: by default
// they confirm up to two minutes before they sync.
type NATS struct {
	s       NATSServer
	nc      *nats.Conn
	js      jetstream.JetStream
	st      jetstream.Stream
	kv      jetstream.KeyValue
	log     *zap.Logger
	node    string
	epoch   uint64
	subject string

	last    uint64 // sequence of the newest message on our subject
	marks   []natsMark
	refused uint64
	warned  bool
}

// natsMark is where in the stream the batch that begins at first is.
type natsMark struct{ first, seq uint64 }

// OpenNATS returns a sink for the spool of the given epoch, on the proxy that
// the name node tells from others using the same queue. Close it after the
// drainer has ended.
func OpenNATS(s NATSServer, node string, epoch uint64, log *zap.Logger) (*NATS, error) {
	if log == nil {
		log = zap.NewNop()
	}
	if !validToken(node) {
		return nil, fmt.Errorf("node %q cannot be part of a nats subject", node)
	}
	nc, js, err := s.connect(log)
	if err != nil {
		return nil, err
	}
	return &NATS{s: s, nc: nc, js: js, log: log, node: node, epoch: epoch, subject: natsSubject(node, epoch)}, nil
}

func natsSubject(node string, epoch uint64) string { return fmt.Sprintf("clr.%s.%d", node, epoch) }

// validToken says whether a node's name can be part of a subject: dots
// separate tokens, which must not be empty.
func validToken(node string) bool {
	return validNode(node) && !strings.HasPrefix(node, ".") && !strings.HasSuffix(node, ".") && !strings.Contains(node, "..")
}

// Subject returns the subject of the messages.
func (n *NATS) Subject() string { return n.subject }

// Close ends the connection.
func (n *NATS) Close() error {
	n.nc.Close()
	return nil
}

// Publish implements Sink.
func (n *NATS) Publish(ctx context.Context, b *Batch) error {
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	m := nats.NewMsg(n.subject)
	b.fields(m.Header.Set)
	m.Data = b.payload()
	ack, err := n.js.PublishMsg(ctx, m, jetstream.WithExpectStream(n.s.Stream), jetstream.WithExpectLastSequencePerSubject(n.last))
	var api *jetstream.APIError
	switch {
	case err == nil:
		n.sent(b.First, ack.Sequence)
		return nil
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return n.same(ctx, b)
	}
	return err
}

func (n *NATS) sent(first, seq uint64) {
	n.last = seq
	n.marks = append(n.marks, natsMark{first, seq})
}

// same decides what it means that the newest message is not the one that we
// have sent last.
func (n *NATS) same(ctx context.Context, b *Batch) error {
	n.refused++
	m, err := n.st.GetLastMsgForSubject(ctx, n.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return errors.New("the stream lost all our messages")
	}
	if err != nil {
		return err
	}
	first, err := n.first(m)
	switch {
	case err != nil:
		return err
	case first == b.First && m.Header.Get("hash") == b.HashText():
		n.sent(first, m.Sequence) // sent before, the answer was lost
		return nil
	case first < b.First:
		return errors.New("the stream lost the newest of our messages")
	}
	return fmt.Errorf("%w: %s ends with record %d, hash %.64s, ours is record %d, hash %s: does another process send under this name?",
		ErrConflict, n.subject, first, m.Header.Get("hash"), b.First, b.HashText())
}

func (n *NATS) first(m *jetstream.RawStreamMsg) (uint64, error) {
	first, err := strconv.ParseUint(m.Header.Get("first"), 10, 64)
	if err != nil || first == 0 {
		return 0, fmt.Errorf("%w: message %d on %s is no batch", ErrConflict, m.Sequence, n.subject)
	}
	return first, nil
}

// Last implements Sink.
func (n *NATS) Last(ctx context.Context) (first uint64, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	if n.st, err = n.s.stream(ctx, n.js); err != nil {
		return 0, false, fmt.Errorf("opening the stream %s: %w", n.s.Stream, err)
	}
	if n.kv, err = n.s.bucket(ctx, n.js); err != nil {
		return 0, false, fmt.Errorf("opening the bucket of watermarks: %w", err)
	}
	if limit := n.nc.MaxPayload(); limit < MaxMessage+maxHeaders {
		return 0, false, fmt.Errorf("nats takes messages of %d octets: set max_payload to %d or more", limit, MaxMessage+maxHeaders)
	}
	n.checkPolicy()
	n.last, n.marks = 0, nil
	m, err := n.st.GetLastMsgForSubject(ctx, n.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	if first, err = n.first(m); err != nil {
		return 0, false, err
	}
	n.sent(first, m.Sequence)
	return first, true, nil
}

// checkPolicy warns of a stream that throws messages away, or has them in
// memory only.
func (n *NATS) checkPolicy() {
	c := n.st.CachedInfo().Config
	forgets := c.MaxAge > 0 || c.MaxMsgsPerSubject > 0 || c.Storage != jetstream.FileStorage ||
		c.Discard == jetstream.DiscardOld && (c.MaxBytes > 0 || c.MaxMsgs > 0)
	if forgets && !n.warned {
		n.log.Warn("the stream may throw messages away that nobody has stored", zap.String("stream", c.Name))
	}
	n.warned = forgets
}

// Watermark implements Sink.
func (n *NATS) Watermark(ctx context.Context) (seq uint64, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	e, err := n.kv.Get(ctx, n.node)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	seq, epoch, ok := parseID(string(e.Value()))
	if !ok || epoch != n.epoch {
		return 0, false, nil
	}
	return seq, true, nil
}

// Trim implements Trimmer. It knows where the batches are that it has sent
// itself; the first of those to go takes all before it along.
func (n *NATS) Trim(ctx context.Context, first uint64) error {
	i := 0
	for i < len(n.marks) && n.marks[i].first < first {
		i++
	}
	if i == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	err := n.st.Purge(ctx, jetstream.WithPurgeSubject(n.subject), jetstream.WithPurgeSequence(n.marks[i-1].seq+1))
	if err != nil {
		return err
	}
	if n.marks = n.marks[i:]; len(n.marks) == 0 {
		n.last = 0 // the subject is as if it had never been
	}
	return nil
}

// First implements Keeper.
func (n *NATS) First(ctx context.Context) (first uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	m, err := n.st.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(n.subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return n.first(m)
}

// Forget implements Keeper.
func (n *NATS) Forget(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	n.last, n.marks = 0, nil
	return n.st.Purge(ctx, jetstream.WithPurgeSubject(n.subject))
}

package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// SourceOptions are common to the sources.
type SourceOptions struct {
	Logger *zap.Logger // nil logs nothing
	// Group is the name under which consumers share the work; "" is
	// clearing.
	Group string
	// Consumer tells this consumer from others of the group; "" is made of
	// the host's name, the process and chance. A consumer that comes back under its
	// old name gets at once what it had not confirmed.
	Consumer string
	// Takeover is after how long a message of a consumer that died goes to
	// another; 0 is 30 s.
	Takeover time.Duration
	// Batches is how many messages Next returns at most; 0 is 8.
	Batches int
	// Poll is how often a queue without messages is asked; 0 is 50 ms.
	Poll time.Duration
}

func (o *SourceOptions) defaults() {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Group == "" {
		o.Group = "clearing"
	}
	if o.Consumer == "" {
		host, _ := os.Hostname()
		o.Consumer = fmt.Sprintf("%s-%d-%08x", host, os.Getpid(), rand.Uint32())
	}
	if o.Takeover <= 0 {
		o.Takeover = 30 * time.Second
	}
	if o.Batches <= 0 {
		o.Batches = 8
	}
	if o.Poll <= 0 {
		o.Poll = 50 * time.Millisecond
	}
}

// RedisSource reads the streams of all nodes that the sets name, as a member
// of a consumer group. It asks each node in turn and does not block in the
// server: a command that waits can be at one slot of a cluster only.
type RedisSource struct {
	c       redis.UniversalClient
	o       SourceOptions
	streams []*redisStream
	turn    int
	looked  time.Time // when the sets were last read
	foreign map[string]bool
}

// redisStream is one stream of one node.
type redisStream struct {
	key, node string
	epoch     uint64
	group     bool      // is there
	own       string    // next id of those this consumer had before it began, "" when all were seen
	claimed   time.Time // when others' shares were last looked at
}

// lookEvery is how often the sets are read for new nodes and new spools.
const lookEvery = 2 * time.Second

// OpenRedisSource returns a Source. Nothing is read before the first Next.
func OpenRedisSource(s Server, o SourceOptions) *RedisSource {
	o.defaults()
	return &RedisSource{c: redis.NewUniversalClient(s.options()), o: o, foreign: map[string]bool{}}
}

// Close implements Source. What was not confirmed goes to another consumer
// after Takeover.
func (r *RedisSource) Close() error { return r.c.Close() }

// Next implements Source.
func (r *RedisSource) Next(ctx context.Context) ([]*Delivery, error) {
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	var errs error
	for range r.streams {
		r.turn = (r.turn + 1) % len(r.streams)
		ds, err := r.read(ctx, r.streams[r.turn])
		if len(ds) > 0 {
			return ds, nil
		}
		errs = errors.Join(errs, err)
	}
	if errs != nil {
		return nil, errs
	}
	sleep(ctx, r.o.Poll)
	return nil, ctx.Err()
}

// look reads the sets. What stands in them is not believed: a key that is
// not that of a stream of its node is passed over.
func (r *RedisSource) look(ctx context.Context) error {
	if time.Since(r.looked) < lookEvery {
		return nil
	}
	nodes, err := r.c.SMembers(ctx, nodesKey).Result()
	if err != nil {
		return fmt.Errorf("reading the nodes of the queue: %w", err)
	}
	known := make(map[string]*redisStream, len(r.streams))
	for _, st := range r.streams {
		known[st.key] = st
	}
	streams := r.streams[:0:0]
	for _, node := range nodes {
		if !validNode(node) {
			r.pass(node)
			continue
		}
		keys, err := r.c.SMembers(ctx, streamsKey(node)).Result()
		if err != nil {
			return fmt.Errorf("reading the streams of node %s: %w", node, err)
		}
		for _, key := range keys {
			epoch, err := strconv.ParseUint(strings.TrimPrefix(key, "clr:{"+node+"}:"), 10, 64)
			if err != nil || streamKey(node, epoch) != key {
				r.pass(key)
				continue
			}
			st := known[key]
			if st == nil {
				st = &redisStream{key: key, node: node, epoch: epoch, own: "0"}
			}
			streams = append(streams, st)
		}
	}
	r.streams, r.looked = streams, time.Now()
	return nil
}

// maxPassed bounds what is remembered of keys that are none of ours.
const maxPassed = 1000

// pass says once that a key is none of ours.
func (r *RedisSource) pass(key string) {
	if !r.foreign[key] && len(r.foreign) < maxPassed {
		r.foreign[key] = true
		r.o.Logger.Warn("the sets of the queue name a key that is no hub's", zap.String("key", clip(key)))
	}
}

// validNode says whether a node's name can be part of a queue's name.
func validNode(node string) bool {
	ok := len(node) > 0 && len(node) <= 128
	for i := range len(node) {
		c := node[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_')
	}
	return ok
}

func clip(s string) string { return s[:min(len(s), 128)] }

// read returns what there is in one stream: what this consumer had before it
// began, what others had for too long, what is new.
func (r *RedisSource) read(ctx context.Context, st *redisStream) ([]*Delivery, error) {
	if !st.group {
		err := r.c.XGroupCreate(ctx, st.key, r.o.Group, "0").Err()
		switch {
		case err == nil || strings.HasPrefix(err.Error(), "BUSYGROUP"):
			st.group = true
		case strings.Contains(err.Error(), "key to exist"):
			return nil, nil // nothing was sent yet
		case strings.HasPrefix(err.Error(), "WRONGTYPE"):
			r.pass(st.key)
			return nil, nil
		default:
			return nil, fmt.Errorf("joining the group of %s: %w", st.key, err)
		}
	}
	if time.Since(st.claimed) >= r.o.Takeover/4 {
		ds, err := r.takeOver(ctx, st)
		if err != nil || len(ds) > 0 {
			return ds, r.regroup(st, err)
		}
		st.claimed = time.Now()
	}
	from := ">"
	if st.own != "" {
		from = st.own
	}
	got, err := r.c.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: r.o.Group, Consumer: r.o.Consumer, Streams: []string{st.key, from},
		Count: int64(r.o.Batches), Block: -1,
	}).Result()
	if err != nil && err != redis.Nil {
		return nil, r.regroup(st, err)
	}
	var ms []redis.XMessage
	for _, s := range got {
		ms = append(ms, s.Messages...)
	}
	times := 0
	switch {
	case st.own == "":
	case len(ms) == 0:
		st.own = ""
	default:
		times, st.own = 1, ms[len(ms)-1].ID
	}
	ds, err := r.deliver(ctx, st, ms)
	for _, d := range ds {
		d.Times = times
	}
	return ds, err
}

// deliver decodes entries. One that was taken out of the stream while it was
// pending has nothing in it: it is confirmed here.
func (r *RedisSource) deliver(ctx context.Context, st *redisStream, ms []redis.XMessage) ([]*Delivery, error) {
	ds := make([]*Delivery, 0, len(ms))
	for _, m := range ms {
		if len(m.Values) > 0 {
			ds = append(ds, decodeRedis(st, m))
		} else if err := r.c.XAck(ctx, st.key, r.o.Group, m.ID).Err(); err != nil {
			return nil, err
		}
	}
	return ds, nil
}

// takeOver claims what another consumer, or this one in an earlier try, has
// not confirmed for long. XPENDING says how often each was delivered, which
// XAUTOCLAIM does not.
func (r *RedisSource) takeOver(ctx context.Context, st *redisStream) ([]*Delivery, error) {
	idle, err := r.c.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: st.key, Group: r.o.Group, Idle: r.o.Takeover, Start: "-", End: "+", Count: int64(r.o.Batches),
	}).Result()
	if err != nil || len(idle) == 0 {
		return nil, err
	}
	ids, times := make([]string, len(idle)), make(map[string]int, len(idle))
	for i, p := range idle {
		ids[i], times[p.ID] = p.ID, int(p.RetryCount)
	}
	got, err := r.c.XClaim(ctx, &redis.XClaimArgs{
		Stream: st.key, Group: r.o.Group, Consumer: r.o.Consumer, MinIdle: r.o.Takeover, Messages: ids,
	}).Result()
	if err != nil {
		return nil, err
	}
	ds, err := r.deliver(ctx, st, got)
	for _, d := range ds {
		d.Times, d.TakenOver = times[d.ID], true
	}
	return ds, err
}

// regroup notices that the stream was made anew, and the group with it.
func (r *RedisSource) regroup(st *redisStream, err error) error {
	if err == nil {
		return nil
	}
	if strings.HasPrefix(err.Error(), "NOGROUP") {
		st.group, st.own = false, "0"
		return nil
	}
	return fmt.Errorf("reading %s: %w", st.key, err)
}

// Done implements Source.
func (r *RedisSource) Done(ctx context.Context, ds ...*Delivery) error {
	ids := map[*redisStream][]string{}
	for _, d := range ds {
		st := d.at.(*redisStream)
		ids[st] = append(ids[st], d.ID)
	}
	for st, list := range ids {
		if err := r.c.XAck(ctx, st.key, r.o.Group, list...).Err(); err != nil {
			return fmt.Errorf("confirming to %s: %w", st.key, err)
		}
	}
	return nil
}

// report sets a watermark unless it would fall. Numbers of 64 bits are
// compared as text: the script language has floating point only.
var report = redis.NewScript(`
local function less(a, b) return #a < #b or #a == #b and a < b end
local had = redis.call('GET', KEYS[1])
if had then
	local seq, epoch = string.match(had, '^(%d+)-(%d+)$')
	if epoch and (less(ARGV[2], epoch) or epoch == ARGV[2] and not less(seq, ARGV[1])) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1] .. '-' .. ARGV[2])
return 1`)

// Report implements Source.
func (r *RedisSource) Report(ctx context.Context, node string, epoch, seq uint64) error {
	err := report.Run(ctx, r.c, []string{watermarkKey(node)}, seq, epoch).Err()
	if err != nil {
		return fmt.Errorf("reporting to node %s: %w", node, err)
	}
	return nil
}

// decodeRedis reads an entry, which anybody can have written.
func decodeRedis(st *redisStream, m redis.XMessage) *Delivery {
	field := func(name string) string { s, _ := m.Values[name].(string); return s }
	d := &Delivery{
		Node: st.node, Epoch: st.epoch, ID: m.ID, at: st,
		Data: []byte(field("data")), Quarantined: []byte(field("quarantined")),
	}
	d.decode(field)
	if first, epoch, ok := parseID(m.ID); d.Err == nil && (!ok || first != d.First || epoch != st.epoch) {
		d.refuse("its id is not that of its first record")
	}
	if d.Err != nil {
		d.Data = foreignText(m.Values)
	}
	return d
}

// foreignText is what somebody else's entry looks like.
func foreignText(values map[string]any) []byte {
	var b bytes.Buffer
	for k, v := range values {
		if b.Len() < maxForeign {
			fmt.Fprintf(&b, "%.256q=%.4096q\n", k, fmt.Sprint(v))
		}
	}
	return b.Bytes()
}

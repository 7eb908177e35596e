package clearing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/usage"
	"github.com/roamgate/roamgate/test/peer"
)

var ctx = context.Background()

// epoch of time in the tests' world.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// packet is one Accounting-Request of a NAS.
type packet struct {
	kind    accounting.Kind
	session string
	nas     string
	at      time.Time // event
	seconds uint32
	in, out uint32
	delay   uint32
	untimed bool // no Event-Timestamp
}

func attribute(t byte, v string) []byte { return append([]byte{t, byte(2 + len(v))}, v...) }

func number(t byte, v uint32) []byte { return binary.BigEndian.AppendUint32([]byte{t, 6}, v) }

func (p packet) octets() []byte {
	b := make([]byte, 20)
	b[0] = 4
	add := func(a []byte) { b = append(b, a...) }
	add(number(40, uint32(p.kind)))
	add(attribute(32, p.nas))
	if p.kind != accounting.On && p.kind != accounting.Off {
		add(attribute(1, p.session+"@home.example"))
		add(attribute(44, p.session))
		add(attribute(31, "02-00-5E-10-00-01"))
		add(attribute(89, "cui-"+p.session))
	}
	if !p.untimed {
		add(number(55, uint32(p.at.Unix())))
	}
	if p.kind == accounting.Stop || p.kind == accounting.Interim {
		add(number(46, p.seconds))
		add(number(42, p.in))
		add(number(43, p.out))
		add(number(47, p.in/100))
		add(number(48, p.out/100))
	}
	if p.kind == accounting.Stop {
		add(number(49, 1))
	}
	if p.delay > 0 {
		add(number(41, p.delay))
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// hub makes batches as a hub does: from packets, by the real code.
type hub struct {
	t      testing.TB
	node   string
	epoch  uint64
	next   uint64
	hasher *accounting.Hasher
	view   accounting.View
	client string
}

func newHub(t testing.TB, node string) *hub {
	key := []byte("the identity key of all hubs")
	return &hub{
		t: t, node: node, epoch: 1_700_000_000, next: 1, client: "visited",
		hasher: accounting.NewHasher(key), view: accounting.View{Hasher: accounting.NewHasher(key)},
	}
}

// line is the line of a packet that arrived d after its event.
func (h *hub) line(p packet, after time.Duration) (line []byte, quarantined bool) {
	var e accounting.Event
	arrival := p.at.Add(after)
	raw := p.octets()
	accounting.Classify(&e, raw, arrival.UnixNano())
	hd := accounting.Header{Time: arrival.UnixNano(), Client: h.client, Operator: "1visited.example", Country: "DE", Realm: "home.example", Route: "home.example"}
	hd.SetEvent(&e)
	hd.Key = h.hasher.Key(&e, hd.Operator)
	rec, err := accounting.Decode(accounting.AppendRecord(nil, &hd, raw))
	require.NoError(h.t, err)
	rec.Seq = h.next
	h.next++
	return append(rec.AppendJSON(nil, &h.view), '\n'), e.Kind == accounting.Quarantined
}

// batch makes one batch of packets that arrived a second after their event.
func (h *hub) batch(ps ...packet) *queue.Delivery { return h.late(time.Second, ps...) }

func (h *hub) late(after time.Duration, ps ...packet) *queue.Delivery {
	d := &queue.Delivery{Node: h.node, Epoch: h.epoch, First: h.next, Encoding: queue.Encoding}
	for _, p := range ps {
		line, quarantined := h.line(p, after)
		if quarantined {
			d.Quarantined = append(d.Quarantined, line...)
			d.NQ++
			continue
		}
		d.Data = append(d.Data, line...)
		d.N++
	}
	d.Last = h.next - 1
	return seal(d)
}

// seal gives d a hash of its content.
func seal(d *queue.Delivery) *queue.Delivery {
	sum := sha256.Sum256(append(append([]byte(d.Node), d.Data...), d.Quarantined...))
	copy(d.Hash[:], sum[:])
	return d
}

// life is a session of one hour: Start, one Interim and Stop.
func life(name string, start time.Time) []packet {
	p := packet{session: name, nas: "ap-1", at: start, kind: accounting.Start}
	mid, end := p, p
	mid.kind, mid.at, mid.seconds, mid.in, mid.out = accounting.Interim, start.Add(30*time.Minute), 1800, 400_000, 4_000_000
	end.kind, end.at, end.seconds, end.in, end.out = accounting.Stop, start.Add(time.Hour), 3600, 1_000_000, 9_000_000
	return []packet{p, mid, end}
}

// clock is a wall clock that a test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// bench is a store that is opened again and again in one place.
type bench struct {
	t     testing.TB
	o     Options
	s     *Store
	clock *clock
}

// place makes a place for a store.
type placeMaker func(t testing.TB) Options

func inMemory(testing.TB) Options {
	return Options{Directory: "clearing", fs: vfs.NewMem()}
}

func onDisk(t testing.TB) Options { return Options{Directory: t.TempDir()} }

func inPostgres(p *peer.Postgres) placeMaker {
	return func(testing.TB) Options { return Options{PostgreSQL: p.Schema()} }
}

// newBench opens a store a day after noon, with the rules as they come.
func newBench(t testing.TB, make placeMaker, with ...func(*Options)) *bench {
	b := &bench{t: t, o: make(t), clock: &clock{noon.Add(24 * time.Hour)}}
	b.o.Clock = b.clock.Now
	for _, w := range with {
		w(&b.o)
	}
	b.open()
	t.Cleanup(func() {
		if b.s != nil {
			assert.NoError(t, b.s.Close())
		}
	})
	return b
}

func (b *bench) open() {
	s, err := Open(ctx, b.o)
	require.NoError(b.t, err)
	b.s = s
}

func (b *bench) reopen() {
	require.NoError(b.t, b.s.Close())
	b.open()
}

func (b *bench) take(ds ...*queue.Delivery) (mark uint64) {
	b.t.Helper()
	for _, d := range ds {
		var err error
		mark, err = b.s.Take(ctx, d)
		require.NoError(b.t, err)
	}
	return mark
}

func (b *bench) records(f Filter) (all []Entry) {
	b.t.Helper()
	for e, err := range b.s.Records(ctx, f) {
		require.NoError(b.t, err)
		all = append(all, *e)
	}
	return all
}

func (b *bench) letters() (all []DeadLetter) {
	b.t.Helper()
	for l, err := range b.s.DeadLetters(ctx, 0) {
		require.NoError(b.t, err)
		all = append(all, *l)
	}
	return all
}

func (b *bench) stats() Stats {
	b.t.Helper()
	st, err := b.s.Stats(ctx)
	require.NoError(b.t, err)
	return st
}

// classes is how many reports are in each class.
func (b *bench) classes() map[usage.Class]int64 {
	b.t.Helper()
	sums, err := b.s.Sums(ctx)
	require.NoError(b.t, err)
	all := map[usage.Class]int64{}
	for k, n := range sums {
		all[k.Class] += n
	}
	return all
}

// usageOf is what all records of a store come to.
type usageOf struct{ records, in, out, seconds int64 }

func (b *bench) usage() (u usageOf) {
	b.t.Helper()
	for _, e := range b.records(Filter{}) {
		u.records++
		u.in += e.Record.InputOctets
		u.out += e.Record.OutputOctets
		u.seconds += e.Record.Seconds
	}
	return u
}

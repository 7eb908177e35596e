package clearing

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/session"
)

// Keys begin with what they name. All numbers are big-endian, so that keys
// are in the order of the numbers.
const (
	keyLayout  = 'v'
	keySource  = 'n' // epoch node -> source
	keyStretch = 'a' // epoch node first -> last hash taken
	keySettled = 'x' // epoch node first last hash
	keyClaim   = 'c' // key -> hour contents
	keySession = 's' // id, generation (newest first) -> reports open updated tail session
	keyOpen    = 'o' // NAS id generation
	keyDue     = 'd' // seconds id generation
	keyTrace   = 't' // id generation chunk -> traces
	keyJourney = 'j' // key -> hour legs
	keyRecord  = 'r' // order -> seconds JSON
	keyID      = 'i' // record id -> order
	keyPart    = 'q' // session key, order -> id generation
	keyTally   = 'y' // class, names -> number
	keyCount   = 'z' // name -> number
	keyLetter  = 'l' // number -> JSON
	keyDigest  = 'h' // digest of a letter -> number
)

const layout = 1

// prefixLen is what the store's filters know of a key: what it names and one
// hash. All generations of a session ID are of one prefix, so that one look
// says that there is none.
const prefixLen = 17

// comparer is the order of octets, and prefixes.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "roamgate.clearing.1"
	c.Split = func(k []byte) int { return min(len(k), prefixLen) }
	c.ImmediateSuccessor = func(dst, prefix []byte) []byte {
		n := len(dst)
		if dst = append(dst, prefix...); len(prefix) < prefixLen {
			return append(dst, 0)
		}
		for i := len(dst) - 1; i >= n; i-- {
			if dst[i]++; dst[i] != 0 {
				break
			}
		}
		return dst
	}
	return &c
}()

// embedded is the backend in a directory.
type embedded struct {
	o    *Options
	db   *pebble.DB
	lock *pebble.Lock

	mu   sync.Mutex // one writer at a time
	walk []byte     // where forget goes on; guarded by mu

	failure struct {
		sync.Mutex
		err error
	}
}

// ErrFailed is wrapped by every error after a write or sync of the embedded
// store has failed: what is on the disk is not known until it is opened again.
var ErrFailed = errors.New("clearing: the store has failed")

// storeLogger stands between the store and our log. The store calls Fatalf
// when it cannot know what is on the disk. The process must go on, the store
// must not: the goroutine that called ends, and guard notices.
type storeLogger struct{ e *embedded }

func (l storeLogger) Infof(string, ...any) {}

func (l storeLogger) Errorf(format string, args ...any) {
	l.e.o.Logger.Warn("clearing store", zap.String("reason", fmt.Sprintf(format, args...)))
}

func (l storeLogger) Fatalf(format string, args ...any) {
	l.e.fail(fmt.Errorf(format, args...))
	runtime.Goexit()
}

func (e *embedded) fail(err error) {
	e.failure.Lock()
	defer e.failure.Unlock()
	if e.failure.err == nil {
		e.failure.err = fmt.Errorf("%w: %w", ErrFailed, err)
		e.o.Logger.Error("clearing store failed", zap.Error(err))
	}
}

func (e *embedded) failed() error {
	e.failure.Lock()
	defer e.failure.Unlock()
	return e.failure.err
}

// guard runs f on a goroutine of its own, which the store may end.
func (e *embedded) guard(f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = f()
	}()
	<-done
	return errors.Join(err, e.failed())
}

func openPebble(o *Options) (*embedded, error) {
	e := &embedded{o: o}
	if err := e.guard(e.open); err != nil {
		if e.db != nil {
			_ = e.close()
		}
		return nil, err
	}
	return e, nil
}

func (e *embedded) open() error {
	if err := e.o.fs.MkdirAll(e.o.Directory, 0o750); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(e.o.Directory, e.o.fs)
	if err != nil {
		return fmt.Errorf("locking %s, is it in use? %w", e.o.Directory, err)
	}
	cache := pebble.NewCache(192 << 20)
	defer cache.Unref()
	po := &pebble.Options{
		FS:                 e.o.fs,
		Cache:              cache,
		Comparer:           comparer,
		Lock:               lock,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             storeLogger{e},
		// They are taken from the cache: that must hold more than four of
		// them, or the filters of the tables are read again and again.
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 4,
		EventListener: &pebble.EventListener{
			// The default ends the process. The read that met the damage
			// returns it.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				e.o.Logger.Error("clearing file is damaged", zap.String("reason", i.String()))
			},
		},
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most events are new
	}
	if e.db, err = pebble.Open(e.o.Directory, po); err != nil {
		_ = lock.Close()
		return err
	}
	e.lock = lock
	v, err := (&shelf{e.db}).get([]byte{keyLayout})
	switch {
	case err != nil:
		return err
	case v == nil:
		return e.db.Set([]byte{keyLayout}, []byte{layout}, pebble.Sync)
	case !bytes.Equal(v, []byte{layout}):
		return fmt.Errorf("%s is of layout %d, this program reads %d: written by a newer program?", e.o.Directory, v[0], layout)
	}
	return nil
}

// close closes the store. One that has failed may not end: its background
// work is then left behind.
func (e *embedded) close() error {
	closed := make(chan error, 1)
	go func() {
		err := errors.New("closing did not end")
		defer func() { closed <- err }() // also where the store ends this goroutine
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("closing: %v", r)
			}
		}()
		err = e.db.Close()
	}()
	var late <-chan time.Time
	if e.failed() != nil {
		late = time.After(2 * time.Second)
	}
	var err error
	select {
	case err = <-closed:
	case <-late:
	}
	return errors.Join(err, e.failed(), e.lock.Close())
}

func (e *embedded) view(ctx context.Context, f func(book) error) error {
	if err := errors.Join(ctx.Err(), e.failed()); err != nil {
		return err
	}
	snap := e.db.NewSnapshot()
	defer func() { _ = snap.Close() }()
	return f(&shelf{snap})
}

func (e *embedded) update(ctx context.Context, f func(book) (*change, error)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := errors.Join(ctx.Err(), e.failed(), e.o.fault("begin")); err != nil {
		return err
	}
	c, err := f(&shelf{e.db})
	if err != nil || c == nil {
		return err
	}
	w := &writer{shelf: shelf{e.db}, b: e.db.NewBatch(pebble.WithInitialSizeBytes(1 << 20)), fault: e.o.fault}
	defer func() { _ = w.b.Close() }()
	if err := w.write(c); err != nil {
		return err
	}
	if err := e.o.fault("commit"); err != nil {
		return err
	}
	if err := e.commit(w.b); err != nil {
		return err
	}
	return e.o.fault("committed")
}

func (e *embedded) commit(b *pebble.Batch) error {
	return e.guard(func() error { return b.Commit(pebble.Sync) })
}

// writer turns a change into a batch.
type writer struct {
	shelf
	b     *pebble.Batch
	fault func(string) error
	err   error
}

func (w *writer) set(k, v []byte) {
	if w.err == nil {
		w.err = w.b.Set(k, v, nil)
	}
}

func (w *writer) del(k []byte) {
	if w.err == nil {
		w.err = w.b.Delete(k, nil)
	}
}

func (w *writer) write(c *change) error {
	steps := []struct {
		name string
		do   func(*change)
	}{
		{"source", w.source}, {"claims", w.claims}, {"sessions", w.sessions},
		{"records", w.records}, {"sums", w.sums}, {"letters", w.letters},
	}
	for _, s := range steps {
		if s.do(c); w.err != nil {
			return w.err
		}
		if err := w.fault(s.name); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) source(c *change) {
	if c.source != nil {
		w.set(sourceKey(keySource, c.source.SourceID), appendSource(nil, c.source))
	}
	if st := c.stretch; st != nil {
		k := binary.BigEndian.AppendUint64(sourceKey(keyStretch, c.source.SourceID), st.First)
		w.set(k, appendStretch(nil, st))
	}
	for _, s := range c.settle {
		w.set(settledKey(s.id, s.st), nil)
	}
}

// hour is the age of things that are only kept for a time.
func hour(t time.Time) uint32 { return uint32(max(t.Unix(), 0) / 3600) }

func (w *writer) claims(c *change) {
	for k, contents := range c.claims {
		v := binary.BigEndian.AppendUint32(make([]byte, 0, 4+16*len(contents)), hour(c.at))
		for i := range contents {
			v = append(v, contents[i][:]...)
		}
		w.set(join(keyClaim, k[:]), v)
	}
	for k, j := range c.journeys {
		v := binary.BigEndian.AppendUint32(nil, hour(c.at))
		w.set(join(keyJourney, k[:]), binary.BigEndian.AppendUint32(v, uint32(j.Legs)))
	}
}

func (w *writer) sessions(c *change) {
	for i := range c.sessions {
		sc := &c.sessions[i]
		at, is := placeOf(sc.Session), indexOf(sc.Session)
		if was := sc.was; was != nil && *was != is {
			if was.open {
				w.del(placeKey(join(keyOpen, was.nas[:]), at))
			}
			if was.due != 0 {
				w.del(placeKey(dueKey(was.due), at))
			}
		}
		if sc.was == nil || *sc.was != is {
			if is.open {
				w.set(placeKey(join(keyOpen, is.nas[:]), at), nil)
			}
			if is.due != 0 {
				w.set(placeKey(dueKey(is.due), at), nil)
			}
		}
		for _, ch := range sc.chunks {
			w.set(traceKey(at, ch.place), ch.traces)
		}
		v, err := appendSession(make([]byte, 0, 1024), &sc.stored)
		w.err = errors.Join(w.err, err)
		w.set(sessionKey(at), v)
	}
}

func (w *writer) records(c *change) {
	for i := range c.records {
		r := &c.records[i]
		v, err := json.Marshal(&r.Record)
		if err != nil {
			w.err = errors.Join(w.err, err)
			return
		}
		order := binary.BigEndian.AppendUint64(nil, r.Order)
		at := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(v)), uint64(c.at.Unix()))
		w.set(join(keyRecord, order), append(at, v...))
		w.set(join(keyID, r.Record.ID[:]), order)
		w.set(join(keyPart, r.Record.Session[:], order), placeKey(nil, r.of))
	}
}

func (w *writer) sums(c *change) {
	for k, n := range c.tallies {
		w.add(tallyKey(k), n)
	}
	for name, n := range c.counts {
		w.add(join(keyCount, []byte(name)), n)
	}
}

func (w *writer) add(k []byte, n int64) {
	if n == 0 {
		return
	}
	was, err := w.number(k)
	w.err = errors.Join(w.err, err)
	w.set(k, binary.BigEndian.AppendUint64(nil, uint64(was+n)))
}

func (w *writer) letters(c *change) {
	for i := range c.letters {
		l := &c.letters[i]
		v, err := json.Marshal(l)
		w.err = errors.Join(w.err, err)
		number := binary.BigEndian.AppendUint64(nil, l.Number)
		w.set(join(keyLetter, number), append(l.digest[:], v...))
		w.set(join(keyDigest, l.digest[:]), number)
	}
	for _, number := range c.dropped {
		l, err := w.letter(number)
		if err != nil {
			w.err = errors.Join(w.err, err)
			return
		}
		w.del(join(keyLetter, binary.BigEndian.AppendUint64(nil, number)))
		w.del(join(keyDigest, l.digest[:]))
	}
}

func join(prefix byte, parts ...[]byte) []byte {
	k := append(make([]byte, 0, 48), prefix)
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

func sourceKey(prefix byte, id SourceID) []byte {
	k := binary.BigEndian.AppendUint64(join(prefix), id.Epoch)
	return append(append(k, byte(len(id.Node))), id.Node...)
}

func settledKey(id SourceID, st stretch) []byte {
	k := binary.BigEndian.AppendUint64(sourceKey(keySettled, id), st.First)
	return append(binary.BigEndian.AppendUint64(k, st.Last), st.Hash[:]...)
}

func placeKey(k []byte, at place) []byte {
	return binary.BigEndian.AppendUint64(append(k, at.id[:]...), at.generation)
}

func sessionKey(at place) []byte {
	at.generation = ^at.generation
	return placeKey([]byte{keySession}, at)
}

func traceKey(at place, n uint32) []byte {
	return binary.BigEndian.AppendUint16(placeKey([]byte{keyTrace}, at), uint16(n))
}

// sessionHead is what stands before a session and its last traces.
const sessionHead = 4 + 1 + 8 + 2

func appendSession(b []byte, st *stored) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(b, st.Reports)
	b = append(b, map[bool]byte{true: 1}[st.Open])
	b = binary.BigEndian.AppendUint64(b, uint64(st.Updated))
	b = binary.BigEndian.AppendUint16(b, uint16(len(st.tail)))
	return st.AppendBinary(append(b, st.tail...))
}

func readSession(v []byte) (*stored, error) {
	if len(v) < sessionHead {
		return nil, errStored
	}
	n := sessionHead + int(binary.BigEndian.Uint16(v[13:]))
	if len(v) < n {
		return nil, errStored
	}
	st := &stored{Session: &session.Session{}, Reports: binary.BigEndian.Uint32(v), tail: bytes.Clone(v[sessionHead:n])}
	return st, st.UnmarshalBinary(v[n:])
}

func dueKey(due int64) []byte {
	// The sign bit turned: what is before 1970 is due first.
	return binary.BigEndian.AppendUint64([]byte{keyDue}, uint64(due)^1<<63)
}

func tallyKey(t session.TallyKey) []byte {
	k := join(keyTally, []byte{byte(t.Class), byte(len(t.Node))}, []byte(t.Node))
	k = binary.BigEndian.AppendUint16(k, uint16(len(t.Client)))
	return append(append(k, t.Client...), t.Reason...)
}

func readTally(k []byte) (t session.TallyKey, ok bool) {
	if len(k) < 3 || len(k) < 3+int(k[2])+2 {
		return t, false
	}
	t.Class = classOf(k[1])
	n := 3 + int(k[2])
	t.Node = string(k[3:n])
	l := int(binary.BigEndian.Uint16(k[n:]))
	if n += 2; l > len(k)-n {
		return t, false
	}
	t.Client, t.Reason = string(k[n:n+l]), string(k[n+l:])
	return t, true
}

func appendSource(b []byte, s *Source) []byte {
	for _, n := range [...]uint64{
		s.Lowest, s.Whole, s.Highest, s.Beyond, s.forgotten,
		nanos(s.Since), nanos(s.Taken), nanos(s.Arrival),
	} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func readSource(k, v []byte) (*Source, error) {
	if len(k) < 10 || len(v) != 64 || len(k) != 10+int(k[9]) {
		return nil, errStored
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	return &Source{
		SourceID: SourceID{Node: string(k[10:]), Epoch: binary.BigEndian.Uint64(k[1:])},
		Lowest:   n(0), Whole: n(1), Highest: n(2), Beyond: n(3), forgotten: n(4),
		Since: timeOf(n(5)), Taken: timeOf(n(6)), Arrival: timeOf(n(7)),
	}, nil
}

// nanos and timeOf keep the zero time.
func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

func timeOf(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

func appendStretch(b []byte, st *stretch) []byte {
	b = binary.BigEndian.AppendUint64(b, st.Last)
	b = append(b, st.Hash[:]...)
	return binary.BigEndian.AppendUint64(b, nanos(st.taken))
}

func readStretch(k, v []byte) (st stretch, err error) {
	if len(k) < 8 || len(v) != 32 {
		return st, errStored
	}
	st.First = binary.BigEndian.Uint64(k[len(k)-8:])
	st.Last = binary.BigEndian.Uint64(v)
	copy(st.Hash[:], v[8:])
	st.taken = timeOf(binary.BigEndian.Uint64(v[24:]))
	return st, nil
}

func keysOf(v []byte) []accounting.Key {
	ks := make([]accounting.Key, 0, len(v)/16)
	for ; len(v) >= 16; v = v[16:] {
		ks = append(ks, accounting.Key(v))
	}
	return ks
}

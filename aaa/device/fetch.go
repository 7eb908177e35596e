package device

import (
	"context"
	"sync"
	"time"
)

// Waiter is told that a device has been looked up, well or not. The call comes
// from a goroutine of the table and must not block.
type Waiter interface{ PolicyReady(token uint64) }

const (
	batchKeys    = 64
	refreshRetry = 2 // seconds before a refresh is tried again
)

type waiter struct {
	w     Waiter
	token uint64
}

// flight is one device being fetched.
type flight struct {
	key      Key
	ident    []byte
	now      uint32 // the caller's clock, seconds
	deadline time.Time
	waiters  []waiter
	// settled: a change told about the device meanwhile, which the read may
	// not have seen. Guarded by Table.apply.
	settled bool
}

// flights are the devices being fetched and those queued for it.
type flights struct {
	mu      sync.Mutex // guards all below
	some    sync.Cond  // queue is not empty, or closed
	byKey   map[Key]*flight
	queue   []*flight // ring
	head, n int
	waiting int
	max     int // of waiting
	running bool
	free    []*flight
}

func (f *flights) init(inFlight, waiting int) {
	f.some.L = &f.mu
	f.byKey = make(map[Key]*flight, inFlight)
	f.queue = make([]*flight, inFlight)
	f.max = waiting
}

// add queues a device, or joins its flight. It needs the lock.
func (f *flights) add(k Key, ident []byte, now uint32, budget time.Duration) (fl *flight, joined bool) {
	if fl := f.byKey[k]; fl != nil {
		return fl, true
	}
	if len(f.byKey) >= len(f.queue) {
		return nil, false
	}
	if n := len(f.free); n > 0 {
		fl, f.free = f.free[n-1], f.free[:n-1]
	} else {
		fl = &flight{}
	}
	fl.key, fl.ident, fl.now, fl.settled = k, append(fl.ident[:0], ident...), now, false
	fl.deadline = time.Now().Add(budget)
	f.byKey[k] = fl
	f.queue[(f.head+f.n)%len(f.queue)] = fl
	f.n++
	f.some.Signal()
	return fl, false
}

// take waits for queued devices and moves up to batchKeys into b; none once
// the table stops. Whatever waits goes at once: batches grow only while all
// fetchers are busy.
func (f *flights) take(b []*flight) []*flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.n == 0 && f.running {
		f.some.Wait()
	}
	b = b[:0]
	for f.n > 0 && len(b) < batchKeys {
		b = append(b, f.queue[f.head])
		f.queue[f.head] = nil
		f.head = (f.head + 1) % len(f.queue)
		f.n--
	}
	return b
}

func (f *flights) start() {
	f.mu.Lock()
	f.running = true
	f.mu.Unlock()
}

func (f *flights) stop() {
	f.mu.Lock()
	f.running = false
	f.mu.Unlock()
	f.some.Broadcast()
}

// Fetch looks q's device up in the store; k is the Key that Decide gave. One
// read serves all who wait for a device. After true, w.PolicyReady(token) comes
// exactly once, within the miss budget and the time of one read; ask Decide
// again then. After false nothing comes: too much is in flight, the store is
// away, or Run has ended; set q.Waited and ask Decide for the realm's rule.
func (t *Table) Fetch(k Key, q *Query, w Waiter, token uint64) bool {
	var buf [identCap]byte
	ident, c := appendIdentity(buf[:0], q)
	if c == classNone || t.breaker.open() {
		return false
	}
	f := &t.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.running || f.waiting >= f.max {
		t.stats.fault(FaultOverload)
		return false
	}
	fl, joined := f.add(k, ident, seconds(q.Now), t.cfg.MissBudget)
	if fl == nil {
		t.stats.fault(FaultOverload)
		return false
	}
	if joined {
		t.stats.attached.Add(1)
	}
	fl.waiters = append(fl.waiters, waiter{w, token})
	f.waiting++
	return true
}

// refresh fetches a device that is being served already. It gives way: to a
// contended lock, because it runs on a shard, and to misses when half the room
// is taken.
func (t *Table) refresh(k Key, ident []byte, now uint32) {
	f := &t.flights
	if !f.mu.TryLock() {
		return
	}
	defer f.mu.Unlock()
	if f.running && len(f.byKey) < len(f.queue)/2 {
		f.add(k, ident, now, t.cfg.MissBudget)
	}
}

// source reads device values from the store. One belongs to one goroutine.
type source interface {
	// get reads names into out, one for one.
	get(ctx context.Context, names []string, out []reply) error
	ping(ctx context.Context) error
	// reset drops the connections: what they may still deliver is not trusted.
	reset()
	close()
}

// reply is one value, if there is one.
type reply struct {
	value string
	found bool
	large bool // there, but beyond maxValue
}

// fetcher is one goroutine that reads batches.
type fetcher struct {
	t     *Table
	src   source
	batch []*flight
	names []string
	out   [batchKeys]reply
	tell  []waiter
}

func (f *fetcher) run() {
	for {
		f.batch = f.t.flights.take(f.batch)
		if len(f.batch) == 0 {
			return
		}
		f.work()
	}
}

// work reads one batch and settles each of its flights.
func (f *fetcher) work() {
	t := f.t
	f.names = f.names[:0]
	epoch := t.epoch.Load()
	for _, fl := range f.batch {
		f.names = append(f.names, t.cfg.Redis.deviceKey(fl.ident, fl.key))
	}
	if !f.read() {
		for _, fl := range f.batch {
			f.settle(fl, result{absence: absentAway}, epoch)
		}
		return
	}
	for i, fl := range f.batch {
		f.settle(fl, t.judge(fl, f.out[i]), epoch)
	}
}

// read fills out, and reads a second time over a new connection when a value
// belonged to another key: a connection may be one reply behind, and then none
// of its values can be trusted.
func (f *fetcher) read() bool {
	t := f.t
	for try := 0; ; try++ {
		if t.breaker.open() {
			return false
		}
		deadline := f.batch[len(f.batch)-1].deadline
		left := time.Until(deadline)
		if left <= 0 {
			t.stats.fault(FaultOverload)
			return false
		}
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		err := f.src.get(ctx, f.names, f.out[:len(f.batch)])
		cancel()
		t.stats.fetches.Add(1)
		t.stats.fetched.Add(uint64(len(f.batch)))
		if err != nil {
			if fault := faultOf(err); fault == FaultTimeout && left < t.cfg.MissBudget/2 {
				t.stats.fault(fault) // the time was lost here, not by the store
			} else if t.failed(err) == FaultConnection {
				// The client would remember a refused connection for a
				// second after the store is back.
				f.src.reset()
			}
			return false
		}
		if try > 0 || !f.mismatch() {
			t.answered()
			return true
		}
		t.stats.fault(FaultMismatch)
		f.src.reset()
	}
}

func (f *fetcher) mismatch() bool {
	for i, fl := range f.batch {
		if !f.out[i].found {
			continue
		}
		name := f.t.cfg.Redis.identityName(fl.ident, fl.key)
		if _, fault, ok := decodeValue(f.out[i].value, name); !ok && fault == FaultMismatch {
			return true
		}
	}
	return false
}

// result is what a read says about one device.
type result struct {
	found   bool
	value   value
	absence absence
}

// judge turns a value into a result; whatever cannot be used is counted.
func (t *Table) judge(fl *flight, r reply) result {
	if r.large {
		t.stats.fault(FaultTooLarge)
		return result{absence: absentMalformed}
	}
	if !r.found {
		return result{absence: absentUnknown}
	}
	v, fault, ok := decodeValue(r.value, t.cfg.Redis.identityName(fl.ident, fl.key))
	if !ok {
		t.stats.fault(fault)
		return result{absence: absentMalformed}
	}
	return result{found: true, value: v}
}

// settle ends a flight: the result goes to the tables, then the waiters hear.
func (f *fetcher) settle(fl *flight, r result, epoch uint32) {
	t := f.t
	fs := &t.flights
	t.apply.Lock()
	if !fl.settled {
		t.store(fl.key, r, fl.now, epoch)
	}
	fs.mu.Lock()
	delete(fs.byKey, fl.key)
	f.tell = append(f.tell[:0], fl.waiters...)
	fs.waiting -= len(fl.waiters)
	clear(fl.waiters)
	fl.waiters = fl.waiters[:0]
	fs.free = append(fs.free, fl)
	fs.mu.Unlock()
	t.apply.Unlock()
	for _, w := range f.tell {
		w.w.PolicyReady(w.token)
	}
}

// store keeps a result. A refresh that failed leaves the entry as it is.
func (t *Table) store(k Key, r result, now, epoch uint32) {
	k0, k1 := k.words()
	d := t.state.Load().devices
	switch {
	case r.found:
		n, ok := t.profileNumber(r.value.profile)
		if !ok {
			t.absent.put(k0, k1, absentMalformed, now+malformedTTL)
			return
		}
		soft := uint32(t.cfg.SoftTTL / time.Second)
		soft = soft - soft/10 + uint32(k1>>32)%(soft/5+1)
		d.put(k0, k1, &ref{
			profile: n, flags: r.value.flags, version: r.value.version,
			soft: now + soft, hard: now + uint32(t.cfg.HardTTL/time.Second), epoch: epoch,
		}, now)
		if t.state.Load().profiles.at(n) == nil {
			t.wantProfiles()
		}
	case r.absence == absentUnknown:
		d.remove(k0, k1)
		t.absent.put(k0, k1, absentUnknown, now+unknownTTL+uint32(k1>>32)%unknownSpan)
	case r.absence == absentMalformed:
		t.absent.put(k0, k1, absentMalformed, now+malformedTTL)
	default:
		t.absent.put(k0, k1, absentAway, now+awayTTL)
	}
}

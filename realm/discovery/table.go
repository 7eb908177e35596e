package discovery

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/realm"
)

const (
	ways       = 8
	sets       = 2048
	mostOctets = 32 << 20 // of entries

	mostFlights = 128  // realms being looked up
	mostWaiting = 8192 // requests that wait for them
	mostASecond = 500  // look-ups for all clients
	usualRate   = 10   // for one, as realm.Discovery.Rate

	clientWaiting = 1024
	clientRealms  = ways * sets / 4 // that one client has caused to be kept

	second    = int64(time.Second)
	sweepTime = time.Second
)

// Waiter is told that a realm has been looked up, well or not. The call comes
// from a goroutine of the Table and must not block.
type Waiter interface{ PeersFound(token uint64) }

// Entry is what is known of a realm for a service. It is immutable but for when
// it was used.
type Entry[V any] struct {
	Result
	Realm   string
	Service Service
	By      *realm.Discovery
	Value   V     // of what was found, as the caller has made it
	Until   int64 // on the caller's clock

	hash  uint64
	began int64
	used  atomic.Int64
	owner *quota
	size  int
}

// Config is what a Table is made with.
type Config[V any] struct {
	// Discover looks a realm up. It may take as long as it needs.
	Discover func(ctx context.Context, name string, of *realm.Discovery, s Service) Result
	// Build makes the value of an entry out of targets; false: there is no room
	// for them. ttl is how long they hold.
	Build func(name string, of *realm.Discovery, s Service, res *Result, ttl time.Duration) (V, bool)
	// Learned is told of each look-up that has ended, and may be nil.
	Learned func(e *Entry[V], client string)
	// Now is a clock in nanoseconds, that of Lookup and Ask.
	Now func() int64
}

// Table keeps what was found, for event loops. Lookup needs no lock; Ask takes
// one that no packet of another realm waits for.
type Table[V any] struct {
	conf  Config[V]
	seed  maphash.Seed
	slots [sets][ways]atomic.Pointer[Entry[V]]
	count Counters

	mu       sync.Mutex                  // guards the rest
	profiles map[string]*realm.Discovery // of the configuration, nil: none was adopted
	same     func(a, b *realm.Discovery) bool
	flights  map[key]*flight
	clients  map[string]*quota
	all      pace
	waiting  int
	entries  int
	octets   int
	closed   bool
	queue    chan *flight
}

// Counters count what ended and what was not used.
type Counters struct {
	Lookups [causes]atomic.Uint64 // by Cause, those that were not begun included
	Blocked [blocks]atomic.Uint64
}

type key struct {
	profile string
	service Service
	realm   string
}

type waiter struct {
	w     Waiter
	token uint64
	owner *quota
}

// flight is one realm being looked up.
type flight struct {
	key
	of      *realm.Discovery
	client  string
	owner   *quota
	refresh bool
	waiters []waiter
}

// quota is what one client has caused. It needs the lock.
type quota struct {
	pace
	waiting, realms int
	found           int // of realms, those that have peers
}

// usualPeers is realm.Discovery.Peers where that says nothing.
const usualPeers = 256

// shareOf is how many realms with peers one client may have found, so that one
// whose devices invent realms, in zones of its own, leaves room to others.
func shareOf(of *realm.Discovery) int {
	n := of.Peers
	if n <= 0 {
		n = usualPeers
	}
	return max(n-n/4, 1)
}

// pace lets so many things a second pass (GCRA).
type pace struct{ at int64 }

func (p *pace) pass(now int64, rate int) bool {
	step := second / int64(rate)
	at := max(p.at, now-second) + step // a second's worth at once
	if at > now {
		return false
	}
	p.at = at
	return true
}

// NewTable returns an empty Table. Nothing is looked up before Run.
func NewTable[V any](conf Config[V]) *Table[V] {
	return &Table[V]{
		conf: conf, all: pace{at: conf.Now() - second}, seed: maphash.MakeSeed(),
		flights: map[key]*flight{}, clients: map[string]*quota{}, queue: make(chan *flight, mostFlights),
	}
}

// Counters returns the counts so far.
func (t *Table[V]) Counters() *Counters { return &t.count }

func (t *Table[V]) hash(profile string, s Service, name []byte) uint64 {
	return maphash.Bytes(t.seed, name) ^ maphash.String(t.seed, profile)*3 ^ uint64(s)<<7
}

// Lookup gives what is known of a folded realm now, nil: nothing, and Ask is to
// be called. hot: 0 allocs
func (t *Table[V]) Lookup(of *realm.Discovery, s Service, name []byte, now int64) *Entry[V] {
	e := t.find(of.Name, s, name)
	if e == nil || now >= e.Until {
		return nil
	}
	if now-e.used.Load() > second {
		e.used.Store(now)
	}
	return e
}

// Peek is Lookup for people: it is no use of what it gives.
func (t *Table[V]) Peek(of *realm.Discovery, s Service, name []byte, now int64) *Entry[V] {
	if e := t.find(of.Name, s, name); e != nil && now < e.Until {
		return e
	}
	return nil
}

func (t *Table[V]) find(profile string, s Service, name []byte) *Entry[V] {
	h := t.hash(profile, s, name)
	for i := range ways {
		e := t.slots[h%sets][i].Load()
		if e != nil && e.hash == h && e.Service == s && e.Realm == string(name) && e.By.Name == profile {
			return e
		}
	}
	return nil
}

// Ask has a realm looked up for a client. After OK, w.PeersFound(token) comes
// exactly once, unless Run ends: Lookup gives what was found then, and if it
// gives nothing there was no room for it. After any other Cause nothing comes.
func (t *Table[V]) Ask(client string, of *realm.Discovery, s Service, name []byte, w Waiter, token uint64) Cause {
	now := t.conf.Now()
	why, there := t.ask(client, of, s, name, waiter{w: w, token: token}, now)
	switch {
	case why != OK:
		t.count.Lookups[why].Add(1)
	case there:
		w.PeersFound(token)
	}
	return why
}

// ask begins to look a realm up or joins who does, unless it is there meanwhile.
func (t *Table[V]) ask(client string, of *realm.Discovery, s Service, name []byte, w waiter, now int64) (why Cause, there bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return Busy, false
	}
	if e := t.find(of.Name, s, name); e != nil && now < e.Until {
		return OK, true
	}
	q := t.clients[client]
	if q == nil {
		q = &quota{pace: pace{at: now - second}}
		t.clients[client] = q
	}
	w.owner = q
	switch {
	case t.waiting >= mostWaiting:
		return Busy, false
	case q.waiting >= clientWaiting:
		return OverQuota, false
	}
	k := key{of.Name, s, string(name)}
	f := t.flights[k]
	if f == nil {
		rate := of.Rate
		if rate <= 0 {
			rate = usualRate
		}
		switch {
		case len(t.flights) >= mostFlights:
			return Busy, false
		case q.realms >= clientRealms, !q.pass(now, rate):
			return OverQuota, false
		case !t.all.pass(now, mostASecond):
			return Busy, false
		}
		f = t.fly(k, of, client, q)
	}
	f.waiters = append(f.waiters, w)
	t.waiting++
	q.waiting++
	return OK, false
}

// fly begins to look a realm up. It needs the lock, and room in flights.
func (t *Table[V]) fly(k key, of *realm.Discovery, client string, q *quota) *flight {
	if known := t.profiles[of.Name]; known != nil {
		of = known // that of the newest configuration
	}
	f := &flight{key: k, of: of, client: client, owner: q}
	t.flights[k] = f
	t.queue <- f // it holds as many as there are flights
	return f
}

// Run looks realms up until ctx is done, and waits for what it has begun.
func (t *Table[V]) Run(ctx context.Context) {
	var looking sync.WaitGroup
	defer looking.Wait()
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			t.mu.Lock()
			t.closed = true
			t.mu.Unlock()
			return
		case f := <-t.queue:
			looking.Go(func() { t.look(ctx, f) })
		case <-tick.C:
			t.sweep(t.conf.Now())
		}
	}
}

// look ends a flight.
func (t *Table[V]) look(ctx context.Context, f *flight) {
	res := t.conf.Discover(ctx, f.realm, f.of, f.service)
	e := &Entry[V]{Result: res, Realm: f.realm, Service: f.service, By: f.of, owner: f.owner}
	t.build(e)
	t.count.Lookups[e.Cause].Add(1)
	for b, n := range res.Blocks {
		if Block(b).counts() {
			t.count.Blocked[b].Add(uint64(n))
		}
	}
	if t.conf.Learned != nil {
		t.conf.Learned(e, f.client)
	}
	e.began = t.conf.Now()
	e.Until = e.began + int64(e.TTL)
	t.mu.Lock()
	for t.overtaken(e) {
		t.mu.Unlock()
		t.build(e)
		t.mu.Lock()
	}
	// What is in use stays until its TTL ends, whatever a look-up before that
	// says: it may succeed the next time.
	if (!f.refresh || e.Cause == OK) && (t.profiles == nil || t.profiles[e.By.Name] == e.By) {
		t.keep(e)
	}
	delete(t.flights, f.key)
	for _, w := range f.waiters {
		w.owner.waiting--
	}
	t.waiting -= len(f.waiters)
	t.mu.Unlock()
	for _, w := range f.waiters {
		w.w.PeersFound(w.token)
	}
}

// build makes the value of what was found.
func (t *Table[V]) build(e *Entry[V]) {
	e.size = size(e)
	if e.Cause != OK {
		return
	}
	t.mu.Lock()
	room := t.octets+e.size <= mostOctets
	if old := t.find(e.By.Name, e.Service, []byte(e.Realm)); old == nil || old.Cause != OK {
		room = room && e.owner.found < shareOf(e.By)
	}
	t.mu.Unlock()
	if room {
		e.Value, room = t.conf.Build(e.Realm, e.By, e.Service, &e.Result, e.TTL)
	}
	if !room {
		e.Result = Result{Cause: NoRoom, TTL: FailedTime, Name: e.Name}
		e.size = size(e)
	}
}

// overtaken says whether another configuration has come while the realm was
// looked up, that wants the same: the entry is its own from now on. It needs the
// lock.
func (t *Table[V]) overtaken(e *Entry[V]) bool {
	now := t.profiles[e.By.Name]
	if now == nil || now == e.By || !t.same(now, e.By) {
		return false
	}
	e.By = now
	return true
}

// size is about what an entry takes.
func size[V any](e *Entry[V]) int {
	n := 512 + len(e.Realm) + len(e.Name) + len(e.Why)
	for i := range e.Targets {
		n += 128 + len(e.Targets[i].Host) + len(e.Targets[i].Protocol)
	}
	return n
}

// keep puts an entry into its set: in the place of what was known of it, into
// an empty one, or of the one that is missed least. It needs the lock.
func (t *Table[V]) keep(e *Entry[V]) {
	e.hash = t.hash(e.By.Name, e.Service, []byte(e.Realm))
	set := &t.slots[e.hash%sets]
	at, least := -1, int64(0)
	for i := range set {
		old := set[i].Load()
		switch {
		case old == nil:
			if at < 0 || least > -1<<62 {
				at, least = i, -1<<62
			}
			continue
		case old.hash == e.hash && old.Realm == e.Realm && old.Service == e.Service && old.By.Name == e.By.Name:
			t.put(&set[i], e)
			return
		}
		worth := old.Until // what ends soonest, and what was found last
		if old.Cause == OK {
			worth += int64(forever)
		}
		if at < 0 || worth < least {
			at, least = i, worth
		}
	}
	t.put(&set[at], e)
}

// put replaces what stands in a place, by nothing where e is nil. It needs the
// lock.
func (t *Table[V]) put(place *atomic.Pointer[Entry[V]], e *Entry[V]) {
	if old := place.Load(); old != nil {
		t.entries--
		t.octets -= old.size
		old.owner.realms--
		if old.Cause == OK {
			old.owner.found--
		}
	}
	if e != nil {
		t.entries++
		t.octets += e.size
		e.owner.realms++
		if e.Cause == OK {
			e.owner.found++
		}
	}
	place.Store(e)
}

// each calls f for every place that is taken. It needs the lock.
func (t *Table[V]) each(f func(place *atomic.Pointer[Entry[V]], e *Entry[V])) {
	for s := range t.slots {
		for i := range t.slots[s] {
			if e := t.slots[s][i].Load(); e != nil {
				f(&t.slots[s][i], e)
			}
		}
	}
}

// sweep drops what has ended, and has looked up again what is in use and will
// end soon.
func (t *Table[V]) sweep(now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.each(func(place *atomic.Pointer[Entry[V]], e *Entry[V]) {
		switch {
		case now >= e.Until:
			t.put(place, nil)
		case e.Cause != OK || e.used.Load() <= e.began:
		case e.Until-now > int64(e.TTL)/5:
		default:
			t.refresh(e)
		}
	})
	for name, q := range t.clients {
		if q.waiting == 0 && q.realms == 0 && q.at < now-second {
			delete(t.clients, name)
		}
	}
}

// refresh looks a realm up again, unless those that nothing is known of need the
// room.
func (t *Table[V]) refresh(e *Entry[V]) {
	k := key{e.By.Name, e.Service, e.Realm}
	if t.flights[k] != nil || len(t.flights) >= mostFlights/2 {
		return
	}
	t.fly(k, e.By, "", e.owner).refresh = true
}

// Adopt takes the discoveries of another configuration over: what was found by
// one that is the same still holds, built anew, and the rest is forgotten.
func (t *Table[V]) Adopt(all []*realm.Discovery, same func(a, b *realm.Discovery) bool) {
	type held struct {
		place *atomic.Pointer[Entry[V]]
		e     *Entry[V]
	}
	var stay []held
	t.mu.Lock()
	t.profiles, t.same = make(map[string]*realm.Discovery, len(all)), same
	for _, d := range all {
		t.profiles[d.Name] = d
	}
	now := t.conf.Now()
	t.each(func(place *atomic.Pointer[Entry[V]], e *Entry[V]) {
		if of := t.profiles[e.By.Name]; of == nil || !same(of, e.By) {
			t.put(place, nil)
		} else if of != e.By {
			stay = append(stay, held{place, e})
		}
	})
	t.mu.Unlock()
	for _, h := range stay {
		old := h.e
		next := &Entry[V]{
			Result: old.Result, Realm: old.Realm, Service: old.Service, By: old.By, Until: old.Until,
			hash: old.hash, began: old.began, owner: old.owner, size: old.size,
		}
		next.used.Store(old.used.Load())
		t.mu.Lock()
		ours := t.overtaken(next)
		t.mu.Unlock()
		if !ours || now >= old.Until {
			continue
		}
		room := true
		if old.Cause == OK {
			next.Value, room = t.conf.Build(old.Realm, next.By, old.Service, &next.Result, time.Duration(old.Until-now))
		}
		t.mu.Lock()
		switch {
		case h.place.Load() != old:
		case room:
			t.put(h.place, next)
		default:
			t.put(h.place, nil)
		}
		t.mu.Unlock()
	}
}

// Entries gives all that is known, for people.
func (t *Table[V]) Entries() (all []*Entry[V]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.each(func(_ *atomic.Pointer[Entry[V]], e *Entry[V]) { all = append(all, e) })
	return all
}

// Level is how many realms are known, found, and being looked up.
func (t *Table[V]) Level() (entries, octets, flights int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.entries, t.octets, len(t.flights)
}

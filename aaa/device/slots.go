package device

import (
	"sync"
	"sync/atomic"
)

// A table of devices: segments of open-addressing slots, five words each. The
// words hold no pointers, so ten million devices cost the collector nothing,
// and they are atomic, so shards read without a lock while one writer per
// segment writes.
const (
	segments   = 256
	slotWords  = 5
	firstSlots = 16
)

// Words of a slot. The key is written once, at the end of an insert; the
// others change under the segment's lock.
const (
	wKey0    = iota // 0: empty
	wKey1           // the other half of the key
	wProfile        // profile 24 | flags 8 | version 32
	wExpiry         // soft 32 | hard 32, seconds; hard 0: deleted
	wEpoch          // epoch 32 | refresh not before 32, seconds
)

const (
	flagBlocked uint8 = 1 << iota
	flagPinned        // from a file: never expires
)

const never = ^uint32(0)

// ref is the 24-octet reference a device maps to.
type ref struct {
	profile    uint32 // 24 bits
	flags      uint8
	version    uint32
	soft, hard uint32 // seconds
	epoch      uint32
	retry      uint32 // seconds: no refresh before
}

func (r *ref) profileWord() uint64 {
	return uint64(r.profile)<<40 | uint64(r.flags)<<32 | uint64(r.version)
}

type slots struct {
	w    []atomic.Uint64
	mask uint64
}

func newSlots(n int) *slots {
	return &slots{w: make([]atomic.Uint64, n*slotWords), mask: uint64(n - 1)}
}

// find gives the offset of the key's slot, or of the empty one where the probe
// ended. A table is never full, so it ends.
func (s *slots) find(k0, k1 uint64) (off uint64, ok bool) {
	for i := k0 & s.mask; ; i = (i + 1) & s.mask {
		off = i * slotWords
		switch s.w[off+wKey0].Load() {
		case 0:
			return off, false
		case k0:
			if s.w[off+wKey1].Load() == k1 {
				return off, true
			}
		}
	}
}

// read takes the expiry first: a writer stores it last, so a slot that is
// alive shows the reference that made it so.
func (s *slots) read(off uint64) (r ref) {
	e := s.w[off+wExpiry].Load()
	p, g := s.w[off+wProfile].Load(), s.w[off+wEpoch].Load()
	return ref{
		profile: uint32(p >> 40), flags: uint8(p >> 32), version: uint32(p),
		soft: uint32(e >> 32), hard: uint32(e), epoch: uint32(g >> 32), retry: uint32(g),
	}
}

func (s *slots) write(off uint64, r *ref) {
	s.w[off+wProfile].Store(r.profileWord())
	s.w[off+wEpoch].Store(uint64(r.epoch)<<32 | uint64(r.retry))
	s.w[off+wExpiry].Store(uint64(r.soft)<<32 | uint64(r.hard))
}

// claim lets one of many readers refresh a slot, and none again before until.
func (s *slots) claim(off uint64, now, until uint32) bool {
	w := &s.w[off+wEpoch]
	old := w.Load()
	return uint32(old) <= now && w.CompareAndSwap(old, old&^0xffffffff|uint64(until))
}

type segment struct {
	cur  atomic.Pointer[slots]
	mu   sync.Mutex // guards all writing and the fields below
	used int        // slots with a key, dead or alive
	turn uint64     // which eighth goes next when the segment is full
}

// devices is the table of all devices known in this process.
type devices struct {
	seg     [segments]segment
	max     int // slots alive per segment
	entries atomic.Int64
	evicted atomic.Uint64
}

// newDevices makes a table for at most limit devices.
func newDevices(limit int) *devices {
	d := &devices{max: max(firstSlots, limit/segments+limit/segments/8)}
	for i := range d.seg {
		d.seg[i].cur.Store(newSlots(firstSlots))
	}
	return d
}

// reserve makes room for n devices in a table that nobody uses yet.
func (d *devices) reserve(n int) {
	size := firstSlots
	for size*3 < n/segments*4+n/segments/8*4 && size < d.max*2 {
		size *= 2
	}
	for i := range d.seg {
		d.seg[i].cur.Store(newSlots(size))
	}
}

// find looks a device up. hot: 0 allocs
func (d *devices) find(k0, k1 uint64) (r ref, s *slots, off uint64, ok bool) {
	s = d.seg[k0>>56].cur.Load()
	if off, ok = s.find(k0, k1); !ok {
		return ref{}, nil, 0, false
	}
	r = s.read(off)
	return r, s, off, r.hard != 0
}

// put stores a device; now says which others have expired.
func (d *devices) put(k0, k1 uint64, r *ref, now uint32) {
	g := &d.seg[k0>>56]
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.cur.Load()
	off, ok := s.find(k0, k1)
	if !ok && (g.used >= d.max || (g.used+1)*4 > int(s.mask+1)*3) {
		s = d.rebuild(g, s, now)
		off, _ = s.find(k0, k1)
	}
	if ok && s.read(off).hard != 0 {
		s.write(off, r)
		return
	}
	s.write(off, r)
	d.entries.Add(1)
	if !ok {
		g.used++
		s.w[off+wKey1].Store(k1)
		s.w[off+wKey0].Store(k0)
	}
}

// update changes what a known device refers to and keeps its expiry. It says
// whether the device was known.
func (d *devices) update(k0, k1 uint64, profile uint32, flags uint8, version, epoch uint32) bool {
	g := &d.seg[k0>>56]
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.cur.Load()
	off, ok := s.find(k0, k1)
	if !ok {
		return false
	}
	r := s.read(off)
	if r.hard == 0 {
		return false
	}
	r.profile, r.flags, r.version, r.epoch, r.retry = profile, flags, version, epoch, 0
	s.write(off, &r)
	return true
}

func (d *devices) remove(k0, k1 uint64) {
	g := &d.seg[k0>>56]
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.cur.Load()
	if off, ok := s.find(k0, k1); ok && uint32(s.w[off+wExpiry].Swap(0)) != 0 {
		d.entries.Add(-1)
	}
}

// rebuild copies the living into new slots and swaps them in. A full segment
// loses an eighth, chosen by key: they come back by a fetch.
func (d *devices) rebuild(g *segment, old *slots, now uint32) *slots {
	type kept struct {
		k0, k1 uint64
		off    uint64
	}
	alive := make([]kept, 0, g.used)
	for off := uint64(0); off < uint64(len(old.w)); off += slotWords {
		k0, hard := old.w[off+wKey0].Load(), uint32(old.w[off+wExpiry].Load())
		if k0 == 0 || hard == 0 {
			continue
		}
		if hard <= now {
			d.entries.Add(-1)
			continue
		}
		alive = append(alive, kept{k0, old.w[off+wKey1].Load(), off})
	}
	full := len(alive) >= d.max
	n := firstSlots
	for n*3 < len(alive)*8 && !full || n*3 < len(alive)*5 {
		n *= 2
	}
	s := newSlots(n)
	g.used = 0
	for _, e := range alive {
		if full && e.k1>>61 == g.turn&7 {
			d.entries.Add(-1)
			d.evicted.Add(1)
			continue
		}
		off, _ := s.find(e.k0, e.k1)
		for w := range uint64(slotWords) {
			s.w[off+w].Store(old.w[e.off+w].Load())
		}
		g.used++
	}
	if full {
		g.turn++
	}
	g.cur.Store(s)
	return s
}

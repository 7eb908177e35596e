package device

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Config sizes a Table. The zero value is an embedded table with the defaults.
type Config struct {
	// Redis names the policy store. nil: policies come from File and Load.
	Redis *Redis
	// File is what an embedded table starts with. nil: it knows no device.
	File *File
	// MissBudget is what a miss may wait for the store, 5 ms.
	MissBudget time.Duration
	// SoftTTL is how long an entry is good without asking again, 5 minutes.
	// Entries are spread by a tenth of it.
	SoftTTL time.Duration
	// HardTTL is how long an entry is served while the store is away, 24 hours.
	HardTTL time.Duration
	// MaxDevices bounds the devices in memory, 16 Mi; 54 to 107 octets each.
	MaxDevices int
	// MaxAbsent bounds the absences remembered, 128 Ki; 24 octets each.
	MaxAbsent int
	// MaxAttempts bounds the attempt counters, 256 Ki; 8 octets each.
	MaxAttempts int
	// MaxVolumes bounds the volume counters, 64 Ki; 40 octets each.
	MaxVolumes int
	// MaxHistories bounds the devices whose signalling and stays are kept, 64 Ki; 56
	// octets each.
	MaxHistories int
	// MaxInFlight bounds the devices being fetched, 8192, and MaxWaiting the
	// callers that wait for them, 64 Ki.
	MaxInFlight, MaxWaiting int
	// Fetchers is how many batches may be under way at once, 4.
	Fetchers int
	// Logger gets state changes. nil: none.
	Logger *zap.Logger
}

func (c *Config) defaults() {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	setTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	setTime(&c.MissBudget, 5*time.Millisecond)
	setTime(&c.SoftTTL, 5*time.Minute)
	setTime(&c.HardTTL, 24*time.Hour)
	set(&c.MaxDevices, 16<<20)
	set(&c.MaxAbsent, 128<<10)
	set(&c.MaxAttempts, 256<<10)
	set(&c.MaxVolumes, 64<<10)
	set(&c.MaxHistories, 64<<10)
	set(&c.MaxInFlight, 8192)
	set(&c.MaxWaiting, 64<<10)
	set(&c.Fetchers, 4)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
}

// Table decides about devices. Make it with New; one serves the whole process.
type Table struct {
	cfg       Config
	hash      hasher
	state     atomic.Pointer[state]
	epoch     atomic.Uint32 // entries of an earlier epoch are in doubt
	absent    *negative
	attempts  *attempts
	volumes   *volumes
	histories *histories
	breaker   breaker
	flights   flights
	stats     stats
	mu        sync.Mutex // guards replacing state; last in the lock order
	// apply orders what reads and changes say about a device. Lock order:
	// apply, flights.mu, a segment's mu, mu. Shards take flights.mu only.
	apply  sync.Mutex
	reload chan struct{}
	ready  atomic.Bool
}

// state is what a reload replaces as a whole.
type state struct {
	devices  *devices
	profiles *profileSet
}

// profileSet maps the profile numbers in the table to profiles. It is
// immutable. A number stays the same name for the life of a state; a name that
// devices refer to and the store does not have is nil.
type profileSet struct {
	list   []*Profile
	number map[string]uint32
}

const maxProfiles = 1 << 16

func (s *profileSet) at(n uint32) *Profile {
	if int(n) >= len(s.list) {
		return nil
	}
	return s.list[n]
}

// New makes a table. With Redis, whose Check the caller has seen pass, it
// answers nothing until Run.
func New(c Config) *Table {
	c.defaults()
	t := &Table{
		cfg: c, hash: newHasher(c.Redis), absent: newNegative(c.MaxAbsent),
		attempts: newAttempts(c.MaxAttempts), volumes: newVolumes(c.MaxVolumes),
		histories: newHistories(c.MaxHistories),
		reload:    make(chan struct{}, 1),
	}
	t.epoch.Store(1)
	t.state.Store(&state{devices: newDevices(c.MaxDevices), profiles: &profileSet{}})
	t.flights.init(c.MaxInFlight, c.MaxWaiting)
	t.breaker.init()
	if c.Redis == nil && c.File != nil {
		t.Load(c.File)
		t.cfg.File = nil // what stands in the table need not stand twice
	}
	return t
}

// newHasher takes the key of the store's names where they are hashed, so that
// a name in the change stream is a key here, and random octets otherwise.
func newHasher(r *Redis) hasher {
	if r != nil && len(r.NameKey) > 0 {
		return namesHasher(r.NameKey)
	}
	var seed [16]byte
	// crypto/rand.Read never fails since Go 1.24.
	_, _ = rand.Read(seed[:])
	return hasher{binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])}
}

func namesHasher(key []byte) hasher {
	sum := sha256.Sum256(append([]byte("roamgate policy names\x00"), key...))
	return hasher{binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])}
}

// Ready says whether profiles have been read once.
func (t *Table) Ready() bool { return t.ready.Load() }

// Usage takes the octets that accounting reports for a session of a device,
// both directions, cumulative since the session's start; session is a hash of
// the session's identity, wall unix seconds. Only devices whose profile has a
// daily volume are counted. hot: 0 allocs
func (t *Table) Usage(k Key, session, octets uint64, wall int64) {
	st := t.state.Load()
	k0, k1 := k.words()
	r, _, _, ok := st.devices.find(k0, k1)
	if !ok {
		return
	}
	if p := st.profiles.at(r.profile); p != nil && p.DailyVolume > 0 {
		t.volumes.add(k0, k1, session, octets, wall)
	}
}

// setProfiles replaces some profiles, or all of them: those not in m are gone
// then. nil in m removes.
func (t *Table) setProfiles(m map[string]*Profile, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.state.Load()
	next := old.profiles.clone()
	if all {
		clear(next.list)
	}
	for name, p := range m {
		if n, ok := next.intern(name); ok {
			next.list[n] = p
			continue
		}
		t.stats.fault(FaultProfileLimit)
	}
	t.state.Store(&state{devices: old.devices, profiles: next})
	t.countProfiles(next)
}

// profileNumber gives the number of a name, a new one where needed.
func (t *Table) profileNumber(name string) (uint32, bool) {
	if n, ok := t.state.Load().profiles.number[name]; ok {
		return n, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.state.Load()
	next := old.profiles.clone()
	n, ok := next.intern(name)
	if !ok {
		t.stats.fault(FaultProfileLimit)
		return 0, false
	}
	t.state.Store(&state{devices: old.devices, profiles: next})
	return n, true
}

func (t *Table) countProfiles(s *profileSet) {
	n := int64(0)
	for _, p := range s.list {
		if p != nil {
			n++
		}
	}
	t.stats.profiles.Store(n)
}

func (s *profileSet) clone() *profileSet {
	c := &profileSet{list: append([]*Profile(nil), s.list...), number: make(map[string]uint32, len(s.number)+1)}
	for k, v := range s.number {
		c.number[k] = v
	}
	return c
}

// intern gives a name its number. s is not yet published.
func (s *profileSet) intern(name string) (uint32, bool) {
	if n, ok := s.number[name]; ok {
		return n, true
	}
	if len(s.list) >= maxProfiles {
		return 0, false
	}
	if s.number == nil {
		s.number = make(map[string]uint32)
	}
	n := uint32(len(s.list))
	s.list = append(s.list, nil)
	s.number[name] = n
	return n, true
}

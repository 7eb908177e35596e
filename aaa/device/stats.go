package device

import "sync/atomic"

// Source is where Decide found what it knows of a device.
type Source uint8

// The sources of a lookup.
const (
	SourceFresh    Source = iota // in memory
	SourceStale                  // in memory, past its time: served, and refreshed
	SourceNegative               // remembered to be absent
	SourceMiss                   // not in memory
	numSources
)

var sources = [numSources]string{"fresh", "stale", "negative", "miss"}

// String is the counter label of s.
func (s Source) String() string {
	if s < numSources {
		return sources[s]
	}
	return "unknown"
}

// Fault is what was wrong with the store or a value of it. The set is closed.
type Fault uint8

// The faults.
const (
	FaultTimeout      Fault = iota // no answer within the budget
	FaultConnection                // no connection, or it broke
	FaultServer                    // an error reply: LOADING, READONLY, NOAUTH, MOVED, ...
	FaultMismatch                  // a value that belongs to another key
	FaultEmpty                     // a value of no octets
	FaultTruncated                 // a value that ends early
	FaultVersion                   // a value of a schema this program does not know
	FaultTooLarge                  // a value or a reply beyond its limit
	FaultMalformed                 // a value that is no policy
	FaultWrongType                 // a key that holds no string
	FaultGap                       // the change stream lost entries we had not seen
	FaultOverload                  // too many misses in flight
	FaultProfileLimit              // more profile names than the table holds
	numFaults
)

var faults = [numFaults]string{
	"timeout", "connection", "server", "mismatch", "empty", "truncated", "version", "too_large",
	"malformed", "wrong_type", "gap", "overload", "profile_limit",
}

// String is the counter label of f.
func (f Fault) String() string {
	if f < numFaults {
		return faults[f]
	}
	return "unknown"
}

const statStripes = 16

// hotStats is written by Decide. It is spread by the device's key so that
// shards seldom write one cache line.
type hotStats struct {
	decisions [NumReasons]atomic.Uint64
	lookups   [numSources]atomic.Uint64
	stale     atomic.Uint64
	_         [64]byte
}

// stats counts for the life of a Table.
type stats struct {
	hot        [statStripes]hotStats
	faults     [numFaults]atomic.Uint64
	fetches    atomic.Uint64 // MGETs sent
	fetched    atomic.Uint64 // keys asked for
	attached   atomic.Uint64 // misses that joined a fetch under way
	changes    atomic.Uint64
	changeLag  atomic.Int64 // milliseconds, of the last change
	redisUp    atomic.Bool
	profiles   atomic.Int64
	epochs     atomic.Uint64
	reconnects atomic.Uint64
	long       atomic.Uint64
}

func (s *stats) fault(f Fault) { s.faults[f].Add(1) }

// Series is one figure of a Table for the program's metrics.
type Series struct {
	Name    string // roamgate_policy_..., counters end in _total
	Help    string
	Labels  []string // key, value, ...
	Counter bool     // else a gauge
	Value   func() float64
}

// Series lists everything the table counts. Value may be called at any time
// from any goroutine. Register the list once.
func (t *Table) Series() []Series {
	var list []Series
	add := func(counter bool, name, help string, value func() float64, labels ...string) {
		list = append(list, Series{"roamgate_policy_" + name, help, labels, counter, value})
	}
	for r := range NumReasons {
		add(true, "decisions_total", "Device policy decisions by reason.",
			func() float64 { return float64(t.Decisions(r)) }, "reason", r.String())
	}
	for s := range numSources {
		add(true, "lookups_total", "Device lookups by where the answer was found.",
			func() float64 { return float64(t.Lookups(s)) }, "source", s.String())
	}
	for f := range numFaults {
		add(true, "faults_total", "Faults of the policy store and of its values.",
			func() float64 { return float64(t.Faults(f)) }, "fault", f.String())
	}
	count := func(name, help string, v *atomic.Uint64) {
		add(true, name, help, func() float64 { return float64(v.Load()) })
	}
	st := &t.stats
	add(true, "stale_served_total", "Decisions on a policy that could not be confirmed in time.",
		func() float64 { return float64(t.StaleServed()) })
	count("fetches_total", "Batched reads sent to the policy store.", &st.fetches)
	count("fetched_keys_total", "Devices asked for in batched reads.", &st.fetched)
	count("fetch_attached_total", "Misses that joined a read under way.", &st.attached)
	count("changes_total", "Entries applied from the change stream.", &st.changes)
	count("long_roaming_total", "Devices let in that roam for longer than their profile warns of.", &st.long)
	count("epochs_total", "Times the whole cache was put in doubt.", &st.epochs)
	count("attempt_evictions_total", "Attempt counters given up for lack of room.", &t.attempts.lost)
	add(false, "devices", "Devices in memory.", func() float64 { return float64(t.Len()) })
	add(false, "profiles", "Profiles in memory.", func() float64 { return float64(st.profiles.Load()) })
	add(false, "redis_up", "1 while the policy store answers.", func() float64 { return boolean(st.redisUp.Load()) })
	add(false, "breaker_open", "1 while misses are not sent to the policy store.",
		func() float64 { return boolean(t.breaker.open()) })
	add(false, "change_lag_seconds", "Age of the last change when it was applied.",
		func() float64 { return float64(st.changeLag.Load()) / 1000 })
	return list
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Decisions counts the decisions with a reason.
func (t *Table) Decisions(r Reason) (n uint64) {
	for i := range t.stats.hot {
		n += t.stats.hot[i].decisions[r].Load()
	}
	return n
}

// Lookups counts the lookups answered from a source.
func (t *Table) Lookups(s Source) (n uint64) {
	for i := range t.stats.hot {
		n += t.stats.hot[i].lookups[s].Load()
	}
	return n
}

// StaleServed counts decisions marked Stale.
func (t *Table) StaleServed() (n uint64) {
	for i := range t.stats.hot {
		n += t.stats.hot[i].stale.Load()
	}
	return n
}

// Faults counts the faults of a kind.
func (t *Table) Faults(f Fault) uint64 { return t.stats.faults[f].Load() }

// RedisUp says whether the policy store answered last.
func (t *Table) RedisUp() bool { return t.stats.redisUp.Load() }

// Len counts the devices in memory.
func (t *Table) Len() int { return int(t.state.Load().devices.entries.Load()) }

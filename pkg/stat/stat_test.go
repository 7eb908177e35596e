package stat

import (
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	reqs     = "roamgate_requests_total"
	reqsHelp = "Requests received."
	lat      = "roamgate_home_response_seconds"
	latHelp  = "Time until a home answered."
)

func TestCounter(t *testing.T) {
	r := NewRegistry()
	a := r.Counter(reqs, reqsHelp, "client", "a", "kind", "auth")
	b := r.Counter(reqs, reqsHelp, "client", "b", "kind", "auth")
	assert.NotEqual(t, a, b)
	assert.Equal(t, a, r.Counter(reqs, reqsHelp, "kind", "auth", "client", "a"), "the order of labels does not matter")

	s1, s2 := r.Shard(), r.Shard()
	s1.Add(a, 2)
	s2.Add(a, 3)
	s2.Add(b, 10)
	assert.Zero(t, r.Value(reqs), "nothing is published yet")
	s1.Publish()
	assert.EqualValues(t, 2, r.Value(reqs))
	s2.Publish()
	assert.EqualValues(t, 5, r.Value(reqs, "client", "a", "kind", "auth"))
	assert.EqualValues(t, 15, r.Value(reqs, "kind", "auth"))
	assert.Zero(t, r.Value(reqs, "kind", "acct"))
	assert.Zero(t, r.Value("roamgate_nothing_total"))
	s1.Add(0, 99)
	s1.Publish()
	assert.EqualValues(t, 15, r.Value(reqs), "the zero ID counts nothing")
}

// A reload registers while shards run; what they count before their next
// Publish must not be lost.
func TestLateSeries(t *testing.T) {
	r := NewRegistry()
	s := r.Shard()
	for i := range 3 * chunkWords {
		id := r.Counter(reqs, reqsHelp, "client", fmt.Sprint(i))
		s.Add(id, 1)
	}
	h := r.Histogram(lat, latHelp, LatencyBounds)
	s.Observe(h, 1)
	s.Publish()
	assert.EqualValues(t, 3*chunkWords, r.Value(reqs))
	assert.EqualValues(t, 1, r.Value(reqs, "client", "2999"))
	assert.EqualValues(t, 1, r.Value(lat))
}

func TestHistogram(t *testing.T) {
	tests := []struct {
		name   string
		ns     int64
		bucket int
	}{
		{"negative", -5, 0},
		{"zero", 0, 0},
		{"on the first bound", 500_000, 0},
		{"above it", 500_001, 1},
		{"millisecond", 1_000_000, 1},
		{"on the last bound", 30e9, 14},
		{"above all", 30e9 + 1, 15},
		{"endless", math.MaxInt64 / 2, 15},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewRegistry()
			s := r.Shard()
			s.Observe(r.Histogram(lat, latHelp, LatencyBounds, "home", "h"), tt.ns)
			s.Publish()
			r.AtomicHistogram("roamgate_fsync_seconds", "Time of a sync.", LatencyBounds).Observe(tt.ns)
			for _, m := range r.samples("", nil) {
				for i, n := range m.buckets {
					assert.Equal(t, i >= tt.bucket, n == 1, "%s bucket %d", m.Name, i)
				}
				assert.InDelta(t, float64(max(tt.ns, 0))/1e9, m.sum, 1e-9*float64(max(tt.ns, 1)))
				assert.EqualValues(t, 1, m.value)
			}
		})
	}
}

func TestHistogramOfPlainNumbers(t *testing.T) {
	r := NewRegistry()
	s := r.Shard()
	id := r.Histogram("roamgate_group_records", "Records per sync.", []float64{1, 2, 4, 8})
	for _, n := range []int64{1, 2, 3, 100} {
		s.Observe(id, n)
	}
	s.Publish()
	m := r.samples("roamgate_group_records", nil)[0]
	assert.Equal(t, []uint64{1, 2, 3, 3, 4}, m.buckets)
	assert.EqualValues(t, 106, m.sum)
}

func TestQuantile(t *testing.T) {
	r := NewRegistry()
	s := r.Shard()
	assert.True(t, math.IsNaN(r.Quantile(lat, 0.5)))
	fast := r.Histogram(lat, latHelp, LatencyBounds, "home", "fast")
	slow := r.Histogram(lat, latHelp, LatencyBounds, "home", "slow")
	assert.True(t, math.IsNaN(r.Quantile(lat, 0.5)))
	for range 100 {
		s.Observe(fast, 1_500_000)
		s.Observe(slow, 60e9)
	}
	s.Publish()
	assert.InDelta(t, 0.0015, r.Quantile(lat, 0.5, "home", "fast"), 1e-9)
	assert.InDelta(t, 0.002, r.Quantile(lat, 0.5), 1e-9)
	assert.InDelta(t, 30, r.Quantile(lat, 0.99), 1e-9, "no more is known than the last bound")
	r.Counter(reqs, reqsHelp)
	assert.True(t, math.IsNaN(r.Quantile(reqs, 0.5)))
}

func TestAtomic(t *testing.T) {
	r := NewRegistry()
	c := r.Atomic(reqs, reqsHelp, "client", "a")
	s := r.Shard()
	s.Add(r.Counter(reqs, reqsHelp, "client", "a"), 1)
	s.Publish()
	c.Add(2)
	r.Atomic(reqs, reqsHelp, "client", "a").Add(3)
	assert.EqualValues(t, 6, r.Value(reqs))
}

func TestFuncs(t *testing.T) {
	r := NewRegistry()
	state := 1
	states := []string{"up", "degraded", "down"}
	r.StateSet("roamgate_home_state", "State of a home.", states, func() int { return state }, "home", "h")
	r.GaugeFunc("roamgate_inflight", "Exchanges in flight.", func() float64 { return 7 })
	r.CounterFunc("roamgate_udp_kernel_drops_total", "Datagrams dropped.", func() float64 { return 8 }, "listener", "l")
	assert.EqualValues(t, 7, r.Value("roamgate_inflight"))
	assert.EqualValues(t, 8, r.Value("roamgate_udp_kernel_drops_total"))
	assert.EqualValues(t, 1, r.Value("roamgate_home_state", "state", "degraded"))
	assert.EqualValues(t, 1, r.Value("roamgate_home_state"), "one state at a time")
	state = 2
	assert.Zero(t, r.Value("roamgate_home_state", "state", "degraded"))
	r.GaugeFunc("roamgate_inflight", "Exchanges in flight.", func() float64 { return 9 })
	assert.EqualValues(t, 9, r.Value("roamgate_inflight"), "a reload replaces the function")
}

func TestEachAndFamilies(t *testing.T) {
	r := NewRegistry()
	s := r.Shard()
	s.Add(r.Counter(reqs, reqsHelp, "client", "b"), 1)
	s.Add(r.Counter(reqs, reqsHelp, "client", "a"), 2)
	r.CounterSparse("roamgate_dropped_total", "Requests dropped.", "reason", "loop")
	r.GaugeFunc("roamgate_inflight", "Exchanges in flight.", func() float64 { return 7 })
	s.Observe(r.Histogram(lat, latHelp, []float64{1, 2}), 5)
	s.Publish()
	var got []string
	r.Each(func(name string, labels []string, kind Kind, value float64) {
		got = append(got, fmt.Sprint(name, labels, " ", kind, " ", value))
	})
	assert.Equal(t, []string{
		"roamgate_home_response_seconds[] histogram 1",
		"roamgate_inflight[] gauge 7",
		"roamgate_requests_total[client a] counter 2",
		"roamgate_requests_total[client b] counter 1",
	}, got)

	var names []string
	for _, f := range r.Families() {
		names = append(names, f.Name)
	}
	assert.Equal(t, []string{"roamgate_dropped_total", lat, "roamgate_inflight",
		"roamgate_metrics_folded_total", reqs}, names)
	assert.Equal(t, Family{Name: lat, Help: latHelp, Kind: KindHistogram, Labels: []string{}, Bounds: []float64{1, 2}},
		r.Families()[1])
}

// A family is there before its first series, which must be as was said.
func TestDeclared(t *testing.T) {
	r := NewRegistry()
	r.DeclareSparse(reqs, reqsHelp, "reason", "client")
	assert.Equal(t, Family{Name: reqs, Help: reqsHelp, Kind: KindCounter, Sparse: true, Labels: []string{"client", "reason"}}, r.Families()[1])
	assert.Zero(t, r.Lines())
	s := r.Shard()
	s.Add(r.CounterSparse(reqs, reqsHelp, "client", "a", "reason", "loop"), 1)
	s.Publish()
	assert.EqualValues(t, 1, r.Value(reqs))
	assert.Panics(t, func() { r.CounterSparse(reqs, reqsHelp, "client", "a") })
	assert.Panics(t, func() { r.DeclareSparse(reqs, "Other.", "reason", "client") })
}

func TestRegistrationMistakes(t *testing.T) {
	f := func() float64 { return 0 }
	tests := []struct {
		name string
		do   func(r *Registry)
	}{
		{"prefix", func(r *Registry) { r.Counter("requests_total", "h") }},
		{"upper case", func(r *Registry) { r.Counter("roamgate_Requests_total", "h") }},
		{"help", func(r *Registry) { r.Counter(reqs, " ") }},
		{"counter without total", func(r *Registry) { r.Counter("roamgate_requests", "h") }},
		{"gauge with total", func(r *Registry) { r.GaugeFunc("roamgate_requests_total", "h", f) }},
		{"label without value", func(r *Registry) { r.Counter(reqs, "h", "client") }},
		{"label twice", func(r *Registry) { r.Counter(reqs, "h", "client", "a", "client", "b") }},
		{"label name", func(r *Registry) { r.Counter(reqs, "h", "Client", "a") }},
		{"label le", func(r *Registry) { r.Histogram(lat, "h", LatencyBounds, "le", "a") }},
		{"no bounds", func(r *Registry) { r.Histogram(lat, "h", nil) }},
		{"bounds fall", func(r *Registry) { r.Histogram(lat, "h", []float64{2, 1}) }},
		{"bounds at zero", func(r *Registry) { r.Histogram(lat, "h", []float64{0, 1}) }},
		{"bounds not a number", func(r *Registry) { r.Histogram(lat, "h", []float64{1, math.NaN()}) }},
		{"too many bounds", func(r *Registry) {
			r.Histogram(lat, "h", prometheus.LinearBuckets(1, 1, maxBounds+1))
		}},
		{"other help", func(r *Registry) { r.Counter(reqs, "h"); r.Counter(reqs, "g") }},
		{"other labels", func(r *Registry) { r.Counter(reqs, "h"); r.Counter(reqs, "h", "client", "a") }},
		{"other bounds", func(r *Registry) { r.Histogram(lat, "h", []float64{1}); r.Histogram(lat, "h", []float64{2}) }},
		{"sparse and not", func(r *Registry) { r.Counter(reqs, "h"); r.CounterSparse(reqs, "h") }},
		{"function and count", func(r *Registry) { r.Counter(reqs, "h"); r.CounterFunc(reqs, "h", f) }},
		{"histogram ID added", func(r *Registry) { r.Shard().Add(r.Histogram(lat, "h", LatencyBounds), 1) }},
		{"counter ID observed", func(r *Registry) { r.Shard().Observe(r.Counter(reqs, "h"), 1) }},
		{"unknown ID added", func(r *Registry) { r.Shard().Add(5000, 1) }},
		{"unknown ID observed", func(r *Registry) { r.Shard().Observe(1<<slotBits|5000, 1) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Panics(t, func() { tt.do(NewRegistry()) })
		})
	}
}

func TestAllocsHot(t *testing.T) {
	r := NewRegistry()
	s := r.Shard()
	c := r.Counter(reqs, reqsHelp)
	h := r.Histogram(lat, latHelp, LatencyBounds)
	ac := r.Atomic("roamgate_spool_errors_total", "Errors.")
	ah := r.AtomicHistogram("roamgate_fsync_seconds", "Time of a sync.", LatencyBounds)
	s.Publish()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Add(c, 1)
		s.Observe(h, 5_000_000)
		s.Observe(0, 1)
		ac.Add(1)
		ah.Observe(5_000_000)
		s.Publish()
	}))
}

package stat

import (
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sampleRegistry has one of everything.
func sampleRegistry() (*Registry, *Shard) {
	r := NewRegistry()
	s := r.Shard()
	s.Add(r.Counter(reqs, reqsHelp, "kind", "auth", "client", "caf\xe9"), 3)
	s.Add(r.CounterSparse("roamgate_dropped_total", "Requests dropped.", "reason", "loop"), 1)
	r.CounterSparse("roamgate_dropped_total", "Requests dropped.", "reason", "never")
	h := r.Histogram(lat, latHelp, []float64{0.001, 0.5}, "home", "h")
	s.Observe(h, 400_000)
	s.Observe(h, 2_500_000)
	s.Observe(h, 2e9)
	r.HistogramSparse("roamgate_probe_seconds", "Time of a probe.", LatencyBounds, "home", "h")
	r.StateSet("roamgate_home_state", "State of a home.", []string{"up", "down"}, func() int { return 1 }, "home", "h")
	s.Publish()
	return r, s
}

const exposition = `
# HELP roamgate_dropped_total Requests dropped.
# TYPE roamgate_dropped_total counter
roamgate_dropped_total{reason="loop"} 1
# HELP roamgate_home_response_seconds Time until a home answered.
# TYPE roamgate_home_response_seconds histogram
roamgate_home_response_seconds_bucket{home="h",le="0.001"} 1
roamgate_home_response_seconds_bucket{home="h",le="0.5"} 2
roamgate_home_response_seconds_bucket{home="h",le="+Inf"} 3
roamgate_home_response_seconds_sum{home="h"} 2.0029
roamgate_home_response_seconds_count{home="h"} 3
# HELP roamgate_home_state State of a home.
# TYPE roamgate_home_state gauge
roamgate_home_state{home="h",state="down"} 1
roamgate_home_state{home="h",state="up"} 0
# HELP roamgate_requests_total Requests received.
# TYPE roamgate_requests_total counter
roamgate_requests_total{client="caf` + "\uFFFD" + `",kind="auth"} 3
`

func TestExposition(t *testing.T) {
	r, _ := sampleRegistry()
	require.NoError(t, testutil.CollectAndCompare(r, strings.NewReader(exposition)))
}

// A pedantic registry checks what a scrape only hopes for.
func TestPedantic(t *testing.T) {
	r, _ := sampleRegistry()
	p := prometheus.NewPedanticRegistry()
	require.NoError(t, p.Register(r))
	r.Counter("roamgate_late_total", "Registered after the collector.")
	families, err := p.Gather()
	require.NoError(t, err)
	assert.Len(t, families, 5)
}

func TestLint(t *testing.T) {
	r, _ := sampleRegistry()
	problems, err := testutil.CollectAndLint(r)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

// Functions may look into the registry they are registered in.
func TestFuncUsesRegistry(t *testing.T) {
	r, _ := sampleRegistry()
	r.GaugeFunc("roamgate_series", "Lines.", func() float64 {
		r.Counter(reqs, reqsHelp, "kind", "acct", "client", "new")
		return float64(r.Lines())
	})
	_, err := testutil.CollectAndLint(r)
	require.NoError(t, err)
}

// Writers, a reload and scrapes at once, for the race detector; in the end
// nothing is lost and counters never went back.
func TestConcurrent(t *testing.T) {
	const shards, rounds, perRound = 3, 100, 50
	r := NewRegistry()
	ids := []ID{r.Counter(reqs, reqsHelp, "client", "a"), r.Counter(reqs, reqsHelp, "client", "b")}
	h := r.Histogram(lat, latHelp, LatencyBounds)
	at := r.Atomic("roamgate_spool_errors_total", "Errors.")
	ah := r.AtomicHistogram("roamgate_fsync_seconds", "Time of a sync.", LatencyBounds)
	var writers, others sync.WaitGroup
	stop := make(chan struct{})
	for range shards {
		writers.Go(func() {
			s := r.Shard()
			for i := range rounds {
				own := r.Counter("roamgate_reload_events_total", "Events.", "round", string(rune('a'+i%26)))
				for range perRound {
					s.Add(ids[i%2], 1)
					s.Add(own, 1)
					s.Observe(h, int64(i)*1_000_000)
					at.Add(1)
					ah.Observe(int64(i))
				}
				s.Publish()
			}
		})
	}
	others.Go(func() {
		p := prometheus.NewPedanticRegistry()
		p.MustRegister(r)
		last := 0.0
		for {
			_, err := p.Gather()
			assert.NoError(t, err)
			now := r.Value(reqs)
			assert.GreaterOrEqual(t, now, last)
			last = now
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	others.Go(func() {
		for {
			r.GaugeFunc("roamgate_age_seconds", "Age.", func() float64 { return 1 }, "home", "x")
			r.Retire("home", "x")
			r.Families()
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	writers.Wait()
	close(stop)
	others.Wait()
	const want = shards * rounds * perRound
	assert.EqualValues(t, want, r.Value(reqs))
	assert.EqualValues(t, want, r.Value(lat))
	assert.EqualValues(t, want, r.Value("roamgate_reload_events_total"))
	assert.EqualValues(t, want, r.Value("roamgate_spool_errors_total"))
	assert.EqualValues(t, want, r.Value("roamgate_fsync_seconds"))
}

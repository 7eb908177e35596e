package stat

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func BenchmarkAdd(b *testing.B) {
	r := NewRegistry()
	id := r.Counter(reqs, reqsHelp)
	s := r.Shard()
	b.ReportAllocs()
	for b.Loop() {
		s.Add(id, 1)
	}
}

// BenchmarkAddHeld is the anchor: a Prometheus counter, looked up beforehand.
func BenchmarkAddHeld(b *testing.B) {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "x_total"})
	b.ReportAllocs()
	for b.Loop() {
		c.Inc()
	}
}

func BenchmarkAtomicAdd(b *testing.B) {
	c := NewRegistry().Atomic(reqs, reqsHelp)
	b.ReportAllocs()
	for b.Loop() {
		c.Add(1)
	}
}

func BenchmarkObserve(b *testing.B) {
	r := NewRegistry()
	id := r.Histogram(lat, latHelp, LatencyBounds)
	s := r.Shard()
	b.ReportAllocs()
	ns := int64(0)
	for b.Loop() {
		s.Observe(id, ns&(1<<25-1)) // up to 33 ms
		ns += 1_234_567
	}
}

// large is a hub with 50,000 series, of which one in a hundred moves.
func large(b *testing.B) (*Registry, *Shard, []ID) {
	r := NewRegistry()
	var ids []ID
	for i := range 50_000 {
		ids = append(ids, r.Counter(reqs, reqsHelp, "client", fmt.Sprint("client-", i/10), "kind", fmt.Sprint(i%10)))
	}
	s := r.Shard()
	s.Publish()
	return r, s, ids
}

func BenchmarkPublish50k(b *testing.B) {
	_, s, ids := large(b)
	b.ReportAllocs()
	for b.Loop() {
		for i := 0; i < len(ids); i += 100 {
			s.Add(ids[i], 1)
		}
		s.Publish()
	}
}

func BenchmarkScrape50k(b *testing.B) {
	r, _, _ := large(b)
	p := prometheus.NewRegistry()
	p.MustRegister(r)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

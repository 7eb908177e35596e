package stat

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func newDesc(f *Family) *prometheus.Desc {
	return prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)
}

// Describe sends nothing, which makes this an unchecked collector: a reload
// may register families after the collector was.
func (r *Registry) Describe(chan<- *prometheus.Desc) {}

// Collect sends every live series. Functions are called after the lock is
// released, so they may use the registry.
func (r *Registry) Collect(out chan<- prometheus.Metric) {
	for _, s := range r.collect(out) {
		s.value = s.read()
		out <- s
	}
}

func (r *Registry) collect(out chan<- prometheus.Metric) (funcs []*sample) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, f := range r.families {
		for s := range f.all {
			m := r.sample(s)
			switch {
			case m == nil:
			case m.read != nil:
				funcs = append(funcs, m)
			default:
				out <- m
			}
		}
	}
	return funcs
}

// sample is one series at the time of one scrape.
type sample struct {
	*family
	pairs   []*dto.LabelPair
	read    func() float64
	value   float64 // of a histogram the number of observations
	buckets []uint64
	sum     float64
}

// sample returns nil for what is not exposed now. The caller holds mu.
func (r *Registry) sample(s *series) *sample {
	if s.retired {
		return nil
	}
	m := &sample{family: s.family, pairs: s.pairs, read: s.read}
	switch {
	case s.read != nil:
		return m
	case s.family.Kind == KindHistogram:
		r.histogram(m, s)
	default:
		m.value = float64(r.word(s, 0))
	}
	if m.value == 0 && s.family.Sparse {
		return nil
	}
	return m
}

// histogram makes the buckets cumulative. Their count is what they add up to,
// so that a scrape during Publish is still consistent.
func (r *Registry) histogram(m *sample, s *series) {
	n := uint32(len(s.family.Bounds))
	m.buckets = make([]uint64, n+1)
	total := uint64(0)
	for i := range n + 1 {
		total += r.word(s, i)
		m.buckets[i] = total
	}
	m.value = float64(total)
	m.sum = float64(r.word(s, n+1)) / s.family.scale()
}

func (r *Registry) word(s *series, i uint32) uint64 {
	v := r.sum(s.slot + i)
	if s.past != nil && s.past.base != nil {
		v -= s.past.base[i]
	}
	return v
}

// Desc implements prometheus.Metric.
func (m *sample) Desc() *prometheus.Desc { return m.desc }

// Write implements prometheus.Metric.
func (m *sample) Write(out *dto.Metric) error {
	out.Label = m.pairs
	switch m.Kind {
	case KindCounter:
		out.Counter = &dto.Counter{Value: &m.value}
	case KindGauge:
		out.Gauge = &dto.Gauge{Value: &m.value}
	default:
		out.Histogram = m.dto()
	}
	return nil
}

func (m *sample) dto() *dto.Histogram {
	count := m.buckets[len(m.buckets)-1]
	rows := make([]dto.Bucket, len(m.Bounds))
	h := &dto.Histogram{SampleCount: &count, SampleSum: &m.sum, Bucket: make([]*dto.Bucket, len(rows))}
	for i := range rows {
		rows[i].CumulativeCount, rows[i].UpperBound = &m.buckets[i], &m.Bounds[i]
		h.Bucket[i] = &rows[i]
	}
	return h
}

// quantile interpolates within the bucket, as histogram_quantile does.
func (m *sample) quantile(q float64) float64 {
	rank := q * m.value
	prev, low := 0.0, 0.0
	for i, high := range m.Bounds {
		if c := float64(m.buckets[i]); c >= rank && c > prev {
			return low + (high-low)*(rank-prev)/(c-prev)
		}
		prev, low = float64(m.buckets[i]), high
	}
	if m.value == 0 {
		return math.NaN()
	}
	return low // above the last bound: all that is known
}

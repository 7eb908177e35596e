package stat

import (
	"cmp"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// Families lists every registered family by name, live or not.
func (r *Registry) Families() []Family {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]Family, 0, len(r.families))
	for _, f := range r.families {
		d := f.Family
		d.Labels, d.Bounds = slices.Clone(d.Labels), slices.Clone(d.Bounds)
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Family) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Value adds up the live series of name that carry all of the labels, of a
// histogram the number of observations. No such series is 0.
func (r *Registry) Value(name string, labels ...string) (sum float64) {
	for _, m := range r.samples(name, labels) {
		sum += m.value
	}
	return sum
}

// Quantile estimates the q-quantile (0 to 1) of the histogram series of name
// that carry all of the labels, in the unit of the bounds. NaN when nothing
// was observed.
func (r *Registry) Quantile(name string, q float64, labels ...string) float64 {
	var all *sample
	for _, m := range r.samples(name, labels) {
		if m.Kind != KindHistogram {
			continue
		}
		if all == nil {
			all = m
			continue
		}
		all.value += m.value
		for i, n := range m.buckets {
			all.buckets[i] += n
		}
	}
	if all == nil {
		return math.NaN()
	}
	return all.quantile(min(max(q, 0), 1))
}

// Each calls f for every live series, ordered by name and labels (k, v, k, v,
// not to be kept). The value of a histogram is its number of observations.
func (r *Registry) Each(f func(name string, labels []string, kind Kind, value float64)) {
	all := r.samples("", nil)
	slices.SortFunc(all, func(a, b *sample) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), slices.CompareFunc(a.pairs, b.pairs, comparePairs))
	})
	for _, m := range all {
		f(m.Name, labelsOf(m.pairs), m.Kind, m.value)
	}
}

// EachOf calls f for every live series of one name, in no order. The labels
// are k, v, k, v and not to be kept.
func (r *Registry) EachOf(name string, f func(labels []string, value float64)) {
	for _, m := range r.samples(name, nil) {
		f(labelsOf(m.pairs), m.value)
	}
}

func comparePairs(a, b *dto.LabelPair) int {
	return cmp.Or(cmp.Compare(*a.Name, *b.Name), cmp.Compare(*a.Value, *b.Value))
}

// Lines is the number of lines that a scrape has at most, against MaxSeries.
func (r *Registry) Lines() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.lines
}

// samples reads the live series of one name, or of all with an empty name.
func (r *Registry) samples(name string, labels []string) []*sample {
	kv := sortLabels(nil, name, labels)
	all := r.matching(name, kv)
	for _, m := range all {
		if m.read != nil {
			m.value = m.read()
		}
	}
	return all
}

func (r *Registry) matching(name string, kv []string) (out []*sample) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	pick := func(f *family) {
		for s := range f.all {
			if !s.has(kv) {
				continue
			}
			if m := r.sample(s); m != nil {
				out = append(out, m)
			}
		}
	}
	if name == "" {
		for _, f := range r.families {
			pick(f)
		}
		return out
	}
	if f := r.families[name]; f != nil {
		pick(f)
	}
	return out
}

package stat

import (
	"fmt"
	"hash/maphash"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Kind is what a metric family counts.
type Kind uint8

// The kinds.
const (
	KindCounter Kind = iota
	KindGauge
	KindHistogram
)

// String is the word Prometheus uses.
func (k Kind) String() string {
	switch k {
	case KindCounter:
		return "counter"
	case KindGauge:
		return "gauge"
	}
	return "histogram"
}

// Family describes the series of one name, for the test of the documentation.
type Family struct {
	Name, Help string
	Kind       Kind
	Labels     []string // sorted names
	Sparse     bool     // series at zero are left out
	Bounds     []float64
}

var (
	familyName = regexp.MustCompile(`^roamgate_[a-z][a-z0-9_]*[a-z0-9]$`)
	labelName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// family is guarded by Registry.mu, except desc, which never changes.
type family struct {
	Family
	desc   *prometheus.Desc
	bounds uint32             // index in Registry.bounds, histograms only
	series map[uint64]*series // by the hash of their labels; those that share one hang together
}

// series is one line of a scrape. Labels never change after registration. A hub of
// thousands of peers has a hundred thousand of them: what few of them need is apart.
type series struct {
	family  *family
	next    *series          // of the same hash
	pairs   []*dto.LabelPair // sorted by name
	read    func() float64
	past    *past  // nil: it was never retired, and its words are new
	slot    uint32 // first word; 0 when read is set
	retired bool
}

// past is what was before, of a series or of its words.
type past struct {
	base  []uint64  // what the words held when the series took them over
	since time.Time // when it was retired
}

// check panics: a bad name is a mistake in the program and every start of the
// program meets it.
func (f *Family) check() {
	fail := func(why string) { panic(fmt.Sprintf("stat: metric %q: %s", f.Name, why)) }
	if !familyName.MatchString(f.Name) {
		fail("name must be roamgate_ and lower case")
	}
	if strings.TrimSpace(f.Help) == "" {
		fail("help is missing")
	}
	if strings.HasSuffix(f.Name, "_total") != (f.Kind == KindCounter) {
		fail("_total is the suffix of counters, and of nothing else")
	}
	for i, l := range f.Labels {
		if !labelName.MatchString(l) || l == "le" || l == "quantile" {
			fail("label name " + l)
		}
		if i > 0 && f.Labels[i-1] == l {
			fail("label twice: " + l)
		}
	}
	if f.Kind == KindHistogram && !rising(f.Bounds) {
		fail("bounds must rise from above zero")
	}
}

func rising(bounds []float64) bool {
	low := 0.0
	for _, b := range bounds {
		if !(b > low) {
			return false
		}
		low = b
	}
	return len(bounds) > 0 && len(bounds) <= maxBounds
}

// same tells whether a second registration agrees with the first.
func (f *Family) same(g *Family) bool {
	return f.Help == g.Help && f.Kind == g.Kind && f.Sparse == g.Sparse &&
		slices.Equal(f.Labels, g.Labels) && slices.Equal(f.Bounds, g.Bounds)
}

// sortLabels appends the pairs to out, sorted by name, with values made valid UTF-8:
// one bad name in a configuration must not fail every scrape.
func sortLabels(out []string, name string, kv []string) []string {
	if len(kv)%2 != 0 {
		panic(fmt.Sprintf("stat: metric %q: label without value", name))
	}
	first := len(out)
	for i := 0; i < len(kv); i += 2 {
		at := len(out)
		for at > first && out[at-2] > kv[i] {
			at -= 2
		}
		out = slices.Insert(out, at, kv[i], strings.ToValidUTF8(kv[i+1], "\uFFFD"))
	}
	return out
}

func labelNames(out, kv []string) []string {
	for i := 0; i < len(kv); i += 2 {
		out = append(out, kv[i])
	}
	return out
}

// hash is where labels stand in the table of a family.
func (r *Registry) hash(kv []string) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	for i := 1; i < len(kv); i += 2 {
		_, _ = h.WriteString(kv[i])
		_ = h.WriteByte(0xff) // cannot be part of valid UTF-8
	}
	return h.Sum64() & r.mask
}

func (r *Registry) find(f *family, kv []string) *series {
	s := f.series[r.hash(kv)]
	for s != nil && !s.has(kv) {
		s = s.next
	}
	return s
}

func (r *Registry) add(f *family, kv []string) *series {
	at := r.hash(kv)
	s := &series{family: f, next: f.series[at], pairs: r.pairsOf(kv)}
	f.series[at] = s
	return s
}

func (r *Registry) remove(s *series) {
	f, at := s.family, r.hash(s.labels())
	if f.series[at] == s {
		if s.next == nil {
			delete(f.series, at)
		} else {
			f.series[at] = s.next
		}
		return
	}
	for before := f.series[at]; before != nil; before = before.next {
		if before.next == s {
			before.next = s.next
			return
		}
	}
}

// all gives the series in no order. The one that is given may be removed.
func (f *family) all(yield func(*series) bool) {
	for _, s := range f.series {
		for s != nil {
			next := s.next
			if !yield(s) {
				return
			}
			s = next
		}
	}
}

// labels are k, v, k, v.
func (s *series) labels() []string { return labelsOf(s.pairs) }

func labelsOf(pairs []*dto.LabelPair) []string {
	kv := make([]string, 0, 2*len(pairs))
	for _, p := range pairs {
		kv = append(kv, *p.Name, *p.Value)
	}
	return kv
}

// pairsOf gives the labels as a scrape has them. A pair that several series have is
// one: a peer has dozens of series, and all of them its name. What is known of pairs
// is forgotten when there are more than series.
func (r *Registry) pairsOf(kv []string) []*dto.LabelPair {
	if len(r.pairs) >= MaxSeries {
		clear(r.pairs)
	}
	all := make([]*dto.LabelPair, 0, len(kv)/2)
	for i := 0; i < len(kv); i += 2 {
		name := [2]string{kv[i], kv[i+1]}
		p := r.pairs[name]
		if p == nil {
			p = &dto.LabelPair{Name: &name[0], Value: &name[1]}
			r.pairs[name] = p
		}
		all = append(all, p)
	}
	return all
}

// has tells whether s carries all of the pairs in kv.
func (s *series) has(kv []string) bool {
	for i := 0; i+1 < len(kv); i += 2 {
		if !s.carries(kv[i], kv[i+1]) {
			return false
		}
	}
	return true
}

func (s *series) carries(k, v string) bool {
	for _, p := range s.pairs {
		if *p.Name == k {
			return *p.Value == v
		}
	}
	return false
}

// words is the number of places a series needs: histograms have a bucket per
// bound, one above them, and the sum.
func (f *family) words() uint32 {
	if f.Kind == KindHistogram {
		return uint32(len(f.Bounds)) + 2
	}
	return 1
}

// lines is the number of lines in a scrape, which is what storage pays for.
func (f *family) lines() int {
	if f.Kind == KindHistogram {
		return len(f.Bounds) + 3
	}
	return 1
}

package stat

import (
	"fmt"
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
	bounds uint32 // index in Registry.bounds, histograms only
	series map[string]*series
}

// series is one line of a scrape. Labels never change after registration.
type series struct {
	family  *family
	key     string
	labels  []string // k, v sorted by k
	pairs   []*dto.LabelPair
	slot    uint32 // first word; 0 when f is set
	read    func() float64
	base    []uint64 // what the words held when the series took them over
	retired bool
	since   time.Time // when it was retired
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

// sortLabels returns the pairs sorted by name, with values made valid UTF-8:
// one bad name in a configuration must not fail every scrape.
func sortLabels(name string, kv []string) []string {
	if len(kv)%2 != 0 {
		panic(fmt.Sprintf("stat: metric %q: label without value", name))
	}
	n := len(kv) / 2
	order := make([]int, n)
	for i := range order {
		order[i] = 2 * i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(kv[a], kv[b]) })
	out := make([]string, 0, len(kv))
	for _, i := range order {
		out = append(out, kv[i], strings.ToValidUTF8(kv[i+1], "\uFFFD"))
	}
	return out
}

func labelNames(kv []string) []string {
	out := make([]string, 0, len(kv)/2)
	for i := 0; i < len(kv); i += 2 {
		out = append(out, kv[i])
	}
	return out
}

// seriesKey joins the values; 0xff cannot be part of valid UTF-8.
func seriesKey(kv []string) string {
	var b strings.Builder
	for i := 1; i < len(kv); i += 2 {
		b.WriteString(kv[i])
		b.WriteByte(0xff)
	}
	return b.String()
}

func (r *Registry) newSeries(f *family, kv []string) *series {
	return &series{family: f, key: seriesKey(kv), labels: kv, pairs: r.pairsOf(kv)}
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
	for i := 0; i < len(s.labels); i += 2 {
		if s.labels[i] == k {
			return s.labels[i+1] == v
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

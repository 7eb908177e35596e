package stat

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	dto "github.com/prometheus/client_model/go"
)

// ID names one series on the hot path. The zero ID counts nothing.
type ID uint32

// MaxSeries is the number of exposed lines above which new series fold.
const MaxSeries = 200_000

// Folded is the label value that stands for everything above the cap.
const Folded = "other"

// An ID is the index of the first word and, for histograms, the set of bounds.
const (
	slotBits  = 24
	slotMask  = 1<<slotBits - 1
	maxSets   = 1<<(32-slotBits) - 1
	maxBounds = 64
	firstSlot = 1 // word 0 belongs to the zero ID
)

var folded = Family{
	Name:   "roamgate_metrics_folded_total",
	Help:   "Series that were not given a line of their own because the cap was reached.",
	Kind:   KindCounter,
	Labels: []string{"metric"},
}

// Registry holds every series. It is a prometheus.Collector.
type Registry struct {
	mu       sync.RWMutex // guards all below; scrapes share it, the hot path never takes it
	families map[string]*family
	next     uint32 // first free word
	sets     [][]int64
	lines    int
	limit    int
	free     map[uint32][]*series // retired series by number of words, oldest first
	pairs    map[[2]string]*dto.LabelPair
	seed     maphash.Seed
	mask     uint64   // of hashes
	labels   []string // room for those of the series that is looked for
	names    []string // and for the names among them
	shards   []*Shard
	shared   *Shard // published side only, for the atomic types

	bounds atomic.Pointer[[][]int64] // sets as the shards see them
	words  atomic.Uint32             // next as the shards see it
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry {
	r := &Registry{
		families: map[string]*family{},
		next:     firstSlot,
		limit:    MaxSeries,
		sets:     [][]int64{nil}, // set 0 means: not a histogram
		free:     map[uint32][]*series{},
		pairs:    map[[2]string]*dto.LabelPair{},
		seed:     maphash.MakeSeed(),
		mask:     math.MaxUint64,
	}
	r.shared = &Shard{reg: r}
	r.shards = []*Shard{r.shared}
	r.family(folded)
	r.words.Store(r.next)
	r.publishSets()
	return r
}

// Counter registers one series and returns its ID; the same name and labels
// give the same ID. Labels are k, v, k, v; every series of a name must have
// the same label names, help and kind, else it panics, as it does for a name
// that is not roamgate_*_total and for a missing help.
func (r *Registry) Counter(name, help string, labels ...string) ID {
	return r.register(Family{Name: name, Help: help, Kind: KindCounter}, labels, nil).id()
}

// CounterSparse is Counter for dense sets, such as all reasons for every
// client: the series is left out of a scrape while it is zero.
func (r *Registry) CounterSparse(name, help string, labels ...string) ID {
	return r.register(Family{Name: name, Help: help, Kind: KindCounter, Sparse: true}, labels, nil).id()
}

// DeclareSparse lets Families tell of counters that CounterSparse registers only when
// they count for the first time: of thousands of peers most of what can happen never
// does. The labels are names.
func (r *Registry) DeclareSparse(name, help string, labels ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.family(Family{Name: name, Help: help, Kind: KindCounter, Sparse: true, Labels: slices.Sorted(slices.Values(labels))})
}

// Histogram registers one series with upper bounds that rise from above zero,
// usually LatencyBounds. When the name ends in _seconds the bounds are
// seconds and Observe takes nanoseconds; otherwise both are plain numbers.
func (r *Registry) Histogram(name, help string, bounds []float64, labels ...string) ID {
	return r.register(Family{Name: name, Help: help, Kind: KindHistogram, Bounds: bounds}, labels, nil).id()
}

// HistogramSparse is Histogram, left out of a scrape while it has no counts.
func (r *Registry) HistogramSparse(name, help string, bounds []float64, labels ...string) ID {
	f := Family{Name: name, Help: help, Kind: KindHistogram, Bounds: bounds, Sparse: true}
	return r.register(f, labels, nil).id()
}

// GaugeFunc registers a gauge that f reads at each scrape, from any
// goroutine. Registering it again replaces f, which is how a reload moves a
// gauge to the new table. Above the cap the series is left out.
func (r *Registry) GaugeFunc(name, help string, f func() float64, labels ...string) {
	r.register(Family{Name: name, Help: help, Kind: KindGauge}, labels, f)
}

// CounterFunc is GaugeFunc for a count that only rises.
func (r *Registry) CounterFunc(name, help string, f func() float64, labels ...string) {
	r.register(Family{Name: name, Help: help, Kind: KindCounter}, labels, f)
}

// StateSet registers a gauge per state, labelled state, of which the one that
// f returns the index of is 1 and the others are 0.
func (r *Registry) StateSet(name, help string, states []string, f func() int, labels ...string) {
	for i, state := range states {
		read := func() float64 {
			if f() == i {
				return 1
			}
			return 0
		}
		r.GaugeFunc(name, help, read, append(slices.Clone(labels), "state", state)...)
	}
}

// register returns nil for a function above the cap.
func (r *Registry) register(shape Family, labels []string, read func() float64) *series {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.labels = sortLabels(r.labels[:0], shape.Name, labels)
	r.names = labelNames(r.names[:0], r.labels)
	kv := r.labels
	shape.Labels = r.names
	f := r.family(shape)
	s := r.find(f, kv)
	if (s == nil || s.retired) && len(kv) > 0 && r.lines+f.lines() > r.limit {
		s := r.enter(r.family(folded), []string{"metric", f.Name}, nil)
		r.shared.open(s.slot, 1)
		r.shared.slot(s.slot).Add(1)
		if read != nil {
			return nil // nothing that could be added up
		}
		fold(kv)
	}
	return r.enter(f, kv, read)
}

// enter makes the series live.
func (r *Registry) enter(f *family, kv []string, read func() float64) *series {
	s := r.find(f, kv)
	switch {
	case s == nil:
		s = r.add(f, kv)
		r.lines += f.lines()
		if s.read = read; read == nil {
			r.giveWords(s)
		}
	case s.retired:
		s.retired = false
		r.lines += f.lines()
	}
	if (s.read == nil) != (read == nil) {
		panic(fmt.Sprintf("stat: metric %q: both counted and read by a function", f.Name))
	}
	s.read = read
	return s
}

func fold(kv []string) {
	for i := 1; i < len(kv); i += 2 {
		kv[i] = Folded
	}
}

func (r *Registry) family(shape Family) *family {
	f := r.families[shape.Name]
	if f == nil {
		shape.check()
		shape.Labels, shape.Bounds = slices.Clone(shape.Labels), slices.Clone(shape.Bounds)
		f = &family{Family: shape, series: map[uint64]*series{}}
		f.desc = newDesc(&f.Family)
		if shape.Kind == KindHistogram {
			f.bounds = r.boundSet(&f.Family)
		}
		r.families[shape.Name] = f
	} else if !f.same(&shape) {
		panic(fmt.Sprintf("stat: metric %q: registered twice with different help, kind, labels or bounds", shape.Name))
	}
	return f
}

// giveWords gives s its words, those of a series retired long ago or new ones.
func (r *Registry) giveWords(s *series) {
	n := s.family.words()
	if old := r.takeFree(n); old != nil {
		s.slot = old.slot
		s.past = &past{base: make([]uint64, n)}
		for i := range n {
			s.past.base[i] = r.sum(old.slot + i)
		}
		return
	}
	if r.next+n > slotMask {
		panic("stat: out of places for series")
	}
	s.slot = r.next
	r.next += n
	r.words.Store(r.next) // before any ID that needs them can reach a shard
}

// sum adds up one word over the shards.
func (r *Registry) sum(slot uint32) (n uint64) {
	for _, s := range r.shards {
		n += s.load(slot)
	}
	return n
}

func (s *series) id() ID {
	if s == nil {
		return 0
	}
	return ID(s.slot | s.family.bounds<<slotBits)
}

package file

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// Result says how an attempt to take a new version ended.
type Result uint8

const (
	None      Result = iota // no attempt yet
	Applied                 // a new version is in use
	Unchanged               // the files mean what is in use already
	Failed                  // the old version stays
	Held                    // the files are good and wait for somebody to take them
	results
)

var resultNames = [results]string{"none", "applied", "unchanged", "failed", "held"}

// String gives the label of counters.
func (r Result) String() string { return resultNames[r] }

// Status is what a Watcher has done so far, for gauges.
type Status struct {
	Generation uint64    // versions applied
	Attempt    time.Time // of the last attempt
	Success    time.Time // of the last attempt that did not fail
	Result     Result    // of the last attempt
	Errors     int       // problems of the last attempt
	Warnings   int
	Count      [results]uint64 // attempts by Result
	Hash       [32]byte        // of the version in use, as Set.Hash
}

// Options are what a Watcher needs. Apply and Report are called from Run's
// goroutine only and may block it.
type Options struct {
	Dir      string
	Interval time.Duration // between two looks, 2 s if zero
	Env      func(string) (string, bool)
	Current  *realm.Set // in use, nil if nothing is
	// Apply takes a new version into use. After an error the old one counts
	// as in use.
	Apply func(set *realm.Set, change Change) error
	// Found, if given, is called in the place of Apply, with the files: not
	// taken means that the version is good and waits.
	Found func(set *realm.Set, change Change, files Texts) (taken bool, err error)
	// Running, if given, is what is in use where others than the Watcher take
	// versions into use.
	Running func() *realm.Set
	// Report hears of every attempt, nil for nobody.
	Report func(Status, Problems)
}

const (
	defaultInterval = 2 * time.Second
	settle          = 100 * time.Millisecond // between the two reads of a Reload
	settleTries     = 50
	// A change that leaves size and time of its file alone is found by
	// reading everything at each 15th look.
	quietLooks = 15
)

// Watcher looks at a directory of routing files and hands over each good new
// version. It takes nothing that two looks in a row do not find alike, so a
// file that is just being written is left in peace.
type Watcher struct {
	opt    Options
	reload chan struct{}
	status atomic.Pointer[Status]

	// The rest belongs to Run.
	current *realm.Set
	steady  steady
	seen    signature        // of the last look, while nothing is pending
	quiet   int              // looks since everything was read
	secrets map[string]int64 // of the last attempt, with their limits
	filled  map[string]bool
}

// NewWatcher returns a Watcher that does nothing before Run.
func NewWatcher(o Options) *Watcher {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	w := &Watcher{opt: o, reload: make(chan struct{}, 1), current: o.Current}
	s := &Status{}
	if o.Current != nil {
		s.Hash = o.Current.Hash
	}
	w.status.Store(s)
	return w
}

// Status returns what has been done so far. It may be called by any goroutine.
func (w *Watcher) Status() Status { return *w.status.Load() }

// Reload asks for an attempt now, even if the files look as they did; several
// requests at once are one. It may be called by any goroutine, such as the one
// that hears SIGHUP, and does not wait.
func (w *Watcher) Reload() {
	select {
	case w.reload <- struct{}{}:
	default:
	}
}

// Run looks at the directory until ctx ends. It may be called once.
func (w *Watcher) Run(ctx context.Context) {
	tick := time.NewTicker(w.opt.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look()
		case <-w.reload:
			w.now(ctx)
		}
	}
}

// look is one look at the files by the clock.
func (w *Watcher) look() {
	if s := w.signature(); s != w.seen || w.steady.waiting || w.quiet >= quietLooks {
		w.seen, w.quiet = s, 0
	} else {
		w.quiet++
		return
	}
	v := w.read()
	if w.steady.see(v.print) {
		w.attempt(v)
	}
}

// now is a look on request: it waits until the files hold still.
func (w *Watcher) now(ctx context.Context) {
	w.steady = steady{}
	for range settleTries {
		v := w.read()
		if w.steady.see(v.print) {
			w.attempt(v)
			return
		}
		timer := time.NewTimer(settle)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
	r := &report{}
	r.add(realm.Pos{File: w.opt.Dir}, Error, "they are looked at again on their own", "the files keep changing")
	w.finish(Failed, r.problems())
}

// steady decides when a version of the files has held still.
type steady struct {
	tried   print // of the last attempt
	any     bool  // there was one
	pending print
	waiting bool
}

// see takes the print of one look and reports whether it is to be attempted:
// it is not the one of the last attempt, and the look before found the same.
func (s *steady) see(p print) bool {
	switch {
	case s.any && p == s.tried:
		s.waiting = false
		return false
	case s.waiting && p == s.pending:
		s.tried, s.any, s.waiting = p, true, false
		return true
	}
	s.pending, s.waiting = p, true
	return false
}

// attempt compiles one version and takes it into use if it is good.
func (w *Watcher) attempt(v version) {
	set, ps := w.compile(&v)
	if set == nil {
		w.finish(Failed, ps)
		return
	}
	if w.opt.Running != nil {
		w.current = w.opt.Running()
	}
	change := Diff(w.current, set)
	if w.current != nil && change.Empty() && set.Hash == w.current.Hash {
		w.remember(v)
		w.finish(Unchanged, ps)
		return
	}
	taken, err := w.take(set, change, &v)
	if err != nil {
		failed := Problem{Pos: realm.Pos{File: w.opt.Dir}, Severity: Error, Text: fmt.Sprintf("taking the files into use: %s", err)}
		w.finish(Failed, append(ps, failed))
		return
	}
	w.remember(v)
	if !taken {
		w.finish(Held, ps)
		return
	}
	w.current = set
	w.finish(Applied, ps)
}

func (w *Watcher) take(set *realm.Set, change Change, v *version) (taken bool, err error) {
	if w.opt.Found != nil {
		return w.opt.Found(set, change, textsOf(v.files))
	}
	return true, w.opt.Apply(set, change)
}

// compile returns nil and the problems if the version cannot be used.
func (w *Watcher) compile(v *version) (set *realm.Set, ps Problems) {
	r := v.report
	defer func() {
		// A bug in here must leave the hub running on what it has.
		if p := recover(); p != nil {
			r.add(realm.Pos{File: w.opt.Dir}, Error, "please report it", "the loader itself failed (%T)", p)
			set, ps = nil, r.problems()
		}
	}()
	for _, f := range v.files {
		if w.filled[f.name] && len(bytes.TrimSpace(f.data)) == 0 {
			r.add(realm.Pos{File: f.name}, Error, "remove the file if that is meant; was the disk full?", "the file has become empty")
		}
	}
	// The packets keep half of the processors.
	set, s := compile(r, w.opt.Dir, v.files, v.print.files, w.opt.Env, max(1, runtime.GOMAXPROCS(0)/2))
	w.secrets = s.limits()
	w.steady.tried.secrets = s.print()
	return set, r.problems()
}

// remember keeps what the next version is held against.
func (w *Watcher) remember(v version) {
	w.filled = make(map[string]bool, len(v.files))
	for _, f := range v.files {
		w.filled[f.name] = len(bytes.TrimSpace(f.data)) > 0
	}
}

func (w *Watcher) finish(result Result, ps Problems) {
	s := w.Status()
	s.Attempt = time.Now()
	s.Result = result
	s.Errors, s.Warnings = ps.Count(Error), ps.Count(Warning)
	s.Count[result]++
	switch result {
	case Applied:
		s.Generation++
		s.Hash = w.current.Hash
		s.Success = s.Attempt
	case Unchanged:
		s.Hash = w.current.Hash
		s.Success = s.Attempt
	case Held:
		s.Success = s.Attempt
	}
	w.status.Store(&s)
	if w.opt.Report != nil {
		w.opt.Report(s, ps)
	}
}

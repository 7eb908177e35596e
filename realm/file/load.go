package file

import (
	"runtime"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// Load reads the files of a directory. env looks up the variables that
// secret_env names; nil knows none. The Set is nil if any problem is an Error;
// else the Problems are only warnings and remarks. All problems of all files
// come at once, in the order of their positions.
//
// Set.Hash is the hash of the files' names and contents alone: it can be shown,
// because no secret goes into it.
func Load(dir string, env func(string) (string, bool)) (*realm.Set, Problems) {
	r := &report{}
	files, hash := readDir(r, dir)
	set, _ := compile(r, dir, files, hash, env, runtime.GOMAXPROCS(0))
	return set, r.problems()
}

// compile turns files into a Set, nil if there is an error, with so many
// workers. The secrets are those it looked for.
func compile(r *report, dir string, files []content, hash [32]byte, env func(string) (string, bool), workers int) (*realm.Set, *secrets) {
	whole := make(map[string]bool)
	for {
		l := newLoader(env, workers)
		l.partial = r.failed()
		set := l.load(dir, files, whole)
		if len(l.doubtful) > 0 {
			for _, name := range l.doubtful {
				whole[name] = true
			}
			continue
		}
		for _, phase := range l.phases {
			r.join(phase)
		}
		if r.failed() {
			return nil, &l.secrets
		}
		set.Hash = hash
		return set, &l.secrets
	}
}

// loader compiles one version of the files.
type loader struct {
	report  *report // of the present phase
	phases  []*report
	secrets secrets
	set     *realm.Set
	workers int

	groups      map[string]*group
	filterNames map[string]*realm.Filter
	usedFilters map[*realm.Filter]bool
	oneLabel    bool // a realm without a dot is a realm

	clients map[string]*peer
	homes   map[string]int32
	pools   map[string]int32
	peers   map[string]int32
	// identities are those of peers; ofPeers tells which pools are of peers.
	identities map[string]realm.Pos
	ofPeers    []bool

	securities  map[string]*security
	discoveries map[string]*realm.Discovery
	screenings  map[string]*realm.Screening
	steerings   map[string]*realm.Steering
	// prefixes are those of clients by what they come by.
	prefixes [realm.DTLS + 1]prefixes
	// usedPool tells by service and pool whether a route uses it.
	usedPool [services][]bool
	members  [][]memberEntry // of each pool, for positions
	sources  prefixes        // where homes send CoA from
	// partial is set when a file could not be read: what another file refers
	// to may stand there, so a missing name is no news.
	partial bool
	// doubtful are the files that must not be cut after all.
	doubtful []string
	names    arena
	now      func() time.Time

	// special is set when a subject may have several routes, or a route a
	// name of its own.
	special bool
	spans   []span
	rivals  [][]int32 // routes of one subject
	ranged  bool      // there are ranges of IMSIs
	narrow  bool      // there are networks or expressions
	// federated is set when there is a federation.
	federated bool
	messages  bool // a route is for Diameter
	// toRADIUS and toDiameter are set where one protocol becomes the other.
	toRADIUS, toDiameter bool
	inPool               []bool                  // by home
	scopes               map[string]*realm.Scope // by the names of their groups
	key                  []byte
}

func newLoader(env func(string) (string, bool), workers int) *loader {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	return &loader{
		secrets: secrets{
			env: env, files: make(map[string]secretFile), owners: make(map[string]owner),
		},
		set:         &realm.Set{},
		workers:     workers,
		now:         time.Now,
		groups:      make(map[string]*group),
		filterNames: make(map[string]*realm.Filter),
		usedFilters: make(map[*realm.Filter]bool),
		clients:     make(map[string]*peer),
		homes:       make(map[string]int32),
		pools:       make(map[string]int32),
		peers:       make(map[string]int32),
		identities:  make(map[string]realm.Pos),
		securities:  make(map[string]*security),
		discoveries: make(map[string]*realm.Discovery),
		screenings:  make(map[string]*realm.Screening),
		steerings:   make(map[string]*realm.Steering),
	}
}

// phase begins a phase, whose problems come after those of the last one.
func (l *loader) phase() *report {
	l.report = &report{}
	l.secrets.report = l.report
	l.phases = append(l.phases, l.report)
	return l.report
}

func (l *loader) failed() bool {
	for _, p := range l.phases {
		if p.failed() {
			return true
		}
	}
	return false
}

// load fills the set. Nothing of the files' text stays in it: what is kept is
// cloned.
func (l *loader) load(dir string, files []content, whole map[string]bool) *realm.Set {
	all := l.decode(files, whole)
	l.phase()
	l.common(all)
	for i := range all {
		for j := range all[i].Screenings {
			l.screening(&all[i].Screenings[j])
		}
		for j := range all[i].Steerings {
			l.steering(&all[i].Steerings[j])
		}
	}
	for _, one := range l.set.Groups {
		g := l.groups[one.Name]
		g.screening = l.screeningNamed(g.Pos, g.entry.Screening)
	}
	for i := range all {
		for j := range all[i].Clients {
			l.client(&all[i].Clients[j])
		}
		for j := range all[i].Homes {
			l.home(&all[i].Homes[j])
		}
	}
	for i := range all {
		for j := range all[i].Peers {
			l.peer(&all[i].Peers[j])
		}
	}
	l.ambiguousHomes()
	for i := range all {
		for j := range all[i].Pools {
			l.pool(&all[i].Pools[j])
		}
		for j := range all[i].Discoveries {
			l.discovery(&all[i].Discoveries[j])
		}
	}
	l.phase()
	if l.realms(all); len(l.doubtful) > 0 {
		return nil
	}
	l.phase()
	l.services()
	if !l.partial {
		l.shadows()
	}
	if !l.partial && !l.failed() {
		l.lint(dir)
	}
	return l.set
}

// source is one file while it is compiled.
type source struct {
	entries
	name   string
	report *report // what decoding says
	pieces []piece // of the list of realms, where that is long
}

func (l *loader) decode(files []content, whole map[string]bool) []source {
	all := make([]source, len(files))
	for i, f := range files {
		s := &all[i]
		s.name, s.report = f.name, l.phase()
		d, pieces, ok := (*Document)(nil), []piece(nil), false
		if !whole[f.name] {
			d, pieces, ok = cut(f.name, f.data, "realms", maxFile)
		}
		if !ok {
			d = parse(s.report, f.name, f.data)
		}
		s.pieces = pieces
		switch {
		case d == nil:
			l.partial = true
		case d.Empty():
			l.warn(realm.Pos{File: f.name}, "", "the file is empty")
		default:
			d.decode(s.report, &s.entries)
		}
	}
	return all
}

func (l *loader) fail(pos realm.Pos, hint, format string, args ...any) {
	l.report.add(pos, Error, hint, format, args...)
}

func (l *loader) warn(pos realm.Pos, hint, format string, args ...any) {
	l.report.add(pos, Warning, hint, format, args...)
}

// name checks the name of a client, home or pool; false if there is none to
// speak of.
func (l *loader) name(entry realm.Pos, name at[string]) bool {
	if !name.set() {
		return false // the decoder has said so
	}
	if text := badName(name.v); text != "" {
		l.fail(name.pos(entry.File), "", "%s", text)
		return false
	}
	return true
}

func (l *loader) twice(pos, first realm.Pos, kind, name string) {
	l.fail(pos, "first at "+first.String(), "%s %s is defined twice", kind, quote(name))
}

// choose returns the value of one word out of several.
func choose[T any](l *loader, entry realm.Pos, key string, word at[string], otherwise T, words []string, values ...T) T {
	if !word.set() {
		return otherwise
	}
	for i, w := range words {
		if word.v == w {
			return values[i]
		}
	}
	last := len(words) - 1
	hint := "write " + strings.Join(words[:last], ", ") + " or " + words[last]
	if n := nearest(word.v, words); n != "" {
		hint = "did you mean " + n + "?"
	}
	l.fail(word.pos(entry.File), hint, "%s: unknown word %s", key, quote(word.v))
	return otherwise
}

// keysOf returns the names of a map for a hint; a long list helps nobody.
func keysOf[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	return names
}

// arena keeps texts side by side, so that a million names are a few objects.
type arena struct{ text strings.Builder }

const arenaSize = 16 << 10

func (a *arena) keep(s string) string {
	if a.text.Cap()-a.text.Len() < len(s) {
		a.text = strings.Builder{}
		a.text.Grow(max(arenaSize, len(s)))
	}
	from := a.text.Len()
	a.text.WriteString(s)
	return a.text.String()[from:]
}

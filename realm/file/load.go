package file

import (
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
	l := newLoader(r, env)
	set := l.load(dir, files, hash)
	return set, r.problems()
}

// loader compiles one version of the files.
type loader struct {
	report  *report
	secrets secrets
	set     *realm.Set

	clients  map[string]realm.Pos
	homes    map[string]int32
	pools    map[string]int32
	routes   map[string]int32
	prefixes prefixes
	// usedPool tells by service and pool whether a route uses it.
	usedPool [2][]bool
	members  [][]memberEntry // of each pool, for positions
	// partial is set when a file could not be read: what another file refers
	// to may stand there, so a missing name is no news.
	partial bool
}

func newLoader(r *report, env func(string) (string, bool)) *loader {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	return &loader{
		report: r,
		secrets: secrets{
			report: r, env: env,
			files: make(map[string]secretFile), owners: make(map[string]owner),
		},
		set:     &realm.Set{},
		clients: make(map[string]realm.Pos),
		homes:   make(map[string]int32),
		pools:   make(map[string]int32),
	}
}

// load returns the Set, nil if there is an error.
func (l *loader) load(dir string, files []content, hash [32]byte) *realm.Set {
	// Nothing of the files' text stays in the set: what is kept is cloned.
	all := l.decode(files)
	for i := range all {
		for j := range all[i].Clients {
			l.client(&all[i].Clients[j])
		}
		for j := range all[i].Homes {
			l.home(&all[i].Homes[j])
		}
	}
	l.ambiguousHomes()
	for i := range all {
		for j := range all[i].Pools {
			l.pool(&all[i].Pools[j])
		}
	}
	l.realms(all)
	l.services()
	if !l.report.failed() {
		l.lint(dir)
	}
	if l.report.failed() {
		return nil
	}
	l.set.Table = realm.NewTable(l.set.Routes)
	l.set.Hash = hash
	return l.set
}

func (l *loader) realms(all []entries) {
	l.usedPool = [2][]bool{make([]bool, len(l.set.Pools)), make([]bool, len(l.set.Pools))}
	names := 0
	for i := range all {
		for j := range all[i].Realms {
			names += len(all[i].Realms[j].Realm)
		}
	}
	l.routes = make(map[string]int32, names)
	l.set.Routes = make([]realm.Route, 0, names)
	for i := range all {
		for j := range all[i].Realms {
			l.realm(&all[i].Realms[j])
		}
		all[i].Realms = nil
	}
}

func (l *loader) decode(files []content) []entries {
	all := make([]entries, len(files))
	l.partial = l.report.failed()
	for i, f := range files {
		d := parse(l.report, f.name, f.data)
		switch {
		case d == nil:
			l.partial = true
		case d.Empty():
			l.warn(realm.Pos{File: f.name}, "", "the file is empty")
		default:
			d.decode(l.report, &all[i])
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
	hint := "write " + words[0] + " or " + words[1]
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

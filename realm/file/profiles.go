package file

import (
	"embed"
	"path"
	"strings"
	"sync"

	"github.com/roamgate/roamgate/realm"
)

// Profiles are the ready filters, written as an operator would write them.
//
//go:embed profiles/*.yaml
var profileFiles embed.FS

// profileNames are the ready filters in the order of their names.
var profileNames = func() (names []string) {
	entries, _ := profileFiles.ReadDir("profiles")
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), path.Ext(e.Name())))
	}
	return names
}()

// ProfileNames returns the names of the ready filters, sorted.
func ProfileNames() []string { return append([]string(nil), profileNames...) }

// ProfileText returns a ready filter as it is written, "" if there is none of
// the name.
func ProfileText(name string) string {
	text, _ := profileFiles.ReadFile("profiles/" + name + ".yaml")
	return string(text)
}

// profiles compiles the ready filters once.
var profiles = sync.OnceValue(func() map[string]*realm.Filter {
	all := make(map[string]*realm.Filter)
	for _, name := range profileNames {
		compileProfile(name, all)
	}
	return all
})

// compileProfile compiles a ready filter and the one that it begins with.
func compileProfile(name string, all map[string]*realm.Filter) {
	if all[name] != nil {
		return
	}
	l := newLoader(nil, 1)
	var e entries
	if d := parse(l.phase(), name, []byte(ProfileText(name))); d != nil {
		d.decode(l.report, &e)
	}
	for i := range e.Filters {
		if begins := e.Filters[i].Profile; begins.set() {
			compileProfile(begins.v, all)
		}
		f := l.compileFilter(&e.Filters[i], all)
		f.Pos = realm.Pos{}
		for j := range f.Rules {
			f.Rules[j].Pos = realm.Pos{}
		}
		all[f.Name] = f
	}
	if l.report.failed() {
		panic("realm/file: profile " + l.report.problems().Error()) // built in, proven by the tests
	}
}

// Profile returns a ready filter, nil if there is none of the name. It must not
// be changed.
func Profile(name string) *realm.Filter { return profiles()[name] }

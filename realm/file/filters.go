package file

import (
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// filters compiles the filters of all files.
func (l *loader) filters(all []source) {
	for i := range all {
		for j := range all[i].Filters {
			e := &all[i].Filters[j]
			if e.Pos.Line == 0 || !l.name(e.Pos, e.Name) {
				continue
			}
			f := &realm.Filter{Name: strings.Clone(e.Name.v), Pos: e.Pos}
			if first, twice := l.filterNames[f.Name]; twice {
				l.twice(e.Name.pos(e.Pos.File), first.Pos, "filter", f.Name)
				continue
			}
			l.filterNames[f.Name] = f
			l.set.Filters = append(l.set.Filters, f)
		}
	}
}

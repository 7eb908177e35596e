package freeradius

import (
	"fmt"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// fail is what the original refuses, or what is too large to be a
// configuration, and where.
func fail(pos realm.Pos, format string, args ...any) error {
	if pos.File == "" {
		return fmt.Errorf(format, args...)
	}
	return migrate.Refuse(pos, format, args...)
}

// Pair is "name = value", or a name alone.
type Pair struct {
	Pos   realm.Pos
	Name  string
	Value string
	Bare  bool   // there is no value
	Op    string // =, :=, +=, ...
	Quote byte   // that the value had, 0: none

	later bool // it refers to what stood further down when it was read
}

// Section is "name { }" or "name name2 { }".
type Section struct {
	Pos    realm.Pos
	Name   string
	Second string
	Named  bool // there is a second name
	Items  []Item

	parent   *Section
	template *Section // until its end is read
}

// Item is one of both.
type Item struct {
	Pair    *Pair
	Section *Section
}

// Title is how the section begins in its file.
func (s *Section) Title() string {
	if s.Named {
		return s.Name + " " + s.Second
	}
	return s.Name
}

// Pair gives the first pair of a name, which is the one that counts.
func (s *Section) Pair(name string) *Pair {
	for _, i := range s.Items {
		if i.Pair != nil && i.Pair.Name == name {
			return i.Pair
		}
	}
	if s.template != nil {
		return s.template.Pair(name)
	}
	return nil
}

// Text is the value of a pair and whether it has one.
func (s *Section) Text(name string) (string, bool) {
	p := s.Pair(name)
	if p == nil || p.Bare {
		return "", false
	}
	return p.Value, true
}

// Pairs gives all pairs of a name.
func (s *Section) Pairs(name string) (all []*Pair) {
	for _, i := range s.Items {
		if i.Pair != nil && i.Pair.Name == name {
			all = append(all, i.Pair)
		}
	}
	return all
}

// Sub gives the first section of a name, whatever its second name.
func (s *Section) Sub(name string) *Section {
	for _, i := range s.Items {
		if i.Section != nil && i.Section.Name == name {
			return i.Section
		}
	}
	return nil
}

// Instance gives the section with both names.
func (s *Section) Instance(name, second string) *Section {
	for _, i := range s.Items {
		if i.Section != nil && i.Section.Name == name && i.Section.Named && i.Section.Second == second {
			return i.Section
		}
	}
	return nil
}

// Subs gives all sections of a name.
func (s *Section) Subs(name string) (all []*Section) {
	for _, i := range s.Items {
		if i.Section != nil && i.Section.Name == name {
			all = append(all, i.Section)
		}
	}
	return all
}

func (s *Section) top() *Section {
	for s.parent != nil {
		s = s.parent
	}
	return s
}

// within reports whether one of the sections around s has one of the names.
func (s *Section) within(names ...string) bool {
	for p := s.parent; p != nil; p = p.parent {
		for _, name := range names {
			if p.Name == name {
				return true
			}
		}
	}
	return false
}

// refer finds what ${name} means inside of s: a pair or a section.
func (s *Section) refer(name string) Item {
	cs, p := s, name
	switch {
	case strings.HasPrefix(p, "."):
		p = p[1:]
		for strings.HasPrefix(p, ".") {
			if cs.parent != nil {
				cs = cs.parent
			}
			p = p[1:]
		}
		if p == "" {
			return Item{Section: cs}
		}
	case strings.Contains(p, "."):
		cs = s.top()
	}
	for {
		at := strings.IndexAny(p, ".[")
		if at < 0 {
			break
		}
		var next *Section
		rest := p[at+1:]
		if p[at] == '[' {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return Item{}
			}
			next = cs.Instance(p[:at], rest[:end])
			switch rest = rest[end+1:]; {
			case rest == "":
				return Item{Section: next}
			case rest[0] != '.':
				return Item{}
			}
			rest = rest[1:]
		} else {
			next = cs.Sub(p[:at])
		}
		if next == nil {
			break
		}
		cs, p = next, rest
	}
	if p == "" {
		return Item{}
	}
	for {
		if pair := cs.Pair(p); pair != nil {
			return Item{Pair: pair}
		}
		if sub := cs.Sub(p); sub != nil {
			return Item{Section: sub}
		}
		// A plain name is looked for here, then at the top.
		if p != name || cs == s.top() {
			return Item{}
		}
		cs = s.top()
	}
}

// merge adds what a template has and s does not.
func (r *reader) merge(s, template *Section) error {
	for _, i := range template.Items {
		switch {
		case i.Pair != nil:
			if s.Pair(i.Pair.Name) != nil {
				continue
			}
			p := *i.Pair
			if err := r.add(s, Item{Pair: &p}); err != nil {
				return err
			}
		default:
			var same *Section
			for _, sub := range s.Subs(i.Section.Name) {
				if sub.Named == i.Section.Named && sub.Second == i.Section.Second {
					same = sub
					break
				}
			}
			var err error
			if same != nil {
				err = r.merge(same, i.Section)
			} else {
				err = r.copy(s, i.Section)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// copy adds a copy of a section to s.
func (r *reader) copy(s, of *Section) error {
	c := &Section{Pos: of.Pos, Name: of.Name, Second: of.Second, Named: of.Named}
	if err := r.add(s, Item{Section: c}); err != nil {
		return err
	}
	for _, i := range of.Items {
		var err error
		if i.Pair != nil {
			p := *i.Pair
			err = r.add(c, Item{Pair: &p})
		} else {
			err = r.copy(c, i.Section)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add bounds how much there is: copies of copies grow fast.
func (r *reader) add(s *Section, i Item) error {
	if r.items++; r.items > maxItems {
		return fail(s.Pos, "more than %d entries", maxItems)
	}
	if i.Section != nil {
		i.Section.parent = s
		i.Section.Pos = either(i.Section.Pos, s.Pos)
	}
	s.Items = append(s.Items, i)
	return nil
}

func either(a, b realm.Pos) realm.Pos {
	if a.File == "" {
		return b
	}
	return a
}

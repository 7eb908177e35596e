package freeradius

import (
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// maxExpanded bounds a value, as the original does.
const maxExpanded = 8191

// expand replaces ${name} and $ENV{NAME}. soft says that an error may pass
// when the whole configuration is read.
func (r *reader) expand(in *Section, text string, pos realm.Pos) (value string, soft bool, err error) {
	if !strings.Contains(text, "$") {
		return text, false, nil
	}
	var b strings.Builder
	for text != "" {
		at := strings.IndexByte(text, '$')
		if at < 0 {
			at = len(text)
		}
		b.WriteString(text[:at])
		text = text[at:]
		inner, rest, kind := variable(text)
		switch kind {
		case noVariable:
			if text != "" {
				b.WriteByte('$')
				text = text[1:]
			}
			continue
		case openVariable:
			return "", false, fail(pos, "variable expansion missing }")
		case environment:
			b.WriteString(r.env(inner))
		case reference:
			s, soft, err := r.reference(in, inner, pos)
			if err != nil {
				return "", soft, err
			}
			b.WriteString(s)
		}
		text = rest
		if b.Len() > maxExpanded {
			return "", false, fail(pos, "reference is too long")
		}
	}
	// Many short lines may refer to one long value.
	if r.octets += b.Len(); r.octets > maxOctets {
		return "", false, fail(pos, "more than %d octets in all files and values", maxOctets)
	}
	return b.String(), false, nil
}

type variableKind uint8

const (
	noVariable variableKind = iota
	openVariable
	reference
	environment
)

// variable reads a variable at the begin of text.
func variable(text string) (inner, rest string, kind variableKind) {
	kind = reference
	after, ok := strings.CutPrefix(text, "${")
	if !ok {
		kind = environment
		if after, ok = strings.CutPrefix(text, "$ENV{"); !ok {
			return "", text, noVariable
		}
	}
	inner, rest, ok = strings.Cut(after, "}")
	if !ok {
		return "", text, openVariable
	}
	return inner, rest, kind
}

func (r *reader) env(name string) string {
	if r.Env != nil {
		if v, ok := r.Env(name); ok {
			return v
		}
	}
	r.missing = append(r.missing, name)
	return ""
}

// reference gives what ${name} or ${name:property} stands for. A section is
// copied into the one that refers to it.
func (r *reader) reference(in *Section, name string, pos realm.Pos) (value string, soft bool, err error) {
	name, property, hasProperty := strings.Cut(name, ":")
	found := in.refer(name)
	switch {
	case found == Item{}:
		return "", true, fail(pos, "reference \"${%s}\" not found", name)
	case hasProperty && found.Section == nil:
		return "", false, fail(pos, "can only reference properties of sections")
	case hasProperty:
		switch strings.ToLower(property) {
		case "name":
			return found.Section.Name, false, nil
		case "instance":
			if found.Section.Named {
				return found.Section.Second, false, nil
			}
			return found.Section.Name, false, nil
		}
		return "", false, fail(pos, "invalid property %q", property)
	case found.Pair != nil:
		if found.Pair.later {
			return "", true, fail(pos, "reference \"${%s}\" points to a variable which has not been expanded", name)
		}
		return found.Pair.Value, false, nil
	case found.Section.parent == in:
		return "", false, fail(pos, "cannot reference different item in same section")
	case found.Section == in || in.under(found.Section):
		return "", false, fail(pos, "a section that contains itself")
	}
	return "", false, r.copy(in, found.Section)
}

// resolve expands what referred to something further down: all pairs of a
// section, then those of its sections.
func (r *reader) resolve(s *Section) error {
	for i := 0; i < len(s.Items); i++ {
		p := s.Items[i].Pair
		if p == nil || !p.later {
			continue
		}
		p.later = false
		value, _, err := r.expand(s, p.Value, p.Pos)
		if err != nil {
			return err
		}
		p.Value = value
	}
	for i := 0; i < len(s.Items); i++ {
		if sub := s.Items[i].Section; sub != nil {
			if err := r.resolve(sub); err != nil {
				return err
			}
		}
	}
	return nil
}

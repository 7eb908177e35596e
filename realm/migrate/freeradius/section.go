package freeradius

import (
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// parser is inside of one file.
type parser struct {
	*reader
	file    string
	outer   *Section // the file began in it
	this    *Section
	depth   int
	whole   string // the logical line
	rest    string // of it
	lineNo  int
	started bool
}

func (r *reader) section(file, text string, into *Section) error {
	p := &parser{reader: r, file: file, outer: into, this: into}
	in := &lines{file: file, text: text}
	for {
		line, at, more, err := in.next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		p.whole, p.rest, p.lineNo = line, line, at
		for p.started = false; p.more(); p.started = true {
			end, err := p.statement()
			if err != nil {
				return err
			}
			if end {
				break
			}
		}
	}
	if p.this != p.outer {
		return fail(realm.Pos{File: file, Line: in.line, Col: 1},
			"EOF reached without closing brace for section %s starting at line %d", p.this.Name, p.this.Pos.Line)
	}
	return nil
}

// more reports whether the line goes on.
func (p *parser) more() bool {
	p.rest = skipSpace(p.rest)
	return p.rest != "" && (!p.started || p.rest[0] != '#')
}

func (p *parser) pos() realm.Pos {
	return realm.Pos{File: p.file, Line: p.lineNo, Col: len(p.whole) - len(p.rest) + 1}
}

// statement reads one entry, or the end of a section. end leaves the rest of
// the line alone.
func (p *parser) statement() (end bool, err error) {
	pos := p.pos()
	if strings.HasPrefix(p.rest, "%{") || p.rest[0] == '`' {
		return true, p.expansion(pos)
	}
	t, name, rest := next(p.rest, true, true)
	switch {
	case t == tokenBad:
		return false, fail(pos, "syntax error: %s", tokenBad)
	case t == "}":
		p.rest = rest
		return false, p.close(pos)
	case t == tokenWord:
		done, err := p.keyword(name, rest, pos)
		if done || err != nil {
			return done && !p.inSection(name), err
		}
	}
	p.rest = rest
	return p.entry(name, pos)
}

// inSection reports whether a keyword opens a section, behind which the line
// goes on.
func (p *parser) inSection(name string) bool { return name == "if" || name == "elsif" }

// expansion is a line that is nothing but %{...} or `...`: policy that runs.
func (p *parser) expansion(pos realm.Pos) error {
	var text, rest string
	if p.rest[0] == '`' {
		var ok bool
		if _, rest, ok = quoted(p.rest, false); !ok {
			return fail(pos, "invalid expansion")
		}
	} else {
		at := closing(p.rest, 1)
		if at < 0 {
			return fail(pos, "invalid expansion")
		}
		rest = p.rest[at+1:]
	}
	text = p.rest[:len(p.rest)-len(rest)]
	if t, _, _ := next(rest, true, true); t != tokenEnd && t != "#" {
		return fail(pos, "invalid expansion")
	}
	return p.add(p.this, Item{Pair: &Pair{Pos: pos, Name: text, Bare: true, Op: "="}})
}

// close ends a section, with what its template adds.
func (p *parser) close(pos realm.Pos) error {
	if p.this == p.outer {
		return fail(pos, "too many closing braces")
	}
	s := p.this
	if t := s.template; t != nil {
		s.template = nil
		if err := p.merge(s, t); err != nil {
			return err
		}
	}
	p.this = s.parent
	p.depth--
	return nil
}

// keyword carries out what is no entry: done says that name was one.
func (p *parser) keyword(name, rest string, pos realm.Pos) (done bool, err error) {
	switch lower := strings.ToLower(name); {
	case lower == "$include" || lower == "$-include":
		_, word, _ := next(rest, false, true) // what stands behind it is not read
		return true, p.includes(p.this, p.file, word, lower == "$-include", pos)
	case lower == "$template":
		return true, p.useTemplate(rest, pos)
	case strings.HasPrefix(name, "_"):
		return true, fail(pos, "illegal configuration pair name %q", name)
	case name == "if" || name == "elsif":
		return true, p.branch(name, rest, pos)
	}
	return false, nil
}

func (p *parser) useTemplate(rest string, pos realm.Pos) error {
	_, word, _ := next(rest, false, true)
	templates := p.this.top().Sub("templates")
	if templates == nil {
		return fail(pos, "no \"templates\" section for reference %q", word)
	}
	found := templates.refer(word).Section
	if found == nil {
		return fail(pos, "reference %q not found", word)
	}
	if p.this.template != nil {
		return fail(pos, "section already has a template")
	}
	if p.this == found || p.this.under(found) {
		return fail(pos, "a template that contains itself")
	}
	p.this.template = found
	return nil
}

func (s *Section) under(of *Section) bool {
	for p := s.parent; p != nil; p = p.parent {
		if p == of {
			return true
		}
	}
	return false
}

// branch reads the condition of if and elsif, which may contain everything.
func (p *parser) branch(name, rest string, pos realm.Pos) error {
	if p.this.parent == nil || !p.this.within("server", "policy", "instantiate") {
		return fail(pos, "invalid location for %q", name)
	}
	n := condition(rest)
	if n < 0 {
		return fail(pos, "parse error in condition")
	}
	text := strings.TrimSpace(rest[:n])
	if text == "" {
		return fail(pos, "parse error in condition: empty")
	}
	if strings.Contains(text, "$") {
		var err error
		if text, _, err = p.expand(p.this, text, pos); err != nil {
			return err
		}
	}
	p.rest = rest[n+1:]
	return p.opening(&Section{Pos: pos, Name: name, Second: text, Named: true})
}

// opening goes into a new section.
func (p *parser) opening(s *Section) error {
	if p.depth++; p.depth > maxNesting {
		return fail(s.Pos, "sections more than %d deep", maxNesting)
	}
	if err := p.add(p.this, Item{Section: s}); err != nil {
		return err
	}
	p.this = s
	return nil
}

// entry reads what stands behind a name: an operator and a value, a section, or
// nothing.
func (p *parser) entry(name string, pos realm.Pos) (end bool, err error) {
	t, text, rest := next(p.rest, true, false)
	switch t {
	case tokenEnd, "#", ",":
		p.rest = rest
		return true, p.add(p.this, Item{Pair: &Pair{Pos: pos, Name: name, Bare: true, Op: "="}})
	case "++", "+=", "==", "-=", "<=", ">=", "!*":
		if p.this.Name != "update" {
			return false, fail(pos, "invalid operator in assignment")
		}
		return p.value(&Pair{Pos: pos, Name: name, Op: string(t)}, rest)
	case "=", ":=", "^=":
		return p.value(&Pair{Pos: pos, Name: name, Op: string(t)}, rest)
	case tokenWord, tokenDouble, tokenSingle:
		brace, _, behind := next(rest, true, true)
		if brace != "{" {
			return false, fail(pos, "expecting section start brace '{' after %q and a word", name)
		}
		p.rest = behind
		return false, p.opening(&Section{Pos: pos, Name: name, Second: text, Named: true})
	case "{":
		p.rest = rest
		return false, p.opening(&Section{Pos: pos, Name: name})
	case tokenBad:
		return false, fail(pos, "syntax error behind %q: %s", name, tokenBad)
	}
	return false, fail(pos, "parse error after %q: unexpected token %q", name, string(t))
}

// value reads the value of a pair, and what may stand behind it.
func (p *parser) value(pair *Pair, rest string) (end bool, err error) {
	rest = skipSpace(rest)
	t := tokenEnd
	switch {
	case rest == "":
	case rest[0] == '#':
		t = "#"
	case rest[0] == '"' || rest[0] == '\'' || rest[0] == '`':
		t, pair.Value, rest = next(rest, true, false)
		if t == tokenBad {
			return false, fail(pair.Pos, "parse error: %s", tokenBad)
		}
		pair.Quote = t[len(t)-1]
	default:
		at := 0
		for at < len(rest) && rest[at] > ' ' && rest[at] != ',' {
			at++
		}
		t, pair.Value, rest = tokenWord, rest[:at], rest[at:]
	}
	switch t {
	case tokenEnd, "#":
		pair.Bare = true
	case tokenWord, tokenDouble, tokenBack:
		value, soft, err := p.expand(p.this, pair.Value, pair.Pos)
		switch {
		case err == nil:
			pair.Value = value
		case soft:
			pair.later = true
		default:
			return false, err
		}
	}
	if err := p.add(p.this, Item{Pair: pair}); err != nil {
		return false, err
	}
	rest = skipSpace(rest)
	p.rest = rest
	switch {
	case rest != "" && rest[0] == ',':
		p.rest = rest[1:]
		return false, nil
	case t == tokenEnd || t == "#" || rest == "" || rest[0] == '#':
		return true, nil
	case rest[0] == '}':
		return false, nil
	}
	// The value may be a secret, and so what stands behind it.
	return false, fail(p.pos(), "syntax error: expected comma after the value of %q", pair.Name)
}

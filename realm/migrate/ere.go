package migrate

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ERE is a POSIX extended regular expression as regcomp of the GNU C library
// reads it in the C locale: octets, case ignored, no newline rules. Programs
// of another world route by such.
type ERE struct {
	root  *ereNode
	text  string
	exact *regexp.Regexp // over upper-case octets that stand as runes
	walk  walk           // of the same
}

type ereOp uint8

const (
	ereEmpty ereOp = iota
	ereSet
	ereBegin
	ereEnd
	ereBoundary
	ereNoBoundary
	ereCat
	ereAlt
	ereRepeat
	ereGroup
)

type ereNode struct {
	op       ereOp
	set      [256]bool // of upper-case octets
	inverted bool      // it was written as what is not in it
	subs     []*ereNode
	min, max int // max -1: no end
}

const (
	maxERE    = 1024
	maxNested = 64
	maxRepeat = 1000 // what RE2 takes
)

// errNoRE2 is about what only backtracking can do.
var errNoRE2 = errors.New("a back reference or a word's begin or end (\\1, \\<, \\>) has no like here")

// ParseERE reads an expression. An error that wraps ErrRefused is one for the
// original too.
func ParseERE(text string) (*ERE, error) {
	if len(text) > maxERE {
		return nil, errors.New("the expression is longer than 1024 octets")
	}
	p := ereParser{in: text}
	root, err := p.alternatives(0)
	if err != nil {
		return nil, err
	}
	e := &ERE{root: root, text: text}
	var b strings.Builder
	printExact(&b, root)
	if e.exact, err = regexp.Compile(b.String()); err != nil {
		return nil, fmt.Errorf("the expression is too large: %w", sizeError(err))
	}
	e.exact.Longest()
	if e.walk, err = program(b.String()); err != nil {
		return nil, err
	}
	return e, nil
}

// ErrRefused marks an expression that regcomp refuses.
var ErrRefused = errors.New("invalid regular expression")

func refused(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

func sizeError(err error) error {
	var e *syntax.Error
	if errors.As(err, &e) {
		return errors.New(e.Code.String())
	}
	return err
}

// Match reports what regexec says of octets, which end at a NUL.
func (e *ERE) Match(in []byte) bool { return e.exact.MatchString(exactly(in)) }

// Submatch returns the octets of the whole match and of the groups, nil where
// nothing matches; of a group that took no part it returns nil.
func (e *ERE) Submatch(in []byte) [][]byte {
	runes := exactly(in)
	at := e.exact.FindStringSubmatchIndex(runes)
	if at == nil {
		return nil
	}
	out := make([][]byte, len(at)/2)
	for i := range out {
		if at[2*i] >= 0 {
			from := utf8.RuneCountInString(runes[:at[2*i]])
			to := utf8.RuneCountInString(runes[:at[2*i+1]])
			out[i] = append([]byte{}, in[from:to]...)
		}
	}
	return out
}

// exactly makes a rune of each octet, so that "." is one octet.
func exactly(in []byte) string {
	var b strings.Builder
	for _, c := range in {
		if c == 0 {
			break
		}
		b.WriteRune(rune(upper(c)))
	}
	return b.String()
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c - 'A' + 'a'
	}
	return c
}

type ereParser struct {
	in string
	at int
}

func (p *ereParser) more() bool { return p.at < len(p.in) }

// alternatives reads up to the parenthesis that closes, or to the end.
func (p *ereParser) alternatives(depth int) (*ereNode, error) {
	if depth > maxNested {
		return nil, errors.New("the expression is nested too deeply")
	}
	var subs []*ereNode
	for {
		branch, err := p.branch(depth)
		if err != nil {
			return nil, err
		}
		subs = append(subs, branch)
		if !p.more() || p.in[p.at] != '|' {
			break
		}
		p.at++
	}
	if len(subs) == 1 {
		return subs[0], nil
	}
	return &ereNode{op: ereAlt, subs: subs}, nil
}

func (p *ereParser) branch(depth int) (*ereNode, error) {
	cat := &ereNode{op: ereCat}
	for p.more() && p.in[p.at] != '|' && (p.in[p.at] != ')' || depth == 0) {
		piece, err := p.piece(depth)
		if err != nil {
			return nil, err
		}
		cat.subs = append(cat.subs, piece)
	}
	switch len(cat.subs) {
	case 0:
		return &ereNode{op: ereEmpty}, nil
	case 1:
		return cat.subs[0], nil
	}
	return cat, nil
}

func (p *ereParser) piece(depth int) (*ereNode, error) {
	n, err := p.atom(depth)
	if err != nil {
		return nil, err
	}
	if n.op == ereBegin || n.op == ereEnd || n.op == ereBoundary || n.op == ereNoBoundary {
		return n, nil // what repeats an anchor is refused by the next atom
	}
	for p.more() {
		low, high, ok, err := p.times()
		if err != nil {
			return nil, err
		}
		if !ok {
			return n, nil
		}
		n = &ereNode{op: ereRepeat, subs: []*ereNode{n}, min: low, max: high}
	}
	return n, nil
}

func (p *ereParser) times() (low, high int, ok bool, err error) {
	c := p.in[p.at]
	switch c {
	case '*', '+', '?':
		p.at++
		low, high = 0, -1
		if c == '+' {
			low = 1
		}
		if c == '?' {
			high = 1
		}
		return low, high, true, nil
	case '{':
		end := strings.IndexByte(p.in[p.at:], '}')
		if end < 0 {
			return 0, 0, false, refused("a { without }")
		}
		first, last, comma := strings.Cut(p.in[p.at+1:p.at+end], ",")
		p.at += end + 1
		low, err1 := count(first, 0)
		high, err2 := low, error(nil)
		if comma {
			high, err2 = count(last, -1)
		} else if first == "" {
			err2 = refused("{} without a number")
		}
		switch {
		case err1 != nil || err2 != nil:
			return 0, 0, false, errors.Join(err1, err2)
		case high >= 0 && high < low:
			return 0, 0, false, refused("a range in {} that is reversed")
		}
		return low, high, true, nil
	}
	return 0, 0, false, nil
}

func count(s string, absent int) (int, error) {
	if s == "" {
		return absent, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	switch {
	case err != nil:
		return 0, refused("{} without a number")
	case n > 32767:
		return 0, refused("a number in {} is too large")
	case n > maxRepeat:
		return 0, errors.New("more than 1000 repetitions are not possible here")
	}
	return int(n), nil
}

func single(c byte) *ereNode {
	n := &ereNode{op: ereSet}
	n.set[upper(c)] = true
	return n
}

func (p *ereParser) atom(depth int) (*ereNode, error) {
	c := p.in[p.at]
	p.at++
	switch c {
	case '(':
		inner, err := p.alternatives(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.more() {
			return nil, refused("a ( without )")
		}
		p.at++
		return &ereNode{op: ereGroup, subs: []*ereNode{inner}}, nil
	case '*', '+', '?', '{':
		return nil, refused("nothing stands in front of " + string(c))
	case '^':
		return &ereNode{op: ereBegin}, nil
	case '$':
		return &ereNode{op: ereEnd}, nil
	case '.':
		return (&ereNode{op: ereSet, inverted: true}).invert(), nil
	case '[':
		return p.bracket()
	case '\\':
		return p.escape()
	}
	return single(c), nil
}

func (p *ereParser) escape() (*ereNode, error) {
	if !p.more() {
		return nil, refused("a backslash at the end")
	}
	c := p.in[p.at]
	p.at++
	switch c {
	case 'w', 'W':
		n := &ereNode{op: ereSet}
		n.class("alnum")
		n.set['_'] = true
		return n.invertIf(c == 'W'), nil
	case 's', 'S':
		n := &ereNode{op: ereSet}
		n.class("space")
		return n.invertIf(c == 'S'), nil
	case 'b':
		return &ereNode{op: ereBoundary}, nil
	case 'B':
		return &ereNode{op: ereNoBoundary}, nil
	case '`':
		return &ereNode{op: ereBegin}, nil
	case '\'':
		return &ereNode{op: ereEnd}, nil
	case '<', '>', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return nil, errNoRE2
	}
	if lower(c) != upper(c) && c == lower(c) {
		// The library compares names in upper case, but forgets it here.
		return &ereNode{op: ereSet}, nil
	}
	return single(c), nil
}

func (n *ereNode) invertIf(yes bool) *ereNode {
	if yes {
		n.inverted = true
		return n.invert()
	}
	return n
}

// invert turns the set round. No octet is ever a NUL, and none is of lower
// case.
func (n *ereNode) invert() *ereNode {
	for c := 1; c < 256; c++ {
		n.set[c] = !n.set[c] && upper(byte(c)) == byte(c)
	}
	n.set[0] = false
	return n
}

// bracket reads a set. A backslash stands for itself in it.
func (p *ereParser) bracket() (*ereNode, error) {
	n := &ereNode{op: ereSet}
	if p.more() && p.in[p.at] == '^' {
		n.inverted = true
		p.at++
	}
	for first := true; ; first = false {
		if !p.more() {
			return nil, refused("a [ without ]")
		}
		if p.in[p.at] == ']' && !first {
			p.at++
			return n.invertIf(n.inverted), nil
		}
		if strings.HasPrefix(p.in[p.at:], "[:") {
			name, rest, ok := strings.Cut(p.in[p.at+2:], ":]")
			if !ok || !n.class(name) {
				return nil, refused("a character class that does not exist")
			}
			p.at = len(p.in) - len(rest)
			continue
		}
		if err := p.span(n, first); err != nil {
			return nil, err
		}
	}
}

// span reads an octet or a range of them.
func (p *ereParser) span(n *ereNode, first bool) error {
	rest := p.in[p.at:]
	if rest[0] == '-' && !first && len(rest) > 1 && rest[1] != ']' {
		return refused("a - in [] that is neither first, last nor in a range")
	}
	from, class, err := p.element()
	if err != nil {
		return err
	}
	to := from
	if rest := p.in[p.at:]; !class && len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
		p.at++
		if to, class, err = p.element(); err == nil && class {
			err = refused("a class at the end of a range")
		}
		if err != nil {
			return err
		}
	}
	if from, to = upper(from), upper(to); to < from {
		return refused("a range in [] that is reversed (letters count as upper case)")
	}
	for c := int(from); c <= int(to); c++ {
		n.set[upper(byte(c))] = true
	}
	return nil
}

// element reads an octet; class is set where it cannot stand in a range.
func (p *ereParser) element() (c byte, class bool, err error) {
	rest := p.in[p.at:]
	for _, mark := range []string{".", "="} {
		if strings.HasPrefix(rest, "["+mark) {
			name, _, ok := strings.Cut(rest[2:], mark+"]")
			if !ok || len(name) != 1 {
				return 0, false, refused("a collating element that does not exist")
			}
			p.at += len(name) + 4
			return name[0], mark == "=", nil
		}
	}
	if strings.HasPrefix(rest, "[:") {
		return 0, true, nil
	}
	p.at++
	return rest[0], false, nil
}

// class adds a character class of the C locale.
func (n *ereNode) class(name string) bool {
	is := map[string]func(c byte) bool{
		"alpha":  letter,
		"upper":  letter, // case is ignored
		"lower":  letter,
		"digit":  digit,
		"alnum":  func(c byte) bool { return letter(c) || digit(c) },
		"xdigit": func(c byte) bool { return digit(c) || c >= 'A' && c <= 'F' },
		"space":  func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' },
		"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
		"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
		"print":  func(c byte) bool { return c >= ' ' && c < 0x7f },
		"graph":  func(c byte) bool { return c > ' ' && c < 0x7f },
		"punct":  func(c byte) bool { return c > ' ' && c < 0x7f && !letter(c) && !digit(c) },
	}[name]
	if is == nil {
		return false
	}
	for c := 1; c < 128; c++ {
		if u := upper(byte(c)); is(u) {
			n.set[u] = true
		}
	}
	return true
}

func letter(c byte) bool { return c >= 'A' && c <= 'Z' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// Groups is the number of groups in the expression.
func (e *ERE) Groups() int { return e.exact.NumSubexp() }

package migrate

import (
	"regexp/syntax"
	"strings"
)

// MayMatchEnd reports whether there is a text with this end, of whichever case,
// that the expression matches. It says yes where it cannot know: a word
// boundary counts as there.
func (e *ERE) MayMatchEnd(end string) bool {
	var b strings.Builder
	printExact(&b, e.root)
	parsed, err := syntax.Parse(b.String(), syntax.Perl)
	if err != nil {
		return true
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return true
	}
	p := product{prog: prog, end: exactRunes(end), seen: make(map[place]bool)}
	p.visit(place{pc: -1, begin: true})
	for len(p.todo) > 0 {
		at := p.todo[len(p.todo)-1]
		p.todo = p.todo[:len(p.todo)-1]
		if p.step(at) {
			return true
		}
	}
	return false
}

func exactRunes(s string) []rune { return []rune(exactly([]byte(s))) }

// product walks through the expression and through all texts with the end at
// once: the texts that both accept.
type product struct {
	prog *syntax.Prog
	end  []rune
	seen map[place]bool
	todo []place
}

// place is how far both are: pc is -1 before the match begins; done octets of
// the end are there, 0 while other octets may still come in front of it.
type place struct {
	pc    int
	done  int
	begin bool // nothing was read
}

func (p *product) visit(at place) {
	if !p.seen[at] {
		p.seen[at] = true
		p.todo = append(p.todo, at)
	}
}

// read goes on to pc by an octet that the test allows.
func (p *product) read(at place, pc int, allows func(r rune) bool) {
	if at.done == 0 {
		for r := rune(1); r < 256; r++ {
			if allows(r) {
				p.visit(place{pc: pc})
				break
			}
		}
	}
	if at.done < len(p.end) && allows(p.end[at.done]) {
		p.visit(place{pc: pc, done: at.done + 1})
	}
}

// step follows one place; true: the expression has matched, and whatever text
// follows may end as wanted.
func (p *product) step(at place) bool {
	if at.pc < 0 {
		p.visit(place{pc: p.prog.Start, done: at.done, begin: at.begin})
		p.read(at, -1, func(rune) bool { return true })
		return false
	}
	in := &p.prog.Inst[at.pc]
	next := func(pc uint32) { p.visit(place{pc: int(pc), done: at.done, begin: at.begin}) }
	switch in.Op {
	case syntax.InstMatch:
		return true
	case syntax.InstAlt, syntax.InstAltMatch:
		next(in.Out)
		next(in.Arg)
	case syntax.InstCapture, syntax.InstNop:
		next(in.Out)
	case syntax.InstEmptyWidth:
		need := syntax.EmptyOp(in.Arg)
		if need&syntax.EmptyBeginText != 0 && !at.begin || need&syntax.EmptyEndText != 0 && at.done < len(p.end) {
			return false
		}
		next(in.Out)
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		p.read(at, int(in.Out), in.MatchRune)
	}
	return false
}

package migrate

import (
	"fmt"
	"regexp/syntax"
)

// walk is the expression as a program, for MayMatchEnd.
type walk struct {
	prog *syntax.Prog
	some []bool // by instruction: there is an octet that it reads
}

// program compiles an expression that regexp has compiled before.
func program(exact string) (w walk, err error) {
	parsed, err := syntax.Parse(exact, syntax.Perl)
	if err != nil {
		return w, fmt.Errorf("reading the expression: %w", err)
	}
	if w.prog, err = syntax.Compile(parsed.Simplify()); err != nil {
		return w, fmt.Errorf("compiling the expression: %w", err)
	}
	w.some = make([]bool, len(w.prog.Inst))
	for i := range w.prog.Inst {
		for r := rune(1); r < 256 && !w.some[i] && reads(&w.prog.Inst[i]); r++ {
			w.some[i] = w.prog.Inst[i].MatchRune(r)
		}
	}
	return w, nil
}

func reads(in *syntax.Inst) bool {
	switch in.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}

// MayMatchEnd reports whether there is a text with this end, of whichever case,
// that the expression matches. It says yes where it cannot know: a word
// boundary counts as there.
func (e *ERE) MayMatchEnd(end string) bool {
	p := product{walk: e.walk, end: []rune(exactly([]byte(end)))}
	p.seen = make([]bool, 2*(len(p.prog.Inst)+1)*(len(p.end)+1))
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

// product walks through the expression and through all texts with the end at
// once: the texts that both accept.
type product struct {
	walk
	end  []rune
	seen []bool
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
	i := 2 * ((at.pc+1)*(len(p.end)+1) + at.done)
	if at.begin {
		i++
	}
	if !p.seen[i] {
		p.seen[i] = true
		p.todo = append(p.todo, at)
	}
}

// step follows one place; true: the expression has matched, and whatever text
// follows may end as wanted.
func (p *product) step(at place) bool {
	if at.pc < 0 {
		p.visit(place{pc: p.prog.Start, done: at.done, begin: at.begin})
		p.read(at, -1, true, true)
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
		p.read(at, int(in.Out), p.some[at.pc], at.done < len(p.end) && in.MatchRune(p.end[at.done]))
	}
	return false
}

// read goes on to pc by an octet: some other one in front of the end, or the
// next one of the end.
func (p *product) read(at place, pc int, some, next bool) {
	if some && at.done == 0 {
		p.visit(place{pc: pc})
	}
	if next && at.done < len(p.end) {
		p.visit(place{pc: pc, done: at.done + 1})
	}
}

package file

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// Severity says what a Problem means for the files.
type Severity uint8

const (
	Info    Severity = iota // good to know
	Warning                 // works, but an operator should look
	Error                   // the files are not used
)

// String gives the word of the check command's lines.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	}
	return "error"
}

// Problem is one thing to say about the files.
type Problem struct {
	Pos      realm.Pos // Line 0: the file or directory as a whole
	Severity Severity
	Text     string // what is wrong, without a final period
	Hint     string // what to do about it, may be empty
}

// String gives file:line:col: severity: text (hint).
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.Pos.File == "":
	case p.Pos.Line == 0:
		b.WriteString(p.Pos.File + ": ")
	default:
		b.WriteString(p.Pos.String() + ": ")
	}
	b.WriteString(p.Severity.String() + ": " + p.Text)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems is a list of problems in the order of their positions. It is an
// error value; use Err to get nil when nothing in it is of severity Error.
type Problems []Problem

// Error gives one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Count returns how many problems are of the severity.
func (ps Problems) Count(s Severity) int {
	n := 0
	for _, p := range ps {
		if p.Severity == s {
			n++
		}
	}
	return n
}

// Failed reports whether any problem is of severity Error.
func (ps Problems) Failed() bool { return ps.Count(Error) > 0 }

// Err returns ps if it Failed, else nil.
func (ps Problems) Err() error {
	if ps.Failed() {
		return ps
	}
	return nil
}

const (
	maxProblems = 200    // shown
	maxHeld     = 20_000 // kept of each severity until they are sorted
	maxQuoted   = 64     // octets of a file's text inside a message
)

// report collects the problems of one load, bounded however wrong the files
// are.
type report struct {
	held [Error + 1][]held
	more [Error + 1]int
}

// held is a problem whose hint may still have to be found.
type held struct {
	Problem
	hint func() string
}

func (r *report) add(pos realm.Pos, s Severity, hint, format string, args ...any) {
	if r.room(s) {
		r.held[s] = append(r.held[s], held{Problem: Problem{Pos: pos, Severity: s, Text: fmt.Sprintf(format, args...), Hint: hint}})
	}
}

// later is add with a hint that takes a search: it is made for what is shown.
func (r *report) later(pos realm.Pos, s Severity, hint func() string, format string, args ...any) {
	if r.room(s) {
		r.held[s] = append(r.held[s], held{Problem{Pos: pos, Severity: s, Text: fmt.Sprintf(format, args...)}, hint})
	}
}

func (r *report) room(s Severity) bool {
	if len(r.held[s]) < maxHeld {
		return true
	}
	r.more[s]++
	return false
}

// errors is how many there are.
func (r *report) errors() int { return len(r.held[Error]) + r.more[Error] }

// join adds the problems of a report that came after this one.
func (r *report) join(next *report) {
	for s := range r.held {
		take := min(len(next.held[s]), maxHeld-len(r.held[s]))
		r.held[s] = append(r.held[s], next.held[s][:take]...)
		r.more[s] += next.more[s] + len(next.held[s]) - take
	}
}

func (r *report) failed() bool { return len(r.held[Error]) > 0 }

// problems sorts what was collected. Where there is too much to read, errors
// are kept before warnings and warnings before the rest.
func (r *report) problems() Problems {
	var ps Problems
	hidden, worst := 0, Info
	for s := int(Error); s >= 0; s-- {
		slices.SortStableFunc(r.held[s], func(a, b held) int { return byPosition(&a.Problem, &b.Problem) })
		take := min(len(r.held[s]), maxProblems-len(ps))
		for _, h := range r.held[s][:take] {
			if h.hint != nil {
				h.Hint = h.hint()
			}
			ps = append(ps, h.Problem)
		}
		if left := len(r.held[s]) - take + r.more[s]; left > 0 {
			hidden += left
			worst = max(worst, Severity(s))
		}
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return byPosition(&a, &b) })
	if hidden > 0 {
		ps = append(ps, Problem{Severity: worst, Text: fmt.Sprintf("and %d more", hidden)})
	}
	return ps
}

func byPosition(a, b *Problem) int {
	return cmp.Or(
		strings.Compare(a.Pos.File, b.Pos.File),
		cmp.Compare(a.Pos.Line, b.Pos.Line),
		cmp.Compare(a.Pos.Col, b.Pos.Col),
		cmp.Compare(b.Severity, a.Severity),
		strings.Compare(a.Text, b.Text),
	)
}

// quote shows text of a file in a message: bounded, and with nothing in it
// that moves a terminal's cursor.
func quote(s string) string {
	if len(s) > maxQuoted {
		s = strings.ToValidUTF8(s[:maxQuoted], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}

package realm

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

const (
	maxExpression = 1024 // octets
	maxProgram    = 2000 // instructions
)

// CompileExpression compiles an operator's regular expression: RE2, letters of
// both cases alike, the longest match counts. One that would take much memory is
// refused; none takes more than linear time.
func CompileExpression(text string) (*regexp.Regexp, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("longer than %d octets", maxExpression)
	}
	parsed, err := syntax.Parse(text, syntax.Perl|syntax.FoldCase)
	if err != nil {
		return nil, fmt.Errorf("reading the expression: %w", err)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("compiling the expression: %w", err)
	}
	if len(prog.Inst) > maxProgram {
		return nil, fmt.Errorf("repeats so much that it comes to %d steps, %d are allowed", len(prog.Inst), maxProgram)
	}
	re, err := regexp.Compile("(?i)" + text)
	if err != nil {
		return nil, fmt.Errorf("compiling the expression: %w", err)
	}
	re.Longest()
	return re, nil
}

// expression is a route whose subject is a regular expression.
type expression struct {
	re    *regexp.Regexp
	name  bool // of the whole User-Name, else of the realm
	route int32
}

// addExpression keeps a route; expressions that cannot be compiled match
// nothing.
func (t *Table) addExpression(r *Route, i int32) int32 {
	if head := t.expression(r.Realm); head >= 0 {
		return head
	}
	text, name := strings.CutPrefix(r.Realm, SubjectNameRegexp)
	if !name {
		text = strings.TrimPrefix(r.Realm, SubjectRealmRegexp)
	}
	re, err := CompileExpression(text)
	if err != nil {
		return -1
	}
	t.exprs = append(t.exprs, expression{re, name, i})
	return i
}

// expression gives the route of the very expression, -1 for none.
func (t *Table) expression(subject string) int32 {
	for i := range t.exprs {
		if t.routes[t.exprs[i].route].Realm == subject {
			return t.exprs[i].route
		}
	}
	return -1
}

// matches reports whether the expression matches the request.
func (e *expression) matches(q *Query) bool {
	if e.name {
		return e.re.Match(q.Name)
	}
	return q.Realm != nil && e.re.Match(q.Realm)
}

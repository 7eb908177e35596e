package file

import (
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// Format gives a file its canonical form: two blanks for each level, lists
// below their key, one blank where blanks separate, quotes where they are
// needed, at most one empty line, no blanks at the ends of lines. Comments, the
// order and what the file says stay. It takes any file that Parse takes; of one
// that is more than plain YAML only the ends of lines and the empty lines are
// evened out. name is for messages. Where the Problems have failed, the result
// is nil.
func Format(name string, data []byte) ([]byte, Problems) {
	r := &report{}
	before := parse(r, name, data)
	if before == nil {
		return nil, r.problems()
	}
	text := string(even(data))
	for _, way := range []func(string, tree) string{formatEnds, formatPlain} {
		out := way(text, before.tree)
		if after := parse(&report{}, name, []byte(out)); after != nil && sameMeaning(before.tree, after.tree) {
			text, before = out, after
		}
	}
	return []byte(text), r.problems()
}

// sameMeaning reports whether two trees hold the same, wherever it stands.
func sameMeaning(a, b tree) bool {
	return slices.EqualFunc(a, b, func(x, y node) bool { return x.kind == y.kind && x.end == y.end && x.text == y.text })
}

// formatEnds evens out what has no meaning wherever it stands.
func formatEnds(text string, _ tree) string {
	var w writer
	for line := range strings.Lines(text) {
		w.line(strings.TrimRight(line, " \t\n"))
	}
	return w.text.String()
}

// writer joins lines, with at most one empty one between two others.
type writer struct {
	text  strings.Builder
	empty bool // there was one since the last line
}

func (w *writer) line(s string) {
	if s == "" {
		w.empty = true
		return
	}
	if w.empty && w.text.Len() > 0 {
		w.text.WriteByte('\n')
	}
	w.empty = false
	w.text.WriteString(s)
	w.text.WriteByte('\n')
}

// formatPlain writes a plain file anew, line by line, and leaves another one.
func formatPlain(text string, t tree) string {
	if _, _, _, ok := readPlain(text); !ok {
		return text
	}
	lines := strings.Split(text, "\n")
	f := formatter{tree: t, lines: lines, code: make([]code, len(lines)+1)}
	if len(t) > 0 {
		f.block(0, 0, "")
	}
	return f.join()
}

// formatter writes the lines of a plain file. Each line of content begins in
// one place of the tree.
type formatter struct {
	tree  tree
	lines []string
	code  []code // by line, from 1
}

// code is what a line says, without its comment.
type code struct {
	text  string
	old   int // blanks in front of it before
	inner int // and in front of what follows its dash, 0 without one
}

// block writes the block mapping or list at i. dash is what stands in front of
// its first key.
func (f *formatter) block(i, indent int, dash string) {
	n := f.tree[i]
	if n.kind == kindSequence {
		for at := i + 1; at < int(n.end); at = int(f.tree[at].end) {
			if e := f.tree[at]; e.kind == kindMapping && !f.isFlow(at) {
				f.block(at, indent+2, "- ")
			} else {
				f.put(e.line, strings.Repeat(" ", indent)+"- "+f.value(at, false))
			}
		}
		return
	}
	for k := i + 1; k < int(n.end); k = int(f.tree[k+1].end) {
		key, v := f.tree[k], k+1
		front := strings.Repeat(" ", indent-len(dash)) + dash + key.text + ":"
		dash = ""
		switch kind := f.tree[v].kind; {
		case kind == kindNull:
			f.put(key.line, front)
		case kind == kindScalar || f.isFlow(v):
			f.put(key.line, front+" "+f.value(v, false))
		default:
			f.put(key.line, front)
			f.block(v, indent+2, "")
		}
	}
}

func (f *formatter) isFlow(i int) bool {
	n := f.tree[i]
	c := f.lines[n.line-1][n.col-1]
	return n.kind == kindMapping && c == '{' || n.kind == kindSequence && c == '['
}

func (f *formatter) put(line uint32, text string) {
	was := f.lines[line-1]
	c := code{text: text, old: indentOf(was)}
	if rest, ok := strings.CutPrefix(was[c.old:], "- "); ok {
		c.inner = c.old + 2 + indentOf(rest)
	}
	f.code[line] = c
}

func indentOf(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }

// value writes what stands in one line.
func (f *formatter) value(i int, inFlow bool) string {
	n := f.tree[i]
	if n.kind == kindScalar {
		return scalarText(n, inFlow)
	}
	var parts []string
	for at := i + 1; at < int(n.end); at = int(f.tree[at].end) {
		if n.kind == kindSequence {
			parts = append(parts, f.value(at, true))
			continue
		}
		parts = append(parts, f.tree[at].text+": "+f.value(at+1, true))
		at++
	}
	all := strings.Join(parts, ", ")
	if n.kind == kindSequence {
		return "[" + all + "]"
	}
	return "{" + all + "}"
}

// scalarText writes a scalar with quotes where it had them and needs them.
func scalarText(n node, inFlow bool) string {
	switch {
	case !n.quoted || bare(n.text, inFlow):
		return n.text
	case strings.ContainsAny(n.text, `\"`):
		return "'" + n.text + "'"
	}
	return `"` + n.text + `"`
}

// bare reports whether a text needs no quotes, nor looks to anybody like a
// number, a date or a word of YAML.
func bare(s string, inFlow bool) bool {
	if s == "" || !(s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z') || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isKeyByte(c) && c != '.' && c != '/' && c != '@' && (inFlow || c != ' ') {
			return false
		}
	}
	switch foldASCII(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null", "inf", "nan":
		return false
	}
	return true
}

// join puts the comments back and the lines together.
func (f *formatter) join() string {
	var w writer
	var trail, trailed int // column of the last comment behind code, before and now; -1: none since
	trail = -1
	var last code
	for i, was := range f.lines {
		now := f.code[i+1]
		comment, at := commentOf(was)
		switch {
		case now.text != "":
			last, trail = now, -1
			if comment != "" {
				trail, trailed = at, max(at, len(now.text)+1)
				now.text += strings.Repeat(" ", trailed-len(now.text)) + comment
			}
			w.line(now.text)
		case comment == "":
			w.line("")
			trail = -1
		case at == trail:
			w.line(strings.Repeat(" ", trailed) + comment)
		default:
			w.line(strings.Repeat(" ", f.indentOfComment(i, at, last)) + comment)
			trail = -1
		}
	}
	return w.text.String()
}

// indentOfComment is where a comment of its own goes: with the line it is level
// with, the one before or the next.
func (f *formatter) indentOfComment(i, at int, last code) int {
	var next code
	for _, c := range f.code[i+1:] {
		if c.text != "" {
			next = c
			break
		}
	}
	inner := max(last.old, last.inner)
	margin := max(indentOf(last.text), indentOf(next.text)) + marginal
	switch {
	case next.text != "" && at <= next.old:
		return indentOf(next.text)
	case at > max(inner, next.old) && at > margin:
		return at // a note beside the lines
	case last.inner > 0 && at >= last.inner, strings.HasSuffix(last.text, ":") && at > inner:
		return indentOf(last.text) + 2
	case last.text != "" && at >= last.old:
		return indentOf(last.text)
	}
	return indentOf(next.text)
}

// marginal is how far right of the lines around it a comment stands that goes
// on with one beside a line.
const marginal = 10

// commentOf finds the comment of a plain line.
func commentOf(line string) (comment string, at int) {
	var quote byte
	for i := range len(line) {
		switch c := line[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && (i == 0 || line[i-1] == ' '):
			return strings.TrimRight(line[i:], " "), i
		}
	}
	return "", 0
}

// FormatProblem is what fmt --check says of a file that is not in its form.
func FormatProblem(name string) Problem {
	return Problem{Pos: realm.Pos{File: name}, Severity: Error, Text: "the file is not in its form", Hint: "roamgate fmt"}
}

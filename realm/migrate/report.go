package migrate

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// Fate is what became of a directive.
type Fate uint8

const (
	// Mapped: the written configuration says it, or the hub does it anyway.
	Mapped Fate = iota
	// Unmapped: it is left out, and the report says why.
	Unmapped
)

// String gives the word of the report.
func (f Fate) String() string {
	return [...]string{Mapped: "mapped", Unmapped: "unmapped"}[f]
}

// Directive is one directive of the original and what became of it.
type Directive struct {
	Pos  realm.Pos
	Name string // with the blocks around it, without its value: "client airport/secret"
	Fate Fate
	Text string // how it is mapped, or why it is not
}

// Note is a decision that an operator has to know of: where the hub will not
// do what the original does.
type Note struct {
	Pos  realm.Pos
	Rule string // short and stable: "silence-to-reject"
	Text string
}

// Report says what became of an original.
type Report struct {
	Source     string // what was read
	Directives []Directive
	Notes      []Note
}

// Map notes a directive that is mapped.
func (r *Report) Map(pos realm.Pos, name, how string, args ...any) {
	r.Directives = append(r.Directives, Directive{pos, name, Mapped, fmt.Sprintf(how, args...)})
}

// Leave notes a directive that is not mapped.
func (r *Report) Leave(pos realm.Pos, name, why string, args ...any) {
	r.Directives = append(r.Directives, Directive{pos, name, Unmapped, fmt.Sprintf(why, args...)})
}

// Note notes a difference.
func (r *Report) Note(pos realm.Pos, rule, text string, args ...any) {
	r.Notes = append(r.Notes, Note{pos, rule, fmt.Sprintf(text, args...)})
}

// Count returns how many directives are mapped, and how many there are.
func (r *Report) Count() (mapped, all int) {
	for _, d := range r.Directives {
		if d.Fate != Unmapped {
			mapped++
		}
	}
	return mapped, len(r.Directives)
}

// Percent is the share of directives that are mapped, rounded down so that
// only all of them are 100; nothing to map is 100 too.
func (r *Report) Percent() int {
	mapped, all := r.Count()
	if all == 0 {
		return 100
	}
	return 100 * mapped / all
}

// Summary is the sentence that ends a report.
func (r *Report) Summary() string {
	mapped, all := r.Count()
	return fmt.Sprintf("%d of %d directives mapped (%d %%)", mapped, all, r.Percent())
}

// sorted gives both lists in the order of files and lines.
func (r *Report) sorted() ([]Directive, []Note) {
	ds, ns := slices.Clone(r.Directives), slices.Clone(r.Notes)
	slices.SortStableFunc(ds, func(a, b Directive) int { return comparePos(a.Pos, b.Pos) })
	slices.SortStableFunc(ns, func(a, b Note) int { return comparePos(a.Pos, b.Pos) })
	return ds, ns
}

func comparePos(a, b realm.Pos) int {
	if c := strings.Compare(a.File, b.File); c != 0 {
		return c
	}
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	return a.Col - b.Col
}

// At says where in the original something stands, as comments and reports do.
func At(pos realm.Pos) string { return fmt.Sprintf("%s:%d", pos.File, pos.Line) }

// WriteText writes the report for people: what is not mapped, what is decided
// otherwise, and the sum; all adds what is mapped.
func (r *Report) WriteText(w io.Writer, all bool) error {
	ds, ns := r.sorted()
	var b strings.Builder
	for _, d := range ds {
		if all || d.Fate != Mapped {
			fmt.Fprintf(&b, "%s: %s: %s: %s\n", At(d.Pos), d.Fate, Printable(d.Name), Printable(d.Text))
		}
	}
	for _, n := range ns {
		fmt.Fprintf(&b, "%s: note: %s: %s\n", At(n.Pos), n.Rule, Printable(n.Text))
	}
	fmt.Fprintf(&b, "%s: %s\n", r.Source, r.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes the whole report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	type directive struct {
		File string `json:"file"`
		Line int    `json:"line"`
		Name string `json:"directive"`
		Fate string `json:"fate"`
		Text string `json:"text"`
	}
	type note struct {
		File string `json:"file"`
		Line int    `json:"line"`
		Rule string `json:"rule"`
		Text string `json:"text"`
	}
	ds, ns := r.sorted()
	mapped, all := r.Count()
	out := struct {
		Source     string      `json:"source"`
		Mapped     int         `json:"mapped"`
		All        int         `json:"directives_total"`
		Percent    int         `json:"percent"`
		Directives []directive `json:"directives"`
		Notes      []note      `json:"notes"`
	}{Source: r.Source, Mapped: mapped, All: all, Percent: r.Percent(), Directives: []directive{}, Notes: []note{}}
	for _, d := range ds {
		out.Directives = append(out.Directives, directive{d.Pos.File, d.Pos.Line, d.Name, d.Fate.String(), d.Text})
	}
	for _, n := range ns {
		out.Notes = append(out.Notes, note{n.Pos.File, n.Pos.Line, n.Rule, n.Text})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

// Printable makes one line of text that an original may have filled with
// anything: control characters would reach the operator's terminal, or end a
// comment and begin a key.
func Printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfffd || c == 0xfeff {
			return '?'
		}
		return c
	}, s)
}

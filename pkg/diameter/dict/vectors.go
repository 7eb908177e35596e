package dict

import (
	"fmt"
	"strings"
)

// Vector is one message of a file of test vectors.
type Vector struct {
	Name string
	Line int
	Raw  []byte
	Text string   // the message as it stands there
	Want []string // what the lines that begin with = say of it
}

// Vectors reads messages of which each begins with a line
//
//	message <name>
//
// followed by its text, as Parse takes it, and by lines that begin with "= ", which
// say what a test wants of it. Comments and empty lines may stand anywhere.
func Vectors(text string) ([]Vector, error) {
	var all []Vector
	var body strings.Builder
	finish := func() error {
		if len(all) == 0 {
			return nil
		}
		v := &all[len(all)-1]
		v.Text = body.String()
		body.Reset()
		raw, err := Parse(v.Text)
		if err != nil {
			return fmt.Errorf("line %d: message %q: %w", v.Line, v.Name, err)
		}
		v.Raw = raw
		return nil
	}
	for i, l := range strings.Split(text, "\n") {
		name, begins := strings.CutPrefix(l, "message ")
		want, says := strings.CutPrefix(l, "= ")
		switch {
		case begins:
			if err := finish(); err != nil {
				return nil, err
			}
			all = append(all, Vector{Name: strings.TrimSpace(name), Line: i + 1})
		case strings.HasPrefix(l, "#") || strings.TrimSpace(l) == "":
		case len(all) == 0:
			return nil, fmt.Errorf("line %d: %q: no message has begun", i+1, l)
		case says:
			v := &all[len(all)-1]
			v.Want = append(v.Want, strings.TrimSpace(want))
		default:
			body.WriteString(l + "\n")
		}
	}
	return all, finish()
}

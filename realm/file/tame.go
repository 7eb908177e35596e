package file

import "github.com/goccy/go-yaml/token"

// tamer refuses, before anything follows them, the tokens that make a file mean
// something other than what stands there, and shapes that no operator writes
// but that would break the reader.
type tamer struct {
	name   string
	report *report
	bad    bool

	content   bool // something that is no comment has been seen
	directive bool // the next document header belongs to one
	depth     int  // of brackets
	dashLine  int
	dashes    int               // in dashLine
	empty     int               // dashes with nothing behind them
	keys      [maxColumn]uint16 // in the open block mapping of a column
	widest    int               // column with keys
}

// maxColumn is where columns stop to be told apart.
const maxColumn = 256

func (t *tamer) refuse(tk *token.Token, hint, text string) {
	t.bad = true
	t.report.add(tokenPos(t.name, tk), Error, hint, "%s", text)
}

// tame reports whether the tokens can be parsed.
func (t *tamer) tame(tokens token.Tokens) bool {
	for _, tk := range tokens {
		if tk.Type == token.CommentType {
			continue
		}
		t.meaning(tk)
		t.shape(tk)
		t.content = true
	}
	return !t.bad
}

func (t *tamer) meaning(tk *token.Token) {
	switch tk.Type {
	case token.AnchorType:
		t.refuse(tk, "write the value out", "YAML anchors are refused")
	case token.AliasType:
		t.refuse(tk, `a name that begins with a star needs quotes: "*.iot.example"`, "YAML aliases are refused")
	case token.MergeKeyType:
		t.refuse(tk, "write the keys out", "YAML merge keys are refused")
	case token.TagType:
		t.refuse(tk, "a text that begins with ! needs quotes", "YAML tags are refused")
	case token.MappingKeyType:
		t.refuse(tk, "write key: value", "YAML complex keys are refused")
	case token.DirectiveType:
		t.refuse(tk, "remove the line", "YAML directives are refused")
		t.directive = true
	case token.DocumentHeaderType:
		if t.content && !t.directive {
			t.refuse(tk, "use one file for each", "more than one YAML document")
		}
		t.directive = false
	}
}

func (t *tamer) shape(tk *token.Token) {
	switch tk.Type {
	case token.SequenceStartType, token.MappingStartType:
		if t.depth++; t.depth == maxDepth {
			t.refuse(tk, "", "values are nested too deep")
		}
	case token.SequenceEndType, token.MappingEndType:
		t.depth--
	case token.SequenceEntryType:
		if tk.Prev != nil && tk.Prev.Type == token.SequenceEntryType && tk.Prev.Position.Line != tk.Position.Line {
			if t.empty++; t.empty == maxKeys { // each costs the reader the square
				t.refuse(tk, "remove the dashes", "there are more than 1000 empty entries")
			}
		}
		if tk.Position.Line != t.dashLine {
			t.dashLine, t.dashes = tk.Position.Line, 0
		}
		if t.dashes++; t.dashes == maxDepth {
			t.refuse(tk, "", "values are nested too deep")
		}
		t.forget(column(tk))
	case token.MappingValueType:
		if key := tk.Prev; key != nil && t.depth <= 0 {
			t.key(key)
		}
	}
}

// key counts a key of a block mapping. Whatever is open to the right of it has
// ended.
func (t *tamer) key(key *token.Token) {
	c := column(key)
	t.forget(c)
	t.widest = max(t.widest, c)
	if t.keys[c]++; t.keys[c] == maxKeys {
		t.refuse(key, "lists may be as long as you like", "more than 1000 keys in one place")
	}
}

func (t *tamer) forget(c int) {
	for ; t.widest > c; t.widest-- {
		t.keys[t.widest] = 0
	}
}

func column(tk *token.Token) int { return min(max(tk.Position.Column, 0), maxColumn-1) }

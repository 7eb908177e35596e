package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/roamgate/roamgate/realm"
)

const (
	maxFile = 100 << 20 // octets of one file
	// The general reader takes some 400 octets for each token, so only
	// files of this size may use more than plain YAML.
	maxGeneral      = 4 << 20
	maxGeneralMarks = 400_000
	maxDepth        = 32 // nested values
	// The general reader calls itself and copies for each key of a block
	// mapping; a stack that overflows cannot be recovered from.
	maxKeys = 1000
)

// Parse reads one file without looking at its meaning. name is used in
// messages only. The Document is nil if the file cannot be used; data is not
// retained.
func Parse(name string, data []byte) (*Document, Problems) {
	r := &report{}
	d := parse(r, name, data)
	return d, r.problems()
}

func parse(r *report, name string, data []byte) *Document {
	text, ok := clean(r, name, data)
	if !ok {
		return nil
	}
	t, line, col, ok := readPlain(text)
	if !ok {
		if t, ok = readGeneral(r, name, text, realm.Pos{File: name, Line: line, Col: col}); !ok {
			return nil
		}
	}
	d := &Document{name: name, tree: t}
	if d.duplicateKeys(r) {
		return nil
	}
	return d
}

// even removes what editors of other systems leave behind: a byte order mark
// and the CR of CRLF.
func even(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	}
	return data
}

// clean evens a file out and refuses what is no text.
func clean(r *report, name string, data []byte) (string, bool) {
	whole := realm.Pos{File: name}
	if len(data) > maxFile {
		r.add(whole, Error, "split it into several files", "the file is larger than %d MB", maxFile>>20)
		return "", false
	}
	data = even(data)
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		r.add(whole, Error, "save it as UTF-8", "the file is UTF-16")
		return "", false
	}
	at, what, hint := badOctet(data)
	if at < 0 {
		return string(data), true
	}
	r.add(octetPos(name, data, at), Error, hint, "%s", what)
	return "", false
}

func octetPos(name string, data []byte, at int) realm.Pos {
	before := data[:at]
	return realm.Pos{
		File: name,
		Line: 1 + bytes.Count(before, []byte("\n")),
		Col:  1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]),
	}
}

// notPlain refuses a file that is too large to be anything else.
func (r *report) notPlain(pos realm.Pos) {
	r.add(pos, Error, "write it in plain block form, one value in a line, or split the file",
		"not plain YAML, which a file over %d MB must be", maxGeneral>>20)
}

// badOctet finds the first octet that no text file has; at is -1 if all is
// well.
func badOctet(data []byte) (at int, what, hint string) {
	if plainASCII(data) {
		return -1, "", ""
	}
	for i, c := range data {
		switch {
		case c == 0:
			return i, "NUL octet", "the file is damaged or no text; was the disk full?"
		case c < ' ' && c != '\n' && c != '\t', c == 0x7f:
			return i, "control character", "remove it"
		}
	}
	if utf8.Valid(data) {
		return -1, "", ""
	}
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && size == 1 {
			return i, "octets that are not UTF-8", "save the file as UTF-8"
		}
		i += size
	}
	return -1, "", ""
}

// plainASCII is the quick look at a file as nearly all are: it reports whether
// all octets are printable ASCII or end a line.
func plainASCII(data []byte) bool {
	const (
		each = 0x0101010101010101
		high = 0x80 * each
		low7 = 0x7f * each
	)
	for ; len(data) >= 8; data = data[8:] {
		v := binary.LittleEndian.Uint64(data)
		// The highest bit of each octet says: it is at least ' ', it is no
		// newline, it is no DEL.
		text := v&low7 + 0x60*each
		line := v ^ '\n'*each&low7 + low7
		del := v ^ 0x7f*each&low7 + low7
		if v|^((text|^line)&del)&high != v&^high {
			return false
		}
	}
	for _, c := range data {
		if c < ' ' && c != '\n' || c >= 0x7f {
			return false
		}
	}
	return true
}

// readGeneral reads any accepted YAML. gaveUp is where the plain reader
// stopped.
func readGeneral(r *report, name, text string, gaveUp realm.Pos) (t tree, ok bool) {
	if len(text) > maxGeneral || countMarks(text) > maxGeneralMarks {
		r.notPlain(gaveUp)
		return nil, false
	}
	defer func() {
		// The reader is not ours; a file it stumbles over must not end the hub.
		if recover() != nil {
			r.add(gaveUp, Error, "write it in plain block form", "the YAML cannot be read")
			t, ok = nil, false
		}
	}()
	tokens := lexer.Tokenize(text)
	if t := (tamer{name: name, report: r}); !t.tame(tokens) {
		return nil, false
	}
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.add(syntaxPos(name, err, gaveUp), Error, syntaxHint(err), "invalid YAML: %s", syntaxText(err))
		return nil, false
	}
	g := general{name: name, report: r}
	for _, doc := range f.Docs {
		if doc.Body == nil {
			continue
		}
		if at := tokenPos(name, doc.Body.GetToken()); len(g.tree) > 0 {
			return nil, g.refuse(at, "more than one YAML document", "use one file for each")
		}
		if !g.value(doc.Body, realm.Pos{File: name, Line: 1, Col: 1}, 0) {
			return nil, false
		}
	}
	return g.tree, true
}

// countMarks bounds the number of tokens from above.
func countMarks(text string) int {
	n := 0
	for i := range len(text) {
		switch text[i] {
		case '[', ']', '{', '}', ',', ':', '-', '?', '&', '*', '!', '|', '>', '#', '\'', '"', '%', '@', '`':
			n++
		}
	}
	return n
}

func tokenPos(name string, tk *token.Token) realm.Pos {
	return realm.Pos{File: name, Line: tk.Position.Line, Col: tk.Position.Column}
}

func syntaxPos(name string, err error, otherwise realm.Pos) realm.Pos {
	if e := (*yaml.SyntaxError)(nil); errors.As(err, &e) && e.Token != nil && e.Token.Position != nil {
		return tokenPos(name, e.Token)
	}
	return otherwise
}

// syntaxText is the reader's sentence alone: its full text would show lines of
// the file, and those may hold a secret.
func syntaxText(err error) string {
	e := (*yaml.SyntaxError)(nil)
	if !errors.As(err, &e) {
		return "it cannot be read"
	}
	text, _, _ := strings.Cut(e.Message, "\n")
	return strings.ReplaceAll(text, "\t", `\t`)
}

func syntaxHint(err error) string {
	switch text := syntaxText(err); {
	case strings.Contains(text, "cannot start any token"):
		return "indent with spaces, not tabs"
	case strings.Contains(text, "could not find end character"):
		return "a quote is missing; was the file cut off?"
	case strings.Contains(text, "end token"):
		return "a bracket is not closed; was the file cut off?"
	case strings.Contains(text, "mapping value is not allowed"), strings.Contains(text, "value is not allowed"):
		return "check the indentation; a text with a colon and a blank needs quotes"
	case strings.Contains(text, "reserved character"):
		return "put the text into quotes"
	}
	return "check the indentation and the quotes"
}

// general turns the reader's tree into ours.
type general struct {
	name   string
	report *report
	tree   tree
}

func (g *general) refuse(pos realm.Pos, text, hint string) bool {
	g.report.add(pos, Error, hint, "%s", text)
	return false
}

// value adds n. above is the position of the key or dash, where nothing has
// its place.
func (g *general) value(n ast.Node, above realm.Pos, depth int) bool {
	if depth > maxDepth {
		return g.refuse(above, "values are nested too deep", "")
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return g.mapping(n, above, depth)
	case *ast.MappingValueNode:
		return g.mapping(&ast.MappingNode{Values: []*ast.MappingValueNode{n}}, above, depth)
	case *ast.SequenceNode:
		return g.sequence(n, above, depth)
	case *ast.NullNode:
		g.tree.open(kindNull, uint32(above.Line), uint32(above.Col), "", false)
	case *ast.LiteralNode:
		g.scalar(n.Start, n.Value.Value, true)
	case *ast.StringNode:
		quoted := n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
		g.scalar(n.Token, n.Value, quoted)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		g.scalar(n.GetToken(), n.GetToken().Value, false)
	default:
		return g.refuse(above, "unexpected YAML", "write it in plain block form")
	}
	return true
}

func (g *general) scalar(tk *token.Token, text string, quoted bool) {
	g.tree.open(kindScalar, uint32(tk.Position.Line), uint32(tk.Position.Column), text, quoted)
}

func (g *general) mapping(n *ast.MappingNode, above realm.Pos, depth int) bool {
	start := above
	switch {
	case n.IsFlowStyle && n.Start != nil:
		start = tokenPos(g.name, n.Start)
	case len(n.Values) > 0:
		start = tokenPos(g.name, n.Values[0].Key.GetToken())
	}
	me := g.tree.open(kindMapping, uint32(start.Line), uint32(start.Col), "", false)
	for _, v := range n.Values {
		at := tokenPos(g.name, v.Key.GetToken())
		switch v.Key.(type) {
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		default:
			return g.refuse(at, "unexpected YAML key", "write key: value")
		}
		if !g.value(v.Key, at, depth+1) || !g.value(v.Value, at, depth+1) {
			return false
		}
	}
	g.tree.close(me)
	return true
}

func (g *general) sequence(n *ast.SequenceNode, above realm.Pos, depth int) bool {
	start := above
	if n.Start != nil {
		start = tokenPos(g.name, n.Start)
	}
	me := g.tree.open(kindSequence, uint32(start.Line), uint32(start.Col), "", false)
	for i, v := range n.Values {
		at := start
		if i < len(n.Entries) && n.Entries[i] != nil && n.Entries[i].Start != nil {
			at = tokenPos(g.name, n.Entries[i].Start)
		}
		if !g.value(v, at, depth+1) {
			return false
		}
	}
	g.tree.close(me)
	return true
}

// duplicateKeys refuses a key that stands twice in one mapping, because the
// second would silently win.
func (d *Document) duplicateKeys(r *report) (found bool) {
	var seen map[string]int
	for i := range d.tree {
		n := &d.tree[i]
		if n.kind != kindMapping {
			continue
		}
		if d.tree.distinct(i) {
			continue
		}
		seen = make(map[string]int)
		for k := i + 1; k < int(n.end); k = int(d.tree[k+1].end) {
			key := d.tree[k].text
			first, twice := seen[key]
			if !twice {
				seen[key] = k
				continue
			}
			found = true
			r.add(d.tree.pos(d.name, k), Error, "first at "+d.tree.pos(d.name, first).String(),
				"key %s stands twice", quote(key))
		}
	}
	return found
}

// distinct is the quick look at a small mapping, as nearly all are.
func (t tree) distinct(i int) bool {
	n, keys := &t[i], 0
	for k := i + 1; k < int(n.end); k = int(t[k+1].end) {
		if keys++; keys > 16 {
			return false
		}
		for j := i + 1; j < k; j = int(t[j+1].end) {
			if t[j].text == t[k].text {
				return false
			}
		}
	}
	return true
}

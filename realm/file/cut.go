package file

import "bytes"

// A list of a million entries is not read as one tree: it is cut out of its
// file, and its pieces are read one by one or several at once, in memory that
// is used again. Only lists of plain YAML can be cut out; any doubt leaves the
// file whole.

// pieceSize is about how many octets of a list are read at once, and minCut
// the size of the files that are cut; tests lower both.
var (
	pieceSize = 1 << 20
	minCut    = 2 << 20
)

// piece is a run of whole entries of a list.
type piece struct {
	text   []byte // part of the file's content
	lines  int    // of the file before it
	indent int    // of the entries' dashes
}

// cut takes the top-level list under key out of a file of at most limit octets.
// rest is the file without it; ok is false for a file that is to be read whole.
func cut(name string, data []byte, key string, limit int) (rest *Document, pieces []piece, ok bool) {
	if len(data) < minCut || len(data) > limit {
		return nil, nil, false
	}
	data = even(data)
	c := cutter{data: data}
	if !c.find(key) || !c.list() {
		return nil, nil, false
	}
	head, tail := data[:c.start], data[c.at:]
	if at, _, _ := badOctet(head); at >= 0 {
		return nil, nil, false
	}
	if at, _, _ := badOctet(tail); at >= 0 {
		return nil, nil, false
	}
	p := plain{src: string(head) + string(tail), jump: len(head), jumped: uint32(c.line - c.first)}
	if !p.whole() {
		return nil, nil, false
	}
	rest = &Document{name: name, tree: p.tree}
	if rest.duplicateKeys(&report{}) {
		return nil, nil, false
	}
	return rest, c.pieces, true
}

// cutter walks the lines of a file.
type cutter struct {
	data []byte
	at   int // offset of the next line
	line int // lines before it

	start, first int // offset and lines before the list
	pieces       []piece
}

// next returns the next line with content; end is its end.
func (c *cutter) next() (text []byte, indent, end int, ok bool) {
	for at, line := c.at, c.line; at < len(c.data); line++ {
		end = len(c.data)
		if n := bytes.IndexByte(c.data[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		i := at
		for i < end && c.data[i] == ' ' {
			i++
		}
		if i < end && c.data[i] != '\n' && c.data[i] != '#' {
			c.at, c.line = at, line
			return c.data[i:end], i - at, end, true
		}
		at = end
	}
	return nil, 0, 0, false
}

// pass moves behind the line that next returned.
func (c *cutter) pass(end int) { c.at, c.line = end, c.line+1 }

func isDash(text []byte) bool { return len(text) > 1 && text[0] == '-' && text[1] == ' ' }

// find moves to the first entry of the list.
func (c *cutter) find(key string) bool {
	for {
		text, indent, end, ok := c.next()
		if !ok {
			return false
		}
		c.pass(end)
		if indent > 0 || !isKeyAlone(text, key) {
			continue
		}
		text, _, _, ok = c.next()
		c.start, c.first = c.at, c.line
		return ok && isDash(text)
	}
}

// isKeyAlone reports whether a line is the key with nothing behind it.
func isKeyAlone(text []byte, key string) bool {
	text, ok := bytes.CutPrefix(text, []byte(key+":"))
	if !ok || len(text) == 0 || text[0] != ' ' && text[0] != '\n' {
		return false
	}
	text = bytes.TrimLeft(text, " ")
	return len(text) == 0 || text[0] == '\n' || text[0] == '#'
}

// list moves behind the list. What stands inside an entry is looked at when
// its piece is read.
func (c *cutter) list() bool {
	_, dashes, _, _ := c.next()
	from, line := c.at, c.line
	for {
		text, indent, end, ok := c.next()
		ended := !ok || indent < dashes || indent == dashes && !isDash(text)
		if !ok {
			c.at = len(c.data)
		}
		if ended || indent == dashes && c.at-from >= pieceSize {
			c.pieces = append(c.pieces, piece{text: c.data[from:c.at], lines: line, indent: dashes})
			from, line = c.at, c.line
		}
		if ended {
			return !ok || indent == 0 && !isDash(text)
		}
		c.pass(end)
	}
}

// parse reads a piece into t, whose memory it uses again. ok is false if the
// piece is not plain or wrong in a way that only the whole file explains.
func (p piece) parse(t tree) (_ tree, ok bool) {
	if at, _, _ := badOctet(p.text); at >= 0 {
		return t, false
	}
	t, _, _, ok = p.read(t)
	d := Document{tree: t}
	return t, ok && !d.duplicateKeys(&report{})
}

// read is parse for a piece of good octets, with the place where it gave up.
func (p piece) read(t tree) (_ tree, line, col int, ok bool) {
	// The list stands in the mapping of the file.
	r := plain{src: string(p.text), line: uint32(p.lines), depth: 1, tree: t[:0]}
	ok = r.advance() && !r.eof && r.indent == p.indent && r.dash() && r.block() && r.eof
	return r.tree, int(r.line), r.indent + 1, ok
}

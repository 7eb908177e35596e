package file

import "strings"

// plain reads the part of YAML in which large files are written: block
// mappings and lists, one-line scalars of ordinary characters, one-line flow
// values. It reads 100,000 realms in some ten milliseconds, where the general
// reader needs well over a second and 400 MB.
//
// It never judges: at the first thing that is not plain it gives up and the
// general reader takes the whole file. What it accepts, it reads as the
// general reader does; FuzzPlain holds the two against each other.
type plain struct {
	src  string
	next int    // offset of the following line
	line uint32 // number of the current line, from 1
	// The current line of content: its text is src[at:end] after indent
	// columns. Behind a list's dash, at and indent move on to what follows.
	indent, at, end int
	eof             bool
	depth           int
	tree            tree
	// jumped lines stood before the offset jump and are cut out.
	jump   int
	jumped uint32
}

// readPlain returns the tree and true, or the position where it gave up.
func readPlain(src string) (t tree, line, col int, ok bool) {
	nodes := 2 + 2*strings.Count(src, ": ") + 2*strings.Count(src, ":\n") + 2*strings.Count(src, "- ")
	p := plain{src: src, tree: make(tree, 0, nodes)}
	if !p.whole() {
		return nil, int(p.line), p.indent + 1, false
	}
	return p.tree, 0, 0, true
}

// whole reads a file from its first line to its last.
func (p *plain) whole() bool { return p.advance() && (p.eof || p.block() && p.eof) }

// advance moves to the next line with content.
func (p *plain) advance() bool {
	for p.next < len(p.src) {
		start := p.next
		if start == p.jump {
			p.line += p.jumped
		}
		end := len(p.src)
		if n := strings.IndexByte(p.src[start:], '\n'); n >= 0 {
			end = start + n
		}
		p.next = end + 1
		p.line++
		at := start
		for at < end && p.src[at] == ' ' {
			at++
		}
		p.indent, p.at, p.end = at-start, at, end
		if at == end || p.src[at] == '#' {
			continue
		}
		return p.src[at] != '\t'
	}
	p.eof = true
	return true
}

func (p *plain) dash() bool {
	return p.at+1 < p.end && p.src[p.at] == '-' && p.src[p.at+1] == ' '
}

func (p *plain) block() bool {
	if p.depth++; p.depth >= maxDepth {
		return false
	}
	defer func() { p.depth-- }()
	if p.dash() {
		return p.sequence()
	}
	return p.mapping()
}

func (p *plain) sequence() bool {
	indent := p.indent
	me := p.tree.open(kindSequence, p.line, uint32(indent+1), "", false)
	for !p.eof && p.indent == indent && p.dash() {
		if !p.entry(indent) {
			return false
		}
	}
	p.tree.close(me)
	return true
}

func (p *plain) entry(indent int) bool {
	at := p.at + 1
	for at < p.end && p.src[at] == ' ' {
		at++
	}
	if at == p.end || p.src[at] == '#' {
		return false
	}
	p.indent += at - p.at
	p.at = at
	if p.dash() {
		return false
	}
	if _, _, isKey := p.key(); isKey {
		return p.mapping() && (p.eof || p.indent <= indent)
	}
	return p.value(p.at) && p.advance() && (p.eof || p.indent <= indent)
}

func (p *plain) mapping() bool {
	indent := p.indent
	me := p.tree.open(kindMapping, p.line, uint32(indent+1), "", false)
	for !p.eof && p.indent == indent && !p.dash() {
		if !p.pair(indent) {
			return false
		}
	}
	p.tree.close(me)
	return p.eof || p.indent <= indent
}

func (p *plain) pair(indent int) bool {
	key, rest, ok := p.key()
	if !ok {
		return false
	}
	line, col := p.line, uint32(indent+1)
	p.tree.open(kindScalar, line, col, key, false)
	for rest < p.end && p.src[rest] == ' ' {
		rest++
	}
	if rest < p.end && p.src[rest] != '#' {
		// A deeper line would continue this scalar.
		return p.value(rest) && p.advance() && (p.eof || p.indent <= indent)
	}
	if !p.advance() {
		return false
	}
	if !p.eof && (p.indent > indent || p.indent == indent && p.dash()) {
		return p.block()
	}
	p.tree.open(kindNull, line, col, "", false)
	return true
}

// key reads a key and its colon at the current place.
func (p *plain) key() (key string, rest int, ok bool) {
	i := p.at
	for i < p.end && isKeyByte(p.src[i]) && (i > p.at || p.src[i] != '-') {
		i++
	}
	if i == p.at || i == p.end || p.src[i] != ':' || i+1 < p.end && p.src[i+1] != ' ' {
		return "", 0, false
	}
	if key = p.src[p.at:i]; isNullWord(key) || key[0] >= '0' && key[0] <= '9' {
		return "", 0, false
	}
	return key, i + 1, true
}

// value reads one value that begins at the offset and fills the line, apart
// from a comment.
func (p *plain) value(at int) bool {
	var end int
	switch p.src[at] {
	case '"', '\'':
		end = p.quotedScalar(at)
	case '[', '{':
		end = p.flow(at, 0)
	default:
		return p.scalar(at)
	}
	return end > 0 && p.blank(end)
}

// blank reports whether only blanks or a comment follow.
func (p *plain) blank(at int) bool {
	start := at
	for at < p.end && p.src[at] == ' ' {
		at++
	}
	return at == p.end || p.src[at] == '#' && at > start
}

func (p *plain) column(at int) uint32 { return uint32(p.indent + 1 + at - p.at) }

func (p *plain) scalar(at int) bool {
	if !isFirstByte(p.src[at]) {
		return false
	}
	i := at
loop:
	for ; i < p.end; i++ {
		switch c := p.src[i]; {
		case octets[c]&blockOctet != 0:
		case c == ':' && i+1 < p.end && p.src[i+1] != ' ':
		case c == '#' && p.src[i-1] == ' ':
			break loop
		default:
			return false
		}
	}
	text := strings.TrimRight(p.src[at:i], " ")
	if isNullWord(text) {
		return false
	}
	p.tree.open(kindScalar, p.line, p.column(at), text, false)
	return true
}

// quotedScalar returns the offset behind the closing quote, 0 to give up.
func (p *plain) quotedScalar(at int) int {
	for i := at + 1; i < p.end; i++ {
		c := p.src[i]
		if c == p.src[at] {
			if i+1 < p.end && p.src[i+1] == c { // an escaped single quote
				return 0
			}
			p.tree.open(kindScalar, p.line, p.column(at), p.src[at+1:i], true)
			return i + 1
		}
		if c == '\\' && p.src[at] == '"' || c < ' ' || c >= 0x7f {
			return 0
		}
	}
	return 0
}

func isKeyByte(c byte) bool { return octets[c]&keyOctet != 0 }

func isFirstByte(c byte) bool {
	switch c {
	case '-', '=', '@', '+', '%', '*':
		return false
	}
	return isPlainByte(c)
}

func isPlainByte(c byte) bool { return octets[c]&plainOctet != 0 }

// What an octet may be: part of a key, of a scalar, and of a scalar outside of
// brackets whatever stands beside it.
const (
	keyOctet = 1 << iota
	plainOctet
	blockOctet
)

var octets = func() (t [256]uint8) {
	set := func(s string, what uint8) {
		for _, c := range []byte(s) {
			t[c] |= what
		}
	}
	set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", keyOctet|plainOctet|blockOctet)
	set("./+=@%*", plainOctet|blockOctet)
	set(" ,()", blockOctet)
	return t
}()

// isNullWord reports whether a scalar without quotes means nothing at all.
func isNullWord(s string) bool {
	return s == "null" || s == "Null" || s == "NULL" || s == "~"
}

package radsecproxy

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// option is one line of the file.
type option struct {
	pos  realm.Pos
	name string // in lower case
	word string // as it was written
	val  string // with its escapes undone where the original does
	on   bool   // of a toggle
	n    int64  // of a number
}

// block is a block with its lines, or, with an empty kind, one line outside of
// all blocks.
type block struct {
	pos  realm.Pos
	kind string
	name string
	opts []option
}

// label names a line in the report.
func (b *block) label(o *option) string {
	if b.kind == mainBlock {
		return o.word
	}
	return b.kind + " " + b.name + "/" + o.word
}

// get returns the last line of an option, nil if there is none.
func (b *block) get(name string) *option {
	for i := len(b.opts) - 1; i >= 0; i-- {
		if b.opts[i].name == name {
			return &b.opts[i]
		}
	}
	return nil
}

// all returns the lines of an option.
func (b *block) all(name string) (out []*option) {
	for i := range b.opts {
		if b.opts[i].name == name {
			out = append(out, &b.opts[i])
		}
	}
	return out
}

func (b *block) text(name string) string {
	if o := b.get(name); o != nil {
		return o.val
	}
	return ""
}

const (
	maxLine    = 1023 // octets that the original reads of a line at once
	maxDepth   = 64   // of includes; the original runs out of descriptors
	maxIncl    = 4096 // files that are read at all
	maxOptions = 1 << 20
	maxOctets  = 64 << 20 // of all files
)

// parser reads lines as the original does: a stack of files, of which the
// innermost goes on, also in the middle of a block.
type parser struct {
	files Files
	stack []*opened
	read  int
	size  int // octets read
	count int
}

type opened struct {
	path string
	from *opened // what includes it
	rest []byte
	line int
	cont bool // the next octets continue a line that was too long
}

// parse reads a file with what it includes into its blocks, in their order.
func parse(files Files, path string) ([]block, error) {
	p := &parser{files: files}
	data, err := files.Read(path)
	if err != nil {
		return nil, migrate.Refuse(realm.Pos{File: path}, "could not read config file: %v", cause(err))
	}
	p.stack = []*opened{{path: path, rest: data}}
	var out []block
	for {
		more, err := p.options(&out, nil)
		if err != nil {
			return nil, err
		}
		if !more {
			return out, nil
		}
	}
}

// options reads lines up to the end of the block b, nil: of the files. more is
// false at the end of the files.
func (p *parser) options(out *[]block, b *block) (more bool, err error) {
	for {
		l, err := p.next(b)
		if err != nil || l == nil {
			return false, err
		}
		if l.end {
			return true, nil
		}
		if p.count++; p.count > maxOptions {
			return false, migrate.Refuse(l.pos, "more than %d lines are not read", maxOptions)
		}
		name := strings.ToLower(l.word)
		if name == "include" && !l.block {
			if err := p.include(l); err != nil {
				return false, err
			}
			continue
		}
		if err := p.option(out, b, l, name); err != nil {
			return false, err
		}
	}
}

func (p *parser) option(out *[]block, b *block, l *line, name string) error {
	kinds, in := options[mainBlock], ""
	if b != nil {
		kinds, in = options[b.kind], " in block "+b.kind+" "+b.name+","
	}
	k, known := kinds[name]
	switch {
	case !known:
		return migrate.Refuse(l.pos, "configuration error%s unknown option %s", in, l.word)
	case (k == blockOf) != l.block:
		return migrate.Refuse(l.pos, "configuration error%s wrong syntax for option %s", in, l.word)
	case k == blockOf:
		inner := block{pos: l.pos, kind: name, name: l.val}
		if _, err := p.options(out, &inner); err != nil {
			return err
		}
		*out = append(*out, inner)
		return nil
	}
	o := option{pos: l.pos, name: name, word: l.word, val: l.val}
	single := block{pos: l.pos, opts: []option{o}}
	target := &single
	if b != nil {
		b.opts = append(b.opts, o)
		target = b
	}
	if err := target.opts[len(target.opts)-1].read(k, in); err != nil {
		return err
	}
	if b != nil && (k == text || k == rawText) && len(b.all(name)) > 1 {
		return migrate.Refuse(l.pos, "configuration error%s option %s already set", in, l.word)
	}
	if b == nil {
		if (k == text || k == rawText) && slices.ContainsFunc(*out, func(had block) bool {
			return had.kind == mainBlock && had.opts[0].name == name
		}) {
			return migrate.Refuse(l.pos, "configuration error, option %s already set", l.word)
		}
		*out = append(*out, single)
	}
	return nil
}

// read takes the value for what the option wants.
func (o *option) read(k kind, in string) error {
	shown := o.val
	if secretOptions[o.name] {
		shown = "what stands there"
	}
	switch k {
	case text, list:
		o.val = string(unescape(o.val, false))
	case toggle:
		switch strings.ToLower(o.val) {
		case "on":
			o.on = true
		case "off":
		default:
			return migrate.Refuse(o.pos, "configuration error%s value for option %s must be on or off, not %s", in, o.word, shown)
		}
	case number:
		n, err := strconv.ParseInt(strings.TrimLeft(o.val, " \t\v\f"), 0, 64)
		if err != nil || strings.Contains(o.val, "_") || strings.ContainsAny(o.val, "oObB") && !strings.ContainsAny(o.val, "xX") {
			return migrate.Refuse(o.pos, "configuration error%s value for option %s must be an integer, not %s", in, o.word, shown)
		}
		o.n = n
	}
	return nil
}

func (p *parser) include(l *line) error {
	pattern, from := l.val, p.stack[len(p.stack)-1]
	if !strings.HasPrefix(pattern, "/") {
		pattern = filepath.Dir(from.path) + "/" + pattern
	}
	paths, err := p.files.Glob(pattern)
	if err != nil || len(paths) == 0 {
		return migrate.Refuse(l.pos, "failed to include config file %s: no file matches", l.val)
	}
	for _, path := range slices.Backward(paths) {
		depth := 0
		for o := from; o != nil; o = o.from {
			if depth++; same(o.path, path) {
				return migrate.Refuse(l.pos, "failed to include config file %s: %s includes itself", l.val, path)
			}
		}
		if p.read++; p.read > maxIncl || depth >= maxDepth {
			return migrate.Refuse(l.pos, "failed to include config file %s: too many files", l.val)
		}
		data, err := p.files.Read(path)
		if err != nil {
			return migrate.Refuse(l.pos, "failed to include config file %s: could not read %s: %v", l.val, path, cause(err))
		}
		if p.size += len(data); p.size > maxOctets {
			return migrate.Refuse(l.pos, "failed to include config file %s: more than %d octets in all files", l.val, maxOctets)
		}
		p.stack = append(p.stack, &opened{path: path, from: from, rest: data})
	}
	return nil
}

// cause is an error about a file without the path, which is named already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func same(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }

// line is a line that says something.
type line struct {
	pos   realm.Pos
	word  string
	val   string
	block bool // opens one
	end   bool // closes one
}

// next returns the next line that says something, nil at the end.
func (p *parser) next(b *block) (*line, error) {
	for len(p.stack) > 0 {
		f := p.stack[len(p.stack)-1]
		if len(f.rest) == 0 {
			p.stack = p.stack[:len(p.stack)-1]
			continue
		}
		l, err := tokens(f.cut(), realm.Pos{File: f.path, Line: f.line}, b)
		if err != nil || l != nil {
			return l, err
		}
	}
	return nil, nil
}

// cut takes the next line as fgets does: a long one comes in parts. What
// stands behind a NUL is not seen.
func (f *opened) cut() []byte {
	if !f.cont {
		f.line++
	}
	n := bytes.IndexByte(f.rest, '\n') + 1
	if n == 0 {
		n = len(f.rest)
	}
	n = min(n, maxLine)
	text := f.rest[:n]
	f.rest = f.rest[n:]
	f.cont = text[n-1] != '\n'
	if i := bytes.IndexByte(text, 0); i >= 0 {
		text = text[:i]
	}
	return text
}

// tokens reads one line; nil says that there is nothing in it.
func tokens(text []byte, pos realm.Pos, b *block) (*line, error) {
	var t [3]string
	n := 0
	for rest := text; n < len(t); n++ {
		token, next, found, ok := token(rest, n == 0)
		if !ok {
			return nil, migrate.Refuse(pos, "syntax error: a quote is not closed, or something stands right behind it")
		}
		if !found {
			break
		}
		t[n], rest = token, next
	}
	in := ""
	if b != nil {
		in = " in block " + b.kind + " " + b.name
	}
	switch {
	case n == 0 || strings.HasPrefix(t[0], "#"):
		return nil, nil
	case strings.HasPrefix(t[0], "}"):
		if b == nil {
			return nil, migrate.Refuse(pos, "configuration error, found } with no matching {")
		}
		return &line{pos: pos, end: true}, nil
	}
	l := &line{pos: pos, word: t[0], val: t[1]}
	switch {
	case n == 2:
	case n == 3 && t[1] == "=":
		l.val = t[2]
	case n == 3 && t[2] == "{":
		l.block = true
	default:
		hint := ""
		if n == 3 && strings.HasPrefix(t[2], "#") {
			hint = " (a comment has a line of its own)"
		}
		return nil, migrate.Refuse(pos, "configuration error%s, syntax error in line starting with %s%s", in, t[0], hint)
	}
	if l.val == "" {
		return nil, migrate.Refuse(pos, "configuration error%s, option %s needs a non-empty value", in, l.word)
	}
	return l, nil
}

const blanks = " \t\r\n"

// token cuts one word off. found is false at the end or, of the first word, at
// a comment.
func token(s []byte, first bool) (word string, rest []byte, found, ok bool) {
	s = bytes.TrimLeft(s, blanks)
	if len(s) == 0 || first && s[0] == '#' {
		return "", nil, false, true
	}
	if s[0] == '"' || s[0] == '\'' {
		end := bytes.IndexByte(s[1:], s[0]) + 1
		if end == 0 || end+1 < len(s) && !strings.ContainsRune(blanks, rune(s[end+1])) {
			return "", nil, false, false
		}
		return string(s[1:end]), s[end+1:], true, true
	}
	end := bytes.IndexAny(s, blanks)
	if end < 0 {
		end = len(s)
	}
	return string(s[:end]), s[end:], true, true
}

// unescape turns %XX into the octet; %00 only where null is set, since it
// would end a string of the original.
func unescape(s string, null bool) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
			if hi >= 0 && lo >= 0 && (null || hi+lo > 0) {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

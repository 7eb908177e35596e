package csv

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

const (
	maxOctets = 256 << 20
	maxRows   = 2_000_000
	maxField  = 1024
	maxErrors = 100
)

// Error is one mistake.
type Error struct {
	Pos  realm.Pos
	Text string
	Hint string
}

func (e *Error) Error() string {
	text := e.Pos.String() + ": " + e.Text
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Errors are all mistakes of a file.
type Errors []*Error

func (es Errors) Error() string {
	var b strings.Builder
	for i, e := range es {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// reader is inside of one file.
type reader struct {
	file    string
	rows    *csv.Reader
	columns []string // by number, "": it has no name and no values
	has     map[string]bool
	errs    Errors
	first   map[string]int // lines of the subjects that there are
	list    *migrate.Node
	count   int
	root    *migrate.Node
	homes   migrate.Names
	pools   map[string]string // by what their homes are written as
}

// Import reads a spreadsheet that is called file in comments and messages. The
// error is of type Errors where the file has mistakes.
func Import(file string, in io.Reader) (root *migrate.Node, routes int, err error) {
	data, err := io.ReadAll(io.LimitReader(in, maxOctets+1))
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", file, err)
	}
	r := &reader{file: file, has: map[string]bool{}, first: map[string]int{}, pools: map[string]string{}}
	if data = r.text(data); data != nil {
		r.rows = csv.NewReader(bytes.NewReader(data))
		r.rows.Comma = separator(data)
		r.rows.FieldsPerRecord = -1
		r.rows.ReuseRecord = true
		root = migrate.NewConfig().Realm("routes.yaml")
		root.Comment("Routes of %s; each line says which of its rows it comes from.", migrate.Printable(file))
		r.root, r.list = root, root.List("realms")
		r.read()
	}
	if len(r.errs) > 0 {
		return nil, 0, r.errs
	}
	return root, r.count, nil
}

// text checks the octets as a whole and takes off the mark in front.
func (r *reader) text(data []byte) []byte {
	at := realm.Pos{File: r.file, Line: 1, Col: 1}
	switch {
	case len(data) > maxOctets:
		r.fail(at, "", "the file is larger than 256 MiB")
		return nil
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		r.fail(at, "save it as CSV UTF-8", "the file is UTF-16")
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for line, rest := 1, data; len(rest) > 0; line++ {
		var row []byte
		row, rest, _ = bytes.Cut(rest, []byte("\n"))
		for i := 0; i < len(row); {
			c, n := utf8.DecodeRune(row[i:])
			if c == utf8.RuneError && n < 2 || c == 0 {
				r.fail(realm.Pos{File: r.file, Line: line, Col: i + 1}, "save it as CSV UTF-8", "this is no text in UTF-8")
				return nil
			}
			i += n
		}
	}
	return data
}

// separator is what occurs most in the first row, outside of quotes.
func separator(data []byte) rune {
	counts := map[byte]int{}
	quoted := false
	for _, c := range data {
		if c == '"' {
			quoted = !quoted
		}
		if c == '\n' && !quoted && len(counts) > 0 {
			break
		}
		if !quoted && (c == ',' || c == ';' || c == '\t') {
			counts[c]++
		}
	}
	best := byte(',')
	for _, c := range []byte{';', '\t'} {
		if counts[c] > counts[best] {
			best = c
		}
	}
	return rune(best)
}

func (r *reader) fail(pos realm.Pos, hint, text string, args ...any) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, &Error{pos, fmt.Sprintf(text, args...), hint})
	}
}

// at is where a field of the present row stands.
func (r *reader) at(field int) realm.Pos {
	line, col := r.rows.FieldPos(field)
	return realm.Pos{File: r.file, Line: line, Col: col}
}

func (r *reader) read() {
	for row := 0; len(r.errs) < maxErrors; row++ {
		fields, err := r.rows.Read()
		var parse *csv.ParseError
		switch {
		case err == io.EOF && row == 0:
			r.fail(realm.Pos{File: r.file, Line: 1, Col: 1}, "the first row names the columns: "+Columns, "the file is empty")
			return
		case err == io.EOF:
			return
		case errors.As(err, &parse):
			r.fail(realm.Pos{File: r.file, Line: parse.Line, Col: parse.Column}, "", "%v", parse.Err)
			return
		case row > maxRows:
			r.fail(r.at(0), "", "more than %d rows", maxRows)
			return
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
			if len(fields[i]) > maxField {
				r.fail(r.at(i), "", "a field of more than %d octets", maxField)
				return
			}
		}
		switch {
		case empty(fields):
			row-- // also in front of the header
		case row == 0:
			if !r.header(fields) {
				return
			}
		default:
			r.route(fields)
		}
	}
}

func empty(fields []string) bool {
	for _, f := range fields {
		if f != "" {
			return false
		}
	}
	return true
}

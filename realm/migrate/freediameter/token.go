package freediameter

import (
	"strconv"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

type kind uint8

const (
	endOfFile kind = iota
	word
	text       // "..."
	expression // ["..."], of rt_default alone
	number
	mark // one of = , : ; { } * +
)

type token struct {
	kind kind
	val  string
	n    int
	pos  realm.Pos
}

// lexer splits what both grammars are made of.
type lexer struct {
	in        string
	at        int
	file      string
	line, bol int  // bol is where the line begins
	wide      bool // of rt_default: numbers may be negative, and there are expressions
}

func (l *lexer) pos() realm.Pos { return realm.Pos{File: l.file, Line: l.line, Col: l.at - l.bol + 1} }

func (l *lexer) skip() {
	for ; l.at < len(l.in); l.at++ {
		switch c := l.in[l.at]; {
		case c == '\n':
			l.line, l.bol = l.line+1, l.at+1
		case c == ' ' || c >= '\t' && c <= '\r':
		case c == '#':
			for l.at+1 < len(l.in) && l.in[l.at+1] != '\n' {
				l.at++
			}
		default:
			return
		}
	}
}

func (l *lexer) next() (token, error) {
	l.skip()
	t := token{pos: l.pos()}
	if l.at >= len(l.in) {
		return t, nil
	}
	c := l.in[l.at]
	switch {
	case c == '"':
		t.kind = text
		return t, l.quoted(&t, 1)
	case l.wide && c == '[' && l.at+1 < len(l.in) && l.in[l.at+1] == '"':
		t.kind = expression
		if err := l.quoted(&t, 2); err != nil {
			return t, err
		}
		if l.at >= len(l.in) || l.in[l.at] != ']' {
			return t, migrate.Refuse(t.pos, `the expression does not end with "]`)
		}
		l.at++
		return t, nil
	case digit(c) || l.wide && c == '-' && l.at+1 < len(l.in) && digit(l.in[l.at+1]):
		t.kind = number
		t.val = l.run(1, digit)
		n, err := strconv.ParseInt(t.val, 0, 32) // as sscanf does with %i
		if err != nil {
			return t, migrate.Refuse(t.pos, "%s is no number", t.val)
		}
		t.n = int(n)
		return t, nil
	case c == '=' || c == ',' || c == ':' || c == ';' || c == '{' || c == '}' || l.wide && (c == '*' || c == '+' || c == '-'):
		t.kind, t.val = mark, string(c)
		l.at++
		return t, nil
	case letter(c):
		t.kind, t.val = word, l.run(1, func(c byte) bool { return letter(c) || digit(c) })
		return t, nil
	}
	return t, migrate.Refuse(t.pos, "unrecognized text %q", l.in[l.at:l.at+1])
}

// quoted reads to the closing quote of the same line.
func (l *lexer) quoted(t *token, open int) error {
	start := l.at + open
	for i := start; i < len(l.in) && l.in[i] != '\n'; i++ {
		if l.in[i] == '"' {
			t.val, l.at = l.in[start:i], i+1
			return nil
		}
	}
	return migrate.Refuse(t.pos, "the quotes are not closed in this line")
}

func (l *lexer) run(from int, more func(byte) bool) string {
	start := l.at
	for l.at += from; l.at < len(l.in) && more(l.in[l.at]); l.at++ {
	}
	return l.in[start:l.at]
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

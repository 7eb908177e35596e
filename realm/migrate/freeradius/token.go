package freeradius

import "strings"

// token is one of the signs of the language, or a kind of word.
type token string

const (
	tokenEnd    token = "end of line"
	tokenWord   token = "word"
	tokenDouble token = `"word"`
	tokenSingle token = "'word'"
	tokenBack   token = "`word`"
	tokenBad    token = "unterminated string"
)

// signs in the order in which they are tried.
var signs = []token{"=~", "!~", "{", "}", "(", ")", ",", "++", "+=", "-=", ":=", "=*", "!*", "==", "^=", "=",
	"!=", ">=", ">", "<=", "<", "#", ";"}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func skipSpace(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

func signAt(s string) token {
	for _, t := range signs {
		if strings.HasPrefix(s, string(t)) {
			return t
		}
	}
	return ""
}

// next reads one token and gives the rest of the line behind it. Signs end a
// word only where withSigns; unescape resolves escapes in quotes, else only an
// escaped quote is one.
func next(s string, withSigns, unescape bool) (t token, text, rest string) {
	s = skipSpace(s)
	if s == "" {
		return tokenEnd, "", ""
	}
	if withSigns {
		if t := signAt(s); t != "" {
			return t, string(t), skipSpace(s[len(t):])
		}
	}
	switch s[0] {
	case '"':
		t = tokenDouble
	case '\'':
		t = tokenSingle
	case '`':
		t = tokenBack
	default:
		at := 0
		for at < len(s) && !isSpace(s[at]) && s[at] != ',' && (!withSigns || signAt(s[at:]) == "") {
			at++
		}
		return tokenWord, s[:at], skipSpace(s[at:])
	}
	text, rest, ok := quoted(s, unescape)
	if !ok {
		return tokenBad, "", s
	}
	return t, text, skipSpace(rest)
}

// quoted reads a string that begins with its quote.
func quoted(s string, unescape bool) (text, rest string, ok bool) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == quote:
			return b.String(), s[i+1:], true
		case c != '\\':
			b.WriteByte(c)
			continue
		case i+1 == len(s):
			return "", s, false
		}
		i++
		switch c = s[i]; {
		case !unescape:
			if c != quote {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case c == 'r':
			b.WriteByte('\r')
		case c == 'n':
			b.WriteByte('\n')
		case c == 't':
			b.WriteByte('\t')
		case c >= '0' && c <= '7':
			v, digits := octal(s[i:])
			b.WriteByte(v)
			i += digits - 1
		default:
			b.WriteByte(c)
		}
	}
	return "", s, false
}

// octal reads up to three octal digits.
func octal(s string) (v byte, digits int) {
	for digits < 3 && digits < len(s) && s[digits] >= '0' && s[digits] <= '7' {
		v = v<<3 | s[digits] - '0'
		digits++
	}
	return v, digits
}

// condition gives the length of the condition in front of its "{", -1 where
// there is none. Quotes, expressions between slashes and expansions may
// contain braces.
func condition(s string) int {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'', '`':
			_, rest, ok := quoted(s[i:], false)
			if !ok {
				return -1
			}
			i = len(s) - len(rest) - 1
		case '=', '!':
			if i+1 < len(s) && s[i+1] == '~' {
				i = expression(s, i+2)
				if i < 0 {
					return -1
				}
			}
		case '%', '$':
			if i+1 < len(s) && s[i+1] == '{' {
				i = closing(s, i+1)
				if i < 0 {
					return -1
				}
			}
		case '\\':
			i++
		case '{':
			return i
		}
	}
	return -1
}

// expression passes /.../ and gives the place of its last slash; a pattern may
// also be a string, which is left to the caller.
func expression(s string, i int) int {
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	if i == len(s) || s[i] != '/' {
		return i - 1
	}
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '/':
			return i
		}
	}
	return -1
}

// closing gives the place of the brace that closes the one at i.
func closing(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

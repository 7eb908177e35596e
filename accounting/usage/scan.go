package usage

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What can be wrong with a value. None of them quotes it.
var (
	errSyntax      = errors.New("no JSON")
	errDeep        = errors.New("nested too deep")
	errNumber      = errors.New("no number that fits")
	errWord        = errors.New("none of the known words")
	errLong        = errors.New("the text is too long")
	errEmpty       = errors.New("the text is empty")
	errUTF8        = errors.New("no UTF-8")
	errHex         = errors.New("not hexadecimal, or of the wrong length")
	errTime        = errors.New("no time in UTC as RFC 3339 has it")
	errAddress     = errors.New("no address")
	errMany        = errors.New("too many")
	errTwice       = errors.New("is there twice")
	errVersionLate = errors.New("is not the first field")
)

// maxDepth bounds how deep what is skipped may be nested.
const maxDepth = 8

// scanner reads JSON (RFC 8259) from front to back. encoding/json takes five
// times as long for a line; this one is strict about UTF-8 and names that
// come twice besides. The first error stays, and after it every method
// returns at once with a zero value.
type scanner struct {
	b     []byte
	i     int
	first bool // no element of the object or list was read yet
	buf   []byte
	texts strings.Builder // all texts of the line in one piece
	err   error
}

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// peek returns the next octet that is no white space, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// end checks that nothing follows.
func (s *scanner) end() {
	if s.peek(); s.i < len(s.b) {
		s.fail(errSyntax)
	}
}

// expect reads the octet c.
func (s *scanner) expect(c byte) {
	if s.err == nil && s.peek() == c {
		s.i++
		return
	}
	s.fail(errSyntax)
}

// open begins an object or list; more goes on to its next element and ends
// it. A caller reads one element each time that more says true.
func (s *scanner) open(c byte) {
	s.expect(c)
	s.first = true
}

func (s *scanner) more(end byte) bool {
	if s.err != nil {
		return false
	}
	first := s.first
	s.first = false
	switch c := s.peek(); {
	case c == end:
		s.i++
		return false
	case first:
	case c == ',':
		s.i++
	default:
		s.fail(errSyntax)
		return false
	}
	return true
}

// name reads the name of a field and the colon behind it.
func (s *scanner) name() []byte {
	n := s.string()
	s.expect(':')
	return n
}

// string reads a string. What it returns is valid until the next call.
func (s *scanner) string() []byte {
	s.expect('"')
	if s.err != nil {
		return nil
	}
	from, ascii := s.i, byte(0)
	for i := from + plain(s.b[from:]); i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			v := s.b[from:i]
			if ascii >= utf8.RuneSelf && !utf8.Valid(v) {
				s.fail(errUTF8)
			}
			return v
		case c == '\\':
			return s.escaped(from, i)
		case c < 0x20:
			s.fail(errSyntax)
			return nil
		default:
			ascii |= c
		}
	}
	s.fail(errSyntax)
	return nil
}

// plain counts octets in front of b, eight at a time, that are ASCII and
// neither a control character nor a quote nor a backslash. More may follow.
func plain(b []byte) (n int) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(b)-n >= 8; n += 8 {
		v := binary.LittleEndian.Uint64(b[n:])
		quote, slash := v^ones*'"', v^ones*'\\'
		// The top bit of each octet that is none of those, or, below one
		// that is, perhaps of another.
		if (v|(v-ones*0x20)|(quote-ones)|(slash-ones))&tops != 0 {
			break
		}
	}
	return n
}

// escaped reads on at the first backslash of the string that began at from.
func (s *scanner) escaped(from, i int) []byte {
	out := append(s.buf[:0], s.b[from:i]...)
	for i < len(s.b) {
		c := s.b[i]
		i++
		switch {
		case c == '"':
			s.i, s.buf = i, out
			if !utf8.Valid(out) {
				s.fail(errUTF8)
			}
			return out
		case c < 0x20:
			s.fail(errSyntax)
			return nil
		case c != '\\':
			out = append(out, c)
			continue
		}
		if i == len(s.b) {
			break
		}
		c = s.b[i]
		i++
		switch c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := s.unit(i)
			i += 4
			if utf16.IsSurrogate(r) && i+1 < len(s.b) && s.b[i] == '\\' && s.b[i+1] == 'u' {
				if low := s.unit(i + 2); utf16.DecodeRune(r, low) != utf8.RuneError {
					r = utf16.DecodeRune(r, low)
					i += 6
				}
			}
			if s.err != nil {
				return nil
			}
			out = utf8.AppendRune(out, r) // half a pair becomes U+FFFD
		default:
			s.fail(errSyntax)
			return nil
		}
	}
	s.fail(errSyntax)
	return nil
}

// unit reads the four digits of a \u at i.
func (s *scanner) unit(i int) (r rune) {
	if len(s.b)-i < 4 {
		s.fail(errSyntax)
		return 0
	}
	for _, c := range s.b[i : i+4] {
		d := unhex(c)
		if d < 0 {
			s.fail(errSyntax)
			return 0
		}
		r = r<<4 | rune(d)
	}
	return r
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c - 'a' + 10)
	case c >= 'A' && c <= 'F':
		return int(c - 'A' + 10)
	}
	return -1
}

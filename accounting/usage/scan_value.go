package usage

import (
	"encoding/hex"
	"math"
)

// text reads a text, which AppendJSON writes only when there is one.
func (s *scanner) text() string {
	v := s.string()
	switch {
	case s.err != nil:
		return ""
	case len(v) == 0:
		s.fail(errEmpty)
	case len(v) > maxText:
		s.fail(errLong)
	default:
		if s.texts.Cap() == 0 {
			s.texts.Grow(len(s.b) / 3)
		}
		at := s.texts.Len()
		s.texts.Write(v)
		return s.texts.String()[at:]
	}
	return ""
}

// hex reads exactly the octets of dst.
func (s *scanner) hex(dst []byte) {
	s.expect('"')
	if s.err != nil {
		return
	}
	n := 2 * len(dst)
	if len(s.b)-s.i <= n || s.b[s.i+n] != '"' {
		s.fail(errHex)
		return
	}
	if _, err := hex.Decode(dst, s.b[s.i:s.i+n]); err != nil {
		s.fail(errHex)
	}
	s.i += n + 1
}

// uint reads a whole number of at most so many bits.
func (s *scanner) uint(bits int) (n uint64) {
	c := s.peek()
	if s.err != nil || c < '0' || c > '9' {
		s.fail(errNumber)
		return 0
	}
	limit := uint64(math.MaxUint64) >> (64 - bits)
	from := s.i
	for ; s.i < len(s.b); s.i++ {
		d := uint64(s.b[s.i] - '0')
		if d > 9 {
			break
		}
		if n > limit/10 || n*10 > limit-d {
			s.fail(errNumber)
			return 0
		}
		n = n*10 + d
	}
	if s.b[from] == '0' && s.i-from > 1 || !s.numberEnds() {
		s.fail(errNumber)
		return 0
	}
	return n
}

// numberEnds says that no fraction and no exponent follows.
func (s *scanner) numberEnds() bool {
	if s.i == len(s.b) {
		return true
	}
	c := s.b[s.i]
	return c != '.' && c|0x20 != 'e'
}

// minus reads a sign, if there is one.
func (s *scanner) minus() bool {
	if s.err != nil || s.peek() != '-' {
		return false
	}
	s.i++
	if s.i == len(s.b) || s.b[s.i] < '0' || s.b[s.i] > '9' {
		s.fail(errSyntax)
	}
	return true
}

func (s *scanner) bool() bool {
	switch s.peek() {
	case 't':
		s.literal("true")
		return true
	case 'f':
		s.literal("false")
	default:
		s.fail(errWord)
	}
	return false
}

func (s *scanner) literal(word string) {
	if s.err != nil {
		return
	}
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		s.fail(errSyntax)
		return
	}
	s.i += len(word)
}

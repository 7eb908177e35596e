package usage

// skip reads a value of any kind.
func (s *scanner) skip() { s.skipTo(maxDepth) }

func (s *scanner) skipTo(depth int) {
	if depth == 0 {
		s.fail(errDeep)
	}
	if s.err != nil {
		return
	}
	switch c := s.peek(); c {
	case '{':
		for s.open('{'); s.more('}'); {
			s.name()
			s.skipTo(depth - 1)
		}
	case '[':
		for s.open('['); s.more(']'); {
			s.skipTo(depth - 1)
		}
	case '"':
		s.string()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

// number reads a number of any form.
func (s *scanner) number() {
	s.minus()
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if s.digits() == 0 {
		s.fail(errSyntax)
		return
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if s.digits() == 0 {
			s.fail(errSyntax)
		}
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if s.digits() == 0 {
			s.fail(errSyntax)
		}
	}
}

func (s *scanner) digits() (n int) {
	for ; s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9'; n++ {
		s.i++
	}
	return n
}

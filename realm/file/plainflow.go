package file

// maxFlow bounds how deep lists and mappings in brackets may nest.
const maxFlow = 16

// flow reads a value in brackets that ends on its line and returns the offset
// behind it, 0 to give up.
func (p *plain) flow(at, depth int) int {
	if depth >= maxFlow || at >= p.end {
		return 0
	}
	switch p.src[at] {
	case '[':
		return p.flowList(at, depth)
	case '{':
		return p.flowMapping(at, depth)
	case '"', '\'':
		return p.quotedScalar(at)
	}
	return p.flowScalar(at)
}

func (p *plain) flowList(at, depth int) int {
	me := p.tree.open(kindSequence, p.line, p.column(at), "", false)
	at = p.skip(at + 1)
	if at < p.end && p.src[at] == ']' {
		return at + 1
	}
	for {
		if at = p.flow(at, depth+1); at == 0 {
			return 0
		}
		next, done := p.separator(at, ']')
		if next == 0 || done {
			p.tree.close(me)
			return next
		}
		at = next
	}
}

func (p *plain) flowMapping(at, depth int) int {
	me := p.tree.open(kindMapping, p.line, p.column(at), "", false)
	at = p.skip(at + 1)
	if at < p.end && p.src[at] == '}' {
		return at + 1
	}
	for {
		if at = p.flowPair(at, depth); at == 0 {
			return 0
		}
		next, done := p.separator(at, '}')
		if next == 0 || done {
			p.tree.close(me)
			return next
		}
		at = next
	}
}

func (p *plain) flowPair(at, depth int) int {
	start := at
	for at < p.end && isKeyByte(p.src[at]) && (at > start || p.src[at] != '-') {
		at++
	}
	key := p.src[start:at]
	if key == "" || isNullWord(key) || key[0] >= '0' && key[0] <= '9' ||
		at+1 >= p.end || p.src[at] != ':' || p.src[at+1] != ' ' {
		return 0
	}
	p.tree.open(kindScalar, p.line, p.column(start), key, false)
	return p.flow(p.skip(at+1), depth+1)
}

func (p *plain) flowScalar(at int) int {
	if !isFirstByte(p.src[at]) {
		return 0
	}
	i := at
	for i < p.end {
		c := p.src[i]
		inside := isPlainByte(c) ||
			c == ':' && i+1 < p.end && (isPlainByte(p.src[i+1]) || p.src[i+1] == ':')
		if !inside {
			break
		}
		i++
	}
	text := p.src[at:i]
	if isNullWord(text) {
		return 0
	}
	p.tree.open(kindScalar, p.line, p.column(at), text, false)
	return i
}

// separator passes a comma, or the closing bracket: then done is true. It
// returns 0 to give up.
func (p *plain) separator(at int, closing byte) (next int, done bool) {
	at = p.skip(at)
	if at >= p.end {
		return 0, false
	}
	switch p.src[at] {
	case closing:
		return at + 1, true
	case ',':
		if at+1 < p.end && p.src[at+1] == ' ' {
			return p.skip(at + 1), false
		}
	}
	return 0, false
}

func (p *plain) skip(at int) int {
	for at < p.end && p.src[at] == ' ' {
		at++
	}
	return at
}

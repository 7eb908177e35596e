package home

// Numbers are what the requests on one connection are told apart by. RADIUS/1.0
// has 255 identifiers there: 0 is for Status-Server
// (draft-ietf-radext-radiusdtls-bis section 3.8), and one whose request was
// given up rests, as its answer may still come. RADIUS/1.1 has a Token of 32
// bits, which counts and is not used twice in the life of a connection (RFC 9765
// section 4.2).
type Numbers struct {
	block  *block   // of RADIUS/1.0
	tokens []ticket // of RADIUS/1.1, by the low bits of the token: a power of two
	next   uint32
	n      int
}

type ticket struct {
	token uint32
	slot  uint32 // none: it is free
}

const (
	numberRest  = 30 * second
	firstTokens = 256
	allTokens   = 1 << 20 // of one connection at a time
)

// NewNumbers returns the numbers of a new connection.
func NewNumbers(tokens bool) *Numbers {
	if tokens {
		n := &Numbers{next: 1}
		n.tokens = emptyTickets(firstTokens)
		return n
	}
	b := &block{}
	for id := 1; id < 256; id++ {
		b.free.push(uint8(id))
	}
	return &Numbers{block: b}
}

func emptyTickets(n int) []ticket {
	t := make([]ticket, n)
	for i := range t {
		t[i].slot = none
	}
	return t
}

// Tokens reports whether the connection is of RADIUS/1.1.
func (n *Numbers) Tokens() bool { return n.block == nil }

// Len is how many are in use.
func (n *Numbers) Len() int { return n.n }

// Take gives the Exchange in slot a number; not ok: there is none.
// hot: 0 allocs, but for tokens when more are in use than ever before
func (n *Numbers) Take(slot uint32, now int64) (number uint32, ok bool) {
	if n.block != nil {
		id, ok := n.block.take(slot, now)
		if ok {
			n.n++
		}
		return uint32(id), ok
	}
	if 2*n.n >= len(n.tokens) && !n.grow() {
		return 0, false
	}
	for {
		number = n.token()
		if t := &n.tokens[int(number)&(len(n.tokens)-1)]; t.slot == none {
			*t = ticket{number, slot}
			n.n++
			return number, true
		}
	}
}

func (n *Numbers) token() uint32 {
	t := n.next
	n.next++
	return t
}

// grow doubles the table. Tokens that differ in their low bits go on doing so.
func (n *Numbers) grow() bool {
	if len(n.tokens) >= 2*allTokens {
		return false
	}
	old := n.tokens
	n.tokens = emptyTickets(2 * len(old))
	for _, t := range old {
		if t.slot != none {
			n.tokens[int(t.token)&(len(n.tokens)-1)] = t
		}
	}
	return true
}

// Probe gives the number of a Status-Server.
func (n *Numbers) Probe() uint32 {
	if n.block != nil {
		return 0
	}
	return n.token()
}

// Find gives the slot of the Exchange that has the number.
// hot: 0 allocs
func (n *Numbers) Find(number uint32) (slot uint32, ok bool) {
	if n.block != nil {
		id := uint8(number)
		if number > 255 || !n.block.isBusy(id) {
			return 0, false
		}
		return n.block.word[id], true
	}
	t := &n.tokens[int(number)&(len(n.tokens)-1)]
	return t.slot, t.slot != none && t.token == number
}

// Give takes a number back. One that was not answered rests.
// hot: 0 allocs
func (n *Numbers) Give(number uint32, answered bool, now int64) {
	if _, ok := n.Find(number); !ok {
		return
	}
	n.n--
	if n.block != nil {
		n.block.give(uint8(number), answered, now+numberRest)
		return
	}
	n.tokens[int(number)&(len(n.tokens)-1)].slot = none
}

// Slots appends those that have a number.
func (n *Numbers) Slots(to []uint32) []uint32 {
	if n.block != nil {
		for id := range 256 {
			if n.block.isBusy(uint8(id)) {
				to = append(to, n.block.word[id])
			}
		}
		return to
	}
	for _, t := range n.tokens {
		if t.slot != none {
			to = append(to, t.slot)
		}
	}
	return to
}

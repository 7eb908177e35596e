package listen

import (
	"net/netip"
	"sync"
)

// halfOpen counts the handshakes.
type halfOpen struct {
	mu   sync.Mutex // guards all below
	all  int
	each map[netip.Prefix]int
}

// network is what one party can easily have many addresses of.
func network(a netip.Addr) netip.Prefix {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

func (h *halfOpen) enter(a netip.Addr, l Limits) Result {
	p := network(a)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.all >= l.HalfOpen:
		return TooMany
	case h.each[p] >= l.HalfOpenEach:
		return TooManyThere
	}
	h.all++
	h.each[p]++
	return Accepted
}

func (h *halfOpen) leave(a netip.Addr) {
	p := network(a)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all--
	if h.each[p]--; h.each[p] == 0 {
		delete(h.each, p)
	}
}

func (h *halfOpen) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all
}

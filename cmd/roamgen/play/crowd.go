package play

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// Crowd are connections that say nothing after their handshake.
type Crowd struct{ links []*link }

// handshakesAtOnce bounds what a crowd asks of the other side.
const handshakesAtOnce = 16

// Gather opens n connections, each with a handshake of its own.
func (s *Stream) Gather(n int, to netip.AddrPort) (*Crowd, error) {
	c := &Crowd{links: make([]*link, n)}
	failed := make([]error, n)
	free := make(chan struct{}, handshakesAtOnce)
	from := (&NASConfig{}).bind(to)
	var wait sync.WaitGroup
	for i := range n {
		free <- struct{}{}
		wait.Go(func() {
			c.links[i], failed[i] = s.dial(from, to)
			<-free
		})
	}
	wait.Wait()
	if err := errors.Join(failed...); err != nil {
		c.Close()
		return nil, fmt.Errorf("gathering %d connections: %w", n, err)
	}
	return c, nil
}

// Close ends them all.
func (c *Crowd) Close() {
	for _, l := range c.links {
		if l != nil {
			l.close()
		}
	}
}

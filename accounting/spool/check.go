package spool

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// groupRecords is how many records one worker reads at a time; tests lower it.
var groupRecords = uint64(8192)

// check reads every record: the store verifies its checksums, we the
// numbering and the caller the content. Groups of records are read side by
// side; the caller gets them in order. What is wrong is found again by one
// reader from the front, who can name it exactly.
func (s *Spool) check() error {
	first, last := s.first.Load(), s.last.Load()
	if first > last {
		return nil
	}
	c := checker{s: s, first: first, last: last, turns: make([]chan struct{}, (last-first)/groupRecords+1)}
	c.failed.Store(uint64(len(c.turns)))
	for i := range c.turns {
		c.turns[i] = make(chan struct{})
	}
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(c.turns)) {
		workers.Go(c.work)
	}
	workers.Wait()
	if err := s.Failure(); err != nil {
		return err
	}
	switch bad := c.bad.Load(); {
	case bad != nil:
		return *bad
	case c.failed.Load() < uint64(len(c.turns)):
		return s.checkInOrder()
	}
	return nil
}

// checker is one check under way.
type checker struct {
	s           *Spool
	first, last uint64
	next        atomic.Uint64   // group
	turns       []chan struct{} // closed when the group is done with
	failed      atomic.Uint64   // the first group that is not good, so far
	bad         atomic.Pointer[error]
}

// fail ends the check behind a group: what stands before it is still looked at.
func (c *checker) fail(group uint64) {
	for {
		was := c.failed.Load()
		if was <= group || c.failed.CompareAndSwap(was, group) {
			return
		}
	}
}

// group is what one worker has read; its memory is used again.
type group struct {
	first uint64
	octs  []byte
	ends  []int
}

func (c *checker) work() {
	var g group
	for {
		i := c.next.Add(1) - 1
		if i >= uint64(len(c.turns)) {
			return
		}
		c.one(i, &g)
	}
}

// one reads a group and passes it on when all before it are.
func (c *checker) one(i uint64, g *group) {
	defer close(c.turns[i])
	ok := false
	defer func() { // the store may end the goroutine (storeLogger)
		if !ok {
			c.fail(i)
		}
	}()
	if i > c.failed.Load() || !c.read(i, g) {
		return
	}
	if i > 0 {
		<-c.turns[i-1]
	}
	ok = i <= c.failed.Load() && c.scan(g)
}

// read verifies a group, and keeps it where somebody wants to see it.
func (c *checker) read(i uint64, g *group) bool {
	g.first, g.octs, g.ends = c.first+i*groupRecords, g.octs[:0], g.ends[:0]
	return c.s.read(g.first, min(g.first+groupRecords-1, c.last), func(_ uint64, rec []byte) bool {
		if c.s.o.Scan != nil {
			g.octs = append(g.octs, rec...)
			g.ends = append(g.ends, len(g.octs))
		}
		return i <= c.failed.Load()
	}) == nil
}

func (c *checker) scan(g *group) bool {
	from := 0
	for i, end := range g.ends {
		seq := g.first + uint64(i)
		if err := c.s.o.Scan(seq, g.octs[from:end:end]); err != nil {
			err = damaged(fmt.Sprintf("record %d", seq), err)
			c.bad.Store(&err)
			return false
		}
		from = end
	}
	return true
}

// checkInOrder finds what is wrong first.
func (s *Spool) checkInOrder() error {
	err := s.read(0, s.last.Load(), func(uint64, []byte) bool { return true })
	if err == nil {
		err = damaged("reading records", errors.New("a read failed that now succeeds"))
	}
	return err
}

package udp

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// softPoller is the portable Poller: readers and Wake put one token into a
// channel, and Wait looks at every ring. The socket list belongs to the owner.
type softPoller struct {
	watched []softWatch
	tags    []uint32
	token   chan struct{}
	woken   atomic.Bool
	timer   *time.Timer
	closed  bool

	mu     sync.Mutex // guards posted
	posted []uint32
}

type softWatch struct {
	conn *softConn
	tag  uint32
}

func newSoftPoller() *softPoller {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &softPoller{token: make(chan struct{}, 1), timer: t}
}

func (p *softPoller) add(c *Conn, tag uint32) error {
	s, ok := c.back.(*softConn)
	if !ok {
		return errForeignConn
	}
	if c.closed || p.closed {
		return net.ErrClosed
	}
	p.watched = append(p.watched, softWatch{conn: s, tag: tag})
	s.poller.Store(p)
	return nil
}

func (p *softPoller) remove(c *Conn) {
	for i, w := range p.watched {
		if w.conn == c.back {
			w.conn.poller.Store(nil)
			p.watched = append(p.watched[:i], p.watched[i+1:]...)
			return
		}
	}
}

func (p *softPoller) addStream(int, uint32) error {
	if p.closed {
		return net.ErrClosed
	}
	return ErrNoStreams
}

func (p *softPoller) setWritable(int, uint32, bool) error { return ErrNoStreams }

func (p *softPoller) removeStream(int) {}

func (p *softPoller) wait(timeout time.Duration) ([]uint32, bool, error) {
	if p.closed {
		return nil, false, net.ErrClosed
	}
	if p.look() || timeout == 0 {
		return p.result()
	}
	if timeout < 0 {
		<-p.token
		p.look()
		return p.result()
	}
	p.timer.Reset(timeout)
	select {
	case <-p.token:
		p.timer.Stop()
	case <-p.timer.C:
	}
	p.look()
	return p.result()
}

// look collects the tags and tells whether there is a reason not to sleep.
func (p *softPoller) look() bool {
	p.tags = p.tags[:0]
	for _, w := range p.watched {
		if w.conn.waiting() {
			p.tags = append(p.tags, w.tag)
		}
	}
	return len(p.tags) > 0 || p.woken.Load()
}

func (p *softPoller) result() ([]uint32, bool, error) {
	woken := p.woken.Swap(false)
	if woken {
		p.mu.Lock()
		p.tags = append(p.tags, p.posted...)
		p.posted = p.posted[:0]
		p.mu.Unlock()
	}
	return p.tags, woken, nil
}

func (p *softPoller) signal() {
	select {
	case p.token <- struct{}{}:
	default:
	}
}

func (p *softPoller) wake() {
	if !p.woken.Swap(true) {
		p.signal()
	}
}

func (p *softPoller) post(tag uint32) {
	p.mu.Lock()
	p.posted = append(p.posted, tag)
	p.mu.Unlock()
	p.wake()
}

func (p *softPoller) close() {
	for _, w := range p.watched {
		w.conn.poller.Store(nil)
	}
	p.watched, p.closed = nil, true
}

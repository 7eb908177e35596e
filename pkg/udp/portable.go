package udp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ringSlots  = 512
	slotOctets = MaxPacket + 1
	readPause  = 10 * time.Millisecond // after an error that does not go away
)

// softConn is the portable socket: a reader goroutine copies into a bounded
// ring, from which recv copies into the batch. It is for development on other
// systems and for tests, so one more copy is accepted.
type softConn struct {
	conn *Conn
	uc   *net.UDPConn
	stop chan struct{}
	done chan struct{}

	mu     sync.Mutex // guards the ring; held only to copy one slot or one batch
	slots  []softSlot
	head   int
	count  int
	poller atomic.Pointer[softPoller]
}

type softSlot struct {
	data []byte
	full int // length on the wire
	from Addr
}

func listenPortable(c *Conn, a netip.AddrPort, o Options) error {
	lc := net.ListenConfig{}
	if o.ReusePort || o.Share && !lateReuse {
		lc.Control = reusePort
	}
	network := "udp6"
	if c.v4 {
		network = "udp4"
	}
	pc, err := lc.ListenPacket(context.Background(), network, a.String())
	if err != nil {
		return err
	}
	uc := pc.(*net.UDPConn)
	if err := softBuffers(uc, o); err != nil {
		return errors.Join(err, uc.Close())
	}
	if o.Share && lateReuse {
		raw, err := uc.SyscallConn()
		if err == nil {
			err = reusePort("", "", raw)
		}
		if err != nil {
			return errors.Join(err, uc.Close())
		}
	}
	ap := uc.LocalAddr().(*net.UDPAddr).AddrPort()
	c.local = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	s := &softConn{
		conn: c, uc: uc, slots: make([]softSlot, ringSlots),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	c.back = s
	go s.read()
	return nil
}

func softBuffers(uc *net.UDPConn, o Options) error {
	if o.RecvBuffer > 0 {
		if err := uc.SetReadBuffer(o.RecvBuffer); err != nil {
			return err
		}
	}
	if o.SendBuffer > 0 {
		return uc.SetWriteBuffer(o.SendBuffer)
	}
	return nil
}

// read ends when close closes the socket.
func (s *softConn) read() {
	defer close(s.done)
	scratch := make([]byte, 1<<16)
	for {
		n, from, err := s.uc.ReadFromUDPAddrPort(scratch)
		switch {
		case err == nil:
			s.push(scratch[:n], AddrFrom(from))
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.conn.counters.recv.add(classOfError(err), 1)
			if !s.pause() {
				return
			}
		}
	}
}

// pause keeps a lasting error from taking a core.
func (s *softConn) pause() bool {
	t := time.NewTimer(readPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stop:
		return false
	}
}

func (s *softConn) push(b []byte, from Addr) {
	s.mu.Lock()
	if s.count == len(s.slots) {
		s.mu.Unlock()
		s.conn.counters.drops.Add(1)
		return
	}
	slot := &s.slots[(s.head+s.count)%len(s.slots)]
	slot.data = append(slot.data[:0], b[:min(len(b), slotOctets)]...)
	slot.full, slot.from = len(b), from
	s.count++
	s.mu.Unlock()
	if p := s.poller.Load(); p != nil {
		p.signal()
	}
}

func (s *softConn) recv(b *Batch) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(s.count, b.Cap())
	for i := range n {
		slot := &s.slots[s.head]
		m := copy(b.buffer(i), slot.data)
		b.starts[i] = int32(i * b.stride)
		b.lens[i], b.cut[i] = int32(m), m < slot.full
		b.addrs[i], b.locals[i] = slot.from, LocalInfo{}
		s.head = (s.head + 1) % len(s.slots)
	}
	s.count -= n
	b.n, b.full = n, n == b.Cap()
	return n, nil
}

func (s *softConn) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count > 0
}

func (s *softConn) send(q *Queue) {
	sent := uint64(0)
	for i := range q.n {
		if q.to[i].V4 != s.conn.v4 {
			q.errs.add(ClassFamily, 1)
			continue
		}
		if _, err := s.uc.WriteToUDPAddrPort(q.data(i), q.to[i].AddrPort()); err != nil {
			q.errs.add(classOfError(err), 1)
			continue
		}
		sent++
	}
	q.sent.Add(sent)
}

func (s *softConn) queueRatio() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(s.count) / float64(len(s.slots))
}

func (s *softConn) close() error {
	close(s.stop)
	err := s.uc.Close()
	<-s.done
	s.mu.Lock()
	s.count = 0
	s.mu.Unlock()
	return err
}

func (c *softConn) thin([]Thinned) error { return nil }

func (c *softConn) setRecvBuffer(octets int) error { return c.uc.SetReadBuffer(octets) }

package udp

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The states of the owner, as Wake sees them.
const (
	awake    uint32 = iota
	sleeping        // in epoll_wait or about to be: a wake must write
	woken           // somebody has called Wake since
)

const (
	maxEvents = 256
	wakeMark  = 1 // in EpollEvent.Pad: the eventfd, not a socket
)

// epoll is the Linux Poller: level-triggered for sockets, so that one batch
// per turn is fair, and edge-triggered for the eventfd, so that nobody ever
// has to read it.
type epoll struct {
	fd     int
	events []unix.EpollEvent
	change unix.EpollEvent // what control tells the kernel, without allocating
	tags   []uint32
	state  atomic.Uint32
	closed bool

	mu     sync.Mutex // guards wakeFD against close in wake, and posted
	wakeFD int
	posted []uint32
}

var wakeValue = binary.NativeEndian.AppendUint64(nil, 1)

func newNativePoller() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a poller: %w", os.NewSyscallError("epoll_create1", err))
	}
	wfd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("making a poller: %w", os.NewSyscallError("eventfd", err))
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Pad: wakeMark}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, wfd, &ev); err != nil {
		_ = unix.Close(fd)
		_ = unix.Close(wfd)
		return nil, fmt.Errorf("making a poller: %w", os.NewSyscallError("epoll_ctl", err))
	}
	return &Poller{back: &epoll{
		fd: fd, wakeFD: wfd,
		events: make([]unix.EpollEvent, maxEvents),
		tags:   make([]uint32, 0, maxEvents),
	}}, nil
}

func (p *epoll) add(c *Conn, tag uint32) error {
	r, ok := c.back.(*rawConn)
	if !ok {
		return errForeignConn
	}
	if c.closed || p.closed {
		return net.ErrClosed
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(tag)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, r.fd, &ev))
}

func (p *epoll) remove(c *Conn) {
	if r, ok := c.back.(*rawConn); ok && !c.closed && !p.closed {
		_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, r.fd, nil) // not watched: nothing to undo
	}
}

func (p *epoll) addStream(fd int, tag uint32) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(tag)})
}

func (p *epoll) setWritable(fd int, tag uint32, on bool) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(tag)}
	if on {
		ev.Events |= unix.EPOLLOUT
	}
	return p.control(unix.EPOLL_CTL_MOD, fd, ev)
}

func (p *epoll) removeStream(fd int) {
	_ = p.control(unix.EPOLL_CTL_DEL, fd, unix.EpollEvent{}) // not watched: nothing to undo
}

func (p *epoll) control(op, fd int, ev unix.EpollEvent) error {
	if p.closed {
		return net.ErrClosed
	}
	p.change = ev
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, op, fd, &p.change))
}

func (p *epoll) wait(timeout time.Duration) ([]uint32, bool, error) {
	if p.closed {
		return nil, false, net.ErrClosed
	}
	n, err := p.look()
	if n == 0 && err == nil && timeout != 0 && p.state.CompareAndSwap(awake, sleeping) {
		n, err = unix.EpollWait(p.fd, p.events, milliseconds(timeout))
	}
	called := p.state.Load() != awake && p.state.Swap(awake) == woken
	if err != nil && err != unix.EINTR {
		return nil, called, os.NewSyscallError("epoll_wait", err)
	}
	p.tags = p.tags[:0]
	for i := range max(n, 0) {
		if ev := &p.events[i]; ev.Pad != wakeMark {
			p.tags = append(p.tags, uint32(ev.Fd))
		}
	}
	if called {
		p.mu.Lock()
		p.tags = append(p.tags, p.posted...)
		p.posted = p.posted[:0]
		p.mu.Unlock()
	}
	return p.tags, called, nil
}

// look asks without sleeping. A busy loop finds something nearly every time,
// and is spared what the scheduler does around a call that may block: its
// monitor alone took a twentieth of a saturated processor.
func (p *epoll) look() (int, error) {
	n, e := epollLook(p.fd, p.events)
	if e != 0 {
		return 0, e
	}
	return n, nil
}

// milliseconds rounds up: a loop that waits for its next timer must not spin
// through the last fraction.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int(min((d+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}

func (p *epoll) wake() {
	if p.state.Swap(woken) != sleeping {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wakeFD >= 0 {
		// Fails only when the counter is full, that is when a wake is due.
		_, _ = unix.Write(p.wakeFD, wakeValue)
	}
}

func (p *epoll) post(tag uint32) {
	p.mu.Lock()
	if p.wakeFD >= 0 {
		p.posted = append(p.posted, tag)
	}
	p.mu.Unlock()
	p.wake()
}

func (p *epoll) close() {
	if p.closed {
		return
	}
	p.closed = true
	_ = unix.Close(p.fd)
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = unix.Close(p.wakeFD)
	p.wakeFD = -1
}

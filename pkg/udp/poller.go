package udp

import (
	"errors"
	"runtime"
	"time"
)

var errForeignConn = errors.New("socket and poller are of different implementations")

// ErrNoStreams says that a poller cannot watch descriptors: who has a stream
// puts goroutines before it and uses Post.
var ErrNoStreams = errors.New("this poller watches no streams")

// pollBackend is one of the two implementations.
type pollBackend interface {
	add(c *Conn, tag uint32) error
	remove(c *Conn)
	addStream(fd int, tag uint32) error
	setWritable(fd int, tag uint32, on bool) error
	removeStream(fd int)
	wait(timeout time.Duration) ([]uint32, bool, error)
	wake()
	post(tag uint32)
	close()
}

// Poller waits for datagrams on many sockets, for streams, and for a call from
// another goroutine. One event loop owns it.
type Poller struct {
	back   pollBackend
	shared int64 // when others last had the processor
}

// NewPoller makes a poller for sockets opened by Listen.
func NewPoller() (*Poller, error) { return newNativePoller() }

// NewPortablePoller makes a poller for sockets opened by ListenPortable.
func NewPortablePoller() (*Poller, error) {
	return &Poller{back: newSoftPoller()}, nil
}

// Add watches c; Wait returns tag while datagrams wait there.
func (p *Poller) Add(c *Conn, tag uint32) error { return p.back.add(c, tag) }

// Remove ends that. It must come before c.Close.
func (p *Poller) Remove(c *Conn) { p.back.remove(c) }

// AddStream watches the descriptor of a connection; Wait returns tag while it
// has something to read, is at its end, or has failed. ErrNoStreams: it cannot.
func (p *Poller) AddStream(fd int, tag uint32) error { return p.back.addStream(fd, tag) }

// SetWritable has Wait return tag also while the connection takes octets, or
// ends that. It is for when there are some that it did not take.
// hot: 0 allocs
func (p *Poller) SetWritable(fd int, tag uint32, on bool) error {
	return p.back.setWritable(fd, tag, on)
}

// RemoveStream ends the watching. It must come before the descriptor is closed.
func (p *Poller) RemoveStream(fd int) { p.back.removeStream(fd) }

// Post has the present or the next Wait return tag, once for each call. It is
// for what no descriptor tells, such as a connection with a goroutine behind
// it. Any goroutine may call it, also after Close. hot: 0 allocs
func (p *Poller) Post(tag uint32) { p.back.post(tag) }

// Wait returns the tags of the sockets that have datagrams and of the streams
// that have something, in no order and each at most once but for what was
// posted, and whether Wake or Post was called since the last Wait. The slice is
// reused by the next call. timeout below 0 waits for as long as it takes, 0
// only looks. Wait may return early with nothing: the caller looks at its clock
// anyway. A socket that is not read empty is returned again.
// hot: 0 allocs
func (p *Poller) Wait(timeout time.Duration) (tags []uint32, woken bool, err error) {
	return p.back.wait(timeout)
}

// shareEvery is how long an owner keeps its processor.
const shareEvery = int64(200 * time.Microsecond)

// Share is called by the owner once a round, with a clock that never goes back, and
// lets other goroutines have the processor, which it reports, if they have not had it
// for a while: a loop that is never through would keep it from those whose answers it
// waits for. So would one that sleeps between datagrams: it keeps its slot in the system
// call until the scheduler's monitor takes that away, milliseconds later. It does not do
// so in every round, because the scheduler then wakes another thread for the loop where
// there is an idle processor.
// hot: 0 allocs
func (p *Poller) Share(now int64) bool {
	if now-p.shared < shareEvery {
		return false
	}
	p.shared = now
	runtime.Gosched()
	return true
}

// Wake makes the present or the next Wait return with woken set. Any
// goroutine may call it, also after Close. Many calls during one sleep cost
// one system call, calls while the owner is awake cost none. hot: 0 allocs
func (p *Poller) Wake() { p.back.wake() }

// Close frees the poller, not the sockets. Only the owner may call it, and
// not during Wait.
func (p *Poller) Close() { p.back.close() }

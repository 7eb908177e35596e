package udp

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// queueHeaders is what sendmmsg reads. The buffers are tied to their vectors
// once; everything else is written by fill.
type queueHeaders struct {
	msgs  []unix.Mmsghdr
	iovs  []unix.Iovec
	names []name
	ctrls []control
}

func (h *queueHeaders) init(q *Queue) {
	n := len(q.lens)
	h.msgs = make([]unix.Mmsghdr, n)
	h.iovs = make([]unix.Iovec, n)
	h.names = make([]name, n)
	h.ctrls = make([]control, n)
	for i := range n {
		h.iovs[i].Base = &q.buffer(i)[0]
		m := &h.msgs[i].Hdr
		m.Name = h.names[i].bytes()
		m.Iov = &h.iovs[i]
		m.SetIovlen(1)
	}
}

func (r *rawConn) send(q *Queue) {
	n := r.fill(q)
	r.sendAll(q, q.headers.msgs[:n])
}

// fill writes the headers of all that can go out on this socket.
func (r *rawConn) fill(q *Queue) (n int) {
	h := &q.headers
	for i := range q.n {
		if q.to[i].V4 != r.conn.v4 {
			q.errs.add(ClassFamily, 1)
			continue
		}
		m := &h.msgs[n].Hdr
		h.iovs[n].Base = &q.buffer(i)[0]
		h.iovs[n].SetLen(int(q.lens[i]))
		m.Namelen = h.names[n].put(&q.to[i])
		r.source(m, &h.ctrls[n], &q.locals[i])
		n++
	}
	return n
}

// source makes the datagram leave from the address that l names.
func (r *rawConn) source(m *unix.Msghdr, c *control, l *LocalInfo) {
	if !l.set {
		m.Control = nil
		m.SetControllen(0)
		return
	}
	m.Control = &c.bytes()[0]
	m.SetControllen(r.putSource(c, l))
}

func (r *rawConn) putSource(c *control, l *LocalInfo) int {
	if r.conn.v4 {
		data, end := c.putHeader(0, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		clear(data)
		copy(data[4:8], l.ip[12:])
		return end
	}
	data, end := c.putHeader(0, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	copy(data, l.ip[:])
	binary.NativeEndian.PutUint32(data[16:], l.ifindex)
	return end
}

// sendAll gives every message to the kernel once. sendmmsg stops at the first
// that fails and reports the error only when that is the first of the call,
// so the loop goes on behind it.
func (r *rawConn) sendAll(q *Queue, msgs []unix.Mmsghdr) {
	sent, again := 0, false
	for len(msgs) > 0 {
		n, e := sendmmsg(r.fd, msgs)
		if e == 0 && n > 0 {
			sent += n
			msgs = msgs[n:]
			again = false
			continue
		}
		if !again && r.echo(e) {
			again = true // this one was not tried; one more chance
			continue
		}
		lost := 1
		if e == unix.EAGAIN {
			lost = len(msgs) // the rest would find no room either
		}
		q.errs.add(classOf(e), uint64(lost))
		msgs = msgs[lost:]
		again = false
	}
	q.sent.Add(uint64(sent))
}

// echo tells whether e is about something else than the message at hand: a
// signal, or what an ICMP message to an earlier datagram left on the socket.
func (r *rawConn) echo(e syscall.Errno) bool {
	if e == unix.ECONNREFUSED {
		r.conn.counters.recv.add(ClassRefused, 1)
	}
	return e == unix.ECONNREFUSED || e == unix.EINTR
}

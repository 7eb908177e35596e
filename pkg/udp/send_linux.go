package udp

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// queueHeaders is what sendmmsg reads. Position j of iovs is datagram order[j]
// of the queue; a message covers one or more positions that follow each other.
type queueHeaders struct {
	msgs  []unix.Mmsghdr
	iovs  []unix.Iovec
	names []name
	ctrls []control
	parts []int // datagrams in each message
	order []int
	keys  []uint64
}

func (h *queueHeaders) init(q *Queue) {
	n := len(q.lens)
	*h = queueHeaders{
		msgs:  make([]unix.Mmsghdr, n),
		iovs:  make([]unix.Iovec, n),
		names: make([]name, n),
		ctrls: make([]control, n),
		parts: make([]int, n),
		order: make([]int, 0, n),
		keys:  make([]uint64, 0, n),
	}
	for i := range n {
		h.msgs[i].Hdr.Name = h.names[i].bytes()
	}
}

// send gives every datagram to the kernel once. The loop goes round again
// only when the kernel refuses segmentation, which is then switched off.
func (r *rawConn) send(q *Queue) {
	order := r.order(q)
	for len(order) > 0 {
		n := r.fill(q, order)
		order = order[r.sendAll(q, n):]
	}
}

// order lists what can go out on this socket, with datagrams that may share a
// message next to each other.
func (r *rawConn) order(q *Queue) []int {
	order := q.headers.order[:0]
	for i := range q.n {
		if q.to[i].V4 != r.conn.v4 {
			q.errs.add(ClassFamily, 1)
			continue
		}
		order = append(order, i)
	}
	if r.segment && len(order) > 1 {
		q.bySegment(order)
	}
	return order
}

// fill writes the headers for order and returns the number of messages.
func (r *rawConn) fill(q *Queue, order []int) (n int) {
	h := &q.headers
	for j, i := range order {
		h.iovs[j].Base = &q.buf[q.starts[i]]
		h.iovs[j].SetLen(int(q.lens[i]))
	}
	for j := 0; j < len(order); n++ {
		i, parts := order[j], 1
		if r.segment {
			parts = q.together(order[j:])
		}
		m := &h.msgs[n].Hdr
		m.Namelen = h.names[n].put(&q.to[i])
		m.Iov = &h.iovs[j]
		m.SetIovlen(parts)
		r.putControl(q, m, n, i, parts)
		h.parts[n] = parts
		j += parts
	}
	return n
}

// putControl asks for the source address and for segmentation where needed.
func (r *rawConn) putControl(q *Queue, m *unix.Msghdr, n, i, parts int) {
	c, end := &q.headers.ctrls[n], 0
	if l := &q.locals[i]; l.set {
		end = r.putSource(c, l)
	}
	if parts > 1 {
		end = putSegment(c, end, q.lens[i])
	}
	m.Control = nil
	if end > 0 {
		m.Control = &c.bytes()[0]
	}
	m.SetControllen(end)
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

// sendAll returns the number of datagrams that are done with, sent or lost.
// sendmmsg stops at the first message that fails and reports the error only
// when that is the first of the call, so the loop goes on behind it.
func (r *rawConn) sendAll(q *Queue, n int) (done int) {
	msgs, parts := q.headers.msgs[:n], q.headers.parts[:n]
	sent, again := 0, false
	for len(msgs) > 0 {
		n, e := sendmmsg(r.fd, msgs)
		if e == 0 && n > 0 {
			sent += total(parts[:n])
			msgs, parts = msgs[n:], parts[n:]
			again = false
			continue
		}
		if !again && r.echo(e) {
			again = true // this one was not tried; one more chance
			continue
		}
		if parts[0] > 1 && refusesSegments(e) {
			r.segment = false
			break
		}
		lost := 1
		if e == unix.EAGAIN {
			lost = len(msgs) // the rest would find no room either
		}
		k := total(parts[:lost])
		q.errs.add(classOf(e), uint64(k))
		done += k
		msgs, parts = msgs[lost:], parts[lost:]
		again = false
	}
	q.sent.Add(uint64(sent))
	return done + sent
}

// refusesSegments tells whether the kernel or the way to a destination takes no
// segments, as against a message that cannot be sent at all.
func refusesSegments(e syscall.Errno) bool {
	switch e {
	case unix.EINVAL, unix.EIO, unix.EMSGSIZE, unix.EOPNOTSUPP:
		return true
	}
	return false
}

func total(parts []int) (n int) {
	for _, p := range parts {
		n += p
	}
	return n
}

// echo tells whether e is about something else than the message at hand: a
// signal, or what an ICMP message to an earlier datagram left on the socket.
func (r *rawConn) echo(e syscall.Errno) bool {
	if e == unix.ECONNREFUSED {
		r.conn.counters.recv.add(ClassRefused, 1)
	}
	return e == unix.ECONNREFUSED || e == unix.EINTR
}

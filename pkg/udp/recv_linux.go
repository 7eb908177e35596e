package udp

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// recvTries bounds how many pending errors one Recv takes off the socket; the
// poller reports the socket again when there are more.
const recvTries = 8

// batchHeaders is what recvmmsg reads and writes, set up once.
type batchHeaders struct {
	msgs  []unix.Mmsghdr
	iovs  []unix.Iovec
	names []name
	ctrls []control
	dirty int // messages whose headers the kernel has overwritten
}

func (h *batchHeaders) init(b *Batch) {
	n := b.Cap()
	h.msgs = make([]unix.Mmsghdr, n)
	h.iovs = make([]unix.Iovec, n)
	h.names = make([]name, n)
	h.ctrls = make([]control, n)
	for i := range n {
		buf := b.buffer(i)
		h.iovs[i].Base = &buf[0]
		h.iovs[i].SetLen(len(buf))
		m := &h.msgs[i].Hdr
		m.Name = h.names[i].bytes()
		m.Iov = &h.iovs[i]
		m.SetIovlen(1)
		m.Control = &h.ctrls[i].bytes()[0]
	}
	h.dirty = n
	h.reset()
}

func (h *batchHeaders) reset() {
	for i := range h.dirty {
		m := &h.msgs[i].Hdr
		m.Namelen = unix.SizeofSockaddrInet6
		m.SetControllen(controlLen)
		m.Flags = 0
	}
	h.dirty = 0
}

func (r *rawConn) recv(b *Batch) (int, error) {
	if b.Pending() && b.rest.conn == r.conn {
		return r.give(b), nil
	}
	b.rest, b.full = rest{}, false
	if r.joined && b.size < Wide {
		r.joined = unix.SetsockoptInt(r.fd, unix.IPPROTO_UDP, unix.UDP_GRO, 0) != nil
	}
	h := &b.headers
	for range recvTries {
		h.reset()
		n, e := recvmmsg(r.fd, h.msgs)
		switch e {
		case 0:
			h.dirty = n
			b.rest, b.full = rest{conn: r.conn, end: n}, n == len(h.msgs)
			return r.give(b), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		case unix.EBADF, unix.ENOTSOCK, unix.EFAULT, unix.EINVAL:
			return 0, os.NewSyscallError("recvmmsg", e)
		case unix.ENOMEM, unix.ENOBUFS:
			r.conn.counters.recv.add(ClassFull, 1)
			return 0, nil
		default:
			// What an ICMP message left on the socket; reading it clears it.
			r.conn.counters.recv.add(classOf(e), 1)
		}
		h.dirty = 1 // a failed call may have written the first header
	}
	return 0, nil
}

// give makes datagrams of what has been received, as many as b lists.
func (r *rawConn) give(b *Batch) (n int) {
	for t := &b.rest; n < len(b.lens) && t.next < t.end; n++ {
		m := &b.headers.msgs[t.next]
		if t.part == 0 {
			r.open(b, m)
		}
		part := min(t.size, int32(m.Len)-t.part)
		b.starts[n], b.lens[n] = int32(t.next*b.stride)+t.part, part
		b.cut[n] = m.Hdr.Flags&unix.MSG_TRUNC != 0
		b.addrs[n], b.locals[n] = t.addr, t.local
		if t.part += part; t.part >= int32(m.Len) {
			t.next, t.part = t.next+1, 0
		}
	}
	b.n = n
	return n
}

// open reads where a message came from and how long its datagrams are.
func (r *rawConn) open(b *Batch, m *unix.Mmsghdr) {
	h, t := &b.headers, &b.rest
	h.names[t.next].get(&t.addr)
	t.size, t.local = int32(m.Len), LocalInfo{}
	if m.Hdr.Controllen > 0 {
		if size := r.control(&h.ctrls[t.next], int(m.Hdr.Controllen), &t.local); size > 0 {
			t.size = size
		}
	}
}

// control reads the kinds of control message that were asked for. size is that
// of the datagrams of which the message was put together, 0 if it was not.
func (r *rawConn) control(c *control, end int, l *LocalInfo) (size int32) {
	for off := 0; ; {
		h := c.header(off, end)
		if h == nil {
			return size
		}
		data := c.bytes()[off+unix.CmsgLen(0) : off+int(h.Len)]
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			r.dropped(binary.NativeEndian.Uint32(data))
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// ipi_spec_dst, not ipi_addr: it is ours also for a broadcast.
			*l = LocalInfo{ip: mapped, set: true}
			copy(l.ip[12:], data[4:8])
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			learn6(l, data)
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			size = max(int32(binary.NativeEndian.Uint32(data)), 0)
		}
		off += unix.CmsgSpace(int(h.Len) - unix.CmsgLen(0))
	}
}

func learn6(l *LocalInfo, data []byte) {
	ip := netip.AddrFrom16([16]byte(data))
	if ip.IsMulticast() {
		return // not an address to answer from
	}
	*l = LocalInfo{ip: ip.As16(), set: true}
	if ip.IsLinkLocalUnicast() {
		l.ifindex = binary.NativeEndian.Uint32(data[16:])
	}
}

// dropped takes the kernel's 32-bit count since the socket was opened.
func (r *rawConn) dropped(total uint32) {
	if d := total - r.ovfl; d != 0 && d < 1<<31 {
		r.ovfl = total
		r.conn.counters.drops.Add(uint64(d))
	}
}

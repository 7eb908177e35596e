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
	h := &b.headers
	for range recvTries {
		h.reset()
		n, e := recvmmsg(r.fd, h.msgs)
		switch e {
		case 0:
			h.dirty, b.n = n, n
			r.decode(b, n)
			return n, nil
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

func (r *rawConn) decode(b *Batch, n int) {
	h := &b.headers
	for i := range n {
		m := &h.msgs[i]
		b.lens[i] = int32(m.Len)
		b.cut[i] = m.Hdr.Flags&unix.MSG_TRUNC != 0
		h.names[i].get(&b.addrs[i])
		b.locals[i] = LocalInfo{}
		if m.Hdr.Controllen > 0 {
			r.control(&h.ctrls[i], int(m.Hdr.Controllen), &b.locals[i])
		}
	}
}

// control reads the two kinds of control message that were asked for.
func (r *rawConn) control(c *control, end int, l *LocalInfo) {
	for off := 0; ; {
		h := c.header(off, end)
		if h == nil {
			return
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

package udp

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file holds what needs unsafe: the shapes that the kernel reads and
// writes, and the calls that x/sys does not wrap without allocating.

// control has room for one packet info of either family and one drop counter,
// in words because the kernel's headers are aligned to words.
type control [12]uint64

const (
	controlLen = len(control{}) * 8
	headerLen  = int(unsafe.Sizeof(unix.Cmsghdr{}))
)

// name has room for a socket address of either family.
type name unix.RawSockaddrInet6

func (n *name) inet4() *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(n))
}

func (n *name) bytes() *byte { return (*byte)(unsafe.Pointer(n)) }

func portOf(p *uint16) []byte { return (*[2]byte)(unsafe.Pointer(p))[:] }

// put writes a for the kernel and returns the length of the address.
func (n *name) put(a *Addr) uint32 {
	if a.V4 {
		sa := n.inet4()
		sa.Family = unix.AF_INET
		binary.BigEndian.PutUint16(portOf(&sa.Port), a.Port)
		copy(sa.Addr[:], a.IP[12:])
		return unix.SizeofSockaddrInet4
	}
	n.Family, n.Flowinfo, n.Addr, n.Scope_id = unix.AF_INET6, 0, a.IP, a.Zone
	binary.BigEndian.PutUint16(portOf(&n.Port), a.Port)
	return unix.SizeofSockaddrInet6
}

// get reads what the kernel wrote.
func (n *name) get(a *Addr) {
	if n.Family == unix.AF_INET {
		sa := n.inet4()
		*a = Addr{IP: mapped, Port: binary.BigEndian.Uint16(portOf(&sa.Port)), V4: true}
		copy(a.IP[12:], sa.Addr[:])
		return
	}
	*a = Addr{IP: n.Addr, Port: binary.BigEndian.Uint16(portOf(&n.Port)), Zone: n.Scope_id}
}

func (c *control) bytes() []byte { return (*[controlLen]byte)(unsafe.Pointer(c))[:] }

// header returns the control message at off, nil when none is whole there.
func (c *control) header(off, end int) *unix.Cmsghdr {
	if off+headerLen > end || end > controlLen {
		return nil
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c.bytes()[off]))
	if int(h.Len) < headerLen || int(h.Len) > end-off {
		return nil
	}
	return h
}

// putHeader starts a control message of n octets at off and returns its data
// and the offset behind it.
func (c *control) putHeader(off int, level, typ int32, n int) (data []byte, next int) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c.bytes()[off]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(n))
	start := off + unix.CmsgLen(0)
	return c.bytes()[start : start+n], off + unix.CmsgSpace(n)
}

// recvmmsg does not tell the scheduler: a non-blocking socket answers at once,
// and the hand-off would cost more than the call for small batches.
func recvmmsg(fd int, h []unix.Mmsghdr) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&h[0])), uintptr(len(h)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

// sendmmsg tells the scheduler: over loopback the receiver's work is done
// inside the call and a batch can take a tenth of a millisecond.
func sendmmsg(fd int, h []unix.Mmsghdr) (int, syscall.Errno) {
	n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&h[0])), uintptr(len(h)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

// epollLook is epoll_wait that does not wait.
func epollLook(fd int, ev []unix.EpollEvent) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd),
		uintptr(unsafe.Pointer(&ev[0])), uintptr(len(ev)), 0, 0, 0)
	return int(n), e
}

const (
	memRecvAlloc = 0
	memRecvLimit = 1
	memVars      = 9
)

// queueRatio reads SO_MEMINFO, so that a full buffer is seen before it drops.
func (r *rawConn) queueRatio() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd < 0 {
		return 0
	}
	var v [memVars]uint32
	n := uint32(unsafe.Sizeof(v))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(r.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 || v[memRecvLimit] == 0 {
		return 0
	}
	return min(1, float64(v[memRecvAlloc])/float64(v[memRecvLimit]))
}

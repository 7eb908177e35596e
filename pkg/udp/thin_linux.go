package udp

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// A socket filter in the classic form: it needs no privilege, and what it
// drops has taken no room in the receive buffer and no call of ours.
const (
	loadWord  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	jumpEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	jumpAbove = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
	verdict   = unix.BPF_RET | unix.BPF_K

	// Where the source address stands from the beginning of the network
	// header, which the filter of a UDP socket reaches by an offset of its own.
	netHeader = -0x100000 // SKF_NET_OFF
	source4   = 12
	source6   = 8

	chance = -0x1000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM
)

// at is an offset as an instruction has it.
func at(off int) uint32 { return uint32(int32(off)) }

// thinning is the program for the sources of one family.
func thinning(sources []Thinned, v4 bool) []unix.SockFilter {
	var p []unix.SockFilter
	for _, s := range sources {
		if s.From.V4 != v4 {
			continue
		}
		off, words := source6, s.From.IP[:]
		if v4 {
			off, words = source4, s.From.IP[12:]
		}
		n := len(words) / 4
		const decide = 4 // instructions behind the comparison
		for i := range n {
			// Another address: over the words that are left and the decision.
			skip := uint8(2*(n-1-i) + decide)
			p = append(p,
				unix.SockFilter{Code: loadWord, K: at(netHeader + off + 4*i)},
				unix.SockFilter{Code: jumpEqual, Jf: skip, K: binary.BigEndian.Uint32(words[4*i:])})
		}
		p = append(p,
			unix.SockFilter{Code: loadWord, K: at(chance)},
			unix.SockFilter{Code: jumpAbove, Jf: 1, K: s.Keep},
			unix.SockFilter{Code: verdict, K: 0},
			unix.SockFilter{Code: verdict, K: ^uint32(0)})
	}
	if p == nil {
		return nil
	}
	return append(p, unix.SockFilter{Code: verdict, K: ^uint32(0)})
}

func (r *rawConn) thin(sources []Thinned) error {
	p := thinning(sources, r.conn.v4)
	if p == nil {
		if !r.thinned {
			return nil
		}
		r.thinned = false
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0))
	}
	err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]})
	r.thinned = r.thinned || err == nil
	return os.NewSyscallError("setsockopt", err)
}

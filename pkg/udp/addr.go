package udp

import (
	"net"
	"net/netip"
	"strconv"
)

// Addr is the address of a peer: pointer-free and comparable, so that it can
// be a map key and sit in tables of which the garbage collector reads nothing.
// An IPv4 address is kept in the v4-mapped form with V4 set.
type Addr struct {
	IP   [16]byte
	Port uint16
	V4   bool
	Zone uint32 // scope of a link-local IPv6 address
}

var mapped = [16]byte{10: 0xff, 11: 0xff}

// AddrFrom converts a. A v4-mapped address becomes IPv4. A zone may be a
// number or the name of an interface; an unknown name is zone 0. It is meant
// for configuration: naming a zone looks the interface up.
func AddrFrom(a netip.AddrPort) Addr {
	ip := a.Addr()
	out := Addr{Port: a.Port()}
	if !ip.IsValid() {
		return out
	}
	out.V4 = ip.Unmap().Is4()
	out.IP = ip.As16()
	if z := ip.Zone(); z != "" {
		out.Zone = zoneIndex(z)
	}
	return out
}

// AddrPort converts back for logs and for configuration. An IPv6 zone is
// rendered by number.
func (a Addr) AddrPort() netip.AddrPort {
	ip := a.Addr()
	if a.Zone != 0 && !a.V4 {
		ip = ip.WithZone(strconv.FormatUint(uint64(a.Zone), 10))
	}
	return netip.AddrPortFrom(ip, a.Port)
}

// Addr returns the address alone and without its zone: client ranges are
// matched by address. hot: 0 allocs
func (a Addr) Addr() netip.Addr {
	if a.V4 {
		return netip.AddrFrom4([4]byte(a.IP[12:]))
	}
	return netip.AddrFrom16(a.IP)
}

// LocalInfo is the local address that a datagram came to. It is learned only
// on wildcard sockets opened with PacketInfo; given back to a Queue it makes
// the reply leave from the address the request was sent to, which clients
// check. The zero value leaves the choice to the kernel.
type LocalInfo struct {
	ip      [16]byte
	ifindex uint32
	set     bool
}

// Addr returns the local address, invalid when none was learned.
func (l LocalInfo) Addr() netip.Addr {
	if !l.set {
		return netip.Addr{}
	}
	return netip.AddrFrom16(l.ip).Unmap()
}

func zoneIndex(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(ifi.Index)
}

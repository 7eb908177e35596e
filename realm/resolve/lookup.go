package resolve

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/roamgate/roamgate/realm/nameserver"
)

// noAddress is the answer of a server that knows.
const noAddress = "the name has no address"

// found is what came of asking for one family.
type found struct {
	addrs  []netip.Addr
	ttl    time.Duration
	why    string
	failed bool // nothing is known: no server has answered, or it could not
}

// both asks for AAAA and A.
func (r *Resolver) both(ctx context.Context, name string) (all [2]found) {
	var asking sync.WaitGroup
	for i, t := range []uint16{dns.TypeAAAA, dns.TypeA} {
		asking.Go(func() {
			a := r.dns.Ask(ctx, name, t)
			all[i] = usable(&a)
		})
	}
	asking.Wait()
	return all
}

// usable takes the addresses out of an answer.
func usable(a *nameserver.Answer) found {
	switch a.Outcome {
	case nameserver.Failed:
		return found{failed: true, why: a.Why}
	case nameserver.NoName:
		return found{ttl: a.TTL, why: a.Why}
	}
	f := found{ttl: min(a.TTL, most)}
	for _, rr := range a.Records {
		if at, ok := address(rr); ok {
			f.addrs = append(f.addrs, at)
		}
	}
	slices.SortFunc(f.addrs, netip.Addr.Compare) // servers turn them round
	f.addrs = slices.Compact(f.addrs)
	f.addrs = f.addrs[:min(len(f.addrs), mostAddrs)]
	if len(f.addrs) == 0 {
		return found{ttl: a.None, why: noAddress}
	}
	return f
}

// address reads a record, unless nothing can be sent there.
func address(rr dns.RR) (a netip.Addr, ok bool) {
	switch rr := rr.(type) {
	case *dns.A:
		a, ok = netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		a, ok = netip.AddrFromSlice(rr.AAAA)
	}
	a = a.Unmap()
	if !ok || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return a, false
	}
	return a, true
}

// HasWay reports whether this host has a way to the address. Nothing is sent.
func HasWay(a netip.Addr) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

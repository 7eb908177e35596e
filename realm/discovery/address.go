package discovery

import (
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/realm"
)

// special are addresses that no peer on the Internet has, the longest prefix
// first where one lies in another.
var special = []struct {
	prefix netip.Prefix
	why    Block
}{
	{netip.MustParsePrefix("169.254.169.254/32"), Metadata},
	{netip.MustParsePrefix("100.100.100.200/32"), Metadata},
	{netip.MustParsePrefix("fd00:ec2::254/128"), Metadata},
	{netip.MustParsePrefix("127.0.0.0/8"), Loopback},
	{netip.MustParsePrefix("::1/128"), Loopback},
	{netip.MustParsePrefix("169.254.0.0/16"), LinkLocal},
	{netip.MustParsePrefix("fe80::/10"), LinkLocal},
	{netip.MustParsePrefix("10.0.0.0/8"), Private},
	{netip.MustParsePrefix("172.16.0.0/12"), Private},
	{netip.MustParsePrefix("192.168.0.0/16"), Private},
	{netip.MustParsePrefix("100.64.0.0/10"), Private},
	{netip.MustParsePrefix("fc00::/7"), Private},
	{netip.MustParsePrefix("fec0::/10"), Private},
	{netip.MustParsePrefix("224.0.0.0/4"), Multicast},
	{netip.MustParsePrefix("ff00::/8"), Multicast},
	{netip.MustParsePrefix("0.0.0.0/8"), Reserved},
	{netip.MustParsePrefix("192.0.0.0/24"), Reserved},
	{netip.MustParsePrefix("192.0.2.0/24"), Reserved},
	{netip.MustParsePrefix("198.18.0.0/15"), Reserved},
	{netip.MustParsePrefix("198.51.100.0/24"), Reserved},
	{netip.MustParsePrefix("203.0.113.0/24"), Reserved},
	{netip.MustParsePrefix("240.0.0.0/4"), Reserved},
	// Of IPv6, 2000::/3 is what hosts have; in these an IPv4 address can hide.
	{netip.MustParsePrefix("2001:db8::/32"), Reserved},
	{netip.MustParsePrefix("2001::/23"), Reserved},
	{netip.MustParsePrefix("2002::/16"), Reserved},
}

var global6 = netip.MustParsePrefix("2000::/3")

// judge says whether an address of a target may be used: one of those of the
// profile, or one that a host on the Internet can have. Metadata is a host's own
// business whatever the profile says, unless it names just that address.
func judge(a netip.Addr, of *realm.Discovery, local []netip.Addr) Block {
	if !a.IsValid() || a.Is4In6() {
		return Reserved
	}
	why := Used
	for _, s := range special {
		if s.prefix.Contains(a) {
			why = s.why
			break
		}
	}
	switch {
	case why == Used && a.Is6() && !global6.Contains(a):
		why = Reserved
	case why == Used && slices.Contains(local, a):
		why = Own
	}
	if why == Used || why == Multicast || !a.IsGlobalUnicast() && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
		return why
	}
	for _, p := range of.Private {
		if p.Contains(a) && (why != Metadata || p.IsSingleIP()) {
			return Used
		}
	}
	return why
}

const usualPort = 2083 // RFC 6614 section 2.1

// goodPort reports whether a target may have the port.
func goodPort(port uint16, of *realm.Discovery) bool {
	if len(of.Ports) > 0 {
		return slices.Contains(of.Ports, port)
	}
	return port == usualPort || port >= 1024
}

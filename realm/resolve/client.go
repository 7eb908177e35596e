package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	patience = 2 * time.Second // for one server
	tries    = 2               // of all servers
	mostHops = 8               // of CNAME
	udpSize  = 1232            // what passes without fragments
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

// client asks servers. It is safe for concurrent use.
type client struct {
	servers    []netip.AddrPort
	resolvConf string
	send       func(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error)

	mu      sync.Mutex // guards the rest
	read    time.Time  // modification time of resolvConf when it was read
	looked  time.Time
	current []netip.AddrPort
}

// both asks for AAAA and A.
func (c *client) both(ctx context.Context, name string) (all [2]found) {
	var asking sync.WaitGroup
	for i, t := range []uint16{dns.TypeAAAA, dns.TypeA} {
		asking.Go(func() { all[i] = c.ask(ctx, name, t) })
	}
	asking.Wait()
	return all
}

// ask asks the servers in turn until one knows.
func (c *client) ask(ctx context.Context, name string, t uint16) found {
	servers, err := c.list()
	if err != nil {
		return found{failed: true, why: err.Error()}
	}
	last := found{failed: true, why: "there is no DNS server"}
	for range tries {
		for _, server := range servers {
			if ctx.Err() != nil {
				return found{failed: true, why: "stopped"}
			}
			m, err := c.exchange(ctx, server, name, t)
			if err != nil {
				last.why = fmt.Sprintf("DNS server %s: %v", server, cause(err))
				continue
			}
			switch m.Rcode {
			case dns.RcodeSuccess:
				return read(m, name, t)
			case dns.RcodeNameError:
				return found{ttl: negative(m), why: "the name does not exist"}
			}
			last.why = fmt.Sprintf("DNS server %s: %s", server, dns.RcodeToString[m.Rcode])
		}
	}
	return last
}

// cause leaves out of an error what names sockets.
func cause(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("no answer")
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// exchange asks one server, over TCP where the answer is too long for UDP.
func (c *client) exchange(ctx context.Context, server netip.AddrPort, name string, t uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), t)
	q.SetEdns0(udpSize, false)
	for _, network := range []string{"udp", "tcp"} {
		m, err := c.send(ctx, network, server, q)
		switch {
		case err != nil:
			return nil, err
		case m.Id != q.Id || !m.Response || len(m.Question) != 1 || m.Question[0].Qtype != t ||
			!strings.EqualFold(m.Question[0].Name, q.Question[0].Name):
			return nil, errors.New("an answer to another question")
		case !m.Truncated:
			return m, nil
		}
	}
	return nil, errors.New("a truncated answer over TCP")
}

// wire sends a question and waits for its answer.
func (*client) wire(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	client := dns.Client{Net: network, Timeout: patience, UDPSize: udpSize}
	m, _, err := client.ExchangeContext(ctx, q, server.String())
	return m, err
}

// read takes the addresses out of an answer, following aliases from the name.
func read(m *dns.Msg, name string, t uint16) found {
	f := found{ttl: most}
	at := dns.Fqdn(name)
	for range mostHops {
		next := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, at) {
				continue
			}
			if alias, ok := rr.(*dns.CNAME); ok && next == "" {
				next = alias.Target
				f.ttl = min(f.ttl, time.Duration(h.Ttl)*time.Second)
			}
			if a, ok := address(rr, t); ok {
				f.addrs = append(f.addrs, a)
				f.ttl = min(f.ttl, time.Duration(h.Ttl)*time.Second)
			}
		}
		if len(f.addrs) > 0 || next == "" {
			break
		}
		at = next
	}
	slices.SortFunc(f.addrs, netip.Addr.Compare) // servers turn them round
	f.addrs = slices.Compact(f.addrs)
	f.addrs = f.addrs[:min(len(f.addrs), mostAddrs)]
	if len(f.addrs) == 0 {
		return found{ttl: negative(m), why: noAddress}
	}
	return f
}

// address reads a record of the type, unless nothing can be sent there.
func address(rr dns.RR, t uint16) (a netip.Addr, ok bool) {
	switch rr := rr.(type) {
	case *dns.A:
		if t == dns.TypeA {
			a, ok = netip.AddrFromSlice(rr.A.To4())
		}
	case *dns.AAAA:
		if t == dns.TypeAAAA {
			a, ok = netip.AddrFromSlice(rr.AAAA)
		}
	}
	a = a.Unmap()
	if !ok || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return a, false
	}
	return a, true
}

// negative is how long it holds that there is nothing (RFC 2308 section 5).
func negative(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second, mostNone)
		}
	}
	return least
}

const lookAgain = 5 * time.Second // at resolv.conf

// list gives the servers in their order. resolv.conf is read again when it has
// changed: hosts get other resolvers, and may have none when the hub starts.
func (c *client) list() ([]netip.AddrPort, error) {
	if len(c.servers) > 0 {
		return c.servers, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookAgain {
		c.looked = now
		if err := c.reread(); err != nil {
			c.read = time.Time{}
			return c.current, err
		}
	}
	return c.current, nil
}

func (c *client) reread() error {
	info, err := os.Stat(c.resolvConf)
	if err != nil {
		return fmt.Errorf("reading the DNS servers: %w", err)
	}
	if info.ModTime().Equal(c.read) {
		return nil
	}
	conf, err := dns.ClientConfigFromFile(c.resolvConf)
	if err != nil {
		return fmt.Errorf("reading the DNS servers: %w", err)
	}
	c.read, c.current = info.ModTime(), nil
	for _, s := range conf.Servers {
		if a, err := netip.ParseAddr(s); err == nil {
			c.current = append(c.current, netip.AddrPortFrom(a, 53))
		}
	}
	return nil
}

// hasWay reports whether this host has a way to the address. Nothing is sent.
func hasWay(a netip.Addr) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

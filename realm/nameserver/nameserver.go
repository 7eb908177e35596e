// Package nameserver asks DNS servers one question at a time.
//
// It stands below realm/resolve, which follows the names of homes, and
// realm/discovery, which finds peers of realms; neither is part of the packet
// walk. The servers are those that are given, or those of /etc/resolv.conf.
// Names are whole: no search list is tried and no hosts file is read.
//
// A server's word is hostile. An answer has to have the identifier and the
// question of what was asked; a truncated one is asked for again over TCP, so it
// has at most 64 KiB; of an alias chain a few hops are followed, and only within
// the answer. What the records say is for the caller to judge. DNSSEC is the
// resolver's.
//
// A Client is safe for concurrent use and keeps nothing of an answer. RFC 1035
// section 7, RFC 2308 section 5, RFC 6891.
package nameserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	tries    = 2    // of all servers
	mostHops = 8    // of CNAME
	udpSize  = 1232 // what passes without fragments
	most     = 24 * time.Hour
	mostNone = 5 * time.Minute // there may soon be one
	least    = 10 * time.Second
)

// Patience is how long one server is waited for.
const Patience = 2 * time.Second

// Outcome is what came of a question. The set is closed.
type Outcome uint8

// The outcomes.
const (
	Found  Outcome = iota
	NoData         // the name is there, but has nothing of the type
	NoName         // the name does not exist
	Failed         // nothing is known: no server has answered, or it could not
)

// Answer is what came of a question.
type Answer struct {
	Outcome Outcome
	Records []dns.RR // of the type, for the name or what it is an alias of
	Aliases []string // that were followed
	// TTL is the least of all records that led here. Where there is nothing, it
	// is how long that holds (RFC 2308 section 5).
	TTL time.Duration
	// None is how long there is nothing where the caller can use no record.
	None time.Duration
	Why  string // there is nothing, for people
}

// Client asks servers. Its fields are set before the first question.
type Client struct {
	// Servers are asked in turn; none: those in ResolvConf.
	Servers []netip.AddrPort
	// ResolvConf is "/etc/resolv.conf" where it is empty.
	ResolvConf string
	// Patience is for one server, 0: the usual one.
	Patience time.Duration
	// Send sends a question over "udp" or "tcp" and waits for its answer, nil:
	// over the network.
	Send func(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error)

	mu      sync.Mutex // guards the rest
	read    time.Time  // modification time of ResolvConf when it was read
	looked  time.Time
	current []netip.AddrPort
}

// Ask asks the servers in turn until one knows.
func (c *Client) Ask(ctx context.Context, name string, t uint16) Answer {
	servers, err := c.list()
	if err != nil {
		return Answer{Outcome: Failed, Why: err.Error()}
	}
	last := Answer{Outcome: Failed, Why: "there is no DNS server"}
	for range tries {
		for _, server := range servers {
			if ctx.Err() != nil {
				return Answer{Outcome: Failed, Why: "stopped"}
			}
			m, err := c.exchange(ctx, server, name, t)
			if err != nil {
				last.Why = fmt.Sprintf("DNS server %s: %v", server, cause(err))
				continue
			}
			switch m.Rcode {
			case dns.RcodeSuccess:
				return Read(m, name, t)
			case dns.RcodeNameError:
				return Answer{Outcome: NoName, TTL: negative(m), None: negative(m), Why: "the name does not exist"}
			}
			last.Why = fmt.Sprintf("DNS server %s: %s", server, rcode(m.Rcode))
		}
	}
	return last
}

func rcode(n int) string {
	if s, ok := dns.RcodeToString[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE %d", n)
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
func (c *Client) exchange(ctx context.Context, server netip.AddrPort, name string, t uint16) (*dns.Msg, error) {
	send := c.Send
	if send == nil {
		send = c.wire
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), t)
	q.SetEdns0(udpSize, false)
	for _, network := range []string{"udp", "tcp"} {
		m, err := send(ctx, network, server, q)
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
func (c *Client) wire(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	patience := c.Patience
	if patience == 0 {
		patience = Patience
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	client := dns.Client{Net: network, Timeout: patience, UDPSize: udpSize}
	m, _, err := client.ExchangeContext(ctx, q, server.String())
	return m, err
}

// Read takes what was asked for out of an answer, following aliases from the
// name.
func Read(m *dns.Msg, name string, t uint16) Answer {
	a := Answer{TTL: most, None: negative(m)}
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
				a.TTL = min(a.TTL, time.Duration(h.Ttl)*time.Second)
			}
			if h.Rrtype == t {
				a.Records = append(a.Records, rr)
				a.TTL = min(a.TTL, time.Duration(h.Ttl)*time.Second)
			}
		}
		if len(a.Records) > 0 {
			return a
		}
		if next == "" {
			break
		}
		a.Aliases = append(a.Aliases, next)
		at = next
	}
	a.Outcome, a.TTL, a.Why = NoData, a.None, "the name has no "+dns.TypeToString[t]+" record"
	switch {
	case len(a.Aliases) >= mostHops:
		a.Why = "the chain of aliases is too long or goes round"
	case len(a.Aliases) > 0:
		a.Why = "its alias has no " + dns.TypeToString[t] + " record"
	}
	return a
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
func (c *Client) list() ([]netip.AddrPort, error) {
	if len(c.Servers) > 0 {
		return c.Servers, nil
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

func (c *Client) reread() error {
	path := c.ResolvConf
	if path == "" {
		path = "/etc/resolv.conf"
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading the DNS servers: %w", err)
	}
	if info.ModTime().Equal(c.read) {
		return nil
	}
	conf, err := dns.ClientConfigFromFile(path)
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

// Package zone reads the cases of test/vectors/discovery and answers DNS
// questions from their records, in process or over loopback.
//
// A case is a few records, what is wrong with their server, the realm that is
// looked up with the profile, and what is to come of it:
//
//	case a name for the test
//	profile auth=TAG,... acct=TAG,... srv public private=PREFIX,... ports=N,...
//	own 192.0.2.9:2083           a door of ours
//	server WORD NAME [TYPE]      what the server does there: servfail, refused,
//	                             silent, truncate, huge, poison (another
//	                             question), wrongid, or stray (all records)
//	lookup REALM [acct]
//	rr NAME TTL IN TYPE DATA     a record, whole names
//	= N W ADDRESS:PORT HOST TTL  a target: priority, weight
//	= cause WORD
//	= ttl DURATION
//	= asked NAME TYPE            it was asked for
//	= silent NAME TYPE           it was not
//	= blocked WORD N
//	= took DURATION
//
// Names of different cases differ, so that one server can have them all.
package zone

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/roamgate/roamgate/realm"
)

// Case is one case.
type Case struct {
	Name    string
	Line    int
	Profile []string
	Own     []netip.AddrPort
	Realm   string
	Acct    bool
	Want    []string // what follows "= "
	Texts   []string // the records as they were written
	Zone    *Zone
}

// Plain reports whether any server can serve the case.
func (c *Case) Plain() bool { return len(c.Zone.wrong) == 0 }

// Read reads a file of cases.
func Read(path string) (cases []*Case, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		word, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if word == "" || word[0] == '#' {
			continue
		}
		if word == "case" {
			cases = append(cases, &Case{Name: rest, Line: n, Zone: New()})
			continue
		}
		if len(cases) == 0 {
			return nil, fmt.Errorf("%s:%d: no case yet", path, n)
		}
		if err := cases[len(cases)-1].add(word, rest); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	return cases, lines.Err()
}

func (c *Case) add(word, rest string) error {
	fields := strings.Fields(rest)
	switch word {
	case "profile":
		c.Profile = fields
	case "own":
		for _, s := range fields {
			a, err := netip.ParseAddrPort(s)
			if err != nil {
				return err
			}
			c.Own = append(c.Own, a)
		}
	case "server":
		return c.Zone.Wrong(fields...)
	case "lookup":
		c.Realm, c.Acct = unquoted(fields[0]), len(fields) > 1
	case "rr":
		c.Texts = append(c.Texts, rest)
		return c.Zone.Add(rest)
	case "=":
		c.Want = append(c.Want, rest)
	default:
		return fmt.Errorf("what is %q", word)
	}
	return nil
}

// Discovery is the profile of the case.
func (c *Case) Discovery() (*realm.Discovery, error) {
	of := &realm.Discovery{Name: "test"}
	for _, w := range c.Profile {
		key, value, _ := strings.Cut(w, "=")
		values := strings.Split(value, ",")
		switch key {
		case "auth":
			of.Auth = values
		case "acct":
			of.Acct = values
		case "srv":
			of.SRV = true
		case "public":
			of.Public = true
		case "private":
			for _, v := range values {
				p, err := netip.ParsePrefix(v)
				if err != nil {
					return nil, err
				}
				of.Private = append(of.Private, p)
			}
		case "ports":
			for _, v := range values {
				n, err := strconv.ParseUint(v, 10, 16)
				if err != nil {
					return nil, err
				}
				of.Ports = append(of.Ports, uint16(n))
			}
		default:
			return nil, fmt.Errorf("what is %q in a profile", w)
		}
	}
	return of, nil
}

// unquoted lets a case have octets that no text file should have.
func unquoted(s string) string {
	if strings.HasPrefix(s, `"`) {
		var out string
		if _, err := fmt.Sscanf(s, "%q", &out); err == nil {
			return out
		}
	}
	return s
}

// Zone is what a server knows. It is safe for concurrent use.
type Zone struct {
	mu      sync.Mutex
	records map[string][]dns.RR // by name, folded
	wrong   map[string]string   // "name TYPE" or "name": what the server does
	asked   map[string]int      // "name TYPE"
}

// New returns an empty Zone.
func New() *Zone {
	return &Zone{records: map[string][]dns.RR{}, wrong: map[string]string{}, asked: map[string]int{}}
}

// Add adds a record.
func (z *Zone) Add(text string) error {
	rr, err := dns.NewRR(text)
	if err != nil {
		return err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	name := strings.ToLower(rr.Header().Name)
	z.records[name] = append(z.records[name], rr)
	return nil
}

// Remove takes all records of a name away.
func (z *Zone) Remove(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.records, strings.ToLower(dns.Fqdn(name)))
}

// Wrong has the server do something else: a word, a name and perhaps a type.
func (z *Zone) Wrong(fields ...string) error {
	if len(fields) < 2 {
		return fmt.Errorf("a word and a name are wanted, not %q", fields)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.wrong[strings.Join(fields[1:], " ")] = fields[0]
	return nil
}

// Right has the server behave again.
func (z *Zone) Right() {
	z.mu.Lock()
	defer z.mu.Unlock()
	clear(z.wrong)
}

// Asked is how often a question has come: "name. TYPE".
func (z *Zone) Asked(question string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[question]
}

// Questions are all that have come, sorted.
func (z *Zone) Questions() (all []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for q := range z.asked {
		all = append(all, q)
	}
	slices.Sort(all)
	return all
}

// Reply is the answer to a question over "udp" or "tcp", nil: silence.
func (z *Zone) Reply(q *dns.Msg, network string) *dns.Msg {
	z.mu.Lock()
	defer z.mu.Unlock()
	m := new(dns.Msg)
	m.SetReply(q)
	name, t := strings.ToLower(q.Question[0].Name), dns.TypeToString[q.Question[0].Qtype]
	z.asked[name+" "+t]++
	word := z.wrong[name+" "+t]
	if word == "" {
		word = z.wrong[name]
	}
	switch word {
	case "silent":
		return nil
	case "servfail":
		m.Rcode = dns.RcodeServerFailure
		return m
	case "refused":
		m.Rcode = dns.RcodeRefused
		return m
	}
	z.fill(m, name, q.Question[0].Qtype)
	switch word {
	case "truncate":
		if network == "udp" {
			m.Truncated, m.Answer = true, nil
		}
	case "poison":
		m.Question[0].Name = "evil.example."
	case "wrongid":
		m.Id++
	case "stray":
		for _, all := range z.records {
			m.Answer = append(m.Answer, all...)
		}
	case "huge":
		if network == "udp" {
			m.Truncated, m.Answer = true, nil
			break
		}
		for i := range 1500 {
			rr, _ := dns.NewRR(fmt.Sprintf("%s 60 IN TXT \"%d %s\"", name, i, strings.Repeat("x", 8)))
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

// fill puts what the zone knows into an answer, with the aliases on the way.
func (z *Zone) fill(m *dns.Msg, name string, t uint16) {
	at := name
	for range 32 {
		alias := ""
		for _, rr := range z.records[at] {
			switch {
			case rr.Header().Rrtype == t:
				m.Answer = append(m.Answer, rr)
			case rr.Header().Rrtype == dns.TypeCNAME:
				m.Answer = append(m.Answer, rr)
				alias = strings.ToLower(rr.(*dns.CNAME).Target)
			}
		}
		if alias == "" {
			break
		}
		at = alias
	}
	if len(m.Answer) == 0 && !z.exists(name) {
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 {
		soa, _ := dns.NewRR("example. 300 IN SOA ns.example. hostmaster.example. 1 3600 600 86400 60")
		m.Ns = append(m.Ns, soa)
	}
}

func (z *Zone) exists(name string) bool {
	for known := range z.records {
		if known == name || strings.HasSuffix(known, "."+name) {
			return true
		}
	}
	return false
}

// Serve answers on loopback over UDP and TCP until stop is called.
func (z *Zone) Serve() (at netip.AddrPort, stop func(), err error) {
	pc, l, err := listen()
	if err != nil {
		return at, nil, err
	}
	var serving sync.WaitGroup
	handler := func(network string) dns.HandlerFunc {
		return func(w dns.ResponseWriter, q *dns.Msg) {
			if m := z.Reply(q, network); m != nil {
				_ = w.WriteMsg(m)
			}
		}
	}
	servers := []*dns.Server{{PacketConn: pc, Handler: handler("udp")}, {Listener: l, Handler: handler("tcp")}}
	for _, s := range servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		serving.Go(func() { _ = s.ActivateAndServe() })
		<-started
	}
	return pc.LocalAddr().(*net.UDPAddr).AddrPort(), func() {
		for _, s := range servers {
			_ = s.Shutdown()
		}
		serving.Wait()
	}, nil
}

// listen takes one port of both protocols: that of TCP may be another's.
func listen() (pc net.PacketConn, l net.Listener, err error) {
	for range 20 {
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			return pc, l, nil
		}
		_ = pc.Close()
	}
	return nil, nil, err
}

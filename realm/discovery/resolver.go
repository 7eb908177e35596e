package discovery

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/miekg/dns"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/nameserver"
	"github.com/roamgate/roamgate/realm/resolve"
)

// The parameters of RFC 7585 section 3.2, and what is ours.
const (
	DNSTimeout  = 3 * time.Second
	MinTTL      = time.Minute
	BackoffTime = 10 * time.Minute
	// FailedTime is how long it is not asked again where no server could say
	// (RFC 2308 section 7); RFC 7585 has no time for it.
	FailedTime = 10 * time.Second

	patience      = time.Second // with one server, so that a second has its turn
	mostQuestions = 48
	mostPointers  = 16 // NAPTR records of the service
	mostDepth     = 4  // of NAPTR records that name others
	mostHosts     = 16
	mostFamily    = 4 // addresses of a host in one family
	mostTargets   = 16
)

// Service is what a peer is looked for.
type Service uint8

// The services.
const (
	Auth Service = iota
	Acct
	services
)

// String gives the word of metrics and commands.
func (s Service) String() string { return [...]string{Auth: "auth", Acct: "acct"}[s] }

// tags are those of the profile for the service.
func (s Service) tags(of *realm.Discovery) []string {
	if s == Acct {
		return of.Acct
	}
	return of.Auth
}

// Target is one address of a peer.
type Target struct {
	Addr      netip.AddrPort
	Host      string // that has the address: the name by SRV or NAPTR
	Protocol  string // of the service tag: "radius.tls.tcp"
	Transport realm.Transport
	Priority  int // from 0: the lower is tried first
	Weight    int // share among equals; 0 is seldom, not never (RFC 2782)
	TTL       time.Duration
}

// Result is what came of looking a realm up.
type Result struct {
	Targets []Target // the first to be tried first
	// TTL is how long it holds: the least of the targets, or until it is worth
	// while to ask again.
	TTL   time.Duration
	Cause Cause
	Why   string // more than the Cause, for people: "" nothing
	Name  string // that DNS was asked for
	// Blocks counts what was not used of the zone.
	Blocks [blocks]uint16
}

// Step is one question on the way, with what was made of its answer.
type Step struct {
	Question string // "NAPTR example.org"
	Took     time.Duration
	Records  []Line
	Why      string // there is none
}

// Line is one record of an answer.
type Line struct {
	Text  string
	TTL   time.Duration
	Block Block
}

// Resolver looks realms up. Its fields are set before the first one.
type Resolver struct {
	DNS *nameserver.Client
	// Listens are our own doors for connections; one of no address stands for
	// all of this host.
	Listens []netip.AddrPort
	// Local are the addresses of this host, nil: those of its interfaces.
	Local func() []netip.Addr
	// HasWay says whether this host has a way to an address, nil: by its routes.
	HasWay func(netip.Addr) bool
}

// NewDNS is a client for a Resolver; without servers those of the host.
func NewDNS(servers []netip.AddrPort) *nameserver.Client {
	return &nameserver.Client{Servers: servers, Patience: patience}
}

// interfaces are the addresses of this host.
func interfaces() (all []netip.Addr) {
	as, _ := net.InterfaceAddrs()
	for _, a := range as {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				all = append(all, ip.Unmap())
			}
		}
	}
	return all
}

// Discover looks a realm up for a service. tell, if not nil, is told of each
// step, one at a time and in their order.
func (r *Resolver) Discover(ctx context.Context, name string, of *realm.Discovery, s Service, tell func(Step)) Result {
	w := walk{r: r, of: of, tags: parseTags(s.tags(of)), tell: tell, seen: map[string]bool{}}
	question, ok := Question(name, of.Public)
	if !ok {
		return w.nothing(BadRealm, "")
	}
	w.name = question
	var stop context.CancelFunc
	w.ctx, stop = context.WithTimeout(ctx, DNSTimeout)
	defer stop()
	return w.do()
}

// do is section 3.4.3 of RFC 7585 from step 6 on.
func (w *walk) do() Result {
	outcome, why := w.naptr(w.name, 0, forever)
	switch {
	case w.ctx.Err() != nil:
		return w.late()
	case outcome == nameserver.Failed:
		return w.nothing(Failed, why)
	case !w.served && !w.of.SRV:
		return w.nothing(NoPeer, why)
	case !w.served:
		a := w.ask(question{"_radiustls._tcp." + w.name, dns.TypeSRV})[0]
		w.srv(&a, "radius.tls.tcp", forever)
		switch {
		case w.ctx.Err() != nil:
			return w.late()
		case a.Outcome == nameserver.Failed:
			return w.nothing(Failed, a.Why)
		case a.Outcome != nameserver.Found:
			return w.nothing(NoPeer, a.Why)
		}
	}
	w.addresses()
	if w.ctx.Err() != nil {
		return w.late()
	}
	return w.result()
}

// late is step 20.
func (w *walk) late() Result { return w.nothing(Timeout, "after "+DNSTimeout.String()) }

func (w *walk) nothing(c Cause, why string) Result {
	hold := BackoffTime
	if c == Failed {
		hold = FailedTime
	}
	return Result{TTL: hold, Cause: c, Why: why, Name: w.name, Blocks: w.blocked}
}

// result orders what was found, and gives an empty set where it is ourselves
// (step 19).
func (w *walk) result() Result {
	if w.self.IsValid() {
		return w.nothing(Self, "at "+w.self.String())
	}
	switch {
	case len(w.found) > 0:
	case w.blockedHere > 0:
		return w.nothing(Blocked, w.firstBlock)
	case w.failed != "":
		res := w.nothing(Failed, w.failed)
		res.TTL = BackoffTime // step 10, unlike step 6
		return res
	case len(w.hosts) == 0:
		return w.nothing(NoPeer, "")
	default:
		return w.nothing(NoAddress, "")
	}
	slices.SortStableFunc(w.found, func(a, b place) int {
		return cmp.Or(slices.Compare(a.rank[:], b.rank[:]), cmp.Compare(b.Weight, a.Weight))
	})
	res := Result{TTL: forever, Name: w.name}
	known := map[netip.AddrPort]bool{}
	var last place
	for i, p := range w.found {
		if known[p.Addr] {
			continue // under two names: once is enough, at its best place
		}
		if len(res.Targets) == mostTargets {
			w.block(TooMany, p.Addr.String())
			break
		}
		known[p.Addr] = true
		if n := len(res.Targets); n > 0 {
			p.Priority = res.Targets[n-1].Priority
			if last.rank != w.found[i].rank {
				p.Priority++
			}
		}
		last = w.found[i]
		res.TTL = min(res.TTL, p.TTL)
		res.Targets = append(res.Targets, p.Target)
	}
	res.Blocks = w.blocked
	return res
}

// forever is longer than any TTL that counts.
const forever = 24 * time.Hour

// place is a target with what its order is made of: of the NAPTR records, of
// the SRV record, and among the addresses of its host.
type place struct {
	Target
	rank [3]int
}

// host is what addresses are asked for.
type host struct {
	name     string
	port     uint16
	protocol string
	rank     [2]int
	weight   int
	ttl      time.Duration
}

func (w *walk) block(b Block, what string) Block {
	w.blocked[b]++
	if b.counts() {
		w.blockedHere++
		if w.firstBlock == "" {
			w.firstBlock = strconv.Quote(what) + ": " + b.Text()
		}
	}
	return b
}

// addresses is step 18.
func (w *walk) addresses() {
	local := w.local()
	answers := w.askHosts()
	for i := range w.hosts {
		h := &w.hosts[i]
		w.judgeHost(h, answers[i], local)
	}
}

func (w *walk) local() []netip.Addr {
	if w.r.Local != nil {
		return w.r.Local()
	}
	return interfaces()
}

// judgeHost makes targets of the addresses of a host.
func (w *walk) judgeHost(h *host, answers [2]answered, local []netip.Addr) {
	var good []place
	for _, a := range answers {
		step := Step{Question: a.question, Took: a.took, Why: a.Why}
		if a.Outcome == nameserver.Failed && w.failed == "" {
			w.failed = a.Why
		}
		ttl := effective(min(h.ttl, a.TTL))
		for i, rr := range a.Records {
			at := addressOf(rr)
			why := judge(at, w.of, local)
			if i >= mostFamily {
				why = TooMany
			}
			to := netip.AddrPortFrom(at, h.port)
			if w.ours(to, local) {
				w.self = to
			}
			if why == Used {
				good = append(good, place{Target: Target{Addr: to, Host: h.name, Protocol: h.protocol, Transport: transportOf(h.protocol), Weight: h.weight, TTL: ttl}})
			} else {
				w.block(why, at.String())
			}
			step.Records = append(step.Records, Line{Text: fmt.Sprintf("%s %s", h.name, at), TTL: a.TTL, Block: why})
		}
		w.say(step)
	}
	hasWay := w.r.HasWay
	if hasWay == nil {
		hasWay = resolve.HasWay
	}
	order := func(p place) int {
		n := 0
		if p.Addr.Addr().Is4() {
			n++
		}
		if !hasWay(p.Addr.Addr()) {
			n += 2
		}
		return n
	}
	slices.SortFunc(good, func(a, b place) int { return cmp.Or(order(a)-order(b), a.Addr.Compare(b.Addr)) })
	for i, p := range good {
		p.rank = [3]int{h.rank[0], h.rank[1], i}
		w.found = append(w.found, p)
	}
}

// effective is the TTL of a target (section 3.3).
func effective(ttl time.Duration) time.Duration { return max(MinTTL, ttl) }

// ours reports whether something is a door of our own.
func (w *walk) ours(to netip.AddrPort, local []netip.Addr) bool {
	for _, l := range w.r.Listens {
		if l.Port() != to.Port() {
			continue
		}
		if l.Addr() == to.Addr() || (!l.Addr().IsValid() || l.Addr().IsUnspecified()) && slices.Contains(local, to.Addr()) {
			return true
		}
	}
	return false
}

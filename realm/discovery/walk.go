package discovery

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/nameserver"
)

// tag is a service tag of S-NAPTR with one protocol (RFC 3958 section 6.5).
type tag struct{ service, protocol string }

func parseTags(all []string) (tags []tag) {
	for _, s := range all {
		service, protocol, _ := strings.Cut(strings.ToLower(s), ":")
		tags = append(tags, tag{service, protocol})
	}
	return tags
}

// transportOf is what the protocol of a tag means.
func transportOf(protocol string) realm.Transport {
	if strings.HasPrefix(protocol, "radius.dtls") {
		return realm.DTLS
	}
	return realm.TLS
}

// walk is one realm being looked up.
type walk struct {
	r    *Resolver
	ctx  context.Context
	of   *realm.Discovery
	tags []tag
	name string
	tell func(Step)

	asked  int
	seen   map[string]bool // NAPTR questions
	served bool            // a NAPTR record of the service was there
	ranks  int
	hosts  []host
	found  []place
	self   netip.AddrPort
	failed string // why a later question was not answered

	blocked     [blocks]uint16
	blockedHere int
	firstBlock  string
}

func (w *walk) say(s Step) {
	if w.tell != nil {
		w.tell(s)
	}
}

// answered is an answer with what was asked.
type answered struct {
	nameserver.Answer
	question string
	took     time.Duration
}

// question is one to be asked.
type question struct {
	name string
	t    uint16
}

// ask asks some questions at a time, unless there were too many of them.
func (w *walk) ask(all ...question) []answered {
	answers := make([]answered, len(all))
	var asking sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for i, q := range all {
		a := &answers[i]
		a.question = dns.TypeToString[q.t] + " " + q.name
		if w.asked++; w.asked > mostQuestions {
			w.block(TooMany, q.name)
			a.Answer = nameserver.Answer{Outcome: nameserver.NoData, Why: "too many questions for one realm"}
			continue
		}
		turn <- struct{}{}
		asking.Go(func() {
			began := time.Now()
			a.Answer = w.r.DNS.Ask(w.ctx, q.name, q.t)
			a.took = time.Since(began)
			<-turn
		})
	}
	asking.Wait()
	return answers
}

// atOnce is how many questions of one realm are under way.
const atOnce = 4

// pointer is a NAPTR record of the service.
type pointer struct {
	tag               int
	order, preference uint16
	flag              string
	to                string
	protocol          string
}

// naptr asks for the NAPTR records of a name and goes where they lead: steps 6
// to 11. ttl is the least of what led here.
func (w *walk) naptr(name string, depth int, ttl time.Duration) (nameserver.Outcome, string) {
	w.seen[name] = true
	a := w.ask(question{name, dns.TypeNAPTR})[0]
	step := Step{Question: a.question, Took: a.took, Why: a.Why}
	var all []pointer
	for _, rr := range a.Records {
		n := rr.(*dns.NAPTR)
		p, why := w.pointer(n)
		switch {
		case why != Used:
		case len(all) == mostPointers:
			why = TooMany
		case p.flag == "" && depth == mostDepth:
			why = TooDeep
		case p.flag == "" && w.seen[p.to]:
			why = Round
		}
		if why == Used {
			all = append(all, p)
		} else {
			w.block(why, n.Replacement)
		}
		step.Records = append(step.Records, Line{Text: naptrText(n), TTL: a.TTL, Block: why})
	}
	w.say(step)
	w.follow(all, depth, min(ttl, a.TTL))
	return a.Outcome, a.Why
}

// naptrText is a record as people write it.
func naptrText(n *dns.NAPTR) string {
	return fmt.Sprintf("%d %d %q %q %q %s", n.Order, n.Preference, n.Flags, n.Service, n.Regexp, n.Replacement)
}

// pointer reads a record: whether it is of the service, and leads somewhere.
func (w *walk) pointer(n *dns.NAPTR) (p pointer, why Block) {
	if p.tag, p.protocol = w.tagOf(n.Service); p.tag < 0 {
		return p, OtherService
	}
	w.served = true
	p.order, p.preference = n.Order, n.Preference
	p.flag, p.to = strings.ToLower(n.Flags), folded(n.Replacement)
	switch {
	case n.Regexp != "":
		return p, Regexp
	case p.flag != "" && p.flag != "s" && p.flag != "a":
		return p, OtherFlag
	case p.flag == "a" && !hostName(p.to), !serviceName(p.to):
		return p, BadName
	}
	return p, Used
}

// tagOf gives the tag of the profile that a record's service field has, -1:
// none. The field is a service and its protocols, each of which is a tag.
func (w *walk) tagOf(field string) (at int, protocol string) {
	if len(field) > mostName {
		return -1, ""
	}
	service, protocols, _ := strings.Cut(strings.ToLower(field), ":")
	for i, t := range w.tags {
		if t.service != service {
			continue
		}
		for p := range strings.SplitSeq(protocols, ":") {
			if p == t.protocol {
				return i, p
			}
		}
	}
	return -1, ""
}

// follow goes where the records of one answer lead, by the order of the
// profile's tags, then by their own.
func (w *walk) follow(all []pointer, depth int, ttl time.Duration) {
	slices.SortStableFunc(all, func(a, b pointer) int {
		return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.order, b.order), cmp.Compare(a.preference, b.preference))
	})
	var questions []question
	for _, p := range all {
		if p.flag == "s" {
			questions = append(questions, question{p.to, dns.TypeSRV})
		}
	}
	answers := w.ask(questions...)
	for i, p := range all {
		if i == 0 || p.tag != all[i-1].tag || p.order != all[i-1].order || p.preference != all[i-1].preference {
			w.ranks++
		}
		switch p.flag {
		case "s":
			w.srv(&answers[0], p.protocol, ttl)
			answers = answers[1:]
		case "a":
			w.addHost(host{name: p.to, port: usualPort, protocol: p.protocol, rank: [2]int{w.ranks, 0}, weight: 1, ttl: ttl})
		default:
			if !w.seen[p.to] { // two records of one answer may name it
				w.naptr(p.to, depth+1, ttl)
			}
		}
	}
}

// srv takes the hosts out of an answer.
func (w *walk) srv(a *answered, protocol string, ttl time.Duration) {
	step := Step{Question: a.question, Took: a.took, Why: a.Why}
	if a.Outcome == nameserver.Failed && w.failed == "" {
		w.failed = a.Why
	}
	for _, rr := range a.Records {
		s := rr.(*dns.SRV)
		name, why := folded(s.Target), Used
		switch {
		case s.Target == ".":
			why = NotServed // RFC 2782
		case !hostName(name):
			why = BadName
		case !goodPort(s.Port, w.of):
			why = BadPort
		case !w.addHost(host{
			name: name, port: s.Port, protocol: protocol, rank: [2]int{w.ranks, int(s.Priority)},
			weight: int(s.Weight), ttl: min(ttl, a.TTL),
		}):
			why = TooMany
		}
		if why != Used {
			w.block(why, s.Target)
		}
		step.Records = append(step.Records, Line{
			Text: fmt.Sprintf("%d %d %d %s", s.Priority, s.Weight, s.Port, s.Target), TTL: a.TTL, Block: why,
		})
	}
	w.say(step)
}

func (w *walk) addHost(h host) bool {
	if len(w.hosts) == mostHosts {
		return false
	}
	w.hosts = append(w.hosts, h)
	return true
}

// askHosts asks for the addresses of the hosts, of each once.
func (w *walk) askHosts() (answers [][2]answered) {
	at := map[string]int{}
	var questions []question
	for _, h := range w.hosts {
		if _, asked := at[h.name]; !asked {
			at[h.name] = len(questions)
			questions = append(questions, question{h.name, dns.TypeAAAA}, question{h.name, dns.TypeA})
		}
	}
	all := w.ask(questions...)
	for _, h := range w.hosts {
		answers = append(answers, [2]answered(all[at[h.name]:at[h.name]+2]))
	}
	return answers
}

// addressOf reads an address record.
func addressOf(rr dns.RR) (a netip.Addr) {
	switch rr := rr.(type) {
	case *dns.A:
		a, _ = netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		a, _ = netip.AddrFromSlice(rr.AAAA)
	}
	return a
}

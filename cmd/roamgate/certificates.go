package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/realm"
)

// certificates watches what ends one day, and fetches what was revoked.
type certificates struct {
	lists *pki.Lists

	mu       sync.Mutex // guards all below
	asked    time.Time
	peers    map[string]time.Time // as of asked
	exported map[expiry]bool      // without their ends
}

// The roles of what ends, in metrics.
const (
	ownRole  = "own"
	caRole   = "ca"
	crlRole  = "crl"
	peerRole = "peer"
)

// expiry is when something ends, that of several which ends first.
type expiry struct {
	role, name string // the name is of an entry of tls, or of a peer
	end        time.Time
}

var roleTexts = map[string]string{
	ownRole: "our certificate", caRole: "an authority", crlRole: "a list of what was revoked", peerRole: "the certificate of the peer",
}

// days are those that are left, rounded down; below zero it has ended.
func (e *expiry) days(now time.Time) int {
	left := e.end.Sub(now)
	if left < 0 {
		return -1
	}
	return int(left / (24 * time.Hour))
}

func (e *expiry) text(now time.Time) string {
	switch days := e.days(now); {
	case days < 0:
		return fmt.Sprintf("%s of %s has ended", roleTexts[e.role], e.name)
	default:
		return fmt.Sprintf("%s of %s has %s left", roleTexts[e.role], e.name, count(days, "day"))
	}
}

// soon reports whether somebody must do something. Lists are renewed every few
// days, so one is late only when its time has passed.
func (e *expiry) soon(now time.Time, days int) bool {
	if e.role == crlRole {
		return e.days(now) < 0
	}
	return e.days(now) < days
}

// expiries are those of the routing files, in their order.
func expiries(set *realm.Set) (all []expiry) {
	for _, s := range set.Securities {
		if s.Credential != nil {
			all = append(all, expiry{ownRole, s.Name, s.Credential.NotAfter})
		}
		if s.Trust == nil {
			continue
		}
		first := expiry{role: caRole, name: s.Name}
		for _, a := range s.Trust.Authorities {
			first.earlier(a.NotAfter)
		}
		list := expiry{role: crlRole, name: s.Name}
		s.Trust.Expiries(func(_ string, next time.Time) {
			if !next.IsZero() {
				list.earlier(next)
			}
		})
		for _, e := range []expiry{first, list} {
			if !e.end.IsZero() {
				all = append(all, e)
			}
		}
	}
	return all
}

func (e *expiry) earlier(end time.Time) {
	if e.end.IsZero() || end.Before(e.end) {
		e.end = end
	}
}

func trusts(sets ...*realm.Set) (all []*pki.Trust) {
	for _, set := range sets {
		for _, s := range set.Securities {
			if s.Trust != nil {
				all = append(all, s.Trust)
			}
		}
	}
	return all
}

// watchLists begins to fetch for the first configuration. The hub is there
// before the first list is.
func (s *server) watchLists(set *realm.Set) {
	s.certificates.lists = pki.NewLists(s.rejudge, func(address string, err error) {
		if err != nil {
			s.log.Warn("a list of what was revoked cannot be fetched", zap.String("address", address), zap.Error(err))
			return
		}
		s.log.Info("a list of what was revoked is fetched again", zap.String("address", address))
	})
	s.certificates.lists.Watch(trusts(set))
}

// rejudge has the certificates of all who are connected judged once more.
func (s *server) rejudge() {
	s.hub.Rejudge()
	if s.agent != nil {
		s.agent.Rejudge()
	}
}

// takeCertificates makes a configuration the hub's by apply: what was fetched is
// known to its trust bases before they judge anybody, and is not forgotten by
// those in use when apply fails.
func (s *server) takeCertificates(old, set *realm.Set, apply func() error) error {
	l := s.certificates.lists
	l.Watch(trusts(old, set))
	if err := apply(); err != nil {
		l.Watch(trusts(old))
		return err
	}
	l.Watch(trusts(set))
	s.certificateSeries(set)
	return nil
}

// certificateSeries exports what ends, and takes back what is gone.
func (s *server) certificateSeries(set *realm.Set) {
	c := &s.certificates
	now := make(map[expiry]bool)
	export := func(role, name string, f func() time.Time) {
		now[expiry{role: role, name: name}] = true
		s.stats.GaugeFunc("roamgate_tls_cert_expiry_timestamp_seconds",
			"When the first certificate of a chain of ours, of an authority or of a connected peer expires, or a list of what was revoked is to be renewed, Unix time; 0: there is none now.",
			func() float64 {
				if end := f(); !end.IsZero() {
					return float64(end.Unix())
				}
				return 0
			}, "role", role, "name", name)
	}
	for _, sec := range set.Securities {
		one := &realm.Set{Securities: []*realm.Security{sec}}
		for _, role := range []string{ownRole, caRole, crlRole} {
			if role == ownRole && sec.Credential == nil {
				continue
			}
			export(role, sec.Name, func() time.Time {
				for _, e := range expiries(one) {
					if e.role == role {
						return e.end
					}
				}
				return time.Time{}
			})
		}
	}
	for _, name := range securedPeers(set) {
		export(peerRole, name, func() time.Time { return s.peerEnds()[name] })
	}
	c.mu.Lock()
	gone := c.exported
	c.exported = now
	c.mu.Unlock()
	for e := range gone {
		if !now[e] {
			s.stats.Retire("role", e.role, "name", e.name)
		}
	}
}

// securedPeers are the clients, homes and Diameter peers that show a certificate.
func securedPeers(set *realm.Set) (names []string) {
	for i := range set.Clients {
		if set.Clients[i].Transport.Secured() {
			names = append(names, set.Clients[i].Name)
		}
	}
	for i := range set.Homes {
		if set.Homes[i].Transport.Secured() {
			names = append(names, set.Homes[i].Name)
		}
	}
	for i := range set.Peers {
		if set.Peers[i].Transport.Secured() {
			names = append(names, set.Peers[i].Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// peerEnds is asked once for a whole scrape.
func (s *server) peerEnds() map[string]time.Time {
	c := &s.certificates
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.asked) > time.Second {
		c.asked, c.peers = now, s.hub.PeerCertificates()
		if s.agent != nil {
			for name, end := range s.agent.PeerCertificates() {
				if first, known := c.peers[name]; !known || end.Before(first) {
					c.peers[name] = end
				}
			}
		}
	}
	return c.peers
}

// unfetched are the lists of which there is none yet.
func unfetched(set *realm.Set) (texts []string) {
	for _, s := range set.Securities {
		if s.Trust == nil {
			continue
		}
		s.Trust.Expiries(func(address string, next time.Time) {
			if next.IsZero() {
				texts = append(texts, fmt.Sprintf("the list of what was revoked of %s could not be fetched: %s", s.Name, address))
			}
		})
	}
	return texts
}

// certificateWarn is when a status that is asked for shows what ends.
const certificateWarn = 7

// certificatesPart is none where nothing is shown to anybody.
func certificatesPart(set *realm.Set, now time.Time) (ps []part) {
	all, late := expiries(set), unfetched(set)
	if len(all) == 0 {
		return nil
	}
	p := part{Name: "certificates", OK: true}
	first := -1
	for i := range all {
		e := &all[i]
		if e.soon(now, certificateWarn) {
			late = append(late, e.text(now))
		}
		if e.role != crlRole && (first < 0 || e.end.Before(all[first].end)) {
			first = i
		}
	}
	switch {
	case len(late) > 0:
		p.OK, p.Text = false, strings.Join(late, "; ")
	case first >= 0:
		p.Text = all[first].text(now)
	}
	return append(ps, p)
}

// stage is 0 while there is time, and rises at 30, 14 and 7 days before the end.
func (e *expiry) stage(now time.Time) (n int) {
	if e.role == crlRole && !e.soon(now, 0) {
		return 0
	}
	for _, before := range []int{30, 14, certificateWarn} {
		if e.days(now) <= before {
			n++
		}
	}
	return n
}

// lastStage is said every day.
const lastStage = 3

// watchCertificates says in the log what ends, at the start and once a day.
func (s *server) watchCertificates(ctx context.Context) error {
	said := make(map[expiry]int)
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for now := time.Now(); ; {
		all := expiries(s.hub.Snapshot().Set)
		for name, end := range s.peerEnds() {
			all = append(all, expiry{peerRole, name, end})
		}
		said = s.warnCertificates(all, now, said)
		select {
		case <-ctx.Done():
			return nil
		case now = <-tick.C:
		}
	}
}

// warnCertificates writes a line for each that has come nearer to its end than
// was said, and for those of the last stage, and gives what is said now.
func (s *server) warnCertificates(all []expiry, now time.Time, said map[expiry]int) map[expiry]int {
	next := make(map[expiry]int)
	for i := range all {
		e := &all[i]
		stage := e.stage(now)
		next[*e] = stage
		if stage <= said[*e] && stage < lastStage {
			continue
		}
		write := s.log.Warn
		if e.days(now) < 1 {
			write = s.log.Error
		}
		write("something that peers are known by ends", zap.String("role", e.role), zap.String("name", e.name),
			zap.Time("end", e.end), zap.String("text", e.text(now)))
	}
	return next
}

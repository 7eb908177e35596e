package pki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds on fetching.
const (
	maxPoints  = 4              // that are followed of one certificate
	maxFetched = 1024           // addresses, beside those that operators wrote
	maxOfOne   = 64             // of them that one trust base has asked for first
	maxHeld    = 64 << 20       // octets of the CRLs from them
	maxOfOnes  = 16 << 20       // that one trust base has asked for first
	unasked    = 48 * time.Hour // after which what a certificate named is forgotten
	fetchTime  = 15 * time.Second
	firstRetry = time.Minute
	lastRetry  = time.Hour
	longest    = 12 * time.Hour // between two looks at a CRL that lives long
	shortest   = 5 * time.Minute
	redirects  = 3
	atOnce     = 8
)

// Lists are the CRLs that are fetched over http, for all trust bases: one
// goroutine, Run, fetches what Trusts have asked for, and renews it before its
// nextUpdate. A CRL is kept while its next cannot be had; a Trust proves its
// signature by the issuer that it speaks for, so that an address shared by two
// trust bases mixes nothing. It is safe for concurrent use.
type Lists struct {
	changed func()
	report  func(address string, err error)
	ask     func(ctx context.Context, address string, private []netip.Prefix) ([]byte, error)
	wake    chan struct{}

	mu      sync.Mutex
	fetched map[string]*fetched // guarded by mu
}

// fetched is one address.
type fetched struct {
	crls    []*CRL         // the newest first; never changed in place
	private []netip.Prefix // of all Trusts that ask
	first   [32]byte       // the Trust that asked first
	size    int            // octets of crls
	named   bool           // an operator wrote it
	asked   time.Time      // by a Trust
	next    time.Time      // when to ask, zero: at once
	retry   time.Duration
	err     error
}

// NewLists makes one. Run calls changed when a CRL is there that was not, and
// report for each address that could not be fetched any more, or could again
// (nil); both from several goroutines.
func NewLists(changed func(), report func(address string, err error)) *Lists {
	return &Lists{changed: changed, report: report, ask: fetch, wake: make(chan struct{}, 1), fetched: map[string]*fetched{}}
}

// Watch gives what was fetched to trust bases, and asks for what they name. It
// is to be called before they judge. What none of them asks for any more is
// forgotten.
func (l *Lists) Watch(trusts []*Trust) {
	follow := slices.ContainsFunc(trusts, func(t *Trust) bool { return t.follow })
	l.mu.Lock()
	for at, f := range l.fetched {
		named := slices.ContainsFunc(trusts, func(t *Trust) bool { return slices.Contains(t.points, at) })
		if !named && (f.named || !follow) {
			delete(l.fetched, at)
		}
	}
	l.mu.Unlock()
	for _, t := range trusts {
		if t.revocation == RevocationOff {
			continue
		}
		t.lists.Store(l)
		for _, p := range t.points {
			l.get(p, t, true)
		}
	}
}

// get gives the CRLs of an address, none: it is not there yet, or cannot be had.
// named is set for those that an operator wrote.
func (l *Lists) get(address string, by *Trust, named bool) []*CRL {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if f := l.fetched[address]; f != nil {
		f.named, f.asked = f.named || named, now
		if f.allow(by.private) && f.err != nil {
			f.next = time.Time{} // it may have failed for that
			l.begin()
		}
		return f.crls
	}
	if !named && l.crowded(by) || !fetchable(address, named) {
		return nil
	}
	l.fetched[strings.Clone(address)] = &fetched{private: by.private, first: by.Hash, named: named, asked: now}
	l.begin()
	return nil
}

// begin has Run look at what is due.
func (l *Lists) begin() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// crowded reports whether the certificates of a trust base have named as many
// addresses as they may: those who issue them take nothing from each other. It
// needs the lock.
func (l *Lists) crowded(by *Trust) bool {
	all, own := 0, 0
	for _, f := range l.fetched {
		if !f.named {
			all++
			if f.first == by.Hash {
				own++
			}
		}
	}
	return all >= maxFetched || own >= maxOfOne
}

// room reports whether a CRL that a certificate has named may be kept. It needs
// the lock.
func (l *Lists) room(f *fetched, size int) bool {
	all, own := size, size
	for _, other := range l.fetched {
		if other != f && !other.named {
			all += other.size
			if other.first == f.first {
				own += other.size
			}
		}
	}
	return f.named || all <= maxHeld && own <= maxOfOnes
}

// allow adds private prefixes; false: it has them. The address is one that their
// operator or an authority of his has named, so it leads nobody else there. It
// needs the lock.
func (f *fetched) allow(private []netip.Prefix) (more bool) {
	for _, p := range private {
		if !slices.Contains(f.private, p) {
			f.private, more = append(slices.Clip(f.private), p), true
		}
	}
	return more
}

// Run fetches until ctx ends.
func (l *Lists) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-timer.C:
		}
		var asked sync.WaitGroup
		turn := make(chan struct{}, atOnce)
		for address, private := range l.due(time.Now()) {
			turn <- struct{}{}
			asked.Go(func() {
				defer func() { <-turn }()
				if l.fetch(ctx, address, private) {
					l.changed()
				}
			})
		}
		asked.Wait()
		timer.Reset(l.pause(time.Now()))
	}
}

// due gives the addresses to ask now.
func (l *Lists) due(now time.Time) map[string][]netip.Prefix {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := make(map[string][]netip.Prefix)
	for at, f := range l.fetched {
		switch {
		case !f.named && now.Sub(f.asked) > unasked:
			delete(l.fetched, at)
		case !f.next.After(now):
			due[at] = f.private
		}
	}
	return due
}

func (l *Lists) pause(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	pause := longest
	for _, f := range l.fetched {
		pause = min(pause, f.next.Sub(now))
	}
	return max(pause, time.Second)
}

// fetch asks one address, and reports whether its CRL is another now.
func (l *Lists) fetch(ctx context.Context, address string, private []netip.Prefix) bool {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	var crl *CRL
	data, err := l.ask(ctx, address, private)
	if err == nil {
		crl, err = parseCRL(data)
	}
	now := time.Now()

	l.mu.Lock()
	f := l.fetched[address]
	if f == nil { // forgotten meanwhile
		l.mu.Unlock()
		return false
	}
	changed := false
	if err == nil && !l.room(f, len(data)) {
		err = errors.New("the lists that certificates name are too large together")
	}
	if err == nil {
		known := f.crls
		if f.crls, changed = crl.succeed(known, now); !changed {
			err = errors.New("it is older than the one that is known, or not signed by the same authority")
		} else if crl.Stale(now) {
			err = errors.New("it is past its nextUpdate, or not valid yet")
		}
		if changed {
			f.size = len(data)
		}
		changed = changed && (len(known) == 0 || known[0].Hash != crl.Hash)
	}
	tell := (err == nil) != (f.err == nil)
	f.err = err
	f.plan(now)
	l.mu.Unlock()

	if tell {
		l.report(address, err)
	}
	return changed
}

// plan says when the address is asked again: half-way to its nextUpdate, or
// after a pause that grows.
func (f *fetched) plan(now time.Time) {
	var pause time.Duration
	if f.err == nil {
		f.retry = 0
		pause = min(max(f.crls[0].NextUpdate.Sub(now)/2, shortest), longest)
	} else {
		f.retry = min(max(2*f.retry, firstRetry), lastRetry)
		pause = f.retry
	}
	f.next = now.Add(pause - time.Duration(rand.Int64N(int64(pause)/10+1)))
}

// fetch gets a file over http. The address of every connection, also after a
// redirection, is checked when it is opened: a name in a certificate is not to
// lead into our own networks.
func fetch(ctx context.Context, address string, private []netip.Prefix) ([]byte, error) {
	dialer := net.Dialer{Timeout: fetchTime, Control: func(_, to string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(to)
		if err != nil {
			return err
		}
		if addr := at.Addr().Unmap().WithZone(""); !public(addr) && !slices.ContainsFunc(private, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			return fmt.Errorf("%s is not a public address, and not among those that may be asked", addr)
		}
		return nil
	}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, ResponseHeaderTimeout: fetchTime, MaxResponseHeaderBytes: 64 << 10}
	client := http.Client{Transport: transport, Timeout: fetchTime, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > redirects || !fetchable(r.URL.String(), true) {
			return errors.New("it leads elsewhere too often, or to what is no http address")
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %d", answer.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, MaxFile+1))
	if err != nil {
		return nil, err
	}
	return data, nil
}

// public reports whether an address is one of the open internet.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) })
}

// reserved are no addresses of single hosts of the open internet (RFC 6890), or
// lead to others, as those that translators and tunnels embed.
var reserved = func() (all []netip.Prefix) {
	for _, p := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10"} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}()

package client

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/realm"
)

// Candidates are the clients that may come from one address over TLS or DTLS:
// those of the most specific prefix first, then in the order of the files. It is
// immutable.
type Candidates struct {
	own    []*Client   // of this very prefix
	around *Candidates // of the next prefix around it, nil: there is none
	hash   [32]byte
}

// Hash is of who they are and what is believed of them: sessions of TLS are not
// carried from one to another.
func (c *Candidates) Hash() [32]byte { return c.hash }

// sum makes the hash.
func (c *Candidates) sum() {
	h := sha256.New()
	if c.around != nil {
		h.Write(c.around.hash[:])
	}
	for _, one := range c.own {
		fmt.Fprintf(h, "%q %q ", one.Spec.Name, one.Spec.Security.Name)
		if t := one.Spec.Security.Trust; t != nil {
			h.Write(t.Hash[:])
		}
	}
	h.Sum(c.hash[:0])
}

// All visits them in their order, some of them twice. A nil Candidates has none.
func (c *Candidates) All() iter.Seq[*Client] {
	return func(yield func(*Client) bool) {
		for ; c != nil; c = c.around {
			for _, one := range c.own {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// Identify gives the client that a handshake is with: the first whose trust base
// accepts the certificate and whose Holder it names. A certificate is judged
// anew for each trust base, and what one of them says is nothing to the clients
// of another.
func (c *Candidates) Identify(cs *tls.ConnectionState, now time.Time) (*Client, *pki.Identity, pki.Cause) {
	return c.first(func(t *pki.Trust) (*pki.Identity, pki.Cause) { return t.VerifyConnection(cs, pki.Client, now) })
}

// Again gives the client that a live peer would be now.
func (c *Candidates) Again(id *pki.Identity, now time.Time) (*Client, *pki.Identity, pki.Cause) {
	return c.first(func(t *pki.Trust) (*pki.Identity, pki.Cause) { return t.Again(id, now) })
}

// first asks each trust base once. Where there is no client it tells why by the
// first of them, or that a name is missing where one accepts the certificate.
func (c *Candidates) first(judge func(*pki.Trust) (*pki.Identity, pki.Cause)) (*Client, *pki.Identity, pki.Cause) {
	type verdict struct {
		id  *pki.Identity
		why pki.Cause
	}
	verdicts := make(map[*pki.Trust]verdict)
	first := pki.None
	for one := range c.All() {
		v, known := verdicts[one.Spec.Security.Trust]
		if !known {
			v.id, v.why = judge(one.Spec.Security.Trust)
			verdicts[one.Spec.Security.Trust] = v
		}
		switch {
		case v.why == pki.None && one.Spec.Holder.Accepts(v.id):
			return one, v.id, pki.None
		case v.why == pki.None:
			first = pki.WrongName
		case first == pki.None:
			first = v.why
		}
	}
	if first == pki.None {
		first = pki.WrongName // nobody may come from there
	}
	return nil, nil, first
}

// secured says what is missing in a client that shows a certificate.
func secured(c *realm.Client) error {
	switch {
	case c.Security == nil:
		return errors.New("no security says whose certificates are believed")
	case c.Holder == nil:
		return errors.New("nothing says whose certificate it has")
	}
	for _, p := range c.Prefixes {
		if !p.IsValid() {
			return errors.New("invalid prefix")
		}
	}
	return nil
}

// anywhere is where a client may come from of which no address is said.
var anywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// compete makes the Candidates of each prefix of a transport: its own clients,
// and behind them those of the prefixes around it.
func (t *Table) compete(by realm.Transport) {
	at := make(map[netip.Prefix][]*Client)
	for i := range t.clients {
		c := &t.clients[i]
		if c.Spec.Transport != by {
			continue
		}
		from := c.Spec.Prefixes
		if len(from) == 0 {
			from = anywhere
		}
		for _, p := range from {
			if p = unmap(p); !slices.Contains(at[p], c) {
				at[p] = append(at[p], c)
			}
		}
	}
	prefixes := slices.SortedFunc(maps.Keys(at), func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	in := t.candidates(by)
	for _, p := range prefixes { // what lies around a prefix comes before it
		around, _ := in.Lookup(p.Addr())
		all := &Candidates{own: at[p], around: around}
		all.sum()
		in.Insert(p, all)
	}
}

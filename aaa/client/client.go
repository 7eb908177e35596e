// Package client says who may talk to us: it finds the RADIUS client of a
// source address, and with it the shared secret and the limits of that client
// (RFC 2865 section 3: the source address chooses the secret, and a request
// from an unknown address is silently discarded). Over TLS and DTLS the
// certificate says who it is, among those that may come from the address.
//
// In the packet walk it comes first, before any octet of a datagram is
// trusted: the shard asks with the source address, counts and drops what has
// no client, and gives the client's secret to pkg/radius. A connection is asked
// for once, when it is made.
//
// The longest prefix over all clients of a transport wins, so a site inside a
// partner's range can have its own secret. IPv4-mapped IPv6 addresses and
// prefixes are IPv4 here: a socket bound to [::] and one bound to 0.0.0.0 find
// the same client. "::/0" therefore does not stand for IPv4; zones are ignored.
//
// A Table is immutable after New and safe for any number of goroutines. The
// Clients that it hands out point into the slice given to New. The package
// limits no rates and counts nothing.
package client

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// Client is one RADIUS client, ready for the hot path. It is immutable.
type Client struct {
	Spec   *realm.Client
	Secret *radius.Secret
	// Index is the position in the slice given to New, for counters of the
	// snapshot; it does not survive a reload.
	Index int32
}

// Table finds clients by address.
type Table struct {
	udp, tcp  bart.Fast[*Client]
	tls, dtls bart.Fast[*Candidates]
	clients   []Client
}

// New builds a Table. cs is retained and must not change afterwards. The
// error names every client that cannot be used: one without a secret, without
// a valid prefix, or with a prefix that an earlier client has.
func New(cs []realm.Client) (*Table, error) {
	t := &Table{clients: make([]Client, len(cs))}
	var errs []error
	for i := range cs {
		c := &t.clients[i]
		*c = Client{Spec: &cs[i], Index: int32(i)}
		if err := t.add(c); err != nil {
			errs = append(errs, fmt.Errorf("adding client %q (%s): %w", c.Spec.Name, c.Spec.Pos, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	t.compete(realm.TLS)
	t.compete(realm.DTLS)
	return t, nil
}

func (t *Table) add(c *Client) error {
	prefixes := &t.udp
	switch by := c.Spec.Transport; {
	case by == realm.Diameter: // nobody comes from outside in its name
		return nil
	case by.Secured():
		c.Secret = radius.NewSecret(by.Secret())
		return secured(c.Spec)
	case by == realm.TCP:
		prefixes = &t.tcp
	}
	if len(c.Spec.Secret) == 0 {
		// With an empty secret every authenticator can be computed by
		// anybody.
		return errors.New("the secret is empty")
	}
	c.Secret = radius.NewSecret(c.Spec.Secret)
	if len(c.Spec.Prefixes) == 0 {
		return errors.New("no address")
	}
	for _, p := range c.Spec.Prefixes {
		p = unmap(p)
		if !p.IsValid() {
			return errors.New("invalid prefix")
		}
		if other, taken := prefixes.Get(p); taken {
			return fmt.Errorf("prefix %s belongs to client %q (%s)", p, other.Spec.Name, other.Spec.Pos)
		}
		prefixes.Insert(p, c)
	}
	return nil
}

// unmap turns a prefix of IPv4-mapped addresses into the IPv4 prefix it means.
func unmap(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// Lookup returns the client with the longest prefix that holds a, of those that
// send datagrams, nil if there is none.
//
// hot: 0 allocs
func (t *Table) Lookup(a netip.Addr) *Client {
	c, _ := t.udp.Lookup(a.Unmap())
	return c
}

// TCP is Lookup for connections without TLS.
func (t *Table) TCP(a netip.Addr) *Client {
	c, _ := t.tcp.Lookup(a.Unmap())
	return c
}

// Everybody returns who may come from an address by any transport, datagrams
// first.
func (t *Table) Everybody(a netip.Addr) (all []*Client) {
	for _, c := range []*Client{t.Lookup(a), t.TCP(a)} {
		if c != nil {
			all = append(all, c)
		}
	}
	for _, by := range []realm.Transport{realm.TLS, realm.DTLS} {
		all = slices.AppendSeq(all, t.Candidates(by, a).All())
	}
	return all
}

// Len returns the number of clients.
func (t *Table) Len() int { return len(t.clients) }

// At returns the client with the given Index.
func (t *Table) At(i int32) *Client { return &t.clients[i] }

// Candidates returns who may come from an address over TLS or DTLS, nil: nobody.
func (t *Table) Candidates(by realm.Transport, a netip.Addr) *Candidates {
	c, _ := t.candidates(by).Lookup(a.Unmap())
	return c
}

func (t *Table) candidates(by realm.Transport) *bart.Fast[*Candidates] {
	if by == realm.DTLS {
		return &t.dtls
	}
	return &t.tls
}

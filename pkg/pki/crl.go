package pki

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// maxRevoked bounds the entries of one CRL.
const maxRevoked = 200_000

// crlSlack is how far the clock of an authority may be ahead.
const crlSlack = 5 * time.Minute

var (
	oidReason      = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidIssuingPart = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// CRL is a list of what an authority has revoked. It is immutable.
type CRL struct {
	Issuer                 string // for people
	ThisUpdate, NextUpdate time.Time
	Hash                   [32]byte

	list    *x509.RevocationList // without its entries
	revoked map[string]struct{}  // serial numbers
	part    part
	signer  atomic.Pointer[x509.Certificate] // whose signature was proved
}

// part says for which certificates of its issuer a CRL speaks (RFC 5280 section
// 5.2.5).
type part struct {
	points    []string // distribution points, of which a certificate names one; none: all
	users     bool     // none of authorities
	authority bool     // of authorities alone
}

// NewCRL reads a CRL in PEM text or DER.
func NewCRL(f File) (*CRL, []Mistake) {
	crl, err := parseCRL(f.Data)
	if err != nil {
		var wrong mistakes
		wrong.wrong(f.Name, "the CRL cannot be used: "+clean(err.Error()), "openssl crl -noout -text -in "+f.Name)
		return nil, wrong
	}
	return crl, nil
}

func parseCRL(data []byte) (*CRL, error) {
	if len(data) > MaxFile {
		return nil, errors.New("it is larger than 8 MiB")
	}
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("-----BEGIN")) || !isDER(data) {
		block, _ := pem.Decode(data)
		if block == nil {
			return nil, errors.New("it is neither PEM text nor DER")
		}
		if block.Type != "X509 CRL" {
			return nil, fmt.Errorf("it has %q", clean(block.Type))
		}
		data = block.Bytes
	}
	list, err := x509.ParseRevocationList(data)
	if err != nil {
		return nil, err
	}
	c := &CRL{
		Issuer: list.Issuer.String(), ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
		Hash: sha256.Sum256(data), list: list, revoked: make(map[string]struct{}, len(list.RevokedCertificateEntries)),
	}
	if c.NextUpdate.IsZero() {
		return nil, errors.New("it has no nextUpdate")
	}
	if len(list.RevokedCertificateEntries) > maxRevoked {
		return nil, fmt.Errorf("it has more than %d entries", maxRevoked)
	}
	for _, e := range list.Extensions {
		switch {
		case e.Id.Equal(oidIssuingPart):
			if c.part, err = parsePart(e.Value); err != nil {
				return nil, err
			}
		case e.Critical:
			return nil, fmt.Errorf("it has the critical extension %s, as delta CRLs do", e.Id)
		}
	}
	for _, e := range list.RevokedCertificateEntries {
		for _, x := range e.Extensions {
			if x.Critical && !x.Id.Equal(oidReason) {
				return nil, fmt.Errorf("an entry has the critical extension %s, as those of indirect CRLs do", x.Id)
			}
		}
		c.revoked[string(e.SerialNumber.Bytes())] = struct{}{}
	}
	list.RevokedCertificateEntries, list.Raw = nil, nil
	return c, nil
}

// parsePart reads an IssuingDistributionPoint.
func parsePart(der []byte) (p part, err error) {
	wrong := errors.New("its issuing distribution point cannot be read")
	in, seq := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&seq, tag.SEQUENCE) || !in.Empty() {
		return p, wrong
	}
	for !seq.Empty() {
		var (
			value cryptobyte.String
			kind  tag.Tag
		)
		if !seq.ReadAnyASN1(&value, &kind) {
			return p, wrong
		}
		yes := len(value) == 1 && value[0] != 0
		switch kind {
		case tag.Tag(0).ContextSpecific().Constructed():
			if p.points, err = parsePoint(value); err != nil {
				return p, err
			}
		case tag.Tag(1).ContextSpecific():
			p.users = yes
		case tag.Tag(2).ContextSpecific():
			p.authority = yes
		default: // some reasons only, indirect, attribute certificates
			return p, errors.New("it speaks for some reasons only, for other issuers, or for attribute certificates")
		}
	}
	return p, nil
}

// parsePoint reads the addresses of a fullName.
func parsePoint(name cryptobyte.String) (points []string, err error) {
	var full cryptobyte.String
	if !name.ReadASN1(&full, tag.Tag(0).ContextSpecific().Constructed()) || !name.Empty() {
		return nil, errors.New("its distribution point has no full name")
	}
	for !full.Empty() {
		var (
			value cryptobyte.String
			kind  tag.Tag
		)
		if !full.ReadAnyASN1(&value, &kind) || len(points) == MaxNames {
			return nil, errors.New("its distribution point cannot be read")
		}
		if kind == tag.Tag(6).ContextSpecific() {
			points = append(points, string(value))
		}
	}
	if len(points) == 0 {
		return nil, errors.New("its distribution point has no address")
	}
	return points, nil
}

// names reports whether the CRL says to be issued by c.
func (l *CRL) names(c *x509.Certificate) bool {
	return bytes.Equal(l.list.RawIssuer, c.RawSubject) &&
		(len(l.list.AuthorityKeyId) == 0 || len(c.SubjectKeyId) == 0 || bytes.Equal(l.list.AuthorityKeyId, c.SubjectKeyId))
}

// by reports whether c has signed the CRL; that is proved once for each signer.
func (l *CRL) by(c *x509.Certificate) bool {
	if !l.names(c) {
		return false
	}
	if known := l.signer.Load(); known != nil && bytes.Equal(known.Raw, c.Raw) {
		return true
	}
	if l.list.CheckSignatureFrom(c) != nil {
		return false
	}
	l.signer.Store(c)
	return true
}

// Stale reports whether the CRL says nothing about now any more, or yet.
func (l *CRL) Stale(now time.Time) bool {
	return now.After(l.NextUpdate) || now.Add(crlSlack).Before(l.ThisUpdate)
}

// of reports whether the CRL speaks for a certificate of its issuer.
func (l *CRL) of(c *x509.Certificate) bool {
	if l.part.users && c.IsCA || l.part.authority && !c.IsCA {
		return false
	}
	return len(l.part.points) == 0 || slices.ContainsFunc(l.part.points, func(p string) bool {
		return slices.Contains(c.CRLDistributionPoints, p)
	})
}

// succeed gives what counts of an address when l has come: l alone, l beside one
// that is past its time, or as before with false. http proves nothing: who is in
// the way may hold back a CRL, but neither bring an old one back nor put one of
// his own in the place of one whose signature was proved.
func (l *CRL) succeed(known []*CRL, now time.Time) ([]*CRL, bool) {
	at := slices.IndexFunc(known, func(k *CRL) bool { return k.signer.Load() != nil })
	if at < 0 {
		return []*CRL{l}, true
	}
	proved := known[at]
	switch {
	case l.by(proved.signer.Load()):
		if l.ThisUpdate.Before(proved.ThisUpdate) {
			return known, false
		}
		return []*CRL{l}, true
	case proved.Stale(now): // the authority may have another key
		return []*CRL{l, proved}, true
	}
	return known, false
}

// revoked judges each certificate of a chain below its authority.
func (t *Trust) revoked(chain []*x509.Certificate, staple []byte, now time.Time) Cause {
	if t.revocation == RevocationOff {
		return None
	}
	stapled := false
	if len(staple) > 0 && len(chain) > 1 {
		fresh, why := judgeStaple(staple, chain[0], chain[1], now)
		if why != None {
			return why
		}
		stapled = fresh
	}
	first := None
	for i := range chain[:len(chain)-1] {
		why := t.byCRL(chain[i], chain[i+1], now)
		switch {
		case why == Revoked:
			return Revoked
		case why != None && !(i == 0 && stapled) && t.revocation == RevocationRequire && first == None:
			first = why
		}
	}
	return first
}

// byCRL asks every CRL that speaks for a certificate. One past its time still
// says what was revoked.
func (t *Trust) byCRL(c, issuer *x509.Certificate, now time.Time) Cause {
	serial := c.SerialNumber.Bytes()
	why := NoCRL
	for _, l := range t.known(c) {
		if !l.by(issuer) || !l.of(c) {
			continue
		}
		if _, revoked := l.revoked[string(serial)]; revoked {
			return Revoked
		}
		if !l.Stale(now) {
			why = None
		} else if why == NoCRL {
			why = StaleCRL
		}
	}
	return why
}

// known are the CRLs that may speak for a certificate.
func (t *Trust) known(c *x509.Certificate) []*CRL {
	all := slices.Clone(t.crls)
	lists := t.lists.Load()
	if lists == nil {
		return all
	}
	for _, p := range t.points {
		all = append(all, lists.get(p, t, true)...)
	}
	if t.follow {
		for _, p := range c.CRLDistributionPoints[:min(len(c.CRLDistributionPoints), maxPoints)] {
			all = append(all, lists.get(p, t, false)...)
		}
	}
	return all
}

// Expiries gives when each CRL of the trust base is to be renewed: the files by
// their issuer, the others by their address, with the zero time where nothing
// could be fetched yet.
func (t *Trust) Expiries(each func(name string, next time.Time)) {
	for _, l := range t.crls {
		each(clean(l.Issuer), l.NextUpdate)
	}
	lists := t.lists.Load()
	if lists == nil {
		return
	}
	for _, p := range t.points {
		var next time.Time
		if l := lists.get(p, t, true); len(l) > 0 {
			next = l[0].NextUpdate
		}
		each(p, next)
	}
}

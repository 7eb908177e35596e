package home

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/realm"
)

// The versions of RADIUS in ALPN (RFC 9765 section 3).
const (
	version10 = "radius/1.0"
	version11 = "radius/1.1"
)

// sessions are kept for resumption, by home.
const sessions = 8

// secure gives a home what its handshakes are made with. What the old one has
// learnt stays, where nothing of it is new.
func (h *Home) secure(old *Home) {
	sec := h.Spec.Security
	if sec == nil {
		return
	}
	if old != nil && old.TLS != nil && old.SameSecurity(h) {
		h.TLS = old.TLS
		return
	}
	c := &tls.Config{
		MinVersion: max(tls.VersionTLS12, sec.MinVersion),
		NextProtos: sec.Versions,
		// VerifyConnection judges the certificate, also where a session is
		// resumed: by its trust base, and by the names that it must have.
		InsecureSkipVerify: true, //nolint:gosec // see Verify
		ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
		ServerName:         strings.TrimSuffix(h.Spec.Host, "."),
	}
	if h.Spec.Transport == realm.DTLS { // 1.1 needs version 1.3, which there is none of
		c.NextProtos = slices.DeleteFunc(slices.Clone(sec.Versions), func(v string) bool { return v == version11 })
	}
	if len(sec.Versions) > 0 && !slices.Contains(sec.Versions, version10) {
		c.MinVersion = tls.VersionTLS13
	}
	if sec.Credential != nil {
		c.Certificates = []tls.Certificate{sec.Credential.TLS}
	}
	h.TLS = c
}

// SameSecurity says whether connections made for one home are as good for
// another.
func (h *Home) SameSecurity(o *Home) bool {
	a, b := h.Spec.Security, o.Spec.Security
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && sameCredential(a.Credential, b.Credential) && sameTrust(a.Trust, b.Trust) &&
		slices.Equal(a.Versions, b.Versions) && a.MinVersion == b.MinVersion && h.Spec.Host == o.Spec.Host && sameHolder(h.holder(), o.holder())
}

// SameHolder says whether two homes are judged by one Security, and must have the
// same names.
func (h *Home) SameHolder(o *Home) bool {
	a, b := h.Spec.Security, o.Spec.Security
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && sameHolder(h.holder(), o.holder())
}

func sameCredential(a, b *pki.Credential) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Hash == b.Hash
}

func sameTrust(a, b *pki.Trust) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Hash == b.Hash
}

// holder is whose certificate is expected: what the files say, else the name
// that the home is called by, else its address.
func (h *Home) holder() *realm.Holder {
	switch {
	case h.Spec.Holder != nil:
		return h.Spec.Holder
	case h.Spec.Host != "":
		return &realm.Holder{Hosts: []string{strings.TrimSuffix(h.Spec.Host, ".")}}
	}
	holder := &realm.Holder{}
	for k := Auth; k < kinds; k++ {
		if a := h.addrPort(k).Addr(); a.IsValid() && !slices.Contains(holder.Addrs, a.Unmap()) {
			holder.Addrs = append(holder.Addrs, a.Unmap())
		}
	}
	return holder
}

// errNotTheHolder is a certificate that the trust base accepts and that is
// somebody else's.
var errNotTheHolder = errors.New("the certificate is valid, but it has none of the names that this home must have")

// Verify judges the certificate of a handshake, or of the session that is
// resumed.
func (h *Home) Verify(cs *tls.ConnectionState, now time.Time) (*pki.Identity, error) {
	id, why := h.Spec.Security.Trust.VerifyConnection(cs, pki.Server, now)
	if err := why.Err(); err != nil {
		return nil, err
	}
	return id, h.holds(id)
}

// Again judges the certificate of a connection that stands.
func (h *Home) Again(id *pki.Identity, now time.Time) error {
	if h.Spec.Security == nil {
		return errNotTheHolder
	}
	id, why := h.Spec.Security.Trust.Again(id, now)
	if err := why.Err(); err != nil {
		return err
	}
	return h.holds(id)
}

func (h *Home) holds(id *pki.Identity) error {
	if !h.holder().Accepts(id) {
		return errNotTheHolder
	}
	return nil
}

var (
	errNoCommonVersion = errors.New("the home has no version of RADIUS that is offered")
	errVersion11       = errors.New("the home wants RADIUS/1.1 without TLS 1.3")
)

// Version says whether the handshake has agreed upon RADIUS/1.1. A peer without
// ALPN speaks RADIUS/1.0.
func (h *Home) Version(cs *tls.ConnectionState) (clear bool, err error) {
	offered := h.Spec.Security.Versions
	switch {
	case cs.NegotiatedProtocol == version11 && cs.Version < tls.VersionTLS13:
		return false, errVersion11
	case cs.NegotiatedProtocol == "" && len(offered) > 0 && !slices.Contains(offered, version10):
		return false, errNoCommonVersion
	}
	return cs.NegotiatedProtocol == version11, nil
}

package aaa

import (
	"errors"
	"time"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/stat"
)

// refusals count the certificates that were not accepted in handshakes.
type refusals map[string][]*stat.AtomicCounter // by direction, then cause

func newRefusals(r *stat.Registry) refusals {
	all := make(refusals)
	for _, direction := range []string{incoming, outgoing} {
		all[direction] = make([]*stat.AtomicCounter, len(pki.Causes())+1)
		for _, c := range pki.Causes() {
			all[direction][c] = r.Atomic("roamgate_tls_certificates_refused_total", "Certificates that were not accepted in the handshakes of peers that connect to us (in) or that we connect to (out), by cause.",
				"direction", direction, "cause", c.String())
		}
	}
	return all
}

// note counts the outcome of a judgement, nil: it was accepted.
func (r refusals) note(direction string, err error) {
	if err == nil {
		return
	}
	cause := pki.WrongName // of a home's own judgement, see home.Home.Verify
	var refused pki.Refused
	if errors.As(err, &refused) {
		cause = pki.Cause(refused)
	}
	r[direction][cause].Add(1)
}

// PeerCertificates gives, for each peer that is connected with a certificate,
// when the first of its certificates expires. It is safe for concurrent use.
func (h *Hub) PeerCertificates() map[string]time.Time {
	ends := make(map[string]time.Time)
	for _, c := range h.connections.list() {
		if c.identity == nil {
			continue
		}
		if end, known := ends[c.peer]; !known || c.identity.NotAfter.Before(end) {
			ends[c.peer] = c.identity.NotAfter
		}
	}
	return ends
}

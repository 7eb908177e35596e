package aaa

import "time"

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

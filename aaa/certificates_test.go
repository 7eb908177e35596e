package aaa

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/stat"
)

// TestRefusalsCount: each cause has its series, and what a home says itself is
// a wrong name.
func TestRefusalsCount(t *testing.T) {
	r := stat.NewRegistry()
	n := newRefusals(r)
	n.note(incoming, nil)
	for _, c := range pki.Causes() {
		n.note(incoming, c.Err())
	}
	n.note(outgoing, errors.New("another holder"))
	counted := map[string]float64{}
	r.EachOf("roamgate_tls_certificates_refused_total", func(labels []string, v float64) {
		key := ""
		for i := 1; i < len(labels); i += 2 {
			key += labels[i] + " "
		}
		counted[key] = v
	})
	assert.Len(t, counted, 2*len(pki.Causes()))
	total := 0.0
	for _, v := range counted {
		total += v
	}
	assert.EqualValues(t, len(pki.Causes())+1, total)
	assert.EqualValues(t, 1, counted["wrong_name out "])
}

// TestPeerCertificates: of several connections of a peer the first to end counts.
func TestPeerCertificates(t *testing.T) {
	h := &Hub{connections: newConnections()}
	at := func(hour int) *pki.Identity { return &pki.Identity{NotAfter: time.Unix(int64(hour)*3600, 0)} }
	ctr := &connStats{open: new(atomic.Int64)}
	for _, c := range []*conn{{peer: "a", identity: at(5)}, {peer: "a", identity: at(3)}, {peer: "b", identity: at(4)}, {peer: "plain"}} {
		c.ctr = ctr
		h.connections.add(c)
	}
	assert.Equal(t, map[string]time.Time{"a": at(3).NotAfter, "b": at(4).NotAfter}, h.PeerCertificates())
}

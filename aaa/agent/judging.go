package agent

import (
	"context"
	"time"

	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/realm"
)

// judgeEvery is how often live certificates are judged without anybody asking for it: a
// CRL can run out.
const judgeEvery = 5 * time.Minute

// Rejudge has the certificate of every live connection judged once more: by other
// files, or since more is known of what was revoked. It is safe for concurrent use.
func (a *Agent) Rejudge() {
	select {
	case a.again <- struct{}{}:
	default:
	}
}

// suspect is a live connection with the certificate that it was let in by.
type suspect struct {
	link     *link
	identity *pki.Identity
	security *realm.Security
}

// judgeLinks judges them beside the loop: to verify a chain takes longer than to carry
// a message.
func (a *Agent) judgeLinks(ctx context.Context) {
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	live := make(chan []suspect, 1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.again:
		case <-tick.C:
		}
		a.loop.do(func() { live <- a.loop.suspects() })
		select {
		case all := <-live:
			a.judgeAll(all)
		case <-ctx.Done():
			return
		}
	}
}

// suspects are the connections that a certificate stands for, with the trust base of
// the present files.
func (lp *loop) suspects() (all []suspect) {
	lp.adopt()
	for _, l := range lp.conns.slots {
		if l != nil && l.identity != nil && l.node != nil && l.node.peer.Security != nil {
			all = append(all, suspect{l, l.identity, l.node.peer.Security})
		}
	}
	return all
}

// PeerCertificates gives, for each peer that is connected with a certificate, when the
// first of its certificates expires. It is safe for concurrent use.
func (a *Agent) PeerCertificates() map[string]time.Time {
	to := make(chan map[string]time.Time, 1)
	a.loop.do(func() {
		ends := make(map[string]time.Time)
		for _, s := range a.loop.suspects() {
			name := s.link.node.peer.Name
			if end, known := ends[name]; !known || s.identity.NotAfter.Before(end) {
				ends[name] = s.identity.NotAfter
			}
		}
		to <- ends
	})
	select {
	case ends := <-to:
		return ends
	case <-a.done:
		return nil
	}
}

func (a *Agent) judgeAll(all []suspect) {
	for _, s := range all {
		if _, why := s.security.Trust.Again(s.identity, time.Now()); why != pki.None {
			a.loop.do(func() { a.loop.closeLink(s.link, closedUntrusted) })
		}
	}
}

// watch has the names of a configuration's peers followed.
func (a *Agent) watch(set *realm.Set) {
	var names []string
	for i := range set.Peers {
		if n := set.Peers[i].Host; n != "" {
			names = append(names, n)
		}
	}
	a.names.Watch(names)
}

// renamed is that names have other addresses: who waits for the next attempt has it
// now.
func (a *Agent) renamed() {
	a.loop.do(func() {
		for _, n := range a.loop.nodes {
			if n == nil || n.peer.Host == "" {
				continue
			}
			for _, ln := range n.lanes {
				if ln.machine.State() == peer.Closed && ln.machine.Due() != 0 {
					a.loop.event(ln, peer.Start, nil)
				}
			}
		}
	})
}

package aaa

import (
	"context"
	"time"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/realm"
)

// judgeEvery is how often live peers are judged without anybody asking for it:
// a CRL can run out.
const judgeEvery = 5 * time.Minute

// doomed is a connection that must end.
type doomed struct {
	conn *conn
	why  Closing
}

// Rejudge has every live connection judged once more: by other files, or since
// more is known of what was revoked. It is safe for concurrent use.
func (h *Hub) Rejudge() {
	select {
	case h.rejudge <- struct{}{}:
	default:
	}
}

// judgeConnections judges live peers, beside the shards: to verify a chain takes
// longer than to carry a packet.
func (h *Hub) judgeConnections(ctx context.Context) {
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.rejudge:
		case <-tick.C:
		}
		h.judgeAll()
	}
}

func (h *Hub) judgeAll() {
	snap := h.Snapshot()
	for _, c := range h.connections.list() {
		why := StaysOpen
		if c.link != nil {
			why = h.linkStays(c, snap)
		} else {
			why = c.stays(snap)
		}
		if why != StaysOpen {
			post(c.shard, &c.shard.mail.doomed, doomed{c, why})
		}
	}
}

// stays judges a client's connection by other files than those it was let in
// by. Whoever would be somebody else now has to come again. Our own certificate
// does not matter: a rotated one is for those who come.
func (c *conn) stays(snap *Snapshot) Closing {
	now := snap.namesake(c)
	if now == nil {
		return ClosedGone
	}
	if c.transport == realm.Diameter {
		return StaysOpen // its name is all that it has
	}
	first := now
	if c.transport == realm.TCP {
		if first = snap.Clients.TCP(c.from.Addr()); first == nil {
			return ClosedGone
		}
	} else {
		first, _, _ = snap.Clients.Candidates(c.transport, c.from.Addr()).Again(c.identity, time.Now())
		if first == nil {
			return ClosedUntrusted
		}
	}
	if first != now || c.security != securityName(now.Spec) || c.clear && !speaks(now.Spec.Security, radius11) {
		return ClosedReassigned
	}
	if now.Spec.Security != nil && outdated(now.Spec.Security, c.transport, c.TLS()) {
		return ClosedReassigned
	}
	return StaysOpen
}

// namesake is who a connection's client is in a configuration, nil: nobody.
func (s *Snapshot) namesake(c *conn) *client.Client {
	if n, ok := s.clientsByName[c.peer]; ok && n.Spec.Transport == c.transport {
		return n
	}
	return nil
}

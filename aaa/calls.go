package aaa

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/roamgate/roamgate/pkg/stream"
)

// callMark tells a connection from all others at both of its ends. Where the mark
// of one that has come in is that of one that we have opened, we have called
// ourselves (draft-ietf-radext-radiusdtls-bis section 7.2.1).
type callMark [32]byte

// markLabel is that of the keying material that both ends of TLS can make; the
// prefix is for uses that no registry knows (RFC 5705 section 4).
const markLabel = "EXPERIMENTAL roamgate connection"

// markOf makes the mark of a connection, by its addresses where TLS gives
// nothing. calling: we have opened it.
func markOf(c *stream.Conn, calling bool) callMark {
	if made, err := c.Export(markLabel, len(callMark{})); err == nil {
		return callMark(made)
	}
	from, to := c.Remote(), c.Local()
	if calling {
		from, to = to, from
	}
	return sha256.Sum256(fmt.Append(nil, from, to))
}

// calls are the marks of the connections that we have opened, or are about to:
// add comes before the first packet is sent. It is safe for concurrent use.
type calls struct {
	mu   sync.Mutex // guards all below
	open map[callMark]struct{}
}

func (t *calls) add(m callMark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[callMark]struct{})
	}
	t.open[m] = struct{}{}
}

func (t *calls) remove(m callMark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, m)
}

func (t *calls) has(m callMark) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.open[m]
	return ok
}

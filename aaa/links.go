package aaa

// link is the home's side of a connection.
type link struct{}

// linkOpened takes a new connection to a home over.
func (s *Shard) linkOpened(*conn) {}

// linkClosed is told of the end of a connection to a home.
func (s *Shard) linkClosed(*conn, Closing) {}

// hearLink takes one packet of a home up to its proofs; of one that is too long
// there is the header alone.
func (s *Shard) hearLink(*arrival, *conn, []byte, bool) {}

// takeLink goes on with a packet of a home whose proofs have been run.
func (s *Shard) takeLink(*arrival, *conn) {}

// linkOverdue says whether the time of a connection to a home is over.
func (s *Shard) linkOverdue(*conn) Closing { return StaysOpen }

// linkStays judges a connection to a home by the present files. It is called by
// another goroutine than the shard's, with what does not change of c.
func (h *Hub) linkStays(*conn, *Snapshot) Closing { return StaysOpen }

package play

// NASCounts is everything a NAS has sent and what became of it. When Run has
// returned without being aborted, Sent = Accepts + Rejects + Challenges (or
// the acknowledgements) + Lost for every kind, see Open.
type NASCounts struct {
	Sent          PerKind `json:"sent"`     // requests, each once however often repeated
	Answered      PerKind `json:"answered"` // by a right answer
	Lost          PerKind `json:"lost"`     // given up after the last repetition
	Retransmitted PerKind `json:"retransmitted"`
	Accepts       uint64  `json:"accepts"`
	Rejects       uint64  `json:"rejects"`
	Challenges    uint64  `json:"challenges"`
	// RejectsBy splits Rejects by Reply-Message, "" where there is none.
	RejectsBy map[string]uint64 `json:"rejects_by,omitempty"`
	Flaws     Flaws             `json:"flaws"` // answers not taken
	// Conversations counts devices that began, Finished those that came to
	// the end of what they wanted: refused counts as an end, lost does not.
	Conversations uint64 `json:"conversations"`
	Finished      uint64 `json:"finished"`
	// Skipped counts conversations that the rate asked for and that did not
	// begin because every identifier was taken.
	Skipped uint64 `json:"skipped"`
	// Disconnects counts connections that ended before the NAS did; what was
	// in flight on them is lost.
	Disconnects uint64 `json:"disconnects,omitempty"`
	// MostOpen is the most requests that were in flight at once, each worker
	// by itself.
	MostOpen uint64    `json:"most_open"`
	Latency  Histogram `json:"-"` // of right answers, from the first sending
}

// Open is the number of requests neither answered nor lost; a caller that
// waits for Run to end sees 0 or has found a mistake.
func (c *NASCounts) Open() uint64 {
	return c.Sent.All() - c.Answered.All() - c.Lost.All()
}

// AddsUp reports whether every request has exactly one outcome.
func (c *NASCounts) AddsUp() bool {
	for k := range c.Sent {
		if c.Sent[k] != c.Answered[k]+c.Lost[k] {
			return false
		}
	}
	return c.Answered[KindAuth] == c.Accepts+c.Rejects+c.Challenges
}

// Add merges what another NAS counted.
func (c *NASCounts) Add(o *NASCounts) {
	c.Sent.add(&o.Sent)
	c.Answered.add(&o.Answered)
	c.Lost.add(&o.Lost)
	c.Retransmitted.add(&o.Retransmitted)
	c.Accepts += o.Accepts
	c.Rejects += o.Rejects
	c.Challenges += o.Challenges
	addCounts(&c.RejectsBy, o.RejectsBy)
	c.Flaws.add(&o.Flaws)
	c.Conversations += o.Conversations
	c.Finished += o.Finished
	c.Skipped += o.Skipped
	c.Disconnects += o.Disconnects
	c.MostOpen += o.MostOpen
	c.Latency.Merge(&o.Latency)
}

// snapshot copies a worker's counts; the caller holds w.mu.
func (w *worker) snapshot() NASCounts {
	out := w.counts
	out.RejectsBy = make(map[string]uint64, len(w.rejects))
	for message, n := range w.rejects {
		out.RejectsBy[message] = *n
	}
	return out
}

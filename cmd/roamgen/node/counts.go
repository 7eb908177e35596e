package node

import (
	"maps"
	"slices"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
	dia "github.com/roamgate/roamgate/pkg/diameter"
)

// Counts are what a Node has seen and done.
type Counts struct {
	Opened, Refused                   uint64 // connections
	Watchdogs, Disconnects, Malformed uint64
	Unasked                           uint64 // answers to nothing

	// As who answers.
	Requests   uint64
	Unique     uint64            // with Track: each once
	Flagged    uint64            // with the T bit
	Strangers  uint64            // not for this realm, or of nobody
	Answered   uint64            // requests that were answered, at all
	ByCommand  map[uint32]uint64 // requests
	RouteSteps uint64            // Route-Records

	// As who asks.
	Sent, Success, Failed, Lost, Repeated uint64
	Flaws                                 uint64 // answers that were not believed
	Skipped                               uint64 // not begun: too much is under way
	Conversations, Finished               uint64
	Asked, Succeeded                      PerStep           `json:"-"` // Sent and Success, by step
	Results                               map[uint32]uint64 // of Failed
	Reporters                             map[string]uint64 // of Failed: whose Origin-Host
	Latency                               play.Histogram
	InTime                                uint64 // answered while more was begun
}

// PerStep is a count for each kind of request.
type PerStep [steps]uint64

func (p *PerStep) add(o *PerStep) {
	for i := range p {
		p[i] += o[i]
	}
}

// Done are the requests that got an answer.
func (c *Counts) Done() uint64 { return c.Success + c.Failed }

// AddsUp says whether every request had its end.
func (c *Counts) AddsUp() bool { return c.Sent == c.Done()+c.Lost }

// Add adds those of another Node.
func (c *Counts) Add(o *Counts) {
	for _, p := range [][2]*uint64{
		{&c.Opened, &o.Opened}, {&c.Refused, &o.Refused}, {&c.Watchdogs, &o.Watchdogs}, {&c.Disconnects, &o.Disconnects},
		{&c.Malformed, &o.Malformed}, {&c.Unasked, &o.Unasked}, {&c.Requests, &o.Requests}, {&c.Unique, &o.Unique},
		{&c.Flagged, &o.Flagged}, {&c.Strangers, &o.Strangers}, {&c.Answered, &o.Answered}, {&c.RouteSteps, &o.RouteSteps},
		{&c.Sent, &o.Sent}, {&c.Success, &o.Success}, {&c.Failed, &o.Failed}, {&c.Lost, &o.Lost}, {&c.Repeated, &o.Repeated},
		{&c.Flaws, &o.Flaws}, {&c.Skipped, &o.Skipped}, {&c.Conversations, &o.Conversations}, {&c.Finished, &o.Finished},
		{&c.InTime, &o.InTime},
	} {
		*p[0] += *p[1]
	}
	c.ByCommand, c.Results, c.Reporters = sum(c.ByCommand, o.ByCommand), sum(c.Results, o.Results), sum(c.Reporters, o.Reporters)
	c.Asked.add(&o.Asked)
	c.Succeeded.add(&o.Succeeded)
	c.Latency.Merge(&o.Latency)
}

func sum[K comparable](a, b map[K]uint64) map[K]uint64 {
	all := maps.Clone(a)
	if all == nil {
		all = map[K]uint64{}
	}
	for k, v := range b {
		all[k] += v
	}
	return all
}

// Snapshot is what it has counted so far.
func (n *Node) Snapshot() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.counts
	c.ByCommand, c.Results, c.Reporters = maps.Clone(c.ByCommand), maps.Clone(c.Results), maps.Clone(c.Reporters)
	return c
}

// origin tells requests apart (RFC 6733 section 3).
type origin struct {
	host string
	id   uint32
}

// Volume is what an accounting record has counted.
type Volume struct {
	Session       string
	Type          uint32
	Number        uint32
	Input, Output uint64
	Seconds       uint32
	Times         int // that the record has come
}

// Records are those that have come, with Track.
func (n *Node) Records() (all []Volume) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, v := range n.ledger {
		all = append(all, v)
	}
	return all
}

// Record tells accounting records apart (RFC 6733 section 9.4).
type Record struct {
	Session string
	Number  uint32
}

// Acknowledged are the accounting records of ours that were answered with success, with
// Track.
func (n *Node) Acknowledged() []Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.taken)
}

// note remembers a request.
func (n *Node) note(m *dia.Message) {
	n.counts.Requests++
	n.counts.RouteSteps += uint64(m.Routes)
	if n.counts.ByCommand == nil {
		n.counts.ByCommand = map[uint32]uint64{}
	}
	n.counts.ByCommand[m.Command]++
	if m.Flags&dia.FlagRetransmitted != 0 {
		n.counts.Flagged++
	}
	if n.seen == nil {
		return
	}
	key := origin{string(m.Value(dia.KnownOriginHost)), m.EndToEnd}
	if n.seen[key]++; n.seen[key] == 1 {
		n.counts.Unique++
	}
	if m.Command != dia.Accounting {
		return
	}
	k := Record{Session: string(m.Value(dia.KnownSessionID))}
	k.Number, _ = m.Uint32(dia.KnownRecordNumber)
	v := n.ledger[k]
	v.Session, v.Number = k.Session, k.Number
	v.Type, _ = m.Uint32(dia.KnownRecordType)
	v.Times++
	var a dia.AVP
	if dia.Find(m.Body(), acctInputOctets, 0, &a) {
		v.Input, _ = a.Uint64()
	}
	if dia.Find(m.Body(), acctOutputOctets, 0, &a) {
		v.Output, _ = a.Uint64()
	}
	if dia.Find(m.Body(), acctSessionTime, 0, &a) {
		v.Seconds, _ = a.Uint32()
	}
	n.ledger[k] = v
}

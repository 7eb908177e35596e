package session

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// Session is what is known of one session. The exported fields are what a
// store indexes it by; the rest is its own (AppendBinary).
type Session struct {
	ID         ID
	Generation uint64         // Unix seconds of its start as first heard
	NAS        accounting.Key // names the NAS of the visited network
	Open       bool           // no Stop yet, and not closed without one
	Due        int64          // Unix seconds when Close must look at it, 0 never
	Updated    int64          // Unix seconds of the newest arrival of a report

	about   usage.Report // the newest that was said of everything but figures
	newest  int64        // session time of the report that said it
	start   int64        // Unix seconds; of the Start if begun, else the earliest account
	last    int64        // event time of the latest report
	facts   facts
	numbers numbers
	journey accounting.Key
	leg     int

	origins   []origin
	points    []point // in the order of their session time, at most maxPoints
	base      cursor  // what older points came to
	cuts      []cut   // months that base has gone through
	parts     []part  // what was recorded
	taken     uint32  // points so far: the next one's order
	firstStop uint32  // order of the Stop that was first

	touched bool // is in the Changes; not stored
}

// facts are what is true of a session from some report on.
type facts uint16

const (
	begun     facts = 1 << iota // a Start was seen
	timed                       // the start is known: some report had a session time or was a Start
	stopped                     // a Stop was seen
	gigawords                   // some report had Acct-Input-Gigawords or Acct-Output-Gigawords
	interims                    // an Interim was seen
	silent                      // closed: no report for too long
	booted                      // closed: the NAS said Accounting-On or -Off
	reused                      // closed: the NAS began another session of this ID
	unclear                     // two accounts of the start differ, and yet it must be one session
	arrival                     // the start is made of an arrival time
	numbered                    // its reports are numbered: it is one of Diameter
	factsEnd
	unnumberedEnd = numbered // of a session in the first stored form
	closed        = silent | booted | reused
)

// numbers are what is known of the record numbers of a session.
type numbers struct{ first, last, count uint32 }

// hear counts a number that was not heard before.
func (n *numbers) hear(v uint32) {
	if n.count == 0 {
		n.first, n.last = v, v
	}
	n.first, n.last = min(n.first, v), max(n.last, v)
	n.count++
}

// gap says whether one between the first and the last is missing.
func (n *numbers) gap() bool {
	return n.count > 0 && uint64(n.last)-uint64(n.first)+1 > uint64(n.count)
}

// Bounds of what one session keeps. What comes above is still counted.
const (
	maxPoints    = 16 // reports that can still be put into another order
	maxOrigins   = 32 // pairs of hub and client
	maxParts     = 60 // months
	maxClasses   = 32
	maxRevisions = 16 // corrections of one part that are made at once; later ones wait to be made in one
)

// origin is a hub and the client it heard a report from.
type origin struct {
	node, client string
	fine         int64 // points that were folded into the base and contradict nothing
}

// part is what was recorded of one month.
type part struct {
	month    int32
	number   int
	revision int
	// estimated: its record stands for a Stop that did not come.
	estimated bool
	recorded  figures
}

// Key names the session in its records (usage.Record.Session): the ID alone
// names all of its Generations.
func (s *Session) Key() accounting.Key {
	b := append(make([]byte, 0, 32), 's')
	b = append(b, s.ID[:]...)
	return sum(binary.BigEndian.AppendUint64(b, s.Generation))
}

// recordID names a record of the session.
func (s *Session) recordID(number, revision int) accounting.Key {
	key := s.Key()
	b := append(make([]byte, 0, 40), 'r')
	b = append(b, key[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	return sum(binary.BigEndian.AppendUint64(b, uint64(revision)))
}

// origin returns the index of the report's origin, or false when there are
// too many.
func (s *Session) origin(rep *usage.Report) (uint8, bool) {
	for i := range s.origins {
		if o := &s.origins[i]; o.node == rep.Node && o.client == rep.Client {
			return uint8(i), true
		}
	}
	if len(s.origins) == maxOrigins {
		return 0, false
	}
	s.origins = append(s.origins, origin{node: rep.Node, client: rep.Client})
	return uint8(len(s.origins) - 1), true
}

// sum shortens a hash to a Key. It needs no secret: what goes in are the
// keyed hashes of the hub and names that are public.
func sum(b []byte) accounting.Key {
	h := sha256.Sum256(b)
	return accounting.Key(h[:16])
}

// visited names the network of the report as the hub's event key does.
func visited(rep *usage.Report) string {
	if rep.Operator != "" {
		return rep.Operator
	}
	return rep.Client
}

func field(b []byte, v string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
	return append(b, v...)
}

// nasOf names the NAS of the report.
func nasOf(rep *usage.Report) accounting.Key {
	b := field(append(make([]byte, 0, 256), 'n'), visited(rep))
	if rep.NAS != "" {
		return sum(field(append(b, 'i'), rep.NAS))
	}
	return sum(field(append(b, 'a'), rep.NASAddress))
}

// idOf names the Acct-Session-Id of the report at its NAS, for its user. A Session-Id
// of Diameter is nobody else's and never used again (RFC 6733 section 8.8); a record
// that is all of its session may have others beside it.
func idOf(rep *usage.Report, nas accounting.Key) ID {
	if rep.Diameter {
		b := field(append(make([]byte, 0, 512), 'd'), visited(rep))
		b = field(b, rep.SessionID)
		if rep.Flags&accounting.FlagOnce != 0 {
			b = binary.BigEndian.AppendUint32(b, rep.RecordNumber)
		}
		return sum(b)
	}
	b := append(make([]byte, 0, 512), 'i')
	b = append(b, nas[:]...)
	return sum(identity(field(b, rep.SessionID), rep))
}

// journeyOf names the roaming session of the report, the zero Key if it is in
// none.
func journeyOf(rep *usage.Report) accounting.Key {
	if rep.MultiSessionID == "" {
		return accounting.Key{}
	}
	b := field(append(make([]byte, 0, 512), 'j'), visited(rep))
	return sum(identity(field(b, rep.MultiSessionID), rep))
}

// identity adds who used the network, by the handle that the hub's event key
// takes: that of the home first.
func identity(b []byte, rep *usage.Report) []byte {
	switch {
	case rep.CUIHash != accounting.Key{}:
		return append(append(b, 'c'), rep.CUIHash[:]...)
	case len(rep.Classes) > 0:
		b = append(b, 'k')
		for i := range rep.Classes {
			b = append(b, rep.Classes[i][:]...)
		}
		return b
	}
	return append(append(b, 'u'), rep.UserHash[:]...)
}

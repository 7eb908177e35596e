package clearing

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

// MaxTraces is how many reports of a session are remembered one by one, the
// newest. The last few stand beside the session, so that most sessions need
// nothing else; eight at a time they become a chunk, and the chunks a ring.
const (
	MaxTraces    = 1000
	tracesAtOnce = 8
	maxChunks    = MaxTraces / tracesAtOnce
)

// chunk is tracesAtOnce traces of a session.
type chunk struct {
	place  uint32
	traces []byte
}

// trace adds what is known of one more report.
func (sc *sessionChange) trace(t *Trace) {
	b := t.append(nil)
	sc.tail = binary.AppendUvarint(sc.tail[:len(sc.tail):len(sc.tail)], uint64(len(b)))
	sc.tail = append(sc.tail, b...)
	if sc.Reports++; sc.Reports%tracesAtOnce == 0 {
		sc.chunks = append(sc.chunks, chunk{(sc.Reports/tracesAtOnce - 1) % maxChunks, sc.tail})
		sc.tail = nil
	}
	if len(sc.chunks) > maxChunks { // two of one place cannot be written at once
		sc.chunks = sc.chunks[1:]
	}
}

// traces reads those of the chunks, which are in the order of their places,
// and those beside the session.
func (st *stored) traces(chunks []chunk) (all []Trace, err error) {
	if n := st.Reports / tracesAtOnce; n > maxChunks {
		at := int(n%maxChunks) % max(len(chunks), 1)
		chunks = slices.Concat(chunks[at:], chunks[:at]) // the next place has the oldest
	}
	for _, ch := range append(chunks, chunk{traces: st.tail}) {
		for b := ch.traces; len(b) > 0; {
			var n uint64
			if b, err = uvarint(b, &n, nil); err != nil || n > uint64(len(b)) {
				return nil, errStored
			}
			t, err := readTrace(b[:n])
			if err != nil {
				return nil, err
			}
			all, b = append(all, t), b[n:]
		}
	}
	return all[max(len(all)-MaxTraces, 0):], nil
}

// Trace is what is remembered of a report, for people who ask what a session
// was made of.
type Trace struct {
	usage.Source
	Kind    accounting.Kind `json:"kind"`
	Class   usage.Class     `json:"class"` // when it was taken; a provisional one is cleared with its session
	Reason  string          `json:"reason,omitempty"`
	Arrival time.Time       `json:"arrival"`
	Event   time.Time       `json:"event"`

	Has                         accounting.Has `json:"has"`
	SessionTime                 uint32         `json:"session_time"`
	InputOctets, OutputOctets   uint64
	InputPackets, OutputPackets uint64
	TerminateCause              uint32
}

func traceOf(r *usage.Report, o session.Outcome) Trace {
	return Trace{
		Source: usage.Source{Node: r.Node, Epoch: r.Epoch, Seq: r.Seq},
		Kind:   r.Kind, Class: o.Class, Reason: o.Reason, Arrival: r.Arrival, Event: r.Event,
		Has: r.Has, SessionTime: r.SessionTime,
		InputOctets: r.InputOctets, OutputOctets: r.OutputOctets,
		InputPackets: r.InputPackets, OutputPackets: r.OutputPackets,
		TerminateCause: r.TerminateCause,
	}
}

// numbers are the fields of a Trace that are numbers, in their stored order.
func (t *Trace) numbers() [13]uint64 {
	return [...]uint64{
		t.Epoch, t.Seq, uint64(t.Kind), uint64(t.Class), uint64(t.Arrival.UnixNano()), uint64(t.Event.Unix()),
		uint64(t.Has), uint64(t.SessionTime), t.InputOctets, t.OutputOctets,
		t.InputPackets, t.OutputPackets, uint64(t.TerminateCause),
	}
}

func (t *Trace) append(b []byte) []byte {
	for _, n := range t.numbers() {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(t.Node)))
	b = append(b, t.Node...)
	return append(b, t.Reason...)
}

var errStored = errors.New("what is stored cannot be read")

func readTrace(b []byte) (t Trace, err error) {
	n := t.numbers()
	for i := range n {
		b, err = uvarint(b, &n[i], err)
	}
	var node uint64
	b, err = uvarint(b, &node, err)
	if err != nil || node > uint64(len(b)) {
		return t, errStored
	}
	return Trace{
		Source: usage.Source{Node: string(b[:node]), Epoch: n[0], Seq: n[1]},
		Kind:   accounting.Kind(n[2]), Class: usage.Class(n[3]), Reason: string(b[node:]),
		Arrival: time.Unix(0, int64(n[4])).UTC(), Event: time.Unix(int64(n[5]), 0).UTC(),
		Has: accounting.Has(n[6]), SessionTime: uint32(n[7]),
		InputOctets: n[8], OutputOctets: n[9],
		InputPackets: n[10], OutputPackets: n[11], TerminateCause: uint32(n[12]),
	}, nil
}

func uvarint(b []byte, to *uint64, err error) ([]byte, error) {
	v, n := binary.Uvarint(b)
	if err != nil || n <= 0 {
		return nil, errStored
	}
	*to = v
	return b[n:], nil
}

package clearing

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

// MaxTraces is how many reports of a session are remembered one by one, the
// newest.
const MaxTraces = 1000

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
	InputPackets, OutputPackets uint32
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
		uint64(t.InputPackets), uint64(t.OutputPackets), uint64(t.TerminateCause),
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
		InputPackets: uint32(n[10]), OutputPackets: uint32(n[11]), TerminateCause: uint32(n[12]),
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

package agent

import (
	"hash/maphash"
	"math/rand/v2"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// overload is what hosts and realms have said of how much less they want to have (RFC
// 7683). The agent reacts for those who know nothing of it: their requests carry its
// OC-Supported-Features, and of the answers they see neither that nor a report. Who has
// an OC-Supported-Features of its own reacts itself.
type overload struct {
	seed    maphash.Seed
	reports map[reporter]report
	counts  [numReportTypes]stat.ID
}

// The types of reports (RFC 7683 section 7.6).
const (
	reportHost = iota
	reportRealm
	numReportTypes
)

var reportNames = [numReportTypes]string{"host", "realm"}

// reporter is whose report it is.
type reporter struct {
	of          uint32 // type
	application uint32
	name        uint64
}

// report is the loss that somebody wants.
type report struct {
	sequence uint64
	until    int64
	percent  uint32
}

const (
	// mostReports bounds what peers can make the agent remember.
	mostReports = 4096
	// The validity of a report in seconds, where it says none, and at most (RFC 7683
	// section 7.5).
	usualValidity = 30
	mostValidity  = 86400
)

// ourFeatures is an OC-Supported-Features with the loss algorithm.
var ourFeatures = func() []byte {
	var w diameter.Writer
	w.Begin(make([]byte, 64), &diameter.Header{})
	g := w.Group(diameter.OCSupportedFeatures, 0, 0)
	w.Uint64(diameter.OCFeatureVector, 0, 0, 1)
	w.End(g)
	return w.Finish()[diameter.HeaderLen:]
}()

func newOverload(r *stat.Registry) overload {
	o := overload{seed: maphash.MakeSeed(), reports: make(map[reporter]report)}
	for i, name := range reportNames {
		o.counts[i] = r.Counter("roamgate_diameter_overload_reports_total", "Overload reports that the agent has taken over, by what they are for.", "of", name)
	}
	return o
}

// reacts reports whether the agent reacts for the sender of a request. A relay changes
// nothing of a request but its Route-Records.
func reacts(d *direction, m *diameter.Message) bool {
	return d.way != nil && d.way.route.Diameter.Action == realm.DiameterProxy && !m.Has(diameter.KnownSupportedFeatures)
}

// abates decides by chance whether a request is one of those that a host or realm does
// not want. Higher priorities than usual are spared, at the cost of lower ones (RFC 7944
// section 8).
//
// hot: 0 allocs
func (lp *loop) abates(of, application uint32, name []byte, priority uint8) bool {
	o := &lp.overload
	if len(o.reports) == 0 {
		return false
	}
	r, ok := o.reports[o.reporter(of, application, name)]
	if !ok || lp.now >= r.until {
		return false
	}
	p := r.percent
	switch {
	case p == 100:
	case priority < 5:
		p = 0
	case priority < defaultPriority:
		p /= 2
	case priority > defaultPriority:
		p = min(2*p, 100)
	}
	return rand.Uint32N(100) < p
}

func (o *overload) reporter(of, application uint32, name []byte) reporter {
	var b [nai.MaxLen]byte
	return reporter{of, application, maphash.Bytes(o.seed, lowered(&b, name[:min(len(name), len(b))]))}
}

// learn takes the reports of an answer to a request that carried our features. What it
// may be about is the host that has answered and the realm that was asked.
func (lp *loop) learn(t *transaction, from *node, m *diameter.Message) {
	var a diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		if a.Is(diameter.OCOLR, 0) {
			lp.heed(t, from, m, &a)
		}
	}
}

// heed takes one of them, unless a later one is known. A host speaks for itself alone:
// who answers in the name of another could turn all requests away from it.
func (lp *loop) heed(t *transaction, from *node, m *diameter.Message, olr *diameter.AVP) {
	of, validity := uint32(numReportTypes), uint32(usualValidity)
	var r report
	var a diameter.AVP
	for c := olr.Group(); c.Next(&a); {
		switch a.Code {
		case diameter.OCSequenceNumber:
			r.sequence, _ = a.Uint64()
		case diameter.OCReportType:
			of, _ = a.Uint32()
		case diameter.OCReductionPercentage:
			r.percent, _ = a.Uint32()
		case diameter.OCValidityDuration:
			validity, _ = a.Uint32()
		}
	}
	if of >= numReportTypes || r.percent > 100 || validity > mostValidity {
		return
	}
	name := m.Value(diameter.KnownOriginHost)
	if of == reportHost && !diameter.SameIdentity(name, from.peer.Identity) {
		return
	}
	if of == reportRealm {
		name = lp.again(t).Value(diameter.KnownDestinationRealm)
	}
	o := &lp.overload
	key := o.reporter(of, t.application, name)
	old, known := o.reports[key]
	if known && lp.now < old.until && r.sequence <= old.sequence {
		return
	}
	if !known && len(o.reports) >= mostReports && !o.makeRoom(lp.now) {
		return
	}
	r.until = lp.now + int64(validity)*1e9
	o.reports[key] = r
	lp.stats.Add(o.counts[of], 1)
}

// makeRoom forgets what is not valid any more.
func (o *overload) makeRoom(now int64) bool {
	for k, r := range o.reports {
		if now >= r.until {
			delete(o.reports, k)
		}
	}
	return len(o.reports) < mostReports
}

// strip gives an answer without what is said about overload, for somebody who has not
// asked for it.
func (lp *loop) strip(m *diameter.Message) []byte {
	lp.w.Begin(lp.scratch, &m.Header)
	var a diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		if !a.Is(diameter.OCSupportedFeatures, 0) && !a.Is(diameter.OCOLR, 0) {
			lp.w.Raw(a.Raw)
		}
	}
	return lp.w.Finish()
}

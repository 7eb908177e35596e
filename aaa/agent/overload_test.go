package agent

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

func octets64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// olr is an OC-OLR.
func olr(of, percent uint32, sequence uint64, more ...avp) avp {
	return avp{diameter.OCOLR, 0, append([]avp{
		{diameter.OCSequenceNumber, 0, octets64(sequence)},
		{diameter.OCReportType, 0, of},
		{diameter.OCReductionPercentage, 0, percent},
	}, more...)}
}

var features = avp{diameter.OCSupportedFeatures, 0, []avp{{diameter.OCFeatureVector, 0, octets64(1)}}}

// report has hss1 answer a request with a report.
func (r *walkRig) report(m *message, reports ...avp) *diameter.Message {
	r.t.Helper()
	r.heard("mme", m)
	r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultSuccess, append([]avp{features}, reports...)...))
	return r.one("mme")
}

// C122: for a client that knows nothing of overload control the agent reacts: it says so
// in the request, takes the report out of the answer, and sends the host less.
func TestC122HostReport(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", request())
	out := r.one("hss1")
	var a diameter.AVP
	assert.True(t, out.Has(diameter.KnownSupportedFeatures))
	assert.True(t, diameter.Find(out.Value(diameter.KnownSupportedFeatures), diameter.OCFeatureVector, 0, &a))
	r.heard("hss1", answerTo(out, "hss1.home.example", diameter.ResultSuccess, features, olr(reportHost, 100, 1)))
	ans := r.one("mme")
	assert.False(t, ans.Has(diameter.KnownSupportedFeatures) || ans.Has(diameter.KnownOverload), "nobody has asked for it")

	r.heard("mme", request())
	r.one("hss2") // another can have it
	r.heard("mme", request().with(avp{diameter.DestinationHost, 0, "hss1.home.example"}))
	assert.EqualValues(t, diameter.ResultTooBusy, resultIn(r.one("mme")), "nobody else can")
	assert.Equal(t, 1, r.counted("roamgate_diameter_refused_total", "peer", "mme", "reason", "overloaded"))
	// Another application of the host is another matter.
	der := request()
	der.Command, der.Application = diameter.EAP, diameter.AppEAP
	r.heard("mme", der)
	r.one("hss1")

	r.pass(31 * time.Second) // as long as a report is valid that does not say
	r.sent("mme")
	r.heard("mme", request())
	r.one("hss1")
}

// C122: a realm's report is for requests that name no host, and another way would not
// help those.
func TestC122RealmReport(t *testing.T) {
	r := newWalkRig(t, nil)
	r.report(request(), olr(reportRealm, 100, 1, avp{diameter.OCValidityDuration, 0, uint32(5)}))
	r.heard("mme", request())
	assert.EqualValues(t, diameter.ResultUnableToComply, resultIn(r.one("mme")))
	r.heard("mme", request().with(avp{diameter.DestinationHost, 0, "hss1.home.example"}))
	r.one("hss1")
	r.pass(6 * time.Second)
	r.sent("mme")
	r.heard("mme", request())
	r.one("hss1")
}

// C122: a later report takes the place of an earlier one, an earlier one that comes late
// changes nothing, and nonsense neither.
func TestC122Sequence(t *testing.T) {
	host := avp{diameter.DestinationHost, 0, "hss1.home.example"}
	for name, c := range map[string]struct {
		reports []avp
		less    bool
	}{
		"later ends it":        {[]avp{olr(reportHost, 100, 1), olr(reportHost, 0, 2)}, false},
		"validity 0 ends it":   {[]avp{olr(reportHost, 100, 1), olr(reportHost, 100, 2, avp{diameter.OCValidityDuration, 0, uint32(0)})}, false},
		"earlier comes late":   {[]avp{olr(reportHost, 100, 2), olr(reportHost, 0, 1)}, true},
		"the same again":       {[]avp{olr(reportHost, 100, 2), olr(reportHost, 0, 2)}, true},
		"more than all":        {[]avp{olr(reportHost, 101, 1)}, false},
		"of no known type":     {[]avp{olr(7, 100, 1)}, false},
		"valid for too long":   {[]avp{olr(reportHost, 100, 1, avp{diameter.OCValidityDuration, 0, uint32(86401)})}, false},
		"of the realm as well": {[]avp{olr(reportRealm, 0, 1), olr(reportHost, 100, 1)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, nil)
			r.report(request(), c.reports...)
			r.heard("mme", request().with(host))
			if c.less {
				r.one("mme")
			} else {
				r.one("hss1")
			}
		})
	}
}

// C122 and D9: who reacts itself is left alone, and so are the requests of a relay.
func TestC122NotForUs(t *testing.T) {
	r := newWalkRig(t, nil)
	ans := r.report(request().with(features), olr(reportHost, 100, 1))
	assert.True(t, ans.Has(diameter.KnownOverload))
	assert.Empty(t, r.lp.overload.reports)

	r = newWalkRig(t, func(s *realm.Set) { s.Routes[0].Diameter.Action = realm.DiameterRelay })
	r.heard("mme", request())
	out := r.one("hss1")
	assert.False(t, out.Has(diameter.KnownSupportedFeatures))
	// Load (RFC 8583) passes either way.
	load := avp{650, 0, []avp{{651, 0, uint32(0)}, {652, 0, octets64(30)}, {649, 0, "hss1.home.example"}}}
	r.heard("hss1", answerTo(out, "hss1.home.example", diameter.ResultSuccess, features, olr(reportHost, 100, 1), load))
	assert.Equal(t, 7, r.one("mme").AVPs)
	assert.Empty(t, r.lp.overload.reports)
}

// C122 and D8: a part is a part, and priorities have their order in it.
func TestC122Share(t *testing.T) {
	for name, c := range map[string]struct {
		percent  uint32
		priority uint8
		from, to int // of 10,000
	}{
		"none":            {0, 10, 0, 0},
		"a tenth":         {10, 10, 700, 1300},
		"half":            {50, 10, 4500, 5500},
		"all":             {100, 10, 10000, 10000},
		"high priority":   {90, 0, 0, 0},
		"all of high":     {100, 0, 10000, 10000},
		"a little higher": {50, 7, 2000, 3000},
		"lower":           {30, 14, 5500, 6500},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWalkRig(t, nil)
			r.report(request(), olr(reportHost, c.percent, 1))
			n := 0
			for range 10_000 {
				if r.lp.abates(reportHost, diameter.AppS6a, []byte("HSS1.home.example"), c.priority) {
					n++
				}
			}
			assert.True(t, c.from <= n && n <= c.to, "%d", n)
		})
	}
}

// C122: what peers can make the agent remember is bounded, and what is over is forgotten first.
func TestC122ReportsAreBounded(t *testing.T) {
	o := newOverload(newWalkRig(t, nil).reg)
	for i := range uint64(mostReports) {
		o.reports[reporter{name: i}] = report{until: int64(i)}
	}
	assert.False(t, o.makeRoom(0) && len(o.reports) >= mostReports)
	assert.True(t, o.makeRoom(100))
	assert.Len(t, o.reports, mostReports-101)
}

// C117 and D8: a peer may send its burst and then its rate; priorities above the usual may
// have some more, and those below leave some (RFC 7944).
func TestC117Rates(t *testing.T) {
	var b bucket
	taken := func(priority uint8, n int, now time.Duration) (k int) {
		for range n {
			if b.take(int64(now), 100, 20, priority) {
				k++
			}
		}
		return k
	}
	assert.Equal(t, 10, taken(15, 100, 0))
	assert.Equal(t, 10, taken(10, 100, 0))
	assert.Equal(t, 20, taken(0, 100, 0))
	assert.Equal(t, 0, taken(10, 100, 100*time.Millisecond), "what was borrowed is paid first")
	assert.Equal(t, 5, taken(10, 100, 250*time.Millisecond))
	assert.Equal(t, 20, taken(10, 100, time.Hour))
	assert.True(t, b.take(0, 0, 0, 15), "no rate, no bound")
}

// C122: a host speaks for itself: another's report in its name is none.
func TestC122ReportInAnothersName(t *testing.T) {
	r := newWalkRig(t, nil)
	r.heard("mme", request().with(avp{diameter.DestinationHost, 0, "hss2.home.example"}))
	r.heard("hss2", answerTo(r.one("hss2"), "HSS1.home.example", diameter.ResultSuccess, features,
		olr(reportHost, 100, 1<<63, avp{diameter.OCValidityDuration, 0, uint32(86400)})))
	r.one("mme")
	assert.Empty(t, r.lp.overload.reports)
	r.heard("mme", request())
	r.one("hss1")
}

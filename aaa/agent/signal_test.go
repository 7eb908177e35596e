package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/judge"
)

// windowEnds lets what was counted be written.
func (r *ledgerRig) windowEnds() {
	r.lp.clock(r.lp.now+int64(time.Hour), r.lp.wall+int64(time.Hour))
	for range 1 + r.lp.signals.list.n/signalsAtOne {
		r.lp.countOut()
	}
	r.round()
}

// told gives what the records say: what was counted, and how often.
func (r *ledgerRig) told() (list []string) {
	for _, rec := range r.records() {
		judge.Collect(rec.Raw)
		var e accounting.Event
		rec.ReadEvent(&e)
		require.Equal(r.t, accounting.Stop, e.Kind, e.Quarantine)
		list = append(list, fmt.Sprintf("%s %s %s %s in=%d/%d out=%d/%d %ds", e.Context, rec.Client, rec.Realm, e.UserName,
			e.InputPackets, e.InputOctets, e.OutputPackets, e.OutputOctets, e.SessionTime))
	}
	return list
}

func TestSignallingIsCounted(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeHome)
	ask := func(m *message, result uint32) {
		r.heard("mme", m)
		if result == 0 {
			r.sent("hss1")
			r.pass(10 * time.Second)
		} else {
			r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", result))
		}
		r.sent("mme")
	}
	ulr := request()
	ask(ulr, 2001)
	ask(ulr.again(2), 2001)
	ask(ulr.again(3), 5004)
	ask(ulr.again(4), 0)
	ask(ulr.set(diameter.UserName, "262010000000001").again(5), 2001)
	assert.Empty(t, r.records(), "not before the window ends")
	r.windowEnds()
	assert.ElementsMatch(t, []string{
		"s6a/update_location/2001@dra.hub.example mme home.example 262011234567890 in=2/0 out=0/0 3610s",
		"s6a/update_location/5004@dra.hub.example mme home.example 262011234567890 in=1/0 out=0/0 3610s",
		"s6a/update_location/3002@dra.hub.example mme home.example 262011234567890 in=1/0 out=0/0 3610s",
		"s6a/update_location/2001@dra.hub.example mme home.example 262010000000001 in=1/0 out=0/0 3600s",
	}, r.told())
	assert.Empty(t, r.lp.signals.index, "the window begins with nothing")
	before := len(r.records())
	r.windowEnds()
	assert.Len(t, r.records(), before)
	r.rest()
}

// mo is non-IP data of a device to its home.
func mo(bearer byte, octets int) *message {
	return &message{
		diameter.Header{Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: diameter.MOData, Application: diameter.AppT6a, HopByHop: 7, EndToEnd: 9},
		[]avp{
			{diameter.SessionID, 0, "mme.visited.example;1;3"},
			{diameter.AuthSessionState, 0, uint32(1)},
			{diameter.OriginHost, 0, "mme.visited.example"},
			{diameter.OriginRealm, 0, "visited.example"},
			{diameter.DestinationRealm, 0, "home.example"},
			{diameter.TGPPUserIdentifier, diameter.Vendor3GPP, []avp{{diameter.UserName, 0, imsi}}},
			{tgppBearerIdentifier, diameter.Vendor3GPP, []byte{bearer}},
			{tgppNonIPData, diameter.Vendor3GPP, make([]byte, octets)},
		},
	}
}

func TestNonIPDataIsCounted(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeHome)
	for i := range r.set.Peers {
		r.set.Peers[i].Applications = nil
	}
	r.apply(r.set)
	send := func(from, to string, m *message, result uint32) {
		r.heard(from, m)
		r.heard(to, answerTo(r.one(to), to, result))
		r.sent(from)
	}
	send("mme", "hss1", mo(5, 100), 2001)
	send("mme", "hss1", mo(5, 1), 2001)
	send("mme", "hss1", mo(6, 50), 2001)
	send("mme", "hss1", mo(5, 1000), 5651) // not taken: messages, no octets
	mt := mo(5, 70).set(diameter.DestinationRealm, "visited.example").set(diameter.OriginHost, "hss1.home.example").set(diameter.OriginRealm, "home.example")
	mt.Command = diameter.MTData
	send("hss1", "mme", mt, 2001)
	r.lp.countLast() // as the agent does when it stops
	r.round()
	assert.ElementsMatch(t, []string{
		"t6a/mo_data/2001@dra.hub.example mme home.example 262011234567890 in=2/101 out=0/0 0s",
		"t6a/mo_data/5651@dra.hub.example mme home.example 262011234567890 in=1/0 out=0/0 0s",
		"t6a/mo_data/2001@dra.hub.example mme home.example 262011234567890 in=1/50 out=0/0 0s",
		"t6a/mt_data/2001@dra.hub.example hss1 visited.example 262011234567890 in=0/0 out=1/70 0s",
	}, r.told())
	r.rest()
}

func TestSignallingOfManyDevicesIsBounded(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeHome)
	s := &r.lp.signals
	for i := range mostSignals {
		s.add(uint64(i), subject{}, 0)
	}
	r.heard("mme", request())
	r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", 2001))
	r.sent("mme")
	assert.Equal(t, 1, r.counted("roamgate_diameter_signalling_anonymous_total"))
	assert.Equal(t, mostSignals+1, s.list.n)
	r.windowEnds()
	assert.Equal(t, []string{"s6a/update_location/2001@dra.hub.example mme home.example unattributed@home.example in=1/0 out=0/0 3600s"}, r.told())
}

func TestSignallingOfWhatIsUnderWay(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeHome)
	r.heard("mme", request())
	out := r.one("hss1")
	r.lp.clock(r.lp.now+int64(time.Hour), r.lp.wall+int64(time.Hour))
	r.lp.countOut()
	r.round()
	assert.Empty(t, r.records())
	r.heard("hss1", answerTo(out, "hss1.home.example", 2001))
	r.windowEnds()
	assert.Len(t, r.told(), 1, "it is counted in the next window")
}

func TestAllocsSignalling(t *testing.T) {
	r := newLedgerRig(t, realm.AcknowledgeHome)
	raw := request().octets()
	var m diameter.Message
	require.Equal(t, diameter.NoFault, m.Parse(raw))
	tr := &transaction{of: r.node("mme"), application: m.Application, command: m.Command}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		r.lp.signal(tr, &m)
		r.lp.heardOf(tr, 2001)
	}))
}

package usage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
)

// sound is a record that nothing is unusual about, and what was reported.
func sound(t *testing.T) (*Record, *Report) {
	var p Report
	require.NoError(t, ParseReport(line(stop(), accounting.View{}), &p))
	p.Node, p.Epoch = "n1", 1
	r := &Record{
		ID: accounting.Key{1}, Status: Final, Billable: true, Session: accounting.Key{2}, Part: 1,
		Start: p.Event.Add(-10 * time.Minute), End: p.Event, Seconds: 600,
		InputOctets: 1 << 32, OutputOctets: 2 << 32, InputPackets: 1 << 23, OutputPackets: 1 << 24,
		Reports: Reports{Starts: 1, Interims: 3, Stops: 1},
	}
	r.Describe(&p)
	return r, &p
}

func TestValidate(t *testing.T) {
	const here = "hotspots" // the client of sound
	for _, tt := range []struct {
		name   string
		change func(r *Record, p *Report)
		v      Validators
		want   []Exception
	}{
		{"nothing unusual", func(*Record, *Report) {}, Validators{WRIX: []string{here}}, nil},
		{"zero usage", func(r *Record, _ *Report) {
			r.InputOctets, r.OutputOctets, r.InputPackets, r.OutputPackets = 0, 0, 0, 0
		}, Validators{}, []Exception{ZeroUsage}},
		{"arrival time", func(_ *Record, p *Report) { p.Flags |= accounting.FlagArrivalTime }, Validators{}, []Exception{ArrivalTime}},
		{"bad attribute", func(_ *Record, p *Report) { p.Flags |= accounting.FlagBadAttribute }, Validators{}, []Exception{BadAttribute}},
		{"name cut", func(_ *Record, p *Report) { p.Flags |= accounting.FlagNameCut }, Validators{}, []Exception{NameCut}},
		{"no operator", func(_ *Record, p *Report) { p.Operator, p.OperatorName = "", "" }, Validators{}, []Exception{OperatorUnknown}},
		{"operator claimed only", func(_ *Record, p *Report) { p.Operator = "" }, Validators{}, nil},
		{"another operator", func(_ *Record, p *Report) { p.OperatorName = "4OTHER:CH" }, Validators{}, []Exception{OperatorDiffers}},
		{"operator that is none", func(_ *Record, p *Report) { p.OperatorName = "what?" }, Validators{}, []Exception{OperatorDiffers}},
		{"operator without its country", func(_ *Record, p *Report) { p.OperatorName = "4WBA" }, Validators{}, nil},
		{"negative", func(r *Record, _ *Report) { r.InputPackets = -1 }, Validators{}, []Exception{NegativeFigure}},
		{"negative time", func(r *Record, _ *Report) {
			r.Seconds, r.InputOctets, r.InputPackets, r.OutputOctets, r.OutputPackets = -1, 1000, 9, 1000, 9
		}, Validators{}, []Exception{NegativeFigure}},
		{"as fast as a link", func(r *Record, _ *Report) { r.InputOctets = 1_250_000_000 * 600 }, Validators{}, nil},
		{"faster", func(r *Record, _ *Report) { r.InputOctets = 1_250_000_000*601 + 1 }, Validators{}, []Exception{RateTooHigh}},
		{"faster than the link here", func(r *Record, _ *Report) { r.OutputOctets, r.OutputPackets = 601_001, 1000 }, Validators{MaxRate: 1000}, []Exception{RateTooHigh}},
		{"a counter at its end", func(r *Record, _ *Report) { r.InputOctets = 1<<63 - 1 }, Validators{}, []Exception{RateTooHigh}},
		{"octets without packets", func(r *Record, _ *Report) { r.InputPackets = 0 }, Validators{}, []Exception{OctetsWithoutPackets}},
		{"both ways without packets", func(r *Record, _ *Report) { r.InputPackets, r.OutputPackets = 0, 0 }, Validators{}, []Exception{OctetsWithoutPackets}},
		{"packets that are not counted", func(r *Record, p *Report) {
			r.InputPackets = 0
			p.Has &^= accounting.HasInputPackets
		}, Validators{}, nil},
		{"packets without octets", func(r *Record, _ *Report) { r.OutputOctets = 0 }, Validators{}, []Exception{PacketsWithoutOctets}},
		{"octets that are not counted", func(r *Record, p *Report) {
			r.OutputOctets = 0
			p.Has &^= accounting.HasOutputOctets
		}, Validators{}, nil},
		{"packets shorter than their header", func(r *Record, _ *Report) { r.InputPackets = r.InputOctets/20 + 1 }, Validators{}, []Exception{PacketSizeImpossible}},
		{"packets longer than can be", func(r *Record, _ *Report) { r.InputPackets = r.InputOctets/65576 - 1 }, Validators{}, []Exception{PacketSizeImpossible}},
		{"packets that have wrapped", func(r *Record, _ *Report) { r.InputOctets, r.InputPackets = 20<<32, 1 }, Validators{}, nil},
		{"session time as the wall allows", func(r *Record, _ *Report) { r.Seconds = 640 }, Validators{}, nil},
		{"session time longer", func(r *Record, _ *Report) { r.Seconds = 641 }, Validators{}, []Exception{SessionTimeImpossible}},
		{"an hour ahead", func(r *Record, p *Report) { r.End = p.Arrival.Add(time.Hour) }, Validators{}, nil},
		{"in the future", func(r *Record, p *Report) { r.End = p.Arrival.Add(66 * time.Minute) }, Validators{}, []Exception{EventInFuture}},
		{"before 2000", func(r *Record, _ *Report) { r.Start = time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC) }, Validators{}, []Exception{EventBefore2000}},
		{"nobody pays", func(_ *Record, p *Report) { p.Flags |= accounting.FlagFree }, Validators{}, []Exception{SettlementFree}},
		{"settled as one report says", func(_ *Record, p *Report) { p.Flags |= accounting.FlagFree | accounting.FlagSettled }, Validators{}, nil},
		{"another rate", func(_ *Record, p *Report) { p.Flags |= accounting.FlagSettled | accounting.FlagRateDiffers }, Validators{}, []Exception{RateDiffers}},
		{"octets without a direction", func(_ *Record, p *Report) { p.Flags |= accounting.FlagNoDirection }, Validators{}, []Exception{NoDirection}},
		{"a correction takes away", func(r *Record, _ *Report) {
			r.Status, r.Seconds, r.InputOctets, r.InputPackets, r.OutputOctets = Correction, -5, -1000, -1, 0
		}, Validators{}, nil},
		{"a correction adds too much", func(r *Record, _ *Report) {
			r.Status, r.Seconds, r.InputOctets = Correction, 0, 1_250_000_000*601+1
		}, Validators{}, []Exception{RateTooHigh}},

		{"profile of others", func(_ *Record, p *Report) { p.OperatorName = "" }, Validators{WRIX: []string{"others"}}, nil},
		{"no Operator-Name", func(_ *Record, p *Report) { p.OperatorName = "" }, Validators{WRIX: []string{"*"}}, []Exception{WRIXNoOperator}},
		{"Operator-Name of another space", func(_ *Record, p *Report) { p.Operator, p.OperatorName = "", "1a.example" }, Validators{WRIX: []string{here}}, []Exception{WRIXBadOperator}},
		{"Operator-Name without a country", func(_ *Record, p *Report) { p.OperatorName = "4WBA" }, Validators{WRIX: []string{here}}, []Exception{WRIXBadOperator}},
		{"no CUI", func(r *Record, _ *Report) { r.CUI = accounting.Key{} }, Validators{WRIX: []string{here}}, []Exception{WRIXNoCUI}},
		{"no class", func(r *Record, _ *Report) { r.Classes = nil }, Validators{WRIX: []string{here}}, []Exception{WRIXNoClass}},
		{"no device", func(r *Record, _ *Report) { r.Device = accounting.Key{} }, Validators{WRIX: []string{here}}, []Exception{WRIXNoDevice}},
		{"no Event-Timestamp", func(_ *Record, p *Report) { p.Flags |= accounting.FlagArrivalTime }, Validators{WRIX: []string{here}}, []Exception{ArrivalTime, WRIXNoEventTimestamp}},
		{"no location", func(r *Record, _ *Report) { r.Location = Location{Latitude: "1.0000000"} }, Validators{WRIX: []string{here}}, []Exception{WRIXNoLocation}},
		{"no octets", func(_ *Record, p *Report) { p.Has &^= accounting.HasInputOctets }, Validators{WRIX: []string{here}}, []Exception{WRIXNoOctets}},
		{"no packets", func(_ *Record, p *Report) { p.Has &^= accounting.HasOutputPackets }, Validators{WRIX: []string{here}}, []Exception{WRIXNoPackets}},
		{"no session time", func(_ *Record, p *Report) { p.Has &^= accounting.HasSessionTime }, Validators{WRIX: []string{here}}, []Exception{WRIXNoSessionTime}},
		{"no cause", func(_ *Record, p *Report) { p.Has &^= accounting.HasTerminateCause }, Validators{WRIX: []string{here}}, []Exception{WRIXNoCause}},
		{"no cause before the stop", func(r *Record, p *Report) {
			r.Status = Partial
			p.Has &^= accounting.HasTerminateCause
		}, Validators{WRIX: []string{here}}, nil},
		{"no gigawords", func(_ *Record, p *Report) { p.Has &^= accounting.HasInputGigawords }, Validators{WRIX: []string{here}}, []Exception{WRIXNoGigawords}},
		{"no multi session id", func(r *Record, _ *Report) { r.MultiSessionID = "" }, Validators{WRIX: []string{here}}, []Exception{WRIXNoMultiSessionID}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, p := sound(t)
			tt.change(r, p)
			assert.Equal(t, tt.want, Validate(r, p, &tt.v))
			provoked.add(tt.want)
		})
	}
	for _, x := range Exceptions()[15:] { // those before are what package session finds
		assert.True(t, provoked[x], "no case gives %s", x)
	}
}

type codes map[Exception]bool

func (c codes) add(all []Exception) {
	for _, x := range all {
		c[x] = true
	}
}

var provoked = codes{}

func TestJudge(t *testing.T) {
	r, p := sound(t)
	r.Judge(p, &Validators{}, StopMissing, CounterWrapped, StopMissing)
	assert.Equal(t, []Exception{CounterWrapped, StopMissing}, r.Exceptions)
	assert.True(t, r.Billable, "a note does not keep it from being billed")
	r.InputPackets = 0
	r.Judge(p, &Validators{}, StopMissing)
	assert.Equal(t, []Exception{OctetsWithoutPackets, StopMissing}, r.Exceptions)
	assert.False(t, r.Billable)
	r, p = sound(t)
	r.Judge(p, &Validators{})
	assert.Nil(t, r.Exceptions)
	assert.True(t, r.Billable)
}

func TestExceptionsAreWords(t *testing.T) {
	seen := codes{}
	for _, x := range Exceptions() {
		assert.Regexp(t, `^[a-z][a-z0-9_]+$`, string(x))
		assert.False(t, seen[x], x)
		seen[x] = true
	}
	for _, m := range meanings {
		assert.NotEmpty(t, m.code.Text(), m.code)
	}
	assert.Empty(t, Exception("none").Text())
	assert.Equal(t, ContentDiffers, meanings[13].code)
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A load process plays Diameter nodes against its own homes and everything adds up.
func TestNodesAtHome(t *testing.T) {
	for _, tt := range []struct {
		name    string
		scripts []homeScript
		edit    func(*visit)
		lost    bool
	}{
		{name: "closed loop", edit: func(v *visit) {}},
		{name: "open loop", edit: func(v *visit) { v.Rate = 2000 }},
		{name: "open loop that spins", edit: func(v *visit) { v.Rate, v.Spin = 2000, true }},
		{name: "several steps", edit: func(v *visit) { v.Steps = "air,ulr,pur" }},
		{name: "crowd", edit: func(v *visit) { v.Crowd = 20 }},
		{name: "silent", scripts: []homeScript{{Home: 0, Silent: true}}, lost: true, edit: func(v *visit) { v.Refusable = true }},
		{name: "stalled", scripts: []homeScript{{Home: 0, Stall: true}}, lost: true, edit: func(v *visit) { v.Refusable = true }},
		{name: "another is stalled", scripts: []homeScript{{Home: 1, Stall: true}}, edit: func(v *visit) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			orders, ordersEnd := io.Pipe()
			resultsEnd, results := io.Pipe()
			done := make(chan error, 1)
			what := fmt.Sprintf(`{"Homes":2,"Over":"diameter","Spin":%t}`, strings.HasSuffix(tt.name, "spins"))
			go func() { done <- load(t.Context(), []string{what}, orders, results) }()
			d, e := json.NewDecoder(resultsEnd), json.NewEncoder(ordersEnd)
			var homes []homePorts
			require.NoError(t, d.Decode(&homes))
			require.Len(t, homes, 3)
			v := visit{Auth: homes[0].Auth, Steps: "ulr", Duration: 50 * time.Millisecond, Window: 16, Devices: 100, Timeout: 300 * time.Millisecond}
			tt.edit(&v)
			require.NoError(t, e.Encode(order{Scripts: tt.scripts, Visits: []visit{v}}))
			var answer reply
			require.NoError(t, d.Decode(&answer))
			o := answer.Outcomes[0]
			require.NoError(t, o.check(&v))
			assert.NotZero(t, o.Sent)
			assert.Equal(t, tt.lost, o.Lost == o.Sent)
			assert.NotZero(t, o.InTime+o.Lost)
			require.NoError(t, missing(answer.Reached, []visit{v}, answer.Outcomes))
			require.NoError(t, ordersEnd.Close())
			require.NoError(t, <-done)
		})
	}
}

// rate sets what was finished in time.
func (p *proxy) rated(perSecond uint64) *proxy {
	for i := range p.turns {
		p.turns[i].InTime = perSecond
	}
	return p
}

// was sets the 99th percentile of all turns before what a case does.
func (p *proxy) was(p99 time.Duration) *proxy {
	for i := range p.turns {
		p.turns[i].before.P99 = p99
		p.turns[i].others = make([]outcome, 1)
	}
	return p
}

func TestDiameterTargets(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name, in string
		proxies  []*proxy
		want     []string
	}{
		{"relay, met", "ulr", []*proxy{canned(roamgate, 3).rated(8000), canned(freediameter, 30).rated(1000)}, []string{
			"CPU per relayed ULR / freediameter | at most 0.1 | 0.10 (0.10-0.10) | met |",
			"relayed ULR a second / freediameter | at least 8 | 8.0 (8.0-8.0) | met |",
		}},
		{"relay, missed", "ulr", []*proxy{canned(roamgate, 4).rated(7000), canned(freediameter, 30).rated(1000)}, []string{
			"at most 0.1 | 0.13 (0.13-0.13) | **missed** |", "at least 8 | 7.0 (7.0-7.0) | **missed** |",
		}},
		{"without freeDiameter", "ulr", []*proxy{canned(roamgate, 4)}, []string{"None of the cases with targets has run."}},
		{"half", "ulrhalf", []*proxy{canned(roamgate, 1).slower(1, 1*ms), canned(freediameter, 1).slower(1, 4*ms)}, []string{
			"p99 / freediameter | at most 0.2 | 0.25 (0.25-0.25) | **missed** |",
		}},
		{"translated", "translate", []*proxy{canned(roamgate, 44), canned(roamgate, 30).named(toRADIUS)}, []string{"at most 15 | 14.0 (14.0-14.0) | met |"}},
		{"stalled, met", "stalled", []*proxy{canned(roamgate, 1).was(4*ms).slower(1, 4*ms)}, []string{"while stalled / before | at most 1.1 | 1.00 (1.00-1.00) | met |"}},
		{"stalled, missed at four times the rate", "stalled", []*proxy{
			canned(roamgate, 1).was(4*ms).slower(1, 4*ms), canned(roamgate, 1).named(stalledMore).was(4*ms).slower(1, 5*ms),
		}, []string{"while stalled / before | at most 1.1 | 1.00 (1.00-1.00) | met |", "four times the rate | at most 1.1 | 1.25 (1.25-1.25) | **missed** |"}},
		{"peers", "nodes", []*proxy{canned(roamgate, 1)}, []string{"2,000 connected Diameter peers: MiB | at most 150 | 0 (0-0) | met |"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w page
			b := benchOf(tt.in, tt.proxies...)
			b.targets(&w)
			for _, want := range tt.want {
				assert.Contains(t, w.String(), want)
			}
			assert.Contains(t, b.report(), caseOf(tt.in).title)
		})
	}
}

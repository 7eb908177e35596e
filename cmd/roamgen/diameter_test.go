package main

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/test/peer"
)

func TestAskAndAnswer(t *testing.T) {
	for _, tt := range []struct {
		name      string
		ask, more []string
		tls       bool
		check     func(t *testing.T, s *askSummary)
	}{
		{name: "MME", ask: []string{"--role", "mme"}, check: func(t *testing.T, s *askSummary) { assert.EqualValues(t, 300, s.Success) }},
		{name: "NAS over TLS", ask: []string{"--role", "nas"}, tls: true,
			check: func(t *testing.T, s *askSummary) { assert.EqualValues(t, 500, s.Success) }},
		{name: "EAP", ask: []string{"--steps", "der"}, more: []string{"--rounds", "2"},
			check: func(t *testing.T, s *askSummary) { assert.EqualValues(t, 300, s.Success) }},
		{name: "refused", ask: []string{"--steps", "ulr", "--rate", "1000"}, more: []string{"--result", "5004", "--vendor", "10415"},
			check: func(t *testing.T, s *askSummary) { assert.EqualValues(t, 100, s.Results[5004]) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := peer.Port(t)
			ask := append([]string{"diameter", "ask", "--connect", at.String(), "--total", "100", "--json"}, tt.ask...)
			answer := append([]string{"diameter", "answer", "--listen", at.String(), "--json"}, tt.more...)
			if tt.tls {
				over := files(t)
				ask, answer = append(append(ask, over...), "--server-name", "peer.example"), append(answer, over...)
			}
			ctx, stop := context.WithCancel(t.Context())
			var home string
			var homeErr error
			var wait sync.WaitGroup
			wait.Go(func() { home, homeErr = command(ctx, answer...) })
			out, err := command(t.Context(), ask...)
			stop()
			wait.Wait()
			require.NoError(t, err, out)
			require.NoError(t, homeErr)
			var s askSummary
			var h node.Counts
			require.NoError(t, json.Unmarshal([]byte(out), &s), out)
			require.NoError(t, json.Unmarshal([]byte(home), &h), home)
			assert.True(t, s.AddsUp)
			assert.Equal(t, s.Sent, h.Answered)
			tt.check(t, &s)
		})
	}
}

func TestDiameterMistakes(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"role", `--role "hlr"`, []string{"ask", "--role", "hlr"}},
		{"steps", "--steps", []string{"ask", "--steps", "air,nothing"}},
		{"transport", `--transport "sctp"`, []string{"ask", "--transport", "sctp"}},
		{"connect", "--connect", []string{"ask", "--connect", "hub"}},
		{"listen", "--listen", []string{"answer", "--listen", "here"}},
		{"nobody", "there is no peer", []string{"ask"}},
		{"nowhere", "neither", []string{"answer"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := command(t.Context(), append([]string{"diameter"}, tt.args...)...)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

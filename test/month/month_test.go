package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMonth (acceptance row 15) plays a month in memory and the last days of
// one in the embedded store. MONTH_SESSIONS sets how many sessions; the race
// detector, which costs ten times the work, sees a tenth of them.
func TestMonth(t *testing.T) {
	for _, o := range []options{{store: "memory", sessions: 20_000, days: 30, seed: 1}, {store: "embedded", sessions: 1000, days: 2, seed: 2}} {
		t.Run(o.store, func(t *testing.T) {
			if raced {
				o.sessions /= 10
			}
			if n, err := strconv.Atoi(os.Getenv("MONTH_SESSIONS")); err == nil {
				o.sessions = n
			}
			o.dir = t.TempDir()
			var out strings.Builder
			require.NoError(t, play(&o, &out), &out)
			for i, f := range faults {
				assert.Contains(t, out.String(), "\n"+f.name+"\n", "fault %d did not come up", i)
			}
			t.Log(strings.SplitN(out.String(), "\n", 2)[0])
		})
	}
}

// TestTruthIsHeld: a truth that is off by one is found.
func TestTruthIsHeld(t *testing.T) {
	want, got := newAccount(), newAccount()
	want.add("none", "class cleared", 5)
	got.add("none", "class cleared", 5)
	got.add("none", "class conflict counter_fell", 1)
	want.add("none", "month 2026-11 input", 7)
	got.add("none", "month 2026-11 input", 8)
	got.add("other", "record final", 1)
	var out strings.Builder
	wrong, err := compare(&out, want, got)
	require.NoError(t, err)
	assert.Equal(t, 3, wrong)
}

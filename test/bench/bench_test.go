package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain also plays the parts that the benchmark starts itself again for.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "load" || os.Args[1] == "forward") {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// A load process plays a turn against its own home and everything adds up.
func TestLoadAtHome(t *testing.T) {
	for _, work := range []string{"pap", "eap", "accounting"} {
		t.Run(work, func(t *testing.T) {
			orders, ordersEnd := io.Pipe()
			resultsEnd, results := io.Pipe()
			done := make(chan error, 2)
			go func() { done <- load(t.Context(), orders, results) }()
			d := json.NewDecoder(resultsEnd)
			var home homePorts
			require.NoError(t, d.Decode(&home))
			require.NoError(t, json.NewEncoder(ordersEnd).Encode(order{
				Auth: home.Auth, Acct: home.Acct, Secret: homeSecret, Work: work,
				Duration: 50 * time.Millisecond, Window: 16, Sockets: 2,
			}))
			var got outcome
			require.NoError(t, d.Decode(&got))
			require.NoError(t, ordersEnd.Close())
			require.NoError(t, <-done)
			assert.Empty(t, got.Error)
			assert.True(t, got.AddsUp)
			assert.NotZero(t, got.Finished)
			assert.Zero(t, got.Bad)
		})
	}
}

func TestOwnCPUTimeAndMemory(t *testing.T) {
	live := threadTimes(t)
	all, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	assert.NotZero(t, live)
	assert.GreaterOrEqual(t, all, live, "what the living threads have used, and the ended ones")
	rss, err := peakRSS(os.Getpid())
	require.NoError(t, err)
	assert.Greater(t, rss, int64(1<<20))
	_, err = cpuTime(1 << 22) // above every process number of Linux
	assert.Error(t, err)
}

// threadTimes is the sum over the threads that live.
func threadTimes(t *testing.T) (sum time.Duration) {
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		ns, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		require.NoError(t, err)
		sum += time.Duration(ns)
	}
	return sum
}

func TestRatioIsTakenWithinARound(t *testing.T) {
	one := func(cpu time.Duration) turn {
		return turn{outcome: outcome{Finished: 1000, Sent: 1000, Took: time.Second}, cpu: cpu}
	}
	a := &proxy{name: "roamgate", turns: []turn{one(10 * time.Millisecond), one(40 * time.Millisecond)}}
	b := &proxy{name: "radsecproxy", turns: []turn{one(20 * time.Millisecond), one(80 * time.Millisecond)}}
	assert.Equal(t, "0.50 (0.50-0.50)", ratio(a, b))
	assert.Equal(t, "-", ratio(a, nil))
	assert.Equal(t, "25.0 (10.0-40.0)", spread(a.each((*turn).perTransaction), 1))
	text := report(options{rounds: 2}, []*proxy{a, b})
	assert.Contains(t, text, "| roamgate | 25.0 (10.0-40.0) | 0.50 (0.50-0.50) | 1000 |")
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"--proxies", "forwarder", "--rounds", "2"})
	require.NoError(t, err)
	assert.Equal(t, []string{"forwarder"}, o.proxies)
	_, err = parseOptions([]string{"--nonsense"})
	assert.Error(t, err)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// TestMain also plays the parts that the benchmark starts itself again for.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "load" || os.Args[1] == "forward") {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// A load process plays turns against its own homes and everything adds up.
func TestLoadAtHome(t *testing.T) {
	for _, tt := range []struct {
		name    string
		scripts []homeScript
		edit    func(*visit)
		lost    bool
	}{
		{name: "pap"},
		{name: "chap"},
		{name: "eap"},
		{name: "stop"},
		{name: "open loop", edit: func(v *visit) { v.Work, v.Rate = "pap", 2000 }},
		{name: "open loop that spins", edit: func(v *visit) { v.Work, v.Rate, v.Spin = "pap", 2000, true }},
		{name: "many realms", edit: func(v *visit) { v.Work, v.FirstRealm, v.Realms, v.First = "pap", 3, 5000, 77 }},
		{name: "ten clients", edit: func(v *visit) { v.Work, v.Clients = "pap", 10 }},
		{name: "later, each once", edit: func(v *visit) { v.Work, v.Rate, v.Once, v.After = "pap", 2000, true, 10*time.Millisecond }},
		{name: "slow home", scripts: []homeScript{{Home: -1, Delay: 5 * time.Millisecond}}, edit: func(v *visit) { v.Work = "pap" }},
		{name: "silent home", scripts: []homeScript{{Home: 0, Silent: true}}, lost: true, edit: func(v *visit) {
			v.Work, v.Refusable, v.Window = "pap", true, 4
		}},
		{name: "silent home, each once", scripts: []homeScript{{Home: 0, Silent: true}}, lost: true, edit: func(v *visit) {
			v.Work, v.Refusable, v.Window, v.Once = "pap", true, 4, true
		}},
		{name: "another home is silent", scripts: []homeScript{{Home: 1, Silent: true}}, edit: func(v *visit) { v.Work = "pap" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			orders, ordersEnd := io.Pipe()
			resultsEnd, results := io.Pipe()
			done := make(chan error, 1)
			go func() {
				done <- load(t.Context(), []string{fmt.Sprintf(`{"Homes":2,"Spin":%t}`, strings.HasSuffix(tt.name, "spins"))}, orders, results)
			}()
			d := json.NewDecoder(resultsEnd)
			var homes []homePorts
			require.NoError(t, d.Decode(&homes))
			require.Len(t, homes, 2)
			v := visit{
				Auth: homes[0].Auth, Acct: homes[0].Acct, Secret: homeSecret, Work: tt.name,
				Duration: 50 * time.Millisecond, Window: 16, Sockets: 2, Realms: 1, Devices: 100,
			}
			if tt.edit != nil {
				tt.edit(&v)
			}
			require.NoError(t, json.NewEncoder(ordersEnd).Encode(order{Scripts: tt.scripts, Visits: []visit{v, v}}))
			var answer reply
			require.NoError(t, d.Decode(&answer))
			got := answer.Outcomes
			require.NoError(t, ordersEnd.Close())
			require.NoError(t, <-done)
			require.Len(t, got, 2)
			require.NoError(t, missing(answer.Reached, []visit{v, v}, got))
			for _, o := range got {
				require.NoError(t, o.check(&v))
				assert.NotZero(t, o.Sent)
				assert.Zero(t, o.Bad)
				if v.Once {
					assert.Zero(t, o.Repeated)
				}
				assert.Equal(t, tt.lost, o.Lost == o.Sent)
				assert.LessOrEqual(t, o.InTime, o.Finished)
				assert.NotZero(t, o.MostOpen)
			}
		})
	}
}

func TestOutcomeCheck(t *testing.T) {
	good := outcome{AddsUp: true, Sent: 5, Finished: 5}
	for _, tt := range []struct {
		name  string
		edit  func(*outcome)
		visit visit
		want  string
	}{
		{name: "good", edit: func(*outcome) {}},
		{name: "load process", edit: func(o *outcome) { o.Error = "no socket" }, want: "no socket"},
		{name: "sum", edit: func(o *outcome) { o.AddsUp = false }, want: "does not add up"},
		{name: "nothing", edit: func(o *outcome) { o.Finished = 0 }, want: "nothing of 5"},
		{name: "rejected", edit: func(o *outcome) { o.Refused = 1 }, want: "1 requests were rejected"},
		{name: "may be rejected", edit: func(o *outcome) { o.Refused = 1 }, visit: visit{Refusable: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.edit(&o)
			err := o.check(&tt.visit)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestWhatIsAnsweredHasComeToAHome(t *testing.T) {
	two := []outcome{{Finished: 3}, {Finished: 4}}
	require.NoError(t, missing(7, make([]visit, 2), two))
	require.NoError(t, missing(9, make([]visit, 2), two), "lost answers")
	require.ErrorContains(t, missing(6, make([]visit, 2), two), "7 requests were answered and only 6")
	require.NoError(t, missing(3, []visit{{}, {Refusable: true}}, two))
}

func TestBusyOf(t *testing.T) {
	const stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 4 8 16 32 64 128 256 512\ncpu1 x 0 0 0 0 0 0 0 0 0\ncpu10 1 1 1 1 1 1 1 1 0 0\n"
	got, err := busyOf([]byte(stat), 0)
	require.NoError(t, err)
	assert.Equal(t, 10*time.Millisecond*(1+2+4+32+64+128), got)
	_, err = busyOf([]byte(stat), 1)
	assert.Error(t, err)
	_, err = busyOf([]byte(stat), 2)
	assert.Error(t, err)
	_, err = busyTime([]int{0})
	require.NoError(t, err)
}

func TestDrained(t *testing.T) {
	const all = "# HELP roamgate_queue_lag_records x\nroamgate_queue_lag_records 0\nroamgate_spool_forward_pending 0\nroamgate_spool_queued_records 0\n"
	for _, tt := range []struct {
		name, metrics string
		want, bad     bool
	}{
		{name: "all zero", metrics: all, want: true},
		{name: "queue behind", metrics: strings.Replace(all, "lag_records 0", "lag_records 12", 1)},
		{name: "many behind", metrics: strings.Replace(all, "lag_records 0", "lag_records 1.2e+06", 1)},
		{name: "home is owed", metrics: strings.Replace(all, "pending 0", "pending 1", 1)},
		{name: "not durable", metrics: strings.Replace(all, "queued_records 0", "queued_records 1", 1)},
		{name: "no such metric", metrics: "up 1\n", bad: true},
		{name: "no number", metrics: strings.Replace(all, "pending 0", "pending x", 1), bad: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := drained([]byte(tt.metrics))
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.bad, err != nil)
		})
	}
}

func TestOwnCPUTimeAndMemory(t *testing.T) {
	live := threadTimes(t)
	all, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	assert.NotZero(t, live)
	assert.GreaterOrEqual(t, all, live, "what the living threads have used, and the ended ones")
	peak, err := memory(os.Getpid(), "VmHWM")
	require.NoError(t, err)
	assert.Greater(t, peak, int64(1<<20))
	require.NoError(t, forgetPeak(os.Getpid()))
	_, err = memory(os.Getpid(), "VmNothing")
	assert.Error(t, err)
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

// What roamgate's policy table names are the devices that the load plays.
func TestDevicesAreInTheTable(t *testing.T) {
	const realms, devices = 1500, 4000
	st := &stage{bench: &bench{}, setting: setting{realms: realms, devices: devices}}
	for turns := range 3 {
		v := st.visit(&proxy{
			turns: make([]turn, turns), auth: netip.MustParseAddrPort("127.0.0.1:9"), secret: homeSecret,
		})
		n, err := play.NewNAS(v.config(0))
		require.NoError(t, err)
		for i := range n.Devices() {
			d := v.First + i
			require.Less(t, d, uint64(devices))
			require.Equal(t, "0"+imsi(d, realms)+"@"+realmName(int(d%realms)), n.Device(i).NAI)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, n.Run(ctx), context.Canceled) // closes the sockets
	}
}

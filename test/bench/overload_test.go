package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQuotaPeriod(t *testing.T) {
	for _, tt := range []struct {
		name  string
		share float64
		want  time.Duration
		bad   bool
	}{
		{name: "a tenth", share: quotaShare, want: 10 * time.Millisecond},
		{name: "all", share: 1, want: time.Millisecond},
		{name: "rounded", share: 0.3, want: 3333 * time.Microsecond},
		{name: "the least", share: 0.001, want: time.Second},
		{name: "less", share: 0.0009, bad: true},
		{name: "none", share: 0, bad: true},
		{name: "below none", share: -1, bad: true},
		{name: "more than there is", share: 1.01, bad: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := quotaPeriod(tt.share)
			assert.Equal(t, tt.bad, err != nil)
			assert.Equal(t, tt.want, got)
		})
	}
}

// The kernel's files are played by a directory with ordinary ones.
func TestQuota(t *testing.T) {
	const procs, controllers = "cpu/cgroup.procs", "cgroup.controllers"
	for _, tt := range []struct {
		name  string
		files map[string]string
		in    string // parent of the group
		want  map[string]string
		bad   string
	}{
		{name: "version 1", files: map[string]string{procs: ""}, in: "cpu",
			want: map[string]string{"cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "1000"}},
		{name: "version 2", files: map[string]string{controllers: "cpuset cpu io\n", "cgroup.subtree_control": ""},
			want: map[string]string{"cpu.max": "1000 20000", "../cgroup.subtree_control": "+cpu"}},
		{name: "both", files: map[string]string{procs: "", controllers: "cpu\n"}, in: "cpu",
			want: map[string]string{"cpu.cfs_period_us": "20000"}},
		{name: "version 2 without the controller", files: map[string]string{controllers: "cpuset io\n"}, bad: "no controller"},
		{name: "none", bad: "no controller"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(root, "cpu"), 0o755))
			for name, text := range tt.files {
				require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o644))
			}
			q, err := newQuota(root, 0.05)
			if tt.bad != "" {
				require.ErrorContains(t, err, tt.bad)
				return
			}
			require.NoError(t, err)
			require.Equal(t, filepath.Join(root, tt.in), filepath.Dir(q.dir))
			require.NoError(t, q.hold(4711))
			want := map[string]string{"cgroup.procs": "4711"}
			for name, text := range tt.want {
				want[name] = text
			}
			for name, text := range want {
				got, err := os.ReadFile(filepath.Join(q.dir, name))
				require.NoError(t, err)
				assert.Equal(t, text, string(got), name)
			}
			require.Error(t, q.remove(), "ordinary files are in the way")
			files, err := os.ReadDir(q.dir)
			require.NoError(t, err)
			for _, f := range files {
				require.NoError(t, os.Remove(filepath.Join(q.dir, f.Name())))
			}
			require.NoError(t, q.remove())
			assert.NoDirExists(t, q.dir)
		})
	}
	require.NoError(t, (*quota)(nil).remove())
}

func TestQuotasOfKilledRunsAreSweptAway(t *testing.T) {
	root := t.TempDir()
	const noProcess = 1 << 22 // above every process number of Linux
	dead := filepath.Join(root, quotaPrefix+strconv.Itoa(noProcess))
	living := filepath.Join(root, quotaPrefix+strconv.Itoa(os.Getpid()))
	foreign := filepath.Join(root, quotaPrefix+"x")
	for _, dir := range []string{dead, living, foreign} {
		require.NoError(t, os.Mkdir(dir, 0o755))
	}
	sweep(root)
	assert.NoDirExists(t, dead)
	assert.DirExists(t, living)
	assert.DirExists(t, foreign)
}

func TestDropsOf(t *testing.T) {
	const table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n" +
		"  100: 0100007F:0714 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000000000000000 7\n" +
		"  100: 0100007F:0714 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 2 2 0000000000000000 5\n" +
		"  101: 0100007F:0715 00000000:0714 07 00000000:00000000 00:00000000 00000000     0        0 3 2 0000000000000000 x\n"
	got, err := dropsOf(table, 1812)
	require.NoError(t, err)
	assert.Equal(t, uint64(12), got)
	_, err = dropsOf(table, 1813)
	assert.Error(t, err)
	got, err = dropsOf(table, 1814)
	require.NoError(t, err)
	assert.Zero(t, got)
	_, err = kernelDrops(1812)
	require.NoError(t, err)
}

func TestSocketsFor(t *testing.T) {
	for _, rate := range []float64{0, 1, 300, 75_000} {
		assert.Greater(t, 256*float64(socketsFor(rate)), 1.2*rate*clientTimeout.Seconds(), "%g requests a second", rate)
	}
}

// quietly is a slice of gentle load in which all went well.
func quietly() outcome { return outcome{Sent: 1000, Finished: 1000, P99: 10 * time.Millisecond} }

func TestNormalAfter(t *testing.T) {
	bad := func(edit func(*outcome)) outcome {
		o := quietly()
		edit(&o)
		return o
	}
	lost := bad(func(o *outcome) { o.Finished = 989 })
	slow := bad(func(o *outcome) { o.P99 = 21 * time.Millisecond })
	skipped := bad(func(o *outcome) { o.Skipped = 1 })
	edge := bad(func(o *outcome) { o.Finished, o.P99 = 990, 20*time.Millisecond })
	for _, tt := range []struct {
		name   string
		slices []outcome
		want   float64
	}{
		{"at once", []outcome{quietly(), edge, quietly()}, 0},
		{"after a second", []outcome{lost, quietly(), quietly()}, 1},
		{"slow", []outcome{quietly(), slow, quietly()}, 2},
		{"not begun", []outcome{skipped, quietly(), quietly()}, 1},
		{"never", []outcome{quietly(), quietly(), lost}, 3},
		{"nothing sent", []outcome{{}, quietly(), quietly()}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, normalAfter(&turn{before: quietly(), others: tt.slices}))
		})
	}
}

// flooded gives a canned contender a turn of overload.
func flooded(name string, peak, inTime, sent float64, bad int) *proxy {
	p := canned(roamgate, 1).named(name)
	t := &p.turns[0]
	t.peak, t.InTime, t.Sent, t.before, t.drops = peak, uint64(inTime), uint64(sent), quietly(), 77
	t.Bad, t.peakFew = 33, 1234
	for i := range sliceCount {
		o := quietly()
		if i < bad {
			o.Finished = 0
		}
		t.others = append(t.others, o)
	}
	return p
}

func TestOverloadTargets(t *testing.T) {
	for _, tt := range []struct {
		name    string
		proxies []*proxy
		want    []bool // goodput, normal; of one client and of ten
		line    string
	}{
		{"met exactly", []*proxy{flooded(roamgate, 1000, 900, 10_000, 5)}, []bool{true, true},
			"| roamgate | 1000 | 1234 | 10000 | 10.0 | 1 | 900 | 0.90 | 1.00 | 2.00 | 1055.6 | 95 % | 33 | 5 | 77 |"},
		{"too little", []*proxy{flooded(roamgate, 1000, 899, 10_000, 0)}, []bool{false, true}, "| 0.90 |"},
		{"too late", []*proxy{flooded(roamgate, 1000, 1100, 10_000, 6)}, []bool{true, false}, "| not in 6 |"},
		{"ten clients", []*proxy{flooded(roamgate, 1000, 900, 10_000, 0), flooded(tenClients, 1000, 100, 10_000, 6)},
			[]bool{true, true, false, false}, "| roamgate, ten client networks |"},
		{"another one", []*proxy{flooded(radsecproxy, 1000, 100, 10_000, 6)}, nil, "| radsecproxy |"},
		{"the load is the bound", []*proxy{flooded(roamgate, 1000, 900, 9000, 0)}, []bool{true, true},
			"The load was the bound for roamgate: it could not offer ten times the peak."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := benchOf("overload", tt.proxies...)
			var got []bool
			for _, g := range b.overloadGoals() {
				got = append(got, g.met)
			}
			assert.Equal(t, tt.want, got)
			assert.Contains(t, b.report(), tt.line)
		})
	}
}

func TestScreamTable(t *testing.T) {
	p := canned(roamgate, 1)
	p.turns[0].peak, p.turns[0].before = 1000, quietly()
	p.turns[0].Finished, p.turns[0].Lost = 750, 250
	p.turns[0].others = []outcome{{Sent: 10_000, InTime: 450}}
	assert.Contains(t, benchOf("scream", p).report(),
		"| roamgate | 1000 | 1000 | 10000 | 0 (0.00 %) | 250 (25.00 %) | 0.00 | 1.00 | 10.00 | 2.00 | 450 |")
}

func TestACaseThatCannotRunIsLeftOut(t *testing.T) {
	b := benchOf("overload")
	b.done["overload"].leftOut = assert.AnError
	assert.Contains(t, b.report(), "Left out: "+assert.AnError.Error())
	assert.Empty(t, b.overloadGoals())
}

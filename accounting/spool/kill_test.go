package spool

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const victimDir = "ROAMGATE_TEST_VICTIM_DIR"

// longer is how often a test does what it does: n times, or as often as the
// named variable of the environment says. The long forms are
//
//	SPOOL_KILLS=200 SPOOL_SEEDS=1000 go test -run 'TestKill|TestPowerCut' -v ./accounting/spool
func longer(name string, n int) int {
	if v, err := strconv.Atoi(os.Getenv(name)); err == nil && v > 0 {
		return v
	}
	return n
}

// TestKill (acceptance row 3, C14) kills a writing process again and again:
// whatever it had acknowledged is there, once, under the number it was given.
func TestKill(t *testing.T) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
		return
	}
	rounds := longer("SPOOL_KILLS", 4)
	dir := t.TempDir()
	acked := map[uint64]string{}
	var worst time.Duration
	for round := range rounds {
		killOne(t, dir, acked)
		start := time.Now()
		s, err := Open(dir, testOptions(nil))
		worst = max(worst, time.Since(start))
		require.NoError(t, err, "round %d", round)
		seen := map[string]bool{}
		got := all(t, s)
		for seq, rec := range got {
			assert.False(t, seen[rec], "round %d: %q is stored twice", round, rec)
			seen[rec] = true
			if want, ok := acked[seq]; ok {
				require.Equal(t, want, rec, "round %d: record %d", round, seq)
				delete(acked, seq)
			}
		}
		require.Empty(t, acked, "round %d: acknowledged records are missing", round)
		for seq, rec := range got {
			acked[seq] = rec
		}
		require.NoError(t, s.Close())
	}
	t.Logf("%d kills, %d records, slowest open %s", rounds, len(acked), worst)
}

// killOne starts the victim, reads what it acknowledges for a moment, kills
// it and reads the rest.
func killOne(t *testing.T, dir string, acked map[uint64]string) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	r := bufio.NewReader(out)
	enough := 200 + rand.IntN(4000)
	for n := 0; ; n++ {
		line, err := r.ReadString('\n')
		if err == io.EOF || !strings.HasSuffix(line, "\n") {
			break
		}
		require.NoError(t, err)
		num, rec, ok := strings.Cut(strings.TrimSpace(line), " ")
		require.True(t, ok, line)
		seq, err := strconv.ParseUint(num, 10, 64)
		require.NoError(t, err)
		acked[seq] = rec
		if n == enough {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
}

// victim writes until it is killed and prints what is acknowledged.
func victim(dir string) {
	s, err := Open(dir, testOptions(nil))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	done := make(collector, 16)
	for range cap(done) {
		done <- s.NewBatch()
	}
	out := bufio.NewWriter(os.Stdout)
	for n := 0; ; n++ {
		b := <-done
		for i := range b.Len() {
			fmt.Fprintf(out, "%d %s\n", b.Seq(i), b.Record(i))
		}
		if b.Err != nil || out.Flush() != nil {
			os.Exit(1)
		}
		b.Reset()
		for i := range 1 + n%7 {
			b.Add(0, fmt.Appendf(nil, "%d-%d-%d", os.Getpid(), n, i), i == 0)
		}
		if !s.Submit(b, done) {
			os.Exit(1)
		}
	}
}

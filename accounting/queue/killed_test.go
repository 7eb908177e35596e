package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Environment of a consumer in a process of its own, which kills itself
// between insert and acknowledgement; and of the long form of the tests:
// ROAMGATE_ROUNDS is how often something is killed, 200 in the acceptance
// run.
const (
	envConsumer = "ROAMGATE_TEST_CONSUMER" // name of the consumer
	envRedis    = "ROAMGATE_TEST_REDIS"    // address
	envLedger   = "ROAMGATE_TEST_LEDGER"   // file
	envBatches  = "ROAMGATE_TEST_BATCHES"  // after how many it kills itself
	envRounds   = "ROAMGATE_ROUNDS"
)

func rounds(t testing.TB, few int) int {
	text := os.Getenv(envRounds)
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// consumeAndDie is what the other process does: it takes batches and kills
// itself when the last is stored and not acknowledged.
func consumeAndDie() error {
	left, err := strconv.Atoi(os.Getenv(envBatches))
	if err != nil {
		return err
	}
	l, err := openLedger(os.Getenv(envLedger))
	if err != nil {
		return err
	}
	l.stored = func(*Delivery) {
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	src := OpenRedisSource(Server{Address: os.Getenv(envRedis)}, SourceOptions{
		Consumer: os.Getenv(envConsumer), Takeover: 50 * time.Millisecond, Poll: time.Millisecond, Batches: 4,
	})
	ctx, cancel := context.WithTimeout(context.Background(), waitLong)
	defer cancel()
	if err := (&Consumer{Source: src, Taker: l}).Run(ctx); err != nil {
		return err
	}
	return errors.New("the queue did not have so many batches")
}

// TestConsumerKilled kills a consumer again and again between insert and
// acknowledgement (accounting.md section 6, row 11). Each of its lives has
// another name, so that what it leaves is taken over.
func TestConsumerKilled(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	s := openTight(t, vfs.NewMem())
	o := testOptions()
	o.Trim, o.MaxRecords = TrimWatermark, 3
	file := filepath.Join(t.TempDir(), "ledger")
	d, _ := drain(t, s, newSink(t, r, s.Epoch()), o)
	n, n0 := rounds(t, 8), 0
	for round := range n {
		put(t, s, stops(round*20, 20)...)
		n0 += 20
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), envConsumer+"=c"+strconv.Itoa(round), envRedis+"="+r.addr(),
			envLedger+"="+file, envBatches+"="+strconv.Itoa(1+round%6))
		out, err := cmd.CombinedOutput()
		require.Equal(t, "signal: killed", fmt.Sprint(err), "%s", out)
	}
	l, err := openLedger(file)
	require.NoError(t, err, "a record that is twice in the ledger shows here")
	c, stop := consume(t, testSource(r, "last"), l)
	settled(t, d, s)
	stop()
	l.wantAll(t, "n1", s.Epoch(), n0)
	l, err = openLedger(file)
	require.NoError(t, err)
	l.wantAll(t, "n1", s.Epoch(), n0)
	assert.NotZero(t, c.Stats().TakenOver.Load()+c.Stats().Batches.Load())
	t.Logf("%d kills, %d records, each once", n, n0)
}

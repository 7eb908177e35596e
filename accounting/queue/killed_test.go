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

	"github.com/roamgate/roamgate/accounting/spool"
)

// Environment of a consumer in a process of its own, which kills itself
// between insert and acknowledgement; and of the long form of the tests:
// ROAMGATE_ROUNDS is how often something is killed, 200 in the acceptance
// run.
const (
	envConsumer = "ROAMGATE_TEST_CONSUMER" // name of the consumer
	envRedis    = "ROAMGATE_TEST_REDIS"    // address
	envLedger   = "ROAMGATE_TEST_LEDGER"   // file of a ledger
	envStore    = "ROAMGATE_TEST_STORE"    // or directory of the real store
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
	var taker Taker
	if dir := os.Getenv(envStore); dir != "" {
		taker, err = OpenStore(dir)
	} else {
		taker, err = openLedger(os.Getenv(envLedger))
	}
	if err != nil {
		return err
	}
	dies := takerFunc(func(ctx context.Context, d *Delivery) (uint64, error) {
		mark, err := taker.Take(ctx, d)
		if left--; left == 0 && err == nil {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return mark, err
	})
	src := OpenRedisSource(Server{Address: os.Getenv(envRedis)}, SourceOptions{
		Consumer: os.Getenv(envConsumer), Takeover: 50 * time.Millisecond, Poll: time.Millisecond, Batches: 4,
	})
	ctx, cancel := context.WithTimeout(context.Background(), waitLong)
	defer cancel()
	if err := (&Consumer{Source: src, Taker: dies}).Run(ctx); err != nil {
		return err
	}
	return errors.New("the queue did not have so many batches")
}

// TestStore is the real store, as far as these tests look at it.
type TestStore interface {
	Taker
	Figures() (reports, duplicates, missing int64, err error)
	Close() error
}

// OpenStore opens the real store (store_test.go).
var OpenStore func(dir string) (TestStore, error)

// TestConsumerKilled kills a consumer again and again between insert and
// acknowledgement (acceptance row 11). Each of its lives has
// another name, so that what it leaves is taken over.
func TestConsumerKilled(t *testing.T) {
	t.Parallel()
	t.Run("ledger", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "ledger")
		s, d, r, n, kills := killConsumers(t, envLedger+"="+file)
		l, err := openLedger(file)
		require.NoError(t, err, "a record that is twice in the ledger shows here")
		_, stop := consume(t, testSource(r, "last"), l)
		settled(t, d, s)
		stop()
		l.wantAll(t, "n1", s.Epoch(), n)
		l, err = openLedger(file)
		require.NoError(t, err)
		l.wantAll(t, "n1", s.Epoch(), n)
		t.Logf("%d kills, %d records, each once", kills, n)
	})
	t.Run("store", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "store")
		s, d, r, n, kills := killConsumers(t, envStore+"="+dir)
		store, err := OpenStore(dir)
		require.NoError(t, err)
		defer func() { _ = store.Close() }()
		_, stop := consume(t, testSource(r, "last"), store)
		settled(t, d, s)
		stop()
		reports, duplicates, missing, err := store.Figures()
		require.NoError(t, err)
		assert.Equal(t, int64(n), reports)
		assert.Zero(t, duplicates)
		assert.Zero(t, missing)
		t.Logf("%d kills, %d records, each once", kills, n)
	})
}

// killConsumers fills a queue and has one consumer after the other die.
func killConsumers(t *testing.T, where string) (s *spool.Spool, d *Drainer, r *server, records, kills int) {
	r = startRedis(t)
	s = openTight(t, vfs.NewMem())
	o := watermarkOptions()
	o.MaxRecords = 3
	d, _ = drain(t, s, newSink(t, r, s.Epoch()), o)
	kills = rounds(t, 8)
	for round := range kills {
		put(t, s, stops(records, 20)...)
		records += 20
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), envConsumer+"=c"+strconv.Itoa(round), envRedis+"="+r.addr(),
			where, envBatches+"="+strconv.Itoa(1+round%6))
		out, err := cmd.CombinedOutput()
		require.Equal(t, "signal: killed", fmt.Sprint(err), "%s", out)
	}
	return s, d, r, records, kills
}

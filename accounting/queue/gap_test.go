package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting/spool"
)

// TestLostRecordsHoldUpNoOther repairs a spool that has lost records, at its
// front, within a batch and for longer than one: all others are sent, in
// batches that leave no number out.
func TestLostRecordsHoldUpNoOther(t *testing.T) {
	for _, gap := range []spool.Span{{First: 1, Last: 3}, {First: 14, Last: 14}, {First: 8, Last: 33}, {First: 11, Last: 20}, {First: 59, Last: 59}} {
		t.Run(fmt.Sprintf("records %s", gap), func(t *testing.T) {
			mem := vfs.NewMem()
			s := openSpool(t, mem)
			put(t, s, stops(0, 60)...)
			require.NoError(t, s.Close())
			_, _, err := spool.Repair("spool", spool.Options{FS: mem, Scan: func(seq uint64, _ []byte) error {
				if gap.First <= seq && seq <= gap.Last {
					return errors.New("it cannot be read")
				}
				return nil
			}})
			require.NoError(t, err)
			s = openSpool(t, mem)
			sink := newFlaky()
			for range 2 { // then as they were cut
				d, stop := drain(t, s, sink, testOptions())
				caughtUp(t, d, s)
				stop()
				sink.top = 0
			}
			want := slices.DeleteFunc(numbers(60), func(n uint64) bool { return gap.First <= n && n <= gap.Last })
			assert.ElementsMatch(t, want, sink.all(t))
			for next := s.First(); next <= s.Last(); {
				cut, ok, err := s.CutOver(next)
				require.NoError(t, err)
				require.True(t, ok && cut.First == next, "number %d is in no batch", next)
				next = cut.Last + 1
			}
			require.NoError(t, s.Close())
		})
	}
}

// gated is a sink that takes nothing until it is opened.
type gated struct {
	*flaky
	open chan struct{}
}

func (g gated) Publish(ctx context.Context, b *Batch) error {
	select {
	case <-g.open:
		return g.flaky.Publish(ctx, b)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestTrimmedWhileSentAgain has a queue that lost all and takes it again so
// slowly that retention overtakes it: what is there still is sent.
func TestTrimmedWhileSentAgain(t *testing.T) {
	s, err := spool.Open("spool", spool.Options{FS: vfs.NewMem(), Retain: 2000, MinFree: -1, Seal: -1})
	require.NoError(t, err)
	put(t, s, stops(0, 2500)...)
	o := testOptions()
	o.Trim = TrimDelivered
	d, stop := drain(t, s, newFlaky(), o)
	caughtUp(t, d, s)
	stop()
	require.Equal(t, uint64(1), s.First())

	sink := gated{newFlaky(), make(chan struct{})}
	d, stop = drain(t, s, sink, o)
	assert.Eventually(t, func() bool { return d.stats.Up.Load() }, waitLong, waitShort)
	put(t, s, stops(2500, 1500)...)
	assert.Eventually(t, func() bool { return s.First() > 1000 }, waitLong, waitShort)
	first := s.First()
	close(sink.open)
	caughtUp(t, d, s)
	stop()
	got := sink.all(t)
	slices.Sort(got)
	assert.Subset(t, got, numbers(4000)[first-1:])
	require.NoError(t, s.Close())
}

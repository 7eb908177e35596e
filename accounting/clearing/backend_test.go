package clearing

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// testServerKilled kills the server between batches; a Take that fails is
// given the same batch again.
func testServerKilled(t *testing.T, p *peer.Postgres) {
	b := newBench(t, inPostgres(p))
	for i, d := range lives(newHub(t, "hub-1"), 10, 6) {
		if i == 2 {
			p.Kill()
			_, err := b.s.Take(ctx, d)
			require.Error(t, err)
			p.Restart()
		}
		for range 10 { // connections of the pool that died with the server
			if _, err := b.s.Take(ctx, d); err == nil {
				break
			}
		}
		b.take(d)
	}
	assert.Equal(t, wantLives(10), b.usage())
}

func testLaterTables(t *testing.T, p *peer.Postgres) {
	b := newBench(t, inPostgres(p))
	c, err := pgx.Connect(ctx, b.o.PostgreSQL)
	require.NoError(t, err)
	_, err = c.Exec(ctx, `UPDATE clearing_version SET version = 2`)
	require.NoError(t, err)
	require.NoError(t, c.Close(ctx))
	_, err = Open(ctx, b.o)
	require.ErrorContains(t, err, "newer program")
}

func TestDirectoryIsLocked(t *testing.T) {
	b := newBench(t, onDisk)
	_, err := Open(ctx, b.o)
	require.ErrorContains(t, err, "in use")
	b.take(lives(newHub(t, "hub-1"), 3, 4)...)
	assert.Equal(t, wantLives(3), b.usage())
}

// TestPowerCut drops what was not synced: a batch that was taken stays.
func TestPowerCut(t *testing.T) {
	fs := vfs.NewCrashableMem()
	b := newBench(t, func(testing.TB) Options { return Options{Directory: "clearing", fs: fs} })
	ds := lives(newHub(t, "hub-1"), 10, 6)
	for i, d := range ds {
		b.take(d)
		cut := newBench(t, func(testing.TB) Options {
			return Options{Directory: "clearing", fs: fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})}
		})
		src, err := cut.s.Sources(ctx)
		require.NoError(t, err)
		require.Len(t, src, 1)
		assert.Equal(t, ds[i].Last, src[0].Whole)
		cut.take(ds...)
		assert.Equal(t, wantLives(10), cut.usage())
	}
}

package device

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVersion(t *testing.T) {
	tab := fileTable(t, policyFile)
	q := imsi(6)
	key, ok := tab.KeyOf(&q)
	require.True(t, ok)
	version, stale := tab.Version(key, q.Now)
	assert.NotZero(t, version, "a file has a version too: how often one was loaded")
	assert.False(t, stale)
	version, stale = tab.Version(Key{1}, q.Now)
	assert.Zero(t, version, "a device that is not known")
	assert.False(t, stale)

	const second = int64(1e9)
	k0, k1 := key.words()
	put := func(epoch uint32, flags uint8) {
		tab.state.Load().devices.put(k0, k1, &ref{version: 9, soft: 5, hard: 9, epoch: epoch, flags: flags}, 0)
	}
	for _, tt := range []struct {
		name    string
		at      int64 // the entry is good for 4 s, and may be served for 8
		up      bool
		doubt   bool
		flags   uint8
		version uint32
		stale   bool
	}{
		{"fresh", 3, false, false, 0, 9, false},
		{"due, and the store is there", 5, true, false, 0, 9, false},
		{"due, and the store is away", 5, false, false, 0, 9, true},
		{"of before the store was away", 3, true, true, 0, 9, true},
		{"pinned", 5, false, true, flagPinned, 9, false},
		{"too old to be served", 9, true, false, 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			epoch := tab.epoch.Load()
			if tt.doubt {
				epoch--
			}
			put(epoch, tt.flags)
			tab.stats.redisUp.Store(tt.up)
			version, stale := tab.Version(key, tt.at*second)
			assert.Equal(t, tt.version, version)
			assert.Equal(t, tt.stale, stale)
		})
	}
}

func TestAllocsVersion(t *testing.T) {
	tab := fileTable(t, policyFile)
	q := imsi(6)
	key, _ := tab.KeyOf(&q)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { tab.Version(key, 0) }))
}

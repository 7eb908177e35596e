package aaa

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

// seriesOf counts the lines that a client has, those at zero too.
func seriesOf(r *rig, client string) int {
	before := r.hub.stats.Lines()
	n := r.hub.stats.Retire("client", client) + r.hub.stats.Retire("peer", client)
	assert.LessOrEqual(r.t, r.hub.stats.Lines(), before)
	return n
}

// TestGuestsHaveNoSeriesUntilTheyCome has three Diameter peers. The one whose requests come
// to RADIUS is counted, in the configuration it came by, in one that was compiled before
// and in later ones; the others cost nothing.
func TestGuestsHaveNoSeriesUntilTheyCome(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) {
		for _, name := range []string{"mme-1", "mme-2", "mme-3"} {
			s.Clients = append(s.Clients, realm.Client{Name: name, Transport: realm.Diameter})
		}
	})
	old := r.hub.Snapshot()
	index := old.clientsByName["mme-1"].Index
	require.NoError(t, r.hub.Apply(r.set))
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	require.NoError(t, r.hub.Visit("mme-1", ours))
	r.turn(0)
	assert.ErrorIs(t, r.hub.Visit("mme-9", closed(t)), errNoClient)

	for _, s := range []*Snapshot{old, r.hub.Snapshot()} {
		assert.NotZero(t, s.clientStats[index].requests[kindAuth])
	}
	assert.Equal(t, 1.0, r.hub.stats.Value("roamgate_connections", "peer", "mme-1"))
	require.NoError(t, r.hub.Apply(r.set))
	assert.NotZero(t, r.hub.Snapshot().clientStats[index].requests[kindAuth])
	assert.Equal(t, 1.0, r.hub.stats.Value("roamgate_connections", "peer", "mme-1"))

	for _, name := range []string{"mme-2", "mme-3"} {
		assert.Zero(t, *r.hub.Snapshot().clientStats[r.hub.Snapshot().clientsByName[name].Index])
		assert.Zero(t, seriesOf(r, name))
	}
	assert.Greater(t, seriesOf(r, "mme-1"), 100)

	// Their series were retired: the next configuration has them again.
	require.NoError(t, r.hub.Apply(r.set))
	assert.Equal(t, 1.0, r.hub.stats.Value("roamgate_connections", "peer", "mme-1"))
}

// closed is a connection that is over.
func closed(t *testing.T) net.Conn {
	a, b := net.Pipe()
	require.NoError(t, b.Close())
	return a
}

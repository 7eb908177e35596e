package queue

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// TestRedisSentinelFailover (acceptance row 9) kills a master whose replica
// was cut off for the last second: the replica takes over without it.
func TestRedisSentinelFailover(t *testing.T) {
	t.Parallel()
	master := startRedis(t)
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+master.port, "--repl-diskless-sync-delay", "0")
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "sentinel monitor mymaster 127.0.0.1 %s 1\n"+
		"sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n", master.port), 0o600))
	sentinel := &server{t: t, dir: t.TempDir(), port: strconv.Itoa(int(peer.Port(t).Port())), plain: true, args: []string{conf, "--sentinel"}}
	sentinel.start()
	t.Cleanup(sentinel.kill)
	where := Server{Address: sentinel.addr(), Master: "mymaster"}

	s := openTight(t, vfs.NewMem())
	sink := OpenRedis(where, "n1", s.Epoch(), nil)
	defer func() { _ = sink.Close() }()
	d, stopDrain := drain(t, s, sink, watermarkOptions())
	l := newLedger()
	open := func() Source {
		return OpenRedisSource(where, SourceOptions{Takeover: 300 * time.Millisecond, Poll: 5 * time.Millisecond})
	}
	_, stop := consume(t, open(), l)
	put(t, s, stops(0, 30)...)
	settled(t, d, s)
	stop()
	rc := replica.client()
	require.Eventually(t, func() bool { n, err := rc.Exists(ctx, watermarkKey("n1")).Result(); return n == 1 && err == nil }, waitLong, waitShort)
	require.Eventually(t, func() bool { return strings.Contains(sentinel.cli("SENTINEL", "replicas", "mymaster"), replica.port) }, waitLong, waitShort)

	// The last second, which the replica does not get.
	held, err := rc.XLen(ctx, sink.Stream()).Result()
	require.NoError(t, err)
	mc := master.client()
	require.NoError(t, mc.ConfigSet(ctx, "requirepass", "cut off").Err()) // no way back for it
	require.NoError(t, mc.Do(ctx, "CLIENT", "KILL", "TYPE", "replica").Err())
	put(t, s, stops(30, 70)...)
	caughtUp(t, d, s)
	n, err := rc.XLen(ctx, sink.Stream()).Result()
	require.NoError(t, err)
	require.Equal(t, held, n, "the replica does not have it")
	master.kill()
	put(t, s, stops(100, 5)...)
	_, stop = consume(t, open(), l)
	settled(t, d, s)
	stop()
	stopDrain()
	l.wantAll(t, "n1", s.Epoch(), 105)
	assert.Equal(t, uint64(1), d.Stats().Rewinds.Load())
	assert.Zero(t, d.Stats().Alarms.Load())
	role, err := rc.Do(ctx, "ROLE").Slice()
	require.NoError(t, err)
	assert.Equal(t, "master", role[0])
}

// TestRedisCluster has three masters; the slot of the stream is moved while
// it is written and read.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	var nodes []*server
	var addrs []string
	for range 3 {
		n := startRedis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(int(peer.Port(t).Port())))
		nodes, addrs = append(nodes, n), append(addrs, n.addr())
	}
	nodes[0].cli(append([]string{"--cluster", "create", "--cluster-yes"}, addrs...)...)
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	defer func() { _ = c.Close() }()
	for _, n := range nodes { // each has its own opinion, and refuses keys until it is good
		rc := n.client()
		require.Eventually(t, func() bool { return strings.Contains(rc.ClusterInfo(ctx).Val(), "cluster_state:ok") }, waitLong, waitShort)
	}

	where := Server{Address: addrs[0], More: addrs[1:], Cluster: true}
	s := openTight(t, vfs.NewMem())
	sink := OpenRedis(where, "n1", s.Epoch(), nil)
	defer func() { _ = sink.Close() }()
	d, _ := drain(t, s, sink, watermarkOptions())
	l := newLedger()
	_, stop := consume(t, OpenRedisSource(where, SourceOptions{Takeover: 300 * time.Millisecond, Poll: 5 * time.Millisecond}), l)
	put(t, s, stops(0, 30)...)
	settled(t, d, s)

	ctx, cancel := context.WithTimeout(ctx, waitLong)
	defer cancel()
	slot, err := c.ClusterKeySlot(ctx, sink.Stream()).Result()
	require.NoError(t, err)
	total := 30
	for range 2 { // away and on
		owner, err := c.MasterForKey(ctx, sink.Stream())
		require.NoError(t, err)
		from := owner.ClusterMyID(ctx).Val()
		var to *server
		for _, n := range nodes {
			if n.client().ClusterMyID(ctx).Val() != from {
				to = n
			}
		}
		put(t, s, stops(total, 20)...)
		moveSlot(t, nodes, to, owner, int(slot), from)
		c.ReloadState(ctx)
		put(t, s, stops(total+20, 20)...)
		total += 40
		settled(t, d, s)
	}
	stop()
	l.wantAll(t, "n1", s.Epoch(), total)
	assert.Zero(t, d.Stats().Alarms.Load())
}

// moveSlot moves one slot as redis-cli does.
func moveSlot(t testing.TB, nodes []*server, to *server, from *redis.Client, slot int, fromID string) {
	t.Helper()
	dest := to.client()
	toID := dest.ClusterMyID(ctx).Val()
	require.NoError(t, dest.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromID).Err())
	require.NoError(t, from.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", toID).Err())
	for {
		keys, err := from.ClusterGetKeysInSlot(ctx, slot, 100).Result()
		require.NoError(t, err)
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		require.NoError(t, from.Do(ctx, args...).Err())
	}
	require.NoError(t, dest.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", toID).Err())
	for _, n := range nodes {
		require.NoError(t, n.client().Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", toID).Err())
	}
}

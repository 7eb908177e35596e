package device

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// server is a redis-server process on a socket of the test's own.
type server struct {
	t    testing.TB
	dir  string
	args []string
	cmd  *exec.Cmd
}

func startRedis(t testing.TB, args ...string) *server {
	s := &server{t: t, dir: t.TempDir(), args: args}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.cmd = exec.Command("redis-server", append([]string{
		"--port", "0", "--unixsocket", filepath.Join(s.dir, "s"), "--dir", s.dir, "--save", "", "--daemonize", "no",
	}, s.args...)...)
	out, err := s.cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, s.cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready to accept connections") {
			return
		}
	}
	s.t.Fatal("redis-server does not start")
}

func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) options() *Redis {
	return &Redis{Addresses: []string{"unix:" + filepath.Join(s.dir, "s")}}
}

func openStore(t testing.TB, r *Redis) *Store {
	st, err := OpenStore(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// startTable runs a table until the test ends. Its budget is wide: these tests
// are about what is answered, on machines that may be busy.
func startTable(t testing.TB, c Config) *Table {
	if c.MissBudget == 0 {
		c.MissBudget = 2 * time.Second
	}
	tab := New(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tab.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	return tab
}

func eventually(t testing.TB, what string, f func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	require.Eventually(t, f, time.Minute, time.Millisecond, what)
	return time.Since(began)
}

var began = time.Now()

// ask decides as the core does: a miss is fetched and asked again.
func ask(t testing.TB, tab *Table, q Query) Decision {
	t.Helper()
	q.Now = int64(time.Since(began))
	d := tab.Decide(&q)
	if d.Outcome != Miss {
		return d
	}
	w := inbox{make(chan uint64, 1)}
	if tab.Fetch(d.Key, &q, w, 7) {
		require.EqualValues(t, 7, w.wait(t))
	}
	q.Waited = true
	return tab.Decide(&q)
}

func fleet(from, to int, profile string) iter.Seq2[DeviceSpec, error] {
	return func(yield func(DeviceSpec, error) bool) {
		for n := from; n < to; n++ {
			if !yield(DeviceSpec{IMSI: fmt.Sprintf("00101%010d", n), Profile: profile}, nil) {
				return
			}
		}
	}
}

func TestRedisServer(t *testing.T) {
	for _, tt := range []struct {
		name string
		key  string
	}{{"plain names", ""}, {"hashed names", "0123456789abcdef"}} {
		t.Run(tt.name, func(t *testing.T) {
			s := startRedis(t)
			r := s.options()
			r.NameKey = []byte(tt.key)
			st := openStore(t, r)
			ctx := context.Background()
			calls := 0
			done, err := st.Import(ctx, ImportOptions{Batch: 100}, []ProfileSpec{{Name: "meter", Countries: []string{"DE"}}},
				fleet(0, 1000, "meter"), func(ImportProgress) { calls++ })
			require.NoError(t, err)
			assert.Equal(t, ImportProgress{Profiles: 1, Devices: 1000}, done)
			assert.Equal(t, 10, calls)
			assertNames(t, r, tt.key != "")

			tab := startTable(t, Config{Redis: r})
			eventually(t, "ready", tab.Ready)
			for n := range 1000 {
				require.Equal(t, Allow, ask(t, tab, imsi(n)).Outcome)
			}
			assert.Equal(t, 1000, tab.Len())
			assert.Equal(t, UnknownDevice, ask(t, tab, imsi(5000)).Reason)

			// A block takes effect at once, not when what is known has become old.
			d := DeviceSpec{IMSI: string(imsi(3).IMSI), Profile: "meter", Blocked: true}
			wrote := time.Now()
			require.NoError(t, st.SetDevice(ctx, &d))
			eventually(t, "blocked", func() bool { return ask(t, tab, imsi(3)).Reason == Blocked })
			took := time.Since(wrote)
			assert.Less(t, took, time.Minute, "less than SoftTTL")
			t.Log("a block was written and seen in", took)
			got, version, found, err := st.Device(ctx, DeviceSpec{IMSI: d.IMSI})
			require.NoError(t, err)
			assert.True(t, found)
			assert.Equal(t, d, got)
			assert.EqualValues(t, 1001, version)

			// So do a profile, an end, and the appearance of a stranger.
			require.NoError(t, st.Set(ctx, &ProfileSpec{Name: "meter", Countries: []string{"FR"}}))
			eventually(t, "profile", func() bool { return ask(t, tab, imsi(4)).Reason == CountryNotAllowed })
			require.NoError(t, st.DeleteDevice(ctx, DeviceSpec{IMSI: string(imsi(4).IMSI)}))
			eventually(t, "end", func() bool { return ask(t, tab, imsi(4)).Reason == UnknownDevice })
			require.NoError(t, st.Set(ctx, &ProfileSpec{Name: "late"}))
			require.NoError(t, st.SetDevice(ctx, &DeviceSpec{IMSI: string(imsi(5000).IMSI), Profile: "late"}))
			eventually(t, "appearance", func() bool { return ask(t, tab, imsi(5000)).Outcome == Allow })
			require.NoError(t, st.Delete(ctx, "late"))
			eventually(t, "profile's end", func() bool { return ask(t, tab, imsi(5000)).Reason == ProfileMissing })
			assert.GreaterOrEqual(t, tab.stats.changes.Load(), uint64(6))
		})
	}
}

func assertNames(t *testing.T, r *Redis, hashed bool) {
	c := r.open(1, 0, time.Second)
	defer func() { require.NoError(t, c.Close()) }()
	keys, err := c.Keys(context.Background(), "*").Result()
	require.NoError(t, err)
	assert.Len(t, keys, 1000+3)
	for _, k := range keys {
		assert.True(t, strings.HasPrefix(k, "{dp}:"), k)
		assert.False(t, hashed && strings.Contains(k, "imsi"), k)
	}
	entries, err := c.XRange(context.Background(), r.changesKey(), "-", "+").Result()
	require.NoError(t, err)
	assert.Len(t, entries, 1001)
	if hashed {
		assert.NotContains(t, fmt.Sprint(entries[1].Values), "00101")
	}
}

func TestRedisGoesAndComesBack(t *testing.T) {
	s := startRedis(t, "--appendonly", "yes")
	r := s.options()
	st := openStore(t, r)
	ctx := context.Background()
	_, err := st.Import(ctx, ImportOptions{}, []ProfileSpec{{Name: "meter"}}, fleet(0, 10, "meter"), nil)
	require.NoError(t, err)
	tab := startTable(t, Config{Redis: r})
	eventually(t, "ready", tab.Ready)
	require.Equal(t, Allow, ask(t, tab, imsi(1)).Outcome)

	s.stop()
	eventually(t, "noticed", func() bool { return !tab.RedisUp() })
	assert.Equal(t, Allow, ask(t, tab, imsi(1)).Outcome, "known devices are served")
	eventually(t, "breaker", func() bool {
		q := imsi(2)
		q.IMSI = fmt.Appendf(nil, "00101%010d", 100+time.Now().Nanosecond()%1_000_000)
		require.Equal(t, StoreAway, ask(t, tab, q).Reason)
		return tab.breaker.open()
	})
	open := imsi(2)
	open.Route = lenient
	d := ask(t, tab, open)
	assert.Equal(t, Allow, d.Outcome)
	assert.Equal(t, StoreAway, d.Reason)

	s.start()
	took := eventually(t, "healed", func() bool { return tab.RedisUp() && !tab.breaker.open() })
	assert.Less(t, took, 5*time.Second)
	t.Log("healed after", took)
	eventually(t, "new devices", func() bool { return ask(t, tab, imsi(3)).Outcome == Allow })
	eventually(t, "reconnected", func() bool { return tab.stats.reconnects.Load() > 0 })
	assert.NotZero(t, tab.stats.epochs.Load())
	require.NoError(t, st.SetDevice(ctx, &DeviceSpec{IMSI: string(imsi(1).IMSI), Profile: "meter", Blocked: true}))
	assert.Less(t, eventually(t, "changes flow again", func() bool { return ask(t, tab, imsi(1)).Reason == Blocked }), time.Second)
}

// A value that is no string, and one too large for a batch, harm only
// themselves.
func TestRedisWrongKinds(t *testing.T) {
	s := startRedis(t)
	r := s.options()
	st := openStore(t, r)
	ctx := context.Background()
	_, err := st.Import(ctx, ImportOptions{}, []ProfileSpec{{Name: "meter"}}, fleet(0, 10, "meter"), nil)
	require.NoError(t, err)
	key := func(n int) string { return "{dp}:d:imsi:" + string(imsi(n).IMSI) }
	require.NoError(t, st.c.Del(ctx, key(1), key(2), key(3)).Err())
	require.NoError(t, st.c.RPush(ctx, key(1), "x").Err())
	require.NoError(t, st.c.Set(ctx, key(2), strings.Repeat("x", 8<<20), 0).Err())
	require.NoError(t, st.c.Set(ctx, key(3), strings.Repeat("x", maxValue+1), 0).Err())

	src := newRedisSource(r)
	defer src.close()
	out := make([]reply, 4)
	require.NoError(t, src.get(ctx, []string{key(0), key(1), key(2), key(3)}, out))
	assert.True(t, out[0].found && !out[0].large)
	assert.False(t, out[1].found)
	assert.True(t, out[2].large)
	assert.True(t, out[3].large)

	tab := startTable(t, Config{Redis: r})
	eventually(t, "ready", tab.Ready)
	assert.Equal(t, UnknownDevice, ask(t, tab, imsi(1)).Reason)
	assert.Equal(t, MalformedValue, ask(t, tab, imsi(2)).Reason)
	assert.Equal(t, MalformedValue, ask(t, tab, imsi(3)).Reason)
	assert.EqualValues(t, 2, tab.Faults(FaultTooLarge))
	assert.Equal(t, Allow, ask(t, tab, imsi(0)).Outcome)
}

// A store that takes connections and never answers costs the budget, then
// nothing (Q012).
func TestRedisStalls(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	conns := make(chan net.Conn, 1024)
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				close(conns)
				return
			}
			conns <- c
		}
	}()
	tab := startTable(t, Config{Redis: &Redis{Addresses: []string{l.Addr().String()}}, MissBudget: 20 * time.Millisecond})
	eventually(t, "running", func() bool { return ask(t, tab, imsi(0)).Reason == StoreAway })
	began := time.Now()
	n := 1
	for ; !tab.breaker.open(); n++ {
		require.Equal(t, StoreAway, ask(t, tab, imsi(n)).Reason)
	}
	assert.Less(t, time.Since(began), 20*time.Second, "no question waits for the store's own timeouts")
	assert.NotZero(t, tab.Faults(FaultTimeout)+tab.Faults(FaultConnection))
	require.NoError(t, l.Close())
	<-accepted
	for c := range conns {
		_ = c.Close()
	}
}

func TestRedisErrorReplies(t *testing.T) {
	for _, text := range []string{"LOADING Redis is loading", "READONLY", "NOAUTH Authentication required", "MOVED 1 10.0.0.1:1", "ERR other"} {
		t.Run(strings.Fields(text)[0], func(t *testing.T) {
			m := miniredis.RunT(t)
			src := newRedisSource(&Redis{Addresses: []string{m.Addr()}})
			defer src.close()
			require.NoError(t, src.ping(context.Background()))
			m.SetError(text)
			err := src.get(context.Background(), []string{"a"}, make([]reply, 1))
			require.Error(t, err)
			assert.Equal(t, FaultServer, faultOf(err))
			m.SetError("")
			assert.NoError(t, src.get(context.Background(), []string{"a"}, make([]reply, 1)))
		})
	}
	m := miniredis.RunT(t)
	st := openStore(t, &Redis{Addresses: []string{m.Addr()}})
	require.NoError(t, st.c.Set(context.Background(), "{dp}:profiles", "x", 0).Err())
	_, err := st.rawProfiles(context.Background())
	assert.Equal(t, FaultWrongType, faultOf(err))
}

func BenchmarkMissBatch(b *testing.B) {
	s := startRedis(b)
	r := s.options()
	st := openStore(b, r)
	ctx := context.Background()
	_, err := st.Import(ctx, ImportOptions{}, []ProfileSpec{{Name: "meter"}}, fleet(0, 20_000, "meter"), nil)
	require.NoError(b, err)
	tab := startTable(b, Config{Redis: r})
	eventually(b, "ready", tab.Ready)
	w := inbox{make(chan uint64, 4096)}
	b.ReportAllocs()
	sent, back := 0, 0
	for b.Loop() {
		q := imsi(sent % 20_000)
		k, _ := tab.KeyOf(&q)
		for !tab.Fetch(k, &q, w, uint64(sent)) {
			<-w.c
			back++
		}
		if sent++; sent-back >= 2048 {
			<-w.c
			back++
		}
	}
	for ; back < sent; back++ {
		<-w.c
	}
}

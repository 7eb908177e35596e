package queue

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

const waitLong, waitShort = time.Minute, 5 * time.Millisecond

// server is a real redis-server in a directory of its own.
type server struct {
	t    testing.TB
	dir  string
	port string
	args []string
	// plain leaves out what a queue needs: args is all, a file first.
	plain bool
	cmd   *exec.Cmd
}

// startRedis starts a server.
func startRedis(t testing.TB, args ...string) *server {
	peer.Need(t, "redis-server")
	port := strconv.Itoa(int(peer.Port(t).Port()))
	s := &server{t: t, dir: t.TempDir(), port: port, args: args}
	s.start()
	t.Cleanup(func() { s.kill() })
	return s
}

func (s *server) start() {
	args := append([]string{
		"--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always",
	}, s.args...)
	if s.plain {
		args = append(s.args[:len(s.args):len(s.args)], "--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir)
	}
	s.cmd = exec.Command("redis-server", args...)
	require.NoError(s.t, s.cmd.Start())
	c := redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1})
	defer func() { _ = c.Close() }()
	require.Eventually(s.t, func() bool { return c.Ping(context.Background()).Err() == nil }, waitLong, waitShort)
}

// kill ends this server, and no other, without a goodbye.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// forget removes what the server had stored.
func (s *server) forget() {
	files, err := filepath.Glob(filepath.Join(s.dir, "*"))
	require.NoError(s.t, err)
	for _, f := range files {
		require.NoError(s.t, os.RemoveAll(f))
	}
}

func (s *server) addr() string { return "127.0.0.1:" + s.port }

func (s *server) client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1, DialTimeout: time.Second})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// cli runs redis-cli, the plain tool an operator has at hand.
func (s *server) cli(args ...string) string {
	out, err := exec.Command("redis-cli", append([]string{"-p", s.port, "--raw"}, args...)...).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	return string(out)
}

package peer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// redisLimit bounds one command.
const redisLimit = 10 * time.Second

// Redis is a running redis-server.
type Redis struct {
	*Process
	Addr netip.AddrPort

	t    testing.TB
	dir  string
	sync bool
}

// StartRedis starts redis-server. With durable it syncs an append-only file
// before every answer; otherwise it keeps nothing across Stop and Restart.
func StartRedis(t testing.TB, durable bool) *Redis {
	t.Helper()
	Need(t, "redis-server")
	r := &Redis{t: t, Addr: Port(t), dir: t.TempDir(), sync: durable}
	r.Restart()
	return r
}

// Restart starts the server again at the same address after Kill or Stop.
func (r *Redis) Restart() {
	r.t.Helper()
	args := []string{"--bind", r.Addr.Addr().String(), "--port", fmt.Sprint(r.Addr.Port()),
		"--dir", r.dir, "--save", "", "--daemonize", "no", "--maxmemory-policy", "noeviction"}
	if r.sync {
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	r.Process = Start(r.t, "redis-server", exec.Command("redis-server", args...))
	r.ready(func() error { _, err := r.Try("PING"); return err })
}

// Do runs one command and fails the test on an error.
func (r *Redis) Do(args ...string) any {
	r.t.Helper()
	v, err := r.Try(args...)
	require.NoError(r.t, err, "redis %s", args[0])
	return v
}

// Try runs one command on a connection of its own. The answer is nil, a
// string, an int64 or a []any of these (RESP2).
func (r *Redis) Try(args ...string) (any, error) {
	c, err := net.DialTimeout("tcp", r.Addr.String(), redisLimit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(redisLimit)); err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(c, b.String()); err != nil {
		return nil, err
	}
	return readRESP(bufio.NewReader(c))
}

func readRESP(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return nil, errors.New("empty line from redis")
	}
	rest := line[1:]
	switch line[0] {
	case '+':
		return rest, nil
	case '-':
		return nil, errors.New(rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return nil, err
	}
	if line[0] == '$' {
		b := make([]byte, n+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		return string(b[:n]), nil
	}
	all := make([]any, n)
	for i := range all {
		if all[i], err = readRESP(r); err != nil {
			return nil, err
		}
	}
	return all, nil
}

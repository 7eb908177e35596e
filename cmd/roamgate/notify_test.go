package main

import (
	"context"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// manager is the service manager's side of the socket.
func manager(t *testing.T, path string) (heard func() string) {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return func() string {
		t.Helper()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(limit)))
		b := make([]byte, 4096)
		n, err := c.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
}

// TestNotify is a hub under a service manager (sd_notify(3)).
func TestNotify(t *testing.T) {
	h := prepare(t, "")
	socket := filepath.Join(t.TempDir(), "notify")
	heard := manager(t, socket)
	h.launch("NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=400000")
	// next leaves out the watchdog, which comes at any time.
	fed := 0
	next := func() string {
		for {
			if s := heard(); s != "WATCHDOG=1" {
				return s
			}
			fed++
		}
	}
	assert.Equal(t, "READY=1\nSTATUS=carrying traffic", next())
	require.Zero(t, h.send("status").code, "ready is said when it is")

	h.Signal(syscall.SIGHUP)
	reloading := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=(\d+)$`).FindStringSubmatch(next())
	require.NotNil(t, reloading)
	said, err := strconv.ParseInt(reloading[1], 10, 64)
	require.NoError(t, err)
	assert.InDelta(t, monotonicMicroseconds(), said, float64(limit.Microseconds()))
	assert.Equal(t, "READY=1\nSTATUS=carrying traffic", next())

	h.route("nonsense\n")
	h.Signal(syscall.SIGHUP)
	assert.True(t, strings.HasPrefix(next(), "RELOADING=1\n"))
	assert.Equal(t, "READY=1\nSTATUS=carrying traffic by older routing files, the newest were refused", next())

	for fed == 0 {
		assert.Equal(t, "WATCHDOG=1", heard())
		fed++
	}
	h.Signal(syscall.SIGTERM)
	assert.Equal(t, "STOPPING=1", next())
	require.NoError(t, h.Wait(limit))
}

func TestNotifier(t *testing.T) {
	env := func(kv ...string) func(string) string {
		return func(k string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == k {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	t.Run("no manager", func(t *testing.T) {
		n := newNotifier(env())
		n.ready("x")
		n.reloading()
		n.guard(t.Context(), func() { t.Error("nobody asks") })
		n.close()
	})
	t.Run("manager is gone", func(t *testing.T) {
		n := newNotifier(env("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"), "WATCHDOG_USEC", "1"))
		n.ready("x")
		n.guard(t.Context(), func() { t.Error("nobody hears") })
		n.close()
	})
	t.Run("abstract socket", func(t *testing.T) {
		name := "roamgate-test-" + filepath.Base(t.TempDir()) + strconv.Itoa(syscall.Getpid())
		heard := manager(t, "\x00"+name)
		n := newNotifier(env("NOTIFY_SOCKET", "@"+name))
		defer n.close()
		n.stopping()
		assert.Equal(t, "STOPPING=1", heard())
	})
	for _, tc := range []struct {
		name string
		env  []string
		want time.Duration
	}{
		{"none asked for", nil, 0},
		{"ours", []string{"WATCHDOG_USEC", "3000000", "WATCHDOG_PID", strconv.Itoa(syscall.Getpid())}, 3 * time.Second},
		{"of another process", []string{"WATCHDOG_USEC", "3000000", "WATCHDOG_PID", "1"}, 0},
		{"no number", []string{"WATCHDOG_USEC", "soon"}, 0},
		{"negative", []string{"WATCHDOG_USEC", "-1"}, 0},
	} {
		t.Run("watchdog "+tc.name, func(t *testing.T) {
			n := newNotifier(env(append(tc.env, "NOTIFY_SOCKET", filepath.Join(t.TempDir(), "s"))...))
			assert.Equal(t, tc.want, n.watchdog)
		})
	}
}

// TestWatchdogStarves: what stands still feeds no watchdog.
func TestWatchdogStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		n := &notifier{conn: ours, watchdog: 2 * time.Second}
		fed := 0
		go func() {
			b := make([]byte, 64)
			for {
				if _, err := theirs.Read(b); err != nil {
					return
				}
				fed++
			}
		}()
		stuck := make(chan struct{})
		beats := 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			n.guard(ctx, func() {
				if beats++; beats == 4 {
					<-stuck
				}
			})
		}()
		<-time.After(time.Minute)
		synctest.Wait()
		assert.Equal(t, 3, fed)
		cancel()
		close(stuck)
		<-done
		n.close()
		_ = theirs.Close()
	})
}

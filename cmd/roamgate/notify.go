package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// notifier tells systemd how the service is (sd_notify(3)). Where
// NOTIFY_SOCKET is not set it tells nobody. Failing to tell is no failure of
// the hub: the service manager has timeouts of its own.
type notifier struct {
	conn     net.Conn
	watchdog time.Duration // 0: none is asked for
}

func newNotifier(env func(string) string) *notifier {
	n := &notifier{}
	path := env("NOTIFY_SOCKET")
	if path == "" {
		return n
	}
	if c, err := net.Dial("unixgram", path); err == nil { // '@' names an abstract socket, as systemd writes it
		n.conn = c
	}
	usec, err := strconv.ParseInt(env("WATCHDOG_USEC"), 10, 64)
	if pid := env("WATCHDOG_PID"); err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n
}

func (n *notifier) tell(state string) {
	if n.conn != nil {
		_, _ = n.conn.Write([]byte(state))
	}
}

func (n *notifier) ready(status string) { n.tell("READY=1\nSTATUS=" + status) }

// reloading must be followed by ready.
func (n *notifier) reloading() {
	n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonicMicroseconds()))
}

func (n *notifier) stopping() { n.tell("STOPPING=1") }

// guard feeds the watchdog for as long as alive returns. alive takes the
// locks that traffic and operators need, so a process that stands still on
// one of them is started anew.
func (n *notifier) guard(ctx context.Context, alive func()) {
	if n.conn == nil || n.watchdog == 0 {
		return
	}
	tick := time.NewTicker(n.watchdog / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			alive()
			n.tell("WATCHDOG=1")
		}
	}
}

func (n *notifier) close() {
	if n.conn != nil {
		_ = n.conn.Close()
	}
}

package peer

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Consumer is a running `roamgate records consume` with an embedded store.
type Consumer struct {
	*Process
	Admin netip.AddrPort

	t    testing.TB
	bin  string
	conf string
}

// StartConsumer builds roamgate from this tree and starts a consumer of what
// hubs have queued in r.
func StartConsumer(t testing.TB, r *Redis) *Consumer {
	t.Helper()
	dir := t.TempDir()
	c := &Consumer{t: t, Admin: Port(t), bin: Roamgate(t), conf: filepath.Join(dir, "clearing.yaml")}
	text := fmt.Sprintf("admin: {listen: %q}\nredis: {address: %q}\nclearing: {directory: clearing}\n", c.Admin, r.Addr)
	require.NoError(t, os.WriteFile(c.conf, []byte(text), 0o600))
	c.Restart()
	return c
}

// Restart starts the consumer again, on the same store, after Kill or Stop.
func (c *Consumer) Restart() {
	c.t.Helper()
	c.Process = Start(c.t, "roamgate", exec.Command(c.bin, "records", "consume", "--config", c.conf))
	c.ready(func() error { _, err := Good(c.Admin, "/readyz"); return err })
}

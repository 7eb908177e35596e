package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/test/peer"
)

// TestServe is the life of a hub: ready, traffic, good and bad reloads under
// traffic, a clean end.
func TestServe(t *testing.T) {
	h := start(t, "")
	h.eventually("it says so", func() bool { return strings.Contains(h.Output(), `"msg":"ready"`) })

	var refused, answered atomic.Int64
	nas := peer.NAS{Server: h.auth, Secret: clientSecret, Timeout: limit, Tries: 1}
	end := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			if _, _, err := nas.Authenticate("alice@acme.example", userPassword); err != nil {
				refused.Add(1)
			}
			answered.Add(1)
		}
	})
	progress := func() {
		was := answered.Load()
		h.eventually("traffic goes on", func() bool { return answered.Load() > was+5 })
	}
	progress()

	t.Run("good reload", func(t *testing.T) {
		h.route(h.routing("acme.example") + "  - {realm: new.example, auth: acme}\n")
		h.Signal(syscall.SIGHUP)
		h.eventually("the new realm is routed", func() bool { return h.ask("explain bob@new.example").code == 0 })
		h.eventually("it is logged", func() bool { return strings.Contains(h.Output(), "routing files taken over") })
		assert.Contains(t, h.Output(), "realms +1 -0 ~0")
		assert.Contains(t, h.page(200, "/metrics"), "roamgate_config_last_reload_successful 1\n")
		progress()
	})
	t.Run("bad reload", func(t *testing.T) {
		mark := len(h.Output())
		h.route(h.routing("acme.example") + "  - {realm: bad.example, auth: acne}\n")
		h.Signal(syscall.SIGHUP)
		h.eventually("the files are refused", func() bool {
			return strings.Contains(h.since(mark), "routing files refused, the running configuration stays")
		})
		assert.Contains(t, h.since(mark), "peers.yaml:11:32: error: ")
		assert.Zero(t, h.ask("explain bob@new.example").code, "the version before stays")
		assert.Contains(t, h.page(200, "/metrics"), "roamgate_config_last_reload_successful 0\n")
		assert.Contains(t, h.page(200, "/readyz?verbose"), "warn routing files: refused at ")
		r := h.ask("status")
		assert.Equal(t, exitProblem, r.code)
		assert.Regexp(t, `routing files +warn +refused at \S+ with 1 error: an older version is in use`, r.out)
		progress()
	})
	t.Run("mended", func(t *testing.T) {
		h.route(h.routing("acme.example"))
		h.eventually("the files are taken without a signal", func() bool { return h.ask("explain bob@new.example").code == 1 })
		h.eventually("the hub is well", func() bool { return h.ask("status").code == 0 })
		progress()
	})
	close(end)
	load.Wait()
	assert.Zero(t, refused.Load(), "of %d requests none was lost", answered.Load())

	t.Run("stop", func(t *testing.T) {
		h.Signal(syscall.SIGTERM)
		require.NoError(t, h.Wait(limit), "exit code 0\n%s", h.Output())
		assert.Contains(t, h.Output(), `"msg":"stopping"`)
		assertReleased(t, h)
	})
	t.Run("and again", func(t *testing.T) {
		h.serve()
		h.Signal(syscall.SIGINT)
		require.NoError(t, h.Wait(limit))
	})
}

// TestEarlySignals: a signal that comes before the hub is ready, as systemd
// sends them, neither ends it in disorder nor is it lost.
func TestEarlySignals(t *testing.T) {
	h := prepare(t, "")
	h.launch()
	h.eventually("it has begun", func() bool { return h.Output() != "" })
	h.Signal(syscall.SIGHUP)
	h.eventually("the hub is ready", func() bool { code, _, err := h.get("/readyz"); return err == nil && code == 200 })
	h.eventually("the files were read again", func() bool {
		return strings.Contains(h.page(200, "/metrics"), `roamgate_config_reloads_total{result="unchanged"} 1`)
	})
	h.Signal(syscall.SIGTERM)
	require.NoError(t, h.Wait(limit))

	h.launch()
	h.eventually("it has begun", func() bool { return h.Output() != "" })
	h.Signal(syscall.SIGTERM)
	require.NoError(t, h.Wait(limit))
	assertReleased(t, h)
}

// assertReleased holds that the ports are free and the spool is closed.
func assertReleased(t *testing.T, h *rig) {
	t.Helper()
	for _, a := range []string{h.auth.String(), h.acct.String()} {
		c, err := net.ListenPacket("udp", a)
		if assert.NoError(t, err) {
			assert.NoError(t, c.Close())
		}
	}
	l, err := net.Listen("tcp", h.admin.String())
	if assert.NoError(t, err) {
		assert.NoError(t, l.Close())
	}
	s, err := spool.Open(h.path("spool"), spool.Options{ReadOnly: true})
	if assert.NoError(t, err) {
		assert.NoError(t, s.Close())
	}
}

// TestServeRefuses starts hubs that cannot work: each says why in one line
// with a hint, exits 1 and leaves nothing behind.
func TestServeRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		more  string
		spoil func(t *testing.T, h *rig)
		want  string // AUTH, ACCT, ADMIN, DIR are replaced
		spool bool   // a spool may be there
		// opened: the spool is opened first, and the log says so.
		opened bool
	}{
		{name: "port of authentication", spoil: func(t *testing.T, h *rig) { occupy(t, "udp", h.auth.String()) },
			want: "DIR/roamgate.yaml:1:17: error: listening on AUTH: address already in use (is a hub or another server running? `ss -H -l -p -A udp 'sport = :PORT'` names it)"},
		{name: "port of accounting", spoil: func(t *testing.T, h *rig) { occupy(t, "udp", h.acct.String()) },
			want: "DIR/roamgate.yaml:1:44: error: listening on ACCT: address already in use ("},
		{name: "port of administration", spoil: func(t *testing.T, h *rig) { occupy(t, "tcp", h.admin.String()) },
			want: "DIR/roamgate.yaml:2:17: error: listening on ADMIN: address already in use (is a hub or another server running? `ss -H -l -p -A tcp "},
		{name: "address of another host", spoil: func(t *testing.T, h *rig) { h.edit(t, h.auth.String(), "192.0.2.1:1812") },
			want: "DIR/roamgate.yaml:1:17: error: listening on 192.0.2.1:1812: cannot assign requested address (the address must be one of this host)"},
		{name: "spool is a file", spoil: func(t *testing.T, h *rig) { write(t, h.dir, map[string]string{"spool": ""}) },
			want: "reading the identity key: open DIR/spool/identity.key: not a directory (spool.directory must be a directory that the hub's user may write to)", spool: true},
		{name: "spool of another process", spool: true, spoil: func(t *testing.T, h *rig) {
			s, err := spool.Open(h.path("spool"), spool.Options{MinFree: -1})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, s.Close()) })
		}, want: "the spool DIR/spool is in use: a hub is running (two hubs need a spool each)"},
		{name: "spool of another node", spool: true, spoil: func(t *testing.T, h *rig) {
			s, err := spool.Open(h.path("spool"), spool.Options{MinFree: -1, Node: "hub-2"})
			require.NoError(t, err)
			require.NoError(t, s.Close())
		}, want: `opening spool DIR/spool: the spool belongs to another node: it is that of "hub-2", not of "hub-1" (`},
		{name: "clearing directory of another process", spool: true, opened: true, spoil: func(t *testing.T, h *rig) {
			s, err := clearing.Open(t.Context(), clearing.Options{Directory: h.path("clearing")})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, s.Close()) })
		}, want: "the clearing store DIR/clearing is in use by a process that runs (two that clear need a directory each, or one PostgreSQL)"},
		{name: "clearing store of a newer program", spool: true, opened: true, more: "clearing: {postgres_file: postgres}\n", spoil: func(t *testing.T, h *rig) {
			p := peer.StartPostgres(t)
			where := p.Schema()
			s, err := clearing.Open(t.Context(), clearing.Options{PostgreSQL: where})
			require.NoError(t, err)
			require.NoError(t, s.Close())
			p.Do(where, "UPDATE clearing_version SET version = 1000")
			write(t, h.dir, map[string]string{"postgres": where})
		}, want: "opening the clearing store: the tables are of version 1000, this program reads 1: written by a newer program?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := prepare(t, tc.more)
			tc.spoil(t, h)
			h.launch()
			err := h.Wait(limit)
			require.Error(t, err)
			assert.Equal(t, "exit status 1", err.Error())
			want := strings.NewReplacer("DIR", h.dir, "AUTH", h.auth.String(), "ACCT", h.acct.String(),
				"ADMIN", h.admin.String(), "PORT", fmt.Sprint(h.auth.Port())).Replace(tc.want)
			said := strings.SplitAfter(h.Output(), "\n")
			if strings.Contains(said[0], `"msg":"disk fills up"`) { // of this machine
				said = said[1:]
			}
			if tc.opened {
				assert.Contains(t, said[0], `"msg":"spool open"`)
				said = said[1:]
			}
			assert.Len(t, said, 2, "one line: %s", h.Output())
			assert.True(t, strings.HasPrefix(said[0], "roamgate: "+want), "\n got %s\nwant %s", h.Output(), want)
			assert.NotContains(t, h.Output(), `"msg":"ready"`)
			if !tc.spool {
				assert.NoDirExists(t, h.path("spool"), "nothing was made")
			}
		})
	}
}

// TestSecondHub: two hubs that share a port would share its packets.
func TestSecondHub(t *testing.T) {
	h := start(t, "")
	other := prepare(t, "")
	other.edit(t, other.auth.String(), h.auth.String())
	other.launch()
	require.Error(t, other.Wait(limit))
	assert.Contains(t, other.Output(), "address already in use")
	assert.Zero(t, h.send("status").code, "the first one goes on")
}

func occupy(t *testing.T, network, address string) {
	t.Helper()
	if network == "tcp" {
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		return
	}
	c, err := net.ListenPacket(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
}

// edit replaces text of the main file.
func (h *rig) edit(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(h.path("roamgate.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(b), from)
	write(t, h.dir, map[string]string{"roamgate.yaml": strings.Replace(string(b), from, to, 1)})
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting/usage"
	"github.com/roamgate/roamgate/test/peer"
)

// report sends an accounting packet of one session.
func (h *rig) report(user, session string, status, seconds, octets int, more ...string) {
	h.t.Helper()
	args := append([]string{"User-Name=" + user, fmt.Sprintf("Acct-Status-Type=%d", status), "Acct-Session-Id=" + session, "NAS-Identifier=nas-1",
		fmt.Sprintf("Acct-Session-Time=%d", seconds), fmt.Sprintf("Acct-Input-Octets=%d", octets), fmt.Sprintf("Acct-Output-Octets=%d", 2*octets)}, more...)
	r := h.send("acct", args...)
	require.Zero(h.t, r.code, r.errs)
}

// cleared waits until the store has taken n reports.
func (h *rig) cleared(n int) {
	h.t.Helper()
	h.eventually(strconv.Itoa(n)+" reports are taken", func() bool {
		var s sums
		r := h.ask("records sums --json")
		return json.Unmarshal([]byte(r.out), &s) == nil && s.Reports == int64(n)
	})
}

func lines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }

func TestRecords(t *testing.T) {
	h := start(t, "")
	const sessions = 5
	for i := range sessions {
		require.Zero(t, h.stop("alice@acme.example", "s"+strconv.Itoa(i)).code)
	}
	// A session id that would paint the terminal red and clear it.
	require.Zero(t, h.stop("alice@acme.example", "\x1b[31m\x1b[2J\u202eevil\tcolumn").code)
	h.report("alice@acme.example", "open-1", 1, 0, 0)
	h.report("alice@acme.example", "s1", 2, 61, 5000) // says other figures than the first stop of s1
	h.cleared(sessions + 3)

	list := h.ask("records list")
	require.Zero(t, list.code, list.errs)
	rows := lines(list.out)
	require.Len(t, rows, 1+sessions+1+1, list.out)
	assert.Regexp(t, `^NO +END +STATUS +CLIENT +HOME +SESSION +SECONDS +IN +OUT +BILL +NOTES$`, rows[0])
	assert.Regexp(t, `^1 +\S+Z +final +airport +acme.example +s0 +61 +1000 +2000 +yes +`, rows[1])
	assert.Regexp(t, `^6 .* \.\[31m\.\[2J\.evil\.column +61 `, rows[6])
	assert.Regexp(t, `^7 +\S+Z +correction +airport +acme.example +s1 +\d+ +4000 +8000 +yes .*stops_differ`, rows[7])
	assert.NotContains(t, list.out, "\x1b")
	assert.NotContains(t, list.out, "alice")

	for _, tt := range []struct {
		name, args string
		rows       int
	}{
		{"a page", "records list --after 2 --limit 2", 2},
		{"by session", "records list --session s1", 2},
		{"by status", "records list --status correction", 1},
		{"by realm", "records list --realm acme.example", 7},
		{"by another realm", "records list --realm other.example", 0},
		{"by client", "records list --client airport --billable", 7},
		{"not to be billed", "records list --unbillable", 0},
		{"by code", "records list --exception stops_differ", 1},
		{"in the future", "records list --since 2199-01-01", 0},
		{"in the past", "records list --until 2199-01-01T00:00:00Z", 7},
		{"found by session", "records search s1", 2},
		{"found by realm", "records search ACME.example", 7},
		{"found by client", "records search airport --limit 3", 3},
		{"found by code", "records search stops_differ", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := h.ask(tt.args)
			require.Zero(t, r.code, r.errs)
			n := len(lines(r.out)) - 1
			if r.out == "" {
				n = 0
			}
			assert.Equal(t, tt.rows, n, r.out)
		})
	}

	var first usage.Record
	require.NoError(t, json.Unmarshal([]byte(lines(h.ask("records list --json --limit 1").out)[0]), &first))
	device, err := first.User.MarshalText()
	require.NoError(t, err)
	assert.Len(t, lines(h.ask("records search "+string(device)).out), 1+7, "all of one user")

	explain := h.ask("records explain s1")
	require.Zero(t, explain.code, explain.errs)
	for _, want := range []string{"closed, 2 reports taken", "hub-1/2 ", "conflict (", "part 1, final", "corrects", "stops_differ: there is more than one Stop",
		"in all", "2 records: 61 s, 5000 octets in, 10000 octets out"} {
		assert.Contains(t, explain.out, want)
	}
	id, err := first.ID.MarshalText()
	require.NoError(t, err)
	var a account
	require.NoError(t, json.Unmarshal([]byte(h.ask("records explain "+string(id)+" --json").out), &a))
	assert.Equal(t, first.Session, a.Session)
	assert.Len(t, a.Reports, 1)

	sum := h.ask("records sums")
	assert.Zero(t, sum.code, sum.errs)
	for _, want := range []string{`reports +8`, `cleared +6`, `conflict +1`, `provisional +1`, `duplicate +0`, `open sessions +1`, `hub hub-1 .* up to 8 `} {
		assert.Regexp(t, want, sum.out)
	}
	for _, args := range []string{"records search nothing-like-it", "records explain nothing-like-it"} {
		r := h.ask(args)
		assert.Equal(t, exitProblem, r.code)
		assert.Contains(t, r.errs, `"nothing-like-it"`)
	}
	assert.Equal(t, "", h.ask("records dead").out)

	config := []string{"--config", h.path("roamgate.yaml")}
	busy := command(append([]string{"records", "list"}, config...)...)
	assert.Equal(t, exitProblem, busy.code)
	assert.Equal(t, "roamgate: the clearing store "+h.path("clearing")+" is in use by a process that runs (ask it without --config)\n", busy.errs)
	h.Stop()
	for args, want := range map[string]string{"records list": list.out, "records explain s1": explain.out, "records sums": sum.out} {
		offline := command(append(strings.Fields(args), config...)...)
		assert.Zero(t, offline.code, offline.errs)
		assert.Equal(t, want, offline.out, "the same with the hub stopped: %s", args)
	}
}

func TestRecordsExport(t *testing.T) {
	h := start(t, "")
	const sessions = 7
	for i := range sessions {
		require.Zero(t, h.stop("alice@acme.example", "s"+strconv.Itoa(i)).code)
	}
	h.cleared(sessions)
	whole := h.ask("records export").out
	require.Len(t, lines(whole), sessions)
	for _, l := range lines(whole) {
		_, err := usage.ReadRecord([]byte(l))
		assert.NoError(t, err)
	}
	table := h.ask("records export --format csv").out
	require.Len(t, lines(table), 1+sessions)

	for format, all := range map[string]string{"jsonl": whole, "csv": table} {
		t.Run("an interrupted "+format, func(t *testing.T) {
			out := h.path("export." + format)
			r := h.ask("records export --format " + format + " --out " + out)
			require.Zero(t, r.code, r.errs)
			again := h.ask("records export --format " + format + " --out " + out)
			assert.Equal(t, exitProblem, again.code)
			assert.Contains(t, again.errs, "is there already (--resume goes on with it)")
			for _, size := range []int{0, 10, len(all) / 3, len(all) / 2, len(all) - 1, len(all)} {
				require.NoError(t, os.WriteFile(out, []byte(all[:size]), 0o600))
				r := h.ask("records export --resume --format " + format + " --out " + out)
				require.Zero(t, r.code, r.errs)
				got, err := os.ReadFile(out)
				require.NoError(t, err)
				assert.Equal(t, all, string(got), "cut after %d octets", size)
			}
		})
	}

	t.Run("a file of something else", func(t *testing.T) {
		require.NoError(t, os.WriteFile(h.path("other"), []byte("dear diary\n"), 0o600))
		r := h.ask("records export --resume --out " + h.path("other"))
		assert.Equal(t, exitProblem, r.code)
		assert.Contains(t, r.errs, "cannot be continued")
		b, err := os.ReadFile(h.path("other"))
		require.NoError(t, err)
		assert.Equal(t, "dear diary\n", string(b))
	})

	t.Run("parquet in parts", func(t *testing.T) {
		dir := h.path("parquet")
		book := hubBook{&hubAddress{addr: h.admin.String()}}
		x := export{format: "parquet", out: dir, rows: 3}
		stop := errors.New("the power failed")
		cut := cutBook{hubBook: book, after: 4, err: stop}
		require.ErrorIs(t, x.parquet(t.Context(), cut, &progress{}), stop)
		assert.Equal(t, []string{"records-000000000001-000000000003.parquet"}, names(t, dir))
		require.Error(t, (&export{format: "parquet", out: dir, rows: 3}).parquet(t.Context(), book, &progress{}), "without --resume")
		x = export{format: "parquet", out: dir, rows: 3, resume: true}
		require.NoError(t, x.parquet(t.Context(), book, &progress{}))
		assert.Equal(t, []string{"records-000000000001-000000000003.parquet", "records-000000000004-000000000006.parquet",
			"records-000000000007-000000000007.parquet"}, names(t, dir))
		var sessions []string
		for _, name := range names(t, dir) {
			rows, err := parquet.ReadFile[struct {
				SessionID string `parquet:"session_id"`
			}](filepath.Join(dir, name))
			require.NoError(t, err)
			for _, r := range rows {
				sessions = append(sessions, r.SessionID)
			}
		}
		assert.Equal(t, []string{"s0", "s1", "s2", "s3", "s4", "s5", "s6"}, sessions)
	})
}

// cutBook breaks off behind a number of records.
type cutBook struct {
	hubBook
	after uint64
	err   error
}

func (b cutBook) records(ctx context.Context, q recordQuery, f func(uint64, *usage.Record) error) error {
	return b.hubBook.records(ctx, q, func(order uint64, r *usage.Record) error {
		if order > b.after {
			return b.err
		}
		return f(order, r)
	})
}

func names(t *testing.T, dir string) (all []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestRecordsWithoutStore(t *testing.T) {
	dir, path := configuration(t, nil)
	r := command("records", "list", "--config", path)
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "there is no clearing store: stat "+dir+"/clearing: no such file or directory")
	assert.NoDirExists(t, dir+"/clearing", "looking makes nothing")
}

func TestRecordsQuery(t *testing.T) {
	h := start(t, "")
	for query, want := range map[string]string{
		"?after=x":          "after: not a number\n",
		"?limit=0":          "limit: not a number of records\n",
		"?status=paid":      "status \"paid\" is none of final, partial, estimated, correction\n",
		"?device=12":        "device: a key has 32 hexadecimal digits, not 2 (records show it)\n",
		"?since=yesterday":  "since: \"yesterday\" is no time such as 2026-10-01 or 2026-10-01T15:00:00Z\n",
		"?until=2026-13-01": "until: \"2026-13-01\" is no time such as 2026-10-01 or 2026-10-01T15:00:00Z\n",
		"?billable=perhaps": "billable: neither true nor false\n",
		"/account?key=zz":   "key: a key has 32 hexadecimal digits, not 2\n",
		"/dead?limit=lots":  "limit: not a number of records\n",
	} {
		assert.Equal(t, want, h.page(400, "/usage"+query))
	}
	assert.Empty(t, h.page(200, "/usage"))
	assert.Equal(t, "null\n", h.page(200, "/usage/account?key=00000000000000000000000000000000"))
	assert.Equal(t, "[]\n", h.page(200, "/usage/dead"))
}

// TestSchema: what is published is what the program has.
func TestSchema(t *testing.T) {
	r := command("records", "schema")
	require.Zero(t, r.code, r.errs)
	assert.Equal(t, string(usage.Schema()), r.out)
	assert.True(t, json.Valid([]byte(r.out)))
}

// consumer starts `records consume` on a configuration.
func (h *rig) consumer(text string) (*peer.Process, netip.AddrPort) {
	h.t.Helper()
	admin := peer.Port(h.t)
	write(h.t, h.dir, map[string]string{"clearing.yaml": fmt.Sprintf("admin: {listen: %q}\n", admin) + text})
	p := peer.Start(h.t, "roamgate", exec.Command(h.bin, "records", "consume", "--config", h.path("clearing.yaml")))
	h.eventually("the consumer is ready", func() bool {
		require.False(h.t, p.Ended(), p.Output())
		code, _, err := peer.Page(admin, "/readyz")
		return err == nil && code == 200
	})
	return p, admin
}

// TestConsume: a consumer of its own takes what the hub queues, dies and goes
// on, with an effect as if nothing had been.
func TestConsume(t *testing.T) {
	peer.Need(t, "redis-server")
	store := peer.StartRedis(t, false)
	queue := fmt.Sprintf("redis: {address: %q}\n", store.Addr)
	h := start(t, queue)
	text := queue + "clearing: {directory: all}\n"
	p, admin := h.consumer(text)
	at := func() *sums {
		var s sums
		_ = json.Unmarshal([]byte(command("records", "sums", "--json", "--admin", admin.String()).out), &s)
		return &s
	}
	require.Zero(t, h.stop("alice@acme.example", "one").code)
	h.eventually("the first record is cleared", func() bool { return at().Reports == 1 })
	p.Kill()
	require.Zero(t, h.stop("alice@acme.example", "two").code)
	p, admin = h.consumer(text)
	write(t, h.dir, map[string]string{"second.yaml": fmt.Sprintf("admin: {listen: %q}\n", peer.Port(t)) + text})
	second := command("records", "consume", "--config", h.path("second.yaml"))
	assert.Equal(t, exitProblem, second.code)
	assert.Equal(t, "roamgate: the clearing store "+h.path("all")+" is in use by a process that runs (two that clear need a directory each, or one PostgreSQL)\n", second.errs)
	require.Zero(t, h.stop("alice@acme.example", "three").code)
	h.eventually("all are cleared", func() bool { return at().Classes["cleared"] == 3 })
	assert.Equal(t, map[string]int64{"cleared": 3, "duplicate": 0, "conflict": 0, "rejected": 0, "provisional": 0}, at().Classes)
	h.eventually("the hub knows", func() bool {
		return strings.Contains(h.page(200, "/metrics"), "roamgate_queue_lag_records 0\n")
	})
	r := h.ask("records list")
	assert.Equal(t, exitProblem, r.code, "the hub itself has no store")
	stream := store.Do("SMEMBERS", "clr:streams:{hub-1}").([]any)[0].(string)
	_, epoch, _ := strings.Cut(stream, "}:")
	store.Do("XADD", stream, "1000000-"+epoch, "subject", "buy now")
	h.eventually("a foreign entry is dead", func() bool { return at().Dead == 1 })
	dead := command("records", "dead", "--admin", admin.String())
	assert.Regexp(t, `(?m)^1 +\S+Z +foreign `, dead.out)
	assert.Equal(t, exitProblem, command("records", "sums", "--admin", admin.String()).code, "somebody must look")
	p.Stop()
	config := h.path("clearing.yaml")
	retry := command("records", "dead", "retry", "--all", "--config", config)
	assert.Equal(t, exitProblem, retry.code, retry.out)
	drop := command("records", "dead", "drop", "1", "--config", config)
	assert.Zero(t, drop.code, drop.errs)
	assert.Equal(t, "1: dropped\n", drop.out)
	assert.Zero(t, command("records", "sums", "--config", config).code)
}

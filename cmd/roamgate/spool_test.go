package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting/spool"
)

// answered runs a command with something typed in.
func answered(in string, args ...string) result {
	var out, errs bytes.Buffer
	c := root()
	c.SetArgs(args)
	c.SetIn(strings.NewReader(in))
	c.SetOut(&out)
	c.SetErr(&errs)
	if err := c.ExecuteContext(context.Background()); err != nil {
		return result{exitProblem, out.String(), err.Error()}
	}
	return result{0, out.String(), errs.String()}
}

// TestSpoolCommands looks into a spool, damages it, and repairs it.
func TestSpoolCommands(t *testing.T) {
	h := start(t, "")
	const sessions = 5
	for i := range sessions {
		require.Zero(t, h.stop("alice@acme.example", "s"+strconv.Itoa(i)).code)
	}
	dump := h.ask("spool dump")
	require.Zero(t, dump.code, dump.errs)
	assert.Len(t, strings.Split(strings.TrimSpace(dump.out), "\n"), sessions)
	table := lines(h.ask("spool dump --table --from 2").out)
	require.Len(t, table, sessions)
	assert.Regexp(t, `^SEQ +EVENT TIME +KIND +CLIENT +REALM +SESSION +SECONDS +IN +OUT +NOTE$`, table[0])
	assert.Regexp(t, `^2 +\S+Z +stop +airport +acme.example +s1 +61 +1000 +2000`, table[1])
	assert.Equal(t, exitUsage, h.ask("spool dump --table --raw").code)
	spoolDir := h.path("spool")
	on := func(words ...string) result {
		return command(append(append([]string{"spool"}, words...), "--config", h.path("roamgate.yaml"))...)
	}
	for _, words := range [][]string{{"ls"}, {"verify"}, {"repair", "--yes"}, {"dump"}} {
		busy := on(words...)
		assert.Equal(t, exitProblem, busy.code)
		assert.Contains(t, busy.errs, "roamgate: the spool "+spoolDir+" is in use: a hub is running (")
	}

	h.Stop()
	assert.Equal(t, dump.out, on("dump").out)
	ls := on("ls")
	require.Zero(t, ls.code, ls.errs)
	assert.Regexp(t, `(?m)^records +1 to 5$`, ls.out)
	assert.Regexp(t, `(?m)^FILE +KIND +OCTETS +CHANGED$`, ls.out)
	assert.Regexp(t, `(?m)^acked +witness +[0-9]+ `, ls.out)
	var v spool.Inventory
	require.NoError(t, json.Unmarshal([]byte(on("ls", "--json").out), &v))
	assert.Equal(t, []uint64{1, 5}, []uint64{v.First, v.Last})
	assert.Regexp(t, `^OK: 5 records, 1 to 5, [0-9] undelivered, [0-9] owed, 0 dead letters\n$`, on("verify").out)
	assert.Equal(t, "the spool is whole: there is nothing to repair\n", on("repair").out)

	// Every session id in place is overwritten, in log and table: one record
	// of five cannot be read wherever it stands.
	spoil(t, spoolDir, "s2")
	bad := on("verify")
	assert.Equal(t, exitProblem, bad.code)
	assert.Contains(t, bad.errs, "the spool is damaged")
	assert.Contains(t, bad.errs, "roamgate spool repair")
	assert.Regexp(t, `(?m)^lost +[1-5] records?: `, bad.out)
	no := answered("no\n", "spool", "repair", "--config", h.path("roamgate.yaml"))
	assert.Equal(t, result{exitProblem, bad.out + "Make a new spool of what is readable? Type yes: ", "nothing was changed"}, no)
	yes := answered("yes\n", "spool", "repair", "--config", h.path("roamgate.yaml"))
	require.Zero(t, yes.code, yes.errs)
	assert.Contains(t, yes.out, spoolDir+" is a new spool with ")
	kept, err := filepath.Glob(spoolDir + ".damaged-*")
	require.NoError(t, err)
	assert.Len(t, kept, 1)
	whole := on("verify")
	require.Zero(t, whole.code, whole.errs)
	// Records that were committed together stand and fall together in the log.
	assert.Regexp(t, `(?m)^lost +(3|[1-3] to [3-5])\b`, on("ls").out)
	assert.NotContains(t, on("dump").out, `"seq":3,`)

	h.serve()
	require.Zero(t, h.stop("alice@acme.example", "after").code)
	assert.Contains(t, h.ask("spool dump").out, `"seq":6,`)
}

// spoil changes the text wherever it stands in the files of a spool.
func spoil(t *testing.T, dir, text string) {
	t.Helper()
	files, err := spool.Files(dir, nil)
	require.NoError(t, err)
	n := 0
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		if f.Kind == "log" && bytes.Contains(b, []byte(text)) {
			n++
			require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(b, []byte(text), []byte("XX")), 0o600))
		}
		if f.Kind == "table" { // compressed: the whole of it
			n++
			require.NoError(t, os.WriteFile(path, make([]byte, len(b)), 0o600))
		}
	}
	require.Positive(t, n)
}

// TestSpoolWithoutSpool: looking makes nothing.
func TestSpoolWithoutSpool(t *testing.T) {
	dir, path := configuration(t, nil)
	for _, words := range []string{"ls", "verify", "repair"} {
		r := command("spool", words, "--config", path)
		assert.Equal(t, exitProblem, r.code)
		assert.Contains(t, r.errs, "no such file or directory", words)
		assert.NoDirExists(t, dir+"/spool")
	}
}

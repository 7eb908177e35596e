package main

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

func TestRecords(t *testing.T) {
	h := start(t, "")
	const sessions = 5
	for i := range sessions {
		require.Zero(t, h.stop("alice@acme.example", "s"+strconv.Itoa(i)).code)
	}
	// A session id that would paint the terminal red and clear it.
	require.Zero(t, h.stop("alice@acme.example", "\x1b[31m\x1b[2J\u202eevil\tcolumn").code)

	live := h.ask("records list")
	require.Zero(t, live.code, live.errs)
	rows := strings.Split(strings.TrimSpace(live.out), "\n")
	require.Len(t, rows, 1+sessions+1)
	assert.Regexp(t, `^SEQ +EVENT TIME +KIND +CLIENT +REALM +SESSION +SECONDS +IN +OUT +NOTE$`, rows[0])
	assert.Regexp(t, `^1 +\S+Z +stop +airport +acme.example +s0 +61 +1000 +2000`, rows[1])
	assert.Regexp(t, `^6 .* \.\[31m\.\[2J\.evil\.column +61 `, rows[6])
	assert.NotContains(t, live.out, "\x1b")

	part := h.ask("records list --from 3 --limit 2")
	assert.Len(t, strings.Split(strings.TrimSpace(part.out), "\n"), 3)
	assert.Contains(t, part.out, " s2 ")

	export := h.ask("records export")
	assert.Len(t, strings.Split(strings.TrimSpace(export.out), "\n"), sessions+1)
	assert.NotContains(t, export.out, "alice")
	assert.NotContains(t, export.out, `"raw"`)

	show := h.ask("records show 2")
	require.Zero(t, show.code, show.errs)
	assert.Equal(t, strings.Split(export.out, "\n")[1]+"\n", show.out)
	raw := h.ask("records show 2 --raw")
	assert.Equal(t, exitProblem, raw.code)
	assert.Equal(t, "roamgate: the hub says: packets hold identities: this hub shows them only with privacy.plain\n", raw.errs)
	assert.Empty(t, raw.out)

	none := h.ask("records show 99")
	assert.Equal(t, exitProblem, none.code)
	assert.Equal(t, "roamgate: there is no record 99\n", none.errs)

	config := []string{"--config", h.path("roamgate.yaml")}
	busy := command(append([]string{"records", "list"}, config...)...)
	assert.Equal(t, exitProblem, busy.code)
	assert.Equal(t, "roamgate: the spool "+h.path("spool")+" is in use: a hub is running (ask it without --config)\n", busy.errs)
	assert.Empty(t, busy.out)

	h.Stop()
	for _, args := range []string{"records list", "records export", "records show 2", "records list --from 3 --limit 2"} {
		offline := command(append(strings.Fields(args), config...)...)
		assert.Zero(t, offline.code, offline.errs)
		want := map[string]string{"records list": live.out, "records export": export.out, "records show 2": show.out,
			"records list --from 3 --limit 2": part.out}[args]
		assert.Equal(t, want, offline.out, "the same with the hub stopped: %s", args)
	}
	assert.Equal(t, "s1", rawSession(t, command(append([]string{"records", "show", "2", "--raw"}, config...)...).out))
}

// rawSession reads the Acct-Session-Id in the packet of a record.
func rawSession(t *testing.T, line string) string {
	var rec struct{ Raw string }
	require.NoError(t, json.Unmarshal([]byte(line), &rec))
	octets, err := base64.StdEncoding.DecodeString(rec.Raw)
	require.NoError(t, err)
	p := new(radius.Packet)
	require.Equal(t, radius.OK, p.Parse(octets))
	session, _ := p.First(radius.AcctSessionID)
	return string(session)
}

func TestRecordsWithoutSpool(t *testing.T) {
	dir, path := configuration(t, nil)
	r := command("records", "list", "--config", path)
	assert.Equal(t, exitProblem, r.code)
	assert.Equal(t, "roamgate: reading the identity key: open "+dir+"/spool/identity.key: no such file or directory (has a hub run with this configuration?)\n", r.errs)
	assert.NoDirExists(t, dir+"/spool", "looking makes nothing")
}

func TestRecordsQuery(t *testing.T) {
	h := start(t, "")
	assert.Equal(t, "from: not a sequence number\n", h.page(400, "/records?from=x"))
	assert.Equal(t, "limit: not a number of records\n", h.page(400, "/records?limit=0"))
	assert.Empty(t, h.page(200, "/records"))
}

package interop

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// sessionName makes the Acct-Session-Id of the n-th session of a worker, of
// one length for all.
func sessionName(worker, n int) string { return fmt.Sprintf("stop-%02d-%06d", worker, n) }

// sessionField finds these sessions in the JSON lines of a batch.
var sessionField = regexp.MustCompile(`"session_id":"(stop-\d{2}-\d{6})"`)

// streams is the set of the hub's streams, a documented key.
const streams = "clr:streams:{" + peer.Node + "}"

// clearing is a consumer of the clearing queue that knows Redis only.
type clearing struct {
	t     *testing.T
	redis *peer.Redis
	known map[string]bool
	seen  map[string]int // deliveries of each session
}

func newClearing(t *testing.T, r *peer.Redis) *clearing {
	return &clearing{t: t, redis: r, known: map[string]bool{}, seen: map[string]int{}}
}

// read takes what waits, with a plain XREADGROUP, and counts the sessions.
func (c *clearing) read() {
	c.t.Helper()
	for _, key := range c.redis.Do("SMEMBERS", streams).([]any) {
		stream := key.(string)
		if !c.known[stream] {
			c.redis.Do("XGROUP", "CREATE", stream, "clearing", "0", "MKSTREAM")
			c.known[stream] = true
		}
		for c.take(stream, c.redis.Do("XREADGROUP", "GROUP", "clearing", "test", "COUNT", "64", "STREAMS", stream, ">")) {
		}
	}
}

// take counts what one XREADGROUP gave, and acknowledges it. It is false when
// there was nothing.
func (c *clearing) take(stream string, answer any) bool {
	c.t.Helper()
	if answer == nil {
		return false
	}
	for _, e := range answer.([]any)[0].([]any)[1].([]any) {
		entry := e.([]any)
		for _, field := range entry[1].([]any) {
			for _, m := range sessionField.FindAllStringSubmatch(field.(string), -1) {
				c.seen[m[1]]++
			}
		}
		c.redis.Do("XACK", stream, "clearing", entry[0].(string))
	}
	return true
}

// has tells whether every one of the sessions has arrived.
func (c *clearing) has(sessions ...string) bool {
	c.t.Helper()
	c.read()
	for _, s := range sessions {
		if c.seen[s] == 0 {
			return false
		}
	}
	return true
}

// exported counts the stop records that the hub's own command shows by session,
// without those it marks as repetitions.
func exported(t *testing.T, hub *peer.Hub) map[string]int {
	t.Helper()
	r := hub.Command("spool", "dump", "--admin", hub.Admin.String())
	require.Zero(t, r.Code, r.Stderr)
	count := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(r.Stdout), "\n") {
		if line == "" {
			continue
		}
		var record struct {
			Kind    string `json:"kind"`
			Session string `json:"session_id"`
			Of      uint64 `json:"duplicate_of"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		if strings.EqualFold(record.Kind, "stop") && record.Of == 0 {
			count[record.Session]++
		}
	}
	return count
}

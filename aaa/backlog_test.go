package aaa

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A queue that stands is as long as what is read of it in a quarter of a
// second; one that was empty for a moment is left as it is.
func TestBacklog(t *testing.T) {
	const most = 4 << 20
	b := backlog{buffer: most}
	now := int64(0)
	look := func(after int64, heard int, waiting bool) int {
		now += after
		b.heard += heard
		return b.look(now, waiting, most)
	}
	for _, tt := range []struct {
		name    string
		after   int64 // ns since the step before
		heard   int
		waiting bool
		want    int
	}{
		{"quiet", backlogLook, 10_000, false, 0},
		{"not yet", backlogLook / 2, 500, true, 0},
		{"empty once", backlogLook / 2, 500, false, 0},
		{"a slow shard", backlogLook, 2000, true, 2000 * backlogEach},
		{"about the same", backlogLook, 2200, true, 0},
		{"twice the time, as many", 2 * backlogLook, 1500, true, 750 * backlogEach},
		{"hardly anything", backlogLook, 3, true, backlogMin},
		{"faster", backlogLook, 4000, true, 4000 * backlogEach},
		{"a fast shard", backlogLook, 100_000, true, most},
		{"slow again", backlogLook, 1000, true, 1000 * backlogEach},
		{"over", backlogLook, 1000, false, most},
		{"and stays so", backlogLook, 0, false, 0},
	} {
		assert.Equal(t, tt.want, look(tt.after, tt.heard, tt.waiting), tt.name)
	}
}

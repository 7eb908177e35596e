package arch

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What runs once for each attribute, counter or packet must stay cheap enough
// to be inlined: a call each would cost more than its work.
func TestHotLeavesInline(t *testing.T) {
	for dir, names := range map[string][]string{
		"pkg/radius": {
			"(*Packet).Next", "(*Packet).First", "(*Packet).Has", "(*Packet).Uint32",
			"(*Writer).Raw", "(*Writer).Add", "(*Drop).Has", "Attr.Value", "(*stream).xor", "subAttributes", "eapHeader", "frame",
		},
		"pkg/radius/lanes": {"(*Batch).Write", "(*Batch).Sum", "(*Batch).Room"},
		"pkg/stat":         {"(*Shard).Add"},
		"pkg/udp":          {"(*Batch).Data", "(*Batch).Addr", "(*Batch).Local", "(*Batch).Pending", "(*Queue).Pending", "(*Queue).Commit"},
		"aaa":              {"(*slab).at", "(*slab).resolve", "(*slab).token", "(*arrival).urgent", "spread"},
		"aaa/admit":        {"(*Share).Seen"},
		"aaa/dedup":        {"(*index).match", "(*index).insert", "(*Cache).pending", "(*ring).data"},
		"aaa/device":       {"(*slots).find", "(*slots).read", "Key.words"},
		"aaa/traffic":      {"(*Table).chosen", "(*Key).choose"},
		"aaa/home":         {"(*View).FromAddr", "(*View).Home", "(*Pace).Paced", "(*Pace).Queued", "(*State).Health", "(*Pool).Bit"},
	} {
		out, err := exec.Command("go", "build", "-gcflags=-m", "../../"+dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
		for _, name := range names {
			assert.Regexp(t, `(?m)can inline \Q`+name+`\E$`, string(out), "in %s", dir)
		}
	}
}

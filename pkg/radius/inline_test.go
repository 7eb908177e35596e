package radius_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The leaves that run once per attribute must stay cheap enough to be inlined:
// a call each would cost more than their work.
func TestHotLeavesInline(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{
		"(*Packet).Next", "(*Packet).First", "(*Packet).Has", "(*Packet).Uint32",
		"(*Writer).Raw", "(*Writer).Add", "(*Drop).Has", "Attr.Value", "(*stream).xor", "subAttributes", "eapHeader", "frame",
	} {
		assert.Regexp(t, `(?m)can inline \Q`+name+`\E$`, string(out))
	}
}

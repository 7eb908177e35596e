package huge

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOctetsAreOnHugePages asks the kernel, where it has huge pages to give.
func TestOctetsAreOnHugePages(t *testing.T) {
	mode, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || bytes.Contains(mode, []byte("[never]")) {
		t.Log("the kernel has no transparent huge pages: nothing to see")
		return
	}
	b := Octets(64 << 20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	flagged := false
	for line := range strings.Lines(string(maps)) {
		flagged = flagged || strings.HasPrefix(line, "VmFlags:") && strings.Contains(line, " hg")
	}
	assert.True(t, flagged, "some memory is advised")
}

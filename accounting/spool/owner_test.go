package spool

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOwner: a spool belongs to the first node that names itself.
func TestOwner(t *testing.T) {
	mem := vfs.NewMem()
	open := func(node string, readOnly bool) (string, error) {
		o := testOptions(mem)
		o.Node, o.ReadOnly = node, readOnly
		s, err := Open("spool", o)
		if err != nil {
			return "", err
		}
		defer func() { require.NoError(t, s.Close()) }()
		return s.Node(), nil
	}
	for _, step := range []struct {
		name, node string
		readOnly   bool
		owner      string
		says       string
	}{
		{"before nodes had names", "", false, "", ""},
		{"looking names nobody", "hub-2", true, "", ""},
		{"the first", "hub-1", false, "hub-1", ""},
		{"again", "hub-1", false, "hub-1", ""},
		{"another", "hub-2", false, "", `that of "hub-1", not of "hub-2" (each node needs a spool of its own;`},
		{"another looks", "hub-2", true, "", `that of "hub-1", not of "hub-2"`},
		{"anybody looks", "", true, "hub-1", ""},
		{"still the first", "hub-1", false, "hub-1", ""},
	} {
		owner, err := open(step.node, step.readOnly)
		if step.says != "" {
			require.ErrorIs(t, err, ErrOwner, step.name)
			assert.ErrorContains(t, err, step.says, step.name)
			continue
		}
		require.NoError(t, err, step.name)
		assert.Equal(t, step.owner, owner, step.name)
	}
}

// TestTwoProcesses: the second process on a spool is refused, and the first
// goes on undisturbed.
func TestTwoProcesses(t *testing.T) {
	const child = "ROAMGATE_TEST_SECOND_PROCESS"
	if dir := os.Getenv(child); dir != "" {
		for _, readOnly := range []bool{false, true} {
			o := testOptions(nil)
			o.ReadOnly = readOnly
			_, err := Open(dir, o)
			require.ErrorIs(t, err, syscall.EAGAIN)
			require.ErrorContains(t, err, "in use?")
		}
		return
	}
	dir := t.TempDir()
	s, err := Open(dir, testOptions(nil))
	require.NoError(t, err)
	require.NoError(t, put(t, s, false, "before").Err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestTwoProcesses$", "-test.v")
	cmd.Env = append(os.Environ(), child+"="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestTwoProcesses")
	require.NoError(t, put(t, s, false, "after").Err)
	assert.Len(t, all(t, s), 2)
	require.NoError(t, s.Close())
}

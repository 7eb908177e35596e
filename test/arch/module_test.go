package arch

import (
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write modules.txt anew")

const (
	// maxModules bounds what an operator has to trust in one binary.
	maxModules  = 65 // DTLS came with three: github.com/pion/dtls, logging and transport
	modulesFile = "modules.txt"
)

// TestLinkedModules compares the modules linked into roamgate with the list
// under review. A new one shows in the diff of modules.txt.
func TestLinkedModules(t *testing.T) {
	if _, err := os.Stat("../../cmd/roamgate/main.go"); os.IsNotExist(err) {
		return // nothing is linked yet
	}
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/roamgate")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOFLAGS=-buildvcs=false")
	out, err := cmd.Output()
	require.NoError(t, err, "go list -deps ./cmd/roamgate")
	linked := strings.Fields(string(out))
	slices.Sort(linked)
	linked = slices.DeleteFunc(slices.Compact(linked), func(m string) bool { return m == module })

	assert.LessOrEqual(t, len(linked), maxModules, "modules linked into roamgate: %v", linked)
	if *update {
		require.NoError(t, os.WriteFile(modulesFile, []byte(strings.Join(linked, "\n")+"\n"), 0o644))
	}
	want, err := os.ReadFile(modulesFile)
	require.NoError(t, err, "go test ./test/arch -run TestLinkedModules -update writes it")
	assert.Equal(t, strings.Fields(string(want)), linked,
		"the linked modules changed; if that is meant: go test ./test/arch -run TestLinkedModules -update")
}

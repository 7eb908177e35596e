//go:build bench

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSideBySide is the end of `make bench`: bin/roamgate has been built.
func TestSideBySide(t *testing.T) {
	o, err := parseOptions([]string{"--roamgate", "../../bin/roamgate", "--out", "RESULTS.md"})
	require.NoError(t, err)
	o.command = "make bench"
	require.NoError(t, compare(t.Context(), o))
}

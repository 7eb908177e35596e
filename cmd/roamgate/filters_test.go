package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm/file"
)

// What is shown can be copied: under another name it is a routing file.
func TestFilters(t *testing.T) {
	names := strings.Fields(ok(t, "filters"))
	assert.Equal(t, []string{"eap-only", "eduroam", "privacy", "strip-tunnel", "wrix-i"}, names)
	for _, name := range names {
		dir := t.TempDir()
		write(t, dir, map[string]string{"a.yaml": strings.Replace(ok(t, "filters", name), "- name: "+name, "- name: copy", 1)})
		set, ps := file.Load(dir, nil)
		require.NoError(t, ps.Err(), name)
		assert.Len(t, set.Filters[0].Rules, len(file.Profile(name).Rules), name)
	}
	r := command("filters", "none")
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "eap-only, eduroam, privacy, strip-tunnel, wrix-i")
	assert.Equal(t, exitUsage, command("filters", "one", "two").code)
}

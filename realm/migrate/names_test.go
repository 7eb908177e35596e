package migrate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/realm/migrate"
)

func TestNamesOfHostileOriginals(t *testing.T) {
	var n migrate.Names
	for _, tc := range []struct{ original, want string }{
		{"a", "a"}, {"A", "A-2"}, {"a-3", "a-3"}, {"a", "a-4"}, {"../../etc/passwd", "etc-passwd"}, {"..", "unnamed"}, {"\x00\n", "unnamed-2"},
		{strings.Repeat("x", 100), strings.Repeat("x", 60)},
	} {
		assert.Equal(t, tc.want, n.Make(tc.original), tc.original)
	}
	// As many of one name as a file can hold take no longer than others.
	for i := range 200_000 {
		assert.Equal(t, fmt.Sprint("unnamed-", i+3), n.Make("."))
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestC53Generator (C53): a secret is supplied that nobody guesses and the files take.
func TestC53Generator(t *testing.T) {
	first := ok(t, "secret")
	assert.Len(t, strings.TrimSpace(first), 32)
	assert.NotEqual(t, first, ok(t, "secret"))
	assert.Len(t, strings.TrimSpace(ok(t, "secret", "--octets", "126")), 252)
	for _, n := range []string{"15", "127", "many"} {
		assert.Equal(t, exitUsage, command("secret", "--octets", n).code, n)
	}
}

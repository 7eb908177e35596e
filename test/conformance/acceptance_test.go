package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// accepted are the rows of acceptance.md, in its order.
var accepted = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "15"}

// acceptance is one row of acceptance.md.
type acceptance struct {
	number, what, proof, long, result string
}

func acceptances(t *testing.T) (all []acceptance) {
	t.Helper()
	text, err := os.ReadFile("acceptance.md")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !regexp.MustCompile(`^\| \d`).MatchString(line) {
			continue
		}
		require.Len(t, cells, 5, "cells of %q", line)
		all = append(all, acceptance{strings.TrimPrefix(cells[0], "| "), cells[1], cells[2], cells[3], strings.TrimSuffix(cells[4], " |")})
	}
	return all
}

func TestEveryAcceptanceHasOneRow(t *testing.T) {
	var numbers []string
	for _, a := range acceptances(t) {
		numbers = append(numbers, a.number)
		assert.NotEmpty(t, a.what, a.number)
		assert.NotEmpty(t, a.result, a.number)
	}
	assert.Equal(t, accepted, numbers)
}

// TestEveryAcceptanceIsShown: what is named exists, and says which row it
// shows.
func TestEveryAcceptanceIsShown(t *testing.T) {
	for _, a := range acceptances(t) {
		says := regexp.MustCompile(`\brow ` + a.number + `\b`)
		proofs := row{proof: a.proof}.proofs()
		assert.NotEmpty(t, proofs, "row %s is shown by nothing", a.number)
		for _, proof := range proofs {
			text, err := read(proof)
			if assert.NoError(t, err, "row %s names %s", a.number, proof) {
				assert.True(t, says.MatchString(text), "row %s names %s, which does not say so", a.number, proof)
			}
		}
	}
}

// TestLongForms: the command of a row has targets, packages and variables that
// there are, and where it chooses tests it chooses some that the row names.
func TestLongForms(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	require.NoError(t, err)
	for _, a := range acceptances(t) {
		m := quoted.FindStringSubmatch(a.long)
		if !assert.NotNil(t, m, "row %s has no command", a.number) {
			continue
		}
		command := strings.ReplaceAll(m[1], `\|`, "|")
		if target, ok := strings.CutPrefix(command, "make "); ok {
			name, _, _ := strings.Cut(target, " ")
			assert.Regexp(t, `(?m)^`+name+`:.*## `, string(makefile), "row %s", a.number)
			continue
		}
		c := regexp.MustCompile(`^(?:([A-Z_]+)=\d+ )?go test .*-(?:run|bench) '?([^ '^]+)'? .*\./(\S+)$`).FindStringSubmatch(command)
		if !assert.NotNil(t, c, "row %s: what is %s?", a.number, command) {
			continue
		}
		variable, folder := c[1], c[3]
		chosen, named := regexp.MustCompile(c[2]), 0
		for _, proof := range (row{proof: a.proof}).proofs() {
			if in, name, _ := strings.Cut(proof, "."); in == folder && chosen.MatchString(name) {
				named++
			}
		}
		assert.Positive(t, named, "row %s: %s runs nothing that it names", a.number, command)
		assert.True(t, variable == "" || knows(t, folder, variable), "row %s: nobody in %s reads %s", a.number, folder, variable)
	}
}

// knows tells whether a test in folder has the name of a variable of the
// environment in quotes.
func knows(t *testing.T, folder, variable string) bool {
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(folder), "*_test.go"))
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		if strings.Contains(string(b), `"`+variable+`"`) {
			return true
		}
	}
	return false
}

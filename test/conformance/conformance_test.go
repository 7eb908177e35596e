// Package conformance keeps conformance.md true: the table of what the RFCs
// oblige a RADIUS proxy to do and which test proves each row.
//
// Every number from C1 to C51 has one row, and so have those of routing, dynamic
// authorisation and Diameter. The rows D1 and so on are what an agent of Diameter
// does with a message, from its header to its way back. Every test that a row names exists,
// and says itself that it proves that number: in its doc comment, its body, or
// beside the case in a file of vectors. Rows that nothing proves yet are
// counted, and the count may only fall.
//
// acceptance.md is the same for what accounting is accepted by: its rows name
// tests, benchmarks and the command of their long form.
//
// Nothing here touches packets. The RFC sections stand in the table.
package conformance

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	last = 51
	// maxOpen is lowered with every row that is proven, never raised.
	maxOpen = 0
)

// further numbers have a row each behind those.
var further = []int{53, 55, 56, 57, 58, 59, 60, 67, 72, 75, 76, 88, 89, 90, 91, 92, 93, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124}

type row struct {
	number, rfc, what, proof, peer string
}

// proofs are the tests and vector files that the row names.
func (r row) proofs() []string {
	var all []string
	for _, m := range quoted.FindAllStringSubmatch(r.proof, -1) {
		all = append(all, m[1])
	}
	return all
}

var quoted = regexp.MustCompile("`([^`]+)`")

func rows(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile("conformance.md")
	require.NoError(t, err)
	var all []row
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| C") && !strings.HasPrefix(line, "| D") {
			continue
		}
		require.Len(t, cells, 5, "cells of %q", line)
		all = append(all, row{strings.TrimPrefix(cells[0], "| "), cells[1], cells[2], cells[3], strings.TrimSuffix(cells[4], " |")})
	}
	return all
}

func TestEveryNumberHasOneRow(t *testing.T) {
	open := 0
	all := rows(t)
	have, before := map[int]bool{}, map[byte]int{}
	for _, r := range all {
		n, err := strconv.Atoi(r.number[1:])
		require.NoError(t, err, r.number)
		kind := r.number[0]
		assert.Greater(t, n, before[kind], "rows stand in the order of their numbers, each once: %s", r.number)
		before[kind] = n
		if kind == 'C' {
			have[n] = true
		}
		assert.Regexp(t, `^(\d{4}|dep|bis|reverse-coa|status-realm|reject-cache|FS\.19|\d\d\.\d{3}) §`, r.rfc, r.number)
		assert.NotEmpty(t, r.what, r.number)
		assert.NotEmpty(t, r.peer, r.number)
		switch {
		case r.proof == "open":
			open++
		case !strings.HasPrefix(r.proof, "not UDP: "):
			assert.NotEmpty(t, r.proofs(), "%s is proven by nothing: write `pkg.Test`, a vector file, open, or not UDP: why", r.number)
		}
	}
	for n := 1; n <= last; n++ {
		assert.True(t, have[n], "C%d has no row", n)
	}
	for _, n := range further {
		assert.True(t, have[n], "C%d has no row", n)
	}
	assert.Equal(t, maxOpen, open, "rows that are open: lower maxOpen when one is proven")
}

// TestEveryProofExists keeps false names out of the table.
func TestEveryProofExists(t *testing.T) {
	for _, r := range rows(t) {
		says := regexp.MustCompile(`\b` + r.number + `\b`)
		for _, proof := range r.proofs() {
			text, err := read(proof)
			if !assert.NoError(t, err, "%s names %s", r.number, proof) {
				continue
			}
			assert.True(t, says.MatchString(text), "%s names %s, which does not say that it proves %s", r.number, proof, r.number)
		}
	}
}

// read returns the text of a proof: a file of vectors, or a test function with
// its comment, written as folder.TestName.
func read(proof string) (string, error) {
	root := filepath.Join("..", "..")
	if strings.HasSuffix(proof, ".txt") {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(proof)))
		return string(b), err
	}
	folder, name, ok := strings.Cut(proof, ".")
	if !ok {
		return "", fmt.Errorf("%s is neither folder.TestName nor a file of vectors", proof)
	}
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		text, err := function(file, name)
		if text != "" || err != nil {
			return text, err
		}
	}
	return "", fmt.Errorf("no %s in the tests of %s", name, folder)
}

// function returns a top-level test or fuzz function of a file, "" when it is
// not there.
func function(file, name string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, text, parser.ParseComments)
	if err != nil {
		return "", err
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || fn.Name.Name != name || !isTest(name) {
			continue
		}
		from := fn.Pos()
		if fn.Doc != nil {
			from = fn.Doc.Pos()
		}
		return string(text[fset.Position(from).Offset:fset.Position(fn.End()).Offset]), nil
	}
	return "", nil
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") || strings.HasPrefix(name, "Benchmark")
}

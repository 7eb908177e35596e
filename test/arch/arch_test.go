// Package arch checks what holds for the repository as a whole and no compiler
// checks: the direction of imports between the rooms, which rooms may use
// which foreign module, that every package says what it is, the names and
// lengths of files, the habits of tests, and the budget of linked modules.
//
// It reads the source as it lies in the work tree, for every operating system
// and build tag at once. A room that does not exist yet is no failure. Every
// failure names the file, the line and what to do instead.
//
// The rules are those of the project's layout and style; change a rule here
// only together with the package docs that explain it. It tests no behaviour.
package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/roamgate/roamgate"

// source is one Go file of the repository.
type source struct {
	name      string // slash path from the root
	room      string // its folder, "." for the root
	test      bool   // compiled for tests only
	generated bool
	lines     int
	syntax    *ast.File
	fset      *token.FileSet
}

// at gives file:line of a node.
func (s *source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", s.name, p.Line)
}

// imports tells whether the file imports a package.
func (s *source) imports(path string) bool {
	return slices.ContainsFunc(s.syntax.Imports, func(spec *ast.ImportSpec) bool {
		return spec.Path.Value == strconv.Quote(path)
	})
}

// sources are all Go files that git does not ignore.
func sources(t *testing.T) []*source {
	t.Helper()
	all, err := readSources()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

var readSources = sync.OnceValues(func() ([]*source, error) {
	root := filepath.Join("..", "..")
	ignored := ignoredRooms(root)
	var all []*source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			base := d.Name()
			if rel != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "vendor" || ignored[rel]) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		s, err := readSource(name, rel)
		if err == nil {
			all = append(all, s)
		}
		return err
	})
	return all, err
})

func readSource(name, rel string) (*source, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, rel, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &source{
		name: rel, room: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"),
		generated: ast.IsGenerated(f), lines: bytes.Count(text, []byte("\n")), syntax: f, fset: fset,
	}, nil
}

// ignoredRooms asks git for the folders that are no part of the repository.
// Without git there are none.
func ignoredRooms(root string) map[string]bool {
	cmd := exec.Command("git", "ls-files", "--others", "--ignored", "--exclude-standard", "--directory")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	rooms := map[string]bool{}
	for _, line := range strings.Split(string(out), "\n") {
		if dir, ok := strings.CutSuffix(line, "/"); ok {
			rooms[dir] = true
		}
	}
	return rooms
}

// within tells whether room is one of the folders or lies below one.
func within(room string, folders ...string) bool {
	for _, f := range folders {
		if room == f || strings.HasPrefix(room, f+"/") {
			return true
		}
	}
	return false
}

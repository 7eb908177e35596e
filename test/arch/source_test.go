package arch

import (
	"go/ast"
	"maps"
	"path"
	"regexp"
	"strings"
	"testing"
)

const (
	minDoc   = 5   // lines of a package doc
	maxLines = 800 // of a file that a person wrote
)

// TestPackageDocs asks every package for its own introduction.
func TestPackageDocs(t *testing.T) {
	docs := map[string]int{}
	for _, s := range sources(t) {
		if s.test && s.room != "test/arch" {
			continue
		}
		docs[s.room] = max(docs[s.room], strings.Count(s.syntax.Doc.Text(), "\n"))
	}
	for room, lines := range docs {
		if lines < minDoc {
			t.Errorf("%s: the package doc has %d lines, at least %d are asked for: what it is, where in the packet walk, who owns which memory, what is safe for concurrent use, which RFC sections, what it does not do",
				room, lines, minDoc)
		}
	}
}

var fileName = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*\.go$`)

func TestFileNames(t *testing.T) {
	for _, s := range sources(t) {
		if base := path.Base(s.name); !fileName.MatchString(base) {
			t.Errorf("%s: a file name is one lower-case noun, with suffixes such as _linux or _test", s.name)
		}
	}
}

func TestFileLengths(t *testing.T) {
	for _, s := range sources(t) {
		if !s.generated && s.lines > maxLines {
			t.Errorf("%s: %d lines, at most %d: split it by noun", s.name, s.lines, maxLines)
		}
	}
}

// TestNoSleepInTests: a fixed wait is too long on a fast machine and too short
// on a slow one. On the clock of testing/synctest it takes no time at all.
func TestNoSleepInTests(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test && !within(s.room, "test") || s.imports("testing/synctest") {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok && isCall(c, "time", "Sleep") {
				t.Errorf("%s: time.Sleep in a test: wait for the event, pass the time in, or use the clock of testing/synctest", s.at(n))
			}
			return true
		})
	}
}

// TestNoSkipInCI: a test that could be left out silently proves nothing. A
// function may skip when it looks at CI itself.
func TestNoSkipInCI(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.syntax.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || looksAtCI(f.Body) {
				continue
			}
			skips(f.Type, f.Body, nil, func(n ast.Node) {
				t.Errorf("%s: a skip that CI does not forbid: fail when os.Getenv(\"CI\") is set, as peer.Need does", s.at(n))
			})
		}
	}
}

// skips finds calls of Skip on a testing.T, B, F or TB. A function's
// parameters hide those of the functions around it; rapid's Skip, for one,
// chooses another action and leaves out nothing.
func skips(typ *ast.FuncType, body *ast.BlockStmt, around map[string]bool, found func(ast.Node)) {
	testers := maps.Clone(around)
	if testers == nil {
		testers = map[string]bool{}
	}
	for _, field := range typ.Params.List {
		for _, name := range field.Names {
			testers[name.Name] = isTester(field.Type)
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncLit); ok {
			skips(f.Type, f.Body, testers, found)
			return false
		}
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		for name, tester := range testers {
			if tester && (isCall(c, name, "Skip") || isCall(c, name, "Skipf") || isCall(c, name, "SkipNow")) {
				found(n)
			}
		}
		return true
	})
}

func isTester(typ ast.Expr) bool {
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	sel, ok := typ.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == "testing"
}

func looksAtCI(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok || !isCall(c, "os", "Getenv") && !isCall(c, "os", "LookupEnv") {
			return true
		}
		if l, ok := c.Args[0].(*ast.BasicLit); ok && l.Value == `"CI"` {
			found = true
		}
		return true
	})
	return found
}

// isCall tells whether c calls x.name.
func isCall(c *ast.CallExpr, x, name string) bool {
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == x
}

// Command vulndb turns a clone of github.com/golang/vulndb into a vulnerability
// database that govulncheck reads from a directory, for machines that cannot
// reach https://vuln.go.dev.
//
//	git clone https://github.com/golang/vulndb
//	go run ./test/vulndb vulndb/data/osv /var/tmp/vulndb
//	make vuln GOVULNDB=file:///var/tmp/vulndb
//
// The layout is that of https://go.dev/doc/security/vuln/database: index/db.json
// and index/modules.json beside one OSV entry for each ID. The tool belongs to
// the checks of the repository and to no packet walk; it runs once and alone.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is what the index needs of an OSV entry.
type entry struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Affected []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
	} `json:"affected"`
}

type vuln struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
}

type module struct {
	Path  string `json:"path"`
	Vulns []vuln `json:"vulns"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: vulndb OSV-DIRECTORY DATABASE-DIRECTORY")
		os.Exit(2)
	}
	n, err := build(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
	fmt.Printf("%d entries in %s\n", n, os.Args[2])
}

// build writes the database in to from the OSV entries in from.
func build(from, to string) (int, error) {
	names, err := filepath.Glob(filepath.Join(from, "GO-*.json"))
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("no GO-*.json in %s", from)
	}
	for _, dir := range []string{"ID", "index"} {
		if err := os.MkdirAll(filepath.Join(to, dir), 0o755); err != nil {
			return 0, err
		}
	}
	byPath := map[string][]vuln{}
	for _, name := range names {
		e, err := copyEntry(name, filepath.Join(to, "ID"))
		if err != nil {
			return 0, err
		}
		for _, a := range e.Affected {
			path := a.Package.Name
			if have := byPath[path]; len(have) == 0 || have[len(have)-1].ID != e.ID {
				byPath[path] = append(have, vuln{e.ID, e.Modified})
			}
		}
	}
	var modules []module
	for path, vulns := range byPath {
		modules = append(modules, module{path, vulns})
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return len(names), write(to, modules)
}

func write(to string, modules []module) error {
	for name, v := range map[string]any{
		"db.json":      map[string]time.Time{"modified": time.Now().UTC()},
		"modules.json": modules,
	} {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, "index", name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func copyEntry(name, to string) (*entry, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var e entry
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return &e, os.WriteFile(filepath.Join(to, e.ID+".json"), b, 0o644)
}

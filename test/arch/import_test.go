package arch

import (
	"go/ast"
	"strconv"
	"strings"
	"testing"
)

// order is the direction of imports: a room imports from rooms of its own or
// an earlier rank. configs holds embedded files and imports nothing of ours.
var order = map[string]int{"configs": 0, "pkg": 0, "realm": 1, "accounting": 2, "aaa": 3, "cmd": 4, "test": 5}

// fence says where alone a foreign module or package may be imported.
type fence struct {
	path  string
	rooms []string // non-test files of these
	tests []string // and test files of these; nil: of every room
	why   string
}

var fences = []fence{
	{path: "layeh.com/radius", rooms: []string{"pkg/radius/dict", "cmd/roamgen", "test"},
		why: "it is the independent oracle: the product must not share code with it"},
	{path: "github.com/fiorix/go-diameter", rooms: []string{"pkg/diameter/dict", "test"}, tests: []string{"pkg/diameter", "aaa", "cmd/roamgen", "test"},
		why: "it is the independent oracle of Diameter: the product must not share code with it"},
	{path: "github.com/redis/go-redis/v9", rooms: []string{"aaa/device", "accounting/queue"}, tests: []string{"aaa/device", "accounting/queue"},
		why: "Redis stays behind aaa/device and accounting/queue; cmd builds clients through them"},
	{path: "github.com/nats-io", rooms: []string{"accounting/queue"}, tests: []string{"accounting/queue"},
		why: "what kind of queue there is only accounting/queue knows"},
	{path: "github.com/twmb/franz-go", rooms: []string{"accounting/queue"}, tests: []string{"accounting/queue"},
		why: "what kind of queue there is only accounting/queue knows"},
	{path: "github.com/prometheus", rooms: []string{"pkg/stat", "cmd"}, tests: []string{"pkg/stat", "cmd", "test"},
		why: "counters go through pkg/stat, which costs 1 ns and not 177"},
	{path: "github.com/cockroachdb/pebble/v2", rooms: []string{"accounting/spool", "accounting/clearing"}, // tests use its file systems in memory
		why: "the store is the spool's and the clearing store's own decision"},
	{path: "github.com/jackc/pgx/v5", rooms: []string{"accounting/clearing"}, tests: []string{"accounting/clearing"},
		why: "PostgreSQL stays behind the clearing store"},
	{path: "github.com/parquet-go/parquet-go", rooms: []string{"accounting/usage"}, tests: []string{"accounting/usage", "cmd"},
		why: "a format is one Writer of accounting/usage"},
	{path: "github.com/santhosh-tekuri/jsonschema/v6", tests: []string{"accounting/usage", "configs", "realm/file", "cmd"}, why: "it checks the schemas that we publish, in tests"},
	{path: "github.com/miekg/dns", rooms: []string{"realm/nameserver", "realm/resolve", "realm/discovery", "test/zone"}, tests: []string{"realm/nameserver", "realm/resolve", "realm/discovery", "aaa", "cmd", "test"},
		why: "names are found in the background, and nowhere else"},
	{path: "golang.org/x/crypto", rooms: []string{"pkg/pki"}, tests: []string{"pkg/pki", "pkg/stream", "cmd"},
		why: "what a certificate says is read in one place; hashes and ciphers are the standard library's"},
	{path: "github.com/pion", rooms: []string{"pkg/stream/dtls"}, tests: []string{"pkg/stream/dtls"},
		why: "it has goroutines and errors of its own, which pkg/stream/dtls puts right"},
	{path: "github.com/spf13/cobra", rooms: []string{"cmd"}, why: "commands live in cmd"},
	{path: "github.com/goccy/go-yaml", rooms: []string{"realm/file"}, tests: []string{"realm/file", "cmd", "test"},
		why: "file.Decode gives the same strictness and the same messages to every file"},
	{path: "github.com/alicebob/miniredis/v2", why: "it is a test double"},
	{path: "github.com/stretchr/testify", rooms: []string{"test"}, why: "it is for tests"},
	{path: "testing", rooms: []string{"test"}, why: "it is for tests"},
	{path: "unsafe", rooms: []string{"pkg/udp"}, tests: []string{"pkg/udp"}, why: "only the system calls of pkg/udp need it"},
}

// forbidden packages, with what stands for them.
var forbidden = map[string]string{
	"math/rand":                         "math/rand/v2, or crypto/rand for what an attacker may not guess",
	"log":                               "the zap logger that is passed in",
	"io/ioutil":                         "io and os",
	"github.com/pkg/errors":             "fmt.Errorf with %w",
	"golang.org/x/exp":                  "the standard library",
	"github.com/stretchr/testify/mock":  "a real part, or a small type in the test",
	"github.com/stretchr/testify/suite": "a table and t.Run",
}

// TestImportDirection keeps pkg <- realm <- accounting <- aaa <- cmd. Tests
// may look in every direction.
func TestImportDirection(t *testing.T) {
	eachImport(t, func(s *source, spec *ast.ImportSpec, path string) {
		to, own := strings.CutPrefix(path, module+"/")
		if !own || s.test {
			return
		}
		from, known := order[top(s.room)]
		rank, target := order[top(to)]
		switch {
		case !known:
			t.Errorf("%s: the folder %s is no room of the house: add it to the order of %s", s.at(spec), top(s.room), "test/arch/import_test.go")
		case !target:
			t.Errorf("%s: imports %s, which is no room of the house", s.at(spec), to)
		case from < rank:
			t.Errorf("%s: %s imports %s: the direction is pkg <- realm <- accounting <- aaa <- cmd", s.at(spec), s.room, to)
		}
	})
}

// TestLeavesOfAAA keeps the leaves apart: they carry opaque indexes instead. The
// Diameter walk, aaa/agent, puts leaves together as aaa itself does, and aaa/gateway
// stands between the two walks.
func TestLeavesOfAAA(t *testing.T) {
	eachImport(t, func(s *source, spec *ast.ImportSpec, path string) {
		to, own := strings.CutPrefix(path, module+"/")
		if !own || s.test || !strings.HasPrefix(s.room, "aaa/") || !within(to, "aaa") || within(s.room, "aaa/agent", "aaa/gateway") {
			return
		}
		leaf := "aaa/" + top(strings.TrimPrefix(s.room, "aaa/"))
		if !within(to, leaf) {
			t.Errorf("%s: the leaf %s imports %s: a leaf imports neither aaa nor another leaf", s.at(spec), leaf, to)
		}
	})
}

func TestForeignImports(t *testing.T) {
	eachImport(t, func(s *source, spec *ast.ImportSpec, path string) {
		for _, f := range fences {
			if !within(path, f.path) || f.path == "testing" && path != "testing" || s.generated && f.path == "unsafe" {
				continue
			}
			if within(s.room, f.rooms...) || s.test && (f.tests == nil || within(s.room, f.tests...)) {
				continue
			}
			t.Errorf("%s: %s may not import %s (allowed: %s): %s", s.at(spec), s.room, path, strings.Join(f.rooms, ", "), f.why)
		}
	})
}

func TestForbiddenImports(t *testing.T) {
	eachImport(t, func(s *source, spec *ast.ImportSpec, path string) {
		for bad, instead := range forbidden {
			if path == bad || bad == "golang.org/x/exp" && within(path, bad) {
				t.Errorf("%s: %s is not used here; use %s", s.at(spec), path, instead)
			}
		}
	})
}

func eachImport(t *testing.T, f func(s *source, spec *ast.ImportSpec, path string)) {
	t.Helper()
	for _, s := range sources(t) {
		for _, spec := range s.syntax.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: %v", s.at(spec), err)
			}
			f(s, spec, path)
		}
	}
}

// top is the first folder of a path.
func top(room string) string {
	first, _, _ := strings.Cut(room, "/")
	return first
}

package csv

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm/file"
)

var update = flag.Bool("update", false, "rewrite what the vectors want")

const vectors = "../../../test/vectors/migrate/csv"

// outcome is what becomes of a spreadsheet, as text.
func outcome(data string) string {
	root, n, err := Import("sheet.csv", strings.NewReader(data))
	if err != nil {
		return "error:\n" + err.Error() + "\n"
	}
	return fmt.Sprintf("%d routes\n%s", n, root.Bytes())
}

// TestImport compares each vector, whose sheet stands in front of a line of
// want.
func TestImport(t *testing.T) {
	paths, err := filepath.Glob(vectors + "/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			sheet, want, _ := strings.Cut(string(raw), "-- want --\n")
			got := outcome(sheet)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(sheet+"-- want --\n"+got), 0o600))
				return
			}
			assert.Equal(t, want, got)
			if root, _, err := Import("sheet.csv", strings.NewReader(sheet)); err == nil {
				_, ps := file.Parse("routes.yaml", root.Bytes())
				assert.Zero(t, ps.Count(file.Error), "%v", ps)
			}
		})
	}
}

func TestEncodings(t *testing.T) {
	const good = "1 routes\n# Routes of sheet.csv; each line says which of its rows it comes from.\n\nrealms:\n  - realm: a.example # from sheet.csv:2\n    auth: p\n    accounting: p\n"
	for name, c := range map[string]struct{ in, want string }{
		"mark":          {"\ufeffrealm,pool\na.example,p\n", good},
		"carriage":      {"realm;pool\r\na.example;p\r\n", good},
		"tabs":          {"realm\tpool\na.example\tp", good},
		"quoted comma":  {"\"realm\";\"pool\"\n\" a.example \";\"p\"\n;;\n", good},
		"blank columns": {"realm,pool,,\na.example ,p,,\n", good},
		"utf-16":        {"\xff\xfer\x00", "error:\nsheet.csv:1:1: the file is UTF-16 (save it as CSV UTF-8)\n"},
		"latin":         {"realm,pool\na.example,\xe4\n", "error:\nsheet.csv:2:11: this is no text in UTF-8 (save it as CSV UTF-8)\n"},
		"nul":           {"realm,pool\n\x00", "error:\nsheet.csv:2:1: this is no text in UTF-8 (save it as CSV UTF-8)\n"},
		"empty":         {"", "error:\nsheet.csv:1:1: the file is empty (the first row names the columns: " + Columns + ")\n"},
		"long":          {"realm,pool\n" + strings.Repeat("a", 1025) + ",p\n", "error:\nsheet.csv:2:1: a field of more than 1024 octets\n"},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, outcome(c.in)) })
	}
}

func TestErrorsAreBounded(t *testing.T) {
	_, _, err := Import("sheet.csv", strings.NewReader("realm,pool\n"+strings.Repeat("a..b,p\n", 1000)))
	var all Errors
	require.ErrorAs(t, err, &all)
	assert.Len(t, all, maxErrors)
}

func sheet(rows int) string {
	var b strings.Builder
	b.WriteString("Realm;Pool;Comment\n")
	for i := range rows {
		fmt.Fprintf(&b, "realm-%d.example;pool-%d;partner %d\n", i, i%7, i)
	}
	return b.String()
}

func TestManyRows(t *testing.T) {
	root, n, err := Import("sheet.csv", strings.NewReader(sheet(20_000)))
	require.NoError(t, err)
	assert.Equal(t, 20_000, n)
	assert.Contains(t, string(root.Bytes()), "  - realm: realm-19999.example # from sheet.csv:20001\n    auth: pool-0\n")
}

func BenchmarkImport100k(b *testing.B) {
	text := sheet(100_000)
	for b.Loop() {
		root, _, err := Import("sheet.csv", strings.NewReader(text))
		if err != nil {
			b.Fatal(err)
		}
		root.Bytes()
	}
}

func FuzzImport(f *testing.F) {
	paths, err := filepath.Glob(vectors + "/*.txt")
	require.NoError(f, err)
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		require.NoError(f, err)
		text, _, _ := strings.Cut(string(raw), "-- want --\n")
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, n, err := Import("sheet.csv", strings.NewReader(text))
		if err != nil {
			var all Errors
			require.ErrorAs(t, err, &all)
			for _, e := range all {
				require.Positive(t, e.Pos.Line)
				require.Positive(t, e.Pos.Col)
			}
			return
		}
		require.NotNil(t, root)
		require.LessOrEqual(t, n, strings.Count(text, "\n")+strings.Count(text, "\r")+1)
	})
}

package realm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func routesOf(names ...string) []Route {
	rs := make([]Route, len(names))
	for i, n := range names {
		rs[i] = Route{Realm: n, Index: int32(i), Auth: -1, Acct: -1}
	}
	return rs
}

func TestTableLookup(t *testing.T) {
	long := strings.Repeat("a.", 120) + "iot.example"
	for _, tc := range []struct {
		name   string
		routes []string
		realm  string
		want   string // "" for no route
	}{
		{"exact", []string{"a.example", "default"}, "a.example", "a.example"},
		{"exact before suffix", []string{"*.example.org", "a.example.org"}, "a.example.org", "a.example.org"},
		{"suffix", []string{"*.iot.example", "default"}, "m.iot.example", "*.iot.example"},
		{"suffix two below", []string{"*.iot.example"}, "x.m.iot.example", "*.iot.example"},
		{"suffix not itself", []string{"*.iot.example"}, "iot.example", ""},
		{"suffix itself to default", []string{"*.iot.example", "default"}, "iot.example", "default"},
		{"suffix needs a label", []string{"*.iot.example"}, ".iot.example", ""},
		{"suffix at a dot only", []string{"*.iot.example"}, "riot.example", ""},
		{"longest suffix", []string{"*.iot.example", "*.b.iot.example"}, "a.b.iot.example", "*.b.iot.example"},
		{"shorter suffix for the parent", []string{"*.iot.example", "*.b.iot.example"}, "b.iot.example", "*.iot.example"},
		{"gap between depths", []string{"*.example.org", "*.a.b.c.example.org"}, "x.b.c.example.org", "*.example.org"},
		{"many labels", []string{"*.iot.example"}, long, "*.iot.example"},
		{"default", []string{"a.example", "default"}, "b.example", "default"},
		{"no default", []string{"a.example"}, "b.example", ""},
		{"empty table", nil, "b.example", ""},
		{"empty realm", []string{"a.example", "none"}, "", ""},
		{"keyword is no realm: none", []string{"none"}, "none", ""},
		{"keyword is no realm: default", []string{"none"}, "default", ""},
		{"star is no realm", []string{"*.iot.example"}, "*.iot.example", "*.iot.example"},
		{"first of equals", []string{"a.example", "a.example"}, "a.example", "a.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tb := NewTable(routesOf(tc.routes...))
			got := tb.Lookup([]byte(tc.realm))
			if tc.want == "" {
				assert.Nil(t, got)
				return
			}
			require.NotNil(t, got)
			assert.Equal(t, tc.want, got.Realm)
		})
	}
}

func TestTableEqualNamesKeepTheFirst(t *testing.T) {
	tb := NewTable(routesOf("a.example", "a.example", "*.b.example", "*.b.example", "none", "none", "default", "default"))
	assert.EqualValues(t, 0, tb.Lookup([]byte("a.example")).Index)
	assert.EqualValues(t, 2, tb.Lookup([]byte("x.b.example")).Index)
	assert.EqualValues(t, 4, tb.None().Index)
	assert.EqualValues(t, 6, tb.Default().Index)
	assert.Equal(t, 4, tb.Len())
}

func TestTableNone(t *testing.T) {
	assert.Nil(t, NewTable(routesOf("default")).None(), "a NAI without realm never falls to default")
	r := NewTable(routesOf("default", "none")).None()
	require.NotNil(t, r)
	assert.Equal(t, "none", r.Realm)
}

func TestTableZero(t *testing.T) {
	var tb Table
	assert.Nil(t, tb.Lookup([]byte("a.example")))
	assert.Nil(t, tb.None())
}

func TestAllocsTableLookup(t *testing.T) {
	tb := NewTable(routesOf("a.example", "*.iot.example", "*.x.y.iot.example", "default", "none"))
	for _, name := range []string{"a.example", "m.iot.example", strings.Repeat("a.", 126) + "b", "unknown.example"} {
		in := []byte(name)
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			if tb.Lookup(in) == nil || tb.None() == nil {
				t.Fatal("route expected")
			}
		}), name)
	}
}

// lookupModel is the definition of a lookup, written without cleverness.
func lookupModel(names []string, realm string) string {
	best := ""
	for _, n := range names {
		if n == realm && n != NameNone && n != NameDefault && !strings.HasPrefix(n, wildcard) {
			return n
		}
		suffix, ok := strings.CutPrefix(n, "*")
		if ok && len(realm) > len(suffix) && strings.HasSuffix(realm, suffix) && len(n) > len(best) {
			best = n
		}
	}
	if best != "" {
		return best
	}
	for _, n := range names {
		if n == NameDefault {
			return n
		}
	}
	return ""
}

func FuzzTableLookup(f *testing.F) {
	f.Add([]byte("a.example\n*.iot.example\n*.b.iot.example\ndefault"), []byte("x.b.iot.example"))
	f.Add([]byte("*.example\n*.a.example"), []byte(".a.example"))
	f.Add([]byte("none\ndefault"), []byte("none"))
	f.Add([]byte("*.a\n*..a\n*.b..a"), []byte("..b..a"))
	f.Fuzz(func(t *testing.T, table, realm []byte) {
		if len(table) > 4096 || len(realm) > 253 {
			return
		}
		var names []string
		for _, l := range bytes.Split(table, []byte("\n")) {
			if n := string(l); n == NameNone || n == NameDefault || usableName(n) {
				names = append(names, n)
			}
		}
		got, want := "", lookupModel(names, string(realm))
		if r := NewTable(routesOf(names...)).Lookup(realm); r != nil {
			got = r.Realm
		}
		if got != want {
			t.Fatalf("table %q realm %q: got %q, want %q", names, realm, got, want)
		}
	})
}

// usableName keeps to names that a file may hold: no empty label, a star only
// as the whole first label.
func usableName(n string) bool {
	rest := strings.TrimPrefix(n, wildcard)
	if rest == "" || len(n) > 253 || strings.Contains(rest, "*") {
		return false
	}
	for l := range strings.SplitSeq(rest, ".") {
		if l == "" {
			return false
		}
	}
	return true
}

func benchTable(b *testing.B) (*Table, [][]byte) {
	b.Helper()
	const n = 100_000
	names := make([]string, 0, n+4)
	for i := range n {
		names = append(names, fmt.Sprintf("wlan.mnc%03d.mcc%03d.partner%d.example", i%1000, i/1000, i))
	}
	names = append(names, "*.iot.example", "*.fleet.iot.example", "none")
	in := make([][]byte, 1024)
	for i := range in {
		in[i] = []byte(names[(i*7919)%n])
	}
	return NewTable(routesOf(names...)), in
}

func BenchmarkHotLookupHit(b *testing.B) {
	t, in := benchTable(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if t.Lookup(in[i&1023]) == nil {
			b.Fatal("no route")
		}
		i++
	}
}

func BenchmarkHotLookupSuffix(b *testing.B) {
	t, _ := benchTable(b)
	in := []byte("meter.north.fleet.iot.example")
	b.ReportAllocs()
	for b.Loop() {
		if t.Lookup(in) == nil {
			b.Fatal("no route")
		}
	}
}

func BenchmarkHotLookupMiss(b *testing.B) {
	t, _ := benchTable(b)
	in := []byte(strings.Repeat("a.", 120) + "example")
	b.ReportAllocs()
	for b.Loop() {
		if t.Lookup(in) != nil {
			b.Fatal("route")
		}
	}
}

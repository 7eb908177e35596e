package dict

import (
	"bufio"
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write tables.go anew")

// source is what the text files say.
type source struct {
	attrs    []Attr
	commands []Command
	apps     []App
	vendors  []vendor
	results  []result
	values   []value
}

func (s *source) app(name string) (uint32, error) {
	for _, a := range s.apps {
		if a.Name == name {
			return a.ID, nil
		}
	}
	return 0, fmt.Errorf("no application %q", name)
}

func (s *source) line(f []string, vendorID *uint32) error {
	n := func(i, bits int) uint32 {
		v, err := strconv.ParseUint(f[i], 0, bits)
		if err != nil {
			panic(err)
		}
		return uint32(v)
	}
	switch {
	case f[0] == "vendor" && len(f) == 3:
		*vendorID = n(1, 32)
		s.vendors = append(s.vendors, vendor{*vendorID, f[2]})
	case f[0] == "application" && len(f) == 4:
		s.apps = append(s.apps, App{n(1, 32), f[2], f[3]})
	case f[0] == "command" && len(f) == 5:
		app, err := s.app(f[4])
		s.commands = append(s.commands, Command{n(1, 24), app, f[2], f[3]})
		return err
	case f[0] == "result" && len(f) == 4:
		s.results = append(s.results, result{n(1, 32), n(2, 32), f[3]})
	case f[0] == "value" && len(f) == 3:
		last := s.attrs[len(s.attrs)-1]
		s.values = append(s.values, value{last.Code, last.Vendor, n(1, 32), f[2]})
	case f[0] == "avp" && (len(f) == 4 || len(f) == 5 && f[4] == "M"):
		typ := slices.Index(typeNames[:], f[3])
		if typ < 0 {
			return fmt.Errorf("no type %q", f[3])
		}
		s.attrs = append(s.attrs, Attr{n(1, 32), *vendorID, Type(typ), len(f) == 5, f[2]})
	default:
		return fmt.Errorf("what is %q", f)
	}
	return nil
}

func readSource(t *testing.T) *source {
	t.Helper()
	files, err := filepath.Glob("*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	s := &source{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		var vendorID uint32
		lines := bufio.NewScanner(bytes.NewReader(b))
		for at := 1; lines.Scan(); at++ {
			text, _, _ := strings.Cut(lines.Text(), "#")
			if f := strings.Fields(text); len(f) > 0 {
				require.NoError(t, s.line(f, &vendorID), "%s:%d", name, at)
			}
		}
	}
	slices.SortFunc(s.attrs, compareAttrs)
	slices.SortFunc(s.commands, func(a, b Command) int { return cmp.Compare(a.Code, b.Code) })
	slices.SortFunc(s.apps, func(a, b App) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.vendors, func(a, b vendor) int { return cmp.Compare(a.id, b.id) })
	s.vendors = slices.Compact(s.vendors)
	slices.SortFunc(s.results, func(a, b result) int {
		return cmp.Or(cmp.Compare(a.vendor, b.vendor), cmp.Compare(a.code, b.code))
	})
	slices.SortFunc(s.values, func(a, b value) int {
		return cmp.Or(cmp.Compare(a.vendor, b.vendor), cmp.Compare(a.code, b.code), cmp.Compare(a.number, b.number))
	})
	return s
}

func (s *source) generate() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprint(&b, "// Code generated from *.txt by make gen; DO NOT EDIT.\n\npackage dict\n")
	fmt.Fprint(&b, "\nvar vendors = [...]vendor{\n")
	for _, v := range s.vendors {
		fmt.Fprintf(&b, "{%d, %q},\n", v.id, v.name)
	}
	fmt.Fprint(&b, "}\n\nvar apps = [...]App{\n")
	for _, a := range s.apps {
		fmt.Fprintf(&b, "{%d, %q, %q},\n", a.ID, a.Name, a.Long)
	}
	fmt.Fprint(&b, "}\n\nvar commands = [...]Command{\n")
	for _, c := range s.commands {
		fmt.Fprintf(&b, "{%d, %d, %q, %q},\n", c.Code, c.App, c.Short, c.Name)
	}
	fmt.Fprint(&b, "}\n\nvar attrs = [...]Attr{\n")
	for _, a := range s.attrs {
		fmt.Fprintf(&b, "{%d, %d, %s, %t, %q},\n", a.Code, a.Vendor, a.Type, a.Mandatory, a.Name)
	}
	fmt.Fprint(&b, "}\n\nvar results = [...]result{\n")
	for _, r := range s.results {
		fmt.Fprintf(&b, "{%d, %d, %q},\n", r.vendor, r.code, r.name)
	}
	fmt.Fprint(&b, "}\n\nvar values = [...]value{\n")
	for _, v := range s.values {
		fmt.Fprintf(&b, "{%d, %d, %d, %q},\n", v.code, v.vendor, v.number, v.name)
	}
	fmt.Fprint(&b, "}\n")
	return format.Source(b.Bytes())
}

func TestTables(t *testing.T) {
	want, err := readSource(t).generate()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("tables.go", want, 0o644))
	}
	have, err := os.ReadFile("tables.go")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(have), "make gen writes tables.go from the text files")
}

// Everything has one name, and each name is of one thing.
func TestUnambiguous(t *testing.T) {
	s := readSource(t)
	once := map[string]bool{}
	see := func(kind, name string) {
		key := kind + " " + strings.ToLower(name)
		assert.False(t, once[key], "twice: %s", key)
		once[key] = true
	}
	for _, a := range s.attrs {
		see("AVP", a.Name)
		see("AVP", number(a.Code, a.Vendor))
	}
	for _, c := range s.commands {
		see("command", c.Short)
		see("command", strconv.Itoa(int(c.Code)))
	}
	for _, a := range s.apps {
		see("application", a.Name)
		see("application", strconv.Itoa(int(a.ID)))
	}
	for _, r := range s.results {
		see("result", fmt.Sprint(r.vendor, r.code))
	}
	for _, v := range s.values {
		see("value", fmt.Sprint(v.vendor, v.code, v.number))
		see("value", fmt.Sprint(v.vendor, v.code, v.name))
	}
}

package file

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

type sample struct {
	Pos     realm.Pos          `yaml:",pos"`
	Listen  []netip.AddrPort   `yaml:"listen"`
	Timeout time.Duration      `yaml:"timeout"`
	Buffer  Size               `yaml:"buffer"`
	Nested  nested             `yaml:"nested"`
	List    []nested           `yaml:"list"`
	Map     map[string]*nested `yaml:"map"`
	Addr    netip.Addr         `yaml:"addr"`
	Prefix  []netip.Prefix     `yaml:"prefix"`
	Ratio   float64            `yaml:"ratio"`
	Port    uint16             `yaml:"port"`
	Level   level              `yaml:"level"`
	Hidden  string
}

type nested struct {
	Name string `yaml:"name,required"`
	On   bool   `yaml:"on"`
}

func (n *nested) SetDefaults() { n.On = true }

func (nested) KeyHint(key string) (text, hint string) {
	if key == "password" {
		return "no passwords here", "use name"
	}
	return "", ""
}

type level string

func TestDecode(t *testing.T) {
	out := sample{Port: 7, Ratio: 0.5, Nested: nested{On: true}}
	ps := Decode("f.yaml", []byte(`# main
timeout: 1m30s
buffer: 64MiB
listen: "[::]:1812"
nested: {name: "NO"}
list:
  - name: a
  - name: 007
    on: false
map:
  x: {name: y}
addr: 2001:db8::1
prefix: [192.0.2.0/24, 198.51.100.1]
level: debug
`), &out)
	require.Empty(t, ps)
	assert.Equal(t, sample{
		Pos:     realm.Pos{File: "f.yaml", Line: 2, Col: 1},
		Timeout: 90 * time.Second,
		Buffer:  64 << 20,
		Listen:  []netip.AddrPort{netip.MustParseAddrPort("[::]:1812")},
		Nested:  nested{Name: "NO", On: true},
		List:    []nested{{Name: "a", On: true}, {Name: "007"}},
		Map:     map[string]*nested{"x": {Name: "y", On: true}},
		Addr:    netip.MustParseAddr("2001:db8::1"),
		Prefix:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.1/32")},
		Ratio:   0.5,
		Port:    7,
		Level:   "debug",
	}, out)
}

func TestDecodeProblems(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "timeuot: 1s", `f:1:1: error: unknown key "timeuot" (did you mean timeout?)`},
		{"far key", "nested: {name: a, zzz: 1}", `f:1:19: error: unknown key "zzz" (known keys: name, on)`},
		{"key hint", "nested: {name: a, password: b}", `f:1:19: error: no passwords here (use name)`},
		{"untagged field", "Hidden: x", `f:1:1: error: unknown key "Hidden" (known keys: listen, timeout, buffer, nested, list, map, addr, prefix, ratio, port, level)`},
		{"required", "list:\n  - on: true", `f:2:5: error: name is missing`},
		{"unit", "timeout: 5", `f:1:10: error: timeout: "5" is no duration (a unit is missing: 5s or 5ms)`},
		{"duration", "timeout: soon", `f:1:10: error: timeout: "soon" is no duration (write it as 500ms, 5s or 2m)`},
		{"negative", "timeout: \"-5s\"", `f:1:10: error: timeout: "-5s" is negative`},
		{"size", "buffer: 64M", `f:1:9: error: buffer: "64M" is no size (write it as 512, 64KiB or 64MiB)`},
		{"size overflow", "buffer: 99999999TiB", `f:1:9: error: buffer: "99999999TiB" is no size (write it as 512, 64KiB or 64MiB)`},
		{"boolean", "nested: {name: a, on: yes}", `f:1:23: error: on: "yes" is neither true nor false (write true or false)`},
		{"port", "port: 65536", `f:1:7: error: port: "65536" is no number in its range`},
		{"float", "ratio: .nan", `f:1:8: error: ratio: ".nan" is no number in its range`},
		{"address", "addr: radius.example", `f:1:7: error: addr: "radius.example" is no IP address (names are not resolved; write the IP address)`},
		{"address and port", "listen: [192.0.2.1]", `f:1:10: error: listen: "192.0.2.1" is no address and port (write it as 192.0.2.1:1812 or [2001:db8::1]:1812)`},
		{"prefix", "prefix: 192.0.2.0/33", `f:1:9: error: prefix: "192.0.2.0/33" is no address or prefix (write it as 192.0.2.0/24 or 2001:db8::/48)`},
		{"no value", "port:", `f:1:1: error: port has no value (leave the key out to keep its default)`},
		{"list for value", "port: [1]", `f:1:7: error: port wants a single value, not a list`},
		{"value for section", "nested: a", `f:1:9: error: nested wants keys and values, not a single value`},
		{"value for sections", "list: a", `f:1:7: error: list wants a list, not a single value`},
		{"empty entry", "list:\n  -\n  - name: a", `f:2:3: error: list has an empty entry (remove the dash)`},
		{"list for file", "- a", `f:1:1: error: the file wants keys and values, not a list`},
		{"twice", "port: 1\nport: 2", `f:2:1: error: key "port" stands twice (first at f:1:1)`},
		{"twice among many", "map: {a: {name: x}, b: {name: x}, c: {name: x}, d: {name: x}, e: {name: x}, f: {name: x}, g: {name: x}, h: {name: x}, i: {name: x}, j: {name: x}, k: {name: x}, l: {name: x}, m: {name: x}, n: {name: x}, o: {name: x}, p: {name: x}, q: {name: x}, a: {name: x}}",
			`f:1:245: error: key "a" stands twice (first at f:1:7)`},
		{"long text is cut", "port: " + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			`f:1:7: error: port: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..." is no number in its range`},
		{"empty sections", "nested:\nlist:\nmap:\n", ""},
		{"empty file", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ps := Decode("f", []byte(tc.text), &sample{})
			assert.Equal(t, tc.want, ps.Error())
			assert.Equal(t, tc.want != "", ps.Err() != nil)
		})
	}
}

func TestDecodeWantsAStruct(t *testing.T) {
	assert.Panics(t, func() { Decode("f", nil, new(int)) })
	assert.Panics(t, func() {
		Decode("f", []byte("a: 1"), &struct {
			A chan int `yaml:"a"`
		}{})
	})
}

func TestProblemsAreBounded(t *testing.T) {
	r := &report{}
	for i := range 30_000 {
		r.add(realm.Pos{File: "f", Line: i + 1, Col: 1}, Warning, "", "w")
	}
	r.add(realm.Pos{File: "f", Line: 40_000, Col: 1}, Error, "", "e")
	ps := r.problems()
	require.Len(t, ps, maxProblems+1)
	assert.Equal(t, 1, ps.Count(Error), "an error is never crowded out")
	assert.Equal(t, "warning: and 29801 more", ps[maxProblems].String())
}

func TestNearest(t *testing.T) {
	names := []string{"auth", "accounting", "acknowledge", "realm"}
	for word, want := range map[string]string{
		"acounting": "accounting", "raelm": "realm", "aut": "auth", "x": "", "": "", "zzzzzz": "", "auht": "auth",
	} {
		assert.Equal(t, want, nearest(word, names), word)
	}
	assert.Equal(t, "s6a", nearest("s6", []string{"sh", "s9", "s6a", "s6b"}), "an end that is missing")
	assert.Equal(t, "sh", nearest("sg", []string{"sh", "s9"}))
}

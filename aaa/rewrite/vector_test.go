package rewrite

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/radius/dict"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// vector is one case of test/vectors/rewrite.
type vector struct {
	name, rules string
	code        radius.Code
	packet      []byte // attributes
	becomes     []byte
	changed     int // -1: overflow
}

var vars = Vars{
	realm.VarClient: []byte("ap"), realm.VarSource: []byte("192.0.2.7"), realm.VarOperator: []byte("visited.example"),
	realm.VarOperatorID: []byte("1visited.example"), realm.VarCountry: []byte("DE"), realm.VarRealm: []byte("home.example"),
	realm.VarHome: []byte("acme-1"),
}

// vectors reads all cases.
func vectors(t testing.TB) (all []vector) {
	t.Helper()
	files, err := filepath.Glob("../../test/vectors/rewrite/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		var into *[]byte
		for n, line := range strings.Split(string(text), "\n") {
			word, rest, _ := strings.Cut(line, " ")
			v := &vector{}
			if len(all) > 0 {
				v = &all[len(all)-1]
			}
			switch {
			case line == "" || line[0] == '#':
			case word == "case":
				all = append(all, vector{name: rest})
				into = nil
			case word == "packet":
				v.code, into = codeNamed(t, rest), &v.packet
			case word == "becomes":
				v.changed, err = strconv.Atoi(rest)
				if rest == "overflow" {
					v.changed, err = -1, nil
				}
				require.NoError(t, err, "%s:%d", name, n+1)
				into = &v.becomes
			case into == nil && word != "rules":
				v.rules += line + "\n"
			case into != nil:
				*into = append(*into, attributeOf(t, line)...)
			}
		}
	}
	return all
}

func codeNamed(t testing.TB, word string) radius.Code {
	for c := radius.Code(1); c < 60; c++ {
		if strings.EqualFold(c.String(), word) {
			return c
		}
	}
	require.Fail(t, "no code", word)
	return 0
}

func attributeOf(t testing.TB, line string) []byte {
	if digits, ok := strings.CutPrefix(line, "0x"); ok {
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		require.NoError(t, err, line)
		require.Len(t, b, int(b[1]), line)
		return b
	}
	name, value, _ := strings.Cut(line, " = ")
	b, err := dict.Encode(name, value)
	require.NoError(t, err, line)
	return b
}

// filterOf compiles rules as they stand in a routing file.
func filterOf(t testing.TB, rules string) *realm.Filter {
	t.Helper()
	f, ps := load(t, rules)
	require.Empty(t, ps)
	return f
}

func load(t testing.TB, rules string) (*realm.Filter, file.Problems) {
	dir := t.TempDir()
	text := "filters:\n  - name: f\n"
	if strings.HasPrefix(rules, "profile:") {
		text += "    " + rules
	} else {
		text += "    rules:\n      " + strings.ReplaceAll(strings.TrimSpace(rules), "\n", "\n      ") + "\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600))
	set, ps := file.Load(dir, nil)
	if set == nil {
		return nil, ps
	}
	return set.Filters[0], nil
}

// packetOf makes a packet of attributes.
func packetOf(t testing.TB, code radius.Code, attributes []byte) *radius.Packet {
	t.Helper()
	b := make([]byte, radius.HeaderLen, radius.HeaderLen+len(attributes))
	b[0], b[1] = byte(code), 7
	copy(b[4:], "authenticator 16")
	b = append(b, attributes...)
	b[2], b[3] = byte(len(b)>>8), byte(len(b))
	p := &radius.Packet{}
	require.Equal(t, radius.OK, p.Parse(b))
	return p
}

func lines(attributes []byte) (text []string) {
	for len(attributes) > 0 {
		raw := attributes[:attributes[1]]
		attributes = attributes[len(raw):]
		text = append(text, dict.Format(raw)+" "+hex.EncodeToString(raw))
	}
	return text
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			program, err := Compile(filterOf(t, v.rules))
			require.NoError(t, err)
			p := packetOf(t, v.code, v.packet)
			before := string(p.Bytes())
			var d Draft
			d.Start(make([]byte, radius.MaxLen), p)
			changed, ok := program.Apply(&d, &vars)
			assert.Equal(t, before, string(p.Bytes()), "the packet itself stays")
			if v.changed < 0 {
				assert.False(t, ok)
				return
			}
			require.True(t, ok)
			out := d.End()
			assert.Equal(t, lines(v.becomes), lines(out[radius.HeaderLen:]))
			assert.Equal(t, v.changed, changed)
			assert.Equal(t, before[:2]+before[4:20], string(out[:2])+string(out[4:20]), "code, identifier and authenticator stay")
			var again radius.Packet
			require.Equal(t, radius.OK, again.Parse(out))
			require.Len(t, again.Bytes(), len(out))
		})
	}
}

package device

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const longFile = 9_000 // devices; with their comments more than is read at once

// longPolicy is a policy file of two pieces or more. Lines replace those of
// devices; the first device stands in line 5.
func longPolicy(lines map[int]string) []byte {
	var b strings.Builder
	remark := strings.Repeat("x", 300)
	b.WriteString("profiles:\n  - name: meter\n  - name: alarm\ndevices:\n")
	for i := range longFile {
		if line, ok := lines[i+5]; ok {
			b.WriteString(line + "\n")
			continue
		}
		fmt.Fprintf(&b, "  - {imsi: \"26201%010d\", profile: %s} # %s\n", i, []string{"meter", "alarm"}[i%2], remark)
	}
	return []byte(b.String())
}

func TestLongFile(t *testing.T) {
	f, problems := ReadFile("p.yaml", longPolicy(map[int]string{
		7: "  - {mac: 00-11-22-33-44-55, profile: meter, blocked: true}",
		8: "  - cui: Opaque\n    realm: A.example\n    profile: alarm",
	}))
	require.Empty(t, problems)
	require.Greater(t, len(f.groups), 1, "the file is not read in pieces")
	assert.Equal(t, longFile, f.Len())
	n := 0
	for d, err := range f.All() {
		require.NoError(t, err)
		want := DeviceSpec{IMSI: fmt.Sprintf("26201%010d", n), Profile: []string{"meter", "alarm"}[n%2]}
		switch n {
		case 2:
			want = DeviceSpec{MAC: "001122334455", Profile: "meter", Blocked: true}
		case 3:
			want = DeviceSpec{CUI: "Opaque", Realm: "a.example", Profile: "alarm"}
		}
		require.Equal(t, want, d)
		n++
	}
	for range f.All() {
		break // may be left early
	}
	tab := New(Config{File: f})
	assert.Equal(t, longFile, tab.Len())
	for _, i := range []int{0, 1, longFile/2 + 1, longFile - 1} {
		q := imsi(0)
		q.IMSI = fmt.Appendf(nil, "26201%010d", i)
		d := tab.Decide(&q)
		require.Equal(t, Allow, d.Outcome)
		assert.Equal(t, []string{"meter", "alarm"}[i%2], d.Profile.Name)
	}
}

func TestLongFileProblems(t *testing.T) {
	last := longFile + 4
	for _, tt := range []struct {
		name  string
		lines map[int]string
		want  string
	}{
		{"identity", map[int]string{last: "  - {imsi: 12a, profile: meter}"}, fmt.Sprintf("p.yaml:%d:12: error: imsi must be 6 to 15 digits, in quotes", last)},
		{"no identity", map[int]string{last: "  - {profile: meter}"}, fmt.Sprintf("p.yaml:%d:5: error: needs exactly one of imsi, mac, cui and nai", last)},
		{"no profile", map[int]string{8_000: `  - {imsi: "001010000000001", profile: ghost}`}, `p.yaml:8000:40: error: there is no profile "ghost"`},
		{"twice in another piece", map[int]string{last: `  - {imsi: "262010000000000", profile: meter}`}, fmt.Sprintf("p.yaml:%d:5: error: this device is at p.yaml:5:5 already", last)},
		{"twice and without a profile", map[int]string{9: `  - {imsi: "262010000000000", profile: ghost}`},
			"p.yaml:9:5: error: this device is at p.yaml:5:5 already\np.yaml:9:40: error: there is no profile \"ghost\""},
		{"in order", map[int]string{9: "  - {imsi: 1, profile: meter}", 8_000: "  - {imsi: 2, profile: meter}", 7: "  - {imsi: 3, profile: ghost}"},
			"p.yaml:7:12: error: imsi must be 6 to 15 digits, in quotes\np.yaml:7:24: error: there is no profile \"ghost\"\n" +
				"p.yaml:9:12: error: imsi must be 6 to 15 digits, in quotes\np.yaml:8000:12: error: imsi must be 6 to 15 digits, in quotes"},
		{"key", map[int]string{8_000: "  - {imzi: 262010000000000, profile: meter}"}, `p.yaml:8000:6: error: unknown key "imzi" (did you mean imsi?)`},
		{"decoding goes first", map[int]string{9: "  - {imsi: 1, profile: meter}", 8_000: "  - {imsi: [], profile: meter}"},
			"p.yaml:8000:12: error: imsi wants a single value, not a list"},
		{"not plain, so read whole", map[int]string{8_000: `  - {imsi: "2620\x31", profile: meter}`}, "p.yaml:8000:12: error: imsi must be 6 to 15 digits, in quotes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, problems := ReadFile("p.yaml", longPolicy(tt.lines))
			assert.Nil(t, f)
			assert.Equal(t, tt.want, problems.Error())
		})
	}
	every := map[int]string{}
	for i := range longFile {
		every[i+5] = `  - {imsi: "262010000000000", profile: ghost} #` + strings.Repeat("x", 300)
	}
	_, problems := ReadFile("p.yaml", longPolicy(every))
	assert.Len(t, problems, maxFileProblems)
}

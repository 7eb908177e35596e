package file

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mistakes are what is sown into a large file: an entry of realms, and a part
// of what has to be said about its line. NN tells entries of one kind apart.
type mistake struct{ entry, want string }

func (m mistake) line(n int) string {
	return "  - " + strings.ReplaceAll(m.entry, "NN", strconv.Itoa(n))
}

var mistakes = []mistake{
	{"{realm: wlanNN.partner.example, auth: p1}", "is defined twice"},
	{"{realm: nolabelNN, auth: p1}", "at least two labels"},
	{"{realm: a_bNN.example, auth: p1}", "a character that no realm has"},
	{"{realm: bNN..example, auth: p1}", "empty label"},
	{"{realm: cNN.example, auth: p999}", "does not exist"},
	{"{realm: dNN.example, auth: h}", "that is a home"},
	{"{realm: eNN.example, auht: p1}", "did you mean auth?"},
	{"{realm: fNN.example}", "goes nowhere"},
	{"{realm: gNN.example, auth: p1, acknowledge: home}", "without an accounting pool"},
	{"{realm: hNN.example, auth: p1, groups: edd}", "did you mean edu?"},
	{"{realm: iNN.example, auth: p1, when: {client: nobody-here}}", `client "nobody-here" does not exist`},
	{"{realm: jNN.example, auth: p1, when: {percent: 150%}}", "is over 100"},
	{"{realm: kNN.example, auth: p1, when: {rcoi: 5A-03}}", "no roaming consortium"},
	{"{realm: lNN.example, auth: p1, when: {user: 20..10}}", "is reversed"},
	{"{realm: mNN.example, auth: p1, when: {during: [{days: mon, zone: Europe/Bonn}]}}", "no time zone"},
	{"{plmn: 262-0NN07, auth: p1}", "is no network"},
	{"{imsi: 2620NN1234567890123, auth: p1}", "longer than the 15 digits"},
	{"{imsi: 26201999-26201111, auth: pNN}", "is reversed"},
	{"{realm_regexp: '(aNN', auth: p1, rank: 50}", "missing closing )"},
	{"{realm_regexp: '((a{99}){99}){9NN}', auth: p1, rank: 51}", "counted repetition"},
	{"{realm_regexp: '^wlanNN\\.partner\\.example$', auth: p1, rank: 10NN}", "is never reached"},
	{"{realm: wlanNN.partner.example, auth: p1, rank: 7, when: {percent: 0}}", "no device is in 0 percent"},
	{"{imsi: [26299NN, 26299NN0-26299NN4, 26299NN5-26299NN9], auth: p1}", "is never reached"},
	{"{realm: nNN.example, reject: gone, auth: p1}", "a rejected realm has no auth"},
	{"{realm: oNN.example, auth: p1, rewrite: {realm: x.example, strip: true}}", "replaced and removed"},
}

// seeded is a file of n realms with two mistakes of each kind; want has by line
// what must be said.
func seeded(n int) (text string, want map[int]string) {
	plain := manyRealms(n, true)
	plain = strings.Replace(plain, "homes:\n", "groups:\n  - {name: edu, kind: federation}\nhomes:\n", 1)
	lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
	first := slices.Index(lines, "realms:") + 1
	want = make(map[int]string)
	for k := range 2 * len(mistakes) {
		m := mistakes[k%len(mistakes)]
		at := first + (k+1)*(len(lines)-first)/(2*len(mistakes)+1)
		lines = slices.Insert(lines, at, m.line(3+k/len(mistakes)))
	}
	for i, line := range lines {
		for _, m := range mistakes {
			for k := range 2 {
				if line == m.line(3+k) {
					want[i+1] = m.want
				}
			}
		}
	}
	return strings.Join(lines, "\n") + "\n", want
}

// TestSeededMistakes sows fifty mistakes of 25 kinds into 100,000 realms: each
// is found on its line, and nothing else is said.
func TestSeededMistakes(t *testing.T) {
	n := 100_000
	if raced {
		n = 10_000
	}
	text, want := seeded(n)
	require.Len(t, want, 50)
	_, ps := Load(write(t, map[string]string{"a.yaml": text, "secret": "0123456789abcdef"}), noEnv)
	found := make(map[int]bool)
	for _, p := range ps {
		if p.Severity == Info {
			continue
		}
		part, sown := want[p.Pos.Line]
		if assert.True(t, sown, "%s", p) {
			found[p.Pos.Line] = found[p.Pos.Line] || strings.Contains(p.String(), part)
		}
	}
	for line, part := range want {
		assert.True(t, found[line], "line %d: %s", line, part)
	}
}

// BenchmarkSeededMistakes is a check of 100,000 realms with fifty mistakes.
func BenchmarkSeededMistakes(b *testing.B) {
	text, _ := seeded(100_000)
	dir := write(b, map[string]string{"a.yaml": text, "secret": "0123456789abcdef"})
	for b.Loop() {
		if _, ps := Load(dir, noEnv); len(ps) < 50 {
			b.Fatal(ps)
		}
	}
}

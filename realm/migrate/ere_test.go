package migrate_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm/migrate"
)

func TestERE(t *testing.T) {
	for _, c := range []struct {
		name, in, re2, match, other string
	}{
		{"plain", `@Example\.com$`, `@example\.com$`, "bob@EXAMPLE.com", "bob@exampleXcom"},
		{"class", `^[a-k].*@[[:alnum:].-]+$`, `^[a-k].*@[\-.0-9a-z]+$`, "Carl@a-b.C", "zoe@a.c"},
		{"negated", `^[^@]+$`, `^[^@]+$`, "bob", "bob@a"},
		{"backslash in a set", `^[\.]+$`, `^[.\\]+$`, `\.`, "d"},
		{"bracket first", `^[]a]+$`, `^[a\]]+$`, "]A]", "b"},
		{"letter behind a backslash", `^\D+$`, `^d+$`, "dD", "12"},
		{"small letter behind a backslash", `\d`, `[^\x00-\x{10ffff}]`, "", "d"},
		{"repeated star", `^a**$`, `^(?:a*)*$`, "aaa", "b"},
		{"literal parenthesis", `a)`, `a\)`, "xA)", "a"},
		{"empty branch", `^(a|)$`, `^(a|)$`, "", "b"},
		{"open interval", `^a{,2}$`, `^a{0,2}$`, "aa", "aaa"},
		{"range over letters", `^[+-Z]$`, `^[+-@a-z]$`, "q", "["},
		{"word", `^\w+\s$`, `^[0-9a-z_]+[\x09-\x0d ]$`, "a_1 ", "a-1 "},
		{"wide literal", "^caf\u00e9$", "^caf\u00e9$", "CAF\u00e9", "cafe"},
		{"alternatives", `@(a|b)\.org$|^x`, `@(a|b)\.org$|^x`, "n@B.org", "n@c.org"},
		{"anchor inside", `a^b`, `a^b`, "", "a^b"},
		{"all", `.*`, `.*`, "\xff", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := migrate.ParseERE(c.in)
			require.NoError(t, err)
			got, err := e.RE2()
			require.NoError(t, err)
			assert.Equal(t, c.re2, got)
			ours, err := regexp.Compile("(?is)" + got)
			require.NoError(t, err)
			if c.match != "" {
				assert.True(t, e.Match([]byte(c.match)), c.match)
				assert.True(t, ours.MatchString(c.match), c.match)
			}
			if c.other != "" {
				assert.False(t, e.Match([]byte(c.other)), c.other)
				assert.False(t, ours.MatchString(c.other), c.other)
			}
		})
	}
}

func TestERERefused(t *testing.T) {
	for _, in := range []string{`*a`, `a|*`, `(+)`, `^*`, `$+`, `(a`, `[a`, `a{`, `a{2,1}`, `a{x}`, `{1}`, `a\`, `[z-a]`, `[Z-a]`, `[[:nope:]]`, `[[.ab.]]`, `[a-b-c]`, `[[:alpha:]-z]`} {
		_, err := migrate.ParseERE(in)
		require.ErrorIs(t, err, migrate.ErrRefused, in)
	}
	for _, in := range []string{`(a)\1`, `\<a`, `a{1001}`, `((((a{999}){999}){999}){999})`} {
		_, err := migrate.ParseERE(in)
		require.Error(t, err, in)
		require.NotErrorIs(t, err, migrate.ErrRefused, in)
	}
	for _, in := range []string{"[\u00e9]", "\u00e9*", "^\xff$"} {
		e, err := migrate.ParseERE(in)
		require.NoError(t, err, in)
		_, err = e.RE2()
		require.Error(t, err, in)
	}
}

func TestSubmatch(t *testing.T) {
	e, err := migrate.ParseERE(`^(.*)@(local|locals)(x)?`)
	require.NoError(t, err)
	got := e.Submatch([]byte("B\xe9@LOCALS"))
	require.Len(t, got, 4)
	assert.Equal(t, "B\xe9@LOCALS", string(got[0]))
	assert.Equal(t, "B\xe9", string(got[1]))
	assert.Equal(t, "LOCALS", string(got[2]))
	assert.Nil(t, got[3])
	assert.Nil(t, e.Submatch([]byte("bob")))
}

// What is written for our files must match what the octets match, as long as
// they are ASCII.
func FuzzERE(f *testing.F) {
	for _, s := range []string{`@a\.b$`, `^[^a-f]{2}(x|y)*`, `[]-a]`, `\w\W\b`, `a|`, `()`, `[[:punct:]]`, `a{2}{3}`, `[^-z]`} {
		f.Add(s, "user@a.b")
	}
	f.Fuzz(func(t *testing.T, expr, in string) {
		for i := range len(in) {
			if in[i] == 0 || in[i] >= 0x80 {
				return
			}
		}
		e, err := migrate.ParseERE(expr)
		if err != nil {
			return
		}
		text, err := e.RE2()
		if err != nil {
			return
		}
		ours, err := regexp.Compile("(?is)" + text)
		require.NoError(t, err, "%q", expr)
		assert.Equal(t, e.Match([]byte(in)), ours.MatchString(in), "%q as %q on %q", expr, text, in)
	})
}

func TestMayMatchEnd(t *testing.T) {
	for _, c := range []struct {
		expr, end string
		want      bool
	}{
		{`@b\.org$`, "@a.org", false},
		{`@(.*\.)?a\.org$`, "@A.org", true},
		{`.*\.a\.org$`, "@a.org", false},
		{`\.org$`, "@a.org", true},
		{`^[^@]+$`, "@a.org", false},
		{`^[^@]*$`, "@a.org", false},
		{`^$`, "@a.org", false},
		{`^anonymous$`, "@a.org", false},
		{`^anonymous`, "@a.org", true},
		{`@.*@`, "@a.org", true},
		{`^@`, "@a.org", true},
		{`[[:space:]]`, "@a.org", true},
		{`[[:space:]]$`, "@a.org", false},
		{`@[^.]+$`, "@a.org", false},
		{`\.\.`, "@a.org", true},
		{`@a\.org.$`, "@a.org", false},
		{`^.{3}@a`, "@a.org", true},
		{`^.{3}$`, "@a.org", false},
		{`x^y`, "@a.org", false},
	} {
		e, err := migrate.ParseERE(c.expr)
		require.NoError(t, err)
		assert.Equal(t, c.want, e.MayMatchEnd(c.end), c.expr)
	}
}

package nai_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/nai"
)

type vector struct{ verb, in, name, want string }

// vectors reads every case of test/vectors/nai.
func vectors(t testing.TB) (all []vector) {
	t.Helper()
	files, err := filepath.Glob("../../test/vectors/nai/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		lines := bufio.NewScanner(bytes.NewReader(b))
		for n := 1; lines.Scan(); n++ {
			line := strings.TrimSpace(lines.Text())
			if want, ok := strings.CutPrefix(line, "= "); ok {
				all[len(all)-1].want = want
				continue
			}
			if line == "" || line[0] == '#' {
				continue
			}
			verb, rest, _ := strings.Cut(line, " ")
			quoted, err := strconv.QuotedPrefix(rest)
			require.NoError(t, err, "%s:%d", file, n)
			in, err := strconv.Unquote(quoted)
			require.NoError(t, err, "%s:%d", file, n)
			_, name, _ := strings.Cut(rest[len(quoted):], "#")
			all = append(all, vector{verb, in, fmt.Sprintf("%s %s:%d", strings.TrimSpace(name), filepath.Base(file), n), ""})
		}
	}
	return all
}

func run(v vector) string {
	var buf [nai.MaxLen]byte
	switch v.verb {
	case "split":
		user, realm, why := nai.Split([]byte(v.in))
		switch {
		case user == nil:
			return why.String()
		case realm == nil:
			return fmt.Sprintf("%s user=%q realm=-", why, user)
		}
		return fmt.Sprintf("%s user=%q realm=%q", why, user, realm)
	case "plmn":
		if mcc, mnc, ok := nai.PLMN(nai.Fold(&buf, []byte(v.in))); ok {
			return fmt.Sprintf("%s %s", mcc, mnc)
		}
	case "imsi":
		user, realm, _ := nai.Split([]byte(v.in))
		if imsi, ok := nai.IMSI(user, nai.Fold(&buf, realm)); ok {
			return string(imsi)
		}
	}
	return "none"
}

func TestVectors(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			got := run(v)
			if v.verb == "split" {
				seen[strings.Fields(got)[0]] = true
			}
			assert.Equal(t, v.want, got, "%q", v.in)
		})
	}
	_, _, why := nai.Split(bytes.Repeat([]byte("a"), 254))
	assert.Equal(t, nai.TooLong, why)
	seen[why.String()] = true
	for _, r := range nai.Reasons() {
		assert.True(t, seen[r.String()], "no vector gives %s", r)
	}
	assert.Equal(t, "unknown", nai.Reason(200).String())
}

func TestSplitLongest(t *testing.T) {
	in := []byte("a@" + strings.Repeat("abcdefghi.", 25) + "b")
	require.Len(t, in, nai.MaxLen)
	_, realm, why := nai.Split(in)
	assert.Equal(t, nai.OK, why)
	assert.Len(t, realm, nai.MaxLen-2)
}

func TestFold(t *testing.T) {
	var buf [nai.MaxLen]byte
	assert.Equal(t, "home.example-09", string(nai.Fold(&buf, []byte("HOME.eXample-09"))))
	assert.Equal(t, "bÜcher", string(nai.Fold(&buf, []byte("BÜCHER"))[:7]), "ASCII only")
	assert.Nil(t, nai.Fold(&buf, make([]byte, 254)))
}

// TestC105NFC (C105): what is looked up is in NFC, whichever of two equal texts
// a device sends.
func TestC105NFC(t *testing.T) {
	growing := strings.Repeat("\u0958", 60) // of 3 octets, in NFC of 6
	for _, tt := range []struct{ name, in, want string }{
		{"composed", "B\u00fccher.Example", "b\u00fccher.example"},
		{"decomposed", "Bu\u0308cher.Example", "b\u00fccher.example"},
		{"capital, composed", "\u00c5re.example", "\u00c5re.example"},
		{"capital, decomposed", "A\u030are.example", "\u00c5re.example"},
		{"marks in another order", "q\u0307\u0323.example", "q\u0323\u0307.example"},
		{"one character for an ASCII letter", "\u212ae.example", "ke.example"},
		{"composed in lower case only", "J\u030c.example", "\u01f0.example"},
		{"no room", growing + ".Example", growing + ".example"},
	} {
		var buf [nai.MaxLen]byte
		assert.Equal(t, tt.want, string(nai.Fold(&buf, []byte(tt.in))), tt.name)
	}
}

// subscriber is what a phone sends from a visited network.
const subscriber = "6262011234567890@nai.epc.mnc001.mcc262.3gppnetwork.org"

func TestAllocs(t *testing.T) {
	in := []byte(subscriber)
	wide := []byte("müller@bücher.example")
	var buf [nai.MaxLen]byte
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		user, realm, _ := nai.Split(in)
		folded := nai.Fold(&buf, realm)
		if _, ok := nai.IMSI(user, folded); !ok {
			t.Fatal("no IMSI")
		}
		if _, _, why := nai.Split(wide); why != nai.OK {
			t.Fatal(why)
		}
	}))
}

func BenchmarkHotSplit(b *testing.B) {
	in := []byte(subscriber)
	var buf [nai.MaxLen]byte
	b.ReportAllocs()
	for b.Loop() {
		_, realm, _ := nai.Split(in)
		nai.Fold(&buf, realm)
	}
}

func BenchmarkHotIMSI(b *testing.B) {
	user, realm, _ := nai.Split([]byte(subscriber))
	b.ReportAllocs()
	for b.Loop() {
		nai.IMSI(user, realm)
	}
}

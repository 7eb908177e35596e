package wba_test

import (
	"bufio"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/wba"
)

type vector struct {
	name, want string
	in         []byte
}

func vectors(t testing.TB) (vs []vector) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "test", "vectors", "wba", "rcoi.txt"))
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "rcoi"):
			in, name, _ := strings.Cut(line[len("rcoi"):], "#")
			b, err := hex.DecodeString(strings.TrimSpace(in))
			require.NoError(t, err, line)
			vs = append(vs, vector{name: strings.TrimSpace(name), in: b})
		case strings.HasPrefix(line, "= "):
			vs[len(vs)-1].want = line[2:]
		}
	}
	require.NotEmpty(t, vs)
	return vs
}

func TestReadRCOI(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			r, ok := wba.ReadRCOI(v.in)
			if !ok {
				assert.Equal(t, "none", v.want)
				return
			}
			assert.Equal(t, v.want, r.String())
			back := r.Octets()
			assert.Equal(t, append(v.in, 0, 0)[:5], back[:])
		})
	}
}

// FuzzRCOI: no octets panic; what is read is written again octet for octet.
func FuzzRCOI(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, ok := wba.ReadRCOI(in)
		if !ok {
			if len(in) == 5 && (strings.HasPrefix(string(in), wba.Free()) || strings.HasPrefix(string(in), wba.Settled())) {
				t.Fatalf("%x is not read", in)
			}
			return
		}
		back := r.Octets()
		if string(back[:len(in)]) != string(in) {
			t.Fatalf("%x became %x", in, back)
		}
		if again, ok := wba.ReadRCOI(back[:]); !ok || again != r || r.String() == "" {
			t.Fatalf("%x: %v became %v", in, r, again)
		}
	})
}

func TestReadTier(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     wba.Tier
		ok       bool
	}{
		{"bronze", "OpenRoaming Bronze", wba.Bronze, true},
		{"silver in capitals", "OPENROAMING SILVER", wba.Silver, true},
		{"gold", "openroaming gold", wba.Gold, true},
		{"platinum", "OpenRoaming Platinum", 0, false},
		{"the federation alone", "OpenRoaming ", 0, false},
		{"the tier alone", "Silver", 0, false},
		{"more behind", "OpenRoaming Silver\x00", 0, false},
		{"none", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := wba.ReadTier([]byte(tt.in))
			assert.Equal(t, tt.ok, ok)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestReadRate(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     wba.Rate
		ok       bool
	}{
		{"euro", "EUR\x02\x00\x01\x02\x03", wba.Rate{Currency: [3]byte{'E', 'U', 'R'}, Index: 2, Nanos: 66051}, true},
		{"the highest", "USD\xff\xff\xff\xff\xff", wba.Rate{Currency: [3]byte{'U', 'S', 'D'}, Index: 255, Nanos: 4294967295}, true},
		{"small letters", "eur\x02\x00\x01\x02\x03", wba.Rate{}, false},
		{"short", "EUR\x02\x00\x01\x02", wba.Rate{}, false},
		{"long", "EUR\x02\x00\x01\x02\x03\x04", wba.Rate{}, false},
		{"none", "", wba.Rate{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := wba.ReadRate([]byte(tt.in))
			require.Equal(t, tt.ok, ok)
			assert.Equal(t, tt.want, got)
			if ok {
				assert.Equal(t, tt.in, string(got.Append(nil)))
			}
		})
	}
}

// What dictionaries call a text is four octets, also where one of them is NUL.
func TestReadSLA(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     wba.SLA
		ok       bool
	}{
		{"a plane", "\x5a\x00\x10\x00", wba.SLA{Availability: 90, Bandwidth: 4096}, true},
		{"all the time", "\x64\xff\xff\xff", wba.SLA{Availability: 100, Bandwidth: 0xffffff}, true},
		{"more than all the time", "\x65\x00\x10\x00", wba.SLA{}, false},
		{"short", "\x5a\x00\x10", wba.SLA{}, false},
		{"long", "\x5a\x00\x10\x00\x00", wba.SLA{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := wba.ReadSLA([]byte(tt.in))
			assert.Equal(t, tt.ok, ok)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestProviders(t *testing.T) {
	for _, tt := range []struct {
		name, in           string
		clearing, identity bool
	}{
		{"a member", "4CLEARER:US", true, true},
		{"a part of one", "4EU.CLEARER:US", true, true},
		{"the longest", "4" + strings.Repeat("A", 63), true, true},
		{"too long", "4" + strings.Repeat("A", 64), false, false},
		{"a mobile network", "0DEUD1", false, true},
		{"a mobile network, too long", "0DEUD12", false, false},
		{"a realm", "1home.example", false, false},
		{"the namespace alone", "4", false, false},
		{"NUL", "4CLEARER\x00", false, false},
		{"a line end", "4CLEARER\n", false, false},
		{"none", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.clearing, wba.IsProvider([]byte(tt.in)))
			assert.Equal(t, tt.identity, wba.IsIdentityProvider([]byte(tt.in)))
		})
	}
}

func TestOperatorOf(t *testing.T) {
	for _, tt := range []struct {
		name, wbaid, operator string
		want                  bool
	}{
		{"its own", "CISCO:US", "4CISCO:US", true},
		{"small letters", "CISCO:US", "4cisco:us", true},
		{"a sub-identifier", "CISCO:US", "4VENUE.CISCO:US", true},
		{"two sub-identifiers", "CISCO:US", "4A.VENUE.CISCO:US", true},
		{"one that ends like it", "CISCO:US", "4SANFRANCISCO:US", false},
		{"an empty sub-identifier", "CISCO:US", "4.CISCO:US", false},
		{"another country", "CISCO:US", "4CISCO:DE", false},
		{"another namespace", "CISCO:US", "1CISCO:US", false},
		{"no namespace", "CISCO:US", "CISCO:US", false},
		{"a line end in front", "CISCO:US", "4A\n.CISCO:US", false},
		{"a certificate without one", "", "4", false},
		{"no operator", "CISCO:US", "", false},
		{"too long", "CISCO:US", "4" + strings.Repeat("A.", 40) + "CISCO:US", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, wba.OperatorOf(tt.wbaid, []byte(tt.operator)))
		})
	}
}

func TestReadReject(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     wba.RejectReason
		ok       bool
	}{
		{"behind a text", "no agreement\x00Reject-Reason=42", wba.RoamingNotAllowed, true},
		{"without a text", "\x00Reject-Reason=10", wba.AuthenticationFailed, true},
		{"one that nobody knows", "\x00Reject-Reason=99", 99, true},
		{"without the NUL", "Reject-Reason=42", 0, false},
		{"one digit", "\x00Reject-Reason=4", 0, false},
		{"below ten", "\x00Reject-Reason=04", 0, false},
		{"letters", "\x00Reject-Reason=4x", 0, false},
		{"more behind", "\x00Reject-Reason=42 ", 0, false},
		{"behind a second NUL", "\x00\x00Reject-Reason=42", 0, false},
		{"none", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := wba.ReadReject([]byte(tt.in))
			assert.Equal(t, tt.ok, ok)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestAppendReject(t *testing.T) {
	for _, r := range wba.RejectReasons() {
		v := r.AppendReject([]byte("text"))
		assert.Len(t, v, len("text")+wba.RejectLen)
		got, ok := wba.ReadReject(v)
		assert.True(t, ok)
		assert.Equal(t, r, got)
	}
}

// FuzzAttributes: no octets panic, and what is read is written again.
func FuzzAttributes(f *testing.F) {
	for _, s := range []string{"EUR\x02\x00\x01\x02\x03", "4CLEARER:US", "\x5a\x00\x10\x00", "no\x00Reject-Reason=42", "OpenRoaming Gold"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, ok := wba.ReadRate(in); ok && string(r.Append(nil)) != string(in) {
			t.Fatalf("%q became %v", in, r)
		}
		if r, ok := wba.ReadReject(in); ok && !strings.HasSuffix(string(in), string(r.AppendReject(nil))) {
			t.Fatalf("%q became %d", in, r)
		}
		if s, ok := wba.ReadSLA(in); ok && (s.Availability > 100 || s.Bandwidth >= 1<<24) {
			t.Fatalf("%q became %v", in, s)
		}
		if (wba.IsProvider(in) || wba.IsIdentityProvider(in)) && strings.ContainsFunc(string(in), func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("%q is a provider", in)
		}
		wba.ReadTier(in)
		if wba.OperatorOf("CISCO:US", in) && !strings.HasSuffix(strings.ToUpper(string(in)), "CISCO:US") {
			t.Fatalf("%q is of the operator", in)
		}
	})
}

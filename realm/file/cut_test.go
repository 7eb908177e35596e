package file

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

// cutting makes files of any size be cut into pieces of about so many octets;
// 0 leaves all files whole.
func cutting(t testing.TB, size int) {
	t.Helper()
	oldSize, oldMin := pieceSize, minCut
	t.Cleanup(func() { pieceSize, minCut = oldSize, oldMin })
	pieceSize, minCut = size, 0
	if size == 0 {
		minCut = maxFile + 1
	}
}

func compileFiles(files []content, workers int) (*realm.Set, Problems) {
	r := &report{}
	set, _ := compile(r, "dir", files, [32]byte{1}, testEnv, workers)
	return set, r.problems()
}

// sameCut compiles files whole and in small pieces and holds that it makes no
// difference to what is said and to what comes out.
func sameCut(t *testing.T, files []content) (*realm.Set, Problems) {
	t.Helper()
	defer func(size, least int) { pieceSize, minCut = size, least }(pieceSize, minCut)
	minCut = maxFile + 1
	set, ps := compileFiles(files, 1)
	for _, size := range []int{1, 100} {
		pieceSize, minCut = size, 0
		got, gotPs := compileFiles(files, 3)
		if g, w := gotPs.Error(), ps.Error(); g != w {
			t.Fatalf("pieces of %d octets\ngot:\n%s\nwant:\n%s\nfiles %q", size, g, w, files)
		}
		if (got == nil) != (set == nil) {
			t.Fatalf("pieces of %d octets: set %v, want %v", size, got, set)
		}
		if set == nil {
			continue
		}
		if change := Diff(set, got); !change.Empty() || len(got.Routes) != len(set.Routes) || got.Hash != set.Hash {
			t.Fatalf("pieces of %d octets change %s", size, change)
		}
		for i := range set.Routes {
			if !reflect.DeepEqual(got.Routes[i], set.Routes[i]) {
				t.Fatalf("pieces of %d octets: route %+v, want %+v", size, got.Routes[i], set.Routes[i])
			}
		}
	}
	return set, ps
}

// TestCutSaysTheSame reads every case of testdata in pieces.
func TestCutSaysTheSame(t *testing.T) {
	cases, err := filepath.Glob("testdata/problems/*.txt")
	require.NoError(t, err)
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			input, _, _ := strings.Cut(string(raw), "-- want --\n")
			names, parts := sections(input)
			var files []content
			for _, name := range names {
				if wanted(name) {
					files = append(files, content{name: name, data: []byte(parts[name])})
				}
			}
			sameCut(t, files)
		})
	}
	sameCut(t, []content{{name: "a.yaml", data: []byte(wholeFile)}})
}

const cutPeers = "homes:\n  - {name: h, address: 192.0.2.1, secret_env: GOOD_SECRET}\npools:\n  - {name: p, homes: [h]}\n"

func TestCut(t *testing.T) {
	cutting(t, 1)
	for _, tc := range []struct {
		name, text string
		pieces     int // 0: stays whole
	}{
		{"list alone", "realms:\n- realm: a.example\n  auth: p\n- {realm: b.example, auth: p}\n", 2},
		{"indented", "realms:\n    - realm: a.example\n      auth: p\n    - {realm: b.example, auth: p}", 2},
		{"keys behind", "realms: # all\n\n  # first\n  - {realm: a.example, auth: p}\n\n# end\nclients:\n  - {name: c}\n", 1},
		{"keys before", cutPeers + "realms:\n  - {realm: a.example, auth: p}\n  - {realm: b.example, auth: q}\n", 2},
		{"comments between", "realms:\n  - realm: a.example\n# x\n    # y\n    auth: p\n  # z\n  - {realm: a.b}\n", 2},
		{"blanks for a line", "realms:\n  - realm: a.example\n   \n    auth: p\n", 1},
		{"carriage returns", "\xef\xbb\xbfrealms:\r\n  - {realm: a.example, auth: p}\r\n  - {realm: b.example, auth: p}\r\n", 2},
		{"nested lists", "realms:\n  - realm:\n      - a.example\n      - b.example\n    auth: p\n  - realm:\n    - c.example\n    auth: p\n", 2},
		{"empty", "realms:\n", 0},
		{"value", "realms: [a]\n", 0},
		{"mapping", "realms:\n  realm: a.example\n", 0},
		{"dash alone", "realms:\n  -\n    realm: a.example\n", 0},
		{"deeper key", "a:\n  realms:\n    - {realm: a.example}\n", 0},
		{"half a dedent", "realms:\n  - {realm: a.example}\n foo: bar\n", 0},
		{"two lists", "realms:\n  - {realm: a.example}\n- b\n", 0},
		{"twice", "realms:\n  - {realm: a.example}\nrealms:\n  - {realm: b.example}\n", 0},
		{"tab", "realms:\n  - {realm: a.example}\n\tclients:\n", 0},
		{"text of many lines", "a: |\n x\nrealms:\n  - {realm: a.example}\n", 0},
		{"control before", "# \x01\nrealms:\n  - {realm: a.example}\n", 0},
		{"control behind", "realms:\n  - {realm: a.example}\nx: \x01\n", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, pieces, ok := cut("f", []byte(tc.text), "realms", maxFile)
			assert.Equal(t, tc.pieces > 0, ok)
			if ok {
				assert.Len(t, pieces, tc.pieces)
			}
			sameCut(t, []content{{name: "f", data: []byte(tc.text)}})
		})
	}
}

// TestCutFallsBack breaks one entry of many in ways that only show when its
// piece is read.
func TestCutFallsBack(t *testing.T) {
	for _, bad := range []string{
		"  - {realm: b.example, auth: p", "  - realm: b.example\n   auth: p", "  - realm: \"b\\n\"\n    auth: p", "  - realm: b.example\n    realm: c.example",
		"  - *a", "  - realm: b\x02", "  - realm: \xff", "  -", "  - - a", "  - realm: |\n      b.example", "  - a\n  b: c", " - realm: a.b",
	} {
		text := cutPeers + "realms:\n  - {realm: a.example, auth: p}\n" + bad + "\n  - {realm: z.example, auth: nowhere}\n"
		other := "realms:\n  - {realm: a.example, auth: p}\n  - {realm: y.example, auth: nowhere}\n"
		sameCut(t, []content{{name: "a.yaml", data: []byte(text)}, {name: "b.yaml", data: []byte(other)}})
	}
}

func TestInOrder(t *testing.T) {
	for _, workers := range []int{0, 1, 2, 7} {
		for _, n := range []int{0, 1, 3, 100} {
			t.Run(fmt.Sprintf("%d of %d", workers, n), func(t *testing.T) {
				var got []int
				inOrder(n, workers, func(worker, i int, r *int) {
					assert.Less(t, worker, max(workers, 1))
					*r = i * i
				}, func(i int, r *int) bool {
					assert.Equal(t, i*i, *r)
					got = append(got, i)
					return i < 50
				})
				assert.Len(t, got, min(n, 51))
			})
		}
	}
	assert.PanicsWithValue(t, "worker", func() {
		inOrder(9, 3, func(_, i int, _ *int) {
			if i == 4 {
				panic("worker")
			}
		}, func(int, *int) bool { return true })
	})
}

// TestPlainASCII holds the quick look against the slow one, octet by octet.
func TestPlainASCII(t *testing.T) {
	for c := range 256 {
		for _, at := range []int{0, 7, 8, 12} {
			data := []byte("0123456789abc")
			data[at] = byte(c)
			assert.Equal(t, c >= ' ' && c < 0x7f || c == '\n', plainASCII(data), "%#x at %d", c, at)
		}
	}
}

// TestUsualRealm holds the quick look at a name against the rules.
func TestUsualRealm(t *testing.T) {
	long := strings.Repeat("a", maxLabel)
	for _, name := range []string{
		"", "a", "a.b", "a.b.", ".a.b", "a..b", "a-.b", "-a.b", "a.-b", "a.b-", "a-b.c", "a.B", "a_b.c", "a b.c", "*.a.b", "none", "default",
		long + ".b", long + "a.b", "b." + long, "b." + long + "a", "1.2", "\u00fc.b", strings.Repeat("a.", 125) + "bc", strings.Repeat("a.", 125) + "bcd",
	} {
		quick := isUsual(name)
		folded, text, _ := foldRealm(name)
		assert.Equal(t, name, map[bool]string{true: folded, false: name}[quick])
		if quick {
			wantText, _ := badLabels(name)
			assert.Empty(t, text+wantText, name)
			assert.Contains(t, name, ".")
		}
	}
	assert.True(t, isUsual("wlan.mnc001.mcc262.3gppnetwork.org"))
	assert.False(t, isUsual("b."+long+"a"))
	assert.False(t, isUsual(strings.Repeat("a.", 125)+"bcd"))
}

func TestPieceExplains(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"octet", "  - a\n  - b\x01\n", "f:12:6: error: control character (remove it)"},
		{"not plain", "  - a\n  - &b c\n", "f:12:5: error: not plain YAML, which a file over 4 MB must be (write it in plain block form, one value in a line, or split the file)"},
		{"key twice", "  - a: b\n    a: c\n", `f:12:5: error: key "a" stands twice (first at f:11:5)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &report{}
			p := piece{text: []byte(tc.text), lines: 10, indent: 2}
			_, ok := p.parse(nil)
			assert.False(t, ok)
			p.explain(r, "f")
			assert.Equal(t, tc.want, r.problems().Error())
		})
	}
}

// TestNothingBesideAnUnreadableDirectory: what is missing in files that could
// not be read is no news.
func TestNothingBesideAnUnreadableDirectory(t *testing.T) {
	set, ps := Load(filepath.Join(t.TempDir(), "gone"), noEnv)
	assert.Nil(t, set)
	require.Len(t, ps, 1)
	assert.Equal(t, Error, ps[0].Severity)
}

package diameter_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
)

func vectors(t testing.TB) []dict.Vector {
	t.Helper()
	files, err := filepath.Glob("../../test/vectors/diameter/*.txt")
	require.NoError(t, err)
	var all []dict.Vector
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		v, err := dict.Vectors(string(b))
		require.NoError(t, err, name)
		all = append(all, v...)
	}
	require.NotEmpty(t, all)
	return all
}

// parse gives what Parse says in the words of the vectors.
func parse(m *diameter.Message, b []byte) string {
	n, fault := diameter.Frame(b)
	if fault == diameter.NoFault && n != len(b) {
		return "another length"
	}
	if fault == diameter.NoFault {
		fault = m.Parse(b)
	}
	if fault == diameter.NoFault {
		return "ok"
	}
	return fmt.Sprintf("%s %d", fault, fault.Result())
}

func answer(m *diameter.Message, result uint32) []byte {
	var w diameter.Writer
	w.Answer(make([]byte, diameter.MaxLen), m, &diameter.Answer{Result: result, Host: "hub.example", Realm: "example", Failed: m.Failed})
	return w.Finish()
}

// D41, D46: each bad message has its fault, and Failed-AVP what was wrong.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		var m diameter.Message
		require.NotEmpty(t, v.Want, v.Name)
		assert.Equal(t, v.Want[0], parse(&m, v.Raw), v.Name)
		if len(v.Want) == 1 {
			assert.Nil(t, m.Failed, v.Name)
			continue
		}
		failed, ok := strings.CutPrefix(v.Want[1], "failed ")
		require.True(t, ok, v.Name)
		want, err := dict.Parse("ULR\n" + failed)
		require.NoError(t, err, v.Name)
		b := answer(&m, 5014)
		var have diameter.AVP
		require.True(t, diameter.Find(b[diameter.HeaderLen:], diameter.FailedAVP, 0, &have), v.Name)
		assert.Equal(t, want[diameter.HeaderLen:], have.Data, "%s:\n%s", v.Name, dict.Format(b))
		var back diameter.Message
		require.Equal(t, "ok", parse(&back, answer(&m, 5014)), v.Name)
	}
}

// Each fault has a vector, but for those of the frame and of bounds, which have tests
// of their own.
func TestFaultsHaveVectors(t *testing.T) {
	seen := map[string]bool{"none": true, "message_length": true, "message_too_long": true, "too_many_avps": true, "too_deep": true}
	for _, v := range vectors(t) {
		word, _, _ := strings.Cut(v.Want[0], " ")
		seen[word] = true
	}
	for f := range diameter.NumFaults {
		assert.True(t, seen[f.String()], "%s", f)
		assert.NotEmpty(t, f.String())
		assert.NotZero(t, f.Result(), "%s", f)
	}
}

// D40: A18: whatever the length says, no octet beyond it is looked at.
func TestFrame(t *testing.T) {
	for n, want := range map[int]diameter.Fault{
		0: diameter.BadLength, 1: diameter.BadLength, 16: diameter.BadLength, 19: diameter.BadLength, 20: diameter.NoFault, 21: diameter.BadLength, 22: diameter.BadLength,
		23: diameter.BadLength, 24: diameter.NoFault, diameter.MaxLen: diameter.NoFault, diameter.MaxLen + 1: diameter.BadLength, diameter.MaxLen + 4: diameter.TooLong, 0xfffffc: diameter.TooLong, 0xffffff: diameter.BadLength,
	} {
		have, fault := diameter.Frame([]byte{1, byte(n >> 16), byte(n >> 8), byte(n)})
		assert.Equal(t, want, fault, "%d", n)
		assert.Equal(t, want != diameter.NoFault, fault.Unframed(), "%d", n)
		if fault == diameter.NoFault {
			assert.Equal(t, n, have)
		}
	}
	for n := range 4 {
		have, fault := diameter.Frame(make([]byte, n))
		assert.Zero(t, have)
		assert.Equal(t, diameter.NoFault, fault, "too little to tell")
	}
	var m diameter.Message
	for n := range diameter.HeaderLen {
		assert.Equal(t, diameter.BadLength, m.Parse(make([]byte, n)), "%d octets", n)
		assert.NotNil(t, answer(&m, 5015), "%d octets", n)
	}
}

// D41: A19: every length of an AVP from 0 to 12, with a vendor and without, at the top and
// in a group.
func TestAVPLengths(t *testing.T) {
	for _, flags := range []byte{0, 0x40, 0x80, 0xc0, 0xff} {
		head := 8
		if flags&0x80 != 0 {
			head = 12
		}
		for n := range 13 {
			for _, room := range []int{n, 8, 11, 12, 16} {
				avp := make([]byte, max(room, 8))
				avp[3], avp[4], avp[7] = 99, flags, byte(n)
				avp = avp[:room]
				for _, group := range []bool{false, true} {
					text := "ULR\nSession-Id: x\nOrigin-Host: a.example\nOrigin-Realm: example\n"
					b, err := dict.Parse(text)
					require.NoError(t, err)
					inner := avp
					if group {
						inner = append([]byte{0, 0, 1, 28, 0x40, 0, 0, byte(8 + len(avp))}, avp...)
					}
					b = append(b, inner...)
					b = append(b, make([]byte, -len(b)&3)...)
					b[2], b[3] = byte(len(b)>>8), byte(len(b))
					var m diameter.Message
					got := parse(&m, b)
					padded := len(avp)
					if !group {
						padded = (len(avp) + 3) &^ 3
					}
					ok := goodAVPs(append(append([]byte(nil), avp...), make([]byte, padded-len(avp))...))
					assert.Equal(t, ok, got == "ok", "flags %x length %d of %d octets, head %d, group %t: %s", flags, n, room, head, group, got)
					if !ok {
						assert.Equal(t, "avp_length 5014", got)
						var back diameter.Message
						assert.Equal(t, "ok", parse(&back, answer(&m, 5014)))
					}
				}
			}
		}
	}
}

// goodAVPs is the rule, said anew and slowly.
func goodAVPs(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 8 {
			return false
		}
		n := int(binary.BigEndian.Uint32(b[4:8]) & 0xffffff)
		if n < 8 || n < 12 && b[4] >= 0x80 || n > len(b) {
			return false
		}
		for n%4 != 0 && n < len(b) {
			n++
		}
		b = b[n:]
	}
	return true
}

// nested gives a request with Proxy-Infos in each other.
func nested(t testing.TB, depth int) []byte {
	t.Helper()
	b, err := dict.Parse("AAR hbh=7 e2e=8\nSession-Id: x\nOrigin-Host: a.example\nOrigin-Realm: example\n")
	require.NoError(t, err)
	for i := depth; i > 0; i-- {
		n := 8 * i
		b = append(b, 0, 0, 1, 28, 0x40, byte(n>>16), byte(n>>8), byte(n))
	}
	b[1], b[2], b[3] = byte(len(b)>>16), byte(len(b)>>8), byte(len(b))
	return b
}

// D42: D031, D032 (A20): groups in groups; the most that fit into a message, too.
func TestDepth(t *testing.T) {
	for depth, want := range map[int]string{
		1: "ok", diameter.MaxDepth: "ok", diameter.MaxDepth + 1: "too_deep 5014", 100: "too_deep 5014", 5000: "too_deep 5014", 8000: "too_deep 5014",
	} {
		var m diameter.Message
		assert.Equal(t, want, parse(&m, nested(t, depth)), "%d", depth)
		b := answer(&m, 5014)
		var back diameter.Message
		require.Equal(t, "ok", parse(&back, b), "%d", depth)
		assert.EqualValues(t, 7, back.HopByHop)
		assert.EqualValues(t, 8, back.EndToEnd)
		if want != "ok" {
			assert.Contains(t, dict.Format(b), "Failed-AVP:\n  Proxy-Info:\n", "%d: its header is enough", depth)
			assert.Less(t, len(b), 1200, "%d", depth)
		}
	}
	var m diameter.Message
	assert.Equal(t, "message_too_long 5015", parse(&m, nested(t, 100000)), "D033")
}

// D42: AVPs are counted over all depths.
func TestTooManyAVPs(t *testing.T) {
	for name, tt := range map[string]struct {
		line string
		n    int
		want string
	}{
		"at the top, as many as may be":    {"AVP-9999: 0x\n", diameter.MaxAVPs - 3, "ok"},
		"at the top":                       {"AVP-9999: 0x\n", diameter.MaxAVPs - 2, "too_many_avps 5014"},
		"in groups, as many as may be":     {"Proxy-Info:\n  Proxy-State: 0x\n", (diameter.MaxAVPs - 3) / 2, "ok"},
		"in groups":                        {"Proxy-Info:\n  Proxy-State: 0x\n", (diameter.MaxAVPs-3)/2 + 1, "too_many_avps 5014"},
		"in groups that are left alone":    {"APN-Configuration:\n  Context-Identifier: 1\n", (diameter.MaxAVPs - 3) / 2, "ok"},
		"Route-Records, as many as may be": {"Route-Record: x.example\n", diameter.MaxAVPs - 3, "ok"},
	} {
		b, err := dict.Parse("ULR\nSession-Id: x\nOrigin-Host: a.example\nOrigin-Realm: example\n" + strings.Repeat(tt.line, tt.n))
		require.NoError(t, err)
		var m diameter.Message
		assert.Equal(t, tt.want, parse(&m, b), name)
		assert.NotNil(t, answer(&m, 5014), name)
	}
}

func TestVisited(t *testing.T) {
	b, err := dict.Parse("ULR\nSession-Id: x\nOrigin-Host: a.example\nOrigin-Realm: example\n" + strings.Repeat("Route-Record: x.example\n", 500) + "AVP-10415-282: \"other.example\"\nRoute-Record: HUB.example\n")
	require.NoError(t, err)
	var m diameter.Message
	require.Equal(t, diameter.NoFault, m.Parse(b))
	assert.Equal(t, 501, m.Routes)
	assert.True(t, m.Visited("hub.EXAMPLE"), "the last of many")
	assert.True(t, m.Visited("x.example"))
	assert.False(t, m.Visited("other.example"), "a vendor's AVP is another one")
	assert.False(t, m.Visited(""))
}

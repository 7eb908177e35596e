package accounting

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func stored(t *testing.T, name string) []byte {
	text, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return b
}

// Records as earlier programs stored them. The files are never changed: a
// hub that is updated finds such records in its spool.
func TestGoldenRecords(t *testing.T) {
	want, _ := fullRecord(packet(stop()...))
	for _, tt := range []struct {
		name    string
		version uint32
		stale   bool
	}{
		{"record-v1.hex", 0, false},
		{"record-v1-policy.hex", 7, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := stored(t, tt.name)
			r, err := Decode(b)
			require.NoError(t, err)
			want.PolicyVersion, want.PolicyStale = tt.version, tt.stale
			assert.Equal(t, want, r.Header)
			assert.Equal(t, packet(stop()...), r.Raw)

			names, raw, err := firstReader(b)
			require.NoError(t, err)
			assert.Equal(t, []string{"hotspots", "4WBA:CH", "CH", "a.example", "*.example"}, names)
			assert.Equal(t, packet(stop()...), raw, "the first reader of version 1 takes it too")
		})
	}
	assert.Equal(t, stored(t, "record-v1-policy.hex"), AppendRecord(nil, &want, packet(stop()...)), "the last file is what is written now")
}

// firstReader is how the first program that read version 1 found the names
// and the packet: it knew no field behind the names.
func firstReader(b []byte) (names []string, raw []byte, err error) {
	if len(b) < 65 || b[0] != 1 {
		return nil, nil, errors.New("no record")
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if n < 70 || n > len(b) || len(b)-n > 4096 {
		return nil, nil, errors.New("header length")
	}
	rest := b[65:n]
	for range 5 {
		if len(rest) == 0 || int(rest[0]) > len(rest)-1 {
			return nil, nil, errors.New("a name passes the header")
		}
		l := int(rest[0])
		names, rest = append(names, string(rest[1:1+l])), rest[1+l:]
	}
	return names, b[n:], nil
}

func TestDecodeRefusesAFieldThatIsCut(t *testing.T) {
	b := stored(t, "record-v1-policy.hex")
	n := int(binary.BigEndian.Uint16(b[1:]))
	for cut := 1; cut < addedLen; cut++ {
		short := append(append([]byte{}, b[:n-cut]...), b[n:]...)
		binary.BigEndian.PutUint16(short[1:], uint16(n-cut))
		_, err := Decode(short)
		require.ErrorIs(t, err, ErrRecord)
		assert.ErrorContains(t, err, "behind the names")
	}
}

// A record of Diameter as it is stored, and the line that clearing has of it. Fields may
// be added to the line; what stands in it stays.
func TestGoldenDiameter(t *testing.T) {
	h, b := fullRecord(fullACR())
	assert.Equal(t, stored(t, "record-v1-diameter.hex"), b)
	r, err := Decode(b)
	require.NoError(t, err)
	assert.Equal(t, h, r.Header)
	r.Seq = 42
	want, err := os.ReadFile("testdata/record-v1-diameter.json")
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSpace(string(want)), strings.TrimSpace(string(r.AppendJSON(nil, &View{Hasher: NewHasher([]byte("key"))}))))
}

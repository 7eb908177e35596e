package mutation

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
)

// What it makes is framed, differs, and most of it is near enough to be read; the faults
// that it is there for are among it.
func TestEach(t *testing.T) {
	b, err := os.ReadFile("../vectors/diameter/valid.txt")
	require.NoError(t, err)
	vectors, err := dict.Vectors(string(b))
	require.NoError(t, err)
	faults := map[diameter.Fault]int{}
	names := map[string]bool{}
	for _, v := range vectors {
		Each(v.Raw, func(name string, raw []byte) bool {
			var m diameter.Message
			n, fault := diameter.Frame(raw)
			require.Equal(t, diameter.NoFault, fault, name)
			require.Equal(t, len(raw), n, name)
			faults[m.Parse(raw)]++
			names[name] = true
			return true
		})
	}
	t.Log(faults)
	for f := range diameter.NumFaults {
		if !f.Unframed() && f != diameter.BadVersion && f != diameter.TooManyAVPs {
			assert.Positive(t, faults[f], "%s", f)
		}
	}
	assert.Greater(t, len(names), 1000)
	assert.Greater(t, faults[diameter.NoFault], 1000, "many are for the walk behind the parser")
}

func TestEachEnds(t *testing.T) {
	b, err := dict.Parse("ULR\nUser-Name: 1\nOrigin-Host: a.example\n")
	require.NoError(t, err)
	n := 0
	Each(b, func(string, []byte) bool { n++; return n < 5 })
	assert.Equal(t, 5, n)
}

func TestUnframed(t *testing.T) {
	for _, h := range Unframed() {
		_, fault := diameter.Frame(h)
		assert.True(t, fault.Unframed(), "%x", h)
	}
}

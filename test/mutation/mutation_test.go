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

// D43: There is a good request of every command that the hub is made for, in each
// application that it routes, to be made bad.
func TestEveryCommand(t *testing.T) {
	b, err := os.ReadFile("../vectors/diameter/valid.txt")
	require.NoError(t, err)
	vectors, err := dict.Vectors(string(b))
	require.NoError(t, err)
	type of struct{ application, command uint32 }
	have := map[of]bool{}
	for _, v := range vectors {
		if h := diameter.ReadHeader(v.Raw); h.Request() {
			have[of{h.Application, h.Command}] = true
		}
	}
	for _, c := range []struct {
		name        string
		application uint32
		commands    []uint32
	}{
		{"peers", 0, []uint32{257, 280, 282}},
		{"accounting", 3, []uint32{271}},
		{"NASREQ", 1, []uint32{258, 265, 274, 275}},
		{"EAP", 5, []uint32{268}},
		{"credit control", 4, []uint32{272}},
		{"S6a", 16777251, []uint32{316, 317, 318, 319, 320, 321, 322, 323}},
		{"S13", 16777252, []uint32{324}},
		{"SWx", 16777265, []uint32{301, 303, 304, 305}},
		{"STa", 16777250, []uint32{268}},
		{"SWm", 16777264, []uint32{268}},
		{"S6b", 16777272, []uint32{265}},
		{"Gx", 16777238, []uint32{258, 272}},
		{"S6t", 16777345, []uint32{8388718, 8388719, 8388726}},
		{"T6a", 16777346, []uint32{8388718, 8388719, 8388732, 8388733, 8388734}},
		{"S6c", 16777312, []uint32{8388647, 8388648, 8388649}},
		{"SGd", 16777313, []uint32{8388645, 8388646}},
	} {
		for _, command := range c.commands {
			assert.True(t, have[of{c.application, command}], "%s: command %d", c.name, command)
		}
	}
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

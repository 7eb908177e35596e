package realm

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestIndexFindsAll fills indexes of many sizes: each name is found, whatever
// part of it passes its slot, and its neighbours are not.
func TestIndexFindsAll(t *testing.T) {
	for _, n := range []int{0, 1, 2, 7, 100, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprintf("%s%d.example", strings.Repeat("x", i%(maxNamed-len("4999.example"))), i)
			}
			routes := routesOf(names...)
			x := newIndex(routes, n)
			for i := range routes {
				x.add(names[i], int32(i))
				x.add(names[i], math.MaxInt32-1)
			}
			assert.Equal(t, n, x.n, "a name counts once")
			for i, name := range names {
				require.EqualValues(t, i, x.find([]byte(name)))
				require.EqualValues(t, -1, x.find([]byte(name[1:])))
				require.EqualValues(t, -1, x.find([]byte("y"+name[1:])))
				require.EqualValues(t, -1, x.find([]byte(name[:len(name)-1]+"f")))
			}
			assert.EqualValues(t, -1, x.find(nil))
		})
	}
}

// TestIndexOverflows puts a run at the very end, longer than the room there.
func TestIndexOverflows(t *testing.T) {
	names := make([]string, 3*overflow)
	for i := range names {
		names[i] = fmt.Sprintf("a%d.example", i)
	}
	x := newIndex(routesOf(names...), 0) // one place for all
	for i, name := range names {
		x.add(name, int32(i))
	}
	for i, name := range names {
		require.EqualValues(t, i, x.find([]byte(name)))
	}
	assert.EqualValues(t, -1, x.find([]byte("b.example")))
}

func TestTableEntry(t *testing.T) {
	tb := NewTable(routesOf("a.example", "*.b.example", "none", "default", strings.Repeat("l.", maxNamed/2)+"example"))
	for name, want := range map[string]int32{
		"a.example": 0, "*.b.example": 1, "none": 2, "default": 3,
		"x.b.example": -1, "b.example": -1, "*.a.example": -1, "": -1, "*.": -1,
		strings.Repeat("l.", maxNamed/2) + "example": -1, // nobody can ask for it
	} {
		r := tb.Entry(name)
		if want < 0 {
			assert.Nil(t, r, name)
			continue
		}
		require.NotNil(t, r, name)
		assert.Equal(t, want, r.Index, name)
	}
	assert.Equal(t, 4, tb.Len())
	assert.Nil(t, new(Table).Entry("a.example"))
}

func TestDots(t *testing.T) {
	for _, s := range []string{"", ".", "a", "a.b", "12345678", "1234567.", ".2345678", "........", "1234567.9.b", strings.Repeat("a.", 128), "\xae.\x2f\x2d\xaf.\x00."} {
		m := dots([]byte(s))
		for i := range 256 {
			assert.Equal(t, i < len(s) && s[i] == '.', m[i>>6]>>(i&63)&1 == 1, "%q at %d", s, i)
		}
	}
}

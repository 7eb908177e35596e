package mailbox

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestOrder: letters come out in the order in which they went in, each once, whatever
// is collected in between.
func TestOrder(t *testing.T) {
	var b Box[int]
	var got []int
	take := func(n int) {
		for range n {
			if l, ok := b.Next(); ok {
				got = append(got, l)
			}
		}
	}
	_, ok := b.Next()
	assert.False(t, ok)
	b.Put(1)
	b.Put(2)
	_, ok = b.Next()
	assert.False(t, ok, "nothing is collected yet")
	b.Collect()
	take(1)
	b.Put(3)
	b.Collect() // what is out stays first
	take(2)
	assert.Equal(t, []int{1, 2}, got)
	b.Collect()
	take(2)
	assert.Equal(t, []int{1, 2, 3}, got)
}

// TestForgotten: what was taken out is kept by nobody once more comes.
func TestForgotten(t *testing.T) {
	var b Box[*int]
	b.Put(new(int))
	b.Collect()
	b.Next()
	b.Collect()
	assert.Nil(t, b.in[:1][0])
}

// TestAll: what is left at the end is found on either side.
func TestAll(t *testing.T) {
	var b Box[int]
	assert.Empty(t, b.All())
	for i := range 3 {
		b.Put(i)
	}
	b.Collect()
	b.Next()
	b.Put(3)
	assert.Equal(t, []int{1, 2, 3}, b.All())
	assert.Equal(t, []int{1, 2, 3}, b.All(), "nothing is taken out")
}

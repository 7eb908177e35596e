package huge

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOctets(t *testing.T) {
	for _, n := range []int{0, 1, 4096, 2<<20 - 1, 2 << 20, 5<<20 + 3} {
		b := Octets(n)
		assert.Len(t, b, n)
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("octet %d of %d is %d", i, n, b[i])
			}
			b[i] = 1
		}
	}
}

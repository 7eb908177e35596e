package lanes

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSines(t *testing.T) {
	for i, k := range sines {
		assert.Equal(t, uint32(math.Abs(math.Sin(float64(i+1)))*(1<<32)), k, "sine %d", i+1)
	}
}

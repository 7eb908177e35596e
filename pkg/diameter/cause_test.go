package diameter_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// C123: causes of ends, both ways.
func TestC123TerminationCauses(t *testing.T) {
	for v := uint32(1); v <= 22; v++ {
		assert.Equal(t, v+10, diameter.TerminationCause(v))
		assert.Equal(t, v, diameter.TerminateCause(v+10))
	}
	for cause, want := range map[uint32]uint32{
		0: 0, 1: 1, 2: 15, 3: 17, 4: 6, 5: 2, 6: 5, 7: 3, 8: 5, 9: 0, 10: 0, 33: 0, 1 << 31: 0, 1<<32 - 1: 0,
	} {
		assert.Equal(t, want, diameter.TerminateCause(cause), cause)
	}
	for _, v := range []uint32{0, 23, 1<<32 - 1} {
		assert.Zero(t, diameter.TerminationCause(v), v)
	}
}

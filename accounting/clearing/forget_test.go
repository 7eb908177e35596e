package clearing

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keys counts what the embedded store has of one kind.
func (b *bench) keys(kind byte) (n int) {
	b.t.Helper()
	err := (&shelf{b.s.b.(*embedded).db}).scan([]byte{kind}, []byte{kind}, func(_, _ []byte) (bool, error) {
		n++
		return true, nil
	})
	require.NoError(b.t, err)
	return n
}

// TestForgetRounds follows the age of the oldest thing in a store that keeps
// for 32 days: the store is read for old things only where there can be some.
func TestForgetRounds(t *testing.T) {
	const day = 24 * time.Hour
	b := newBench(t, inMemory, func(o *Options) { o.Keep = 32 * day })
	ages := func() *ages { return &b.s.b.(*embedded).ages }
	one := func(h *hub, name string, at time.Time) {
		b.clock.now = at.Add(2 * time.Hour)
		b.take(h.batch(life(name, at)...))
	}
	sweep := func(at time.Time) {
		t.Helper()
		_, err := b.s.Sweep(ctx, at)
		require.NoError(t, err)
	}
	h := newHub(t, "hub-1")
	one(h, "first", noon)
	one(h, "second", noon.Add(10*day))
	oldest := noon.Add(time.Hour).Unix()
	assert.Equal(t, oldest, ages().oldest)
	b.reopen()
	assert.Equal(t, oldest, ages().oldest, "after a start it is known")

	sweep(noon.Add(32 * day))
	assert.Equal(t, oldest, ages().oldest, "nothing can be old")
	assert.Equal(t, 6, b.keys(keyClaim))

	sweep(noon.Add(33 * day))
	assert.Equal(t, 3, b.keys(keyClaim))
	assert.Equal(t, 1, b.keys(keySession))
	assert.Equal(t, 1, b.keys(keyStretch))
	oldest = noon.Add(10*day + time.Hour).Unix()
	assert.Equal(t, oldest, ages().oldest)
	b.reopen()
	assert.Equal(t, oldest, ages().oldest)

	// What comes late is as old as it says.
	b.take(newHub(t, "hub-2").batch(life("late", noon)...))
	assert.Equal(t, 6, b.keys(keyClaim))
	assert.Equal(t, noon.Add(time.Hour).Unix(), ages().oldest)
	b.reopen()
	sweep(noon.Add(34 * day))
	assert.Equal(t, 3, b.keys(keyClaim))
	assert.Equal(t, oldest, ages().oldest)

	// What comes while a round is under way may lie behind it.
	a := ages()
	a.walk, a.met, a.before = []byte{keyStretch}, oldest, noon.Add(3*day)
	b.take(newHub(t, "hub-3").batch(life("behind", noon.Add(5*day))...))
	sweep(noon.Add(35 * day))
	assert.Equal(t, noon.Add(5*day+time.Hour).Unix(), ages().oldest)
	sweep(noon.Add(38 * day))
	assert.Equal(t, 3, b.keys(keyClaim))

	// One round follows another after a sixteenth of the time.
	sweep(noon.Add(43 * day))
	assert.Zero(t, b.keys(keyClaim)+b.keys(keySession)+b.keys(keyJourney))
	one(h, "third", noon.Add(43*day))
	assert.Equal(t, noon.Add(43*day+time.Hour).Unix(), ages().oldest)
}

// TestForgetMany forgets more than one step looks at.
func TestForgetMany(t *testing.T) {
	b := newBench(t, inMemory, func(o *Options) { o.Keep = 24 * time.Hour })
	h := newHub(t, "hub-1")
	for i := range 3 {
		var ps []packet
		for j := range walkAtOnce / 3 {
			ps = append(ps, life(fmt.Sprintf("%d-%d", i, j), noon)[2], life(fmt.Sprintf("%d-%d", i, j), noon)[0])
		}
		b.take(h.batch(ps...))
	}
	require.Greater(t, b.keys(keyClaim), walkAtOnce)
	_, err := b.s.Sweep(ctx, noon.Add(48*time.Hour))
	require.NoError(t, err)
	for _, kind := range []byte{keyClaim, keySession, keyRecord, keyID, keyPart} {
		assert.Zero(t, b.keys(kind), string(kind))
	}
}

package lanes

import (
	"crypto/md5"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Behind the arena lies a page that nobody may read: a lane that goes beyond
// its message while others still have blocks ends the test there.
func TestNothingBeyondTheArena(t *testing.T) {
	page := os.Getpagesize()
	pages, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Munmap(pages)) }()
	require.NoError(t, syscall.Mprotect(pages[page:], syscall.PROT_NONE))

	each(t, func(t *testing.T, k kernel) {
		for many := 2; many <= width; many++ {
			msgs := messages(many, 16)      // one block each
			msgs[0] = make([]byte, 300)     // five
			msgs[many-1] = make([]byte, 56) // two, all that Begin asks for
			b := newBatch(k, many, 0)
			b.arena = pages[page-(many+5)*blockSize : page]
			fill(b, msgs)
			require.Equal(t, len(b.arena), b.n)
			b.Run()
			for i, msg := range msgs {
				require.Equal(t, md5.Sum(msg), *b.Sum(i), "message %d of %d", i, many)
			}
		}
	})
}

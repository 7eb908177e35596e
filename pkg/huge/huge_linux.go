package huge

import "golang.org/x/sys/unix"

// pageSize is that of a huge page on the processors we know.
const pageSize = 2 << 20

// advise is called before the memory is written: then its pages come into being
// as huge ones.
func advise(b []byte) {
	if len(b) >= pageSize {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // advice: without it the table is only slower
	}
}

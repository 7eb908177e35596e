package dedup

import "math/bits"

// index finds entries by the tag of their key: open addressing with linear
// probing, at most half full. A cell is the tag in the upper half and the
// entry's number plus one in the lower, so that probing and removal touch no
// entry but the likely match.
type index struct {
	cells []uint64
	mask  uint32
}

func newIndex(entries int) index {
	n := 1 << bits.Len(uint(2*entries-1))
	return index{cells: make([]uint64, n), mask: uint32(n - 1)}
}

func (x *index) start(tag uint32) uint32 { return tag & x.mask }

func (x *index) next(pos uint32) uint32 { return (pos + 1) & x.mask }

// match gives the entry at pos if its tag fits; end reports an empty cell,
// behind which no entry of that tag can be.
func (x *index) match(pos, tag uint32) (entry uint32, ok, end bool) {
	cell := x.cells[pos]
	return uint32(cell) - 1, uint32(cell>>32) == tag && cell != 0, cell == 0
}

func (x *index) insert(tag, entry uint32) {
	pos := x.start(tag)
	for x.cells[pos] != 0 {
		pos = x.next(pos)
	}
	x.cells[pos] = uint64(tag)<<32 | uint64(entry+1)
}

// remove takes the entry out and closes the gap, so that there are no
// tombstones: probe lengths depend on what is in the table, not on its past.
func (x *index) remove(tag, entry uint32) {
	gap := x.start(tag)
	for uint32(x.cells[gap]) != entry+1 {
		gap = x.next(gap)
	}
	for pos := x.next(gap); x.cells[pos] != 0; pos = x.next(pos) {
		from := x.start(uint32(x.cells[pos] >> 32))
		if (pos-from)&x.mask >= (pos-gap)&x.mask {
			x.cells[gap] = x.cells[pos]
			gap = pos
		}
	}
	x.cells[gap] = 0
}

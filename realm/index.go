package realm

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/roamgate/roamgate/pkg/huge"
)

// index finds names: an open-addressed table whose slots hold the names
// themselves. A slot is one cache line, and in front of the slots stand their
// tags, an octet of each one's hash, so that a look-up touches one line where
// the name is there, and mostly none where it is not. The slots hold no
// pointers: a million names are one object to the garbage collector.
type index struct {
	seed   maphash.Seed
	tags   []uint8 // of the slots; 0: empty
	slots  []byte  // slotSize octets each
	places uint64
	routes []Route // for the names that pass their slot
	n      int
}

// A slot holds the hash, the number of the route, the length of the name and as
// much of it as fits: all of wlan.mncNNN.mccNNN.3gppnetwork.org and of most
// others.
const (
	slotSize = 64
	atNumber = 4
	atSize   = 8
	atName   = 9
	inline   = slotSize - atName
)

// maxNamed bounds a name's octets; a User-Name has 253 at most.
const maxNamed = 255

// overflow is room behind the last place, for a run that reaches the end. It
// grows where it does not suffice. A few names need no more than a place each and
// one that stays empty: each list of realms is a table, and most have one name.
const overflow = 64

// newIndex makes room for n names of these routes. Places are filled to 3/5:
// then a run is two slots long in the mean.
func newIndex(routes []Route, n int) index {
	places := n + n*2/3 + 1
	all := places + min(n+1, overflow)
	return index{
		seed: maphash.MakeSeed(), routes: routes, places: uint64(places),
		tags: make([]uint8, all), slots: huge.Octets(all * slotSize),
	}
}

// place is where the search for a hash begins.
func (x *index) place(hash uint32) uint64 { return uint64(hash) * x.places >> 32 }

// tag is what of the hash does not say the place.
func tag(hash uint32) uint8 { return uint8(hash) | 0x80 }

// add keeps a name unless it is there, and gives the number under which it is.
// name is the end of the route's Realm.
func (x *index) add(name string, number int32) int32 {
	if len(name) > maxNamed {
		return -1 // nobody can ask for it
	}
	hash := uint32(maphash.String(x.seed, name))
	at := x.place(hash)
	for ; x.tags[at] != 0; at++ {
		if there := x.number(at, hash, []byte(name)); there >= 0 {
			return there
		}
	}
	x.n++
	x.tags[at] = tag(hash)
	s := x.slot(at)
	binary.LittleEndian.PutUint32(s, hash)
	binary.LittleEndian.PutUint32(s[atNumber:], uint32(number))
	s[atSize] = uint8(len(name))
	copy(s[atName:], name)
	if at == uint64(len(x.tags)-1) { // the last one stays empty, where searches end
		x.tags = append(x.tags, make([]uint8, overflow)...)
		x.slots = append(x.slots, make([]byte, overflow*slotSize)...)
	}
	return number
}

// find gives the number of a name, -1 if it is not there.
//
// hot: 0 allocs
func (x *index) find(name []byte) int32 {
	if x.n == 0 {
		return -1
	}
	hash := uint32(maphash.Bytes(x.seed, name))
	want := tag(hash)
	for at := x.place(hash); ; at++ {
		switch x.tags[at] {
		case want:
			if i := x.number(at, hash, name); i >= 0 {
				return i
			}
		case 0:
			return -1
		}
	}
}

func (x *index) slot(at uint64) []byte { return x.slots[at*slotSize:][:slotSize:slotSize] }

// number gives the number that stands in a slot if it has the name, else -1.
func (x *index) number(at uint64, hash uint32, name []byte) int32 {
	s := x.slot(at)
	if binary.LittleEndian.Uint32(s) != hash || int(s[atSize]) != len(name) {
		return -1
	}
	number := int32(binary.LittleEndian.Uint32(s[atNumber:]))
	if len(name) <= inline {
		if string(s[atName:atName+len(name)]) != string(name) {
			return -1
		}
		return number
	}
	whole := x.routes[number].Realm
	if string(s[atName:]) != string(name[:inline]) || whole[len(whole)-len(name)+inline:] != string(name[inline:]) {
		return -1
	}
	return number
}

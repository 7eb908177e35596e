package realm

import "hash/maphash"

// index finds names: an open-addressed table whose slots hold the names
// themselves. A slot is one cache line, and in front of the slots stand their
// tags, an octet of each one's hash, so that a look-up touches one line where
// the name is there, and mostly none where it is not. The slots hold no
// pointers: a million names are one object to the garbage collector.
type index struct {
	seed   maphash.Seed
	tags   []uint8 // of the slots; 0: empty
	slots  []slot
	places uint64
	routes []Route // for the names that pass their slot
	n      int
}

// inline is how much of a name stands in its slot: all of
// wlan.mncNNN.mccNNN.3gppnetwork.org and of most others.
const inline = 55

type slot struct {
	hash   uint32
	number int32 // of the route
	size   uint8 // of the name
	name   [inline]byte
}

// maxNamed bounds a name's octets; a User-Name has 253 at most.
const maxNamed = 255

// overflow is room behind the last place, for a run that reaches the end. It
// grows where it does not suffice.
const overflow = 64

// newIndex makes room for n names of these routes. Places are filled to 3/5:
// then a run is two slots long in the mean.
func newIndex(routes []Route, n int) index {
	places := n + n*2/3 + 1
	return index{
		seed: maphash.MakeSeed(), routes: routes, places: uint64(places),
		tags: make([]uint8, places+overflow), slots: make([]slot, places+overflow),
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
		if s := &x.slots[at]; s.hash == hash && x.is(s, []byte(name)) {
			return s.number
		}
	}
	x.n++
	x.tags[at] = tag(hash)
	s := &x.slots[at]
	s.hash, s.number, s.size = hash, number, uint8(len(name))
	copy(s.name[:], name)
	if at == uint64(len(x.tags)-1) { // the last one stays empty, where searches end
		x.tags = append(x.tags, make([]uint8, overflow)...)
		x.slots = append(x.slots, make([]slot, overflow)...)
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
			if s := &x.slots[at]; s.hash == hash && x.is(s, name) {
				return s.number
			}
		case 0:
			return -1
		}
	}
}

// is reports whether a slot has the name.
func (x *index) is(s *slot, name []byte) bool {
	if int(s.size) != len(name) {
		return false
	}
	if len(name) <= inline {
		return string(s.name[:len(name)]) == string(name)
	}
	whole := x.routes[s.number].Realm
	return string(s.name[:]) == string(name[:inline]) && whole[len(whole)-len(name)+inline:] == string(name[inline:])
}

package realm

import "hash/maphash"

// index finds names: an open-addressed table whose slots hold the names
// themselves. A slot is one cache line, and slots stand in the order of their
// hashes, so a look-up mostly touches one line, whether the name is there or
// not. The slots hold no pointers: a million names are one object to the
// garbage collector.
type index struct {
	seed   maphash.Seed
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
	number int32 // of the route + 1, 0: empty
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
	return index{seed: maphash.MakeSeed(), routes: routes, places: uint64(places), slots: make([]slot, places+overflow)}
}

// place is where the search for a hash begins. It keeps the order of hashes.
func (x *index) place(hash uint32) uint64 { return uint64(hash) * x.places >> 32 }

// add keeps a name unless it is there. name is the end of the route's Realm.
func (x *index) add(name string, number int32) {
	if len(name) > maxNamed {
		return // nobody can ask for it
	}
	hash := uint32(maphash.String(x.seed, name))
	at := x.place(hash)
	for ; x.slots[at].number != 0 && x.slots[at].hash <= hash; at++ {
		if x.slots[at].hash == hash && x.is(&x.slots[at], []byte(name)) {
			return
		}
	}
	x.n++
	end := at
	for x.slots[end].number != 0 {
		end++
	}
	copy(x.slots[at+1:end+1], x.slots[at:end])
	s := &x.slots[at]
	s.hash, s.number, s.size = hash, number+1, uint8(len(name))
	copy(s.name[:], name)
	if end == uint64(len(x.slots)-1) { // the last one stays empty, where searches end
		x.slots = append(x.slots, make([]slot, overflow)...)
	}
}

// find gives the number of a name, -1 if it is not there.
//
// hot: 0 allocs
func (x *index) find(name []byte) int32 {
	if x.n == 0 {
		return -1
	}
	hash := uint32(maphash.Bytes(x.seed, name))
	for at := x.place(hash); ; at++ {
		s := &x.slots[at]
		if s.number == 0 || s.hash > hash {
			return -1
		}
		if s.hash == hash && x.is(s, name) {
			return s.number - 1
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
	whole := x.routes[s.number-1].Realm
	return string(s.name[:]) == string(name[:inline]) && whole[len(whole)-len(name)+inline:] == string(name[inline:])
}

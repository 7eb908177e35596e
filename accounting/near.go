package accounting

import "encoding/binary"

// Near returns the keys of the same event one start bucket earlier and one
// later: where the session start comes from arrival times, two hubs name one
// event by neighbours.
func (k Key) Near() [2]Key {
	low := binary.BigEndian.Uint64(k[8:])
	earlier, later := k, k
	binary.BigEndian.PutUint64(earlier[8:], low-bucketStep)
	binary.BigEndian.PutUint64(later[8:], low+bucketStep)
	return [2]Key{earlier, later}
}

// Untimed says that the event is a report of usage that carried no time of
// its own: whoever sends it again later gives it another start bucket.
func (k Key) Untimed() bool { return k[0]&untimed != 0 }

// ByContent names an Untimed event of this content in whatever start bucket.
// It is no key of an event itself.
func (k Key) ByContent(content Key) Key {
	copy(k[8:], content[:8])
	return k
}

package screen

import "github.com/roamgate/roamgate/realm"

// subscriber is what is known of one.
type subscriber struct {
	key     uint64 // 0: nobody
	tat     int64  // when its rate conforms again, milliseconds
	network realm.Network
	seen    uint32 // seconds, when it was there
}

// subscribers is a table in sets of a few. A full set gives up whom has only been
// counted, the one that was longest ago, and only then one whose network is known:
// who invents subscribers displaces his own.
type subscribers struct {
	all  []subscriber
	mask uint64
	used int
	room int
}

const ways = 8

func newSubscribers(room int) *subscribers {
	sets := 1
	for sets*ways < room {
		sets *= 2
	}
	return &subscribers{all: make([]subscriber, sets*ways), mask: uint64(sets - 1), room: room}
}

func (t *subscribers) set(key uint64) []subscriber {
	at := (key >> 16 & t.mask) * ways
	return t.all[at : at+ways]
}

// find gives what is known, nil: nothing.
func (t *subscribers) find(key uint64) *subscriber {
	key = max(key, 1)
	set := t.set(key)
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
	}
	return nil
}

// of makes room for a subscriber that is not known.
func (t *subscribers) of(key uint64) *subscriber {
	if u := t.find(key); u != nil {
		return u
	}
	key = max(key, 1)
	set := t.set(key)
	least := &set[0]
	for i := range set {
		if u := &set[i]; u.before(least) {
			least = u
		}
	}
	if least.key == 0 {
		t.used++
	}
	*least = subscriber{key: key}
	return least
}

// before reports whether u is given up before v.
func (u *subscriber) before(v *subscriber) bool {
	switch {
	case u.key == 0 || v.key == 0:
		return u.key == 0 && v.key != 0
	case (u.network == 0) != (v.network == 0):
		return u.network == 0
	case u.network == 0:
		return u.tat < v.tat
	}
	return u.seen < v.seen
}

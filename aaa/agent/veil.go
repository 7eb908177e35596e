package agent

import (
	"github.com/roamgate/roamgate/aaa/hide"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// veil is between the walk and peers that names of nodes are hidden from. The walk
// writes to them, and hears of them, in plain names.
type veil struct {
	hider *hide.Hider // nil: nothing is hidden from anybody
	plain []byte      // what the walk writes
	seen  []byte      // what it hears
	lent  []byte      // of the connection, while the walk writes
}

// slack is how much longer pseudonyms may make a message.
const slack = 2048

// adopted takes the names of a configuration. All hubs with one key have the same
// pseudonyms: it is the one that hashes of identities have.
func (v *veil) adopted(key []byte, identity string, set *realm.Set) {
	if !hide.Hides(set) {
		*v = veil{}
		return
	}
	v.hider = hide.New(key, identity, set)
	if v.plain == nil {
		v.plain, v.seen = make([]byte, diameter.MaxLen), make([]byte, diameter.MaxLen)
	}
}

// veiled reports whether names are hidden on the other side of a link.
//
// hot: 0 allocs
func (l *link) veiled() bool {
	return l.node != nil && l.loop.veil.hider != nil && l.node.peer.HideTopology
}

// veiledRoom is room for a message whose names are hidden by veil.
func (l *link) veiledRoom(n int) []byte {
	v := &l.loop.veil
	if v.lent = l.lend(min(n+slack, diameter.MaxLen)); v.lent == nil {
		return nil
	}
	return v.plain[:n:n]
}

// hidden writes what stands in plain into the room of the connection, and gives its
// length; 0: it is too long with pseudonyms, and goes nowhere.
func (l *link) hidden(n int) int {
	v := &l.loop.veil
	out := v.hider.Hide(v.lent[:0], v.plain[:n], l.node.peer.Realm)
	switch {
	case out == nil:
		l.loop.drop(l.node, TooLong)
		return 0
	case &out[0] == &v.plain[0]:
		copy(v.lent, out)
	}
	return len(out)
}

// unveiled gives what a peer has sent with the names of its pseudonyms.
func (l *link) unveiled(raw []byte) []byte {
	v := &l.loop.veil
	if out := v.hider.Restore(v.seen[:0], raw); out != nil {
		return out
	}
	return raw
}

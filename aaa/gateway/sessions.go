package gateway

import (
	"bytes"
	"hash/maphash"

	"github.com/roamgate/roamgate/aaa/translate"
	"github.com/roamgate/roamgate/pkg/radius"
)

const (
	// beginning is how long a conversation may take until it has come to something.
	beginning = int64(3 * 60e9)
	// living is how long a session is known of which nothing is heard.
	living = int64(36 * 3600e9)
	// swept are the sessions looked at in a second.
	swept = 4096
)

// session is what is known of one. Its octets are kept by it, and used again.
type session struct {
	inward bool
	live   bool // it was granted, or accounting has begun
	// stateful: its home keeps it until it is told of its end. counted: a record has
	// begun it, none has ended it.
	stateful, counted bool
	id                translate.ID // of a NAS of RADIUS
	key               uint64       // of a NAS of Diameter, by its Acct-Session-Id
	nameKey           uint64       // likewise, by its Session-Id
	nas               uint64       // hash of the NAS, 0: it has no name
	application       uint32
	expires           int64
	began, ended      int64  // Unix seconds; ended 0: it goes on
	closing           uint32 // the exchange that ends it

	name  []byte // Session-Id of another
	host  []byte // Origin-Host of the other end
	realm []byte // its Origin-Realm, or where requests go
	// origin is the Origin-Realm of the home, which alone may ask something of it.
	origin []byte
	user   []byte // User-Name of what we send
	acct   []byte // Acct-Session-Id
	attrs  []byte // attributes by which the NAS knows it
	state  []byte // of its home, where no attribute holds it
	side   string // name of the home or of the client by which RADIUS has it
}

// sessions are those that are known, of both directions.
type sessions struct {
	most  int
	slots []session
	free  []uint32
	of    map[translate.ID]uint32
	by    map[uint64]uint32
	names map[uint64]uint32
	seed  maphash.Seed
	at    int // where the sweep is
	kept  int // octets of state
}

func newSessions(most int) *sessions {
	return &sessions{most: most, of: make(map[translate.ID]uint32), by: make(map[uint64]uint32), names: make(map[uint64]uint32), seed: maphash.MakeSeed()}
}

// take gives a place, nil: there is none.
func (t *sessions) take() (slot uint32, s *session) {
	switch n := len(t.free); {
	case n > 0:
		slot, t.free = t.free[n-1], t.free[:n-1]
	case len(t.slots) < t.most:
		slot = uint32(len(t.slots))
		t.slots = append(t.slots, session{})
	default:
		return 0, nil
	}
	s = &t.slots[slot]
	*s = session{name: s.name[:0], host: s.host[:0], realm: s.realm[:0], origin: s.origin[:0], user: s.user[:0], acct: s.acct[:0], attrs: s.attrs[:0]}
	return slot, s
}

// begin makes a session of ours; nil: there are too many.
func (t *sessions) begin(id translate.ID, now, wall int64) *session {
	slot, s := t.take()
	if s == nil {
		return nil
	}
	s.id, s.expires, s.began = id, now+beginning, wall
	t.of[id] = slot
	return s
}

// get gives a session of ours that is known, nil: none is.
func (t *sessions) get(id translate.ID) *session {
	if slot, ok := t.of[id]; ok {
		return &t.slots[slot]
	}
	return nil
}

// keyOf is that of an Acct-Session-Id at a client.
func (t *sessions) keyOf(side string, acct []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	h.WriteString(side)
	h.WriteByte(0)
	h.Write(acct)
	return h.Sum64()
}

// hash is that of a Session-Id.
func (t *sessions) hash(name []byte) uint64 { return maphash.Bytes(t.seed, name) }

// meet gives the session of a Diameter NAS, a new one where it is not known; nil: there
// are too many.
func (t *sessions) meet(side string, acct []byte, now int64) *session {
	key := t.keyOf(side, acct)
	if slot, ok := t.by[key]; ok {
		return &t.slots[slot]
	}
	slot, s := t.take()
	if s == nil {
		return nil
	}
	s.inward, s.key, s.expires = true, key, now+beginning
	s.side = side
	s.acct = append(s.acct, acct...)
	t.by[key] = slot
	return s
}

// find gives the session of a Diameter NAS, nil: it is not known.
func (t *sessions) find(side string, acct []byte) *session {
	if slot, ok := t.by[t.keyOf(side, acct)]; ok {
		return &t.slots[slot]
	}
	return nil
}

// over gives when a session has ended: the second in which that was first heard.
func (s *session) over(wall int64) uint32 {
	if s.ended == 0 {
		s.ended = wall
	}
	return uint32(s.ended)
}

// Bounds of the States that are kept: of one, and of all.
const (
	longestState = 4096
	mostState    = 4 << 20
)

// room is how long a State may be that is kept now.
func (t *sessions) room() int { return min(longestState, mostState-t.kept) }

// keep has the State of its home kept with a session, nil: none.
func (t *sessions) keep(s *session, state []byte) {
	t.kept += len(state) - len(s.state)
	s.state = bytes.Clone(state)
}

// end forgets a session.
func (t *sessions) end(s *session) {
	t.keep(s, nil)
	slot, ok := t.of[s.id]
	if s.inward {
		slot, ok = t.by[s.key]
		delete(t.by, s.key)
		if t.names[s.nameKey] == slot {
			delete(t.names, s.nameKey)
		}
	} else {
		delete(t.of, s.id)
	}
	if ok {
		s.expires = 0
		t.free = append(t.free, slot)
	}
}

// sweep forgets some of those whose time is over.
func (t *sessions) sweep(now int64) {
	for range min(swept, len(t.slots)) {
		if t.at++; t.at >= len(t.slots) {
			t.at = 0
		}
		if s := &t.slots[t.at]; s.expires != 0 && s.expires <= now {
			t.end(s)
		}
	}
}

func (t *sessions) len() int { return len(t.of) + len(t.by) }

// nasOf is the hash of a NAS, 0: it has no name.
func (t *sessions) nasOf(p *radius.Packet) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	named := false
	for _, typ := range [...]radius.Type{radius.OperatorName, radius.NASIdentifier, radius.NASIPAddress, radius.NASIPv6Address} {
		v, ok := p.First(typ)
		named = named || ok && typ != radius.OperatorName
		h.WriteByte(byte(len(v)))
		h.Write(v)
	}
	if !named {
		return 0
	}
	return max(h.Sum64(), 1)
}

// identifying are the attributes by which a NAS knows its session (RFC 5176 section 3),
// and by which the hub finds the NAS.
var identifying = [...]radius.Type{
	radius.UserName, radius.NASIPAddress, radius.NASIdentifier, radius.NASIPv6Address, radius.NASPort, radius.CallingStationID, radius.CalledStationID,
	radius.FramedIPAddress, radius.AcctSessionID, radius.AcctMultiSessionID, radius.NASPortID, radius.ChargeableUserID, radius.OperatorName,
}

// learn keeps what identifies the session for its NAS.
func (t *sessions) learn(s *session, p *radius.Packet) {
	s.nas = t.nasOf(p)
	if v, ok := p.First(radius.AcctSessionID); ok {
		s.acct = append(s.acct[:0], v...)
	}
	s.attrs = s.attrs[:0]
	for _, typ := range identifying {
		v, ok := p.First(typ)
		if ok && !(typ == radius.ChargeableUserID && len(v) <= 1) {
			s.attrs = append(append(s.attrs, byte(typ), byte(2+len(v))), v...)
		}
	}
}

// call keeps the Session-Id of a session of a Diameter NAS.
func (t *sessions) call(s *session, name []byte) {
	if string(s.name) == string(name) && s.nameKey != 0 {
		return
	}
	slot := t.by[s.key]
	if t.names[s.nameKey] == slot {
		delete(t.names, s.nameKey)
	}
	s.name = append(s.name[:0], name...)
	s.nameKey = t.keyOf(s.side, name)
	t.names[s.nameKey] = slot
}

// named gives the session of a Diameter NAS by its Session-Id, nil: it is not known.
func (t *sessions) named(side string, name []byte) *session {
	slot, ok := t.names[t.keyOf(side, name)]
	if !ok || string(t.slots[slot].name) != string(name) {
		return nil
	}
	return &t.slots[slot]
}

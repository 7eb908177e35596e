package device

import "sync"

// volumes adds up what devices with a daily cap have used today (UTC). It is a
// fixed table: a device keeps one slot for the day and one for each session,
// because accounting counters are cumulative per session (RFC 2866 section 5)
// and a device may have several sessions at once.
//
// The least recently reported slot of a set is given up when the set is full;
// a session that comes back then counts from zero again.
type volumes struct {
	stripe [volumeStripes]volumeStripe
	mask   uint64
}

const (
	volumeStripes = 64
	volumeWays    = 8
)

type volumeStripe struct {
	mu    sync.Mutex // guards slots
	slots []volumeSlot
	_     [32]byte
}

// volumeSlot is a device's day (session 0) or one of its sessions.
type volumeSlot struct {
	k0, k1  uint64
	session uint64
	octets  uint64 // used today, or the session's last counter
	day     uint32 // of octets
	seen    uint32 // minutes since 1970, for choosing which to give up
}

const daySeconds = 86400

func newVolumes(limit int) *volumes {
	sets := 1
	for sets*volumeWays*volumeStripes < limit {
		sets *= 2
	}
	v := &volumes{mask: uint64(sets - 1)}
	for i := range v.stripe {
		v.stripe[i].slots = make([]volumeSlot, sets*volumeWays)
	}
	return v
}

// slot finds or makes the slot of a device and session in the stripe of the
// device. The stripe's lock is held.
func (v *volumes) slot(st *volumeStripe, k0, k1, session uint64, create bool) *volumeSlot {
	at := ((k0 ^ session) >> 8 & v.mask) * volumeWays
	set := st.slots[at : at+volumeWays]
	victim := &set[0]
	for i := range set {
		s := &set[i]
		if s.k0 == k0 && s.k1 == k1 && s.session == session {
			return s
		}
		if s.seen < victim.seen {
			victim = s
		}
	}
	if !create {
		return nil
	}
	*victim = volumeSlot{k0: k0, k1: k1, session: session}
	return victim
}

// add takes a session's counter and adds its growth to the device's day. A
// counter that did not grow (a repetition, an older interim) adds nothing. The
// growth over midnight belongs to the day that reports it.
func (v *volumes) add(k0, k1, session, octets uint64, wall int64) {
	if session == 0 {
		session = 1
	}
	st := &v.stripe[k1&(volumeStripes-1)]
	st.mu.Lock()
	defer st.mu.Unlock()
	day, minute := uint32(wall/daySeconds), uint32(wall/60)
	s := v.slot(st, k0, k1, session, true)
	s.seen = minute
	if octets <= s.octets {
		return
	}
	grown := octets - s.octets
	s.octets = octets
	d := v.slot(st, k0, k1, 0, true)
	d.seen = minute
	if d.day < day {
		d.day, d.octets = day, 0
	}
	d.octets += grown
	if d.octets < grown {
		d.octets = ^uint64(0)
	}
}

// used is what the device has used on the day of wall.
func (v *volumes) used(k0, k1 uint64, wall int64) uint64 {
	st := &v.stripe[k1&(volumeStripes-1)]
	st.mu.Lock()
	defer st.mu.Unlock()
	d := v.slot(st, k0, k1, 0, false)
	if d == nil || d.day != uint32(wall/daySeconds) {
		return 0
	}
	return d.octets
}

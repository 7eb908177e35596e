package device

import "sync"

// Signal is a kind of request that a device causes, for counting. The set is closed.
type Signal uint8

// The signals.
const (
	SignalOther  Signal = iota
	SignalAccess        // Access-Request, DER, AAR
	SignalAuth          // AIR
	SignalUpdate        // ULR
	SignalPurge         // PUR
	SignalNotify        // NOR
	NumSignals
)

var signals = [NumSignals]string{"other", "access", "authentication", "update_location", "purge", "notify"}

// String is the signal's name.
func (s Signal) String() string {
	if s < NumSignals {
		return signals[s]
	}
	return "unknown"
}

// History is what is kept of a device that has been let in or has asked.
type History struct {
	Signals [NumSignals]uint32 // requests by kind
	Country uint16             // mobile country code, 0: none yet but its own
	Days    uint16             // days (UTC) on which it was seen there, without another country in between
	Last    uint16             // the last of them, days since 1970
	imei    uint32             // keyed hash of the equipment, 0: none seen
}

// histories are the Histories of devices in a fixed table. A full set gives up the
// device that has not been seen for longest.
type histories struct {
	stripe [volumeStripes]historyStripe
	mask   uint64
}

type historyStripe struct {
	mu    sync.Mutex // guards slots
	slots []historySlot
	_     [32]byte
}

type historySlot struct {
	k0, k1 uint64 // k0 0: nobody
	History
	seen uint16 // the last day of anything
}

const historyWays = 8

func newHistories(limit int) *histories {
	sets := 1
	for sets*historyWays*volumeStripes < limit {
		sets *= 2
	}
	h := &histories{mask: uint64(sets - 1)}
	for i := range h.stripe {
		h.stripe[i].slots = make([]historySlot, sets*historyWays)
	}
	return h
}

// with gives the slot of a device, a new one where there is none, and its stripe, which
// is locked.
func (h *histories) with(k0, k1 uint64) (*historyStripe, *historySlot) {
	st := &h.stripe[k1&(volumeStripes-1)]
	st.mu.Lock()
	at := (k0 >> 8 & h.mask) * historyWays
	set := st.slots[at : at+historyWays]
	oldest := &set[0]
	for i := range set {
		s := &set[i]
		if s.k0 == k0 && s.k1 == k1 {
			return st, s
		}
		if s.k0 == 0 && oldest.k0 != 0 || (s.k0 == 0) == (oldest.k0 == 0) && s.seen < oldest.seen {
			oldest = s
		}
	}
	*oldest = historySlot{k0: k0, k1: k1}
	return st, oldest
}

// count counts a signal of a device.
func (h *histories) count(k0, k1 uint64, s Signal, wall int64) {
	st, slot := h.with(k0, k1)
	defer st.mu.Unlock()
	if slot.Signals[s] < ^uint32(0) {
		slot.Signals[s]++
	}
	slot.seen = day(wall)
}

// look gives what is kept, without making anything.
func (h *histories) look(k0, k1 uint64) (History, bool) {
	st := &h.stripe[k1&(volumeStripes-1)]
	st.mu.Lock()
	defer st.mu.Unlock()
	at := (k0 >> 8 & h.mask) * historyWays
	for _, s := range st.slots[at : at+historyWays] {
		if s.k0 == k0 && s.k1 == k1 {
			return s.History, true
		}
	}
	return History{}, false
}

// stayed gives the days that a device has been seen in a country, with the one of wall.
func (h *History) stayed(country uint16, wall int64) int {
	switch {
	case h.Country != country:
		return 1
	case h.Last == day(wall):
		return int(h.Days)
	}
	return int(h.Days) + 1
}

// arrive remembers that a device has been let in.
func (h *histories) arrive(k0, k1 uint64, country uint16, home bool, imei uint32, wall int64) {
	st, slot := h.with(k0, k1)
	defer st.mu.Unlock()
	slot.seen = day(wall)
	switch {
	case home:
		slot.Country, slot.Days, slot.Last = 0, 0, 0
	case country != 0:
		slot.Days = uint16(min(slot.stayed(country, wall), 1<<16-1))
		slot.Country, slot.Last = country, day(wall)
	}
	if slot.imei == 0 {
		slot.imei = imei
	}
}

func day(wall int64) uint16 { return uint16(wall / daySeconds) }

// abroad gives the country that a device is in, 0: its own, or the request names no
// network. A country of a client's configuration does not count: it cannot be compared
// with that of an IMSI.
func abroad(q *Query) (country uint16, home bool) {
	n := q.Network.Country()
	if n == 0 {
		return 0, false
	}
	imsi, ok := imsiOfNAI(q.User, q.Realm)
	if n.Issued(q.IMSI) || ok && n.Issued(imsi) {
		return 0, true
	}
	return uint16(n.MCC()), false
}

// imeiDigits name the equipment; the one or two behind them are a check digit or a
// version of software (TS 23.003 section 6.2).
const (
	imeiDigits = 14
	tacDigits  = 8 // of them name its type
)

// equipment gives the digits that name the equipment, nil: none are there.
func equipment(imei []byte) []byte {
	if len(imei) < imeiDigits || len(imei) > 16 || !digits(string(imei)) {
		return nil
	}
	return imei[:imeiDigits]
}

// Signal counts a request of a device that the policy knows.
// hot: 0 allocs
func (t *Table) Signal(k Key, s Signal, wall int64) {
	k0, k1 := k.words()
	if _, _, _, ok := t.state.Load().devices.find(k0, k1); ok {
		t.histories.count(k0, k1, s, wall)
	}
}

// History gives what is kept of a device, false: nothing.
func (t *Table) History(k Key) (History, bool) {
	k0, k1 := k.words()
	return t.histories.look(k0, k1)
}

// past applies the rules that look at what went before.
func (t *Table) past(q *Query, p *Profile, k0, k1 uint64) (Reason, bool) {
	if p.RoamingDays == 0 && !p.LockIMEI {
		return OK, false
	}
	h, _ := t.histories.look(k0, k1)
	if p.LockIMEI && !q.Partial {
		switch imei := t.equipment(q); {
		case imei == 0 && q.Cellular, imei != 0 && h.imei != 0 && imei != h.imei:
			return EquipmentNotAllowed, false
		}
	}
	country, _ := abroad(q)
	if p.RoamingDays == 0 || country == 0 || h.stayed(country, q.Wall) <= int(p.RoamingDays) {
		return OK, false
	}
	if p.RoamingWarn {
		return OK, true
	}
	return RoamingTooLong, false
}

// equipment hashes the equipment of a query, 0: it names none.
func (t *Table) equipment(q *Query) uint32 {
	imei := equipment(q.IMEI)
	if imei == nil {
		return 0
	}
	k := t.hash.sum(imei)
	return max(1, uint32(k[0])|uint32(k[1])<<8|uint32(k[2])<<16|uint32(k[3])<<24)
}

// remember takes what a device that is let in shows of itself.
func (t *Table) remember(q *Query, p *Profile, k0, k1 uint64) {
	if p.RoamingDays == 0 && !p.LockIMEI {
		return
	}
	country, home := abroad(q)
	t.histories.arrive(k0, k1, country, home, t.equipment(q), q.Wall)
}

package traffic

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
)

const (
	// SlotTime is how finely time is cut, and Slots how much of it is kept.
	SlotTime = 10 * time.Minute
	Slots    = 6

	kinds    = 2
	dataSize = 416 // a User-Name of full length and the usual others
	mostRate = 40
)

// Key chooses the devices; all Tables of a hub have the same one.
type Key struct {
	seed maphash.Seed
	turn uint64
}

// NewKey makes a key of a seed, which nobody knows.
func NewKey(seed maphash.Seed) Key {
	return Key{seed: seed, turn: maphash.Bytes(seed, []byte("devices"))}
}

// choose spreads devices evenly and unforeseeably.
func (k *Key) choose(device uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15
	h := (device ^ k.turn) * odd
	h = (h ^ h>>32 ^ k.turn) * odd
	return h ^ h>>29
}

// Table is what one shard remembers.
type Table struct {
	key   Key
	mask  uint64 // a device is kept where these bits of its choice are 0
	rate  uint8  // their number
	slot  int64  // of the last Note
	rates [Slots]uint8
	rows  []row
	used  int
	index []uint32 // of rows + 1
	long  uint64

	buf [dataSize + 16]byte
}

// row is what one device has asked in one way.
type row struct {
	hash   uint64
	device uint64
	counts [Slots][kinds]uint32
	from   [16]byte
	v4     bool
	size   uint16
	data   [dataSize]byte
}

// New makes a Table of so many rows.
func New(key Key, size int) *Table {
	places := 1
	for places < 2*size {
		places *= 2
	}
	return &Table{key: key, rows: make([]row, size), index: make([]uint32, places)}
}

// Wants reports whether a device is one of those that are kept. now is as for
// Note.
//
// hot: 0 allocs
func (t *Table) Wants(device uint64, now int64) bool {
	if now/int64(SlotTime) > t.slot { // or a rate that keeps every device out would stay
		t.turn(now)
	}
	return t.chosen(device)
}

func (t *Table) chosen(device uint64) bool { return t.key.choose(device)&t.mask == 0 }

// Note keeps a request of a device that the Table wants. now is in
// nanoseconds of any clock that does not go back; nothing of p is retained.
//
// hot: 0 allocs
func (t *Table) Note(device uint64, from netip.Addr, kind int, p *radius.Packet, now int64) {
	t.turn(now)
	n := attributes(t.buf[:dataSize], p)
	if n < 0 {
		t.long++
		return
	}
	addr := from.As16()
	copy(t.buf[n:], addr[:])
	hash := maphash.Bytes(t.key.seed, t.buf[:n+len(addr)]) ^ device
	at := t.find(hash)
	if t.index[at] == 0 {
		if t.used == len(t.rows) {
			t.makeRoom()
			if !t.chosen(device) {
				return
			}
			at = t.find(hash)
		}
		r := &t.rows[t.used]
		*r = row{hash: hash, device: device, from: addr, v4: from.Is4(), size: uint16(n)}
		copy(r.data[:], t.buf[:n])
		t.used++
		t.index[at] = uint32(t.used)
	}
	t.rows[t.index[at]-1].counts[t.slot%Slots][kind]++
}

// find gives the place of a hash in the index, or where it would be.
func (t *Table) find(hash uint64) int {
	last := len(t.index) - 1
	at := int(hash) & last
	for t.index[at] != 0 && t.rows[t.index[at]-1].hash != hash {
		at = (at + 1) & last
	}
	return at
}

// turn lets time go by: what is older than an hour is forgotten.
func (t *Table) turn(now int64) {
	slot := now / int64(SlotTime)
	if slot <= t.slot {
		return
	}
	for s := max(t.slot+1, slot-Slots+1); s <= slot; s++ {
		t.rates[s%Slots] = 0
		for i := range t.rows[:t.used] {
			t.rows[i].counts[s%Slots] = [kinds]uint32{}
		}
	}
	t.slot = slot
	t.sweep()
	if t.rate > 0 && t.used < len(t.rows)/4 {
		t.rate--
		t.mask = 1<<t.rate - 1
	}
	t.rates[slot%Slots] = t.rate
}

// makeRoom leaves out every second device until there is room.
func (t *Table) makeRoom() {
	for t.used == len(t.rows) && t.rate < mostRate {
		t.rate++
		t.mask = 1<<t.rate - 1
		for i := range t.rates {
			t.rates[i] = max(t.rates[i], t.rate)
		}
		t.sweep()
	}
	if t.used == len(t.rows) { // one device that asks in as many ways
		t.used = 0
		clear(t.index)
	}
}

// sweep drops rows that count nothing or whose device is left out now.
func (t *Table) sweep() {
	n := 0
	for i := range t.rows[:t.used] {
		r := &t.rows[i]
		if r.counts == ([Slots][kinds]uint32{}) || !t.chosen(r.device) && t.leftOut(r.device) {
			continue
		}
		if n != i {
			t.rows[n] = *r
		}
		n++
	}
	t.used = n
	clear(t.index)
	for i := range t.rows[:n] {
		t.index[t.find(t.rows[i].hash)] = uint32(i + 1)
	}
}

// leftOut reports whether no slot has kept a device.
func (t *Table) leftOut(device uint64) bool {
	choice := t.key.choose(device)
	for _, rate := range t.rates {
		if choice&(1<<rate-1) == 0 {
			return false
		}
	}
	return true
}

// What routing looks at (realm.Query).
var looked = [...]radius.Type{radius.UserName, radius.CalledStationID, radius.CallingStationID, radius.NASPortType, radius.OperatorName}

var lookedVendor = [...]struct {
	vendor uint32
	sub    uint8
}{
	{10415, 1}, // 3GPP-IMSI (TS 29.061)
	{40808, 6}, // WFA-HS20-Roaming-Consortium
}

// attributes writes what routing looks at, and gives its length; -1 when it
// does not fit.
func attributes(b []byte, p *radius.Packet) int {
	n := 0
	for _, typ := range looked {
		v, ok := p.First(typ)
		if !ok {
			continue
		}
		if n+2+len(v) > len(b) {
			return -1
		}
		b[n], b[n+1] = byte(typ), byte(2+len(v))
		n += 2 + copy(b[n+2:], v)
	}
	if !p.Has(radius.VendorSpecific) {
		return n
	}
	for _, l := range lookedVendor {
		v, ok := p.Vendor(l.vendor, l.sub)
		if !ok {
			continue
		}
		if n+8+len(v) > len(b) || 8+len(v) > 255 {
			return -1
		}
		b[n], b[n+1] = byte(radius.VendorSpecific), byte(8+len(v))
		binary.BigEndian.PutUint32(b[n+2:], l.vendor)
		b[n+6], b[n+7] = l.sub, byte(2+len(v))
		n += 8 + copy(b[n+8:], v)
	}
	return n
}

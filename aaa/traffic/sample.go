package traffic

import (
	"encoding/binary"
	"net/netip"

	"github.com/roamgate/roamgate/pkg/radius"
)

// Sample is what Tables have kept, for one reader.
type Sample struct {
	key   Key
	rate  uint8 // devices are counted by those that passed it
	rows  []row
	rates []*[Slots]uint8 // by row
	Long  uint64          // requests that were too long to keep
}

// Copy gives what is kept now. It takes the time of a copy of memory.
func (t *Table) Copy(now int64) *Sample {
	t.turn(now)
	s := &Sample{key: t.key, rows: append([]row(nil), t.rows[:t.used]...), Long: t.long}
	rates := t.rates
	s.rates = make([]*[Slots]uint8, t.used)
	for i := range s.rates {
		s.rates[i] = &rates
	}
	for _, rate := range rates {
		s.rate = max(s.rate, rate)
	}
	return s
}

// Add joins what another Table has kept.
func (s *Sample) Add(o *Sample) {
	s.key, s.rate = o.key, max(s.rate, o.rate)
	s.rows, s.rates = append(s.rows, o.rows...), append(s.rates, o.rates...)
	s.Long += o.Long
}

// Len is the number of rows.
func (s *Sample) Len() int { return len(s.rows) }

// Row is what one device has asked in one way.
type Row struct {
	Device uint64
	From   netip.Addr
	// Requests stand for so many of the last hour, by kind.
	Requests [kinds]uint64
	// Counts says whether the device is one of those by which devices are
	// counted; each stands for Sample.Weight devices.
	Counts bool
}

// Weight is how many devices stand behind one that counts.
func (s *Sample) Weight() uint64 { return 1 << s.rate }

// Row reads one row, and into p the attributes that routing looks at, which
// stay good as long as the Sample does.
func (s *Sample) Row(i int, p *radius.Packet) (r Row, ok bool) {
	kept := &s.rows[i]
	r.Device, r.From = kept.device, netip.AddrFrom16(kept.from)
	if kept.v4 {
		r.From = r.From.Unmap()
	}
	for slot, counts := range kept.counts {
		for kind, n := range counts {
			r.Requests[kind] += uint64(n) << s.rates[i][slot]
		}
	}
	r.Counts = s.key.choose(kept.device)&(1<<s.rate-1) == 0
	b := make([]byte, radius.HeaderLen+int(kept.size))
	b[0] = byte(radius.AccessRequest)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[radius.HeaderLen:], kept.data[:kept.size])
	return r, p.Parse(b) == radius.OK
}

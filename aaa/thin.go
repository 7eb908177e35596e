package aaa

import (
	"github.com/roamgate/roamgate/pkg/udp"
)

const (
	thinEvery  = 50e6  // ns between two looks at what is shed
	thinProbe  = 500e6 // ns until twice as much is let through again
	thinWorth  = 64    // packets shed between two looks that are worth a filter
	thinFactor = 16    // most that one look takes away
	everything = ^uint32(0)
	least      = uint32(1 << 22) // of 2^32, a thousandth
)

// loud are the sources of which most is shed. To shed is to read first: a
// client that sends a hundred times its share takes the shard's time all the
// same. So the kernel is asked to drop most of what such a source sends, and
// only so much is read that the excess still shows.
type loud struct {
	sources [udp.MostThinned]loudSource
	taken   uint32 // packets of all clients that were not shed, since looked
	looked  int64
	thinned int // sources with a filter
}

type loudSource struct {
	from  udp.Addr // without a port
	shed  uint32   // since looked
	keep  uint32   // of 2^32
	since int64    // keep is what it is
}

// note counts a packet that was shed. A source that is not among the loudest
// wears the least of them down, and takes its place once nothing is left.
func (l *loud) note(from udp.Addr) {
	from.Port = 0
	quietest := &l.sources[0]
	for i := range l.sources {
		s := &l.sources[i]
		if s.shed > 0 || s.keep != everything {
			if s.from == from {
				s.shed++
				return
			}
		}
		if s.keep == everything && (quietest.keep != everything || s.shed < quietest.shed) {
			quietest = s
		}
	}
	switch {
	case quietest.keep != everything:
	case quietest.shed == 0:
		quietest.from, quietest.shed = from, 1
	default:
		quietest.shed--
	}
}

func (l *loud) init() {
	for i := range l.sources {
		l.sources[i].keep = everything
	}
}

// look decides how much of each source is let through, and says whether
// anything has changed.
func (l *loud) look(now int64) (changed bool) {
	fair := l.taken / 8
	l.thinned = 0
	for i := range l.sources {
		s := &l.sources[i]
		switch {
		case s.shed > max(fair, thinWorth):
			// So that what is shed falls to fair.
			factor := min(s.shed/max(fair, thinWorth)+1, thinFactor)
			s.keep, s.since, changed = max(s.keep/factor, least), now, true
		case s.keep != everything && now-s.since >= thinProbe:
			s.keep, s.since, changed = s.keep<<1|1, now, true
			if s.keep > everything>>1 {
				s.keep = everything
			}
		}
		s.shed = 0
		if s.keep != everything {
			l.thinned++
		}
	}
	l.taken, l.looked = 0, now
	return changed
}

// thin tells the kernel what look has decided.
func (s *Shard) thin() {
	l := &s.loud
	if s.now-l.looked < thinEvery || !l.look(s.now) {
		return
	}
	var thinned []udp.Thinned
	for i := range l.sources {
		if src := &l.sources[i]; src.keep != everything {
			thinned = append(thinned, udp.Thinned{From: src.from, Keep: src.keep})
		}
	}
	for _, f := range s.fronts {
		if err := f.Conn.Thin(thinned); err != nil {
			s.stats.Add(s.ctr.socketErrors, 1)
		}
	}
}

package home

import (
	"github.com/roamgate/roamgate/pkg/radius"
)

const (
	probeTimeout = 2 * second
	probeIdle    = 30 * second // Tw of RFC 3539 section 3.4.1, moved by up to 2 s
	probeDown    = 7 * second  // moved by up to 1 s: Tw is never below 6 s
	probeQuick   = second      // while deciding, moved by 10 %
	maxProbes    = 4           // outstanding, more than are sent in one timeout
)

// probes are the Status-Server packets outstanding to one address of a home.
// Each has a new Identifier and none is sent twice (RFC 5997 section 4.1).
type probes struct {
	out    [maxProbes]probe
	nextID uint8
	last   int64 // when the latest was sent
	jitter uint32
	begun  bool
}

type probe struct {
	auth [16]byte
	sent int64
	id   uint8
	open bool
}

// begin spreads the first probes of all homes over one idle time.
func (p *probes) begin(now int64, rnd uint64) {
	p.begun = true
	p.nextID = uint8(rnd >> 8)
	p.jitter = uint32(rnd >> 16)
	p.last = now - int64(rnd>>1)%probeIdle
}

// start opens a probe with a random authenticator; nil if too many are out.
func (p *probes) start(now int64, rnd uint64, c *radius.Crypt) *probe {
	for i := range p.out {
		if o := &p.out[i]; !o.open {
			o.open, o.sent, o.id = true, now, p.nextID
			c.Random(o.auth[:])
			p.nextID++
			p.last, p.jitter = now, uint32(rnd)
			return o
		}
	}
	return nil
}

func (p *probes) find(id uint8) *probe {
	for i := range p.out {
		if o := &p.out[i]; o.open && o.id == id {
			return o
		}
	}
	return nil
}

// overdue closes probes that were not answered in time and reports each.
func (p *probes) overdue(now int64, lost func(sent int64)) {
	for i := range p.out {
		if o := &p.out[i]; o.open && now-o.sent >= probeTimeout {
			o.open = false
			lost(o.sent)
		}
	}
}

// due reports whether it is time for a probe: each second while it is being
// decided whether the home is well, seldom while it is down, and when
// nothing authentic was heard for Tw while it is up. The first ones go to a
// busy home as well, to learn whether it knows Status-Server at all.
func (s *State) due(now int64) bool {
	m := &s.machine
	p := &m.probes
	switch h, _ := s.Health(); {
	case h == Down && s.streak.Load() == 0:
		return now-p.last >= probeDown+10*tenth(second, p.jitter)
	case h != Up || m.lost > 0 && s.trusted():
		return now-p.last >= probeQuick+tenth(probeQuick, p.jitter)
	}
	heard := p.last
	if m.probed != 0 || m.mute {
		heard = max(heard, s.answered.Load())
	}
	return now-heard >= probeIdle+20*tenth(second, p.jitter)
}

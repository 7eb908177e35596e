package home

import (
	"fmt"
	"sync/atomic"

	"github.com/roamgate/roamgate/realm"
)

// Use says what the operator lets a home do.
type Use uint8

// The uses.
const (
	InUse    Use = iota
	Draining     // conversations that have begun go on, none begins
	Off          // nothing is sent there
)

var useNames = [...]string{"in_use", "draining", "disabled"}

// String gives the label.
func (u Use) String() string { return name(useNames[:], uint8(u)) }

// Who has said so.
const (
	ByFiles  = "files"
	ByWindow = "maintenance"
	ByHand   = "operator"
)

// Mode is the Use of a home now. Times are Unix seconds.
type Mode struct {
	Use   Use
	By    string // why it is not in use
	Since int64
	Until int64 // 0: until it is told otherwise
}

// modes is kept by home name over reloads. Of what files, windows and the
// operator say the strictest holds, but for a home that the operator enables:
// that ends what he has said before, and nothing else.
type modes struct {
	hand map[string]Mode
	now  map[string]Mode // in force, to know since when
}

// of finds the mode of a home, and notes it.
func (m *modes) of(spec *realm.Home, wall int64) Mode {
	mode := Mode{}
	set := func(n Mode) {
		if n.Use > mode.Use {
			mode = n
		}
	}
	if hand, ok := m.hand[spec.Name]; ok {
		if hand.Until != 0 && wall >= hand.Until {
			delete(m.hand, spec.Name)
		} else {
			set(hand)
		}
	}
	switch {
	case spec.Disabled:
		set(Mode{Use: Off, By: ByFiles, Since: wall})
	case spec.Drain:
		set(Mode{Use: Draining, By: ByFiles, Since: wall})
	case holds(spec.Maintenance, wall):
		set(Mode{Use: Draining, By: ByWindow, Since: wall})
	}
	if was := m.now[spec.Name]; was.Use == mode.Use {
		mode.Since = was.Since
	}
	if mode.Use == InUse {
		delete(m.now, spec.Name)
	} else {
		m.now[spec.Name] = mode
	}
	return mode
}

func holds(windows []realm.Window, wall int64) bool {
	for i := range windows {
		if windows[i].Holds(wall) {
			return true
		}
	}
	return false
}

// Mode is what the operator lets the home do now.
func (h *Home) Mode() Mode { return *h.mode() }

func (h *Home) mode() *Mode {
	if m := h.inForce.Load(); m != nil {
		return m
	}
	return &inUse
}

// SetUse lets the operator drain, disable or enable a home of that name, until
// a time in Unix seconds or, with 0, until told otherwise. It outlives
// reloads.
func (r *Registry) SetUse(name string, use Use, until int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.view == nil || !r.view.has(name) {
		return fmt.Errorf("there is no home %s", name)
	}
	wall := r.wall()
	if use == InUse {
		delete(r.modes.hand, name)
	} else {
		r.modes.hand[name] = Mode{Use: use, By: ByHand, Since: wall, Until: until}
	}
	r.govern(r.view, wall)
	return nil
}

// Govern brings windows and what the operator has said up to date. It is
// called about once a second.
func (r *Registry) Govern() {
	r.mu.Lock()
	defer r.mu.Unlock()
	wall := r.wall()
	r.retireFound(wall)
	if r.view != nil {
		r.govern(r.view, wall)
	}
}

func (r *Registry) govern(v *View, wall int64) {
	changed := false
	for _, h := range v.live {
		mode := r.modes.of(h.Spec, wall)
		if was := h.mode(); *was == mode {
			continue
		}
		changed = true
		for _, leg := range h.Legs {
			leg.inForce.Store(&mode)
		}
	}
	if changed {
		for k := range v.pools {
			for _, p := range v.pools[k] {
				p.govern()
			}
		}
	}
}

// Mode is what the operator lets a member do now.
func (p *Pool) Mode(home int32) Mode {
	for i := range p.members {
		if p.members[i].home == home {
			return p.members[i].spec.Mode()
		}
	}
	return Mode{}
}

// govern takes the modes of the members over.
func (p *Pool) govern() {
	off, drained := uint64(0), uint64(0)
	for i := range p.members {
		switch p.members[i].spec.mode().Use {
		case Off:
			off |= 1 << i
		case Draining:
			drained |= 1 << i
		}
	}
	p.off.Store(off)
	p.drained.Store(drained)
}

func (v *View) has(name string) bool {
	for _, h := range v.live {
		if h.Spec.Name == name {
			return true
		}
	}
	return false
}

// inForce is the Mode of a home; nil is in use.
type inForce = atomic.Pointer[Mode]

var inUse Mode

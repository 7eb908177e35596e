package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// The stored forms that AppendBinary writes: the second is that of sessions of Diameter,
// and ends with what only they have.
const (
	firstForm = 1
	version   = 2
)

// ErrStored is wrapped by every error of UnmarshalBinary.
var ErrStored = errors.New("stored session")

// ErrNewer: the form is newer than this program's.
var ErrNewer = fmt.Errorf("%w: of a newer form", ErrStored)

var errDamaged = fmt.Errorf("%w: damaged", ErrStored)

// Bounds of what is read.
const (
	maxText  = 1 << 12
	maxCivic = 256
)

// AppendBinary appends the stored form, which holds the exported fields too.
func (s *Session) AppendBinary(b []byte) ([]byte, error) {
	w := writer{of: firstForm}
	if s.facts&numbered != 0 {
		w.of = version
	}
	w.b = append(b, w.of)
	s.code(&w)
	return w.b, nil
}

// UnmarshalBinary reads the stored form. It fails on any octets that
// AppendBinary did not make, and on a form newer than this program's.
func (s *Session) UnmarshalBinary(b []byte) error {
	if len(b) == 0 {
		return errDamaged
	}
	if b[0] > version {
		return fmt.Errorf("%w: %d, this program reads %d", ErrNewer, b[0], version)
	}
	*s = Session{}
	r := reader{b: b[1:], of: b[0], bad: b[0] == 0}
	s.code(&r)
	if r.bad || (s.facts&numbered != 0) != (r.of == version) || len(r.b) > 0 || !s.whole() {
		*s = Session{}
		return errDamaged
	}
	return nil
}

// whole says whether every reference points to something.
func (s *Session) whole() bool {
	n := uint8(len(s.origins))
	bad := s.base.latest.origin >= n && s.base.latest.origin > 0
	for i := range s.points {
		bad = bad || s.points[i].origin >= n
	}
	for i := range s.cuts {
		bad = bad || s.cuts[i].latest.origin >= n
	}
	return !bad
}

// coder writes or reads one field after the other, so that both directions
// are one list.
type coder interface {
	uint(v, most uint64) uint64
	int(v int64) int64
	octets(v []byte)
	text(v string) string
	// check fails what is read unless ok: everything has one form only.
	check(ok bool)
	form() byte
}

func small[T ~uint8 | ~uint16 | ~uint32 | ~int | ~int32](c coder, v *T, most uint64) {
	*v = T(c.uint(uint64(*v), most))
}

func bit(c coder, v *bool) {
	var n uint64
	if *v {
		n = 1
	}
	*v = c.uint(n, 1) == 1
}

// list codes the length of a list and makes room for it.
func list[T any](c coder, v *[]T, most uint64) []T {
	n := c.uint(uint64(len(*v)), most)
	if *v == nil && n > 0 {
		*v = make([]T, n)
	}
	return *v
}

const (
	any32 = 1<<32 - 1
	any64 = 1<<64 - 1
)

func (s *Session) code(c coder) {
	c.octets(s.ID[:])
	s.Generation = c.uint(s.Generation, any64)
	c.octets(s.NAS[:])
	bit(c, &s.Open)
	s.Due = c.int(s.Due)
	s.Updated = c.int(s.Updated)
	s.newest = c.int(s.newest)
	s.start = c.int(s.start)
	s.last = c.int(s.last)
	small(c, &s.facts, uint64(factsOf(c)-1))
	small(c, &s.leg, any32)
	if s.leg != 0 {
		c.octets(s.journey[:])
	}
	small(c, &s.taken, any32)
	small(c, &s.firstStop, any32)
	for i := range list(c, &s.origins, maxOrigins) {
		o := &s.origins[i]
		o.node = c.text(o.node)
		o.client = c.text(o.client)
		o.fine = c.int(o.fine)
	}
	for i := range list(c, &s.points, maxPoints) {
		s.points[i].code(c)
	}
	s.base.code(c)
	for i := range list(c, &s.cuts, maxParts) {
		u := &s.cuts[i]
		u.figures.code(c)
		small(c, &u.month, any32)
		u.end = c.int(u.end)
		small(c, &u.noted, uint64(notesEnd-1))
		u.latest.code(c)
	}
	for i := range list(c, &s.parts, maxParts) {
		p := &s.parts[i]
		small(c, &p.month, any32)
		small(c, &p.number, any32)
		small(c, &p.revision, any32)
		bit(c, &p.estimated)
		p.recorded.code(c)
	}
	describe(c, &s.about)
	if c.form() == version {
		small(c, &s.numbers.first, any32)
		small(c, &s.numbers.last, any32)
		small(c, &s.numbers.count, any32)
		describeDiameter(c, &s.about)
	}
}

func factsOf(c coder) facts {
	if c.form() == version {
		return factsEnd
	}
	return unnumberedEnd
}

// describeDiameter codes what only reports of Diameter say.
func describeDiameter(c coder, a *usage.Report) {
	bit(c, &a.Diameter)
	small(c, &a.Application, any32)
	a.Equipment = c.text(a.Equipment)
	a.Service.Context = c.text(a.Service.Context)
	has := a.EquipmentHash != accounting.Key{}
	if bit(c, &has); has {
		c.octets(a.EquipmentHash[:])
		c.check(a.EquipmentHash != accounting.Key{})
	}
}

func (p *point) code(c coder) {
	small(c, &p.kind, 255)
	most := uint64(unnumbered - 1)
	if c.form() == version {
		most = pointEnd - 1
	}
	small(c, &p.has, most)
	if p.has&hasNumber != 0 {
		small(c, &p.number, any32)
	}
	if p.has&hasSince != 0 {
		p.spent = c.int(p.spent)
	}
	small(c, &p.state, uint64(states-1))
	small(c, &p.order, any32)
	p.time = c.int(p.time)
	p.event = c.int(p.event)
	for i := range p.count {
		p.count[i] = c.uint(p.count[i], any64)
	}
	p.closing.code(c)
}

func (l *closing) code(c coder) {
	c.octets(l.evidence[:])
	small(c, &l.origin, maxOrigins-1)
	l.epoch = c.uint(l.epoch, any64)
	l.seq = c.uint(l.seq, any64)
	small(c, &l.cause, any32)
}

func (f *figures) code(c coder) {
	f.seconds = c.int(f.seconds)
	for i := range f.count {
		f.count[i] = c.int(f.count[i])
	}
	for i := range f.reports {
		f.reports[i] = c.int(f.reports[i])
	}
}

func (k *cursor) code(c coder) {
	begun := k.figures != figures{} || k.end != 0
	if bit(c, &begun); !begun {
		return
	}
	k.figures.code(c)
	k.time = c.int(k.time)
	k.end = c.int(k.end)
	small(c, &k.month, any32)
	k.gap = c.int(k.gap)
	bit(c, &k.stopped)
	small(c, &k.noted, uint64(notesEnd-1))
	k.latest.code(c)
	c.check(k.figures != figures{} || k.end != 0)
}

// describe codes what a session keeps of its reports beside figures.
func describe(c coder, a *usage.Report) {
	for _, t := range texts(a) {
		*t = c.text(*t)
	}
	for _, k := range identities(a) {
		has := *k != accounting.Key{}
		if bit(c, &has); has {
			c.octets(k[:])
			c.check(*k != accounting.Key{})
		}
	}
	for i := range list(c, &a.Classes, maxClasses) {
		c.octets(a.Classes[i][:])
	}
	small(c, &a.Has, 1<<16-1)
	small(c, &a.Flags, 1<<16-1)
	small(c, &a.NASPortType, any32)
	small(c, &a.RAT, 255)
	a.Offset = int(c.int(int64(a.Offset)))
	small(c, &a.PolicyVersion, any32)
	bit(c, &a.PolicyStale)
	small(c, &a.Service.ChargingID, any32)
	rate := a.Service.Rate != nil
	if bit(c, &rate); rate {
		if a.Service.Rate == nil {
			a.Service.Rate = new(usage.Rate)
		}
		a.Service.Rate.Currency = c.text(a.Service.Rate.Currency)
		small(c, &a.Service.Rate.Index, 255)
		small(c, &a.Service.Rate.Nanos, any32)
	}
	civic(c, &a.Location.Civic)
}

// civic codes a map in the order of its keys.
func civic(c coder, m *map[string]string) {
	keys := slices.Sorted(maps.Keys(*m))
	for i := range list(c, &keys, maxCivic) {
		k := c.text(keys[i])
		v := c.text((*m)[k])
		if *m == nil {
			*m = make(map[string]string)
		}
		c.check(i == 0 || keys[i-1] < k)
		keys[i] = k
		(*m)[k] = v
	}
}

type writer struct {
	b  []byte
	of byte
}

func (w *writer) form() byte { return w.of }

func (w *writer) uint(v, _ uint64) uint64 {
	w.b = binary.AppendUvarint(w.b, v)
	return v
}

func (w *writer) int(v int64) int64 {
	w.b = binary.AppendVarint(w.b, v)
	return v
}

func (w *writer) octets(v []byte) { w.b = append(w.b, v...) }

func (w *writer) text(v string) string {
	t := v[:min(len(v), maxText)]
	w.b = append(binary.AppendUvarint(w.b, uint64(len(t))), t...)
	return v
}

func (*writer) check(bool) {}

// reader takes nothing after the first octet that is wrong: then all fields
// are zero and all lists empty.
type reader struct {
	b   []byte
	of  byte
	bad bool
}

func (r *reader) form() byte { return r.of }

func (r *reader) check(ok bool) { r.bad = r.bad || !ok }

// take takes the n octets that a number was read from, the last of which is
// zero only if it is the only one.
func (r *reader) take(n int) bool {
	r.bad = r.bad || n <= 0 || n > 1 && r.b[n-1] == 0
	if r.bad {
		return false
	}
	r.b = r.b[n:]
	return true
}

func (r *reader) uint(_, most uint64) uint64 {
	x, n := binary.Uvarint(r.b)
	if x > most {
		n = 0
	}
	if !r.take(n) {
		return 0
	}
	return x
}

func (r *reader) int(int64) int64 {
	x, n := binary.Varint(r.b)
	if !r.take(n) {
		return 0
	}
	return x
}

func (r *reader) octets(v []byte) {
	if r.bad || len(r.b) < len(v) {
		r.bad = true
		return
	}
	copy(v, r.b)
	r.b = r.b[len(v):]
}

func (r *reader) text(string) string {
	n := r.uint(0, maxText)
	if r.bad || uint64(len(r.b)) < n {
		r.bad = true
		return ""
	}
	v := string(r.b[:n])
	r.b = r.b[n:]
	return v
}

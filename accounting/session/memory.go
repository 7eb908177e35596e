package session

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// Memory is a Book in memory, for tests and for reckoning again what reports
// come to. It belongs to one goroutine. The zero value is empty.
type Memory struct {
	// Sums are those of all Changes that were taken.
	Sums map[TallyKey]int64

	sessions map[place][]byte
	byID     map[ID][]uint64
	open     map[accounting.Key]map[place]bool
	due      map[place]int64
	journeys map[accounting.Key]Journey
}

type place struct {
	id         ID
	generation uint64
}

// Take stores d, whose Records are the caller's to keep.
func (m *Memory) Take(d *Changes) error {
	if m.sessions == nil {
		*m = Memory{make(map[TallyKey]int64), make(map[place][]byte), make(map[ID][]uint64),
			make(map[accounting.Key]map[place]bool), make(map[place]int64), make(map[accounting.Key]Journey)}
	}
	for _, s := range d.Sessions {
		at := place{s.ID, s.Generation}
		b, err := s.AppendBinary(nil)
		if err != nil {
			return err
		}
		if _, there := m.sessions[at]; !there {
			m.byID[s.ID] = append(m.byID[s.ID], s.Generation)
		}
		m.sessions[at] = b
		if delete(m.due, at); s.Due != 0 {
			m.due[at] = s.Due
		}
		if m.open[s.NAS] == nil {
			m.open[s.NAS] = make(map[place]bool)
		}
		if delete(m.open[s.NAS], at); s.Open {
			m.open[s.NAS][at] = true
		} else if len(m.open[s.NAS]) == 0 {
			delete(m.open, s.NAS)
		}
	}
	maps.Copy(m.journeys, d.Journeys)
	for k, n := range d.Tallies {
		if m.Sums[k] += n; m.Sums[k] == 0 {
			delete(m.Sums, k)
		}
	}
	return nil
}

// Count is the sum of a class over all nodes, clients and reasons.
func (m *Memory) Count(class usage.Class) (n int64) {
	for k, v := range m.Sums {
		if k.Class == class {
			n += v
		}
	}
	return n
}

// Len counts the sessions.
func (m *Memory) Len() int { return len(m.sessions) }

// Forget drops the sessions that nothing is owed of and that were not heard
// of since before.
func (m *Memory) Forget(before time.Time) error {
	for at := range m.sessions {
		s, err := m.read(at)
		if err != nil {
			return err
		}
		if s.Open || s.Due != 0 || s.Updated >= before.Unix() {
			continue
		}
		delete(m.sessions, at)
		m.byID[at.id] = slices.DeleteFunc(m.byID[at.id], func(g uint64) bool { return g == at.generation })
		if len(m.byID[at.id]) == 0 {
			delete(m.byID, at.id)
		}
	}
	return nil
}

func (m *Memory) read(at place) (*Session, error) {
	s := new(Session)
	return s, s.UnmarshalBinary(m.sessions[at])
}

func (m *Memory) readAll(places []place) (list []*Session, err error) {
	for _, at := range places {
		s, err := m.read(at)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Sessions implements Book.
func (m *Memory) Sessions(ids []ID) ([]*Session, error) {
	var places []place
	for _, id := range ids {
		generations := slices.Sorted(slices.Values(m.byID[id]))
		for _, g := range generations[max(len(generations)-MaxGenerations, 0):] {
			places = append(places, place{id, g})
		}
	}
	return m.readAll(places)
}

func comparePlaces(a, b place) int {
	return cmp.Or(slices.Compare(a.id[:], b.id[:]), cmp.Compare(a.generation, b.generation))
}

// OpenAt implements Book.
func (m *Memory) OpenAt(nas accounting.Key, after *Session, limit int) ([]*Session, error) {
	places := slices.SortedFunc(maps.Keys(m.open[nas]), comparePlaces)
	if after != nil {
		last := place{after.ID, after.Generation}
		places = slices.DeleteFunc(places, func(p place) bool { return comparePlaces(p, last) <= 0 })
	}
	return m.readAll(places[:min(len(places), limit)])
}

// Due implements Book.
func (m *Memory) Due(now time.Time, limit int) ([]*Session, error) {
	var places []place
	for at, due := range m.due {
		if due <= now.Unix() {
			places = append(places, at)
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(m.due[a], m.due[b]), comparePlaces(a, b)) })
	return m.readAll(places[:min(len(places), limit)])
}

// Journeys implements Book.
func (m *Memory) Journeys(ids []accounting.Key) (map[accounting.Key]Journey, error) {
	found := make(map[accounting.Key]Journey)
	for _, id := range ids {
		if j, ok := m.journeys[id]; ok {
			found[id] = j
		}
	}
	return found, nil
}

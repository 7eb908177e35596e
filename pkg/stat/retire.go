package stat

import (
	"slices"
	"time"
)

// reuseAfter is how long a series must stay away before another takes over
// its words. The shards have long dropped the snapshot that knew its ID by
// then, so no late count lands on the newcomer.
const reuseAfter = 10 * time.Minute

// Retire takes every series that carries all of the labels (k, v, k, v) out
// of the scrapes, for the homes and clients that a reload has removed. IDs
// stay harmless to use for a while; the atomic types of such a series must be
// let go. A series that is registered again goes on where it stopped. Without
// labels nothing is retired. It returns how many series went.
func (r *Registry) Retire(labels ...string) (n int) {
	if len(labels) == 0 {
		return 0
	}
	kv := sortLabels(nil, "", labels)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, f := range r.families {
		if !slices.Contains(f.Labels, kv[0]) {
			continue
		}
		for s := range f.all {
			if s.retired || !s.has(kv) {
				continue
			}
			n++
			r.retire(s, now)
		}
	}
	return n
}

func (r *Registry) retire(s *series, now time.Time) {
	r.lines -= s.family.lines()
	if s.read != nil {
		r.remove(s) // holds the closure of an old table
		return
	}
	s.retired = true
	if s.past == nil {
		s.past = new(past)
	}
	s.past.since = now
	w := s.family.words()
	r.free[w] = append(r.free[w], s)
}

// takeFree finds words that have rested long enough and forgets their series.
func (r *Registry) takeFree(words uint32) *series {
	list := r.free[words]
	for len(list) > 0 {
		s := list[0]
		if s.retired && time.Since(s.past.since) < reuseAfter {
			break
		}
		list = list[1:]
		if s.retired {
			s.retired = false // it may stand in the list twice
			r.remove(s)
			r.free[words] = list
			return s
		}
	}
	r.free[words] = list
	return nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

// store is where batches go and records come from.
type store interface {
	take(d *queue.Delivery) error
	sweep(now time.Time) error
	// records gives the records that are new since the last call.
	records(f func(*usage.Record)) error
	sums() (map[session.TallyKey]int64, error)
	close() error
}

func openStore(o *options, r *run) (store, error) {
	switch o.store {
	case "memory":
		return &inMemory{rules: session.Default()}, nil
	case "embedded":
		return openEmbedded(o, r)
	}
	return nil, fmt.Errorf("no store is called %q: embedded or memory", o.store)
}

// embedded is the clearing store in a directory.
type embedded struct {
	*clearing.Store
	after uint64
	dir   string // to remove
}

func openEmbedded(o *options, r *run) (store, error) {
	e, dir := &embedded{}, o.dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "month-"); err != nil {
			return nil, err
		}
		e.dir = dir
	}
	var err error
	e.Store, err = clearing.Open(context.Background(), clearing.Options{
		Directory: dir, Keep: 3 * 24 * time.Hour, Settle: -1, Clock: func() time.Time { return timeOf(r.now) },
	})
	return e, err
}

func (e *embedded) take(d *queue.Delivery) error {
	_, err := e.Take(context.Background(), d)
	return err
}

func (e *embedded) sweep(now time.Time) error {
	_, err := e.Sweep(context.Background(), now)
	return err
}

func (e *embedded) records(f func(*usage.Record)) error {
	for entry, err := range e.Records(context.Background(), clearing.Filter{After: e.after}) {
		if err != nil {
			return err
		}
		e.after = entry.Order
		f(&entry.Record)
	}
	return nil
}

func (e *embedded) sums() (map[session.TallyKey]int64, error) { return e.Sums(context.Background()) }

func (e *embedded) close() error {
	err := e.Store.Close()
	if e.dir != "" {
		err = errors.Join(err, os.RemoveAll(e.dir))
	}
	return err
}

// inMemory is the rules around a map, with the ring of duplicates that the
// clearing store has in front of them. It remembers for one to two days.
type inMemory struct {
	rules   session.Rules
	book    session.Memory
	seen    [2]map[accounting.Key][]accounting.Key // of this day and the one before
	day     int64
	pending []usage.Record
	doubles map[session.TallyKey]int64
	reports []usage.Report
}

func (m *inMemory) has(key, content accounting.Key) (same, other bool) {
	for _, seen := range m.seen {
		contents := seen[key]
		same = same || slices.Contains(contents, content)
		other = other || len(contents) > 0
	}
	return same, other
}

// claim says whether r is new, and flags it if it contradicts what was there.
func (m *inMemory) claim(r *usage.Report) bool {
	same, other := m.has(r.Key, r.Content)
	if near := r.Key.Near(); !same && r.Flags&accounting.FlagArrivalTime != 0 {
		before, _ := m.has(near[0], r.Content)
		after, _ := m.has(near[1], r.Content)
		same = before || after
	}
	byContent := r.Key.ByContent(r.Content)
	if !same && r.Key.Untimed() {
		same, _ = m.has(byContent, r.Content)
	}
	if same {
		return false
	}
	if other {
		r.Flags |= accounting.FlagConflict
	}
	m.seen[0][r.Key] = append(m.seen[0][r.Key], r.Content)
	if r.Key.Untimed() {
		m.seen[0][byContent] = append(m.seen[0][byContent], r.Content)
	}
	return true
}

func (m *inMemory) take(d *queue.Delivery) error {
	if m.seen[0] == nil {
		m.seen[0], m.doubles = make(map[accounting.Key][]accounting.Key), make(map[session.TallyKey]int64)
	}
	m.reports = m.reports[:0]
	for _, data := range [][]byte{d.Data, d.Quarantined} {
		for line := range bytes.Lines(data) {
			var r usage.Report
			if err := usage.ParseReport(bytes.TrimSuffix(line, []byte{'\n'}), &r); err != nil {
				return err
			}
			if r.Node = d.Node; m.claim(&r) {
				m.reports = append(m.reports, r)
				continue
			}
			m.doubles[session.TallyKey{Node: r.Node, Client: r.Client, Class: usage.Duplicate, Reason: clearing.ReasonRecordKey}]++
		}
	}
	return m.keep(m.rules.Join(&m.book, m.reports))
}

func (m *inMemory) keep(d *session.Changes, err error) error {
	if err != nil {
		return err
	}
	m.pending = append(m.pending, d.Records...)
	return m.book.Take(d)
}

func (m *inMemory) sweep(now time.Time) error {
	for {
		d, err := m.rules.Close(&m.book, now, 1<<20)
		if err != nil || len(d.Sessions) == 0 {
			if err != nil {
				return err
			}
			break
		}
		if err := m.keep(d, nil); err != nil {
			return err
		}
	}
	if day := now.Unix() / 86400; day > m.day {
		m.day = day
		m.seen[0], m.seen[1] = make(map[accounting.Key][]accounting.Key), m.seen[0]
		return m.book.Forget(now.Add(-24 * time.Hour))
	}
	return nil
}

func (m *inMemory) records(f func(*usage.Record)) error {
	for i := range m.pending {
		f(&m.pending[i])
	}
	m.pending = m.pending[:0]
	return nil
}

func (m *inMemory) sums() (map[session.TallyKey]int64, error) {
	sums := m.doubles
	for k, n := range m.book.Sums {
		sums[k] += n
	}
	return sums, nil
}

func (m *inMemory) close() error { return nil }

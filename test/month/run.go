package main

import (
	"container/heap"
	"fmt"
	"io"
	"time"
)

// window is how long a hub gathers a batch at most, in seconds. No life is so
// short that its Start and its Stop are in one, through two hubs.
const window = 600

// sweepEvery is how often missing Stops are looked for: in time before a late
// one comes.
const sweepEvery = 7200

// run plays a month in the order of its packets.
type run struct {
	g        *generator
	st       store
	hubs     [2]*hub
	got      account
	now      int64 // of the newest packet
	flushAt  int64
	sweepAt  int64
	packets  int64
	progress io.Writer
	began    time.Time
	shown    time.Time
}

func (r *run) all(sessions int) error {
	r.flushAt, r.sweepAt = r.g.from+window, r.g.from+sweepEvery
	for r.g.sessions < sessions {
		at := r.g.from + int64(float64(end-r.g.from)*float64(r.g.sessions)/float64(sessions))
		if err := r.until(at); err != nil {
			return err
		}
		f := &faults[r.g.random.IntN(len(faults))]
		f.play(r.g, f.name, at)
		r.show(sessions)
	}
	for len(r.g.coming) > 0 {
		if err := r.until(r.g.coming[0].arrival); err != nil {
			return err
		}
	}
	r.now += 30 * 86400 // long enough for everybody to be given up
	if err := r.flush(); err != nil {
		return err
	}
	if err := r.sweep(); err != nil {
		return err
	}
	sums, err := r.st.sums()
	r.got.classes(sums)
	return err
}

// until delivers what arrives until then.
func (r *run) until(at int64) error {
	for len(r.g.coming) > 0 && r.g.coming[0].arrival <= at {
		p := heap.Pop(&r.g.coming).(packet)
		for p.arrival >= r.flushAt {
			r.now = r.flushAt
			if err := r.flush(); err != nil {
				return err
			}
			if r.flushAt >= r.sweepAt {
				if err := r.sweep(); err != nil {
					return err
				}
				r.sweepAt += sweepEvery
			}
			r.flushAt += window
		}
		r.now = p.arrival
		r.packets++
		full, err := r.hubs[p.hub].take(&p)
		if err != nil {
			return err
		}
		if full {
			if err := r.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush sends the batches of both hubs, so that neither is far behind.
func (r *run) flush() error {
	for _, h := range r.hubs {
		if h.batch.N+h.batch.NQ == 0 {
			continue
		}
		if err := r.st.take(h.seal()); err != nil {
			return err
		}
		h.batch.N, h.batch.NQ = 0, 0
	}
	return nil
}

func (r *run) sweep() error {
	// A sweep may forget what is older than the store keeps.
	if err := r.st.records(r.got.record); err != nil {
		return err
	}
	if err := r.st.sweep(timeOf(r.now)); err != nil {
		return err
	}
	return r.st.records(r.got.record)
}

func (r *run) show(sessions int) {
	if r.progress == nil || r.g.sessions%1000 != 0 || time.Since(r.shown) < time.Second {
		return
	}
	r.shown = time.Now()
	_, _ = fmt.Fprintf(r.progress, "\r%5.1f %%  %d sessions, %d packets, %.0f sessions/s ", 100*float64(r.g.sessions)/float64(sessions),
		r.g.sessions, r.packets, float64(r.g.sessions)/time.Since(r.began).Seconds())
}

package clearing

import (
	"context"
	"time"
)

const (
	// silent is how long a hub may say nothing before the others do not wait
	// for it any longer.
	silent = time.Hour
	// closeAtOnce and forgetRounds bound the transactions of a sweep, between
	// which batches are taken.
	closeAtOnce  = 256
	forgetRounds = 16
)

// Now is the time of the reports: up to then every hub that is alive has said
// what it knew. A hub is alive while something of it was taken in the last
// hour before the newest of any hub; in the first hour of this Store all hubs
// are, as their backlogs come one after the other. The wall clock is only a
// limit: a hub whose clock is ahead closes nothing early. It is zero while
// nothing was ever taken.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	all, err := s.Sources(ctx)
	if err != nil || len(all) == 0 {
		return time.Time{}, err
	}
	type heard struct{ taken, arrival time.Time }
	hubs := map[string]heard{}
	var newest time.Time
	for _, src := range all {
		h := hubs[src.Node]
		hubs[src.Node] = heard{later(h.taken, src.Taken), later(h.arrival, src.Arrival)}
		newest = later(newest, src.Taken)
	}
	now := s.o.Clock()
	waits := now.Sub(s.opened) < silent
	for _, h := range hubs {
		if (waits || newest.Sub(h.taken) < silent) && !h.arrival.IsZero() {
			now = earlier(now, h.arrival)
		}
	}
	return now, nil
}

// Sweep closes the sessions whose Stop is missing at now, which is Now for
// everybody but tests, and forgets what is older than Options.Keep. It says
// how many sessions were looked at.
func (s *Store) Sweep(ctx context.Context, now time.Time) (closed int, err error) {
	if now.IsZero() {
		return 0, nil
	}
	for more := true; more; {
		err := s.update(ctx, func(b book) (*change, error) {
			c, p := newChange(), newPages(b)
			c.at = now
			d, err := s.o.Rules.Close(p, now, closeAtOnce)
			if err != nil {
				return nil, err
			}
			if more = len(d.Sessions) > 0; !more {
				return nil, nil
			}
			closed += len(d.Sessions)
			return c, p.add(c, d, nil)
		})
		if err != nil {
			return closed, err
		}
	}
	for range forgetRounds {
		n, err := s.b.forget(ctx, now.Add(-s.o.Keep))
		if err != nil || n == 0 {
			return closed, err
		}
	}
	return closed, nil
}

package clearing

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

// Entry is a usage record with its place: order numbers grow as records are
// written and have no gaps but where old ones were forgotten.
type Entry struct {
	Order  uint64
	Record usage.Record

	of place // when it is written
}

// Filter chooses records. The zero value is all of them.
type Filter struct {
	After uint64 // order number: only later ones
	Limit int    // 0 none

	Home, Visited string // realm of the party
	Client        string
	SessionID     string
	Session       accounting.Key
	Device        accounting.Key // keyed hashes
	User          accounting.Key
	CUI           accounting.Key
	Status        usage.Status
	Exception     usage.Exception
	Billable      *bool
	From, To      time.Time // End is not before From and before To; zero: no bound
}

// match says whether r passes.
func (f *Filter) match(r *usage.Record) bool {
	text := func(want, is string) bool { return want == "" || want == is }
	key := func(want, is accounting.Key) bool { return want == accounting.Key{} || want == is }
	return text(f.Home, r.Home.Realm) && text(f.Visited, r.Visited.Realm) && text(f.Client, r.Client) &&
		text(f.SessionID, r.SessionID) && key(f.Session, r.Session) &&
		key(f.Device, r.Device) && key(f.User, r.User) && key(f.CUI, r.CUI) &&
		text(string(f.Status), string(r.Status)) &&
		(f.Exception == "" || slices.Contains(r.Exceptions, f.Exception)) &&
		(f.Billable == nil || *f.Billable == r.Billable) &&
		(f.From.IsZero() || !r.End.Before(f.From)) && (f.To.IsZero() || r.End.Before(f.To))
}

// recordsAtOnce is how many records are looked at in one transaction, so that
// a reader that is slow keeps nothing open.
const recordsAtOnce = 1024

// Records iterates over the records that pass f in their order. What is
// written meanwhile comes too.
func (s *Store) Records(ctx context.Context, f Filter) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		left := f.Limit
		for after, more := f.After, true; more; {
			var found []Entry
			err := s.b.view(ctx, func(b book) (err error) {
				found, after, err = b.records(&f, after, recordsAtOnce)
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			more = after != 0
			for i := range found {
				if !f.match(&found[i].Record) {
					continue
				}
				if !yield(&found[i], nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
		}
	}
}

// Record returns the record of this ID, nil if there is none.
func (s *Store) Record(ctx context.Context, id accounting.Key) (e *Entry, err error) {
	err = s.b.view(ctx, func(b book) (err error) {
		e, err = b.record(id)
		return err
	})
	return e, err
}

// Account is all that is known of one session.
type Account struct {
	Session *session.Session // nil: it was forgotten before its records
	Records []Entry          // at most 10,000
	Reports []Trace          // the newest MaxTraces, in the order they were taken
	Taken   int              // reports in all
}

const maxRecordsOf = 10_000

// Session returns what is known of the session of this key, which its records
// carry (usage.Record.Session); nil if nothing is.
func (s *Store) Session(ctx context.Context, key accounting.Key) (a *Account, err error) {
	err = s.b.view(ctx, func(b book) error {
		a = &Account{}
		st, err := b.sessionByKey(key)
		if err != nil {
			return err
		}
		if st != nil {
			a.Session, a.Taken = st.Session, int(st.Reports)
			chunks, err := b.chunks(placeOf(st.Session))
			if err != nil {
				return err
			}
			if a.Reports, err = st.traces(chunks); err != nil {
				return err
			}
		}
		a.Records, err = b.recordsOf(key, maxRecordsOf)
		return err
	})
	if err != nil || a.Session == nil && len(a.Records) == 0 {
		return nil, err
	}
	return a, nil
}

// Sums returns how many reports are in which class. They add up to all
// reports taken.
func (s *Store) Sums(ctx context.Context) (sums map[session.TallyKey]int64, err error) {
	err = s.b.view(ctx, func(b book) (err error) {
		sums, err = b.tallies()
		return err
	})
	return sums, err
}

// Sources returns every spool that was ever heard of.
func (s *Store) Sources(ctx context.Context) (all []Source, err error) {
	err = s.b.view(ctx, func(b book) (err error) {
		all, err = b.sources()
		return err
	})
	return all, err
}

// Stats are the figures of a store.
type Stats struct {
	Reports     int64 // taken, of all classes
	Classes     [usage.Classes]int64
	Records     map[usage.Status]int64 // ever written
	Order       uint64                 // of the newest record
	Open        int64                  // sessions
	DeadLetters int64
	Gaps        int           // spools with records missing in between
	Missing     uint64        // such records
	Commits     int64         // by this process
	CommitTime  time.Duration // of all Commits together
}

// Stats reads the figures.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	st := Stats{
		Records: map[usage.Status]int64{},
		Commits: s.commit.n.Load(), CommitTime: time.Duration(s.commit.nanos.Load()),
	}
	err := s.b.view(ctx, func(b book) error {
		sums, err := b.tallies()
		if err != nil {
			return err
		}
		for k, n := range sums {
			st.Reports += n
			st.Classes[min(k.Class, usage.Classes-1)] += n
		}
		all, err := b.sources()
		if err != nil {
			return err
		}
		for i := range all {
			if n := all[i].Missing(); n > 0 {
				st.Gaps++
				st.Missing += n
			}
		}
		counts, err := b.counts()
		if err != nil {
			return err
		}
		st.Order, st.Open, st.DeadLetters = uint64(counts[countOrder]), counts[countOpen], counts[countLetters]
		for _, status := range []usage.Status{usage.Final, usage.Partial, usage.Estimated, usage.Correction} {
			st.Records[status] = counts[countRecords+string(status)]
		}
		return nil
	})
	return st, err
}

package clearing

import (
	"context"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

// backend keeps the state of a Store. Writers are one after the other, also
// those of several processes: what a transaction read is what it writes over.
type backend interface {
	// update calls f with what is there and writes what f returns, all of it
	// or nothing; nil writes nothing.
	update(ctx context.Context, f func(book) (*change, error)) error
	// view calls f with what is there at one moment.
	view(ctx context.Context, f func(book) error) error
	// forget drops a bounded number of things that are older than before and
	// of no more use, and says how many.
	forget(ctx context.Context, before time.Time) (int, error)
	close() error
}

// book reads what is there, within a transaction.
type book interface {
	source(id SourceID) (*Source, error) // nil: never heard of
	sources() ([]Source, error)
	// floor returns the stretch with the highest first record not above seq.
	floor(id SourceID, seq uint64) (*stretch, error)
	// from returns stretches whose first record is seq or above, in order.
	from(id SourceID, seq uint64, limit int) ([]stretch, error)
	settled(id SourceID, st stretch) (bool, error)

	claims(keys []accounting.Key) (map[accounting.Key][]accounting.Key, error)
	sessions(ids []session.ID) ([]stored, error)
	openAt(nas accounting.Key, after *session.Session, limit int) ([]stored, error)
	due(now int64, limit int) ([]stored, error)
	journeys(ids []accounting.Key) (map[accounting.Key]session.Journey, error)

	count(name string) (int64, error)
	tallies() (map[session.TallyKey]int64, error)
	counts() (map[string]int64, error)
	// records returns what may pass f in order, from the order number f.After
	// on; the caller looks closer. next is where to go on, 0 at the end.
	records(f *Filter, after uint64, limit int) (found []Entry, next uint64, err error)
	record(id accounting.Key) (*Entry, error)
	recordsOf(key accounting.Key, limit int) ([]Entry, error)
	// sessionByKey finds the session of a record.
	sessionByKey(key accounting.Key) (*stored, error)
	chunks(at place) ([]chunk, error)

	letters(after uint64, limit int) ([]DeadLetter, error)
	letter(number uint64) (*DeadLetter, error)
	letterBy(digest accounting.Key) (bool, error)
}

// stored is a session as the store keeps it.
type stored struct {
	*session.Session
	Reports uint32 // how many Traces were ever written
	tail    []byte // the last of them, which are no chunk yet
}

// place names a session.
type place struct {
	id         session.ID
	generation uint64
}

func placeOf(s *session.Session) place { return place{s.ID, s.Generation} }

// index is what finds a session beside its ID.
type index struct {
	nas  accounting.Key
	open bool
	due  int64
}

func indexOf(s *session.Session) index { return index{s.NAS, s.Open, s.Due} }

// sessionChange replaces one session.
type sessionChange struct {
	stored
	was    *index // nil: it is new
	chunks []chunk
}

// change is all that one transaction writes.
type change struct {
	at       time.Time // of the newest report so far: what is written is of that age
	source   *Source
	stretch  *stretch
	claims   map[accounting.Key][]accounting.Key // whole
	sessions []sessionChange
	journeys map[accounting.Key]session.Journey
	records  []Entry
	tallies  map[session.TallyKey]int64 // add
	counts   map[string]int64           // add
	letters  []DeadLetter
	dropped  []uint64
	settle   []settlement
}

// settlement says that a stretch that contradicts what was taken has been
// looked at.
type settlement struct {
	id SourceID
	st stretch
}

// Counters beside the tallies.
const (
	countOrder   = "order"  // order numbers given to records
	countLetter  = "letter" // numbers given to dead letters
	countLetters = "letters"
	countOpen    = "open"
	countRecords = "records:" // and a status
)

// pages is the session.Book over a book: it remembers how the sessions stood
// when they were read.
type pages struct {
	book
	was   map[place]index
	known map[place]stored // as far as traces go
}

func newPages(b book) *pages {
	return &pages{book: b, was: map[place]index{}, known: map[place]stored{}}
}

func (p *pages) keep(found []stored, err error) ([]*session.Session, error) {
	ss := make([]*session.Session, 0, len(found))
	for _, f := range found {
		at := placeOf(f.Session)
		p.was[at], p.known[at] = indexOf(f.Session), f
		ss = append(ss, f.Session)
	}
	return ss, err
}

// Sessions implements session.Book.
func (p *pages) Sessions(ids []session.ID) ([]*session.Session, error) {
	return p.keep(p.sessions(ids))
}

// OpenAt implements session.Book.
func (p *pages) OpenAt(nas accounting.Key, after *session.Session, limit int) ([]*session.Session, error) {
	return p.keep(p.openAt(nas, after, limit))
}

// Due implements session.Book.
func (p *pages) Due(now time.Time, limit int) ([]*session.Session, error) {
	return p.keep(p.due(now.Unix(), limit))
}

// Journeys implements session.Book.
func (p *pages) Journeys(ids []accounting.Key) (map[accounting.Key]session.Journey, error) {
	return p.journeys(ids)
}

// add takes what the rules decided over reports, which is empty for Close.
func (p *pages) add(c *change, d *session.Changes, reports []usage.Report) error {
	traces := map[place][]Trace{}
	for i, o := range d.Outcomes[:min(len(d.Outcomes), len(reports))] {
		if o.ID != (session.ID{}) {
			at := place{o.ID, o.Generation}
			traces[at] = append(traces[at], traceOf(&reports[i], o))
		}
	}
	named := map[accounting.Key]place{}
	c.sessions = make([]sessionChange, 0, len(d.Sessions))
	for _, s := range d.Sessions {
		at := placeOf(s)
		sc := sessionChange{stored: p.known[at]}
		sc.Session = s
		for i := range traces[at] {
			sc.trace(&traces[at][i])
		}
		was, known := p.was[at]
		if known {
			sc.was = &was
		}
		if len(d.Records) > 0 {
			named[s.Key()] = at
		}
		if open := s.Open; open != (known && was.open) {
			c.counts[countOpen] += map[bool]int64{true: 1, false: -1}[open]
		}
		c.sessions = append(c.sessions, sc)
	}
	order, err := p.book.count(countOrder)
	if err != nil {
		return err
	}
	c.records = make([]Entry, len(d.Records))
	for i := range d.Records {
		order++
		r := &d.Records[i]
		c.records[i] = Entry{Order: uint64(order), Record: *r, of: named[r.Session]}
		c.counts[countOrder]++
		c.counts[countRecords+string(r.Status)]++
	}
	if len(d.Journeys) > 0 {
		c.journeys = d.Journeys
	}
	for k, n := range d.Tallies {
		c.tallies[k] += n
	}
	return nil
}

func newChange() *change {
	return &change{tallies: map[session.TallyKey]int64{}, counts: map[string]int64{}}
}

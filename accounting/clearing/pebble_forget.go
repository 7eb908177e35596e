package clearing

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// walkAtOnce bounds how many keys one forget looks at.
const walkAtOnce = 4096

// ages says when a walk round the store can find anything. Without it every
// Sweep would read the store to find nothing old in it.
type ages struct {
	oldest int64     // Unix seconds: all that may be forgotten is of then or later
	walk   []byte    // where the round goes on, nil while none is under way
	met    int64     // as oldest, of what the round has met and what was written since it began
	before time.Time // what the round forgets: all that is older
}

// roundsAKeep bounds how often the whole store is read in the time that
// things are kept: what is old is forgotten by a sixteenth of it late.
const roundsAKeep = 16

// oldest is the age of the oldest thing in c that is once forgotten.
func (c *change) oldest() int64 {
	oldest := int64(math.MaxInt64)
	if len(c.claims) > 0 || len(c.journeys) > 0 {
		oldest = int64(hour(c.at)) * 3600
	}
	for i := range c.sessions {
		oldest = min(oldest, c.sessions[i].Updated)
	}
	if c.stretch != nil {
		oldest = min(oldest, c.stretch.taken.Unix())
	}
	return oldest
}

// begin says whether there is a round to walk, which may be under way.
func (a *ages) begin(before time.Time) bool {
	if a.walk == nil && before.Unix() > a.oldest {
		a.walk, a.met, a.before = []byte{walked[0]}, math.MaxInt64, before
	}
	return a.walk != nil
}

// walked are the kinds of things that a round goes through.
var walked = [...]byte{keyClaim, keyJourney, keySession, keyStretch}

// forget implements backend: records go from the oldest on, all else is found
// by walking round the store, a little at a time.
func (e *embedded) forget(ctx context.Context, before time.Time) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := errors.Join(ctx.Err(), e.failed()); err != nil {
		return 0, err
	}
	w := &writer{shelf: shelf{e.db}, b: e.db.NewIndexedBatch()}
	defer func() { _ = w.b.Close() }()
	n, err := w.forgetRecords(before)
	if err != nil {
		return 0, err
	}
	a := e.ages
	if a.begin(before) {
		more, err := w.round(&a)
		if err != nil {
			return 0, err
		}
		if more {
			n = walkAtOnce
		} else {
			late := e.o.Keep / roundsAKeep
			a = ages{oldest: max(a.met, a.before.Add(late).Unix())}
			w.set([]byte{keyOldest}, binary.BigEndian.AppendUint64(nil, uint64(a.oldest)))
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	if !w.b.Empty() {
		if err := e.commit(w.b); err != nil {
			return 0, err
		}
	}
	e.ages = a
	return n, nil
}

// round walks on. It says whether there is more.
func (w *writer) round(a *ages) (more bool, err error) {
	n := 0
	for _, prefix := range walked[bytes.IndexByte(walked[:], a.walk[0]):] {
		from := []byte{prefix}
		if prefix == a.walk[0] {
			from = a.walk
		}
		err := w.scan([]byte{prefix}, from, func(k, v []byte) (bool, error) {
			if n++; n > walkAtOnce {
				a.walk, more = bytes.Clone(k), true
				return false, nil
			}
			age, err := w.forgetOne(k, v, a.before)
			a.met = min(a.met, age)
			return true, err
		})
		if err != nil || more {
			return more, err
		}
	}
	return false, nil
}

func (w *writer) forgetRecords(before time.Time) (n int, err error) {
	err = w.scan([]byte{keyRecord}, []byte{keyRecord}, func(k, v []byte) (bool, error) {
		if len(v) < 8 {
			return false, errStored
		}
		if n == walkAtOnce/4 || int64(binary.BigEndian.Uint64(v)) >= before.Unix() {
			return false, nil
		}
		n++
		e, err := readEntry(binary.BigEndian.Uint64(k[1:]), v)
		if err != nil {
			return false, err
		}
		w.del(bytes.Clone(k))
		w.del(join(keyID, e.Record.ID[:]))
		w.del(join(keyPart, e.Record.Session[:], k[1:]))
		return true, w.err
	})
	return n, err
}

// forgetOne drops what is older than before. It returns the age of what it
// keeps and may drop at a later time, without anything being written before.
func (w *writer) forgetOne(k, v []byte, before time.Time) (age int64, err error) {
	switch k[0] {
	case keyClaim, keyJourney:
		if len(v) < 4 {
			return 0, errStored
		}
		h := binary.BigEndian.Uint32(v)
		if h >= hour(before) {
			return int64(h) * 3600, nil
		}
		w.del(bytes.Clone(k))
	case keySession:
		if len(v) < sessionHead || len(k) != 25 {
			return 0, errStored
		}
		open, updated := v[4] != 0, int64(binary.BigEndian.Uint64(v[5:]))
		if !open && updated >= before.Unix() {
			return updated, nil
		}
		if !open {
			st, err := readSession(v)
			if err != nil {
				return 0, err
			}
			w.forgetSession(st)
		}
	case keyStretch:
		return w.forgetStretch(k, v, before)
	}
	return math.MaxInt64, w.err
}

func (w *writer) forgetSession(st *stored) {
	at := placeOf(st.Session)
	w.del(sessionKey(at))
	if st.Due != 0 {
		w.del(placeKey(dueKey(st.Due), at))
	}
	for i := range min(st.Reports/tracesAtOnce, maxChunks) {
		w.del(traceKey(at, i))
	}
}

// forgetStretch drops a stretch below the watermark. That it was taken stays
// known: forgotten says so for all below.
func (w *writer) forgetStretch(k, v []byte, before time.Time) (age int64, err error) {
	st, err := readStretch(k, v)
	if err != nil {
		return 0, err
	}
	if !st.taken.Before(before) {
		return st.taken.Unix(), nil
	}
	k = bytes.Clone(k)
	sk := append([]byte{keySource}, k[1:len(k)-8]...)
	sv, err := (&shelf{w.b}).get(sk)
	if err != nil || sv == nil {
		return math.MaxInt64, err
	}
	src, err := readSource(sk, sv)
	if err != nil || st.Last > src.Whole {
		return st.taken.Unix(), err
	}
	src.forgotten = max(src.forgotten, st.Last)
	w.del(k)
	w.set(sk, appendSource(nil, src))
	return math.MaxInt64, w.err
}

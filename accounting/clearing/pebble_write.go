package clearing

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// writer turns a change into a batch.
type writer struct {
	shelf
	b     *pebble.Batch
	fault func(string) error
	err   error
	buf   []byte // of the value that is being made; a batch copies what it is given
}

func (w *writer) set(k, v []byte) {
	if w.err == nil {
		w.err = w.b.Set(k, v, nil)
	}
}

func (w *writer) del(k []byte) {
	if w.err == nil {
		w.err = w.b.Delete(k, nil)
	}
}

func (w *writer) write(c *change) error {
	steps := []struct {
		name string
		do   func(*change)
	}{
		{"source", w.source}, {"claims", w.claims}, {"sessions", w.sessions},
		{"records", w.records}, {"sums", w.sums}, {"letters", w.letters},
	}
	for _, s := range steps {
		if s.do(c); w.err != nil {
			return w.err
		}
		if err := w.fault(s.name); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) source(c *change) {
	if c.source != nil {
		w.set(sourceKey(keySource, c.source.SourceID), appendSource(nil, c.source))
	}
	if st := c.stretch; st != nil {
		k := binary.BigEndian.AppendUint64(sourceKey(keyStretch, c.source.SourceID), st.First)
		w.set(k, appendStretch(nil, st))
	}
	for _, s := range c.settle {
		w.set(settledKey(s.id, s.st), nil)
	}
}

// hour is the age of things that are only kept for a time.
func hour(t time.Time) uint32 { return uint32(max(t.Unix(), 0) / 3600) }

func (w *writer) claims(c *change) {
	for k, contents := range c.claims {
		v := binary.BigEndian.AppendUint32(make([]byte, 0, 4+16*len(contents)), hour(c.at))
		for i := range contents {
			v = append(v, contents[i][:]...)
		}
		w.set(join(keyClaim, k[:]), v)
	}
	for k, j := range c.journeys {
		v := binary.BigEndian.AppendUint32(nil, hour(c.at))
		w.set(join(keyJourney, k[:]), binary.BigEndian.AppendUint32(v, uint32(j.Legs)))
	}
}

func (w *writer) sessions(c *change) {
	for i := range c.sessions {
		sc := &c.sessions[i]
		at, is := placeOf(sc.Session), indexOf(sc.Session)
		if was := sc.was; was != nil && *was != is {
			if was.open {
				w.del(placeKey(join(keyOpen, was.nas[:]), at))
			}
			if was.due != 0 {
				w.del(placeKey(dueKey(was.due), at))
			}
		}
		if sc.was == nil || *sc.was != is {
			if is.open {
				w.set(placeKey(join(keyOpen, is.nas[:]), at), nil)
			}
			if is.due != 0 {
				w.set(placeKey(dueKey(is.due), at), nil)
			}
		}
		for _, ch := range sc.chunks {
			w.set(traceKey(at, ch.place), ch.traces)
		}
		v, err := appendSession(w.buf[:0], &sc.stored)
		w.err = errors.Join(w.err, err)
		w.buf = v
		w.set(sessionKey(at), v)
	}
}

func (w *writer) records(c *change) {
	for i := range c.records {
		r := &c.records[i]
		doc, err := r.Record.AppendJSON(binary.BigEndian.AppendUint64(w.buf[:0], uint64(c.at.Unix())))
		if err != nil {
			w.err = errors.Join(w.err, err)
			return
		}
		w.buf = doc
		order := binary.BigEndian.AppendUint64(nil, r.Order)
		w.set(join(keyRecord, order), doc)
		w.set(join(keyID, r.Record.ID[:]), order)
		w.set(join(keyPart, r.Record.Session[:], order), placeKey(nil, r.of))
	}
}

func (w *writer) sums(c *change) {
	for k, n := range c.tallies {
		w.add(tallyKey(k), n)
	}
	for name, n := range c.counts {
		w.add(join(keyCount, []byte(name)), n)
	}
}

func (w *writer) add(k []byte, n int64) {
	if n == 0 {
		return
	}
	was, err := w.number(k)
	w.err = errors.Join(w.err, err)
	w.set(k, binary.BigEndian.AppendUint64(nil, uint64(was+n)))
}

func (w *writer) letters(c *change) {
	for i := range c.letters {
		l := &c.letters[i]
		v, err := json.Marshal(l)
		w.err = errors.Join(w.err, err)
		number := binary.BigEndian.AppendUint64(nil, l.Number)
		w.set(join(keyLetter, number), append(l.digest[:], v...))
		w.set(join(keyDigest, l.digest[:]), number)
	}
	for _, number := range c.dropped {
		l, err := w.letter(number)
		if err != nil {
			w.err = errors.Join(w.err, err)
			return
		}
		w.del(join(keyLetter, binary.BigEndian.AppendUint64(nil, number)))
		w.del(join(keyDigest, l.digest[:]))
	}
}

package clearing

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// walkAtOnce bounds how many keys one forget looks at.
const walkAtOnce = 4096

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
	for _, prefix := range []byte{keyClaim, keyJourney, keySession, keyStretch} {
		from := []byte{prefix}
		if len(e.walk) > 0 {
			if e.walk[0] != prefix {
				continue
			}
			from = e.walk
		}
		e.walk = nil
		err := w.scan([]byte{prefix}, from, func(k, v []byte) (bool, error) {
			if n++; n > walkAtOnce {
				e.walk = bytes.Clone(k)
				return false, nil
			}
			return true, w.forgetOne(k, v, before)
		})
		if err = errors.Join(err, w.err); err != nil {
			return 0, err
		}
		if e.walk != nil {
			break
		}
	}
	if e.walk == nil {
		n = 0 // once round
	}
	if w.b.Empty() {
		return n, nil
	}
	return n, e.commit(w.b)
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

func (w *writer) forgetOne(k, v []byte, before time.Time) error {
	switch k[0] {
	case keyClaim, keyJourney:
		if len(v) < 4 {
			return errStored
		}
		if binary.BigEndian.Uint32(v) < hour(before) {
			w.del(bytes.Clone(k))
		}
	case keySession:
		if len(v) < sessionHead || len(k) != 25 {
			return errStored
		}
		open, updated := v[4] != 0, int64(binary.BigEndian.Uint64(v[5:]))
		if open || updated >= before.Unix() {
			return nil
		}
		st, err := readSession(v)
		if err != nil {
			return err
		}
		return w.forgetSession(st)
	case keyStretch:
		return w.forgetStretch(k, v, before)
	}
	return w.err
}

func (w *writer) forgetSession(st *stored) error {
	at := placeOf(st.Session)
	w.del(sessionKey(at))
	if st.Due != 0 {
		w.del(placeKey(dueKey(st.Due), at))
	}
	for i := range min(st.Reports/tracesAtOnce, maxChunks) {
		w.del(traceKey(at, i))
	}
	return w.err
}

// forgetStretch drops a stretch below the watermark. That it was taken stays
// known: forgotten says so for all below.
func (w *writer) forgetStretch(k, v []byte, before time.Time) error {
	st, err := readStretch(k, v)
	if err != nil {
		return err
	}
	k = bytes.Clone(k)
	sk := append([]byte{keySource}, k[1:len(k)-8]...)
	sv, err := (&shelf{w.b}).get(sk)
	if err != nil || sv == nil {
		return err
	}
	src, err := readSource(sk, sv)
	if err != nil || !st.taken.Before(before) || st.Last > src.Whole {
		return err
	}
	src.forgotten = max(src.forgotten, st.Last)
	w.del(k)
	w.set(sk, appendSource(nil, src))
	return w.err
}

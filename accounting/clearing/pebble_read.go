package clearing

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

// shelf is the book of the embedded store.
type shelf struct{ r pebble.Reader }

var _ book = (*shelf)(nil)

// get returns a copy, nil if there is nothing.
func (s *shelf) get(k []byte) ([]byte, error) {
	v, c, err := s.r.Get(k)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			err = nil
		}
		return nil, err
	}
	v = append(make([]byte, 0, len(v)), v...)
	return v, c.Close()
}

// scan calls f for keys of prefix that are not below from, until it says no.
func (s *shelf) scan(prefix, from []byte, f func(k, v []byte) (bool, error)) error {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; ; i-- {
		if end[i]++; end[i] != 0 {
			end = end[:i+1]
			break
		}
	}
	it, err := s.r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: end})
	if err != nil {
		return err
	}
	for more := it.SeekGE(from); more && err == nil; more = more && it.Next() {
		more, err = f(it.Key(), it.Value())
	}
	return errors.Join(err, it.Close())
}

func (s *shelf) number(k []byte) (int64, error) {
	v, err := s.get(k)
	if err == nil && v != nil && len(v) != 8 {
		err = errStored
	}
	if v == nil || err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

func (s *shelf) source(id SourceID) (*Source, error) {
	k := sourceKey(keySource, id)
	v, err := s.get(k)
	if v == nil || err != nil {
		return nil, err
	}
	return readSource(k, v)
}

func (s *shelf) sources() (all []Source, err error) {
	err = s.scan([]byte{keySource}, []byte{keySource}, func(k, v []byte) (bool, error) {
		src, err := readSource(k, v)
		if err == nil {
			all = append(all, *src)
		}
		return true, err
	})
	return all, err
}

func (s *shelf) floor(id SourceID, seq uint64) (*stretch, error) {
	prefix := sourceKey(keyStretch, id)
	it, err := s.r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: binary.BigEndian.AppendUint64(prefix, seq+1)})
	if err != nil {
		return nil, err
	}
	var found *stretch
	if it.Last() {
		var st stretch
		st, err = readStretch(it.Key(), it.Value())
		found = &st
	}
	return found, errors.Join(err, it.Close())
}

func (s *shelf) from(id SourceID, seq uint64, limit int) (found []stretch, err error) {
	prefix := sourceKey(keyStretch, id)
	err = s.scan(prefix, binary.BigEndian.AppendUint64(prefix, seq), func(k, v []byte) (bool, error) {
		st, err := readStretch(k, v)
		found = append(found, st)
		return len(found) < limit, err
	})
	return found, err
}

func (s *shelf) settled(id SourceID, st stretch) (bool, error) {
	v, err := s.get(settledKey(id, st))
	return v != nil, err
}

// each calls f with what is there of every name, which are best in order,
// until it says no; then it goes on with the next name. Most names are new:
// filters say so, of the last level too, and nothing is read from the disk.
func (s *shelf) each(kind byte, names []accounting.Key, f func(name accounting.Key, v []byte) (more bool, err error)) error {
	it, err := s.r.NewIter(&pebble.IterOptions{
		LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}, UseL6Filters: true,
	})
	if err != nil {
		return err
	}
	k := [prefixLen]byte{kind}
	for i := 0; i < len(names) && err == nil; i++ {
		copy(k[1:], names[i][:])
		for more := it.SeekPrefixGE(k[:]); more && err == nil; more = more && it.Next() {
			more, err = f(names[i], it.Value())
		}
		err = errors.Join(err, it.Error())
	}
	return errors.Join(err, it.Close())
}

func (s *shelf) claims(keys []accounting.Key) (map[accounting.Key][]accounting.Key, error) {
	found := make(map[accounting.Key][]accounting.Key, len(keys))
	err := s.each(keyClaim, keys, func(k accounting.Key, v []byte) (bool, error) {
		if len(v) > 4 {
			found[k] = keysOf(v[4:])
		}
		return false, nil
	})
	return found, err
}

// session returns one session, nil if it is not there.
func (s *shelf) session(at place) (*stored, error) {
	v, err := s.get(sessionKey(at))
	if v == nil || err != nil {
		return nil, err
	}
	return readSession(v)
}

func (s *shelf) sessions(ids []session.ID) (found []stored, err error) {
	n, of := 0, session.ID{}
	err = s.each(keySession, ids, func(id session.ID, v []byte) (bool, error) {
		if id != of {
			n, of = 0, id
		}
		st, err := readSession(v)
		if err == nil {
			found = append(found, *st)
		}
		n++
		return n < session.MaxGenerations, err
	})
	return found, err
}

// listed returns the sessions that keys end with.
func (s *shelf) listed(prefix, from []byte, limit int, good func(k []byte, st *session.Session) (take, more bool)) (found []stored, err error) {
	err = s.scan(prefix, from, func(k, _ []byte) (bool, error) {
		if len(k) < 24 {
			return false, errStored
		}
		at := k[len(k)-24:]
		st, err := s.session(place{session.ID(at[:16]), binary.BigEndian.Uint64(at[16:])})
		if err != nil || st == nil {
			return true, err
		}
		take, more := good(k, st.Session)
		if take {
			found = append(found, *st)
		}
		return more && len(found) < limit, nil
	})
	return found, err
}

func (s *shelf) openAt(nas accounting.Key, after *session.Session, limit int) ([]stored, error) {
	prefix := join(keyOpen, nas[:])
	from := prefix
	if after != nil {
		from = append(placeKey(bytes.Clone(prefix), placeOf(after)), 0)
	}
	return s.listed(prefix, from, limit, func(_ []byte, st *session.Session) (bool, bool) {
		return st.Open && st.NAS == nas, true
	})
}

func (s *shelf) due(now int64, limit int) ([]stored, error) {
	prefix := []byte{keyDue}
	return s.listed(prefix, prefix, limit, func(k []byte, st *session.Session) (bool, bool) {
		due := int64(binary.BigEndian.Uint64(k[1:]) ^ 1<<63)
		return due == st.Due && due <= now, due <= now
	})
}

func (s *shelf) journeys(ids []accounting.Key) (map[accounting.Key]session.Journey, error) {
	found := make(map[accounting.Key]session.Journey, len(ids))
	err := s.each(keyJourney, ids, func(id accounting.Key, v []byte) (bool, error) {
		if len(v) == 8 {
			found[id] = session.Journey{Legs: int(binary.BigEndian.Uint32(v[4:]))}
		}
		return false, nil
	})
	return found, err
}

func (s *shelf) count(name string) (int64, error) { return s.number(join(keyCount, []byte(name))) }

func (s *shelf) counts() (map[string]int64, error) {
	found := map[string]int64{}
	err := s.scan([]byte{keyCount}, []byte{keyCount}, func(k, v []byte) (bool, error) {
		if len(v) != 8 {
			return false, errStored
		}
		found[string(k[1:])] = int64(binary.BigEndian.Uint64(v))
		return true, nil
	})
	return found, err
}

func (s *shelf) tallies() (map[session.TallyKey]int64, error) {
	found := map[session.TallyKey]int64{}
	err := s.scan([]byte{keyTally}, []byte{keyTally}, func(k, v []byte) (bool, error) {
		t, ok := readTally(k)
		if !ok || len(v) != 8 {
			return false, errStored
		}
		if n := int64(binary.BigEndian.Uint64(v)); n != 0 {
			found[t] = n
		}
		return true, nil
	})
	return found, err
}

func classOf(b byte) usage.Class { return usage.Class(min(b, byte(usage.Classes))) }

func (s *shelf) records(f *Filter, after uint64, limit int) (found []Entry, next uint64, err error) {
	if f.Session != (accounting.Key{}) {
		found, err = s.recordsOf(f.Session, maxRecordsOf)
		for len(found) > 0 && found[0].Order <= after {
			found = found[1:]
		}
		return found, 0, err
	}
	need := f.marks()
	from := binary.BigEndian.AppendUint64([]byte{keyRecord}, after+1)
	err = s.scan([]byte{keyRecord}, from, func(k, v []byte) (bool, error) {
		if limit--; limit < 0 {
			return false, nil
		}
		next = binary.BigEndian.Uint64(k[1:])
		for _, m := range need {
			if !bytes.Contains(v, m) {
				return true, nil
			}
		}
		e, err := readEntry(next, v)
		found = append(found, e)
		return true, err
	})
	if limit >= 0 {
		next = 0
	}
	return found, next, err
}

// marks are octets that stand in the JSON of every record that passes: most
// others need not be decoded.
func (f *Filter) marks() (need [][]byte) {
	for _, k := range []accounting.Key{f.Device, f.User, f.CUI} {
		if k != (accounting.Key{}) {
			need = append(need, hex.AppendEncode(nil, k[:]))
		}
	}
	for _, t := range []string{f.Home, f.Visited, f.Client, f.SessionID, string(f.Status), string(f.Exception)} {
		if t == "" {
			continue
		}
		if j, err := json.Marshal(t); err == nil {
			need = append(need, j)
		}
	}
	return need
}

func readEntry(order uint64, v []byte) (e Entry, err error) {
	if len(v) < 8 {
		return e, errStored
	}
	e.Order = order
	return e, json.Unmarshal(v[8:], &e.Record)
}

func (s *shelf) entry(order uint64) (*Entry, error) {
	v, err := s.get(binary.BigEndian.AppendUint64([]byte{keyRecord}, order))
	if v == nil || err != nil {
		return nil, err
	}
	e, err := readEntry(order, v)
	return &e, err
}

func (s *shelf) record(id accounting.Key) (*Entry, error) {
	order, err := s.number(join(keyID, id[:]))
	if order == 0 || err != nil {
		return nil, err
	}
	return s.entry(uint64(order))
}

func (s *shelf) recordsOf(key accounting.Key, limit int) (found []Entry, err error) {
	prefix := join(keyPart, key[:])
	err = s.scan(prefix, prefix, func(k, _ []byte) (bool, error) {
		e, err := s.entry(binary.BigEndian.Uint64(k[len(k)-8:]))
		if e != nil {
			found = append(found, *e)
		}
		return len(found) < limit, err
	})
	return found, err
}

func (s *shelf) chunks(at place) (found []chunk, err error) {
	prefix := placeKey([]byte{keyTrace}, at)
	err = s.scan(prefix, prefix, func(k, v []byte) (bool, error) {
		found = append(found, chunk{uint32(binary.BigEndian.Uint16(k[len(k)-2:])), bytes.Clone(v)})
		return true, nil
	})
	return found, err
}

func (s *shelf) sessionByKey(key accounting.Key) (found *stored, err error) {
	prefix := join(keyPart, key[:])
	err = s.scan(prefix, prefix, func(_, v []byte) (bool, error) {
		if len(v) != 24 {
			return false, errStored
		}
		found, err = s.session(place{session.ID(v[:16]), binary.BigEndian.Uint64(v[16:])})
		return false, err
	})
	return found, err
}

func (s *shelf) letters(after uint64, limit int) (found []DeadLetter, err error) {
	if after == math.MaxUint64 {
		return nil, nil
	}
	from := binary.BigEndian.AppendUint64([]byte{keyLetter}, after+1)
	err = s.scan([]byte{keyLetter}, from, func(_, v []byte) (bool, error) {
		l, err := readLetter(v)
		found = append(found, l)
		return len(found) < limit, err
	})
	return found, err
}

func readLetter(v []byte) (l DeadLetter, err error) {
	if len(v) < len(l.digest) {
		return l, errStored
	}
	err = json.Unmarshal(v[len(l.digest):], &l)
	copy(l.digest[:], v)
	return l, err
}

func (s *shelf) letter(number uint64) (*DeadLetter, error) {
	v, err := s.get(binary.BigEndian.AppendUint64([]byte{keyLetter}, number))
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, ErrNoLetter
	}
	l, err := readLetter(v)
	return &l, err
}

func (s *shelf) letterBy(digest accounting.Key) (bool, error) {
	v, err := s.get(join(keyDigest, digest[:]))
	return v != nil, err
}

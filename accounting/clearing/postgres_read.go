package clearing

import (
	"context"
	"encoding/json"
	"errors"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/session"
)

// query is the book of PostgreSQL, for one transaction.
type query struct {
	ctx context.Context
	tx  pgx.Tx
}

var _ book = (*query)(nil)

// each calls f for every row.
func (q *query) each(f func(pgx.Rows) error, sql string, args ...any) error {
	rows, err := q.tx.Query(q.ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

const selectSource = `SELECT node, epoch, lowest, whole, highest, beyond, forgotten, since, taken, arrival FROM clearing_source`

func (q *query) readSources(sql string, args ...any) (all []Source, err error) {
	err = q.each(func(rows pgx.Rows) error {
		var s Source
		var since, taken, arrival int64
		err := rows.Scan(&s.Node, &s.Epoch, &s.Lowest, &s.Whole, &s.Highest, &s.Beyond, &s.forgotten, &since, &taken, &arrival)
		s.Since, s.Taken, s.Arrival = timeOf(uint64(since)), timeOf(uint64(taken)), timeOf(uint64(arrival))
		all = append(all, s)
		return err
	}, sql, args...)
	return all, err
}

func (q *query) source(id SourceID) (*Source, error) {
	all, err := q.readSources(selectSource+` WHERE node = $1 AND epoch = $2`, id.Node, int64(id.Epoch))
	if len(all) == 0 {
		return nil, err
	}
	return &all[0], err
}

func (q *query) sources() ([]Source, error) {
	return q.readSources(selectSource + ` ORDER BY node, epoch`)
}

func (q *query) stretches(sql string, args ...any) (found []stretch, err error) {
	err = q.each(func(rows pgx.Rows) error {
		var st stretch
		var hash []byte
		var taken int64
		err := rows.Scan(&st.First, &st.Last, &hash, &taken)
		copy(st.Hash[:], hash)
		st.taken = timeOf(uint64(taken))
		found = append(found, st)
		return err
	}, `SELECT first, last, hash, taken FROM clearing_stretch WHERE node = $1 AND epoch = $2 `+sql, args...)
	return found, err
}

func (q *query) floor(id SourceID, seq uint64) (*stretch, error) {
	found, err := q.stretches(`AND first <= $3 ORDER BY first DESC LIMIT 1`, id.Node, int64(id.Epoch), int64(seq))
	if len(found) == 0 {
		return nil, err
	}
	return &found[0], err
}

func (q *query) from(id SourceID, seq uint64, limit int) ([]stretch, error) {
	return q.stretches(`AND first >= $3 ORDER BY first LIMIT $4`, id.Node, int64(id.Epoch), int64(seq), limit)
}

func (q *query) settled(id SourceID, st stretch) (is bool, err error) {
	err = q.tx.QueryRow(q.ctx, `SELECT EXISTS (SELECT FROM clearing_settled
		WHERE node = $1 AND epoch = $2 AND first = $3 AND last = $4 AND hash = $5)`,
		id.Node, int64(id.Epoch), int64(st.First), int64(st.Last), st.Hash[:]).Scan(&is)
	return is, err
}

func (q *query) claims(keys []accounting.Key) (map[accounting.Key][]accounting.Key, error) {
	found := make(map[accounting.Key][]accounting.Key, len(keys))
	err := q.each(func(rows pgx.Rows) error {
		var k, contents []byte
		if err := rows.Scan(&k, &contents); err != nil || len(k) != 16 {
			return errors.Join(err, errKey(k))
		}
		found[accounting.Key(k)] = keysOf(contents)
		return nil
	}, `SELECT key, contents FROM clearing_claim WHERE key = ANY ($1::bytea[])`, columns(keys))
	return found, err
}

func errKey(k []byte) error {
	if len(k) != 16 {
		return errStored
	}
	return nil
}

func columns(keys []accounting.Key) [][]byte {
	all := make([][]byte, len(keys))
	for i := range keys {
		all[i] = keys[i][:]
	}
	return all
}

func (q *query) readSessions(sql string, args ...any) (found []stored, err error) {
	err = q.each(func(rows pgx.Rows) error {
		st := stored{Session: &session.Session{}}
		var doc []byte
		if err := rows.Scan(&st.Reports, &st.tail, &doc); err != nil {
			return err
		}
		found = append(found, st)
		return st.UnmarshalBinary(doc)
	}, sql, args...)
	return found, err
}

func (q *query) sessions(ids []session.ID) ([]stored, error) {
	return q.readSessions(`SELECT s.reports, s.tail, s.doc FROM unnest($1::bytea[]) AS want (id), LATERAL (
			SELECT reports, tail, generation, doc FROM clearing_session WHERE id = want.id ORDER BY generation DESC LIMIT $2) s
		ORDER BY want.id, s.generation DESC`, columns(ids), session.MaxGenerations)
}

func (q *query) openAt(nas accounting.Key, after *session.Session, limit int) ([]stored, error) {
	id, generation := []byte{}, int64(0)
	if after != nil {
		id, generation = after.ID[:], signed(after.Generation)
	}
	return q.readSessions(`SELECT reports, tail, doc FROM clearing_session
		WHERE open AND nas = $1 AND (id, generation) > ($2, $3) ORDER BY id, generation LIMIT $4`, nas[:], id, generation, limit)
}

func (q *query) due(now int64, limit int) ([]stored, error) {
	return q.readSessions(`SELECT reports, tail, doc FROM clearing_session
		WHERE due <> 0 AND due <= $1 ORDER BY due, id, generation LIMIT $2`, now, limit)
}

func (q *query) sessionByKey(key accounting.Key) (*stored, error) {
	found, err := q.readSessions(`SELECT s.reports, s.tail, s.doc FROM clearing_record r
		JOIN clearing_session s ON s.id = r.of_id AND s.generation = r.of_generation WHERE r.session = $1 LIMIT 1`, key[:])
	if len(found) == 0 {
		return nil, err
	}
	return &found[0], err
}

func (q *query) journeys(ids []accounting.Key) (map[accounting.Key]session.Journey, error) {
	found := make(map[accounting.Key]session.Journey, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	err := q.each(func(rows pgx.Rows) error {
		var id []byte
		var j session.Journey
		if err := rows.Scan(&id, &j.Legs); err != nil || len(id) != 16 {
			return errors.Join(err, errKey(id))
		}
		found[accounting.Key(id)] = j
		return nil
	}, `SELECT id, legs FROM clearing_journey WHERE id = ANY ($1::bytea[])`, columns(ids))
	return found, err
}

func (q *query) count(name string) (n int64, err error) {
	err = q.tx.QueryRow(q.ctx, `SELECT coalesce(max(n), 0) FROM clearing_count WHERE name = $1`, name).Scan(&n)
	return n, err
}

func (q *query) counts() (map[string]int64, error) {
	found := map[string]int64{}
	err := q.each(func(rows pgx.Rows) error {
		var name string
		var n int64
		err := rows.Scan(&name, &n)
		found[name] = n
		return err
	}, `SELECT name, n FROM clearing_count`)
	return found, err
}

func (q *query) tallies() (map[session.TallyKey]int64, error) {
	found := map[session.TallyKey]int64{}
	err := q.each(func(rows pgx.Rows) error {
		var k session.TallyKey
		var class, n int64
		err := rows.Scan(&k.Node, &k.Client, &class, &k.Reason, &n)
		k.Class = classOf(byte(class))
		found[k] = n
		return err
	}, `SELECT node, client, class, reason, n FROM clearing_tally WHERE n <> 0`)
	return found, err
}

func (q *query) entries(sql string, args ...any) (found []Entry, err error) {
	err = q.each(func(rows pgx.Rows) error {
		var e Entry
		var doc []byte
		if err := rows.Scan(&e.Order, &doc); err != nil {
			return err
		}
		err := json.Unmarshal(doc, &e.Record)
		found = append(found, e)
		return err
	}, `SELECT ord, doc::text FROM clearing_record `+sql, args...)
	return found, err
}

func (q *query) records(f *Filter, after uint64, limit int) (found []Entry, next uint64, err error) {
	if after >= math.MaxInt64 {
		return nil, 0, nil
	}
	args := []any{int64(after), limit}
	cond := f.where(&args)
	found, err = q.entries(`WHERE ord > $1`+cond+` ORDER BY ord LIMIT $2`, args...)
	if len(found) == limit {
		next = found[limit-1].Order
	}
	return found, next, err
}

func (q *query) record(id accounting.Key) (*Entry, error) {
	found, err := q.entries(`WHERE id = $1`, id[:])
	if len(found) == 0 {
		return nil, err
	}
	return &found[0], err
}

func (q *query) recordsOf(key accounting.Key, limit int) ([]Entry, error) {
	return q.entries(`WHERE session = $1 ORDER BY ord LIMIT $2`, key[:], limit)
}

func (q *query) chunks(at place) (found []chunk, err error) {
	err = q.each(func(rows pgx.Rows) error {
		var ch chunk
		err := rows.Scan(&ch.place, &ch.traces)
		found = append(found, ch)
		return err
	}, `SELECT place, doc FROM clearing_trace WHERE id = $1 AND generation = $2 ORDER BY place`, at.id[:], signed(at.generation))
	return found, err
}

func (q *query) readLetters(sql string, args ...any) (found []DeadLetter, err error) {
	err = q.each(func(rows pgx.Rows) error {
		var digest, doc []byte
		if err := rows.Scan(&digest, &doc); err != nil {
			return err
		}
		l, err := readLetter(append(digest, doc...))
		found = append(found, l)
		return err
	}, `SELECT digest, doc FROM clearing_letter `+sql, args...)
	return found, err
}

func (q *query) letters(after uint64, limit int) ([]DeadLetter, error) {
	return q.readLetters(`WHERE number > $1 ORDER BY number LIMIT $2`, int64(min(after, math.MaxInt64)), limit)
}

func (q *query) letter(number uint64) (*DeadLetter, error) {
	found, err := q.readLetters(`WHERE number = $1`, int64(min(number, math.MaxInt64)))
	if err == nil && len(found) == 0 {
		err = ErrNoLetter
	}
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

func (q *query) letterBy(digest accounting.Key) (is bool, err error) {
	err = q.tx.QueryRow(q.ctx, `SELECT EXISTS (SELECT FROM clearing_letter WHERE digest = $1)`, digest[:]).Scan(&is)
	return is, err
}

package clearing

import (
	"context"
	_ "embed" // schema.sql
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/session"
)

//go:embed schema.sql
var schema string

// database is the backend in PostgreSQL. Writers of one schema take turns by
// an advisory lock that ends with the transaction: what two of them would
// touch at once (one session reported by two hubs, the sums, the order of
// records) needs no further lock, and nothing can deadlock. A second consumer
// brings takeover, and reading of lines beside writing, not twice the speed.
type database struct {
	o    *Options
	pool *pgxpool.Pool
}

// lockSpace keeps our advisory locks apart from those of other programs.
const lockSpace = 0x726f616d

const takeTurn = `SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))`

// settings has the server end our transaction when we hang, or our machine is
// gone: it holds the turn of all others. And it has it sync what it confirms,
// whatever its own default. The connection string can say other.
var settings = map[string]string{
	"synchronous_commit":                  "on",
	"default_transaction_isolation":       "read committed",
	"idle_in_transaction_session_timeout": "20s",
	"tcp_keepalives_idle":                 "10",
	"tcp_keepalives_interval":             "5",
	"tcp_keepalives_count":                "2",
	"tcp_user_timeout":                    "20s",
}

// attempts bounds how often a transaction is begun again because of another.
const attempts = 10

func openPostgres(ctx context.Context, o *Options) (*database, error) {
	cfg, err := pgxpool.ParseConfig(o.PostgreSQL)
	if err != nil {
		return nil, errors.New("the connection string of PostgreSQL cannot be read") // the cause may show a password
	}
	for k, v := range settings {
		if _, set := cfg.ConnConfig.RuntimeParams[k]; !set {
			cfg.ConnConfig.RuntimeParams[k] = v
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	d := &database{o: o, pool: pool}
	if err := d.migrate(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return d, nil
}

// migrate makes the tables, or finds out whether they are ours.
func (d *database) migrate(ctx context.Context) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, takeTurn, lockSpace); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS clearing_version (version integer NOT NULL)`); err != nil {
			return err
		}
		var version int
		err := tx.QueryRow(ctx, `SELECT version FROM clearing_version`).Scan(&version)
		switch {
		case err == nil && version == layout:
			return nil
		case err == nil:
			return fmt.Errorf("the tables are of version %d, this program reads %d: written by a newer program?", version, layout)
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		if _, err := tx.Exec(ctx, schema); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO clearing_version VALUES ($1)`, layout)
		return err
	})
}

func (d *database) close() error {
	d.pool.Close()
	return nil
}

func (d *database) view(ctx context.Context, f func(book) error) error {
	o := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, d.pool, o, func(tx pgx.Tx) error { return f(&query{ctx, tx}) })
}

func (d *database) update(ctx context.Context, f func(book) (*change, error)) error {
	var err error
	for range attempts {
		err = d.try(ctx, f)
		var pe *pgconn.PgError
		// Serialization failure, deadlock: nothing of it is there.
		if !errors.As(err, &pe) || pe.Code != "40001" && pe.Code != "40P01" {
			return err
		}
	}
	return err
}

func (d *database) try(ctx context.Context, f func(book) (*change, error)) error {
	err := pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if err := d.o.fault("begin"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, takeTurn, lockSpace); err != nil {
			return err
		}
		c, err := f(&query{ctx, tx})
		if err != nil || c == nil {
			return err
		}
		return d.write(ctx, tx, c)
	})
	if err == nil {
		err = d.o.fault("committed")
	}
	return err
}

// write sends all of a change in one round trip.
func (d *database) write(ctx context.Context, tx pgx.Tx, c *change) error {
	b := &pgx.Batch{}
	for _, s := range []struct {
		name string
		do   func(*pgx.Batch, *change) error
	}{
		{"source", writeSource}, {"claims", writeClaims}, {"sessions", writeSessions},
		{"records", writeRecords}, {"sums", writeSums}, {"letters", writeLetters},
	} {
		if err := s.do(b, c); err != nil {
			return err
		}
		if err := d.o.fault(s.name); err != nil {
			return err
		}
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	return d.o.fault("commit")
}

func writeSource(b *pgx.Batch, c *change) error {
	if s := c.source; s != nil {
		b.Queue(`INSERT INTO clearing_source VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (node, epoch) DO UPDATE SET lowest = $3, whole = $4, highest = $5, beyond = $6,
			forgotten = $7, since = $8, taken = $9, arrival = $10`,
			s.Node, int64(s.Epoch), int64(s.Lowest), int64(s.Whole), int64(s.Highest), int64(s.Beyond),
			int64(s.forgotten), int64(nanos(s.Since)), int64(nanos(s.Taken)), int64(nanos(s.Arrival)))
	}
	if st := c.stretch; st != nil {
		b.Queue(`INSERT INTO clearing_stretch VALUES ($1, $2, $3, $4, $5, $6)`,
			c.source.Node, int64(c.source.Epoch), int64(st.First), int64(st.Last), st.Hash[:], int64(nanos(st.taken)))
	}
	for _, s := range c.settle {
		b.Queue(`INSERT INTO clearing_settled VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			s.id.Node, int64(s.id.Epoch), int64(s.st.First), int64(s.st.Last), s.st.Hash[:])
	}
	return nil
}

func writeClaims(b *pgx.Batch, c *change) error {
	if n := len(c.claims); n > 0 {
		// In order, which is kinder to the index.
		order := make([]accounting.Key, 0, n)
		for k := range c.claims {
			order = append(order, k)
		}
		slices.SortFunc(order, compareKeys)
		keys, contents := make([][]byte, n), make([][]byte, n)
		for i, k := range order {
			keys[i] = octets(k)
			for _, v := range c.claims[k] {
				contents[i] = append(contents[i], v[:]...)
			}
		}
		b.Queue(`INSERT INTO clearing_claim SELECT k, v, $3 FROM unnest($1::bytea[], $2::bytea[]) AS x (k, v)
			ON CONFLICT (key) DO UPDATE SET contents = excluded.contents, at = excluded.at`, keys, contents, c.at.Unix())
	}
	if len(c.journeys) > 0 {
		var ids [][]byte
		var legs []int32
		for k, j := range c.journeys {
			ids, legs = append(ids, octets(k)), append(legs, int32(j.Legs))
		}
		b.Queue(`INSERT INTO clearing_journey SELECT i, l, $3 FROM unnest($1::bytea[], $2::integer[]) AS x (i, l)
			ON CONFLICT (id) DO UPDATE SET legs = excluded.legs, at = excluded.at`, ids, legs, c.at.Unix())
	}
	return nil
}

func writeSessions(b *pgx.Batch, c *change) error {
	n := len(c.sessions)
	if n == 0 {
		return nil
	}
	ids, nas, tails, docs := make([][]byte, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
	generations, due, updated, reports := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	open := make([]bool, n)
	var chunkIDs, chunks [][]byte
	var chunkGenerations []int64
	var places []int32
	for i := range c.sessions {
		sc := &c.sessions[i]
		doc, err := sc.AppendBinary(nil)
		if err != nil {
			return err
		}
		ids[i], nas[i], docs[i], tails[i] = octets(sc.ID), octets(sc.NAS), doc, append([]byte{}, sc.tail...)
		generations[i], open[i], due[i], updated[i] = signed(sc.Generation), sc.Open, sc.Due, sc.Updated
		reports[i] = int64(sc.Reports)
		for _, ch := range sc.chunks {
			chunkIDs, chunkGenerations = append(chunkIDs, ids[i]), append(chunkGenerations, generations[i])
			places, chunks = append(places, int32(ch.place)), append(chunks, ch.traces)
		}
	}
	b.Queue(`INSERT INTO clearing_session
		SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::boolean[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[], $9::bytea[])
		ON CONFLICT (id, generation) DO UPDATE SET nas = excluded.nas, open = excluded.open, due = excluded.due,
		updated = excluded.updated, reports = excluded.reports, tail = excluded.tail, doc = excluded.doc`,
		ids, generations, nas, open, due, updated, reports, tails, docs)
	if len(places) > 0 {
		b.Queue(`INSERT INTO clearing_trace SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::integer[], $4::bytea[])
			ON CONFLICT (id, generation, place) DO UPDATE SET doc = excluded.doc`,
			chunkIDs, chunkGenerations, places, chunks)
	}
	return nil
}

func writeRecords(b *pgx.Batch, c *change) error {
	n := len(c.records)
	if n == 0 {
		return nil
	}
	text := func() []string { return make([]string, n) }
	keys := func() [][]byte { return make([][]byte, n) }
	ord, ended, generations, billable := make([]int64, n), make([]int64, n), make([]int64, n), make([]bool, n)
	ids, sessions, ofs, devices, users, cuis := keys(), keys(), keys(), keys(), keys(), keys()
	home, visited, client, sessionID, status, exceptions, docs := text(), text(), text(), text(), text(), text(), text()
	for i := range c.records {
		r := &c.records[i].Record
		doc, err := r.AppendJSON(nil)
		if err != nil {
			return err
		}
		ord[i], ended[i], billable[i], docs[i] = int64(c.records[i].Order), r.End.Unix(), r.Billable, string(doc)
		ids[i], sessions[i] = octets(r.ID), octets(r.Session)
		ofs[i], generations[i] = octets(c.records[i].of.id), signed(c.records[i].of.generation)
		devices[i], users[i], cuis[i] = octets(r.Device), octets(r.User), octets(r.CUI)
		home[i], visited[i] = search(r.Home.Realm), search(r.Visited.Realm)
		client[i], sessionID[i], status[i] = search(r.Client), search(r.SessionID), string(r.Status)
		exceptions[i] = ","
		for _, x := range r.Exceptions {
			exceptions[i] += string(x) + ","
		}
	}
	b.Queue(`INSERT INTO clearing_record SELECT ord, id, session, of_id, of_generation, $18, ended, home, visited, client, session_id,
		device, user_hash, cui, status, billable, exceptions, doc::json
		FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
			$9::text[], $10::text[], $11::bytea[], $12::bytea[], $13::bytea[], $14::text[], $15::boolean[], $16::text[], $17::text[])
		AS x (ord, id, session, of_id, of_generation, ended, home, visited, client, session_id, device, user_hash, cui, status,
			billable, exceptions, doc)`,
		ord, ids, sessions, ofs, generations, ended, home, visited, client, sessionID, devices, users, cuis, status,
		billable, exceptions, docs, c.at.Unix())
	return nil
}

func writeSums(b *pgx.Batch, c *change) error {
	if n := len(c.tallies); n > 0 {
		var nodes, clients, reasons []string
		var classes []int32
		var ns []int64
		// Two clients may be one to the table.
		sums := map[session.TallyKey]int64{}
		for k, n := range c.tallies {
			k.Client, k.Reason = search(k.Client), search(k.Reason)
			sums[k] += n
		}
		for k, n := range sums {
			nodes, clients, reasons = append(nodes, k.Node), append(clients, k.Client), append(reasons, k.Reason)
			classes, ns = append(classes, int32(k.Class)), append(ns, n)
		}
		b.Queue(`INSERT INTO clearing_tally AS t SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::bigint[])
			ON CONFLICT (node, client, class, reason) DO UPDATE SET n = t.n + excluded.n`, nodes, clients, classes, reasons, ns)
	}
	for name, n := range c.counts {
		if n != 0 {
			b.Queue(`INSERT INTO clearing_count AS c VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET n = c.n + excluded.n`, name, n)
		}
	}
	return nil
}

func writeLetters(b *pgx.Batch, c *change) error {
	for i := range c.letters {
		l := &c.letters[i]
		doc, err := json.Marshal(l)
		if err != nil {
			return err
		}
		b.Queue(`INSERT INTO clearing_letter VALUES ($1, $2, $3)`, int64(l.Number), l.digest[:], doc)
	}
	for _, number := range c.dropped {
		b.Queue(`DELETE FROM clearing_letter WHERE number = $1`, int64(number))
	}
	return nil
}

// forgetAtOnce bounds the rows of one kind that one forget deletes.
const forgetAtOnce = 2000

// forget implements backend.
func (d *database) forget(ctx context.Context, before time.Time) (n int, err error) {
	err = pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, takeTurn, lockSpace); err != nil {
			return err
		}
		for _, q := range []string{
			`DELETE FROM clearing_record WHERE ctid = ANY (ARRAY (SELECT ctid FROM clearing_record WHERE at < $1 LIMIT $2))`,
			`DELETE FROM clearing_claim WHERE ctid = ANY (ARRAY (SELECT ctid FROM clearing_claim WHERE at < $1 LIMIT $2))`,
			`DELETE FROM clearing_journey WHERE ctid = ANY (ARRAY (SELECT ctid FROM clearing_journey WHERE at < $1 LIMIT $2))`,
			`WITH gone AS (DELETE FROM clearing_session WHERE ctid = ANY (ARRAY (
					SELECT ctid FROM clearing_session WHERE NOT open AND updated < $1 LIMIT $2)) RETURNING id, generation)
				DELETE FROM clearing_trace t USING gone g WHERE t.id = g.id AND t.generation = g.generation`,
			`WITH gone AS (DELETE FROM clearing_stretch WHERE ctid = ANY (ARRAY (
					SELECT st.ctid FROM clearing_stretch st JOIN clearing_source s USING (node, epoch)
					WHERE st.taken < $1::bigint * 1000000000 AND st.last <= s.whole LIMIT $2)) RETURNING node, epoch, last)
				UPDATE clearing_source s SET forgotten = greatest(s.forgotten, g.last)
				FROM (SELECT node, epoch, max(last) AS last FROM gone GROUP BY node, epoch) g
				WHERE s.node = g.node AND s.epoch = g.epoch`,
		} {
			tag, err := tx.Exec(ctx, q, before.Unix(), forgetAtOnce)
			if err != nil {
				return err
			}
			n += int(tag.RowsAffected())
		}
		return nil
	})
	return n, err
}

// octets makes a column of a key.
func octets(k accounting.Key) []byte { return k[:] }

// signed turns the order of unsigned numbers into that of signed ones.
func signed(v uint64) int64 { return int64(v ^ 1<<63) }

// search is v as it stands in a column for searching.
func search(v string) string { return clean(v, len(v)) }

// where adds the conditions of f.
func (f *Filter) where(args *[]any) string {
	var sb strings.Builder
	add := func(cond string, v any) {
		*args = append(*args, v)
		fmt.Fprintf(&sb, cond, len(*args))
	}
	for _, t := range []struct{ cond, v string }{
		{" AND home = $%d", f.Home}, {" AND visited = $%d", f.Visited}, {" AND client = $%d", f.Client},
		{" AND session_id = $%d", f.SessionID}, {" AND status = $%d", string(f.Status)},
	} {
		if t.v != "" {
			add(t.cond, search(t.v))
		}
	}
	for _, k := range []struct {
		cond string
		v    accounting.Key
	}{{" AND session = $%d", f.Session}, {" AND device = $%d", f.Device}, {" AND user_hash = $%d", f.User}, {" AND cui = $%d", f.CUI}} {
		if k.v != (accounting.Key{}) {
			add(k.cond, octets(k.v))
		}
	}
	if f.Exception != "" {
		add(" AND strpos(exceptions, $%d) > 0", ","+search(string(f.Exception))+",")
	}
	if f.Billable != nil {
		add(" AND billable = $%d", *f.Billable)
	}
	if !f.From.IsZero() {
		add(" AND ended >= $%d", f.From.Unix())
	}
	if !f.To.IsZero() {
		add(" AND ended <= $%d", f.To.Unix())
	}
	return sb.String()
}

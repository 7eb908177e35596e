package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/usage"
)

// recordBook is where the records commands read: the clearing store itself,
// or the administration port of the process that has it open.
type recordBook interface {
	// records calls f with what passes q, in order.
	records(ctx context.Context, q recordQuery, f func(order uint64, r *usage.Record) error) error
	// account says all that is known of the session that a record or a
	// session key names; nil when nothing is.
	account(ctx context.Context, key accounting.Key) (*account, error)
	sums(ctx context.Context) (*sums, error)
	letters(ctx context.Context, after uint64, limit int) ([]clearing.DeadLetter, error)
}

// numbered is a record as /usage shows it.
type numbered struct {
	Order  uint64        `json:"order"`
	Record *usage.Record `json:"record"`
}

// account is one session: what it came to, and from what.
type account struct {
	Session accounting.Key   `json:"session"`
	Open    bool             `json:"open"`
	Known   bool             `json:"known"` // false: the session was forgotten, its records were not
	Taken   int              `json:"taken"` // reports
	Reports []clearing.Trace `json:"reports"`
	Records []numbered       `json:"records"`
}

// sums says where every report that was taken ended.
type sums struct {
	Reports int64            `json:"reports"`
	Classes map[string]int64 `json:"classes"`
	Rows    []sumRow         `json:"rows"`
	Records map[string]int64 `json:"records"` // usage records ever written by status
	Open    int64            `json:"open_sessions"`
	Dead    int64            `json:"dead_letters"`
	Missing uint64           `json:"missing"` // reports that hubs numbered and that never came
	Sources []sourceRow      `json:"sources"`
}

// sumRow is one sum.
type sumRow struct {
	Node   string `json:"node"`
	Client string `json:"client"`
	Class  string `json:"class"`
	Reason string `json:"reason,omitempty"`
	N      int64  `json:"reports"`
}

// sourceRow is one spool and how far it was taken.
type sourceRow struct {
	Node    string `json:"node"`
	Epoch   uint64 `json:"epoch"`
	Whole   uint64 `json:"whole"`   // nothing is missing up to here
	Highest uint64 `json:"highest"` // newest that was taken
	Missing uint64 `json:"missing"`
}

// storeBook reads the store of this process.
type storeBook struct{ s *clearing.Store }

func (b storeBook) records(ctx context.Context, q recordQuery, f func(uint64, *usage.Record) error) error {
	filter, err := q.filter()
	if err != nil {
		return problem("%v", err)
	}
	for e, err := range b.s.Records(ctx, filter) {
		if err == nil {
			err = f(e.Order, &e.Record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b storeBook) account(ctx context.Context, key accounting.Key) (*account, error) {
	e, err := b.s.Record(ctx, key)
	if err != nil {
		return nil, err
	}
	if e != nil {
		key = e.Record.Session
	}
	a, err := b.s.Session(ctx, key)
	if a == nil || err != nil {
		return nil, err
	}
	out := &account{Session: key, Known: a.Session != nil, Taken: a.Taken, Reports: a.Reports}
	if a.Session != nil {
		out.Open = a.Session.Open
	}
	for i := range a.Records {
		out.Records = append(out.Records, numbered{a.Records[i].Order, &a.Records[i].Record})
	}
	return out, nil
}

func (b storeBook) sums(ctx context.Context) (*sums, error) {
	st, err := b.s.Stats(ctx)
	if err != nil {
		return nil, err
	}
	tallies, err := b.s.Sums(ctx)
	if err != nil {
		return nil, err
	}
	sources, err := b.s.Sources(ctx)
	if err != nil {
		return nil, err
	}
	out := &sums{Classes: map[string]int64{}, Records: map[string]int64{}, Open: st.Open, Dead: st.DeadLetters, Missing: st.Missing}
	for status, n := range st.Records {
		out.Records[string(status)] = n
	}
	for c := range usage.Classes {
		out.Classes[c.String()] = 0
	}
	for k, n := range tallies {
		out.Reports += n
		out.Classes[k.Class.String()] += n
		if n != 0 {
			out.Rows = append(out.Rows, sumRow{k.Node, k.Client, k.Class.String(), k.Reason, n})
		}
	}
	slices.SortFunc(out.Rows, func(a, b sumRow) int {
		return strings.Compare(a.Node+"\x00"+a.Client+"\x00"+a.Class+"\x00"+a.Reason, b.Node+"\x00"+b.Client+"\x00"+b.Class+"\x00"+b.Reason)
	})
	for i := range sources {
		s := &sources[i]
		out.Sources = append(out.Sources, sourceRow{s.Node, s.Epoch, s.Whole, s.Highest, s.Missing()})
	}
	return out, nil
}

func (b storeBook) letters(ctx context.Context, after uint64, limit int) (all []clearing.DeadLetter, err error) {
	for l, err := range b.s.DeadLetters(ctx, after) {
		if err != nil {
			return nil, err
		}
		if all = append(all, *l); len(all) == limit {
			break
		}
	}
	return all, nil
}

// hubBook asks a running process.
type hubBook struct{ at *hubAddress }

func (b hubBook) records(ctx context.Context, q recordQuery, f func(uint64, *usage.Record) error) error {
	for left := q.limit; ; {
		page := q
		if page.limit = maxRecords; left > 0 {
			page.limit = min(left, maxRecords)
		}
		n, last, err := b.page(ctx, page, f)
		left -= n
		if err != nil || n < page.limit || q.limit > 0 && left == 0 {
			return err
		}
		q.after = last
	}
}

func (b hubBook) page(ctx context.Context, q recordQuery, f func(uint64, *usage.Record) error) (n int, last uint64, err error) {
	body, err := b.at.open(ctx, "/usage?"+q.values().Encode())
	if err != nil {
		return 0, 0, err
	}
	defer body.Close()
	// An answer that breaks off between two records is none that has ended.
	for d := json.NewDecoder(bufio.NewReader(body)); ; n++ {
		var r numbered
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return n, last, nil
		} else if err != nil || r.Record == nil {
			return n, last, problem("reading the answer: %v", err)
		}
		if err := f(r.Order, r.Record); err != nil {
			return n, last, err
		}
		last = r.Order
	}
}

func (b hubBook) account(ctx context.Context, key accounting.Key) (a *account, err error) {
	text, _ := key.MarshalText()
	return a, b.at.get(ctx, "/usage/account?"+url.Values{"key": {string(text)}}.Encode(), &a)
}

func (b hubBook) sums(ctx context.Context) (s *sums, err error) {
	return s, b.at.get(ctx, "/usage/sums", &s)
}

func (b hubBook) letters(ctx context.Context, after uint64, limit int) (all []clearing.DeadLetter, err error) {
	q := recordQuery{after: after, limit: limit}
	return all, b.at.get(ctx, "/usage/dead?"+q.values().Encode(), &all)
}

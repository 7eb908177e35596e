package aaa

import (
	"context"
	"errors"
	"slices"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

// Letter says why a record that is owed to a home is not forwarded any more.
// The set is closed: it is the value of the `reason` label, and its numbers
// are part of the spool.
type Letter uint8

const (
	// DeadNoRoute: its realm has had no accounting rule for a day.
	DeadNoRoute Letter = iota + 1
	// DeadTooLong: with our Proxy-State it is longer than a packet may be.
	DeadTooLong
	// DeadUnreadable: the spool's record is none of this program's.
	DeadUnreadable
	// DeadProtocolError: its home has answered with a Protocol-Error.
	DeadProtocolError
	// DeadDropped: the operator has given it up.
	DeadDropped
	// DeadRefused: its Diameter home has answered that it never will take it.
	DeadRefused
)

var letterNames = [...]string{"", "no_route", "too_long", "unreadable", "protocol_error", "dropped", "refused"}

// String gives the label value.
func (l Letter) String() string {
	if int(l) < len(letterNames) && l != 0 {
		return letterNames[l]
	}
	return "unknown"
}

// Selection says which records an operator means: the union of what is named.
type Selection struct {
	All   bool     `json:"all,omitempty"`
	Realm string   `json:"realm,omitempty"`
	Seqs  []uint64 `json:"seqs,omitempty"`
	Owed  bool     `json:"owed,omitempty"` // what is still owed too, not only dead letters
}

// empty selections are mistakes.
func (s *Selection) empty() bool { return !s.All && s.Realm == "" && len(s.Seqs) == 0 }

func (s *Selection) has(seq uint64, name string) bool {
	return s.All || s.Realm != "" && s.Realm == name || slices.Contains(s.Seqs, seq)
}

// ErrNothing: a Selection that names nothing.
var ErrNothing = errors.New("say which records: all, those of a realm, or numbers")

// lettersAtOnce is how many records one step of an operator's command takes,
// and how many letters it looks at.
const (
	lettersAtOnce = 1000
	lookedAtOnce  = 20 * lettersAtOnce
)

// Waiting is one record that its home has not taken.
type Waiting struct {
	Seq       uint64 `json:"seq"`
	Time      int64  `json:"time"` // arrival, Unix seconds
	Realm     string `json:"realm"`
	Route     string `json:"route,omitempty"`
	SessionID string `json:"session_id,omitempty"`
	Reason    string `json:"reason,omitempty"` // of a dead letter
	Died      int64  `json:"died,omitempty"`   // Unix seconds
}

// EachWaiting calls f for the records that are owed, then for the dead
// letters, each from a number on, until f says false.
func (h *Hub) EachWaiting(owedFrom, deadFrom uint64, f func(w Waiting) bool) error {
	more := true
	var e accounting.Event
	one := func(seq uint64, b []byte, l *spool.Letter) bool {
		w := Waiting{Seq: seq}
		if rec, _, ok := h.sessionOfRecord(b, &e); ok {
			w.Time, w.Realm, w.Route, w.SessionID = rec.Time/1e9, rec.Realm, rec.Route, string(e.SessionID)
		}
		if l != nil {
			w.Reason, w.Died = Letter(l.Reason).String(), l.Time
		}
		more = f(w)
		return more
	}
	if owedFrom <= h.spool.Last() {
		err := h.spool.Pending(owedFrom, 0, func(seq uint64, b []byte) bool { return one(seq, b, nil) })
		if err != nil || !more {
			return err
		}
	}
	return h.spool.Dead(deadFrom, 0, func(l spool.Letter, b []byte) bool { return one(l.Seq, b, &l) })
}

// Revive makes dead letters owed again, but for dropped ones, and says how
// many.
func (h *Hub) Revive(ctx context.Context, sel Selection) (n int, err error) {
	if sel.empty() {
		return 0, ErrNothing
	}
	for from, more := uint64(0), true; more && err == nil; {
		if cerr := h.between(ctx, func() {
			var some int
			some, from, more, err = h.reviveSome(sel, from)
			n += some
		}); cerr != nil {
			return n, cerr
		}
	}
	return n, err
}

// reviveSome is one step of Revive, between two turns of the walk.
func (h *Hub) reviveSome(sel Selection, from uint64) (n int, next uint64, more bool, err error) {
	l := h.later
	var seqs []uint64
	var sessions []uint32
	looked := 0
	err = h.spool.Dead(from, lookedAtOnce, func(d spool.Letter, b []byte) bool {
		looked++
		next = d.Seq + 1
		rec, session, _ := h.sessionOfRecord(b, &l.event)
		if !d.Final && sel.has(d.Seq, rec.Realm) {
			seqs, sessions = append(seqs, d.Seq), append(sessions, session)
		}
		more = len(seqs) == lettersAtOnce || looked == lookedAtOnce
		return len(seqs) < lettersAtOnce
	})
	if err != nil {
		return 0, next, false, err
	}
	for _, session := range sessions {
		l.debts.enter(session, false)
	}
	if n, err = h.spool.Revive(seqs); err != nil {
		for _, session := range sessions {
			l.debts.pay(session)
		}
		return n, next, false, err
	}
	l.rewind()
	return n, next, more, nil
}

// Drop gives dead letters up for good, and where sel says so what is owed.
// Records that are on their way just now are left, and counted in busy.
func (h *Hub) Drop(ctx context.Context, sel Selection) (n, busy int, err error) {
	if sel.empty() {
		return 0, 0, ErrNothing
	}
	step := h.dropDead
	for range 2 {
		for from, more := uint64(0), true; more && err == nil; {
			if cerr := h.between(ctx, func() {
				var dropped, left int
				dropped, left, from, more, err = step(sel, from)
				n, busy = n+dropped, busy+left
			}); cerr != nil {
				return n, busy, cerr
			}
		}
		if !sel.Owed || err != nil {
			break
		}
		step = h.dropOwed
	}
	return n, busy, err
}

func (h *Hub) dropDead(sel Selection, from uint64) (n, busy int, next uint64, more bool, err error) {
	var letters []spool.Letter
	looked := 0
	err = h.spool.Dead(from, lookedAtOnce, func(d spool.Letter, b []byte) bool {
		looked++
		next = d.Seq + 1
		rec, _, _ := h.sessionOfRecord(b, &h.later.event)
		if !d.Final && sel.has(d.Seq, rec.Realm) {
			letters = append(letters, h.letter(d.Seq, DeadDropped))
		}
		more = len(letters) == lettersAtOnce || looked == lookedAtOnce
		return len(letters) < lettersAtOnce
	})
	if err == nil {
		err = h.spool.Settle(nil, letters)
	}
	return len(letters), 0, next, more && err == nil, err
}

func (h *Hub) dropOwed(sel Selection, from uint64) (n, busy int, next uint64, more bool, err error) {
	l := h.later
	var letters []spool.Letter
	var sessions []uint32
	held := map[uint32]bool{}
	looked := 0
	err = h.spool.Pending(from, lookedAtOnce, func(seq uint64, b []byte) bool {
		looked++
		next = seq + 1
		rec, session, _ := h.sessionOfRecord(b, &l.event)
		switch {
		case !sel.has(seq, rec.Realm):
		case held[session] || l.debts.seize(session):
			held[session] = true
			letters, sessions = append(letters, h.letter(seq, DeadDropped)), append(sessions, session)
		default:
			busy++
		}
		more = len(letters) == lettersAtOnce || looked == lookedAtOnce
		return len(letters) < lettersAtOnce
	})
	if err == nil {
		err = h.spool.Settle(nil, letters)
	}
	for _, session := range sessions {
		if err == nil {
			l.debts.pay(session)
		}
	}
	for session := range held {
		l.debts.leave(session)
	}
	return len(letters), busy, next, more && err == nil, err
}

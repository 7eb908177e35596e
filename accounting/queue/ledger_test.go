package queue

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ledger is a small clearing store: a row for each record, kept in memory
// and, with a file, over the death of the process. One line of the file is
// one transaction.
type ledger struct {
	mu      sync.Mutex
	file    *os.File
	rows    map[spoolName]map[uint64]bool
	next    map[spoolName]uint64 // everything below is there
	again   int                  // batches that brought nothing new
	dead    []*Delivery
	fail    func(*Delivery) error // before anything is stored
	unasked int                   // rows that were there already, of batches with others
}

func newLedger() *ledger {
	return &ledger{rows: map[spoolName]map[uint64]bool{}, next: map[spoolName]uint64{}}
}

// openLedger reads what a ledger before it has written.
func openLedger(path string) (*ledger, error) {
	l := newLedger()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	l.file = f
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return l, nil
		}
		var t transaction
		if err := json.Unmarshal([]byte(line), &t); err != nil {
			return nil, err
		}
		for _, seq := range t.Rows {
			if l.rowsOf(spoolName{t.Node, t.Epoch})[seq] {
				return nil, fmt.Errorf("record %d is there twice", seq)
			}
			l.rowsOf(spoolName{t.Node, t.Epoch})[seq] = true
		}
	}
}

type transaction struct {
	Node  string
	Epoch uint64
	Rows  []uint64
}

func (l *ledger) rowsOf(name spoolName) map[uint64]bool {
	if l.rows[name] == nil {
		l.rows[name] = map[uint64]bool{}
	}
	return l.rows[name]
}

func (l *ledger) Take(_ context.Context, d *Delivery) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		if err := l.fail(d); err != nil {
			return 0, err
		}
	}
	if d.Err != nil {
		l.dead = append(l.dead, d)
		return 0, nil
	}
	name := spoolName{d.Node, d.Epoch}
	rows := l.rowsOf(name)
	t := transaction{Node: d.Node, Epoch: d.Epoch}
	for line := range strings.Lines(string(d.Data) + string(d.Quarantined)) {
		var m struct{ Seq uint64 }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return 0, err
		}
		if m.Seq < d.First || m.Seq > d.Last {
			return 0, errors.New("a record outside its batch")
		}
		if !rows[m.Seq] {
			t.Rows = append(t.Rows, m.Seq)
		}
	}
	switch {
	case len(t.Rows) == 0:
		l.again++
	case len(t.Rows) < d.N+d.NQ:
		l.unasked++
	}
	if l.file != nil && len(t.Rows) > 0 {
		line, _ := json.Marshal(t)
		if _, err := l.file.Write(append(line, '\n')); err != nil {
			return 0, err
		}
		if err := l.file.Sync(); err != nil {
			return 0, err
		}
	}
	for _, seq := range t.Rows {
		rows[seq] = true
	}
	for rows[l.next[name]+1] {
		l.next[name]++
	}
	return l.next[name], nil
}

// count returns how many records of a spool are stored.
func (l *ledger) count(node string, epoch uint64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows[spoolName{node, epoch}])
}

// wantAll checks that the records 1 to n of a spool are stored, and no
// others. That none is there twice is in the nature of a ledger's rows.
func (l *ledger) wantAll(t testing.TB, node string, epoch uint64, n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := l.rows[spoolName{node, epoch}]
	assert.Len(t, rows, n)
	for seq := range n {
		require.True(t, rows[uint64(seq+1)], "record %d is missing", seq+1)
	}
	assert.Zero(t, l.unasked, "a batch is stored whole or not at all")
}

// consume runs a consumer and returns how to stop it.
func consume(t testing.TB, src Source, taker Taker) (*Consumer, func()) {
	t.Helper()
	c := &Consumer{Source: src, Taker: taker, Backoff: testOptions().Backoff}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			assert.NoError(t, <-done)
			assert.NoError(t, src.Close())
		})
	}
	t.Cleanup(stop)
	return c, stop
}

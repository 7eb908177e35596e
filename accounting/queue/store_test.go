package queue_test

import (
	"context"

	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/usage"
)

// The real store imports this package, so that its tests can have it only
// from outside.
func init() {
	queue.OpenStore = func(dir string) (queue.TestStore, error) {
		s, err := clearing.Open(context.Background(), clearing.Options{Directory: dir, Settle: -1})
		if err != nil {
			return nil, err
		}
		return store{s}, nil
	}
}

type store struct{ *clearing.Store }

// Figures returns how many reports there are, how many of them the store
// calls duplicates, and how many records are missing or put aside.
func (s store) Figures() (reports, duplicates, missing int64, err error) {
	st, err := s.Stats(context.Background())
	return st.Reports, st.Classes[usage.Duplicate], int64(st.Missing) + st.DeadLetters, err
}

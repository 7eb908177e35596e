package main

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Where there is one processor the hub runs on two threads, unless somebody has said
// how many.
func TestSecondSlot(t *testing.T) {
	for _, tt := range []struct {
		name       string
		processors int
		said       string
		want       int
	}{
		{"one", 1, "", 2},
		{"one, as somebody has said", 1, "1", 1},
		{"three", 3, "", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(tt.processors))
			undo := secondSlot(func(string) string { return tt.said })
			defer undo()
			assert.Equal(t, tt.want, runtime.GOMAXPROCS(0))
		})
	}
}

package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHeadroom(t *testing.T) {
	tests := []struct {
		name          string
		live, scanned uint64
		percent       int
	}{
		{"nothing", 0, 0, 100},
		{"small, as Go does it", 20 << 20, 3 << 20, 100},
		{"tables that are not touched", 128 << 20, 4 << 20, 25},
		{"many peers", 160 << 20, 64 << 20, 40},
		{"millions of devices", 4 << 30, 1 << 30, 25},
		{"all of it has pointers", 1 << 30, 1 << 30, 100},
		{"more to look through than lives, stacks", 100 << 20, 200 << 20, 100},
		{"hardly anything has", 100 << 30, 1 << 20, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.percent, headroom(tt.live, tt.scanned))
		})
	}
}

// Garbage is collected after some 32 MiB, however large the tables are that nobody has
// touched.
func TestGarbageBesideTables(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	table := make([]byte, 256<<20)
	giveBack()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 128 {
		garbage = make([]byte, 1<<20)
	}
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(table)
	assert.GreaterOrEqual(t, after.NumGC-before.NumGC, uint32(2), "128 MiB of garbage beside a table of 256 MiB")

	t.Setenv("GOGC", "100")
	debug.SetGCPercent(77)
	giveBack()
	assert.Equal(t, 77, debug.SetGCPercent(100), "whoever sets GOGC knows better")
}

var garbage []byte

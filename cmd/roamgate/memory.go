package main

import (
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
)

// leastHeadroom is how much garbage there may be before the collector comes, at least.
const leastHeadroom = 32 << 20

// giveBack returns to the system what reading files has left: several times what stays of
// them. Nothing that carries traffic allocates, so the collector itself might come by to
// find it in hours.
//
// It also has the collector come by what it must look through. Most of the heap are
// tables without pointers, of which a small hub never touches the greater part: they cost
// the collector nothing, and by their size it would let 100 MiB of garbage lie, of a scrape
// or of a reload, where there are 5 MiB to look through. Who sets GOGC knows better.
func giveBack() {
	debug.FreeOSMemory()
	if os.Getenv("GOGC") != "" {
		return
	}
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/total:bytes"}}
	metrics.Read(s)
	debug.SetGCPercent(headroom(s[0].Value.Uint64(), s[1].Value.Uint64()))
}

// headroom is the percentage of a heap that may be garbage: as many octets as the
// collector has to look through, and never more than it lets lie by itself.
func headroom(live, scanned uint64) int {
	most := max(scanned, leastHeadroom)
	return int(min(100, math.Ceil(100*float64(most)/float64(max(live, 1)))))
}

package file

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMillionRoutes loads what the hub is made for: each name leads to its
// route with its position, and a route costs no object of its own. With the
// race detector it is a tenth of that.
func TestMillionRoutes(t *testing.T) {
	n := 1_000_000
	if raced {
		n = 100_000
	}
	dir := write(t, map[string]string{
		"a.yaml": manyRealms(n, false),
		"b.yaml": "realms:\n  - {realm: \"*.fleet.example\", auth: p1}\n  - {realm: default, reject: nobody}\n",
		"secret": "0123456789abcdef",
	})
	var before, loaded, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	set, ps := Load(dir, noEnv)
	took := time.Since(began)
	runtime.ReadMemStats(&loaded)
	require.NotNil(t, set, ps)
	runtime.GC()
	runtime.ReadMemStats(&after)

	per := func(x uint64) float64 { return float64(x) / float64(n) }
	live, total, objects := per(after.HeapAlloc-before.HeapAlloc), per(loaded.TotalAlloc-before.TotalAlloc), per(loaded.Mallocs-before.Mallocs)
	t.Logf("%d routes in %s; a route: %.0f octets kept, %.0f allocated, %.4f objects", n, took.Round(time.Millisecond), live, total, objects)
	assert.Less(t, live, 330.0) // two words of it are for Diameter and steering
	assert.Less(t, objects, 0.1)
	if !raced { // what the readers of pieces take does not grow with the routes
		assert.Less(t, total, 700.0)
	}

	require.Len(t, set.Routes, n+2)
	first := set.Routes[0].Pos.Line
	for i := 0; i < n; i += 7 {
		r := set.Table.Lookup(fmt.Appendf(nil, "wlan%d.partner.example", i))
		require.NotNil(t, r)
		require.EqualValues(t, i, r.Index)
		require.Equal(t, first+5*i, r.Pos.Line)
		require.Equal(t, fmt.Sprint("p", i%50), set.Pools[r.Auth].Name)
	}
	assert.Equal(t, "default", set.Table.Lookup([]byte("wlan.partner.example")).Realm)
	assert.Equal(t, "*.fleet.example", set.Table.Lookup([]byte("a.fleet.example")).Realm)
}

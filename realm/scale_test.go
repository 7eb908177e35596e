package realm

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

const million = 1_000_000

// millionRoutes is a table of the size the hub is made for, with suffix
// entries of two depths, as partners of a few names each fill it.
func millionRoutes() []Route {
	rs := make([]Route, 0, million+2)
	for i := range million {
		rs = append(rs, Route{Realm: fmt.Sprintf("wlan.mnc%03d.mcc%03d.partner%d.example", i%1000, i/1000, i), Index: int32(i), Auth: -1, Acct: -1})
	}
	return append(rs, Route{Realm: "*.iot.example", Index: million}, Route{Realm: "*.fleet.iot.example", Index: million + 1})
}

// shuffled gives names in an order in which no cache helps.
func shuffled(n int, name func(i int) string) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	in := make([][]byte, n)
	for i, j := range rng.Perm(n) {
		in[i] = []byte(name(j))
	}
	return in
}

func BenchmarkTableMillion(b *testing.B) {
	routes := millionRoutes()
	t := NewTable(routes)
	const asked = 1 << 19
	for _, bc := range []struct {
		name string
		hit  bool
		in   [][]byte
	}{
		{"hit", true, shuffled(asked, func(i int) string { return routes[i*2%million].Realm })},
		{"miss", false, shuffled(asked, func(i int) string { return fmt.Sprintf("wlan.mnc%03d.mcc262.stranger%d.example", i%1000, i) })},
		{"suffix", true, shuffled(asked, func(i int) string { return fmt.Sprintf("meter%d.north.fleet.iot.example", i) })},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if (t.Lookup(bc.in[i&(asked-1)]) != nil) != bc.hit {
					b.Fatal(string(bc.in[i&(asked-1)]))
				}
				i++
			}
		})
	}
	b.Run("build", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			NewTable(routes)
		}
	})
	b.Run("collect", func(b *testing.B) { // a full collection with the table alive
		for b.Loop() {
			runtime.GC()
		}
		runtime.KeepAlive(t)
	})
}

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

// BenchmarkFindMillion asks tables of a million routes of one tier, in an order
// in which no cache helps.
func BenchmarkFindMillion(b *testing.B) {
	const asked = 1 << 19
	odd := rand.New(rand.NewPCG(3, 4))
	for _, bc := range []struct {
		name  string
		route func(i int) string
		imsi  bool
		ask   func(i int) string
	}{
		{"exact", func(i int) string { return fmt.Sprintf("partner%d.example", i) }, false,
			func(i int) string { return fmt.Sprintf("partner%d.example", i*2%million) }},
		{"suffix", func(i int) string { return fmt.Sprintf("*.fleet%d.example", i) }, false,
			func(i int) string { return fmt.Sprintf("meter.north.fleet%d.example", i*2%million) }},
		{"plmn", func(i int) string { return fmt.Sprintf("plmn:%03d-%03d", i/1000, i%1000) }, false,
			func(i int) string {
				return fmt.Sprintf("wlan.mnc%03d.mcc%03d.3gppnetwork.org", i*2%1000, i*2%million/1000)
			}},
		{"imsi even", func(i int) string { return fmt.Sprintf("imsi:26201%07d", i) }, true,
			func(i int) string { return fmt.Sprintf("26201%07d123", i*2%million) }},
		{"imsi spread", func(i int) string { return fmt.Sprintf("imsi:%03d%02d%06d", 200+i%500, i%100, i) }, true,
			func(i int) string { i = i * 2 % million; return fmt.Sprintf("%03d%02d%06d1234", 200+i%500, i%100, i) }},
		// Ranges of a few numbers to a few millions, side by side.
		{"imsi uneven", func() func(i int) string {
			at := uint64(262010000000000)
			return func(int) string {
				first := at
				at += 1 << odd.IntN(14)
				return fmt.Sprintf("imsi:%015d-%015d", first, at-1)
			}
		}(), true, func(i int) string { return fmt.Sprintf("%015d", 262010000000000+uint64(i)*1100) }},
	} {
		routes := make([]Route, 0, million+1)
		for i := range million {
			routes = append(routes, Route{Realm: bc.route(i), Index: int32(i)})
		}
		routes = append(routes, Route{Realm: NameDefault, Index: million, When: &Condition{Percent: 1}}) // so that it is not the short way
		t := NewTable(routes)
		in := shuffled(asked, bc.ask)
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			q := &Query{}
			for b.Loop() {
				if bc.imsi {
					q.IMSI = in[i&(asked-1)]
				} else {
					q.Realm = in[i&(asked-1)]
				}
				if r, _ := t.Find(q); r == nil {
					b.Fatal(string(in[i&(asked-1)]))
				}
				i++
			}
		})
	}
}

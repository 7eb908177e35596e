package session

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the families of test/vectors/session again")

// book writes cases. What it expects comes from oracles that know how the
// reports were made, and nothing of how they are joined.
type book struct {
	strings.Builder
	n int
}

func (b *book) begin(settings string, name string, args ...any) {
	b.n++
	b.line("\ncase %s %s", fmt.Sprintf(name, args...), settings)
}

func (b *book) line(format string, args ...any) {
	b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (b *book) want(n int, class string) {
	if n > 0 {
		b.line("= %d %s", n, class)
	}
}

const rateOfDefault = 12_500_000

// wraps: two reports of a counter that grows by less than 2^32 in between.
func wraps(b *book) {
	b.line("# C20: gigawords and octets are one counter of 64 bits.")
	for _, gigawords := range []string{"none", "stop", "all"} {
		for _, seconds := range []int{60, 343, 344, 600, 3600} {
			for _, first := range []uint64{0, 1, 1 << 31, 1<<32 - 1} {
				for _, grown := range []uint64{0, 1, 1 << 31, rateOfDefault * 300, 1<<32 - 1} {
					wrapCase(b, gigawords, seconds, first, grown)
				}
			}
		}
	}
}

func wrapCase(b *book, gigawords string, seconds int, first, grown uint64) {
	b.begin("", "gigawords_%s_%ds_%d_and_%d", gigawords, seconds, first, grown)
	field := func(name string, v uint64, wide bool) string {
		if wide {
			return fmt.Sprintf("%s=%d", strings.ToUpper(name), v)
		}
		return fmt.Sprintf("%s=%d", name, v%(1<<32))
	}
	total := first + grown
	b.line("start 0")
	b.line("interim %d %s o=7", seconds, field("i", first, gigawords == "all"))
	b.line("stop %d %s o=7", 2*seconds, field("i", total, gigawords != "none"))
	wraps := gigawords == "none" && total >= 1<<32
	possible := grown <= rateOfDefault*uint64(seconds)
	var codes string
	if gigawords == "none" && seconds > (1<<32)/rateOfDefault {
		codes += " counter_ambiguous"
	}
	cleared, billed := 3, total
	switch {
	case wraps && possible:
		codes += " counter_wrapped"
	case wraps:
		codes, cleared, billed = codes+" stop_below_interim", 2, first
	}
	b.line("= final part=1 2026-11-10T10:00:00Z+%d %d i=%d o=7%s", 2*seconds, 2*seconds, billed, codes)
	b.want(cleared, "cleared")
	b.want(3-cleared, "conflict stop_below_interim")
}

// permutations calls f with every order of n things.
func permutations(n int, f func(order []int)) {
	order := make([]int, 0, n)
	used := make([]bool, n)
	var next func()
	next = func() {
		if len(order) == n {
			f(order)
			return
		}
		for i := range n {
			if !used[i] {
				used[i], order = true, append(order, i)
				next()
				used[i], order = false, order[:len(order)-1]
			}
		}
	}
	next()
}

// orders: the reports of one session in every order come to the same.
func orders(b *book) {
	b.line("# C39: interims have the counters of a stop, and count where they stand.")
	wrapping := []string{"start 0", "interim 300 i=4000000000 o=1", "interim 600 i=3000000000 o=2", "interim 900 i=2000000000 o=3", "stop 1200 i=1000000000 o=4"}
	permutations(len(wrapping), func(order []int) {
		b.begin("rate=12500000", "wraps_thrice_%v", digits(order))
		for _, i := range order {
			b.line("%s", wrapping[i])
		}
		b.line("= month 2026-11 1200 i=%d o=4", 3*uint64(1<<32)+1000000000)
		b.line("= sessions 1")
		b.want(5, "cleared")
	})
	monthly := []string{"start 0", "interim 300 i=10 o=1", "interim 590 i=20 o=2", "interim 900 i=30 o=3", "stop 1200 i=40 o=4"}
	permutations(len(monthly), func(order []int) {
		if order[0] == 1 || order[0] == 3 { // half of them say as much
			return
		}
		b.begin("at=2026-11-30T23:50:00Z", "month_%v", digits(order))
		for _, i := range order {
			b.line("%s", monthly[i])
		}
		b.line("= month 2026-11 590 i=20 o=2")
		b.line("= month 2026-12 610 i=20 o=2")
		b.line("= sessions 1")
		b.want(5, "cleared")
	})
}

func digits(order []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(order), " ", ""), "[]")
}

// stops: how a session may end, crossed with what was heard of it before.
func stops(b *book) {
	for _, start := range []bool{true, false} {
		for heard := range 3 {
			for _, closed := range []string{"", "silence", "boot"} {
				for _, end := range []string{"none", "once", "twice", "same_later", "larger", "smaller", "interim_less", "interim_more"} {
					if !start && heard == 0 && (closed != "" || end == "none") {
						continue
					}
					stopCase(b, start, heard, closed, end)
				}
			}
		}
	}
}

func stopCase(b *book, start bool, heard int, closed, end string) {
	b.begin("", "start_%v_interims_%d_closed_%s_end_%s", start, heard, closed, end)
	reports, last := 0, 0 // what was reported, the newest figure
	if start {
		b.line("start 0")
		reports++
	}
	for i := 1; i <= heard; i++ {
		last = 100 * i
		b.line("interim %d i=%d o=%d", last, last, 2*last)
		reports++
	}
	cleared := 0
	switch closed {
	case "silence":
		b.line("close 700000")
	case "boot":
		b.line("on 300")
		cleared++
	}
	seconds, figure, conflicts, duplicates := last, last, "", 0
	stop := func(at, v int) { b.line("stop %d i=%d o=%d late=5000", at, v, 2*v) }
	if end != "none" {
		stop(280, 280)
		seconds, figure = 280, 280
		reports++
		cleared += reports
	}
	switch end {
	case "twice":
		stop(280, 280)
		duplicates = 1
	case "same_later": // by another clock: the time of arrival of a repetition
		b.line("stop 310 t=280 i=280 o=560 late=6000 arrival")
		duplicates = 1
	case "larger":
		stop(285, 290)
		seconds, figure, conflicts = 285, 290, "stops_differ"
	case "smaller":
		stop(280, 270)
		conflicts = "stops_differ"
	case "interim_less":
		b.line("interim 285 i=280 o=560 late=6000")
		cleared++
	case "interim_more":
		b.line("interim 285 i=281 o=562 late=6000")
		seconds, figure, conflicts = 285, 281, "interim_after_stop"
	}
	if closed == "" && end == "none" {
		seconds, figure = 0, 0 // still open: nothing is recorded
	}
	if seconds != 0 || figure != 0 {
		b.line("= month 2026-11 %d i=%d o=%d", seconds, figure, 2*figure)
	} else {
		b.line("= sessions 1")
		if closed != "" {
			b.line("= %s", map[string]string{
				"silence": "estimated part=1 2026-11-10T10:00:00Z+0 0 i=0 o=0 stop_missing",
				"boot":    "estimated part=1 2026-11-10T10:00:00Z+0 0 i=0 o=0 nas_restarted",
			}[closed])
		}
	}
	b.want(cleared, "cleared")
	if conflicts != "" {
		b.want(1, "conflict "+conflicts)
	}
	b.want(duplicates, "duplicate same_figures")
	if end == "none" {
		b.want(reports, "provisional")
	}
}

// reuses: a NAS begins a session of an id that another had.
func reuses(b *book) {
	for _, gap := range []int{70, 600, 7200} {
		for _, end := range []string{"stop", "none", "on", "off"} {
			for _, start := range []bool{true, false} {
				for _, late := range []bool{true, false} {
					if end == "stop" && late {
						continue
					}
					reuseCase(b, gap, end, start, late)
				}
			}
		}
	}
}

func reuseCase(b *book, gap int, end string, start, late bool) {
	b.begin("", "after_%ds_end_%s_start_%v_late_%v", gap, end, start, late)
	older, newer, boots := 2, 1, 0
	b.line("start 0")
	b.line("interim 300 i=300 o=1")
	first := [3]int{300, 300, 1}
	switch end {
	case "stop":
		b.line("stop 320 i=320 o=2")
		first = [3]int{320, 320, 2}
		older++
	case "on", "off":
		b.line("%s %d", end, 300+gap/2)
		boots = 1
	}
	again := 330 + gap
	if start {
		b.line("start %d", again)
		newer++
	}
	b.line("stop %d t=50 i=5 o=6", again+50)
	if late {
		b.line("stop 320 i=330 o=3 late=9000")
		first = [3]int{320, 330, 3}
		older++
	}
	b.line("= month 2026-11 %d i=%d o=%d", first[0]+50, first[1]+5, first[2]+6)
	b.line("= sessions 2")
	if end == "stop" || late {
		b.want(older+newer+boots, "cleared")
		return
	}
	b.want(newer+boots, "cleared")
	b.want(older, "provisional")
}

// months: long sessions are cut where a month ends, at the last report before.
func months(b *book) {
	for _, before := range []int{60, 3600, 86400} {
		for _, every := range []int{600, 7200, 90000} {
			for _, days := range []int{1, 35, 70} {
				monthCase(b, before, every, days)
			}
		}
	}
}

func monthCase(b *book, before, every, days int) {
	at := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC).Add(-time.Duration(before) * time.Second)
	b.begin("at="+at.Format(time.RFC3339), "begins_%ds_before_every_%ds_for_%dd", before, every, days)
	ends := days * 86400
	if every < 86400 { // reports at the edges are what matters
		ends = before + 3*every
	}
	b.line("start 0")
	type usage struct{ seconds, octets int }
	sums, order := map[string]usage{}, []string{}
	reports, last, edge := 1, usage{}, ""
	for s := every; s < ends+every; s += every {
		kind, now := "interim", usage{min(s, ends), 1000 * min(s, ends)}
		if now.seconds == ends {
			kind = "stop"
		}
		b.line("%s %d I=%d O=%d", kind, now.seconds, now.octets, 2*now.octets)
		reports++
		month := at.Add(time.Duration(now.seconds) * time.Second).Format("2006-01")
		if month != edge {
			order, edge = append(order, month), month
		}
		sums[month] = usage{sums[month].seconds + now.seconds - last.seconds, sums[month].octets + now.octets - last.octets}
		last = now
	}
	for _, m := range order {
		b.line("= month %s %d i=%d o=%d", m, sums[m].seconds, sums[m].octets, 2*sums[m].octets)
	}
	b.want(reports, "cleared")
}

// journeys: a device roams between access points in one roaming session.
func journeys(b *book) {
	b.line("# C29: the legs of one Acct-Multi-Session-Id are one journey, in order.")
	for legs := 1; legs <= 4; legs++ {
		for _, same := range []bool{true, false} {
			for _, backwards := range []bool{true, false} {
				b.begin("", "legs_%d_same_id_%v_backwards_%v", legs, same, backwards)
				var lines []string
				var reports, seconds, in int
				for leg := range legs {
					id := leg + 1
					if same {
						id = 1
					}
					tail := fmt.Sprintf("id=%d nas=ap%d multi=m", id, leg+1)
					lines = append(lines, fmt.Sprintf("start %d %s", 100*leg, tail),
						fmt.Sprintf("stop %d t=%d i=%d o=1 %s", 100*leg+90+leg, 90+leg, leg+1, tail))
					reports, seconds, in = reports+2, seconds+90+leg, in+leg+1
				}
				for i := range lines {
					if backwards {
						i = len(lines) - 1 - i
					}
					b.line("%s", lines[i])
				}
				b.line("= month 2026-11 %d i=%d o=%d", seconds, in, legs)
				b.line("= sessions %d", legs)
				for leg := range legs {
					id := leg + 1
					if backwards {
						id = legs - leg
					}
					if same {
						id = 1
					}
					b.line("= leg %d %d", leg+1, id)
				}
				b.want(reports, "cleared")
			}
		}
	}
}

// TestVectorsAreCurrent (acceptance row 15) makes the families again: they are
// what the oracles say.
func TestVectorsAreCurrent(t *testing.T) {
	for name, family := range map[string]func(*book){
		"wraps.txt": wraps, "orders.txt": orders, "stops.txt": stops, "reuses.txt": reuses, "months.txt": months, "journeys.txt": journeys,
	} {
		b := new(book)
		family(b)
		text := fmt.Sprintf("# %d cases made by an oracle; the notation is that of rules.txt.\n#\n#   go test ./accounting/session -run TestVectorsAreCurrent -update\n", b.n) + b.String()
		path := filepath.Join(vectorFolder, name)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
		there, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, text == string(there), "%s is not what its oracle makes: run with -update", name)
	}
}

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

// account holds figures by the name of a client, which is that of its fault,
// and the name of the figure.
type account map[string]map[string]int64

func newAccount() account { return make(account) }

func (a account) add(client, figure string, n int64) {
	if a[client] == nil {
		a[client] = make(map[string]int64)
	}
	if a[client][figure] += n; a[client][figure] == 0 {
		delete(a[client], figure)
	}
}

// sums are what a month of a client comes to.
func (a account) sums(client string, end time.Time, f figures) {
	month := end.UTC().Format("2006-01")
	a.add(client, "month "+month+" seconds", f.seconds)
	a.add(client, "month "+month+" input", f.in)
	a.add(client, "month "+month+" output", f.out)
	a.add(client, "month "+month+" packets", f.packets)
}

// record adds what a record says.
func (a account) record(r *usage.Record) {
	a.add(r.Client, "record "+string(r.Status), 1)
	for _, e := range r.Exceptions {
		a.add(r.Client, "exception "+string(e), 1)
	}
	if r.Leg > 0 && r.Status == usage.Final {
		a.add(r.Client, fmt.Sprintf("leg %d", r.Leg), 1)
	}
	a.sums(r.Client, r.End, figures{r.Seconds, r.InputOctets, r.OutputOctets, r.InputPackets + r.OutputPackets})
}

// classes adds the tallies of the store.
func (a account) classes(sums map[session.TallyKey]int64) {
	for k, n := range sums {
		a.add(k.Client, strings.TrimSpace("class "+k.Class.String()+" "+k.Reason), n)
	}
}

// compare writes the table: what each fault came to, and what it should have
// come to where that differs. It says how many figures differ.
func compare(out io.Writer, want, got account) (wrong int, err error) {
	var b strings.Builder
	clients := slices.Sorted(maps.Keys(want))
	for c := range got {
		if want[c] == nil {
			clients = append(clients, c)
		}
	}
	for _, c := range clients {
		fmt.Fprintf(&b, "%s\n", c)
		names := slices.Collect(maps.Keys(want[c]))
		for name := range got[c] {
			if _, known := want[c][name]; !known {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			w, g := want[c][name], got[c][name]
			if w == g && strings.HasPrefix(name, "month ") {
				continue // equal to the octet: no news
			}
			mark := ""
			if w != g {
				mark, wrong = fmt.Sprintf("   WRONG: should be %d", w), wrong+1
			}
			fmt.Fprintf(&b, "  %-40s %14d%s\n", name, g, mark)
		}
	}
	var total, reports int64
	for _, c := range clients {
		for name, n := range got[c] {
			if strings.HasPrefix(name, "class ") {
				reports += n
			}
		}
		for name := range want[c] {
			if strings.HasPrefix(name, "month ") {
				total++
			}
		}
	}
	fmt.Fprintf(&b, "%d reports in classes; %d sums of clients and months compared; %d figures differ\n", reports, total, wrong)
	_, err = io.WriteString(out, b.String())
	return wrong, err
}

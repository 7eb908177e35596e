package main

import (
	"fmt"
	"slices"
	"strings"
)

const (
	contextLines = 3
	// mostEdits bounds the search for the smallest difference: beyond it a
	// whole passage is shown as replaced, which is as true.
	mostEdits = 1000
	mostText  = 4 << 20 // octets of a diff
)

// unifiedTexts gives the lines in which two versions differ, as patch reads
// them.
func unifiedTexts(a, b versionOf) string {
	var out strings.Builder
	old, names := map[string]string{}, []string{}
	for _, f := range a.files {
		old[f.Name] = string(f.Data)
		names = append(names, f.Name)
	}
	fresh := map[string]string{}
	for _, f := range b.files {
		if _, known := old[f.Name]; !known {
			names = append(names, f.Name)
		}
		fresh[f.Name] = string(f.Data)
	}
	slices.Sort(names)
	for _, name := range names {
		if out.Len() > mostText {
			out.WriteString("and more\n")
			break
		}
		was, had := old[name]
		is, has := fresh[name]
		if was == is && had == has {
			continue
		}
		head := func(there bool, h fmt.Stringer) string {
			if !there {
				return "/dev/null"
			}
			return h.String() + "/" + name
		}
		fmt.Fprintf(&out, "--- %s\n+++ %s\n", head(had, a.hash), head(has, b.hash))
		unified(&out, textLines(was), textLines(is))
	}
	return out.String()
}

func textLines(s string) []string {
	if s == "" {
		return nil
	}
	ls := strings.SplitAfter(s, "\n")
	if ls[len(ls)-1] == "" {
		ls = ls[:len(ls)-1]
	}
	return ls
}

// edit is one line of a diff: ' ' in both, '-' in the old, '+' in the new.
type edit struct {
	mark byte
	line string
}

// unified writes the hunks.
func unified(out *strings.Builder, a, b []string) {
	edits := edits(a, b)
	at, bt := 0, 0 // lines before edits[i]
	for i := 0; i < len(edits) && out.Len() <= mostText; {
		if edits[i].mark == ' ' {
			i, at, bt = i+1, at+1, bt+1
			continue
		}
		from := max(0, i-contextLines)
		end, quiet := i, 0
		for end < len(edits) && quiet <= 2*contextLines {
			if quiet++; edits[end].mark != ' ' {
				quiet = 0
			}
			end++
		}
		end -= max(0, quiet-contextLines)
		olds, news := 0, 0
		for _, e := range edits[from:end] {
			if e.mark != '+' {
				olds++
			}
			if e.mark != '-' {
				news++
			}
		}
		before := i - from
		fmt.Fprintf(out, "@@ -%s +%s @@\n", hunk(at-before, olds), hunk(bt-before, news))
		for _, e := range edits[from:end] {
			out.WriteByte(e.mark)
			out.WriteString(e.line)
			if !strings.HasSuffix(e.line, "\n") {
				out.WriteString("\n\\ No newline at end of file\n")
			}
		}
		at, bt = at-before+olds, bt-before+news
		i = end
	}
}

// hunk is where lines begin, counted from 1, and how many they are.
func hunk(before, n int) string {
	if n == 0 {
		return fmt.Sprintf("%d,0", before)
	}
	return fmt.Sprintf("%d,%d", before+1, n)
}

// edits turns a into b: the same lines at both ends are kept, and between them
// as few as possible are changed (E. Myers' greedy search).
func edits(a, b []string) (all []edit) {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		all = append(all, edit{' ', a[head]})
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	all = append(all, shortest(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, l := range a[len(a)-tail:] {
		all = append(all, edit{' ', l})
	}
	return all
}

func shortest(a, b []string) (all []edit) {
	n, m := len(a), len(b)
	most := min(n+m, mostEdits)
	reach := make([]int, 2*most+2) // of diagonal k, at most+k: how far into a
	var trace [][]int
	for d := 0; d <= most; d++ {
		trace = append(trace, slices.Clone(reach[most-d:most+d+2]))
		for k := -d; k <= d; k += 2 {
			x := 0
			switch {
			case d == 0:
			case k == -d || k != d && reach[most+k-1] < reach[most+k+1]:
				x = reach[most+k+1]
			default:
				x = reach[most+k-1] + 1
			}
			for x < n && x-k < m && a[x] == b[x-k] {
				x++
			}
			if reach[most+k] = x; x >= n && x-k >= m {
				return walkBack(a, b, trace)
			}
		}
	}
	for _, l := range a {
		all = append(all, edit{'-', l})
	}
	for _, l := range b {
		all = append(all, edit{'+', l})
	}
	return all
}

// walkBack reads the edits out of what was reached at each step. trace[d] has
// the diagonals from -d to d+1.
func walkBack(a, b []string, trace [][]int) (all []edit) {
	x, y := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		reach := func(k int) int { return trace[d][k+d] }
		k, was := x-y, 0
		switch {
		case d == 0:
		case k == -d || k != d && reach(k-1) < reach(k+1):
			was = k + 1
		default:
			was = k - 1
		}
		fromX, fromY := 0, 0
		if d > 0 {
			fromX = reach(was)
			fromY = fromX - was
		}
		for x > fromX && y > fromY {
			x, y = x-1, y-1
			all = append(all, edit{' ', a[x]})
		}
		switch {
		case x > fromX:
			x--
			all = append(all, edit{'-', a[x]})
		case y > fromY:
			y--
			all = append(all, edit{'+', b[y]})
		}
	}
	slices.Reverse(all)
	return all
}

package history

import (
	"fmt"
	"time"
)

// Count is how many Access-Requests were answered, and how many of them by an
// Access-Accept. Those that got no answer in the end count as answered, and
// rounds of a conversation do not count.
type Count struct{ Accepts, Answers uint64 }

// Tally is the Counts of clients by name since the hub began.
type Tally map[string]Count

// since is what came after an earlier Tally. A client whose counters began
// anew has nothing to say.
func (t Tally) since(before Tally) Tally {
	d := make(Tally, len(t))
	for name, now := range t {
		was := before[name]
		if now.Answers > was.Answers && now.Accepts >= was.Accepts {
			d[name] = Count{now.Accepts - was.Accepts, now.Answers - was.Answers}
		}
	}
	return d
}

func (t Tally) answers() (n uint64) {
	for _, c := range t {
		n += c.Answers
	}
	return n
}

const (
	// fewest answers make a share. With fewer, a fall by a fifth is mostly
	// chance: at 100 and four of five accepted it is four times what chance
	// commonly does, and it is looked at each second.
	fewest = 100

	tallies  = 20 // are kept of the time before a change
	tallyGap = 30 * time.Second
	// GuardTime is how long a guard watches a change that needs no
	// confirmation.
	GuardTime = 10 * time.Minute
)

// before remembers Tallies of the last minutes.
type before struct {
	at    time.Time
	taken []Tally
}

func (b *before) look(now time.Time, tally func() Tally) {
	if now.Sub(b.at) < tallyGap {
		return
	}
	b.at = now
	if len(b.taken) == tallies {
		b.taken = b.taken[:copy(b.taken, b.taken[1:])]
	}
	b.taken = append(b.taken, tally())
}

// window is what was answered in the time that is remembered.
func (b *before) window(now Tally) Tally {
	if len(b.taken) == 0 {
		return Tally{}
	}
	return now.since(b.taken[0])
}

// guard holds what is answered after a change against what was before.
type guard struct {
	percent int
	before  Tally // answers in the window before the change
	from    Tally // at the change
	until   time.Time
}

// judge compares the shares. It asks how many of the present answers would be
// accepted if each client still had its share of before. fell is set when
// that share has fallen by more than percent of itself.
func (g *guard) judge(now Tally) (fell bool, why string) {
	var answers, accepts uint64
	expected := 0.0
	for name, after := range now.since(g.from) {
		was := g.before[name]
		if was.Answers == 0 {
			continue
		}
		answers += after.Answers
		accepts += after.Accepts
		expected += float64(after.Answers) * float64(was.Accepts) / float64(was.Answers)
	}
	if answers < fewest || expected == 0 {
		return false, ""
	}
	is, was := float64(accepts)/float64(answers), expected/float64(answers)
	if is >= was*(1-float64(g.percent)/100) {
		return false, ""
	}
	return true, fmt.Sprintf("%.1f %% of %d requests were accepted since the change, %.1f %% of those of the same clients before", 100*is, answers, 100*was)
}

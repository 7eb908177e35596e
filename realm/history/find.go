package history

import (
	"fmt"
	"strconv"
	"strings"
)

// Step is a version that has been in use, as people count them: 0 is in use
// now, 1 was before it.
type Step struct {
	Back int `json:"back"`
	Entry
	// Confirmed is the entry that ended a trial, 0: none did.
	Confirmed int `json:"confirmed,omitempty"`
}

// Steps lists what has been in use, the newest first. What a version was
// confirmed by, given more time or loaded again is no step.
func (l *Log) Steps() (steps []Step) {
	confirmed := 0
	for i := len(l.Entries) - 1; i >= 0; i-- {
		e := l.Entries[i]
		if e.How == Confirmed && confirmed == 0 {
			confirmed = e.Number
		}
		if i > 0 && l.Entries[i-1].Hash == e.Hash {
			continue
		}
		steps = append(steps, Step{Back: len(steps), Entry: e, Confirmed: confirmed})
		confirmed = 0
	}
	return steps
}

const (
	maxBack   = 4 // digits of a number of steps; more are a hash
	minPrefix = 5 // digits of a hash
)

// Find reads what names a version: so many steps back, or the beginning of its
// hash. "" is one step back.
func (l *Log) Find(name string) (Hash, error) {
	if name == "" {
		name = "1"
	}
	steps := l.Steps()
	if n, err := strconv.ParseUint(name, 10, 16); err == nil && len(name) <= maxBack {
		if int(n) >= len(steps) {
			return Hash{}, fmt.Errorf("the history goes %d steps back, not %d", max(0, len(steps)-1), n)
		}
		return steps[n].Hash, nil
	}
	prefix := strings.ToLower(name)
	if len(prefix) < minPrefix || strings.Trim(prefix, "0123456789abcdef") != "" {
		return Hash{}, fmt.Errorf("%q is neither a number of steps back nor the beginning of a hash (%d digits or more)", printable(name, maxWho), minPrefix)
	}
	var found Hash
	for i := range steps {
		h := steps[i].Hash
		if !strings.HasPrefix(h.Whole(), prefix) || h == found {
			continue
		}
		if !found.IsZero() {
			return Hash{}, fmt.Errorf("several versions begin with %s", prefix)
		}
		found = h
	}
	if found.IsZero() {
		return Hash{}, fmt.Errorf("no version that is kept begins with %s", prefix)
	}
	return found, nil
}

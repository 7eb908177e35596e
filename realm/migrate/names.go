package migrate

import (
	"strconv"
	"strings"
)

// longest name of a client, home or pool, less what makes it unique.
const maxName = 60

// Names makes names as routing files have them, unique, out of those of the
// original.
type Names struct {
	taken map[string]bool
	next  map[string]int // number to try, by name
}

// Make returns a name: letters, digits, dots, dashes and underscores of the
// original, a dash for what is something else.
func (n *Names) Make(original string) string {
	if n.taken == nil {
		n.taken, n.next = make(map[string]bool), make(map[string]int)
	}
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
			return c
		}
		return '-'
	}, original)
	if name = strings.Trim(name[:min(len(name), maxName)], "-."); name == "" {
		name = "unnamed"
	}
	unique, key := name, strings.ToLower(name)
	for i := max(2, n.next[key]); n.taken[strings.ToLower(unique)]; i++ {
		unique = name + "-" + strconv.Itoa(i)
		n.next[key] = i + 1
	}
	n.taken[strings.ToLower(unique)] = true
	return unique
}

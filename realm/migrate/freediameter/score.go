package freediameter

import (
	"cmp"
	"slices"
	"strings"
)

// node is a peer as routing sees it.
type node struct {
	id, realm string
	name      string // of the peer that is written
}

// ranked is a peer with the score that it has for some requests.
type ranked struct {
	*node
	score int
}

// subject is what requests are told apart by: a realm, an expression of realms, a
// subscriber, or nothing.
type subject struct {
	realm string
	rule  *rule // of the expression or the subscriber
}

// applies reports whether a rule counts for requests of a subject.
func (s *subject) applies(r *rule) bool {
	switch {
	case r.criterion == "*":
		return true
	case s.rule != nil:
		return s.rule.criterion == r.criterion && s.rule.of.text == r.of.text && (s.rule.of.expr == nil) == (r.of.expr == nil)
	}
	return r.criterion == "dr" && s.realm != "" && r.of.takes(s.realm)
}

// aim finds the peers that each rule is for.
func (c *Config) aim(nodes []*node) {
	for _, r := range c.rules {
		r.nodes = nil
		for _, n := range nodes {
			who := n.id
			if r.byRealm {
				who = n.realm
			}
			if r.target.takes(who) {
				r.nodes = append(r.nodes, n)
			}
		}
	}
}

// rank gives the peers that may have the requests of a subject, the first to be tried
// first.
func (c *Config) rank(nodes []*node, s *subject) (out []ranked) {
	sums := make(map[*node]int)
	for _, r := range c.rules {
		if !s.applies(r) {
			continue
		}
		for _, n := range r.nodes {
			sums[n] += r.score
		}
	}
	for _, n := range nodes {
		score := scoreInitial + sums[n]
		if s.realm != "" && strings.EqualFold(n.realm, s.realm) {
			score += scoreRealm
		}
		if score >= 0 {
			out = append(out, ranked{n, score})
		}
	}
	slices.SortStableFunc(out, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
	return out
}

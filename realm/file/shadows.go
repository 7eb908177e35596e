package file

import (
	"cmp"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// shadows names the routes that no request can reach because others stand in
// front of them. Each is named with what hides it; that holds whatever else is
// wrong with the files.
func (l *loader) shadows() {
	for _, list := range l.rivals {
		l.shadowedTwins(list)
	}
	if l.ranged {
		l.shadowedRanges()
	}
	if !l.narrow {
		return
	}
	l.shadowedNetworks()
	l.shadowedExpressions()
}

func (l *loader) hidden(r, by *realm.Route, how string) {
	if r.RADIUS() && !by.RADIUS() || r.Diameter != nil && by.Diameter == nil {
		return // it is passed over for one of the protocols
	}
	l.warn(r.Pos, fmt.Sprintf("%s at %s %s", subjectName(by.Realm), by.Pos, how), "%s is never reached", routeName(r))
}

func routeName(r *realm.Route) string {
	if r.Name != "" && !strings.HasPrefix(r.Name, r.Realm) {
		return "route " + quote(r.Name)
	}
	return subjectName(r.Realm)
}

// maxCompared bounds how many routes of one subject each is held against.
const maxCompared = 256

// shadowedTwins looks at the routes of one subject in the order of trial.
func (l *loader) shadowedTwins(list []int32) {
	list = slices.Clone(list)
	routes := l.set.Routes
	slices.SortStableFunc(list, func(i, j int32) int {
		a, b := &routes[i], &routes[j]
		if x, y := conditioned(a), conditioned(b); x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Rank, b.Rank)
	})
	for n, i := range list {
		for _, j := range list[max(0, n-maxCompared):n] {
			if a := &routes[j]; conditioned(a) && a.Rank != routes[i].Rank && covers(a, &routes[i]) {
				l.hidden(&routes[i], a, "comes first and takes all that it could")
				break
			}
		}
	}
}

// whole returns the route that takes every request of a subject, nil if there
// is none.
func (l *loader) whole(subject string) *realm.Route {
	if r := l.set.Table.Entry(subject); r != nil && !conditioned(r) {
		return r
	}
	r := l.set.Table.Labelled(subject)
	if r == nil || conditioned(r) || r.Realm != subject {
		return nil
	}
	return r
}

// above returns the suffix entry that takes all realms of a name and below it.
func (l *loader) above(name string) *realm.Route {
	for {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			return nil
		}
		name = rest
		if r := l.whole("*." + name); r != nil {
			return r
		}
	}
}

// extent is a range of IMSIs with what of it narrower ranges have taken.
type extent struct {
	first, last uint64
	route       *realm.Route // the one for all of it, or else one of them
	all         bool
	next        uint64       // the first number that is not taken
	by          *realm.Route // one that has taken of it
}

// extents returns the ranges in the order of their beginnings, the wider first.
func (l *loader) extents() []extent {
	var list []extent
	radius, messages := 0, 0
	for i := range l.set.Routes {
		r := &l.set.Routes[i]
		if first, last, ok := realm.ParseIMSI(r.Realm); ok {
			list = append(list, extent{first: first, last: last, route: r, all: !conditioned(r), next: first})
			if r.RADIUS() {
				radius++
			}
			if r.Diameter != nil {
				messages++
			}
		}
	}
	// Where ranges differ in their protocols, one hides another only if it is for
	// every protocol there is.
	mixed := radius > 0 && messages > 0
	for i := range list {
		r := list[i].route
		list[i].all = list[i].all && (!mixed || r.RADIUS() && r.Diameter != nil)
	}
	slices.SortStableFunc(list, func(a, b extent) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.last, a.last))
	})
	kept := list[:0]
	for _, e := range list {
		if n := len(kept); n > 0 && kept[n-1].first == e.first && kept[n-1].last == e.last {
			if e.all {
				kept[n-1].route, kept[n-1].all = e.route, true
			}
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

// crossing refuses ranges of which neither lies inside the other: which one an
// IMSI of both belongs to would be anybody's guess.
func (l *loader) crossing() {
	var open []extent
	for _, e := range l.extents() {
		for len(open) > 0 && open[len(open)-1].last < e.first {
			open = open[:len(open)-1]
		}
		if n := len(open); n > 0 && open[n-1].last < e.last {
			o := open[n-1]
			l.fail(e.route.Pos, fmt.Sprintf("the other at %s; split one of them at %015d", o.route.Pos, e.first),
				"%s and %s overlap, and neither lies inside the other", subjectName(e.route.Realm), subjectName(o.route.Realm))
			continue
		}
		open = append(open, e)
	}
}

// shadowedRanges finds ranges whose every number a narrower range takes.
func (l *loader) shadowedRanges() {
	var open []*extent
	end := func() {
		e := open[len(open)-1]
		open = open[:len(open)-1]
		taken := e.next > e.last
		if taken {
			l.hidden(e.route, e.by, "and narrower ranges beside it take all of it")
		}
		if len(open) == 0 || !taken && !e.all {
			return
		}
		if wider := open[len(open)-1]; e.first <= wider.next {
			wider.next, wider.by = max(wider.next, e.last+1), e.route
		}
	}
	list := l.extents()
	for i := range list {
		for len(open) > 0 && open[len(open)-1].last < list[i].first {
			end()
		}
		open = append(open, &list[i])
	}
	for len(open) > 0 {
		end()
	}
}

// shadowedNetworks finds networks whose realms a suffix takes, which comes
// first.
func (l *loader) shadowedNetworks() {
	const domain = "3gppnetwork.org"
	for i := range l.set.Routes {
		r := &l.set.Routes[i]
		mcc, mnc, ok := realm.ParsePLMN(r.Realm)
		if !ok {
			continue
		}
		name := fmt.Sprintf("mcc%03d.%s", mcc, domain)
		by := l.whole("*." + name)
		if by == nil {
			by = l.above(name)
		}
		if own := fmt.Sprintf("mnc%03d.%s", mnc, name); by == nil && mnc >= 0 && l.whole(own) != nil {
			by = l.whole("*." + own)
		}
		if by != nil {
			l.hidden(r, by, "comes first: suffixes stand before networks")
		}
	}
}

// shadowedExpressions finds expressions whose every match another route takes:
// a name or a suffix, or an expression that matches everything.
func (l *loader) shadowedExpressions() {
	var exprs []*realm.Route
	for i := range l.set.Routes {
		if r := &l.set.Routes[i]; isExpression(r.Realm) {
			exprs = append(exprs, r)
		}
	}
	// Routes of one expression are tried where the first of them stands.
	ranks := make(map[string]int32)
	for _, r := range exprs {
		if rank, known := ranks[r.Realm]; !known || r.Rank < rank {
			ranks[r.Realm] = r.Rank
		}
	}
	slices.SortStableFunc(exprs, func(a, b *realm.Route) int { return cmp.Compare(ranks[a.Realm], ranks[b.Realm]) })
	var allRealms, allNames *realm.Route
	for _, r := range exprs {
		text, ofName := strings.CutPrefix(r.Realm, prefixName)
		text = strings.TrimPrefix(text, prefixRealm)
		tree, err := syntax.Parse(text, syntax.Perl|syntax.FoldCase)
		if err != nil {
			continue
		}
		switch {
		case allNames != nil && ranks[allNames.Realm] < ranks[r.Realm]:
			l.hidden(r, allNames, "comes first and matches everything")
			continue
		case allRealms != nil && !ofName && ranks[allRealms.Realm] < ranks[r.Realm]:
			l.hidden(r, allRealms, "comes first and matches everything")
			continue
		}
		if by := l.takenByName(tree, ofName, new(int)); by != nil {
			l.hidden(r, by, "comes first: names and suffixes stand before expressions")
		}
		if conditioned(r) || !matchesAll(tree) {
			continue
		}
		if ofName && allNames == nil {
			allNames = r
		} else if allRealms == nil {
			allRealms = r
		}
	}
	for _, name := range []string{realm.NameDefault, realm.NameNone} {
		by := allNames
		if by == nil && name == realm.NameDefault {
			by = allRealms
		}
		if r := l.set.Table.Entry(name); r != nil && by != nil {
			l.hidden(r, by, "comes first and matches everything")
		}
	}
}

// maxTries bounds the ways through the groups of one expression.
const maxTries = 200

// takenByName returns the route of a name or a suffix if such routes take
// everything that the expression matches.
func (l *loader) takenByName(re *syntax.Regexp, ofName bool, tries *int) *realm.Route {
	if *tries++; *tries > maxTries {
		return nil
	}
	switch re.Op {
	case syntax.OpCapture:
		return l.takenByName(re.Sub[0], ofName, tries)
	case syntax.OpAlternate:
		var by *realm.Route
		for _, s := range re.Sub {
			if by = l.takenByName(s, ofName, tries); by == nil {
				return nil
			}
		}
		return by
	case syntax.OpConcat:
		if each := distribute(re); len(each) > 1 {
			return l.takenByName(&syntax.Regexp{Op: syntax.OpAlternate, Sub: each}, ofName, tries)
		}
	}
	tail, exact, ok := literalEnd(re)
	if !ok {
		return nil
	}
	if at := strings.LastIndexByte(tail, '@'); ofName {
		if at < 0 {
			return nil // also matches names without a realm
		}
		tail, exact = tail[at+1:], true
	}
	if exact {
		if by := l.whole(tail); by != nil {
			return by
		}
		return l.above(tail)
	}
	dot := strings.IndexByte(tail, '.')
	if dot < 0 {
		return nil
	}
	if by := l.whole("*" + tail[dot:]); by != nil {
		return by
	}
	return l.above(tail[dot+1:])
}

// distribute writes a(b|c)d as abd and acd, of the last group alone.
func distribute(re *syntax.Regexp) (each []*syntax.Regexp) {
	for i := len(re.Sub) - 1; i >= 0; i-- {
		group := re.Sub[i]
		for group.Op == syntax.OpCapture {
			group = group.Sub[0]
		}
		if group.Op != syntax.OpAlternate {
			continue
		}
		for _, one := range group.Sub {
			parts := slices.Clone(re.Sub[:i])
			if one.Op == syntax.OpConcat {
				parts = append(parts, one.Sub...)
			} else {
				parts = append(parts, one)
			}
			each = append(each, &syntax.Regexp{Op: syntax.OpConcat, Sub: append(parts, re.Sub[i+1:]...)})
		}
		return each
	}
	return nil
}

// literalEnd returns the text with which everything ends that the expression
// matches; exact is set if it is the whole of it.
func literalEnd(re *syntax.Regexp) (tail string, exact, ok bool) {
	if re.Op != syntax.OpConcat || len(re.Sub) < 2 || !isEnd(re.Sub[len(re.Sub)-1]) {
		return "", false, false
	}
	i := len(re.Sub) - 1
	for ; i > 0 && re.Sub[i-1].Op == syntax.OpLiteral; i-- {
		tail = foldASCII(string(re.Sub[i-1].Rune)) + tail
	}
	exact = i == 1 && isBegin(re.Sub[0])
	return tail, exact, tail != ""
}

// Without the flag for lines, the ends of a line are those of the text.
func isBegin(re *syntax.Regexp) bool { return re.Op == syntax.OpBeginText }

func isEnd(re *syntax.Regexp) bool { return re.Op == syntax.OpEndText }

// matchesAll reports whether an expression matches every name.
func matchesAll(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpCapture:
		return matchesAll(re.Sub[0])
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, matchesAll)
	case syntax.OpEmptyMatch, syntax.OpStar, syntax.OpQuest, syntax.OpBeginText, syntax.OpEndText:
		return true
	case syntax.OpPlus:
		return isAny(re.Sub[0])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpConcat:
	default:
		return false
	}
	parts := re.Sub
	begins, ends := isBegin(parts[0]), isEnd(parts[len(parts)-1])
	if begins {
		parts = parts[1:]
	}
	if ends && len(parts) > 0 {
		parts = parts[:len(parts)-1]
	}
	if begins && ends {
		return len(parts) == 1 && isAnything(parts[0])
	}
	return !slices.ContainsFunc(parts, func(p *syntax.Regexp) bool {
		return p.Op != syntax.OpStar && p.Op != syntax.OpQuest && p.Op != syntax.OpEmptyMatch
	}) || len(parts) == 1 && matchesAll(parts[0])
}

func isAnything(re *syntax.Regexp) bool {
	return re.Op == syntax.OpCapture && isAnything(re.Sub[0]) ||
		(re.Op == syntax.OpStar || re.Op == syntax.OpPlus) && isAny(re.Sub[0])
}

func isAny(re *syntax.Regexp) bool {
	return re.Op == syntax.OpAnyChar || re.Op == syntax.OpAnyCharNotNL || re.Op == syntax.OpCapture && isAny(re.Sub[0])
}

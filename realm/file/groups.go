package file

import (
	"slices"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/pkg/radius/dict"
	"github.com/roamgate/roamgate/realm"
)

// group is a group and what its clients and homes have unless they say
// otherwise.
type group struct {
	*realm.Group
	realms   *realm.Names
	operator realm.OperatorMode
	in, out  *realm.Filter
	// screening is that of its peers, once all are read.
	screening *realm.Screening
	entry     *groupEntry
	clients   int // that are in it
	homes     int
	peers     int // of homes
}

// common reads what stands once for all files.
func (l *loader) common(all []source) {
	var identity, loops realm.Pos
	for i := range all {
		if e := &all[i].Identity; l.once(e.Pos, &identity, "identity") {
			l.identity(e)
		}
		if e := &all[i].Loops; l.once(e.Pos, &loops, "loops") {
			l.loops(e)
		}
	}
	l.filters(all)
	for i := range all {
		for j := range all[i].Groups {
			l.group(&all[i].Groups[j])
		}
	}
	for i := range all {
		for j := range all[i].TLS {
			l.security(&all[i].TLS[j])
		}
	}
	for i := range all {
		for j := range all[i].Contracts {
			l.contract(&all[i].Contracts[j])
		}
	}
}

// once reports whether a section is there for the first time.
func (l *loader) once(pos realm.Pos, first *realm.Pos, key string) bool {
	switch {
	case pos.Line == 0:
		return false
	case first.Line > 0:
		l.fail(pos, "first at "+first.String(), "%s stands in two files", key)
		return false
	}
	*first = pos
	return true
}

func (l *loader) identity(e *identityEntry) {
	id := &l.set.Identity
	for _, word := range e.Allow {
		flag := choose(l, e.Pos, "allow", word, nil, []string{"several_at", "backslash", "one_label"},
			&id.ManyAt, &id.Backslash, &id.OneLabel)
		if flag != nil {
			*flag = true
		}
	}
	l.oneLabel = id.OneLabel
	id.Own = l.realmNames(e.Pos, "own", e.Own)
}

const (
	maxHops        = 255
	maxProxyStates = 255
)

func (l *loader) loops(e *loopsEntry) {
	loops := &l.set.Loops
	file := e.Pos.File
	if n := e.ProxyStates; n.set() && (n.v < 1 || n.v > maxProxyStates) {
		l.fail(n.pos(file), "32 is usual", "proxy_states is not in 1 to %d", maxProxyStates)
	} else if n.set() {
		loops.MaxProxyStates = n.v
	}
	if e.Attribute.set() {
		hop, text, hint := hopAttribute(e.Attribute.v)
		if text != "" {
			l.fail(e.Attribute.pos(file), hint, "hop_attribute: %s", text)
		}
		loops.Hop = hop
	}
	switch n := e.Hops; {
	case !n.set():
	case n.v < 1 || n.v > maxHops:
		l.fail(n.pos(file), "", "hops is not in 1 to %d", maxHops)
	case !e.Attribute.set():
		l.fail(n.pos(file), "name the attribute with hop_attribute", "hops without an attribute to count them in")
	default:
		loops.Hops = uint32(n.v)
	}
}

// hopAttribute reads an attribute of four octets: a name of the dictionary, a
// number, or vendor:number.
func hopAttribute(s string) (hop realm.HopAttribute, text, hint string) {
	vendor, sub, isVendor := strings.Cut(s, ":")
	if isVendor {
		v, err := strconv.ParseUint(vendor, 10, 24)
		n, err2 := strconv.ParseUint(sub, 10, 8)
		if err != nil || err2 != nil || v == 0 || n == 0 {
			return hop, quote(s) + " is no vendor and number", "such as 27262:1"
		}
		return realm.HopAttribute{Type: 26, Vendor: uint32(v), Sub: uint8(n)}, "", ""
	}
	if n, err := strconv.ParseUint(s, 10, 8); err == nil {
		if n == 0 || n == 26 || n >= 241 && n <= 246 {
			return hop, quote(s) + " holds other attributes", "such as 27262:1"
		}
		hop.Type = uint8(n)
		return hop, badHop(hop), "an attribute that nothing else uses"
	}
	a, known := dict.Lookup(s)
	switch {
	case !known:
		return hop, "there is no attribute " + quote(s), "a name of the dictionary, a number, or vendor:number such as 27262:1"
	case a.Inner && a.Vendor == 0:
		return hop, "extended attributes are not supported here", "a plain attribute, or vendor:number such as 27262:1"
	case a.Data != dict.Integer:
		return hop, quote(s) + " is no number of four octets", "such as 27262:1"
	}
	hop = realm.HopAttribute{Type: uint8(a.Type), Vendor: a.Vendor, Sub: a.Sub}
	return hop, badHop(hop), "an attribute that nothing else uses"
}

// badHop refuses attributes that carry the protocol itself.
func badHop(h realm.HopAttribute) string {
	switch h.Type {
	case 1, 2, 3, 24, 33, 40, 79, 80: // name, passwords, State, Proxy-State, Acct-Status-Type, EAP, signature
		return "an attribute of the protocol cannot count hops"
	}
	return ""
}

func (l *loader) group(e *groupEntry) {
	if e.Pos.Line == 0 || !l.name(e.Pos, e.Name) {
		return
	}
	g := &group{
		Group: &realm.Group{
			Name: strings.Clone(e.Name.v),
			Kind: choose(l, e.Pos, "kind", e.Kind, realm.Visited,
				[]string{"visited", "own", "federation"}, realm.Visited, realm.Own, realm.Federation),
			Pos: e.Pos,
		},
		realms:   l.realmNames(e.Pos, "realms", e.Realms),
		operator: l.operatorMode(e.Pos, e.OperatorName, realm.OperatorPass),
		in:       l.filter(e.Pos, e.In),
		out:      l.filter(e.Pos, e.Out),
		entry:    e,
	}
	l.consortium(e, g.Group)
	if first, twice := l.groups[g.Name]; twice {
		l.twice(e.Name.pos(e.Pos.File), first.Pos, "group", g.Name)
		return
	}
	l.groups[g.Name] = g
	l.federated = l.federated || g.Kind == realm.Federation
	l.set.Groups = append(l.set.Groups, g.Group)
}

func (l *loader) operatorMode(entry realm.Pos, word at[string], otherwise realm.OperatorMode) realm.OperatorMode {
	return choose(l, entry, "operator_name", word, otherwise,
		[]string{"pass", "stamp", "check"}, realm.OperatorPass, realm.OperatorStamp, realm.OperatorCheck)
}

// groupOf finds the group that a key names, nil if there is none.
func (l *loader) groupOf(entry realm.Pos, name at[string]) *group {
	if !name.set() {
		return nil
	}
	g, known := l.groups[name.v]
	if !known && !l.partial {
		l.fail(name.pos(entry.File), meant(name.v, l.groups, "add it under groups:"), "group %s does not exist", quote(name.v))
	}
	return g
}

func (l *loader) contract(e *contractEntry) {
	from, to := l.groupOf(e.Pos, e.From), l.groupOf(e.Pos, e.To)
	c := realm.Contract{Realms: l.realmNames(e.Pos, "realms", e.Realms), Pos: e.Pos}
	if from == nil || to == nil {
		return
	}
	c.From, c.To = from.Group, to.Group
	if from.Kind != realm.Federation || to.Kind != realm.Federation {
		l.warn(e.Pos, "only what passes between two groups of kind federation is denied without a contract", "the contract is not needed")
	}
	for i := range l.set.Contracts {
		if o := &l.set.Contracts[i]; o.From == c.From && o.To == c.To && (o.Realms == nil || slices.Equal(o.Realms.List(), c.Realms.List())) {
			l.warn(e.Pos, "first at "+o.Pos.String(), "another contract allows the same")
			break
		}
	}
	l.set.Contracts = append(l.set.Contracts, c)
}

// filter finds the filter that a key names, nil if there is none.
func (l *loader) filter(entry realm.Pos, name at[string]) *realm.Filter {
	if !name.set() {
		return nil
	}
	f, known := l.filterNames[name.v]
	if !known && !l.partial {
		l.fail(name.pos(entry.File), meant(name.v, l.filterNames, "add it under filters:"), "filter %s does not exist", quote(name.v))
	}
	if known {
		l.usedFilters[f] = true
	}
	return f
}

// realmNames compiles a list of realms; no list stands for all.
func (l *loader) realmNames(entry realm.Pos, key string, list []at[string]) *realm.Names {
	if list == nil {
		return nil
	}
	if len(list) == 0 {
		l.fail(entry, "without the key all are allowed", "%s is an empty list", key)
		return nil
	}
	names := make([]string, 0, len(list))
	seen := make(map[string]realm.Pos, len(list))
	for _, a := range list {
		pos := a.pos(entry.File)
		name, text, hint := l.foldRealm(a.v)
		if name == realm.NameDefault {
			text, hint = "default is no realm", "without a list all are allowed"
		}
		if text != "" {
			l.fail(pos, hint, "%s: %s", quote(a.v), text)
			continue
		}
		if first, twice := seen[name]; twice {
			l.warn(pos, "first at "+first.String(), "%s stands twice in the list", quote(a.v))
			continue
		}
		seen[name] = pos
		names = append(names, name)
	}
	return realm.NewNames(names)
}

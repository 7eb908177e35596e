package file

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius/dict"
	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

const (
	maxSSID    = 32
	maxWords   = 256 // in one list of a condition
	allDevices = 100_00
)

// condition compiles when, nil for none. scope is whose clients the route is
// for.
func (l *loader) condition(e *realmEntry, scope *realm.Scope) *realm.Condition {
	w := e.When
	if w == nil || w.Pos.Line == 0 {
		return nil
	}
	c := &realm.Condition{
		Clients:      l.whenClients(w, scope),
		Applications: words(l, w, "application", w.Application, routedApplication),
		Commands:     words(l, w, "command", w.Command, command),
		NASPortTypes: words(l, w, "nas_port_type", w.NASPortType, portType),
		SSIDs:        words(l, w, "ssid", w.SSID, ssid),
		Operators:    words(l, w, "operator", w.Operator, operatorWord),
		RCOIs:        words(l, w, "rcoi", w.RCOI, rcoi),
		Users:        words(l, w, "user", w.User, userRange),
		During:       l.windows(w.During),
		Percent:      l.percent(w),
	}
	if len(w.Client)+len(w.Application)+len(w.Command)+len(w.NASPortType)+len(w.SSID)+len(w.Operator)+len(w.RCOI)+len(w.User)+len(w.During) == 0 && !w.Percent.set() {
		l.fail(w.Pos, "client, application, command, nas_port_type, ssid, operator, rcoi, user, during or percent", "when says nothing")
		return nil
	}
	return c
}

// words compiles a list of a condition. read returns a text where a word is
// not understood.
func words[T comparable](l *loader, w *whenEntry, key string, list []at[string], read func(string) (v T, text, hint string)) (out []T) {
	if list != nil && len(list) == 0 {
		l.fail(w.Pos, "without the key it does not matter", "%s is an empty list", key)
	}
	if len(list) > maxWords {
		l.fail(list[maxWords].pos(w.Pos.File), "", "%s has more than %d entries", key, maxWords)
		return nil
	}
	for _, word := range list {
		v, text, hint := read(word.v)
		switch {
		case text != "":
			l.fail(word.pos(w.Pos.File), hint, "%s: %s %s", key, quote(word.v), text)
		case slices.Contains(out, v):
			l.warn(word.pos(w.Pos.File), "remove it", "%s: %s stands twice", key, quote(word.v))
		default:
			out = append(out, v)
		}
	}
	return out
}

func (l *loader) whenClients(w *whenEntry, scope *realm.Scope) []string {
	for _, name := range w.Client {
		c, known := l.clients[name.v]
		pos := name.pos(w.Pos.File)
		if !known {
			if !l.partial {
				word := strings.Clone(name.v)
				l.report.later(pos, Error, func() string { return meant(word, l.clients, "add it under clients:") },
					"client %s does not exist", quote(word))
			}
		} else if !scope.Has(c.group) {
			l.fail(pos, "add its group to groups:, or remove it", "client %s is of %s, which the route is not for", quote(name.v), groupName(c.group))
		}
	}
	return words(l, w, "client", w.Client, func(s string) (string, string, string) { return strings.Clone(s), "", "" })
}

// routedApplication is an application that requests can be of.
func routedApplication(s string) (n uint32, text, hint string) {
	if n, text, hint = application(s); n == diameter.AppRelay {
		return 0, "is no application of requests", "without the key any application matches"
	}
	return n, text, hint
}

// judgeProtocols looks at conditions that hold in one protocol alone.
func (l *loader) judgeProtocols(e *realmEntry, r *realm.Route) {
	c, w := r.When, e.When
	if c == nil {
		return
	}
	var messages, packets at[string] // the first condition of each
	first := func(to *at[string], lists ...[]at[string]) {
		for _, list := range lists {
			if len(list) > 0 && !to.set() {
				*to = list[0]
			}
		}
	}
	first(&messages, w.Application, w.Command)
	first(&packets, w.NASPortType, w.SSID, w.Operator, w.RCOI)
	file := e.Pos.File
	switch {
	case messages.set() && packets.set():
		l.fail(messages.pos(file), "write two routes, each with its rank", "when: no request has an application of Diameter and attributes of RADIUS")
	case messages.set() && r.Diameter == nil:
		l.fail(messages.pos(file), "add diameter:", "when: only Diameter requests have an application and a command, and the route does nothing with them")
	case messages.set() && r.RADIUS() && r.Diameter.Action != realm.DiameterRADIUS:
		l.warn(messages.pos(file), "remove auth, accounting, discover and reject, or the condition", "when: no RADIUS request has an application or a command, so none is taken")
	case packets.set() && !r.RADIUS():
		l.fail(packets.pos(file), "application, command, client, user, during and percent hold for Diameter", "when: no Diameter request has these attributes")
	case packets.set() && r.Diameter != nil:
		l.warn(packets.pos(file), "give Diameter a route of its own", "when: no Diameter request has these attributes, so diameter: is never used")
	}
}

func portType(s string) (uint32, string, string) {
	raw, err := dict.Encode("NAS-Port-Type", s)
	if err != nil || len(raw) != 6 || strings.HasPrefix(s, "0x") {
		return 0, "is no NAS-Port-Type", "a name such as Wireless-802.11, or a number"
	}
	return uint32(raw[2])<<24 | uint32(raw[3])<<16 | uint32(raw[4])<<8 | uint32(raw[5]), "", ""
}

func ssid(s string) (string, string, string) {
	if s == "" || len(s) > maxSSID {
		return "", "is no SSID", "1 to 32 octets"
	}
	return strings.Clone(s), "", ""
}

func operatorWord(s string) (string, string, string) {
	if text, hint := badOperators(s); text != "" {
		return "", "is no Operator-Name: " + text, hint
	}
	return strings.Clone(s), "", ""
}

// rcoi reads the identifier of a roaming consortium, 3 octets or 5, or the
// octets in front of several; those of OpenRoaming have words.
func rcoi(s string) (string, string, string) {
	switch s {
	case wordFree:
		return wba.Free(), "", ""
	case wordSettled:
		return wba.Settled(), "", ""
	}
	octets, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(octets) < 3 || len(octets) > 5 {
		return "", "is no roaming consortium", "3 to 5 octets such as 5A-03-BA-00-00, or free or settled, which are those of OpenRoaming"
	}
	return string(octets), "", ""
}

// userRange reads one user, a range a..b, or all that begin alike: "meter-*".
func userRange(s string) (r realm.UserRange, text, hint string) {
	const how = "meter-0001..meter-0999, meter-0001 or meter-*"
	first, last, isRange := strings.Cut(s, "..")
	if !isRange {
		last = first
	}
	switch {
	case first == "" || last == "" || len(s) > maxText || strings.ContainsAny(s, "@\x00"):
		return r, "is no user", how
	case strings.Contains(strings.TrimSuffix(first, "*"), "*") || isRange && strings.ContainsAny(s, "*"):
		return r, "is no user: a star stands only at the end", how
	case !isRange && strings.HasSuffix(first, "*"):
		if first == "*" {
			return r, "is all users", "without the key all match"
		}
		return realm.UserRange{First: strings.Clone(first[:len(first)-1]), Prefix: true}, "", ""
	case !isRange:
		return realm.UserRange{First: strings.Clone(first), Last: strings.Clone(first)}, "", ""
	case len(first) != len(last):
		return r, "is no range: the numbers have different lengths", how
	}
	i := 0
	for i < len(first) && first[i] == last[i] {
		i++
	}
	if !allDigits(first[i:]) || !allDigits(last[i:]) {
		return r, "is no range: only a number at the end may differ", how
	}
	if first > last {
		return r, "is reversed", "the lower first"
	}
	return realm.UserRange{First: strings.Clone(first), Last: strings.Clone(last)}, "", ""
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// percent reads 2.5 or 2.5%.
func (l *loader) percent(w *whenEntry) uint32 {
	if !w.Percent.set() {
		return 0
	}
	pos := w.Percent.pos(w.Pos.File)
	whole, part, _ := strings.Cut(strings.TrimSuffix(w.Percent.v, "%"), ".")
	n, err := strconv.ParseUint(whole, 10, 16)
	hundredths, err2 := strconv.ParseUint((part + "00")[:2], 10, 8)
	n = n*100 + hundredths
	switch {
	case err != nil || err2 != nil || len(part) > 2 && strings.Trim(part[2:], "0") != "":
		l.fail(pos, "such as 5% or 0.25%", "percent: %s is no percentage", quote(w.Percent.v))
	case n > allDevices:
		l.fail(pos, "at most 100%", "percent: %s is over 100", quote(w.Percent.v))
	case n == 0:
		l.fail(pos, "remove the route to switch it off", "percent: no device is in 0 percent")
	default:
		return uint32(n)
	}
	return 0
}

// scope compiles groups, nil for none. Entries with the same list share it.
func (l *loader) scope(e *realmEntry) *realm.Scope {
	if e.Groups == nil {
		return nil
	}
	if len(e.Groups) == 0 {
		l.fail(e.Pos, "without the key all may use it", "groups is an empty list")
		return nil
	}
	l.key = l.key[:0]
	for _, g := range e.Groups {
		l.key = append(append(l.key, g.v...), 0)
	}
	if s, known := l.scopes[string(l.key)]; known {
		return s
	}
	s, good := &realm.Scope{}, true
	for _, name := range e.Groups {
		pos := name.pos(e.Pos.File)
		g, known := l.groups[name.v]
		switch {
		case !known:
			good = false
			if !l.partial {
				l.fail(pos, meant(name.v, l.groups, "add it under groups:"), "group %s does not exist", quote(name.v))
			}
		case slices.Contains(s.Groups, g.Group):
			good = false
			l.warn(pos, "remove it", "groups: %s stands twice", quote(name.v))
		default:
			s.Groups = append(s.Groups, g.Group)
		}
	}
	if good { // else each of the entries has its own problem
		l.scopes[string(l.key)] = s
	}
	return s
}

// rewrite compiles what becomes of the User-Name.
func (l *loader) rewrite(e *realmEntry) *realm.Rewrite {
	w := &e.Rewrite
	file := e.Pos.File
	switch {
	case !w.Realm.set() && !w.Strip.v:
		return nil
	case w.Realm.set() && w.Strip.v:
		l.fail(w.Strip.pos(file), "keep one", "rewrite: the realm is replaced and removed")
		return nil
	case e.Reject.set():
		pos := w.Realm.pos(file)
		if w.Strip.set() {
			pos = w.Strip.pos(file)
		}
		l.warn(pos, "remove it", "rewrite: a rejected realm goes nowhere")
		return nil
	case w.Strip.v:
		return &realm.Rewrite{Strip: true}
	}
	name, text, hint := l.foldRealm(w.Realm.v)
	if strings.HasPrefix(name, "*") || name == realm.NameNone || name == realm.NameDefault {
		text, hint = "is no realm that a User-Name can have", "such as home.example"
	}
	if text != "" {
		l.fail(w.Realm.pos(file), hint, "rewrite: %s: %s", quote(w.Realm.v), text)
		return nil
	}
	return &realm.Rewrite{Realm: strings.Clone(w.Realm.v)}
}

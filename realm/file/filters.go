package file

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/radius/dict"
	"github.com/roamgate/roamgate/realm"
)

type filterEntry struct {
	Pos     realm.Pos   `yaml:",pos"`
	Name    at[string]  `yaml:"name,required"`
	Profile at[string]  `yaml:"profile"`
	Rules   []ruleEntry `yaml:"rules"`
}

// ruleEntry has one of the keys that say what to do.
type ruleEntry struct {
	Pos        realm.Pos    `yaml:",pos"`
	Remove     []at[string] `yaml:"remove"`
	Keep       []at[string] `yaml:"keep"`
	Replace    at[string]   `yaml:"replace"`
	Set        at[string]   `yaml:"set"`
	Supplement at[string]   `yaml:"supplement"`
	Add        at[string]   `yaml:"add"`
	Location   at[string]   `yaml:"location"`
	Match      at[string]   `yaml:"match"`
	With       at[string]   `yaml:"with"`
	Value      at[string]   `yaml:"value"`
	On         []at[string] `yaml:"on"`
}

func (ruleEntry) KeyHint(key string) (text, hint string) {
	meant := map[string]string{
		"delete": "remove", "strip": "remove", "whitelist": "keep", "keep_only": "keep", "allow": "keep",
		"modify": "replace", "rewrite": "replace", "regexp": "match", "by": "with", "default": "supplement",
	}[key]
	if meant == "" {
		return "", ""
	}
	return "unknown key " + quote(key), "did you mean " + meant + "?"
}

// filters compiles the filters of all files. The ready ones can be used by their
// names as well.
func (l *loader) filters(all []source) {
	for name, f := range profiles() {
		l.filterNames[name] = f
	}
	for i := range all {
		for j := range all[i].Filters {
			e := &all[i].Filters[j]
			if e.Pos.Line == 0 || !l.name(e.Pos, e.Name) {
				continue
			}
			f := l.compileFilter(e, profiles())
			if first, twice := l.filterNames[f.Name]; twice {
				if first.Pos.File == "" {
					l.fail(e.Name.pos(e.Pos.File), "give it another name; profile: "+f.Name+" begins with the ready one", "%s is the name of a ready filter", quote(f.Name))
				} else {
					l.twice(e.Name.pos(e.Pos.File), first.Pos, "filter", f.Name)
				}
				continue
			}
			l.filterNames[f.Name] = f
			l.set.Filters = append(l.set.Filters, f)
		}
	}
}

func (l *loader) compileFilter(e *filterEntry, ready map[string]*realm.Filter) *realm.Filter {
	f := &realm.Filter{Name: strings.Clone(e.Name.v), Pos: e.Pos}
	own := 0
	if e.Profile.set() {
		if p := ready[e.Profile.v]; p != nil {
			f.Rules = append(f.Rules, p.Rules...)
			own = len(f.Rules)
		} else {
			l.fail(e.Profile.pos(e.Pos.File), meant(e.Profile.v, ready, "one of "+strings.Join(profileNames, ", ")), "profile: there is no profile %s", quote(e.Profile.v))
		}
	}
	for i := range e.Rules {
		if r, ok := l.rule(&e.Rules[i]); ok {
			l.contradicts(f.Rules[own:], &r)
			f.Rules = append(f.Rules, r)
		}
	}
	return f
}

// rule compiles one rule.
func (l *loader) rule(e *ruleEntry) (r realm.Rule, ok bool) {
	if e.Pos.Line == 0 {
		return r, false
	}
	r.Pos = e.Pos
	verbs := []struct {
		key    string
		action realm.Action
		names  []at[string]
	}{
		{"remove", realm.FilterRemove, e.Remove}, {"keep", realm.FilterKeep, e.Keep},
		{"replace", realm.FilterReplace, one(e.Replace)}, {"set", realm.FilterSet, one(e.Set)},
		{"supplement", realm.FilterSupplement, one(e.Supplement)}, {"add", realm.FilterAdd, one(e.Add)},
		{"location", realm.FilterLocation, one(e.Location)},
	}
	key, names := "", []at[string](nil)
	for _, v := range verbs {
		if len(v.names) == 0 {
			continue
		}
		if key != "" {
			l.fail(e.Pos, "write two rules: they are applied in their order", "a rule does one thing, not %s and %s", key, v.key)
			return r, false
		}
		key, names, r.Action = v.key, v.names, v.action
	}
	if key == "" {
		l.fail(e.Pos, "one of remove, keep, replace, set, supplement, add, location", "the rule does nothing")
		return r, false
	}
	before := len(l.report.held[Error])
	r.On = l.codes(e)
	l.surplus(e, &r, key)
	text := key + " "
	if r.Action == realm.FilterLocation {
		r.Location = choose(l, e.Pos, key, e.Location, realm.LocationCarry, []string{"carry", "coarse", "country", "strip"},
			realm.LocationCarry, realm.LocationCoarse, realm.LocationCountry, realm.LocationStrip)
		text += e.Location.v
	} else {
		text += l.attributes(e, &r, names)
	}
	r.Text = strings.Clone(text + codesText(r.On))
	return r, len(l.report.held[Error]) == before
}

func one(s at[string]) []at[string] {
	if !s.set() {
		return nil
	}
	return []at[string]{s}
}

// surplus refuses keys that do not go with what the rule does, and misses those
// that it needs.
func (l *loader) surplus(e *ruleEntry, r *realm.Rule, key string) {
	writes := r.Action == realm.FilterSet || r.Action == realm.FilterSupplement || r.Action == realm.FilterAdd
	for _, k := range []struct {
		name   string
		value  at[string]
		wanted bool
	}{
		{"value", e.Value, writes},
		{"match", e.Match, r.Action == realm.FilterReplace},
		{"with", e.With, r.Action == realm.FilterReplace},
	} {
		switch {
		case k.wanted && !k.value.set():
			l.fail(e.Pos, "", "%s wants %s", key, k.name)
		case !k.wanted && k.value.set():
			l.fail(k.value.pos(e.Pos.File), "", "%s does not go with %s", k.name, key)
		}
	}
}

// attributes reads the names that a rule is about, and what it does with them.
// It gives the rule for people.
func (l *loader) attributes(e *ruleEntry, r *realm.Rule, names []at[string]) string {
	var text []string
	for _, n := range names {
		a, fact, tag, bad, hint := attributeNamed(n.v)
		pos := n.pos(e.Pos.File)
		if bad == "" && tag != 0 && r.Action != realm.FilterSet && r.Action != realm.FilterSupplement && r.Action != realm.FilterAdd {
			bad, hint = "a tag goes with set, supplement and add", "write "+fact.Name
		}
		if bad == "" {
			r.Attributes = []realm.Attribute{a}
			bad, hint = r.Check()
		}
		if bad != "" {
			l.fail(pos, hint, "%s", bad)
			continue
		}
		text = append(text, a.Name)
		switch r.Action {
		case realm.FilterReplace:
			text[0] += l.expression(e, r, fact)
		case realm.FilterSet, realm.FilterSupplement, realm.FilterAdd:
			text[0] += l.value(e, r, fact, tag)
		}
	}
	r.Attributes = nil
	for _, n := range names {
		if a, _, _, bad, _ := attributeNamed(n.v); bad == "" {
			r.Attributes = append(r.Attributes, a)
		}
	}
	return strings.Join(text, ", ")
}

// expression reads match and with.
func (l *loader) expression(e *ruleEntry, r *realm.Rule, fact dict.Attr) string {
	if fact.Data != dict.String && fact.Data != dict.Octets {
		l.fail(e.Replace.pos(e.Pos.File), "use set", "%s is no text: an expression would see its octets", fact.Name)
		return ""
	}
	re, err := realm.CompileExpression(e.Match.v)
	if err != nil {
		l.fail(e.Match.pos(e.Pos.File), "RE2, as in Go; letters of both cases are alike", "match: %s", err)
		return ""
	}
	r.Match, r.With = re, strings.Clone(e.With.v)
	for _, group := range groupNames.FindAllStringSubmatch(e.With.v, -1) {
		name := group[1] + group[2]
		n, err := strconv.Atoi(name)
		switch {
		case group[0] == "$$":
		case name == "":
			l.fail(e.With.pos(e.Pos.File), "$1 is the first group, $$ a dollar", "with: a $ without a group")
		case err == nil && n > re.NumSubexp(), err != nil && re.SubexpIndex(name) < 0:
			l.fail(e.With.pos(e.Pos.File), fmt.Sprintf("the expression has %d; write ${1} where a letter or digit follows", re.NumSubexp()), "with: there is no group %s", quote(name))
		}
	}
	if len(e.With.v) > radius.MaxValue {
		l.fail(e.With.pos(e.Pos.File), "", "with: longer than an attribute")
	}
	return " " + strconv.Quote(e.Match.v) + " with " + strconv.Quote(e.With.v)
}

var groupNames = regexp.MustCompile(`\$(?:\$|(\w+)|\{(\w*)\})?`)

// value reads the value that a rule writes.
func (l *loader) value(e *ruleEntry, r *realm.Rule, fact dict.Attr, tag uint8) string {
	pos := e.Value.pos(e.Pos.File)
	text := e.Value.v
	if !e.Value.set() {
		return ""
	}
	shown := " = " + strconv.Quote(text)
	if tag != 0 {
		shown = ":" + strconv.Itoa(int(tag)) + shown
	}
	if !strings.Contains(text, "${") {
		octets, err := dict.EncodeValue(fact, tag, text)
		switch {
		case err != nil:
			l.fail(pos, valueHint(fact), "%s is no value of %s", quote(text), fact.Name)
		case len(octets) == 0:
			l.fail(pos, "use remove", "%s: an attribute without a value is none", fact.Name)
		}
		r.Value = []realm.Part{{Octets: octets}}
	} else {
		l.variables(e, r, fact, tag)
	}
	size := 0
	for _, p := range r.Value {
		size += len(p.Octets)
	}
	if most := mostOctets(&r.Attributes[0]); size > most {
		l.fail(pos, "", "%s: the value has %d octets, %d fit", fact.Name, size, most)
	}
	return shown
}

// mostOctets is what one attribute holds.
func mostOctets(a *realm.Attribute) int {
	most := radius.MaxValue
	switch a.Place {
	case realm.PlaceVendorSub:
		most -= 4 + 2
	case realm.PlaceExtended:
		most--
	case realm.PlaceExtendedVendor:
		most -= 1 + 4 + 1
	}
	if a.Place != realm.PlacePlain && a.Type >= radius.LongExtendedAttribute {
		most--
	}
	return most
}

func valueHint(fact dict.Attr) string {
	if fact.Data == dict.Integer || fact.Data == dict.Byte {
		return "a number, or the name of one"
	}
	return "its type is " + fact.Data.String() + "; 0x and hexadecimal digits are any octets"
}

// variables reads a value in which some stand.
func (l *loader) variables(e *ruleEntry, r *realm.Rule, fact dict.Attr, tag uint8) {
	pos := e.Value.pos(e.Pos.File)
	if fact.Data != dict.String && fact.Data != dict.Octets {
		l.fail(pos, "", "%s: variables are text, its type is %s", fact.Name, fact.Data)
		return
	}
	r.Value = nil
	if tag != 0 {
		r.Value = append(r.Value, realm.Part{Octets: []byte{tag}})
	}
	for text := e.Value.v; text != ""; {
		plain, rest, found := strings.Cut(text, "${")
		if plain != "" {
			r.Value = append(r.Value, realm.Part{Octets: []byte(plain)})
		}
		if !found {
			return
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			l.fail(pos, "write ${client}", "value: a variable without its closing brace")
			return
		}
		v, known := variableNamed(name)
		if !known {
			names := variableNames()
			hint := "one of " + strings.Join(names, ", ")
			if n := nearest(name, names); n != "" {
				hint = "did you mean ${" + n + "}?"
			}
			l.fail(pos, hint, "value: there is no variable %s", quote(name))
			return
		}
		r.Value = append(r.Value, realm.Part{Variable: v})
		text = after
	}
}

func variableNamed(name string) (realm.Variable, bool) {
	for v := realm.NoVariable + 1; v < realm.NumVariables; v++ {
		if v.String() == name {
			return v, true
		}
	}
	return 0, false
}

func variableNames() (names []string) {
	for v := realm.NoVariable + 1; v < realm.NumVariables; v++ {
		names = append(names, v.String())
	}
	return names
}

// filterCodes are the packets that pass filters, by the words of on:.
var filterCodes = []radius.Code{
	radius.AccessRequest, radius.AccessAccept, radius.AccessReject, radius.AccessChallenge, radius.AccountingRequest,
	radius.CoARequest, radius.CoAACK, radius.CoANAK, radius.DisconnectRequest, radius.DisconnectACK, radius.DisconnectNAK,
}

func codeWord(c radius.Code) string { return strings.ToLower(c.String()) }

func (l *loader) codes(e *ruleEntry) (on realm.Codes) {
	words := make([]string, len(filterCodes))
	for i, c := range filterCodes {
		words[i] = codeWord(c)
	}
	for _, w := range e.On {
		c := choose(l, e.Pos, "on", w, 0, words, filterCodes...)
		if c != 0 {
			on |= realm.CodesOf(c)
		}
	}
	if e.On != nil && len(e.On) == 0 {
		l.fail(e.Pos, "without the key it is for all packets", "on is an empty list")
	}
	return on
}

func codesText(on realm.Codes) string {
	var words []string
	for _, c := range filterCodes {
		if on != 0 && on.Has(c) {
			words = append(words, codeWord(c))
		}
	}
	if words == nil {
		return ""
	}
	return " on " + strings.Join(words, ", ")
}

// contradicts refuses a rule that undoes one in front of it, or can never act
// because of one.
func (l *loader) contradicts(rules []realm.Rule, r *realm.Rule) {
	for i := range rules {
		if why := rules[i].Contradicts(r); why != "" {
			l.fail(r.Pos, "the first is at "+rules[i].Pos.String(), "%s", why)
			return
		}
	}
}

// attributeNamed reads the name of an attribute: a name of the dictionary, with a tag
// behind a colon, a number (31, 26.14122.2, 241.8, 241.26.14122.1), or all of a
// vendor ("vendor 14122", "vendor WISPr").
func attributeNamed(text string) (a realm.Attribute, fact dict.Attr, tag uint8, bad, hint string) {
	if vendor, ok := strings.CutPrefix(text, "vendor "); ok {
		return allOfVendor(strings.TrimSpace(vendor))
	}
	name, tagText, tagged := strings.Cut(text, ":")
	if name != "" && strings.Trim(name, "0123456789.") == "" {
		if a, fact, ok := byNumber(name); ok && !tagged {
			return a, fact, 0, "", ""
		}
		return a, fact, 0, quote(text) + " is no number of an attribute", "such as 31, 26.14122.2 or 241.8"
	}
	fact, ok := dict.Lookup(name)
	if !ok {
		hint = "a name of the dictionary, or a number such as 31, 26.14122.2 or 241.8"
		if n := nearest(name, dict.Names()); n != "" {
			hint = "did you mean " + n + "?"
		}
		return a, fact, 0, "there is no attribute " + quote(name), hint
	}
	if tagged {
		n, err := strconv.ParseUint(tagText, 10, 8)
		if err != nil || n == 0 || n > 31 || !fact.Tagged {
			return a, fact, 0, quote(text) + ": it has no such tag", "1 to 31, and only for attributes of tunnels (RFC 2868)"
		}
		tag = uint8(n)
	}
	return placeOf(fact), fact, tag, "", ""
}

func allOfVendor(name string) (a realm.Attribute, fact dict.Attr, tag uint8, bad, hint string) {
	vendor, ok := dict.LookupVendor(name)
	if !ok {
		n, err := strconv.ParseUint(name, 10, 32)
		if vendor, ok = uint32(n), err == nil && n > 0; !ok {
			return a, fact, 0, "there is no vendor " + quote(name), "a name of the dictionary, or its number: vendor 14122"
		}
	}
	a = realm.Attribute{Name: "vendor " + dict.Vendor(vendor), Place: realm.PlaceVendor, Type: radius.VendorSpecific, Vendor: vendor}
	return a, dict.Attr{Name: a.Name}, 0, "", ""
}

// placeOf is the place of an attribute of the dictionary.
func placeOf(fact dict.Attr) realm.Attribute {
	a := realm.Attribute{Name: fact.Name, Type: fact.Type, Vendor: fact.Vendor, Sub: fact.Sub, Tagged: fact.Tagged}
	switch {
	case fact.Vendor != 0:
		a.Place = realm.PlaceVendorSub
	case fact.Inner:
		a.Place = realm.PlaceExtended
	}
	return a
}

// byNumber finds an attribute by its number. Long extended ones, and those of
// vendors in extended ones, are not in the dictionary.
func byNumber(text string) (a realm.Attribute, fact dict.Attr, ok bool) {
	part := strings.Split(text, ".")
	var n [4]uint64
	if len(part) > len(n) {
		return a, fact, false
	}
	for i, p := range part {
		bits := 8
		if i == len(part)-2 && i > 0 {
			bits = 32 // of a vendor
		}
		var err error
		if n[i], err = strconv.ParseUint(p, 10, bits); err != nil {
			return a, fact, false
		}
	}
	extended := n[0] >= uint64(radius.ExtendedAttribute1) && n[0] <= 246
	a = realm.Attribute{Type: radius.Type(n[0]), Sub: uint8(n[len(part)-1])}
	switch {
	case n[0] == 0 || a.Sub == 0:
		return a, fact, false
	case len(part) == 4 && extended && n[1] == uint64(radius.VendorSpecific) && n[2] > 0:
		a.Place, a.Vendor = realm.PlaceExtendedVendor, uint32(n[2])
	case len(part) == 2 && extended && n[0] >= uint64(radius.LongExtendedAttribute):
		a.Place = realm.PlaceExtended
	default:
		if fact, ok = dict.Lookup("Attr-" + text); ok {
			a = placeOf(fact)
		}
		return a, fact, ok
	}
	a.Name = text
	return a, dict.Attr{Name: text, Type: a.Type, Data: dict.Octets}, true
}

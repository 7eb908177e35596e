package radsecproxy

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// rewrite is a rewrite block: remove or keep, then modify, supplement, add.
type rewrite struct {
	*block
	keep            bool
	only            []attribute // removed, or kept
	modify          []*modify
	supplement, add []value
	ignored         []*option // of the list that the mode does not use
}

// attribute is a type, or that of a vendor.
type attribute struct {
	option *option
	vendor int // 0: plain
	number int // 256: all of the vendor
}

// name is the attribute as our files name it.
func (a attribute) name() string {
	switch {
	case a.vendor == 0:
		return strconv.Itoa(a.number)
	case a.number == 256:
		return "vendor " + strconv.Itoa(a.vendor)
	}
	return "26." + strconv.Itoa(a.vendor) + "." + strconv.Itoa(a.number)
}

type value struct {
	attribute
	octets []byte
}

// modify replaces the value of an attribute where it matches.
type modify struct {
	attribute
	pos  realm.Pos
	text string
	expr *migrate.ERE // nil: it has no like here
	with string
}

func (c *Config) rewrite(b *block) error {
	r := &rewrite{block: b}
	if o := b.get("whitelistmode"); o != nil {
		r.keep = o.on
	}
	for i := range b.opts {
		o := &b.opts[i]
		if err := r.line(o); err != nil {
			return err
		}
	}
	if c.rewrites[b.name] == nil {
		c.rewrites[b.name] = r
	}
	return nil
}

func (r *rewrite) line(o *option) error {
	vendor := strings.Contains(o.name, "vendor")
	bad := func(what string) error {
		return migrate.Refuse(o.pos, "addrewrite: %s invalid attribute %s", what, o.val)
	}
	switch o.name {
	case "whitelistmode":
	case "removeattribute", "removevendorattribute", "whitelistattribute", "whitelistvendorattribute":
		a, ok := parseAttribute(o.val, vendor)
		if strings.HasPrefix(o.name, "whitelist") != r.keep {
			r.ignored = append(r.ignored, o)
			return nil
		}
		if !ok {
			return bad("removing")
		}
		a.option = o
		r.only = append(r.only, a)
	case "modifyattribute", "modifyvendorattribute":
		number, rest, _ := strings.Cut(o.val, ":")
		m := parseModify(o.val)
		if vendor {
			if m = parseModify(rest); m != nil {
				m.vendor = atoi(number)
			}
		}
		if m == nil || vendor && m.vendor <= 0 {
			return bad("modifying")
		}
		m.option, m.pos = o, o.pos
		r.modify = append(r.modify, m)
	case "addattribute", "addvendorattribute", "supplementattribute", "supplementvendorattribute":
		v, ok := parseValue(o.val, vendor)
		if !ok {
			return bad("adding")
		}
		v.option = o
		if strings.HasPrefix(o.name, "add") {
			r.add = append(r.add, v)
		} else {
			r.supplement = append(r.supplement, v)
		}
	}
	return nil
}

func parseAttribute(s string, vendor bool) (a attribute, ok bool) {
	if !vendor {
		a.number = atoi(s)
		return a, a.number > 0 && a.number < 256
	}
	v, sub, one := strings.Cut(s, ":")
	a.vendor, a.number = atoi(v), 256
	if one {
		a.number = atoi(sub)
	}
	return a, a.vendor > 0 && (!one || a.number >= 0 && a.number < 256)
}

// parseValue reads number:value or vendor:number:value. A value that begins
// with a digit is a number of four octets, one that begins with ' is text.
func parseValue(s string, vendor bool) (v value, ok bool) {
	number, rest, ok := strings.Cut(s, ":")
	if !ok {
		return v, false
	}
	v.number = atoi(number)
	if vendor {
		if number, rest, ok = strings.Cut(rest, ":"); !ok {
			return v, false
		}
		if v.vendor, v.number = v.number, atoi(number); v.vendor <= 0 {
			return v, false
		}
	}
	if rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		n := uint32(atoi(rest))
		v.octets = []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	} else {
		v.octets = unescape(strings.TrimPrefix(rest, "'"), true)
	}
	room := 253
	if vendor {
		room = 247
	}
	return v, v.number > 0 && v.number < 256 && len(v.octets) <= room
}

// parseModify reads number:/expression/replacement/; nil if it is wrong.
func parseModify(s string) *modify {
	m := &modify{}
	const user = "user-name:/"
	if len(s) > len(user) && strings.EqualFold(s[:len(user)], user) {
		m.number, s = 1, s[len(user):]
	} else {
		number, rest, ok := strings.Cut(s, ":")
		m.number = atoi(number)
		if !ok || m.number < 1 || m.number > 255 || !strings.HasPrefix(rest, "/") {
			return nil
		}
		s = rest[1:]
	}
	s = strings.TrimSuffix(s, "/")
	at := -1
	for i := range len(s) {
		if s[i] == '/' && (i == 0 || s[i-1] != '\\') {
			at = i
			break
		}
	}
	if at < 0 {
		return nil
	}
	expr, err := migrate.ParseERE(s[:at])
	if errors.Is(err, migrate.ErrRefused) {
		return nil
	}
	m.text, m.expr, m.with = s[:at], expr, s[at+1:]
	return m
}

// apply gives what becomes of a value. A group that took no part leaves its
// number in the text, as in the original.
func (m *modify) apply(in []byte) []byte {
	if m.expr == nil {
		return in
	}
	text, _, _ := bytes.Cut(in, []byte{0}) // which the original takes for the end
	groups := m.expr.Submatch(text)
	if groups == nil {
		return in
	}
	var out []byte
	for i := 0; i < len(m.with); i++ {
		if m.with[i] == '\\' && i+1 < len(m.with) && m.with[i+1] >= '1' && m.with[i+1] <= '9' {
			if n := int(m.with[i+1] - '0'); n < len(groups) && groups[n] != nil {
				out = append(out, groups[n]...)
			} else {
				out = append(out, m.with[i:i+2]...)
			}
			i++
			continue
		}
		out = append(out, m.with[i])
	}
	return out
}

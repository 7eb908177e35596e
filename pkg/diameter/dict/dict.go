// Package dict knows what Diameter is called: names and types of AVPs, commands,
// applications and results, and a text form of whole messages. It serves people - log
// fields, the subcommands explain and send, test vectors - and is not on the way of a
// message, which is walked by the lengths on the wire and relayed unread.
//
// AVP, CommandName, AppName and ResultName give names; AVPNamed, CommandNamed and
// AppNamed find by name. Format writes a message as text and Parse reads it back to
// the same octets, whatever is wrong with them; Vectors reads a file of named messages.
//
// The facts are the readable tables beside it, *.txt. tables.go is generated from them
// (make gen), so that nothing is read at run time, and the tests hold them against the
// dictionaries of Wireshark and of go-diameter.
//
// Nothing here changes after the start, and everything is safe for concurrent use. What
// is given is the caller's; nothing is retained. A value that does not fit its type is
// shown in hex, and no group deeper than diameter.MaxDepth is taken apart.
//
// RFC 6733, 4072, 5447, 5778, 7155, 7683, 7944, 8506, 8583; TS 29.061, 29.128, 29.212,
// 29.229, 29.272, 29.273, 29.336, 29.338, 32.299. It checks no command's grammar.
package dict

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Type is the data type of an AVP (RFC 6733 sections 4.2 and 4.3). IPv4 and IPv6 are
// addresses without the family that an Address has: those that RADIUS had first.
type Type uint8

// The types.
const (
	OctetString Type = iota
	UTF8String
	DiameterIdentity
	DiameterURI
	IPFilterRule
	QoSFilterRule
	Unsigned32
	Unsigned64
	Integer32
	Integer64
	Float32
	Enumerated
	Time
	Address
	IPv4
	IPv6
	Grouped
	numTypes
)

var typeNames = [numTypes]string{
	"OctetString", "UTF8String", "DiameterIdentity", "DiameterURI", "IPFilterRule", "QoSFilterRule", "Unsigned32", "Unsigned64",
	"Integer32", "Integer64", "Float32", "Enumerated", "Time", "Address", "IPv4", "IPv6", "Grouped",
}

func (t Type) String() string { return typeNames[t] }

// Attr is what is known of an AVP.
type Attr struct {
	Code      uint32
	Vendor    uint32 // 0: the IETF's
	Type      Type
	Mandatory bool // one of ours has the M bit
	Name      string
}

// Command is what is known of a command.
type Command struct {
	Code  uint32
	App   uint32 // the application that it is most at home in
	Short string // without the R of a request or the A of an answer
	Name  string
}

// App is an application.
type App struct {
	ID   uint32
	Name string // what routing files and commands call it
	Long string
}

type vendor struct {
	id   uint32
	name string
}

type result struct {
	vendor, code uint32
	name         string
}

// value is the name of a value of an Enumerated AVP.
type value struct {
	code, vendor, number uint32
	name                 string
}

// AVP finds an AVP by number.
func AVP(code, vendor uint32) (a Attr, ok bool) {
	i, ok := slices.BinarySearchFunc(attrs[:], Attr{Code: code, Vendor: vendor}, compareAttrs)
	if !ok {
		return Attr{Code: code, Vendor: vendor, Name: number(code, vendor)}, false
	}
	return attrs[i], true
}

func compareAttrs(a, b Attr) int {
	return cmp.Or(cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(a.Code, b.Code))
}

func number(code, vendor uint32) string {
	if vendor == 0 {
		return fmt.Sprintf("AVP-%d", code)
	}
	return fmt.Sprintf("AVP-%d-%d", vendor, code)
}

// Name gives the name of an AVP; of one that nobody knows AVP-code or AVP-vendor-code.
func Name(code, vendor uint32) string {
	a, _ := AVP(code, vendor)
	return a.Name
}

// byName finds what has a name, in any case of its letters.
var byName = sync.OnceValue(func() map[string]int {
	m := make(map[string]int, len(attrs))
	for i := range attrs {
		m[strings.ToLower(attrs[i].Name)] = i
	}
	return m
})

// AVPNamed finds an AVP by name, in any case, or by what Name gives for an unknown one.
func AVPNamed(name string) (a Attr, ok bool) {
	if i, ok := byName()[strings.ToLower(name)]; ok {
		return attrs[i], true
	}
	rest, ok := cutPrefixFold(name, "AVP-")
	if !ok {
		return Attr{}, false
	}
	v, c := "0", rest
	if first, second, two := strings.Cut(rest, "-"); two {
		v, c = first, second
	}
	vn, err1 := strconv.ParseUint(v, 10, 32)
	cn, err2 := strconv.ParseUint(c, 10, 32)
	if err1 != nil || err2 != nil {
		return Attr{}, false
	}
	a, _ = AVP(uint32(cn), uint32(vn))
	return a, true
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// AVPs are all that are known, by vendor and code. The slice is not to be changed.
func AVPs() []Attr { return attrs[:] }

// Commands are all that are known, by code. The slice is not to be changed.
func Commands() []Command { return commands[:] }

// Apps are all that are known, by number. The slice is not to be changed.
func Apps() []App { return apps[:] }

// FindCommand finds a command by number.
func FindCommand(code uint32) (c Command, ok bool) {
	i, ok := slices.BinarySearchFunc(commands[:], code, func(c Command, code uint32) int { return cmp.Compare(c.Code, code) })
	if !ok {
		return Command{Code: code, Short: fmt.Sprintf("C-%d-", code)}, false
	}
	return commands[i], true
}

// CommandName gives the short name, ULR or ULA; of one that nobody knows C-code-R.
func CommandName(code uint32, request bool) string {
	c, _ := FindCommand(code)
	if request {
		return c.Short + "R"
	}
	return c.Short + "A"
}

// CommandNamed finds a command by its short name, as CommandName gives it, in any case.
func CommandNamed(name string) (c Command, request, ok bool) {
	if len(name) < 2 {
		return Command{}, false, false
	}
	short, last := name[:len(name)-1], name[len(name)-1]|0x20
	if last != 'r' && last != 'a' {
		return Command{}, false, false
	}
	for i := range commands {
		if strings.EqualFold(commands[i].Short, short) {
			return commands[i], last == 'r', true
		}
	}
	rest, ok := cutPrefixFold(short, "C-")
	rest, dash := strings.CutSuffix(rest, "-")
	n, err := strconv.ParseUint(rest, 10, 24)
	if !ok || !dash || err != nil {
		return Command{}, false, false
	}
	c, _ = FindCommand(uint32(n))
	return c, last == 'r', true
}

// AppName gives the short name of an application, or its number.
func AppName(id uint32) string {
	for i := range apps {
		if apps[i].ID == id {
			return apps[i].Name
		}
	}
	return strconv.FormatUint(uint64(id), 10)
}

// AppNamed finds an application by its short name, in any case, or its number.
func AppNamed(name string) (id uint32, ok bool) {
	for i := range apps {
		if strings.EqualFold(apps[i].Name, name) {
			return apps[i].ID, true
		}
	}
	n, err := strconv.ParseUint(name, 0, 32)
	return uint32(n), err == nil
}

// VendorName gives the name of a vendor, or its number.
func VendorName(id uint32) string {
	for _, v := range vendors {
		if v.id == id {
			return v.name
		}
	}
	return strconv.FormatUint(uint64(id), 10)
}

// ResultName gives the name of a Result-Code, vendor 0, or of an Experimental-Result-Code
// of a vendor, or its number.
func ResultName(vendor, code uint32) string {
	for i := range results {
		if r := &results[i]; r.vendor == vendor && r.code == code {
			return r.name
		}
	}
	return strconv.FormatUint(uint64(code), 10)
}

// ValueName gives the name of a value of an Enumerated AVP, "": it has none.
func ValueName(code, vendor, number uint32) string {
	for i := range values {
		if v := &values[i]; v.code == code && v.vendor == vendor && v.number == number {
			return v.name
		}
	}
	return ""
}

// ValueNamed finds a value of an Enumerated AVP by name, in any case.
func ValueNamed(code, vendor uint32, name string) (number uint32, ok bool) {
	for i := range values {
		if v := &values[i]; v.code == code && v.vendor == vendor && strings.EqualFold(v.name, name) {
			return v.number, true
		}
	}
	return 0, false
}

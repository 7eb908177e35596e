// Package dict knows what RADIUS attributes are called and how their values
// read: number, name, data type, tagged, hidden. It serves people - the
// subcommands explain and send, policy files, log fields - and is not on the
// way of a packet, which is never decoded by type.
//
// Name and VendorName give names, Lookup finds an attribute by name, Encode
// makes a raw attribute from text and Format text from a raw attribute; what
// Format prints, Encode takes. Hidden values are neither encoded (that takes a
// secret and an authenticator, see radius.Crypt) nor printed.
//
// The facts are the readable table in attributes.txt, read once on first use and
// checked against layeh.com/radius in the tests. All functions are safe for
// concurrent use and retain nothing.
//
// RFC 2865, 2866, 2867, 2868, 2869, 3162, 4372, 4675, 4818, 4849, 5176, 5580,
// 6911, 6929, 7268; the vendors Cisco, Microsoft (RFC 2548), 3GPP (TS 29.061),
// WISPr with the Wireless Broadband Alliance, and Wi-Fi Alliance.
package dict

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/roamgate/roamgate/pkg/radius"
)

// Data is how a value reads.
type Data uint8

const (
	Octets Data = iota
	String
	Integer
	Byte
	Date
	IPAddr
	IPv6Addr
	IPv6Prefix
	IfID
	VSA // a container; see Attr.Vendor for what is inside
)

var dataNames = []string{"octets", "string", "integer", "byte", "date", "ipaddr", "ipv6addr", "ipv6prefix", "ifid", "vsa"}

// String is the name of d in the table.
func (d Data) String() string { return dataNames[d] }

// Hidden is how a value is kept from the eyes of the network.
type Hidden uint8

const (
	Clear    Hidden = iota
	Password        // RFC 2865 section 5.2
	Salted          // RFC 2868 section 3.5
)

// Attr is what is known of one attribute.
type Attr struct {
	Name   string
	Type   radius.Type // VendorSpecific for a sub-attribute of Vendor
	Vendor uint32      // 0 for none
	Sub    uint8       // number inside Vendor or the extended attribute Type
	Inner  bool        // Sub counts: inside a vendor or an extended attribute
	Data   Data
	Tagged bool
	Hidden Hidden
}

type key struct {
	t      radius.Type
	inner  bool
	vendor uint32
	sub    uint8
}

func (a *Attr) key() key { return key{a.Type, a.Inner, a.Vendor, a.Sub} }

type table struct {
	byKey   map[key]*Attr
	byName  map[string]*Attr // lower case
	vendors map[uint32]string
	values  map[string]map[string]uint32 // attribute, lower-case name of a value
	labels  map[string]map[uint32]string // attribute, number of a value
}

//go:embed attributes.txt
var source string

var facts = sync.OnceValue(func() *table {
	t, err := read(source)
	if err != nil {
		panic("radius/dict: attributes.txt: " + err.Error()) // built in, proven by the tests
	}
	return t
})

// Name returns the name of attribute t, or "Attr-n".
func Name(t radius.Type) string {
	if a := facts().byKey[key{t: t}]; a != nil {
		return a.Name
	}
	return "Attr-" + strconv.Itoa(int(t))
}

// VendorName returns the name of sub-attribute t of vendor, or "Attr-26.v.n".
func VendorName(vendor uint32, t uint8) string {
	return innerName(key{radius.VendorSpecific, true, vendor, t})
}

func innerName(k key) string {
	if a := facts().byKey[k]; a != nil {
		return a.Name
	}
	if k.vendor == 0 {
		return fmt.Sprintf("Attr-%d.%d", k.t, k.sub)
	}
	return fmt.Sprintf("Attr-%d.%d.%d", k.t, k.vendor, k.sub)
}

// Vendor returns the name of a vendor, or its number.
func Vendor(vendor uint32) string {
	if name := facts().vendors[vendor]; name != "" {
		return name
	}
	return strconv.FormatUint(uint64(vendor), 10)
}

// Lookup finds an attribute by name, in any case, or by number as "Attr-n",
// "Attr-26.vendor.n" or "Attr-241.n", which is octets if the table knows none.
func Lookup(name string) (Attr, bool) {
	folded := strings.ToLower(name)
	if a := facts().byName[folded]; a != nil {
		return *a, true
	}
	if oid, ok := strings.CutPrefix(folded, "attr-"); ok {
		return lookupNumber(oid)
	}
	return Attr{}, false
}

func lookupNumber(oid string) (a Attr, ok bool) {
	part := strings.Split(oid, ".")
	t, err := strconv.ParseUint(part[0], 10, 8)
	if err != nil || len(part) > 3 {
		return Attr{}, false
	}
	a = Attr{Type: radius.Type(t), Inner: len(part) > 1}
	if len(part) > 1 {
		sub, err := strconv.ParseUint(part[len(part)-1], 10, 8)
		if err != nil {
			return Attr{}, false
		}
		a.Sub = uint8(sub)
	}
	if (len(part) == 3) != (a.Inner && a.Type == radius.VendorSpecific) || len(part) == 2 && !extended(a.Type) {
		return Attr{}, false
	}
	if len(part) == 3 {
		vendor, err := strconv.ParseUint(part[1], 10, 32)
		if err != nil || vendor == 0 {
			return Attr{}, false
		}
		a.Vendor = uint32(vendor)
	}
	if known := facts().byKey[a.key()]; known != nil {
		return *known, true
	}
	a.Name = innerName(a.key())
	if !a.Inner {
		a.Name = Name(a.Type)
	}
	return a, true
}

// extended reports whether t is a container with one octet of inner type and no
// flags (RFC 6929 section 2.1); the long form is left to octets.
func extended(t radius.Type) bool { return t >= 241 && t <= 244 }

// read parses the table.
func read(text string) (*table, error) {
	t := &table{
		byKey: map[key]*Attr{}, byName: map[string]*Attr{}, vendors: map[uint32]string{},
		values: map[string]map[string]uint32{}, labels: map[string]map[uint32]string{},
	}
	var at Attr // the section: vendor or extended attribute
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if err := t.line(&at, f); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return t, nil
}

func (t *table) line(at *Attr, f []string) error {
	switch {
	case f[0] == "attr" && len(f) >= 4:
		return t.attr(*at, f)
	case f[0] == "value" && len(f) == 4:
		return t.value(f[1], f[2], f[3])
	case f[0] == "vendor" && len(f) == 3:
		v, err := strconv.ParseUint(f[1], 10, 32)
		*at = Attr{Type: radius.VendorSpecific, Vendor: uint32(v), Inner: true}
		t.vendors[at.Vendor] = f[2]
		return err
	case f[0] == "extended" && len(f) == 2:
		v, err := strconv.ParseUint(f[1], 10, 8)
		*at = Attr{Type: radius.Type(v), Inner: true}
		return err
	}
	return fmt.Errorf("cannot read %q", f)
}

func (t *table) attr(a Attr, f []string) error {
	n, err := strconv.ParseUint(f[1], 10, 8)
	if err != nil {
		return err
	}
	if a.Inner {
		a.Sub = uint8(n)
	} else {
		a.Type = radius.Type(n)
	}
	a.Name = f[2]
	data := -1
	for i, name := range dataNames {
		if name == f[3] {
			data = i
		}
	}
	if data < 0 {
		return fmt.Errorf("no data type %q", f[3])
	}
	a.Data = Data(data)
	for _, flag := range f[4:] {
		switch flag {
		case "tag":
			a.Tagged = true
		case "hidden=password":
			a.Hidden = Password
		case "hidden=salted":
			a.Hidden = Salted
		default:
			return fmt.Errorf("no flag %q", flag)
		}
	}
	folded := strings.ToLower(a.Name)
	if t.byKey[a.key()] != nil || t.byName[folded] != nil {
		return fmt.Errorf("%s stands here twice", a.Name)
	}
	t.byKey[a.key()], t.byName[folded] = &a, &a
	return nil
}

func (t *table) value(attr, name, number string) error {
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return err
	}
	if t.byName[strings.ToLower(attr)] == nil {
		return fmt.Errorf("value of %s, which is not above", attr)
	}
	if t.values[attr] == nil {
		t.values[attr], t.labels[attr] = map[string]uint32{}, map[uint32]string{}
	}
	t.values[attr][strings.ToLower(name)], t.labels[attr][uint32(n)] = uint32(n), name
	return nil
}

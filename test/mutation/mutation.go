// Package mutation makes bad messages of Diameter out of good ones, one thing wrong with
// each: an AVP that is missing, twice, 64 times, in another place, of another length,
// with other flags or a value that its type cannot have; a header with another version,
// flags, application or command. It knows types and groups from pkg/diameter/dict and
// goes into groups, so that what it makes is near to what is right: most of it passes
// some of the checks.
//
// Every message that Each gives has a Message Length that is true and a multiple of
// four: the frame holds, and whoever closes a connection because of it has lost all
// that was under way. Unframed gives the headers of which that is not so.
//
// The octets are valid until the next one is made. It is for tests, in one goroutine.
package mutation

import (
	"encoding/binary"
	"fmt"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
)

// most bounds the octets of a message that is made; it is less than the hub takes.
const most = diameter.MaxLen

// node is an AVP that can be taken apart.
type node struct {
	code, vendor uint32
	flags        byte
	length       int // of the header, -1: the true one
	value        []byte
	group        []*node // nil: it is no group, or empty
	attr         dict.Attr
}

func read(avps []byte, depth int) (list []*node) {
	var a diameter.AVP
	for c := diameter.Walk(avps); c.Next(&a); {
		n := &node{code: a.Code, vendor: a.Vendor, flags: byte(a.Flags), length: -1, value: append([]byte{}, a.Data...)}
		n.attr, _ = dict.AVP(a.Code, a.Vendor)
		if n.attr.Type == dict.Grouped && depth < diameter.MaxDepth {
			n.group = read(a.Data, depth+1)
		}
		list = append(list, n)
	}
	return list
}

func write(b []byte, list []*node) []byte {
	for _, n := range list {
		start := len(b)
		b = binary.BigEndian.AppendUint32(b, n.code)
		b = append(b, n.flags, 0, 0, 0)
		if n.flags&0x80 != 0 {
			b = binary.BigEndian.AppendUint32(b, n.vendor)
		}
		if n.group != nil {
			b = write(b, n.group)
		} else {
			b = append(b, n.value...)
		}
		length := n.length
		if length < 0 {
			length = len(b) - start
		}
		b[start+5], b[start+6], b[start+7] = byte(length>>16), byte(length>>8), byte(length)
		b = append(b, make([]byte, -(len(b)-start)&3)...)
	}
	return b
}

// maker makes messages of one.
type maker struct {
	head [diameter.HeaderLen]byte
	top  []*node
	buf  []byte
	give func(name string, raw []byte) bool
	done bool
}

// say gives the message as it is now.
func (m *maker) say(format string, args ...any) {
	if m.done {
		return
	}
	m.buf = write(append(m.buf[:0], m.head[:]...), m.top)
	for len(m.buf)%4 != 0 {
		m.buf = append(m.buf, 0)
	}
	if len(m.buf) > most {
		return
	}
	m.buf[1], m.buf[2], m.buf[3] = byte(len(m.buf)>>16), byte(len(m.buf)>>8), byte(len(m.buf))
	m.done = !m.give(fmt.Sprintf(format, args...), m.buf)
}

// Each makes the mutations of a good message. It ends early where yield says false.
func Each(raw []byte, yield func(name string, raw []byte) bool) {
	m := &maker{top: read(raw[diameter.HeaderLen:], 0), give: yield}
	copy(m.head[:], raw)
	m.header()
	m.list("", &m.top)
	for _, n := range []int{17, 1000, 5000} {
		kept := m.top
		m.top = append(append([]*node{}, kept...), nested(n))
		m.say("Proxy-Info nested %d", n)
		m.top = kept
	}
}

// nested is Proxy-Info in Proxy-Info, written at once.
func nested(depth int) *node {
	value := make([]byte, 0, 8*depth)
	for i := depth - 1; i > 0; i-- {
		n := 8 * i
		value = append(value, 0, 0, 1, 28, 0x40, byte(n>>16), byte(n>>8), byte(n))
	}
	return &node{code: diameter.ProxyInfo, flags: 0x40, length: -1, value: value}
}

// header changes what is not an AVP.
func (m *maker) header() {
	kept := m.head
	again := func(name string, change func(h []byte)) {
		change(m.head[:])
		m.say("%s", name)
		m.head = kept
	}
	for _, bits := range []byte{0x80, 0x40, 0x20, 0x10, 0x0f, 0xff} {
		again(fmt.Sprintf("header bits %02x turned", bits), func(h []byte) { h[4] ^= bits })
	}
	for _, app := range []uint32{0, 2, 99999, 0xffffffff} {
		again(fmt.Sprintf("application %d", app), func(h []byte) { binary.BigEndian.PutUint32(h[8:], app) })
	}
	for _, command := range []uint32{0, 256, 280, 9999, 0xffffff} {
		again(fmt.Sprintf("command %d", command), func(h []byte) { h[5], h[6], h[7] = byte(command>>16), byte(command>>8), byte(command) })
	}
	top := m.top
	m.top = nil
	m.say("no AVPs")
	m.top = append(append([]*node{}, top...), &node{code: 0, flags: 0, length: 3})
	m.say("something behind the last AVP")
	m.top = top
}

// list changes the AVPs of a list, and of the groups in it.
func (m *maker) list(path string, list *[]*node) {
	all := *list
	for i, n := range all {
		name := path + n.attr.Name
		others := func(more ...*node) { // the list with something else in the place of n
			*list = append(append(append([]*node{}, all[:i]...), more...), all[i+1:]...)
		}
		others()
		m.say("%s missing", name)
		others(n, n)
		m.say("%s twice", name)
		many := make([]*node, 64)
		for j := range many {
			many[j] = n
		}
		others(many...)
		m.say("%s 64 times", name)
		*list = append(append(append([]*node{}, all[i+1:]...), all[:i]...), n)
		m.say("%s last", name)
		*list = all
		m.lengths(name, n)
		m.flags(name, n)
		m.values(name, n)
		if n.group != nil {
			m.list(name+" / ", &n.group)
		}
	}
}

func (m *maker) lengths(name string, n *node) {
	for _, length := range []int{0, 1, 4, 7, 8, 9, 11, 12, 13, 1000, 65535, 0xffffff} {
		n.length = length
		m.say("%s of length %d", name, length)
	}
	n.length = -1
}

func (m *maker) flags(name string, n *node) {
	kept := n.flags
	for _, bits := range []byte{0x80, 0x40, 0x20, 0x1f, 0xff} {
		n.flags = kept ^ bits
		m.say("%s with bits %02x turned", name, bits)
	}
	n.flags = kept
}

func (m *maker) values(name string, n *node) {
	value, group := n.value, n.group
	n.group = nil
	as := func(what string, v []byte) {
		n.value = v
		m.say("%s: %s", name, what)
	}
	as("nothing", nil)
	if len(value) > 0 {
		as("an octet less", value[:len(value)-1])
	}
	as("an octet more", append(append([]byte{}, value...), 0))
	as("one octet", []byte{0xff})
	as("4096 octets", make([]byte, 4096))
	switch n.attr.Type {
	case dict.UTF8String, dict.DiameterIdentity, dict.DiameterURI, dict.OctetString:
		as("NUL", append([]byte{'a', 0}, value...))
		as("no UTF-8", append([]byte{0xff, 0xfe}, value...))
		as("a line break", append([]byte("a\r\n"), value...))
		as("a path", []byte("../../etc/passwd"))
		as("a shell", []byte("$(id)@`id`;#RESULT=OK"))
		as("a format", []byte("%s%n%d{{.}}"))
		as("300 octets", []byte(fmt.Sprintf("%0300d", 0)))
	case dict.Grouped:
		as("octets that are no AVPs", []byte{0, 0, 1, 10, 0x40, 0xff, 0xff, 0xff, 1, 2, 3, 4})
	default:
		for _, c := range []byte{0, 0x7f, 0x80, 0xff} {
			v := make([]byte, len(value))
			for i := range v {
				v[i] = c
			}
			as(fmt.Sprintf("all octets %02x", c), v)
		}
	}
	n.value, n.group = value, group
}

// Unframed gives the beginnings of messages that no frame can be made of: each length
// below that of a header, each that is no multiple of four, and those beyond the most
// that is taken.
func Unframed() (list [][]byte) {
	for _, n := range []int{0, 1, 4, 7, 8, 12, 16, 18, 19, 21, 22, 23, 1001, diameter.MaxLen + 4, 0xfffffc, 0xffffff} {
		h := make([]byte, diameter.HeaderLen)
		h[0], h[1], h[2], h[3], h[4], h[6], h[7] = 1, byte(n>>16), byte(n>>8), byte(n), 0xc0, 1, 60
		list = append(list, h)
	}
	return list
}

// Readdress gives a message with another origin and destination, where it has one: as if
// a peer of a test had made it. A Destination-Host is left out where host is "".
func Readdress(raw []byte, originHost, originRealm, host, realm string) []byte {
	var m diameter.Message
	var w diameter.Writer
	w.Copy(make([]byte, len(raw)+4*256), raw)
	for _, c := range []struct {
		k     diameter.Known
		value string
	}{
		{diameter.KnownOriginHost, originHost}, {diameter.KnownOriginRealm, originRealm},
		{diameter.KnownDestinationHost, host}, {diameter.KnownDestinationRealm, realm},
	} {
		m.Parse(w.Finish())
		at, end := m.Span(c.k)
		switch {
		case at == 0:
		case c.value == "":
			w.Cut(at, end)
		default:
			w.Replace(at, []byte(c.value))
		}
	}
	return w.Finish()
}

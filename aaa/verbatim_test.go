package aaa

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/realm"
)

// strays are attributes that a hub has no business with, one after the other.
var strays = []struct {
	name string
	t    layeh.Type
	v    string
}{
	{"unknown", 200, "\x00\xff"},
	{"unknown without octets", 201, ""},
	{"a number of three octets", 61, "\x00\x00\x13"},
	{"an address of five", 4, "\x7f\x00\x00\x01\x00"},
	{"a vendor's that is too short", 26, "\x00\x00"},
	{"a vendor's whose inner length runs over", 26, "\x00\x00\x28\xaf\x01\x09x"},
	{"extended", 241, "\x05\xff"},
	{"extended without a type", 242, ""},
	{"extended vendor's", 243, "\x1a\x00\x00\x00\x09\x01x"},
	{"long extended, first", 245, "\x01\x80" + strings.Repeat("a", 251)},
	{"long extended, last", 245, "\x01\x00bb"},
	{"long extended of another, first", 246, "\x02\x80" + strings.Repeat("c", 251)},
	{"long extended of another, last", 246, "\x02\x00d"},
	{"long extended that never ends", 245, "\x03\x80e"},
	{"unknown again", 200, "\x01"},
}

func strayed(p *layeh.Packet) {
	for _, a := range strays {
		p.Add(a.t, layeh.Attribute(a.v))
	}
}

// straysIn gives the strays attributes of a packet in their order, each type and value
// as it stands.
func straysIn(p *layeh.Packet) (all []string) {
	is := map[layeh.Type]bool{}
	for _, a := range strays {
		is[a.t] = true
	}
	for _, a := range p.Attributes {
		if is[a.Type] {
			all = append(all, string(rune(a.Type))+string(a.Attribute))
		}
	}
	return all
}

func straysAsSent() (all []string) {
	for _, a := range strays {
		all = append(all, string(rune(a.t))+a.v)
	}
	return all
}

// What is unknown or has a bad value goes on as it came, in both directions and
// in accounting (C109); fragments of long extended attributes stay together and
// in order (C110); and a bad value costs its attribute its meaning, not the
// packet its way (C111).
func TestC109Verbatim(t *testing.T) {
	r := newRig(t, 1, nil)
	sent := r.ask(access("bob@home.example", strayed))
	h := r.atHome(0)
	assert.Equal(t, straysAsSent(), straysIn(h.Packet), "C109, C110: to the home")
	h.answer(layeh.CodeAccessAccept, strayed)
	assert.Equal(t, straysAsSent(), straysIn(r.got(sent)), "C109, C110: to the client")

	b := r.report(acctStop("bob@home.example", "s", strayed))
	r.recorded(1)
	a := r.atAcct(0)
	assert.Equal(t, straysAsSent(), straysIn(a.Packet), "C109, C111: in accounting")
	a.answer(layeh.CodeAccountingResponse)
	r.got(b)
	r.clean()
}

// A draft changes what it must and nothing else (C109, C110).
func TestC110FragmentsStayTogetherWhereAttributesChange(t *testing.T) {
	r := newRig(t, 1, hopped(7))
	sent := r.ask(access("bob@home.example", strayed))
	h := r.atHome(0)
	want := append(straysAsSent(), "\x1a\x00\x00\x6a\x7e\x01\x06\x00\x00\x00\x07")
	assert.Equal(t, want, straysIn(h.Packet))
	h.answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.clean()
}

// TestC105Names (C105): a name of 253 octets is routed, its realm is folded for
// looking it up, and the home gets the octets that came.
func TestC105Names(t *testing.T) {
	realmOf := "Home.Example"
	for _, name := range []string{
		"Bob@" + realmOf,
		strings.Repeat("x", 253-1-len(realmOf)) + "@" + realmOf,
		"m\u00fcller@" + realmOf,
		"mu\u0308ller@" + realmOf, // not composed, and it stays so
		"@" + realmOf,
	} {
		r := newRig(t, 1, nil)
		sent := r.ask(access(name))
		h := r.atHome(0)
		assert.Equal(t, []string{name}, values(h.Packet, rfc2865.UserName_Type))
		h.answer(layeh.CodeAccessAccept)
		r.got(sent)
		b := r.report(acctStop(name, "s"))
		r.recorded(1)
		a := r.atAcct(0)
		assert.Equal(t, []string{name}, values(a.Packet, rfc2865.UserName_Type))
		a.answer(layeh.CodeAccountingResponse)
		r.got(b)
		assert.Equal(t, "home.example", r.records()[0].Realm, "in records it is folded")
		r.clean()
	}
}

// TestC105NFC (C105): a realm is found in whichever form its characters are
// written, on either side, and the home gets the octets that came.
func TestC105NFC(t *testing.T) {
	composed, apart := "b\u00fccher.example", "bu\u0308cher.example"
	r := newRig(t, 1, func(s *realm.Set) {
		s.Routes = append(s.Routes, realm.Route{Realm: composed, Index: 4})
		s.Clients[0].Realms = realm.NewNames([]string{composed})
	})
	for _, name := range []string{"bob@" + composed, "bob@" + apart, "bob@B" + apart[1:]} {
		sent := r.ask(access(name))
		h := r.atHome(0)
		assert.Equal(t, []string{name}, values(h.Packet, rfc2865.UserName_Type))
		h.answer(layeh.CodeAccessAccept)
		r.got(sent)
		assert.Equal(t, composed, r.hub.Explain(Question{NAI: name, NASPortType: -1, RATType: -1}).Realm)
	}
	r.clean()
}

// TestC106Decorated (C106): a decorated name in a realm of ours goes on as the
// name it stands for, and is given back as it came; in another's it passes.
func TestC106Decorated(t *testing.T) {
	for _, tt := range []struct{ name, at, back string }{
		{"home.example!bob@own.example", "bob@home.example", "home.example!bob@own.example"},
		{"own.example!home.example!bob@own.example", "bob@home.example", "own.example!home.example!bob@own.example"},
		{"other.example!bob@home.example", "other.example!bob@home.example", "other.example!bob@home.example"},
	} {
		r := newRig(t, 1, func(s *realm.Set) { s.Identity.Own = realm.NewNames([]string{"own.example"}) })
		sent := r.ask(access(tt.name))
		h := r.atHome(0)
		require.Equal(t, []string{tt.at}, values(h.Packet, rfc2865.UserName_Type), tt.name)
		h.answer(layeh.CodeAccessAccept, with(rfc2865.UserName_Type, tt.at))
		assert.Equal(t, []string{tt.back}, values(r.got(sent), rfc2865.UserName_Type), tt.name)
		b := r.report(acctStop(tt.name, "s"))
		r.recorded(1)
		a := r.atAcct(0)
		assert.Equal(t, []string{tt.at}, values(a.Packet, rfc2865.UserName_Type), tt.name)
		a.answer(layeh.CodeAccountingResponse)
		r.got(b)
		r.clean()
	}
}

// TestC114NearerTheNAS (C114): what asks a network to hold a device off, or says
// that somebody nearer the NAS does so, is neither acted on nor taken out: it
// passes in both directions, and each request of a rejected device is asked
// anew. The code points are not assigned; any type stands for them.
func TestC114NearerTheNAS(t *testing.T) {
	r := newRig(t, 1, nil)
	capability, delay := with(242, "\x07\x00\x00\x00\x01"), with(242, "\x08\x00\x00\x00\x1e")
	for range 2 {
		sent := r.ask(access("bob@home.example", with(31, "02-00-5E-10-00-01"), capability))
		h := r.atHome(0)
		assert.Equal(t, []string{"\x07\x00\x00\x00\x01"}, values(h.Packet, 242), "the capability passes")
		h.answer(layeh.CodeAccessChallenge, with(24, "s"), delay)
		assert.Equal(t, []string{"\x08\x00\x00\x00\x1e"}, values(r.got(sent), 242), "so does what it is asked for")

		again := r.ask(access("bob@home.example", with(31, "02-00-5E-10-00-01"), capability))
		r.atHome(0).answer(layeh.CodeAccessReject)
		assert.Equal(t, layeh.CodeAccessReject, r.got(again).Code, "nothing is held here")
	}
	r.clean()
}

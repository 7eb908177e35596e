package aaa

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// unheard offers octets that must vanish: the client hears nothing, nor does
// the home.
func unheard(s listen.Service, b func(r *rig) []byte) func(*rig) {
	return func(r *rig) {
		r.offer(s, b(r))
		r.silent()
		r.quietHome(0)
	}
}

// packet is a header with attributes as they are.
func packet(code byte, length int, attributes ...byte) []byte {
	b := append(make([]byte, 20), attributes...)
	b[0], b[1] = code, 77
	binary.BigEndian.PutUint16(b[2:], uint16(length))
	return b
}

// malformations are the datagrams of hostile-input rows R001-R034 that have a
// reason of their own.
func malformations() []struct {
	name string
	why  radius.Reason
	b    []byte
} {
	ma := append([]byte{80, 18}, make([]byte, 16)...)
	return []struct {
		name string
		why  radius.Reason
		b    []byte
	}{
		{"R001 nothing", radius.TooShort, nil},
		{"R002 one octet", radius.TooShort, []byte{1}},
		{"R003 nineteen octets", radius.TooShort, packet(1, 20)[:19]},
		{"length 19", radius.LengthField, packet(1, 19)},
		{"length 0", radius.LengthField, packet(1, 0)},
		{"length 4097", radius.TooLong, packet(1, 4097, make([]byte, 4077)...)},
		{"length beyond the datagram", radius.Truncated, packet(1, 30)},
		{"R024 code 0", radius.BadCode, packet(0, 20)},
		{"R025 code 255", radius.BadCode, packet(255, 20)},
		{"R016 attribute length 0", radius.AttrLength, packet(1, 24, 1, 0, 0, 0)},
		{"R017 attribute length 1", radius.AttrLength, packet(1, 24, 1, 1, 0, 0)},
		{"R018 length 0 at the end", radius.AttrLength, packet(1, 26, 1, 4, 'b', 'o', 1, 0)},
		{"R020 attribute past the end", radius.AttrOverrun, packet(1, 32, append([]byte{31, 255}, make([]byte, 10)...)...)},
		{"one octet of an attribute", radius.AttrOverrun, packet(1, 21, 1)},
		{"A5 an empty concat attribute", radius.AttrLength, packet(1, 22, 79, 2-1)},
		{"201 attributes", radius.TooManyAttributes, packet(1, 20+2*201, []byte(strings.Repeat("\x12\x02", 201))...)},
		{"R034 two Message-Authenticators", radius.DuplicateMA, packet(1, 56, append(ma, ma...)...)},
		{"Message-Authenticator of 15 octets", radius.MALength, packet(1, 37, append([]byte{80, 17}, make([]byte, 15)...)...)},
	}
}

func malformedRequests() (all []provocation) {
	for _, m := range malformations() {
		for s := listen.Auth; s <= listen.Acct; s++ {
			all = append(all, provocation{
				name: m.name + " to " + s.String(), why: ofRadius(m.why), place: dropped,
				what: unheard(s, func(*rig) []byte { return m.b }),
			})
		}
	}
	return all
}

func spoil(b []byte, at int) []byte { b[at] ^= 1; return b }

func unauthenticRequests() []provocation {
	full := func() *layeh.Packet { return access(atHomeExa, withPassword(secretPass)) }
	signed := func(edits ...edit) func(*rig) []byte {
		return func(r *rig) []byte {
			p := full()
			for _, e := range edits {
				e(p)
			}
			return encode(r.t, p, true)
		}
	}
	unsigned := func(edits ...edit) func(*rig) []byte {
		return func(r *rig) []byte {
			p := full()
			for _, e := range edits {
				e(p)
			}
			return encode(r.t, p, false)
		}
	}
	stop := func(r *rig) []byte { return encode(r.t, acctStop(atHomeExa, "s"), false) }
	return []provocation{
		{name: "R030 another network", why: UnknownClient, place: strange,
			setup: setup{edit: func(s *realm.Set) { s.Clients[0].Prefixes[0] = netip.MustParsePrefix("192.0.2.0/24") }},
			what:  unheard(listen.Auth, signed())},
		{name: "R026 Access-Accept", why: CodeNotServed, place: dropped, what: unheard(listen.Auth, func(*rig) []byte { return packet(2, 20) })},
		{name: "R027 Access-Challenge", why: CodeNotServed, place: dropped, what: unheard(listen.Auth, func(*rig) []byte { return packet(11, 20) })},
		{name: "Access-Request at the accounting port", why: CodeNotServed, place: dropped, what: unheard(listen.Acct, signed())},
		{name: "Accounting-Request at the other port", why: CodeNotServed, place: dropped, what: unheard(listen.Auth, stop)},
		{name: "CoA-Request", why: CodeNotServed, place: dropped, what: unheard(listen.Auth, func(*rig) []byte { return packet(43, 20) })},
		{name: "changed authenticator", why: BadMessageAuthenticator, place: dropped,
			what: unheard(listen.Auth, func(r *rig) []byte { return spoil(signed()(r), 4) })},
		{name: "changed attribute", why: BadMessageAuthenticator, place: dropped,
			what: unheard(listen.Auth, func(r *rig) []byte { return spoil(signed()(r), 23) })},
		{name: "changed in accounting", why: BadMessageAuthenticator, place: dropped,
			what: unheard(listen.Acct, func(r *rig) []byte {
				p := acctStop(atHomeExa, "s")
				_ = rfc2869.MessageAuthenticator_Set(p, []byte("0123456789abcdef"))
				return encode(r.t, p, false)
			})},
		{name: "none, but required", why: MissingMessageAuthenticator, place: dropped, what: unheard(listen.Auth, unsigned())},
		{name: "R035 EAP without one", why: EAPWithoutMessageAuthenticator, place: dropped, setup: setup{edit: lax},
			what: unheard(listen.Auth, func(r *rig) []byte { return encode(r.t, access(atHomeExa, withEAP(3)), false) })},
		{name: "R036 Proxy-State without one", why: UnsignedProxyState, place: dropped,
			setup: setup{edit: func(s *realm.Set) { s.Clients[0].RequireMessageAuthenticator = false }},
			what:  unheard(listen.Auth, unsigned(with(rfc2865.ProxyState_Type, "p")))},
		{name: "wrong", why: BadRequestAuthenticator, place: dropped, what: unheard(listen.Acct, func(r *rig) []byte { return spoil(stop(r), 9) })},
		{name: "zero", why: BadRequestAuthenticator, place: dropped,
			what: unheard(listen.Acct, func(r *rig) []byte { b := stop(r); clear(b[4:20]); return b })},
		{name: "R040 User-Password", why: EAPWithPassword, place: dropped, what: unheard(listen.Auth, signed(withEAP(1)))},
		{name: "CHAP-Password", why: EAPWithPassword, place: dropped,
			what: unheard(listen.Auth, func(r *rig) []byte {
				return encode(r.t, access(atHomeExa, withEAP(1), with(rfc2865.CHAPPassword_Type, "0123456789abcdef!")), true)
			})},
	}
}

func statusRequests() []provocation {
	asked := func(ma bool, edits ...edit) func(*rig) []byte {
		return func(r *rig) []byte { return encode(r.t, statusServer(edits...), ma) }
	}
	return []provocation{
		{name: "R128", why: StatusWithoutMessageAuthenticator, place: dropped, what: unheard(listen.Auth, asked(false))},
		{name: "R129 User-Password", why: StatusWithPassword, place: dropped, what: unheard(listen.Auth, asked(true, with(rfc2865.UserPassword_Type, "0123456789abcdef")))},
		{name: "CHAP-Password", why: StatusWithPassword, place: dropped, what: unheard(listen.Acct, asked(true, with(rfc2865.CHAPPassword_Type, "0123456789abcdef!")))},
		{name: "EAP", why: StatusWithPassword, place: dropped, what: unheard(listen.Auth, asked(true, withEAP(1)))},
		{name: "wrong in Status-Server", why: BadMessageAuthenticator, place: dropped,
			what: unheard(listen.Auth, func(r *rig) []byte { return spoil(asked(true)(r), 4) })},
		{name: "R131 a thousand a second", why: StatusRate, place: dropped, count: 1000 - statusRate, what: manyProbes},
	}
}

// manyProbes floods from one client while another one goes on being answered.
func manyProbes(r *rig) {
	r.apply(func(s *realm.Set) {
		other := s.Clients[0]
		other.Name, other.Prefixes = "other", []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
		s.Clients = append(s.Clients, other)
	})
	b := encode(r.t, statusServer(), true)
	for range 1000 {
		r.inject(listen.Auth, b, addrOf(r.nas))
	}
	r.inject(listen.Auth, b, netip.MustParseAddrPort("127.0.0.2:1812"))
	r.settleDown()
	answered := func(client string) int {
		return r.value("roamgate_responses_total", "client", client, "kind", "status")
	}
	assert.Equal(r.t, statusRate, answered("visited"))
	assert.Equal(r.t, 1, answered("other"), "another client has a budget of its own")
	r.pass(1e9)
	r.offer(listen.Auth, b)
	require.Equal(r.t, statusRate+1, answered("visited"), "the next second is another one")
}

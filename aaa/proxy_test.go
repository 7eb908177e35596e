package aaa

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2868"
	"layeh.com/radius/vendors/microsoft"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

// setStates replaces the Proxy-States of a reply.
func setStates(values ...string) edit {
	return func(p *layeh.Packet) {
		p.Del(rfc2865.ProxyState_Type)
		with(rfc2865.ProxyState_Type, values...)(p)
	}
}

// C1: one Proxy-State of ours goes out, behind all others, and whatever the
// home does with it, the client gets back its own.
func TestC01OwnProxyState(t *testing.T) {
	tests := []struct {
		name    string
		back    func(ours string) []string
		missing int
	}{
		{"as it came", func(o string) []string { return []string{"first", "second", o} }, 0},
		{"reordered", func(o string) []string { return []string{o, "second", "first"} }, 0},
		{"dropped", func(string) []string { return []string{"first", "second"} }, 1},
		{"all dropped", func(string) []string { return nil }, 1},
		{"duplicated", func(o string) []string { return []string{"first", o, "second", o} }, 0},
		{"forged", func(o string) []string {
			return []string{"first", "second", o[:len(o)-1] + string([]byte{o[len(o)-1] ^ 1})}
		}, 1},
		{"with one more", func(o string) []string { return []string{"first", "second", o, "the home's"} }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			sent := r.ask(access("bob@home.example", with(rfc2865.ProxyState_Type, "first", "second")))
			h := r.atHome(0)
			require.Equal(t, []string{"first", "second"}, states(h.Packet)[:2])
			require.Len(t, states(h.Packet), 3)
			last := h.Attributes[len(h.Attributes)-1]
			require.EqualValues(t, rfc2865.ProxyState_Type, last.Type, "ours is behind all others")
			h.answer(layeh.CodeAccessAccept, setStates(tt.back(states(h.Packet)[2])...))
			assert.Equal(t, []string{"first", "second"}, states(r.got(sent)))
			assert.Equal(t, tt.missing, byHome.count(r, MissingProxyState))
			r.clean()
		})
	}
}

// oddities are attributes that a proxy has no opinion on: malformed, unknown
// and of other people's vendors (hostile-input R045, R077-R083, A4).
var oddities = []struct {
	t layeh.Type
	v string
}{
	{rfc2865.Class_Type, "one"}, {rfc2865.State_Type, "\x00state\xff"}, {rfc2865.Class_Type, ""}, {26, ""}, {26, "\x00\x00\x01\x37"},
	{26, "\x00\x00\x01\x37\x10\xff\x00"}, {26, "\x00\x00\x01\x37\x10\x00"}, {26, "\x00\x00\x60\xb5\x2c\x04\x80\x00"}, {26, "\x00\x00\x60\xb5\x2c\xfa\x00"},
	{4, "12345"}, {200, "unknown"}, {241, "\x01extended"}, {245, "\x01\x80fragment"}, {245, "\x01\x00fragment"}, {255, ""}, {rfc2865.Class_Type, "two"},
	{69, ""}, {69, "\x00"}, {69, "\x00\x80"}, {31, "02-00-5e-10-00-01"}, {30, "AA-BB-CC-DD-EE-FF:Roam"}, {89, "\x00"},
}

func odd(p *layeh.Packet) {
	for _, a := range oddities {
		p.Add(a.t, layeh.Attribute(a.v))
	}
}

// rest is what is neither Message-Authenticator nor Proxy-State, in order.
func rest(p *layeh.Packet) (all []string) {
	for _, a := range p.Attributes {
		if a.Type != 80 && a.Type != rfc2865.ProxyState_Type {
			all = append(all, string(rune(a.Type))+string(a.Attribute))
		}
	}
	return all
}

// C2, C4, C28: what is not ours to change arrives octet for octet and in
// order, in both directions.
func TestC02Verbatim(t *testing.T) {
	r := newRig(t, 1, nil)
	p := access("bob@home.example", odd)
	want := rest(p)
	sent := r.ask(p)
	h := r.atHome(0)
	assert.Equal(t, want, rest(h.Packet))
	h.answer(layeh.CodeAccessAccept, odd)
	nul := slices.Index(want, "\x59\x00")
	assert.Equal(t, slices.Delete(slices.Clone(want), nul, nul+1)[1:], rest(r.got(sent)), "but for a NUL in the place of a CUI (C107)")

	sent = r.ask(access("bob@home.example", with(rfc2865.State_Type, "s")))
	r.atHome(0).answer(layeh.CodeAccessChallenge, odd)
	assert.Equal(t, want[1:], rest(r.got(sent)))
	r.clean()
}

// C3: every Proxy-State of the client goes back in order, also into what the
// hub answers itself; C2: none of them decides anything.
func TestC03ProxyStatesReturn(t *testing.T) {
	many := []string{"", "\x00", "bob@elsewhere.example", strings.Repeat("x", 253), "twice", "twice"}
	for _, tt := range []struct {
		name, user string
		edits      []edit
		code       layeh.Code
	}{
		{"accept", "bob@home.example", nil, layeh.CodeAccessAccept},
		{"our reject", "bob@nowhere.example", nil, layeh.CodeAccessReject},
		{"our reject in EAP", "bob@nowhere.example", []edit{withEAP(1)}, layeh.CodeAccessReject},
		{"our challenge", "", []edit{with(79, "")}, layeh.CodeAccessChallenge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			sent := r.ask(access(tt.user, append(tt.edits, with(rfc2865.ProxyState_Type, many...))...))
			if tt.code == layeh.CodeAccessAccept {
				r.atHome(0).answer(tt.code, setStates())
			}
			p := r.got(sent)
			assert.Equal(t, tt.code, p.Code)
			assert.Equal(t, many, states(p))
			r.clean()
		})
	}
	t.Run("Accounting-Response", func(t *testing.T) {
		r := newRig(t, 1, nil)
		b := r.report(acctStop("bob@local.example", "s", with(rfc2865.ProxyState_Type, many...)))
		r.recorded(1)
		assert.Equal(t, many, states(r.got(b)))
	})
	t.Run("Status-Server", func(t *testing.T) {
		r := newRig(t, 1, nil)
		b := r.ask(statusServer(with(rfc2865.ProxyState_Type, many...)))
		assert.Equal(t, many, states(r.got(b)))
	})
}

// C4: the order of attributes of one type is kept wherever others stand
// between them.
func TestC04Order(t *testing.T) {
	r := newRig(t, 1, nil)
	mixed := func(p *layeh.Packet) {
		for i := range 20 {
			with(rfc2865.Class_Type, string(rune('a'+i)))(p)
			with(rfc2865.ReplyMessage_Type, string(rune('A'+i)))(p)
		}
	}
	p := access("bob@home.example", mixed)
	want := rest(p)
	sent := r.ask(p)
	h := r.atHome(0)
	assert.Equal(t, want, rest(h.Packet))
	h.answer(layeh.CodeAccessAccept, mixed)
	assert.Equal(t, want[1:], rest(r.got(sent)))
}

// C5: the home reads the password that the NAS hid under another secret.
func TestC05UserPassword(t *testing.T) {
	r := newRig(t, 1, nil)
	for _, n := range []int{0, 1, 15, 16, 17, 128} {
		password := strings.Repeat("p", n)
		sent := r.ask(access("bob@home.example", withPassword(password)))
		h := r.atHome(0)
		assert.Equal(t, password, rfc2865.UserPassword_GetString(h.Packet), "%d octets", n)
		h.answer(layeh.CodeAccessAccept)
		r.got(sent)
	}
	r.clean()
}

// C6: a challenge that was the Request Authenticator becomes an attribute;
// one that is an attribute stays.
func TestC06CHAP(t *testing.T) {
	r := newRig(t, 1, nil)
	const response = "\x07sixteen-octets!!"
	for _, tt := range []struct {
		name  string
		edits []edit
		want  func(p *layeh.Packet) []string
	}{
		{"in the authenticator", nil, func(p *layeh.Packet) []string { return []string{string(p.Authenticator[:])} }},
		{"in an attribute", []edit{with(60, "a challenge")}, func(*layeh.Packet) []string { return []string{"a challenge"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := access("bob@home.example", append(tt.edits, with(rfc2865.CHAPPassword_Type, response))...)
			sent := r.ask(p)
			h := r.atHome(0)
			assert.Equal(t, []string{response}, values(h.Packet, rfc2865.CHAPPassword_Type))
			assert.Equal(t, tt.want(p), values(h.Packet, 60))
			assert.NotEqual(t, p.Authenticator, h.Authenticator)
			h.answer(layeh.CodeAccessAccept)
			r.got(sent)
		})
	}
}

// C7, C35: replies that are not authentic change nothing: the request goes on
// waiting, its timer fires when it would have, the home's health stays, and
// the true answer comes through under the client's Identifier.
func TestC07BadReplyChangesNothing(t *testing.T) {
	r := newRig(t, 2, nil)
	sent := r.ask(access("bob@home.example", withID(200)))
	h := r.atHome(0)
	due := r.inFlight().rt
	forge := func(at int) {
		other := *h
		other.at = r.homes[at]
		other.say(spoil(h.reply(layeh.CodeAccessAccept), 12))
	}
	for range 3 {
		forge(0) // right address, wrong authenticator
		forge(1) // another home
	}
	b := h.reply(layeh.CodeAccessAccept)
	b[1] ^= 1
	h.say(b)
	r.silent()
	health, cause := r.state(0, home.Auth).Health()
	assert.Equal(t, home.Up, health)
	assert.Equal(t, home.Well, cause)
	assert.Zero(t, r.state(1, home.Auth).LastAnswer())
	r.pass(time.Duration(due) - 2*time.Millisecond)
	r.quietHome(0)
	r.pass(4 * time.Millisecond)
	assert.Equal(t, h.raw, r.atHome(0).raw, "repeated when it was due")
	h.answer(layeh.CodeAccessAccept)
	assert.EqualValues(t, 200, r.got(sent).Identifier)
	r.clean()
}

// C8: octets behind Length are padding, in requests and in replies; what is
// shorter or longer than it says is dropped (TestReasons has all lengths).
func TestC08Lengths(t *testing.T) {
	r := newRig(t, 1, nil)
	b := encode(t, access("bob@home.example", withPassword("x")), true)
	r.offer(listen.Auth, append(b[:len(b):len(b)], "padding!"...))
	h := r.atHome(0)
	h.say(append(h.reply(layeh.CodeAccessAccept), make([]byte, 4096)...))
	assert.Equal(t, layeh.CodeAccessAccept, r.got(b).Code)
	for _, m := range malformations() {
		r.offer(listen.Auth, m.b)
	}
	r.silent()
	r.quietHome(0)
	r.clean()
}

// C9: the secret is that of the longest prefix around the source address,
// whatever the packet says of itself.
func TestC09Secret(t *testing.T) {
	const other = "another-secret-0123456789abcdef0"
	r := newRig(t, 1, func(s *realm.Set) {
		s.Clients = append(s.Clients, s.Clients[0])
		s.Clients[1].Name, s.Clients[1].Secret = "inner", realm.Secret(other)
		s.Clients[1].Prefixes = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	})
	outer, inner := netip.MustParseAddrPort("127.0.0.3:1000"), netip.MustParseAddrPort("127.0.0.2:1000")
	ask := func(secret string, from netip.AddrPort) {
		p := access("bob@home.example", with(rfc2865.NASIdentifier_Type, "visited"), with(4, "\x7f\x00\x00\x03"))
		p.Secret = []byte(secret)
		r.inject(listen.Auth, encode(t, p, true), from)
	}
	ask(visitedSecret, inner)
	ask(other, outer)
	assert.Zero(t, r.shard.slab.used)
	ask(visitedSecret, outer)
	ask(other, inner)
	assert.Equal(t, 2, r.shard.slab.used)
	assert.Equal(t, 1, r.value("roamgate_dropped_total", "client", "inner"))
	assert.Equal(t, 1, r.value("roamgate_dropped_total", "client", "visited"))
}

// C10: what is repeated unchanged keeps Identifier and authenticator; what
// goes to another home is another request.
func TestC10Retransmission(t *testing.T) {
	r := newRig(t, 2, impatient)
	sent := r.ask(access("bob@home.example", withPassword("pw")))
	first := r.atHome(0)
	r.pass(1200 * time.Millisecond)
	assert.Equal(t, first.raw, r.atHome(0).raw)
	r.kill(0, home.Auth)
	r.pass(3 * time.Second)
	moved := r.atHome(1)
	assert.NotEqual(t, first.Authenticator, moved.Authenticator)
	assert.Equal(t, "pw", rfc2865.UserPassword_GetString(moved.Packet))
	moved.answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	assert.Equal(t, 1, r.value("roamgate_failovers_total"))
}

// C11, C12: what the home hides for us is hidden again for the client, with
// salts of our own.
func TestC11HiddenAttributes(t *testing.T) {
	r := newRig(t, 1, nil)
	sent := r.ask(access("bob@home.example"))
	h := r.atHome(0)
	send, recv := strings.Repeat("S", 32), strings.Repeat("R", 32)
	h.answer(layeh.CodeAccessAccept, func(p *layeh.Packet) {
		require.NoError(t, rfc2868.TunnelPassword_AddString(p, 1, "tunnel one"))
		require.NoError(t, rfc2868.TunnelPassword_AddString(p, 2, strings.Repeat("t", 200)))
		require.NoError(t, microsoft.MSMPPESendKey_Set(p, []byte(send)))
		require.NoError(t, microsoft.MSMPPERecvKey_Set(p, []byte(recv)))
	})
	p := r.got(sent)
	tags, passwords, err := rfc2868.TunnelPassword_GetStrings(p, p)
	require.NoError(t, err)
	assert.Equal(t, []byte{1, 2}, tags)
	assert.Equal(t, []string{"tunnel one", strings.Repeat("t", 200)}, passwords)
	assert.Equal(t, send, string(microsoft.MSMPPESendKey_Get(p, p)))
	assert.Equal(t, recv, string(microsoft.MSMPPERecvKey_Get(p, p)))
	requireSalts(t, p)
}

func TestC12MPPEKeys(t *testing.T) {
	// C12: every length a key can have, and none at all.
	r := newRig(t, 1, nil)
	for _, n := range []int{1, 15, 16, 31, 32, 64} {
		sent := r.ask(access("bob@home.example"))
		key := strings.Repeat("k", n)
		r.atHome(0).answer(layeh.CodeAccessAccept, func(p *layeh.Packet) {
			require.NoError(t, microsoft.MSMPPESendKey_Set(p, []byte(key)))
			require.NoError(t, microsoft.MSMPPERecvKey_Set(p, []byte(key)))
		})
		p := r.got(sent)
		assert.Equal(t, key, string(microsoft.MSMPPESendKey_Get(p, p)), "%d octets", n)
		assert.Equal(t, key, string(microsoft.MSMPPERecvKey_Get(p, p)), "%d octets", n)
		requireSalts(t, p)
	}
	r.clean()
}

// requireSalts asserts that the salts have their high bit and differ.
func requireSalts(t *testing.T, p *layeh.Packet) {
	t.Helper()
	seen := map[uint16]bool{}
	for _, a := range p.Attributes {
		var salt uint16
		switch a.Type {
		case rfc2868.TunnelPassword_Type:
			salt = binary.BigEndian.Uint16(a.Attribute[1:])
		case 26:
			salt = binary.BigEndian.Uint16(a.Attribute[6:])
		default:
			continue
		}
		assert.NotZero(t, salt&0x8000, "the high bit of a salt")
		assert.False(t, seen[salt], "a salt is used once in a packet")
		seen[salt] = true
	}
	require.NotEmpty(t, seen)
}

package aaa

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

// C41, C47: Status-Server is answered for the hub itself, by what the port
// offers, signed, and never forwarded.
func TestC41StatusServer(t *testing.T) {
	r := newRig(t, 1, nil)
	for s, code := range map[listen.Service]layeh.Code{listen.Auth: layeh.CodeAccessAccept, listen.Acct: layeh.CodeAccountingResponse} {
		b := encode(t, statusServer(named("bob@home.example"), with(rfc2865.NASIdentifier_Type, "probe")), true)
		r.offer(s, b)
		p := r.got(b)
		assert.Equal(t, code, p.Code)
		assert.Empty(t, rest(p), "it says nothing but that we are here")
	}
	r.quietHome(0)
	assert.Equal(t, 2, r.value("roamgate_requests_total", "kind", "status"))
	r.clean()
}

// C42: it needs a valid Message-Authenticator, also from a client that need
// not sign its requests.
func TestC42StatusServerIsSigned(t *testing.T) {
	r := newRig(t, 1, lax)
	for s := listen.Auth; s <= listen.Acct; s++ {
		r.offer(s, encode(t, statusServer(), false))
		r.offer(s, spoil(encode(t, statusServer(), true), 6))
		r.offer(s, spoil(encode(t, statusServer(), true), 30))
	}
	r.silent()
	assert.Equal(t, 2, dropped.count(r, StatusWithoutMessageAuthenticator))
	assert.Equal(t, 4, dropped.count(r, BadMessageAuthenticator))
}

// C43: a home is probed only where the operator says so; each probe is a new
// one, under a new Identifier, and none is repeated.
func TestC43Probes(t *testing.T) {
	r := newRig(t, 2, func(s *realm.Set) { s.Homes[0].StatusServer = true })
	looked := r.watch()
	seen := map[string]bool{}
	ids := map[byte]bool{}
	probes := 0
	for range 12 {
		r.pass(10 * time.Second)
		for n := looked(); looked() < n+2; {
			r.turn(10 * time.Millisecond)
		}
		for b, _ := read(t, r.homes[0], time.Millisecond); b != nil; b, _ = read(t, r.homes[0], time.Millisecond) {
			require.EqualValues(t, layeh.CodeStatusServer, b[0])
			requireSigned(t, b, b[4:20], homeSecret)
			assert.False(t, seen[string(b)], "a probe is not repeated")
			assert.False(t, ids[b[1]], "each has a new Identifier")
			seen[string(b)], ids[b[1]] = true, true
			probes++
		}
	}
	assert.GreaterOrEqual(t, probes, 2)
	r.quietHome(1)
}

// C46, C47: whatever a client may leave out, what we send is signed first of
// all; atHome and got assert it for every packet of every test.
func TestC46MessageAuthenticatorFirst(t *testing.T) {
	r := newRig(t, 1, lax)
	for _, ma := range []bool{false, true} {
		for _, code := range []layeh.Code{layeh.CodeAccessAccept, layeh.CodeAccessReject, layeh.CodeAccessChallenge} {
			b := encode(t, access("bob@home.example", withPassword("x")), ma)
			r.offer(listen.Auth, b)
			r.atHome(0).answer(code)
			assert.Equal(t, code, r.got(b).Code)
		}
	}
	r.clean()
}

func TestC47RepliesSigned(t *testing.T) {
	// C47: our own Accept, Reject and Challenge, to a client that signs nothing.
	r := newRig(t, 1, lax)
	b := encode(t, access("bob@nowhere.example"), false)
	r.offer(listen.Auth, b)
	r.rejected(b)
	b = r.ask(access("", with(79, "")))
	assert.Equal(t, layeh.CodeAccessChallenge, r.got(b).Code)
	b = r.ask(statusServer())
	assert.Equal(t, layeh.CodeAccessAccept, r.got(b).Code)
}

// C48: the switch comes before all else that is said of the packet.
func TestC48RequireFlag(t *testing.T) {
	r := newRig(t, 1, nil)
	r.offer(listen.Auth, encode(t, access("bob@home.example", withPassword("x")), false))
	r.offer(listen.Auth, encode(t, access("", with(2, "odd"), with(33, "p")), false))
	r.silent()
	r.quietHome(0)
	assert.Equal(t, 2, dropped.count(r, MissingMessageAuthenticator))
	assert.Equal(t, 2, r.value("roamgate_client_ma_missing_total"))
	assert.Equal(t, 1, r.value("roamgate_client_proxy_state_unsigned_total"))
	r.apply(func(s *realm.Set) { s.Clients[0].RequireMessageAuthenticator = false })
	r.offer(listen.Auth, encode(t, access("bob@home.example", withPassword("x")), false))
	r.atHome(0)
}

// C49, A1, A2: the eight combinations of what client and home must sign.
func TestC49LimitProxyState(t *testing.T) {
	for _, tt := range []struct {
		name           string
		require, limit bool
		state, home    bool // the request has Proxy-State; the home must sign
		want           Reason
	}{
		{"nothing asked", false, false, false, false, OK},
		{"nothing asked, proxied", false, false, true, false, OK},
		{"limited", false, true, false, false, OK},
		{"limited, proxied", false, true, true, false, UnsignedProxyState},
		{"required", true, false, false, false, MissingMessageAuthenticator},
		{"required, proxied", true, true, true, false, MissingMessageAuthenticator},
		{"home must sign", false, false, false, true, ReplyMissingMessageAuthenticator},
		{"limited, home must sign", false, true, false, true, ReplyMissingMessageAuthenticator},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, func(s *realm.Set) {
				s.Clients[0].RequireMessageAuthenticator, s.Clients[0].LimitProxyState = tt.require, tt.limit
				s.Homes[0].RequireMessageAuthenticator = tt.home
			})
			p := access("bob@home.example")
			if tt.state {
				with(33, "p")(p)
			}
			b := encode(t, p, false)
			r.offer(listen.Auth, b)
			if tt.want != OK && !tt.home {
				assert.Equal(t, 1, dropped.count(r, tt.want))
				r.quietHome(0)
				return
			}
			h := r.atHome(0)
			h.say(signReply(t, h.Response(layeh.CodeAccessAccept), false))
			if tt.want != OK {
				r.silent()
				assert.Equal(t, 1, byHome.count(r, tt.want))
				return
			}
			assert.Equal(t, layeh.CodeAccessAccept, r.got(b).Code)
		})
	}
}

// C50: a home that must sign and does not is not believed, whatever it says.
func TestC50HomeMustSign(t *testing.T) {
	r := newRig(t, 1, nil)
	b := r.ask(access("bob@home.example"))
	h := r.atHome(0)
	for _, code := range []layeh.Code{layeh.CodeAccessAccept, layeh.CodeAccessReject, layeh.CodeAccessChallenge} {
		h.say(signReply(t, h.Response(code), false))
	}
	r.silent()
	assert.Equal(t, 3, byHome.count(r, ReplyMissingMessageAuthenticator))
	h.answer(layeh.CodeAccessAccept)
	r.got(b)
	r.clean()
}

// C51, R037: nothing depends on where an attribute stands.
func TestC51AnyOrder(t *testing.T) {
	r := newRig(t, 1, nil)
	for place := range 4 {
		p := access("")
		parts := []edit{named("bob@home.example"), withPassword("pw"), with(33, "p"), withPassword("")}
		for i, part := range parts[:3] {
			if i == place {
				with(80, string(make([]byte, 16)))(p)
			}
			part(p)
		}
		b := r.ask(p)
		h := r.atHome(0)
		assert.Equal(t, "pw", rfc2865.UserPassword_GetString(h.Packet))
		h.answer(layeh.CodeAccessAccept)
		assert.Equal(t, []string{"p"}, states(r.got(b)))
	}
	p := access("")
	with(33, "p")(p)
	withPassword("pw")(p)
	named("bob@home.example")(p)
	b := r.ask(p)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(b)
	r.clean()
}

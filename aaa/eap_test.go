package aaa

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

// C22: EAP without a valid Message-Authenticator vanishes, from clients and
// from homes, also where the operator requires none.
func TestC22EAPIsSigned(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) { lax(s); s.Homes[0].RequireMessageAuthenticator = false })
	b := encode(t, access("bob@home.example", withEAP(1)), true)
	r.offer(listen.Auth, spoil(append([]byte(nil), b...), 30))
	r.offer(listen.Auth, encode(t, access("bob@home.example", withEAP(1)), false))
	r.silent()
	r.quietHome(0)
	r.offer(listen.Auth, b)
	h := r.atHome(0)
	p := h.Response(layeh.CodeAccessAccept)
	with(79, "\x03\x01\x00\x04")(p)
	h.say(signReply(t, p, false))
	r.silent()
	h.answer(layeh.CodeAccessAccept, with(79, "\x03\x01\x00\x04"))
	r.got(b)
	r.clean()
}

// C23, R044, R045: EAP-Messages stay as many, as long and in the place they
// were.
func TestC23EAPMessages(t *testing.T) {
	r := newRig(t, 1, nil)
	fragments := func(p *layeh.Packet) {
		with(79, "\x02\x01\x0f\xff\x0d")(p)
		for i := range 8 {
			with(79, fmt.Sprintf("%0253d", i))(p)
		}
		with(61, "\x00\x00\x00\x13")(p)
		for i := range 4 {
			with(79, fmt.Sprintf("%0*d", i+1, i))(p)
		}
	}
	p := access("bob@home.example", fragments)
	want := rest(p)
	sent := r.ask(p)
	h := r.atHome(0)
	assert.Equal(t, want, rest(h.Packet))
	h.answer(layeh.CodeAccessChallenge, fragments)
	assert.Equal(t, want[1:], rest(r.got(sent)))
	r.clean()
}

// C24: a bare EAP-Start is asked for its identity; with a User-Name it takes
// the route of that name; the identity inside EAP routes nothing.
func TestC24EAPStart(t *testing.T) {
	r := newRig(t, 1, nil)
	sent := r.ask(access("", with(79, "")))
	p := r.got(sent)
	assert.Equal(t, layeh.CodeAccessChallenge, p.Code)
	assert.Equal(t, []string{string([]byte{1, 0, 0, 5, 1})}, values(p, 79))
	r.quietHome(0)

	sent = r.ask(access("@home.example", with(79, "")))
	h := r.atHome(0)
	assert.Equal(t, []string{""}, values(h.Packet, 79))
	h.answer(layeh.CodeAccessReject)
	r.got(sent)

	inner := "\x02\x01\x00\x17\x01bob@nowhere.example"
	sent = r.ask(access("anonymous@home.example", with(79, inner)))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.clean()
}

// C25, C26: a reject of our own inside EAP carries exactly one EAP-Failure
// with the EAP identifier of the request, and no Reply-Message; outside EAP it
// says why.
func TestC25EAPFailure(t *testing.T) {
	r := newRig(t, 1, nil)
	for _, id := range []byte{0, 1, 77, 255} {
		p := r.rejected(r.ask(access("bob@nowhere.example", withEAP(id))))
		assert.Equal(t, []string{string([]byte{4, id, 0, 4})}, values(p, 79))
		assert.Empty(t, values(p, rfc2865.ReplyMessage_Type))
		assert.Equal(t, []string{"\x00\x00\x01\xf6"}, values(p, 101), "Request Not Routable (Proxy)")
	}
	r.clean()
}

func TestC26ReplyMessage(t *testing.T) {
	// C26: text only where there is no EAP-Message.
	r := newRig(t, 1, nil)
	p := r.rejected(r.ask(access("bob@nowhere.example")))
	assert.Empty(t, values(p, 79))
	assert.Equal(t, NoRoute.Text(), rfc2865.ReplyMessage_GetString(p))
	p = r.rejected(r.ask(access("bob@nowhere.example", withEAP(9))))
	assert.Len(t, values(p, 79), 1)
	assert.Empty(t, values(p, rfc2865.ReplyMessage_Type))
	p = r.rejected(r.ask(access("bob@nowhere.example", with(79, "\x02"))))
	assert.Empty(t, values(p, 79), "no identifier to match")
	for _, code := range []layeh.Code{layeh.CodeAccessChallenge, layeh.CodeAccessAccept, layeh.CodeAccessReject} {
		sent := r.ask(access("bob@home.example", withEAP(9)))
		r.atHome(0).answer(code, withEAP(9), with(rfc2865.ReplyMessage_Type, "text"))
		p := r.got(sent)
		assert.Len(t, values(p, 79), 1, code)
		assert.Empty(t, values(p, rfc2865.ReplyMessage_Type), code)
	}
	assert.Equal(t, 3, r.value("roamgate_home_attributes_filtered_total"))
}

// C27: the first hop's NAS address is compared with the source and counted.
func TestC27NASAddress(t *testing.T) {
	const mine, other, six = "\x7f\x00\x00\x01", "\x0a\x00\x00\x01", "0123456789abcdef"
	for _, tt := range []struct {
		name  string
		edits []edit
		want  int
	}{
		{"none", nil, 0},
		{"the source", []edit{with(4, mine)}, 0},
		{"another", []edit{with(4, other)}, 1},
		{"of another family only", []edit{with(95, six)}, 0},
		{"the source and another family", []edit{with(4, mine), with(95, six)}, 0},
		{"another and another family", []edit{with(4, other), with(95, six)}, 1},
		{"behind a proxy", []edit{with(4, other), with(33, "p")}, 0},
		{"five octets", []edit{with(4, "12345")}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			sent := r.ask(access("bob@home.example", tt.edits...))
			r.atHome(0).answer(layeh.CodeAccessAccept)
			assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code, "counted, not refused")
			assert.Equal(t, tt.want, r.value("roamgate_client_nas_address_mismatch_total"))
		})
	}
}

// C37: the State of the latest challenge arrives intact at the home that gave
// it, also where the key of the request belongs to another one.
func TestC37StateStaysWithItsHome(t *testing.T) {
	r := newRig(t, 2, func(s *realm.Set) { s.Pools[0].Members[1].Priority = 0 })
	users := map[int]string{}
	for i := 0; len(users) < 2; i++ {
		user := fmt.Sprintf("user%d@home.example", i)
		sent := r.ask(access(user, withEAP(1)))
		at := int(r.inFlight().homeIdx)
		r.atHome(at).answer(layeh.CodeAccessReject)
		r.got(sent)
		users[at] = user
	}
	sent := r.ask(access(users[0], withEAP(1)))
	r.atHome(0).answer(layeh.CodeAccessChallenge, with(rfc2865.State_Type, "\x00of home a\xff"), withEAP(2))
	assert.Equal(t, "\x00of home a\xff", rfc2865.State_GetString(r.got(sent)))
	sent = r.ask(access(users[1], withEAP(2), with(rfc2865.State_Type, "\x00of home a\xff")))
	h := r.atHome(0)
	assert.Equal(t, "\x00of home a\xff", rfc2865.State_GetString(h.Packet))
	h.answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.quietHome(1)
	r.clean()
}

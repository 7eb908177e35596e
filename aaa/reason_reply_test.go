package aaa

import (
	"fmt"

	"github.com/stretchr/testify/assert"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc3576"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/realm"
)

// ignored asks, lets the home say something that must change nothing, and
// sees the true answer still delivered.
func ignored(say func(h *heard)) func(*rig) {
	return func(r *rig) {
		sent := r.ask(access(atHomeExa, withPassword(secretPass)))
		h := r.atHome(0)
		before := *r.inFlight()
		say(h)
		r.silent()
		assert.Equal(r.t, before, *r.inFlight(), "the request in flight is as it was")
		assert.Zero(r.t, r.state(0, home.Auth).LastAnswer(), "nor is it a sign of life")
		h.answer(layeh.CodeAccessAccept)
		assert.Equal(r.t, layeh.CodeAccessAccept, r.got(sent).Code)
	}
}

func badReplies() []provocation {
	lenient := setup{edit: func(s *realm.Set) { s.Homes[0].RequireMessageAuthenticator = false }}
	unsigned := func(h *heard, edits ...edit) []byte {
		p := h.Response(layeh.CodeAccessAccept)
		for _, e := range edits {
			e(p)
		}
		return signReply(h.rig.t, p, false)
	}
	badMA := func(h *heard) {
		p := h.Response(layeh.CodeAccessAccept)
		p.Add(80, make(layeh.Attribute, 16))
		h.say(signReply(h.rig.t, p, false))
	}
	return []provocation{
		{name: "R097 another address", why: UnknownHome, place: nowhere, what: ignored(func(h *heard) {
			b := h.reply(layeh.CodeAccessAccept)
			h.at, h.rig.homes[0] = h.rig.socket(), h.at
			h.say(b)
			h.at = h.rig.homes[0]
		})},
		{name: "R095 unknown identifier", why: LateReply, place: byHome, what: ignored(func(h *heard) {
			b := h.reply(layeh.CodeAccessAccept)
			b[1]++
			h.say(b)
		})},
		{name: "R098 the home's other port", why: LateReply, place: byHome, what: ignored(func(h *heard) {
			other := *h
			other.at = h.rig.accts[0]
			other.say(h.reply(layeh.CodeAccessAccept))
		})},
		{name: "second reply", why: LateReply, place: byHome, what: secondReply},
		{name: "R096", why: BadResponseAuthenticator, place: byHome, what: ignored(func(h *heard) {
			h.say(spoil(h.reply(layeh.CodeAccessAccept), 5))
		})},
		{name: "another secret", why: BadResponseAuthenticator, place: byHome, what: ignored(func(h *heard) {
			other := *h.Packet
			other.Secret = []byte("some other secret")
			h.say((&heard{Packet: &other, rig: h.rig}).reply(layeh.CodeAccessAccept))
		})},
		{name: "required", why: ReplyMissingMessageAuthenticator, place: byHome, what: ignored(func(h *heard) { h.say(unsigned(h)) })},
		{name: "A2 EAP, not required", why: ReplyMissingMessageAuthenticator, place: byHome, setup: lenient,
			what: ignored(func(h *heard) { h.say(unsigned(h, with(79, "\x03\x01\x00\x04"))) })},
		{name: "zero", why: ReplyBadMessageAuthenticator, place: byHome, what: ignored(badMA)},
		{name: "zero, not required", why: ReplyBadMessageAuthenticator, place: byHome, setup: lenient, what: ignored(badMA)},
		{name: "Accounting-Response", why: ReplyCode, place: byHome, what: ignored(func(h *heard) { h.answer(layeh.CodeAccountingResponse) })},
		{name: "a request", why: ReplyCode, place: byHome, what: ignored(func(h *heard) { h.answer(layeh.CodeAccessRequest) })},
		{name: "Protocol-Error", why: HomeProtests, place: local, what: func(r *rig) {
			sent := r.ask(access(atHomeExa))
			h := r.atHome(0)
			h.say(recode(h.reply(layeh.CodeAccessAccept), 52, h.raw[4:20], homeSecret))
			p := r.rejected(sent)
			assert.EqualValues(r.t, 502, rfc3576.ErrorCause_Get(p))
		}},
		{name: "left out", why: MissingProxyState, place: byHome, what: noProxyState},
	}
}

func secondReply(r *rig) {
	sent := r.ask(access(atHomeExa))
	h := r.atHome(0)
	b := h.reply(layeh.CodeAccessAccept)
	h.say(b)
	r.got(sent)
	h.say(b)
	r.silent()
}

// noProxyState: the reply is authentic, so it is used; the operator hears
// that the home is broken.
func noProxyState(r *rig) {
	sent := r.ask(access(atHomeExa, with(rfc2865.ProxyState_Type, "client's")))
	r.atHome(0).answer(layeh.CodeAccessAccept, func(p *layeh.Packet) { p.Attributes = nil })
	assert.Equal(r.t, []string{"client's"}, states(r.got(sent)))
}

// malformedReplies are the malformations as a home sends them.
func malformedReplies() (all []provocation) {
	for i, m := range malformations() {
		all = append(all, provocation{
			name: fmt.Sprintf("from a home, %d %s", i, m.name), why: ofRadius(m.why), place: byHome,
			what: ignored(func(h *heard) {
				b := append([]byte(nil), m.b...)
				if len(b) > 1 {
					b[1] = h.Identifier
				}
				h.say(b)
			}),
		})
	}
	return all
}

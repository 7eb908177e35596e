package aaa

import (
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3576"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// refusal asks and must be refused here, without a word to the home.
func refusal(edits ...edit) func(*rig) {
	return func(r *rig) {
		r.rejected(r.ask(access("", edits...)))
		r.quietHome(0)
	}
}

func named(user string) edit { return with(rfc2865.UserName_Type, user) }

func refusedNames() (all []provocation) {
	for _, n := range []struct {
		name string
		why  nai.Reason
		user string
	}{
		{"R047 no octets", nai.Empty, ""},
		{"R050 CR LF", nai.Control, secretUser + "\r\n@home.example"},
		{"NUL", nai.Control, secretUser + "@home.example\x00@evil.example"},
		{"R051 escape", nai.Control, secretUser + "\x1b[31m@home.example"},
		{"R052 broken UTF-8", nai.NotUTF8, secretUser + "\xff@home.example"},
		{"R054", nai.EmptyRealm, secretUser + "@"},
		{"R059 trailing dot", nai.BadRealm, secretUser + "@home.example."},
		{"R060 trailing space", nai.BadRealm, secretUser + "@home.example "},
		{"R061 two dots", nai.BadRealm, secretUser + "@home..example"},
		{"R062 leading dot", nai.BadRealm, secretUser + "@.home.example"},
		{"R067 path", nai.BadRealm, secretUser + "@../../etc"},
		{"R068 shell", nai.BadRealm, secretUser + "@$(id)"},
		{"R069 star", nai.BadRealm, secretUser + "@*"},
		{"R056", nai.ManyAt, secretUser + "@x@home.example"},
		{"R058", nai.Backslash, `DOM\` + secretUser + "@home.example"},
		{"R057", nai.Decorated, "home.example!" + secretUser},
		{"R063 no dot", nai.NoDot, secretUser + "@home"},
	} {
		all = append(all, provocation{name: n.name, why: ofNAI(n.why), place: local, what: refusal(named(n.user), withPassword(secretPass))})
	}
	return all
}

func refusedRequests() []provocation {
	noPool := func(s *realm.Set) { s.Routes[0].Auth = -1 }
	disabled := func(s *realm.Set) { s.Homes[0].Disabled = true }
	ask := refusal(named(atHomeExa), withPassword(secretPass))
	return []provocation{
		{name: "R046", why: NoUserName, place: local, what: refusal(withPassword(secretPass))},
		{name: "R048", why: SeveralUserNames, place: local, what: refusal(named(atHomeExa), named("x@local.example"))},
		{name: "R070", why: NoRoute, place: local, what: refusal(named(secretUser+"@nowhere.example"), withPassword(secretPass))},
		{name: "R053 without a realm", why: NoRoute, place: local, what: refusal(named(secretUser), withPassword(secretPass))},
		{name: "closed", why: RouteRejects, place: local, what: func(r *rig) {
			p := r.rejected(r.ask(access(secretUser + "@closed.example")))
			assert.Equal(r.t, "contract ended", rfc2865.ReplyMessage_GetString(p))
		}},
		{name: "route without one", why: NoPool, place: local, setup: setup{edit: noPool}, what: ask},
		{name: "no home enabled", why: NoPool, place: local, setup: setup{edit: disabled}, what: ask},
		{name: "R072 15 octets", why: ofRadius(radius.BadUserPassword), place: local, what: refusal(named(atHomeExa), with(rfc2865.UserPassword_Type, secretPass[:15]))},
		{name: "R073 144 octets", why: ofRadius(radius.BadUserPassword), place: local, what: refusal(named(atHomeExa), with(rfc2865.UserPassword_Type, strings.Repeat("x", 144)))},
		{name: "R074 no octets", why: ofRadius(radius.BadUserPassword), place: local, what: refusal(named(atHomeExa), with(rfc2865.UserPassword_Type, ""))},
		{name: "our own Proxy-State", why: Loop, place: local, what: looped},
		{name: "in accounting", why: Loop, place: local, what: loopedAccounting},
		{name: "R087", why: ForgedProxyState, place: local, what: forged},
	}
}

func looped(r *rig) {
	first := r.ask(access(atHomeExa))
	h := r.atHome(0)
	ours := states(h.Packet)[0]
	p := r.rejected(r.ask(access(atHomeExa, with(rfc2865.ProxyState_Type, "other", ours))))
	assert.Equal(r.t, []string{"other", ours}, states(p), "all Proxy-States go back")
	r.quietHome(0)
	h.answer(layeh.CodeAccessAccept)
	r.got(first)
}

func loopedAccounting(r *rig) {
	first := r.report(acctStop("x@a.iot.example", "s"))
	r.recorded(1)
	r.got(first)
	h := r.atAcct(0)
	r.report(acctStop("x@a.iot.example", "s2", with(rfc2865.ProxyState_Type, states(h.Packet)[0])))
	r.silent()
	r.quietHome(0)
	assert.EqualValues(r.t, 1, r.hub.spool.Last())
	h.answer(layeh.CodeAccountingResponse)
}

// forged: what only looks like ours is anybody's, and goes on.
func forged(r *rig) {
	fake := "rg" + strings.Repeat("x", ownProxyState-2)
	sent := r.ask(access(atHomeExa, with(rfc2865.ProxyState_Type, fake)))
	h := r.atHome(0)
	require.Len(r.t, states(h.Packet), 2)
	h.answer(layeh.CodeAccessAccept)
	assert.Equal(r.t, []string{fake}, states(r.got(sent)))
}

func refusedByHomes() []provocation {
	return []provocation{
		{name: "silent", why: HomeTimeout, place: local, what: func(r *rig) {
			sent := r.ask(access(atHomeExa))
			r.pass(30 * time.Second)
			r.rejected(sent)
		}},
		{name: "silent in accounting", why: HomeTimeout, place: local, what: func(r *rig) {
			r.report(acctStop(atHomeExa, "s"))
			r.recorded(1)
			r.pass(30 * time.Second)
			r.silent()
		}},
		{name: "in flight", why: HomesDown, place: local, count: 2, setup: setup{edit: impatient}, what: downInFlight},
		{name: "one realm of a home that lives", why: RealmSilent, place: local, setup: setup{edit: withBreaker}, what: func(r *rig) {
			silenceRealm(r)
			p := r.rejected(r.ask(access(secretUser + "@dead.iot.example")))
			assert.EqualValues(r.t, 502, rfc3576.ErrorCause_Get(p))
			r.quietHome(0)
			r.idle()
		}},
		{name: "256 in flight", why: NoIdentifier, place: local,
			setup: setup{conf: func(c *Config) { c.InFlight, c.HomeSockets = 1024, 1 }}, what: exhausted},
	}
}

// impatient timers let a home be found dead long before the end.
func impatient(s *realm.Set) {
	s.Pools[0].Timers = realm.Timers{IRT: time.Second, MRT: 2 * time.Second, MRD: 60 * time.Second, MRC: 50}
}

// kill lets the Monitor find home i down: something must be in flight to it
// that stays unanswered.
func (r *rig) kill(i int, k home.Kind) {
	looked := r.watch()
	for range 20 {
		for n := looked(); looked() < n+2; {
			r.turn(10 * time.Millisecond)
		}
		if r.health(i, k) == home.Down {
			return
		}
		r.pass(time.Second)
	}
	require.Fail(r.t, "the home is never down")
}

func downInFlight(r *rig) {
	sent := r.ask(access(atHomeExa))
	r.kill(0, home.Auth)
	r.pass(3 * time.Second)
	r.rejected(sent)
	trial := r.ask(access(atHomeExa))
	again := r.ask(access(atHomeExa))
	r.rejected(again)
	for h := r.atHome(0); ; h = r.atHome(0) { // the dead one's repetitions first
		if h.Authenticator != [16]byte(r.inFlight().homeAuth) {
			continue
		}
		h.answer(layeh.CodeAccessAccept)
		break
	}
	r.got(trial)
}

func exhausted(r *rig) {
	other := r.socket()
	for i := range 256 {
		r.inject(listen.Auth, encode(r.t, access(atHomeExa, withID(byte(i))), true), addrOf(other))
	}
	r.rejected(r.ask(access(atHomeExa)))
	assert.Equal(r.t, 256, r.shard.ids.InUse())
	r.pass(30 * time.Second)
}

func oversized() []provocation {
	// What fits this hop, but not with what the next one needs.
	full := func(p *layeh.Packet) {
		for n := 20 + 18 + 2 + len(atHomeExa); n < 4096; {
			size := min(255, 4096-n)
			p.Add(rfc2865.Class_Type, make(layeh.Attribute, size-2))
			n += size
		}
	}
	bulk := func(p *layeh.Packet) {
		for range 12 {
			p.Add(rfc2865.ProxyState_Type, make(layeh.Attribute, 253))
		}
	}
	return []provocation{
		{name: "no room for ours", why: ofRadius(radius.Overflow), place: local, what: refusal(named(atHomeExa), full)},
		{name: "R086 answer and Proxy-States", why: ReplyTooLong, place: local, what: func(r *rig) {
			sent := r.ask(access(atHomeExa, bulk))
			r.atHome(0).answer(layeh.CodeAccessAccept, func(p *layeh.Packet) { p.Attributes = nil }, func(p *layeh.Packet) {
				for range 6 {
					p.Add(rfc2865.Class_Type, make(layeh.Attribute, 253))
				}
			})
			assert.Len(r.t, states(r.rejected(sent)), 12)
		}},
		{name: "R086 Proxy-States alone", why: ReplyTooLong, place: dropped, setup: setup{edit: lax}, what: onlyStates("")},
		{name: "R086 in an EAP-Start", why: ReplyTooLong, place: dropped, what: onlyStates("eap")},
	}
}

// onlyStates sends a request of 4096 octets that is nearly all Proxy-State: no
// answer can bring them back.
func onlyStates(eap string) func(*rig) {
	return func(r *rig) {
		p, n := access(""), 20
		if eap != "" {
			p.Add(rfc2869.EAPMessage_Type, nil)
			n += 2 + 18
		}
		for n < 4096 {
			size := min(255, 4096-n)
			p.Add(rfc2865.ProxyState_Type, make(layeh.Attribute, size-2))
			n += size
		}
		b := encode(r.t, p, eap != "")
		require.Len(r.t, b, 4096)
		r.offer(listen.Auth, b)
		r.silent()
		r.quietHome(0)
	}
}

package aaa

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/realm"
)

// Two more clients, at addresses of this machine that the rig's is not at.
var (
	proxyOne = netip.MustParseAddrPort("127.0.0.2:1812")
	proxyTwo = netip.MustParseAddrPort("127.0.0.3:1812")
)

// proxies adds two clients that are proxies.
func proxies(s *realm.Set) {
	for i, at := range []netip.AddrPort{proxyOne, proxyTwo} {
		c := s.Clients[0]
		c.Name, c.Prefixes = fmt.Sprintf("proxy%d", i+1), []netip.Prefix{netip.PrefixFrom(at.Addr(), 32)}
		s.Clients = append(s.Clients, c)
	}
}

// radsecproxyHop is TTLAttribute 27262:1 of radsecproxy, its default.
var radsecproxyHop = realm.HopAttribute{Type: 26, Vendor: 27262, Sub: 1}

func hopped(hops uint32) func(*realm.Set) {
	return func(s *realm.Set) { s.Loops.Hop, s.Loops.Hops = radsecproxyHop, hops }
}

func ttl(left uint32) edit {
	return with(26, vsa(27262, 1, string([]byte{byte(left >> 24), byte(left >> 16), byte(left >> 8), byte(left)})))
}

func manyStates(n int) edit {
	return func(p *layeh.Packet) {
		for i := range n {
			p.Add(rfc2865.ProxyState_Type, layeh.Attribute(fmt.Sprint(i)))
		}
	}
}

// again makes what a proxy would send that got h: hidden and signed anew, and
// with these Proxy-States in the place of all others.
func (h *heard) again(states ...string) []byte {
	p := request(h.Code)
	for _, a := range h.Attributes {
		switch a.Type {
		case rfc2865.ProxyState_Type, 80:
		case rfc2865.UserPassword_Type:
			withPassword(rfc2865.UserPassword_GetString(h.Packet))(p)
		default:
			p.Add(a.Type, a.Attribute)
		}
	}
	with(rfc2865.ProxyState_Type, states...)(p)
	return encode(h.rig.t, p, h.Code == layeh.CodeAccessRequest)
}

// detected counts the alarms of a pair of peers.
func (r *rig) detected(client, home string) int {
	return r.value("roamgate_loops_detected_total", "client", client, "home", home)
}

func loops() []provocation {
	return []provocation{
		{name: "C112 32 hops", why: ManyProxyStates, place: local, what: func(r *rig) {
			assert.Len(r.t, states(r.rejected(r.ask(access(atHomeExa, manyStates(32))))), 32)
			assert.Equal(r.t, 1, r.detected("visited", "a"))
		}},
		{name: "C113 none left", why: HopsSpent, place: local, count: 2, setup: setup{edit: hopped(0)}, what: func(r *rig) {
			r.rejected(r.ask(access(atHomeExa, ttl(1))))
			r.rejected(r.ask(access(atHomeExa, ttl(0))))
			r.quietHome(0)
			assert.Equal(r.t, 2, r.detected("visited", "a"))
		}},
		{name: "Proxy-States replaced", why: LoopFingerprint, place: local, setup: setup{edit: proxies}, what: func(r *rig) {
			sent := r.ask(access(atHomeExa, withPassword(secretPass)))
			h := r.atHome(0)
			r.inject(listen.Auth, h.again("x", "y"), proxyOne)
			r.quietHome(0)
			assert.Equal(r.t, 1, r.detected("proxy1", "a"))
			assert.Equal(r.t, 1, r.value("roamgate_responses_total", "client", "proxy1", "kind", "auth", "result", "reject"))
			h.answer(layeh.CodeAccessAccept)
			r.got(sent)
		}},
		{name: "in accounting", why: LoopFingerprint, place: local, setup: setup{edit: proxies}, what: func(r *rig) {
			b := r.report(acctStop(secretUser+"@a.iot.example", "s", with32(41, 0)))
			r.recorded(1)
			r.got(b)
			h := r.atAcct(0)
			r.inject(listen.Acct, h.again("x", "y"), proxyOne)
			r.quietHome(0)
			assert.EqualValues(r.t, 1, r.hub.spool.Last(), "it is recorded already")
			assert.Equal(r.t, 1, r.value("roamgate_acct_packets_total", "result", "refused"))
			h.answer(layeh.CodeAccountingResponse)
		}},
	}
}

// A request that has been here ends here (C113), and its alarm names both peers,
// once.
func TestLoopAlarmNamesBothPeers(t *testing.T) {
	r := newRig(t, 2, proxies)
	first := r.ask(access("a@home.example"))
	h := r.atHome(0)
	ours := states(h.Packet)[0]
	r.inject(listen.Auth, h.again(ours, "theirs"), proxyTwo)
	r.settleDown()
	assert.Equal(t, 1, r.detected("proxy2", "a"), "our Proxy-State says which home it went to")
	lines := r.logs.FilterMessage("request goes round in a circle").All()
	require.Len(t, lines, 1)
	assert.Equal(t, zapcore.WarnLevel, lines[0].Level)
	assert.Equal(t, map[string]any{"reason": "loop", "client": "proxy2", "home": "a", "from": proxyTwo.String(), "suppressed": int64(0)}, lines[0].ContextMap())
	assert.Empty(t, r.logs.FilterMessage("packet noted").All(), "once is enough")
	h.answer(layeh.CodeAccessAccept)
	r.got(first)
	r.clean()
}

// What has been counted between two peers goes on when one of them is back, and
// a request counts for no other.
func TestLoopsAreCountedAcrossReloads(t *testing.T) {
	r := newRig(t, 2, hopped(0))
	round := func() { r.rejected(r.ask(access(atHomeExa, ttl(1)))) }
	shown := func() (n int) {
		r.hub.stats.EachOf("roamgate_loops_detected_total", func(labels []string, v float64) {
			if slices.Contains(labels, "a") {
				n += int(v)
			}
		})
		return n
	}
	round()
	assert.Equal(t, 1, shown())
	first, pool := r.set.Homes[0], r.set.Pools[0]
	r.apply(func(s *realm.Set) {
		s.Homes[0].Name = "c"
	})
	assert.Zero(t, shown(), "there is no such home")
	round()
	assert.Equal(t, 1, r.detected("visited", "c"))
	r.apply(func(s *realm.Set) { s.Homes[0], s.Pools[0] = first, pool })
	round()
	assert.Equal(t, 2, shown())
	r.clean()
}

// A NAS that asks over two proxies, or over one and directly, at once or again,
// is served every time.
func TestTwoWaysAreNoLoop(t *testing.T) {
	one := func(state ...string) edit { return with(rfc2865.ProxyState_Type, state...) }
	for _, tt := range []struct {
		name string
		from []netip.AddrPort
		with []edit
	}{
		{"two proxies at once", []netip.AddrPort{proxyOne, proxyTwo}, []edit{one("p1"), one("p2")}},
		{"and again by turns", []netip.AddrPort{proxyOne, proxyTwo, proxyOne, proxyTwo}, []edit{one("p1"), one("p2"), one("p3"), one("p4")}},
		{"directly and over one", []netip.AddrPort{{}, proxyOne}, []edit{one(), one("p1")}},
		{"one asks often", []netip.AddrPort{proxyOne, proxyOne, proxyOne, proxyOne}, []edit{one("p1"), one("p2"), one("p3"), one("p4")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, proxies)
			for i, from := range tt.from {
				if !from.IsValid() {
					from = addrOf(r.nas)
				}
				r.inject(listen.Auth, encode(t, access("a@home.example", withPassword("pw"), tt.with[i]), true), from)
				r.pass(2 * time.Second)
			}
			assert.Zero(t, r.value("roamgate_local_answers_total", "reason", "loop_fingerprint"))
			assert.Equal(t, len(tt.from), r.shard.slab.used)
			for r.shard.slab.used > 0 {
				r.pass(time.Second)
			}
			r.clean()
		})
	}
}

// TestC112ProxyStates (C112): the operator says how many hops are too many, and
// accounting that has come too far is kept.
func TestC112ProxyStates(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) { s.Loops.MaxProxyStates = 4 })
	sent := r.ask(access("a@home.example", manyStates(3)))
	h := r.atHome(0)
	assert.Len(t, states(h.Packet), 4)
	h.answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.rejected(r.ask(access("a@home.example", manyStates(4))))
	b := r.report(acctStop("a@home.example", "s", manyStates(4)))
	r.recorded(1)
	r.got(b)
	r.quietHome(0)
	assert.Equal(t, accounting.TooManyHops, r.records()[0].Quarantine)
	assert.Equal(t, 2, r.detected("visited", "a"))
	r.clean()
}

// TestC113Hops (C113): the number of hops left is lowered by one, byte for byte
// where it stands, or put in; what is not four octets is left alone.
func TestC113Hops(t *testing.T) {
	plain := func(s *realm.Set) { s.Loops.Hop, s.Loops.Hops = realm.HopAttribute{Type: 250}, 3 }
	two := vsa(27262, 2, "x") + "\x01\x06\x00\x00\x00\x05" + "\x03\x03y"
	for _, tt := range []struct {
		name  string
		edit  func(*realm.Set)
		in    edit
		type_ layeh.Type
		want  []string
	}{
		{"lowered", hopped(0), ttl(2), 26, []string{"\x00\x00\x6a\x7e\x01\x06\x00\x00\x00\x01"}},
		{"borrows", hopped(0), ttl(0x10000), 26, []string{"\x00\x00\x6a\x7e\x01\x06\x00\x00\xff\xff"}},
		{"the first of two", hopped(0), func(p *layeh.Packet) { ttl(9)(p); ttl(2)(p) }, 26,
			[]string{"\x00\x00\x6a\x7e\x01\x06\x00\x00\x00\x08", "\x00\x00\x6a\x7e\x01\x06\x00\x00\x00\x02"}},
		{"between others", hopped(0), with(26, two), 26, []string{vsa(27262, 2, "x") + "\x01\x06\x00\x00\x00\x04" + "\x03\x03y"}},
		{"another vendor's", hopped(0), with(26, vsa(9, 1, "\x00\x00\x00\x01")), 26, []string{vsa(9, 1, "\x00\x00\x00\x01")}},
		{"put in", hopped(20), with(25, "c"), 26, []string{"\x00\x00\x6a\x7e\x01\x06\x00\x00\x00\x14"}},
		{"not put in", hopped(0), with(25, "c"), 26, nil},
		{"another size", hopped(20), with(26, vsa(27262, 1, "\x01")), 26, []string{vsa(27262, 1, "\x01")}},
		{"plain", plain, with(250, "\x00\x00\x00\x07"), 250, []string{"\x00\x00\x00\x06"}},
		{"plain put in", plain, with(25, "c"), 250, []string{"\x00\x00\x00\x03"}},
		{"off", nil, ttl(1), 26, []string{"\x00\x00\x6a\x7e\x01\x06\x00\x00\x00\x01"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, tt.edit)
			sent := r.ask(access("a@home.example", tt.in))
			h := r.atHome(0)
			assert.Equal(t, tt.want, values(h.Packet, tt.type_))
			r.pass(2500 * time.Millisecond)
			assert.Equal(t, h.raw, r.atHome(0).raw, "sent again it is the same")
			h.answer(layeh.CodeAccessAccept)
			r.got(sent)
			r.clean()
		})
	}
}

// The print of a request is the same after a proxy, and no other request's.
func TestPrint(t *testing.T) {
	r := newRig(t, 1, nil)
	hop := &radsecproxyHop
	of := func(edits ...edit) uint64 {
		return r.shard.print(encode(t, access("a@home.example", edits...), true), hop)
	}
	same := of(with(25, "c"), withPassword("one"))
	for name, edits := range map[string][]edit{
		"password hidden anew": {with(25, "c"), withPassword("two, longer than one block")},
		"Proxy-State":          {with(25, "c"), withPassword("one"), with(rfc2865.ProxyState_Type, "x", "y")},
		"in the middle":        {with(rfc2865.ProxyState_Type, "x"), with(25, "c"), withPassword("one")},
		"hops":                 {with(25, "c"), ttl(7), withPassword("one")},
	} {
		assert.Equal(t, same, of(edits...), name)
	}
	for name, edits := range map[string][]edit{
		"another value":     {with(25, "d"), withPassword("one")},
		"no attribute":      {withPassword("one")},
		"another vendor's":  {with(25, "c"), with(26, vsa(9, 1, "x")), withPassword("one")},
		"another attribute": {with(25, "c"), with(24, "s"), withPassword("one")},
	} {
		assert.NotEqual(t, same, of(edits...), name)
	}
	acct := r.shard.print(encode(t, acctStop("a@home.example", "s", with32(41, 1)), false), hop)
	assert.Equal(t, acct, r.shard.print(encode(t, acctStop("a@home.example", "s", with32(41, 9)), false), hop), "Acct-Delay-Time grows")
}

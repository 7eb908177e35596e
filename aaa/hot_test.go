package aaa

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// hot drives a shard as fast as it goes: requests and replies are made by the
// project's own writer, which allocates nothing, and are handed over as if
// they had been read. What the shard sends leaves in batches, to nobody.
type hot struct {
	*rig
	from   udp.Addr
	home   [2]udp.Addr
	crypt  *radius.Crypt
	in     *radius.Secret // the client's
	out    *radius.Secret // the home's
	w      radius.Writer
	buf    [4096]byte
	serial uint64
	auth   [16]byte
	slot   uint32
}

func newHot(t tester, policy bool) *hot {
	o := setup{homes: 1, conf: func(c *Config) { c.InFlight = 1024 }, edit: func(s *realm.Set) {
		s.Routes = append(s.Routes, realm.Route{Realm: "wlan.mnc001.mcc262.3gppnetwork.org", Index: 4, Auth: 0, Acct: 0})
		if policy {
			withPolicy(s)
		}
	}}
	if policy {
		o.policyOf = policyOf
	}
	return newHotOf(t, o)
}

func newHotOf(t tester, o setup) *hot {
	h := &hot{rig: newRigOf(t, o), crypt: radius.NewCrypt(), in: radius.NewSecret([]byte(visitedSecret)), out: radius.NewSecret([]byte(homeSecret))}
	h.from = udp.AddrFrom(addrOf(h.nas))
	h.home = [2]udp.Addr{udp.AddrFrom(addrOf(h.homes[0])), udp.AddrFrom(addrOf(h.accts[0]))}
	h.shard.clock(h.now, h.wall)
	return h
}

// begin starts a request that has never been before.
func (h *hot) begin(code radius.Code) *radius.Writer {
	h.serial++
	h.w.Start(h.buf[:], code, byte(h.serial), code == radius.AccessRequest)
	binary.BigEndian.PutUint64(h.auth[:], h.serial)
	h.w.SetAuthenticator(&h.auth)
	return &h.w
}

// ask hands the request over; answer lets the home say code.
func (h *hot) ask(attributes []byte) {
	w := h.begin(radius.AccessRequest)
	w.Raw(attributes)
	h.shard.receive(h.shard.fronts[listen.Auth], w.SignRequest(h.crypt, h.in), h.from, udp.LocalInfo{})
}

func (h *hot) answer(code radius.Code, attributes []byte) {
	h.answerTo(h.shard.slab.at(h.slot), code, attributes)
}

func (h *hot) answerTo(ex *Exchange, code radius.Code, attributes []byte) {
	kind := ex.kind
	h.w.Start(h.buf[:], code, ex.homeID, code != radius.AccountingResponse)
	h.w.Raw(attributes)
	h.w.Add(radius.ProxyState, h.shard.seal(ex.nonce))
	h.shard.reply(int(ex.sock), h.w.SignResponse(h.crypt, h.out, &ex.homeAuth), h.home[kind])
}

// tlv writes attributes for people to read: type, value, type, value.
func tlv(pairs ...any) (b []byte) {
	for i := 0; i < len(pairs); i += 2 {
		v := pairs[i+1].(string)
		b = append(append(b, byte(pairs[i].(int)), byte(2+len(v))), v...)
	}
	return b
}

func vsa(vendor uint32, t byte, v string) string {
	b := binary.BigEndian.AppendUint32(nil, vendor)
	return string(append(append(b, t, byte(2+len(v))), v...))
}

var (
	// papRequest and eapRequest are what an access network sends: 12 and 17
	// attributes with the Message-Authenticator.
	papRequest = tlv(1, "open@home.example", 2, "0123456789abcdef", 4, "\x7f\x00\x00\x01", 5, "\x00\x00\x00\x01", 6, "\x00\x00\x00\x02",
		30, "AA-BB-CC-DD-EE-FF:Roam", 31, "", 32, "ap-17.visited.example", 61, "\x00\x00\x00\x13", 77, "CONNECT 54Mbps 802.11g", 33, "visited-proxy-01")
	eapRequest = tlv(1, "0262011234567890@wlan.mnc001.mcc262.3gppnetwork.org", 4, "\x7f\x00\x00\x01", 5, "\x00\x00\x00\x01", 6, "\x00\x00\x00\x02",
		12, "\x00\x00\x05\x78", 24, "state-of-the-conversation-123456", 30, "AA-BB-CC-DD-EE-FF:Roam", 31, "02-00-5e-10-00-01", 32, "ap-17.visited.example",
		44, "5f3759df-0001", 61, "\x00\x00\x00\x13", 77, "CONNECT 54Mbps 802.11g", 79, "\x02\x05\x00\x28\x32\x01"+string(make([]byte, 34)),
		89, "\x00", 126, "1visited.example", 33, "visited-proxy-01")
	accept    = tlv(25, "class-of-the-session", 27, "\x00\x00\x1c\x20", 11, "the home's", 26, vsa(311, 16, "\x80\x01"+string(make([]byte, 48))), 26, vsa(311, 17, "\x80\x02"+string(make([]byte, 48))), 79, "\x03\x05\x00\x04")
	challenge = tlv(24, "state-of-the-conversation-123456", 79, "\x01\x06\x00\x28\x32\x01"+string(make([]byte, 34)))
	stopOf    = tlv(1, "0262011234567890@wlan.mnc001.mcc262.3gppnetwork.org", 4, "\x7f\x00\x00\x01", 5, "\x00\x00\x00\x01", 25, "class-of-the-session",
		30, "AA-BB-CC-DD-EE-FF:Roam", 31, "02-00-5e-10-00-01", 32, "ap-17.visited.example", 40, "\x00\x00\x00\x02", 41, "\x00\x00\x00\x00", 42, "\x00\x10\x00\x00", 43, "\x00\x20\x00\x00",
		45, "\x00\x00\x00\x01", 46, "\x00\x00\x0e\x10", 47, "\x00\x00\x10\x00", 48, "\x00\x00\x20\x00", 49, "\x00\x00\x00\x01", 55, "\x69\xa4\x2c\x40", 61, "\x00\x00\x00\x13")
)

// round is one request with all that follows from it.
func (h *hot) round(request []byte, code radius.Code, said []byte) {
	h.ask(request)
	h.answer(code, said)
}

// stop reports one Stop of a new session under a realm, has its batch durable
// and the home answer.
func (h *hot) stop(attributes []byte) {
	w := h.begin(radius.AccountingRequest)
	w.Raw(attributes)
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], h.serial)
	w.Add(radius.AcctSessionID, id[:])
	h.shard.receive(h.shard.fronts[listen.Acct], w.SignAccounting(h.crypt, h.in), h.from, udp.LocalInfo{})
	b := h.shard.recs
	h.shard.recs = nil
	h.shard.spooled(b)
	h.answer(radius.AccountingResponse, nil)
	h.forgetOwed()
}

// repeated gives how often a round is repeated: a tenth under the race detector, with which
// no allocation is counted.
func repeated(n int) int {
	if raced {
		return n / 10
	}
	return n
}

// warm runs a round often enough that everything has grown.
func (h *hot) warm(t tester, round func()) {
	for range repeated(2000) {
		round()
	}
	h.shard.flush()
	require.Zero(t, h.shard.slab.used)
}

// The whole hit path allocates nothing: verified, claimed, routed, decided,
// written for the home; and back.
func TestAllocsHotPath(t *testing.T) {
	suffix := append(tlv(1, "meter@region.north.iot.example"), stopOf[2+len("0262011234567890@wlan.mnc001.mcc262.3gppnetwork.org"):]...)
	for _, tt := range []struct {
		name   string
		policy bool
		round  func(h *hot)
		result []string
	}{
		{"PAP", false, func(h *hot) { h.round(papRequest, radius.AccessAccept, accept) }, []string{"auth", "accept"}},
		{"PAP with policy", true, func(h *hot) { h.round(papRequest, radius.AccessAccept, accept) }, []string{"auth", "accept"}},
		{"EAP with State", false, func(h *hot) { h.round(eapRequest, radius.AccessChallenge, challenge) }, []string{"auth", "challenge"}},
		{"EAP accepted", false, func(h *hot) { h.round(eapRequest, radius.AccessAccept, accept) }, []string{"auth", "accept"}},
		{"rejected here", false, func(h *hot) { h.ask(tlv(1, "bob@nowhere.example")) }, []string{"auth", "reject"}},
		{"refused by policy", true, func(h *hot) { h.ask(tlv(1, "denied@home.example")) }, []string{"auth", "reject"}},
		{"Stop", false, func(h *hot) { h.stop(stopOf) }, []string{"acct", "ack"}},
		{"Stop below a suffix", false, func(h *hot) { h.stop(suffix) }, []string{"acct", "ack"}},
		{"Stop with policy", true, func(h *hot) { h.stop(suffix) }, []string{"acct", "ack"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHot(t, tt.policy)
			h.warm(t, func() { tt.round(h) })
			runs := repeated(1000)
			allocs := testing.AllocsPerRun(runs, func() { tt.round(h) })
			assert.True(t, raced || allocs == 0, "%v allocations", allocs)
			assert.Equal(t, repeated(2000)+runs+1, h.value("roamgate_responses_total", "kind", tt.result[0], "result", tt.result[1]), "every one of them went the whole way")
		})
	}
}

// configured has everything that routing by more than the realm brings. It
// runs under the realm of eapRequest and stopOf.
func configured(balance realm.Balance) func(*realm.Set) {
	return func(s *realm.Set) {
		federations(s)
		s.Contracts = []realm.Contract{{From: s.Groups[0], To: s.Groups[1], Realms: realm.NewNames([]string{"*.3gppnetwork.org"})}}
		s.Pools[0].Balance, s.Pools[0].Breaker = balance, true
		s.Clients[0].Realms = realm.NewNames([]string{"*.3gppnetwork.org"})
		s.Homes[0].Realms = s.Clients[0].Realms
		s.Identity.Own = realm.NewNames([]string{"wlan.mnc001.mcc262.3gppnetwork.org"})
		s.Loops.Hop, s.Loops.Hops = radsecproxyHop, 20
		when := &realm.Condition{SSIDs: []string{"Roam"}, Percent: 5000}
		for rank, scope := range []*realm.Scope{{Groups: s.Groups[1:]}, {Groups: s.Groups[:1]}, nil} {
			r := realm.Route{Realm: "nai.epc.mnc001.mcc262.3gppnetwork.org", Rank: int32(rank + 1), Index: int32(len(s.Routes)), For: scope}
			if r.When = when; scope == nil {
				r.When = nil
			}
			s.Routes = append(s.Routes, r)
		}
	}
}

// TestAllocsConfigured: nor does anything that can be configured allocate.
func TestAllocsConfigured(t *testing.T) {
	const name = "nai.epc.mnc001.mcc262.3gppnetwork.org!0262011234567890@wlan.mnc001.mcc262.3gppnetwork.org"
	rest := 2 + len("0262011234567890@wlan.mnc001.mcc262.3gppnetwork.org")
	request, stop := append(tlv(1, name), eapRequest[rest:]...), append(tlv(1, name), stopOf[rest:]...)
	hops := tlv(26, vsa(27262, 1, "\x00\x00\x00\x09"))
	said := append(tlv(1, "0262011234567890@nai.epc.mnc001.mcc262.3gppnetwork.org"), accept...)
	for _, balance := range []realm.Balance{realm.BalanceDevice, realm.BalanceRoundRobin, realm.BalanceLeast, realm.BalanceFirst} {
		t.Run(balance.String(), func(t *testing.T) {
			h := newHotOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 1024 }, edit: configured(balance)})
			round := func() {
				h.round(request, radius.AccessAccept, said)
				h.round(append(request, hops...), radius.AccessAccept, said)
				h.stop(stop)
			}
			request = slices.Grow(request, len(hops))
			h.warm(t, round)
			runs := repeated(300)
			allocs := testing.AllocsPerRun(runs, round)
			assert.True(t, raced || allocs == 0, "%v allocations", allocs)
			assert.Equal(t, 2*(repeated(2000)+runs+1), h.value("roamgate_responses_total", "kind", "auth", "result", "accept"))
			assert.Equal(t, repeated(2000)+runs+1, h.value("roamgate_responses_total", "kind", "acct", "result", "ack"))
		})
	}
}

// Neither do the packets that come to nothing.
func TestAllocsColdPaths(t *testing.T) {
	h := newHot(t, false)
	h.ask(papRequest)
	kept := append([]byte(nil), h.buf[:h.w.Len()]...)
	stranger := udp.AddrFrom(netip.MustParseAddrPort("192.0.2.1:1"))
	front := h.shard.fronts[listen.Auth]
	for _, tt := range []struct {
		name string
		do   func()
	}{
		{"pending", func() { h.shard.receive(front, kept, h.from, udp.LocalInfo{}) }},
		{"stranger", func() { h.shard.receive(front, kept, stranger, udp.LocalInfo{}) }},
		{"malformed", func() { h.shard.receive(front, kept[:19], h.from, udp.LocalInfo{}) }},
		{"no home", func() { h.shard.reply(0, kept, stranger) }},
		{"late", func() { h.shard.reply(0, kept, h.home[0]) }},
		{"answer", func() { h.answer(radius.AccessAccept, accept) }},
		{"answered", func() { h.shard.receive(front, kept, h.from, udp.LocalInfo{}) }},
	} {
		if tt.name == "answer" {
			tt.do()
			continue
		}
		allocs := testing.AllocsPerRun(repeated(200), tt.do)
		assert.True(t, raced || allocs == 0, "%s: %v allocations", tt.name, allocs)
	}
	assert.Zero(t, h.shard.slab.used)
}

// crowd is what a batch carries: so many requests at once, and all that
// follows from them.
const crowd = 32

// crowdOf is what peers need to make their side of a crowd at little cost.
type crowdOf struct {
	*hot
	signatures *radius.Signatures
	bufs       [2 * crowd][]byte
	packets    [crowd][]byte
	tokens     [crowd]uint64
}

func newCrowd(b *testing.B, policy bool) *crowdOf {
	c := &crowdOf{hot: newHot(b, policy), signatures: radius.NewSignatures(crowd)}
	for i := range c.bufs {
		c.bufs[i] = make([]byte, radius.MaxLen)
	}
	return c
}

// requests signs a request of each device.
func (c *crowdOf) requests(attributes []byte) {
	for i := range c.packets {
		c.serial++
		c.w.Start(c.bufs[i], radius.AccessRequest, byte(c.serial), true)
		binary.BigEndian.PutUint64(c.auth[:], c.serial)
		c.w.SetAuthenticator(&c.auth)
		c.w.Raw(attributes)
		c.packets[i] = c.signatures.Request(&c.w, c.in)
	}
	c.signatures.Run()
}

// replies signs the home's answer to every Exchange.
func (c *crowdOf) replies(code radius.Code, attributes []byte) {
	for i := range c.packets {
		_, ex := c.shard.slab.resolve(c.tokens[i])
		c.w.Start(c.bufs[crowd+i], code, ex.homeID, true)
		c.w.Raw(attributes)
		c.w.Add(radius.ProxyState, c.shard.seal(ex.nonce))
		c.packets[i] = c.signatures.Response(&c.w, c.out, &ex.homeAuth)
	}
	c.signatures.Run()
}

func (c *crowdOf) round(attributes []byte, code radius.Code, said []byte) {
	c.requests(attributes)
	c.together(c.packets[:]...)
	n := 0
	for slot := range uint32(slabChunk) {
		if c.shard.slab.at(slot).stage != stageFree {
			c.tokens[n] = c.shard.slab.token(slot)
			n++
		}
		if n == crowd {
			break
		}
	}
	c.replies(code, said)
	c.repliesTogether(c.packets[:]...)
}

func benchCrowd(b *testing.B, policy bool, round func(c *crowdOf)) {
	c := newCrowd(b, policy)
	c.warm(b, func() { round(c) })
	b.ReportAllocs()
	for b.Loop() {
		round(c)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*crowd), "ns/request")
}

func bench(b *testing.B, policy bool, round func(h *hot)) {
	h := newHot(b, policy)
	h.warm(b, func() { round(h) })
	b.ReportAllocs()
	for b.Loop() {
		round(h)
	}
}

// BenchmarkHotAccessRequest is a batch of 32 requests and their answers through
// one shard, sockets included on the sending side. The client's and the home's
// own signing is in the figure too; the last case is that alone.
func BenchmarkHotAccessRequest(b *testing.B) {
	b.Run("PAP", func(b *testing.B) {
		benchCrowd(b, false, func(c *crowdOf) { c.round(papRequest, radius.AccessAccept, accept) })
	})
	b.Run("PAP with policy", func(b *testing.B) {
		benchCrowd(b, true, func(c *crowdOf) { c.round(papRequest, radius.AccessAccept, accept) })
	})
	b.Run("EAP", func(b *testing.B) {
		benchCrowd(b, false, func(c *crowdOf) { c.round(eapRequest, radius.AccessChallenge, challenge) })
	})
	b.Run("EAP one by one", func(b *testing.B) {
		bench(b, false, func(h *hot) { h.round(eapRequest, radius.AccessChallenge, challenge) })
	})
	b.Run("peers alone", func(b *testing.B) {
		c := newCrowd(b, false)
		for b.Loop() {
			c.requests(eapRequest)
			for i := range c.packets {
				c.w.Start(c.bufs[crowd+i], radius.AccessChallenge, 1, true)
				c.w.Raw(challenge)
				c.packets[i] = c.signatures.Response(&c.w, c.out, &c.auth)
			}
			c.signatures.Run()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*crowd), "ns/request")
	})
}

// BenchmarkHotAcctStop (acceptance row 2) is a Stop up to the spool's batch,
// the batch handed back as durable, and the home's answer.
func BenchmarkHotAcctStop(b *testing.B) {
	b.Run("home", func(b *testing.B) { bench(b, false, func(h *hot) { h.stop(stopOf) }) })
}

package aaa

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/stream/dtls"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// newOffices makes a hub whose first home is reached over TLS and speaks these
// versions, and whose others are as usual.
func newOffices(t tester, homes int, versions ...string) (*rig, *office, *tenant) {
	t.Helper()
	n := newTenant(t, "lab")
	o := openOffice(t, n.conf(versions...))
	r := newRigOf(t, setup{homes: homes, edit: o.reach(n.security("lab", versions...), 0), conf: func(c *Config) { c.InFlight = 2048 }})
	r.linked(2)
	return r, o, n
}

// asks sends n Access-Requests without waiting for any answer.
func (r *rig) asks(n int) (sent [][]byte) {
	r.t.Helper()
	for i := range n {
		b := encode(r.t, access(fmt.Sprintf("u%d@home.example", i), withID(byte(i))), true)
		c := r.nas
		if i >= 256 {
			c = r.socket()
		}
		r.inject(listen.Auth, b, addrOf(c))
		if i%64 == 0 {
			r.turn(0)
		}
		sent = append(sent, b)
	}
	r.turn(0)
	return sent
}

// accepted waits for as many answers at the NAS and asserts that each request
// got one, and only one.
func (r *rig) acceptedAll(sent [][]byte) {
	r.t.Helper()
	got := map[byte]int{}
	r.until("all answers", func() bool {
		for {
			b, _ := read(r.t, r.nas, time.Millisecond)
			if b == nil {
				return len(got) == len(sent)
			}
			assert.Equal(r.t, byte(layeh.CodeAccessAccept), b[0])
			got[b[1]]++
		}
	})
	for id, n := range got {
		assert.Equal(r.t, 1, n, "answers to %d", id)
	}
}

func answerAll(all []*letter) {
	for _, l := range all {
		l.desk.say(l.reply(layeh.CodeAccessAccept))
	}
}

func TestHomeOverAConnection(t *testing.T) {
	tests := map[string]struct {
		plain           bool
		server, offered []string
		clear           bool
	}{
		"TCP":             {plain: true},
		"no ALPN":         {},
		"radius/1.0":      {server: []string{"radius/1.0"}, offered: []string{"radius/1.1", "radius/1.0"}},
		"radius/1.1":      {server: []string{"radius/1.0", "radius/1.1"}, offered: []string{"radius/1.1", "radius/1.0"}, clear: true},
		"1.1, old server": {offered: []string{"radius/1.1", "radius/1.0"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n := newTenant(t, "lab")
			conf, sec := n.conf(test.server...), n.security("lab", test.offered...)
			if test.clear { // the server's order would decide
				conf.NextProtos = []string{"radius/1.1"}
			}
			if test.plain {
				conf, sec = nil, nil
			}
			o := openOffice(t, conf)
			r := newRigOf(t, setup{homes: 1, edit: o.reach(sec, 0)})
			r.linked(2)
			by := r.set.Homes[0].Transport.String()
			assert.Equal(t, 2, r.value("roamgate_tls_handshakes_total", "direction", "out", "transport", by, "result", "ok"))
			sent := r.ask(access("bob@home.example", withPassword("secret")))
			l := r.arrives(o)
			assert.Equal(t, test.clear, l.desk.clear)
			if test.clear {
				assert.Zero(t, l.raw[1], "the Identifier says nothing")
				assert.Equal(t, "secret", string(l.Get(rfc2865.UserPassword_Type)))
			} else {
				assert.NotZero(t, l.raw[1])
				requireSigned(t, l.raw, l.raw[4:20], o.secret)
				assert.Equal(t, "secret", rfc2865.UserPassword_GetString(l.Packet))
			}
			l.desk.say(l.reply(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "c")))
			r.until("the answer", func() bool { return r.shard.slab.used == 0 })
			p := r.got(sent)
			assert.Equal(t, layeh.CodeAccessAccept, p.Code)
			assert.Equal(t, "c", rfc2865.Class_GetString(p))

			stop := r.report(acctStop("bob@home.example", "s"))
			l = r.arrives(o)
			l.desk.say(l.reply(layeh.CodeAccountingResponse))
			r.recorded(1)
			r.until("the answer", func() bool { return r.shard.slab.used == 0 })
			assert.Equal(t, layeh.CodeAccountingResponse, r.got(stop).Code)
			assert.Equal(t, home.Up, r.health(0, home.Auth))
			r.clean()
		})
	}
}

// C71, C77: what was written arrives, so it is written once; and MRD ends it.
func TestC71NoRetransmission(t *testing.T) {
	r, o, _ := newOffices(t, 1)
	sent := r.ask(access("bob@home.example"))
	r.arrives(o)
	for range 14 {
		r.pass(2 * time.Second)
		r.offer(listen.Auth, sent) // the client repeats, and is swallowed (C77)
	}
	r.pass(3 * time.Second)
	r.rejected(sent)
	assert.Empty(t, o.letters)
	assert.Zero(t, r.value("roamgate_home_retransmits_total", "home", "a", "kind", "auth"))
	r.clean()
}

// C77: what the client began anew is not looked for any longer.
func TestC77OriginGivesUp(t *testing.T) {
	r, o, _ := newOffices(t, 1)
	r.ask(access("bob@home.example", withID(7)))
	r.arrives(o)
	r.ask(access("bob@home.example", withID(7)))
	r.arrives(o)
	r.pass(3 * time.Second)
	assert.Equal(t, 1, r.shard.slab.used, "the first has ended at its next timer")
}

func TestResetWithRequestsUnderWay(t *testing.T) {
	for _, version := range []string{"radius/1.0", "radius/1.1"} {
		t.Run(version, func(t *testing.T) {
			r, o, _ := newOffices(t, 1, version)
			r.opened(o)
			r.opened(o)
			sent := r.asks(200)
			first := r.arrive(o, 200)
			first[0].desk.reset()
			r.linked(1)
			assert.Equal(t, 200, r.shard.slab.used)
			r.pass(time.Second)
			moved := r.arrive(o, 200)
			assert.NotSame(t, first[0].desk, moved[0].desk)
			answerAll(moved)
			r.acceptedAll(sent)
			assert.Equal(t, 200, r.value("roamgate_moved_total"))
			assert.Equal(t, home.Up, r.health(0, home.Auth), "it was back in a moment")
			r.clean()
		})
	}
}

func TestResetMovesToAnotherHome(t *testing.T) {
	r, o, _ := newOffices(t, 2)
	sent := r.ask(access("bob@home.example"))
	r.arrives(o).desk.reset()
	r.linked(1)
	r.atHome(1).answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	r.clean()
}

func TestClosesMidPacket(t *testing.T) {
	r, o, _ := newOffices(t, 1)
	sent := r.asks(1)
	l := r.arrives(o)
	l.desk.say(l.reply(layeh.CodeAccessAccept)[:21])
	_ = l.desk.Close()
	r.linked(1)
	r.pass(time.Second)
	answerAll(r.arrive(o, 1))
	r.acceptedAll(sent)
	r.clean()
}

// One bad reply costs one request, whatever is wrong with it.
func TestOneBadReply(t *testing.T) {
	tests := map[string]struct {
		spoil  func(l *letter) []byte
		closes Closing
		why    Reason
	}{
		"unknown code":   {func(l *letter) []byte { return l.reply(99) }, StaysOpen, ofRadius(radius.BadCode)},
		"another's code": {func(l *letter) []byte { return l.reply(layeh.CodeAccountingResponse) }, StaysOpen, ReplyCode},
		"unmatched": {func(l *letter) []byte {
			b := l.reply(layeh.CodeAccessAccept)
			b[1] = 255
			return b
		}, StaysOpen, LateReply},
		"authenticator": {func(l *letter) []byte {
			b := l.reply(layeh.CodeAccessAccept)
			b[5]++
			return b
		}, ClosedAuthenticator, BadResponseAuthenticator},
		"Message-Authenticator": {func(l *letter) []byte {
			p := l.Response(layeh.CodeAccessAccept)
			p.Add(80, make([]byte, 16))
			b, _ := p.Encode()
			return b
		}, ClosedAuthenticator, ReplyBadMessageAuthenticator},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, o, _ := newOffices(t, 1)
			sent := r.asks(100)
			all := r.arrive(o, 100)
			all[50].desk.say(test.spoil(all[50]))
			r.until("it is counted", func() bool {
				return r.value("roamgate_home_bad_responses_total", "home", "a", "reason", test.why.String()) == 1
			})
			if test.closes == StaysOpen {
				assert.Equal(t, 2, r.links())
				answerAll(all)
				r.acceptedAll(sent)
				r.clean()
				return
			}
			r.linked(1)
			assert.Equal(t, 1, r.value("roamgate_connections_closed_total", "peer", "a", "direction", "out", "transport", "tls", "reason", test.closes.String()))
			r.pass(time.Second)
			answerAll(r.arrive(o, 99))
			r.rejected(sent[50]) // not sent there again: it would only end another connection
			r.acceptedAll(slices.Delete(sent, 50, 51))
			r.clean()
		})
	}
}

func TestMalformedReply(t *testing.T) {
	r, o, _ := newOffices(t, 1)
	sent := r.asks(10)
	l := r.arrive(o, 10)[0]
	l.desk.say([]byte{2, 1, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0})
	r.linked(1)
	assert.Equal(t, 1, r.value("roamgate_connections_closed_total", "peer", "a", "direction", "out", "transport", "tls", "reason", "malformed"))
	r.pass(time.Second)
	answerAll(r.arrive(o, 10))
	r.acceptedAll(sent)
}

// C69: more than one connection carries.
func TestC69ThreeHundredInFlight(t *testing.T) {
	for version, connections := range map[string]int{"radius/1.0": 2, "radius/1.1": 1} {
		t.Run(version, func(t *testing.T) {
			r, o, _ := newOffices(t, 1, version)
			r.asks(300)
			desks := map[*desk]int{}
			for _, l := range r.arrive(o, 300) {
				desks[l.desk]++
				assert.False(t, version == "radius/1.0" && l.raw[1] == 0, "0 is for Status-Server")
				l.desk.say(l.reply(layeh.CodeAccessAccept))
			}
			assert.Len(t, desks, connections)
			r.until("all are answered", func() bool { return r.shard.slab.used == 0 })
			r.clean()
		})
	}
}

func TestIdleCloses(t *testing.T) {
	r, o, _ := newOffices(t, 1)
	for range 2 {
		_ = r.opened(o).Close()
	}
	r.linked(0)
	r.pass(time.Minute)
	assert.Equal(t, home.Up, r.health(0, home.Auth), "that is no failure")
	assert.Empty(t, o.desks, "and nobody needs another")
	sent := r.asks(1)
	answerAll(r.arrive(o, 1))
	r.acceptedAll(sent)
}

// TestStalledHome: a home that takes nothing any more costs the shard nothing:
// requests go to another home, and the connection is given up.
func TestStalledHome(t *testing.T) {
	n := newTenant(t, "lab")
	o := openOffice(t, n.conf("radius/1.1"))
	o.deaf.Store(true)
	r := newRigOf(t, setup{homes: 2, edit: o.reach(n.security("lab", "radius/1.1"), 0), conf: func(c *Config) { c.InFlight = 32768 }})
	r.linked(2)
	wire := r.shard.links.of[0][home.Auth].Links()[0].Wire
	long := tlv(1, "bob@home.example", 32, "a")
	for range 14 {
		long = append(long, tlv(18, string(bytes.Repeat([]byte{'x'}, 250)))...)
	}
	h := &hot{rig: r, crypt: radius.NewCrypt(), in: radius.NewSecret([]byte(visitedSecret)), from: udp.AddrFrom(addrOf(r.nas))}
	for n := 0; !wire.Full(); n++ {
		require.Less(t, n, 16_000)
		h.ask(long)
		if n%32 == 0 {
			r.turn(0)
		}
	}
	sent := r.ask(access("bob@home.example"))
	r.atHome(1).answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	r.pass(2 * time.Second)
	r.pass(31 * time.Second)
	assert.Equal(t, 1, r.value("roamgate_connections_closed_total", "peer", "a", "direction", "out", "transport", "tls", "reason", "stalled"))
}

func TestSlowHandshake(t *testing.T) {
	n := newTenant(t, "lab")
	o := openOffice(t, n.conf())
	o.mute.Store(true)
	r := newRigOf(t, setup{homes: 2, edit: o.reach(n.security("lab"), 0), runs: true})
	r.hub.dialling.kinds[0].most = 50 * time.Millisecond
	r.turn(0)
	sent := r.ask(access("bob@home.example"))
	r.until("it is given up", func() bool { return r.health(0, home.Auth) == home.Down })
	_, why := r.state(0, home.Auth).Health()
	assert.Equal(t, home.Insecure, why)
	assert.Equal(t, "the handshake took too long", r.state(0, home.Auth).Said())
	assert.NotZero(t, r.value("roamgate_tls_handshakes_total", "direction", "out", "transport", "tls", "result", "timeout"))
	r.atHome(1).answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code, "who waited for it went elsewhere")
}

// C80: a home that is to be reached over TLS gets no datagram,
// whatever happens there.
func TestC80NoFallback(t *testing.T) {
	n := newTenant(t, "lab")
	o := openOffice(t, n.conf())
	at, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(o.addr()))
	require.NoError(t, err)
	defer at.Close()
	o.close()
	r := newRigOf(t, setup{homes: 1, edit: o.reach(n.security("lab"), 0)})
	r.until("it is refused", func() bool { return r.health(0, home.Auth) == home.Down })
	_, why := r.state(0, home.Auth).Health()
	assert.Equal(t, home.Refused, why)
	r.rejected(r.ask(access("bob@home.example")))
	b, _ := read(t, at, time.Millisecond)
	assert.Nil(t, b)
}

func TestHomeOfAnother(t *testing.T) {
	others := newTenant(t, "others")
	tests := map[string]struct {
		edit         func(n *tenant, conf *tls.Config, h *realm.Home)
		said, result string
	}{
		"another name": {func(_ *tenant, _ *tls.Config, h *realm.Home) {
			h.Holder = &realm.Holder{Hosts: []string{"other.example"}}
		}, "none of the names", "distrusted"},
		"another authority": {func(_ *tenant, conf *tls.Config, _ *realm.Home) {
			conf.Certificates = []tls.Certificate{others.home.TLS()}
		}, "certificate refused", "distrusted"},
		"expired": {func(n *tenant, conf *tls.Config, _ *realm.Home) {
			late := n.issue(issue.Names{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, func(p *issue.Profile) {
				p.NotBefore, p.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
			})
			conf.Certificates = []tls.Certificate{late.TLS()}
		}, "expired", "distrusted"},
		"TLS 1.2 where 1.3 is wanted": {func(_ *tenant, conf *tls.Config, h *realm.Home) {
			conf.MaxVersion, h.Security.MinVersion = tls.VersionTLS12, tls.VersionTLS13
		}, "protocol version", "alerted"},
		"1.1 without it": {func(_ *tenant, _ *tls.Config, h *realm.Home) { h.Security.Versions = []string{"radius/1.1"} }, "no version of RADIUS", "no_agreement"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n := newTenant(t, "lab")
			conf := n.conf()
			o := openOffice(t, conf)
			r := newRigOf(t, setup{homes: 2, edit: func(s *realm.Set) {
				o.reach(n.security("lab"), 0)(s)
				test.edit(n, conf, &s.Homes[0])
			}})
			r.until("it is refused", func() bool { return r.health(0, home.Auth) == home.Down })
			_, why := r.state(0, home.Auth).Health()
			assert.Equal(t, home.Insecure, why)
			assert.Contains(t, r.state(0, home.Auth).Said(), test.said)
			assert.NotZero(t, r.value("roamgate_tls_handshakes_total", "direction", "out", "transport", "tls", "result", test.result))
			sent := r.ask(access("bob@home.example"))
			r.atHome(1).answer(layeh.CodeAccessAccept)
			assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
		})
	}
}

// TestRotation: a new certificate is served without a drop.
func TestRotation(t *testing.T) {
	r, o, n := newOffices(t, 1)
	was := r.opened(o)
	r.opened(o)
	sent := r.asks(50)
	first := r.arrive(o, 50)
	next := n.security("lab")
	r.apply(func(s *realm.Set) { s.Homes[0].Security = next })
	r.until("the new ones", func() bool { return len(o.desks) == 2 })
	answerAll(first)
	r.acceptedAll(sent)
	r.pass(time.Second)
	r.linked(2)
	now := r.opened(o)
	assert.NotEqual(t, was.peer.SerialNumber, now.peer.SerialNumber)
	assert.Equal(t, next.Credential.TLS.Leaf.SerialNumber, now.peer.SerialNumber)
	assert.Equal(t, 2, r.value("roamgate_connections_closed_total", "peer", "a", "direction", "out", "transport", "tls", "reason", "renewed"))
	sent = r.asks(50)
	all := r.arrive(o, 50)
	assert.NotSame(t, first[0].desk, all[0].desk)
	answerAll(all)
	r.acceptedAll(sent)
	r.apply(func(*realm.Set) {})
	r.pass(time.Second)
	assert.Empty(t, o.letters)
	assert.Equal(t, 2, r.links(), "nothing is new")
}

// TestHomeIsSomebodyElse: a connection that was judged for one holder carries
// nothing for another, also where the other cannot be reached.
func TestHomeIsSomebodyElse(t *testing.T) {
	r, o, _ := newOffices(t, 2)
	sent := r.asks(1)
	l := r.arrives(o)
	r.apply(func(s *realm.Set) { s.Homes[0].Holder = &realm.Holder{Hosts: []string{"other.example"}} })
	answerAll([]*letter{l})
	r.acceptedAll(sent)
	next := r.ask(access("bob@home.example", withID(9)))
	r.until("it is asked for elsewhere", func() bool { r.pass(100 * time.Millisecond); return r.health(0, home.Auth) == home.Down })
	r.atHome(1).answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(next).Code)
	assert.Empty(t, o.letters, "nothing of it went there")
}

func TestHomeIsGone(t *testing.T) {
	r, o, _ := newOffices(t, 2)
	sent := r.asks(1)
	l := r.arrives(o)
	r.apply(func(s *realm.Set) {
		s.Homes = s.Homes[1:]
		s.Pools[0].Members = []realm.Member{{Home: 0, Weight: 1}}
	})
	r.pass(time.Second)
	assert.Equal(t, 1, r.links(), "one request is under way")
	answerAll([]*letter{l})
	r.acceptedAll(sent)
	r.pass(time.Second)
	assert.Empty(t, r.shard.links.all)
	assert.Equal(t, 2, r.logs.FilterMessage("connection closed").FilterField(zap.Stringer("reason", ClosedGone)).Len())
}

func TestWatchdogOverAConnection(t *testing.T) {
	for _, version := range []string{"radius/1.0", "radius/1.1"} {
		t.Run(version, func(t *testing.T) {
			n := newTenant(t, "lab")
			o := openOffice(t, n.conf(version))
			r := newRigOf(t, setup{homes: 1, edit: func(s *realm.Set) {
				o.reach(n.security("lab", version), 0)(s)
				s.Homes[0].StatusServer = true
			}})
			r.linked(2)
			r.pass(200 * time.Millisecond)
			var probes []*letter
			r.until("both are probed", func() bool {
				for len(o.letters) > 0 {
					probes = append(probes, <-o.letters)
				}
				return len(probes) == 2
			})
			for _, l := range probes {
				assert.Equal(t, layeh.CodeStatusServer, l.Code)
				assert.Zero(t, l.raw[1], "0 is for Status-Server")
				l.desk.say(l.reply(layeh.CodeAccessAccept))
			}
			sent := r.asks(1)
			r.arrives(o)
			r.pass(6 * time.Second)
			r.pass(200 * time.Millisecond)
			r.until("a request is not answered", func() bool { return len(o.letters) > 0 })
			assert.Equal(t, layeh.CodeStatusServer, (<-o.letters).Code)
			r.pass(9 * time.Second)
			assert.Equal(t, 1, r.value("roamgate_connections_closed_total", "peer", "a", "direction", "out", "transport", "tls", "reason", "silent"))
			r.pass(time.Second)
			answerAll(r.arrive(o, 1))
			r.acceptedAll(sent)
		})
	}
}

// C86: a home that cannot pass a request on is not the last.
func TestC86TryAnother(t *testing.T) {
	for name, test := range map[string]struct {
		cause uint32
		moves bool
	}{"not routable": {502, true}, "proxy error": {505, true}, "no resources": {506, true}, "unsupported": {406, false}} {
		t.Run(name, func(t *testing.T) {
			r, o, _ := newOffices(t, 2, "radius/1.1")
			sent := r.ask(access("bob@home.example"))
			l := r.arrives(o)
			l.desk.say(l.reply(52, with32(101, test.cause)))
			if test.moves {
				r.until("it moves", func() bool { return r.value("roamgate_failovers_total") == 1 })
				r.atHome(1).answer(layeh.CodeAccessAccept)
				assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
			} else {
				r.until("it ends", func() bool { return r.shard.slab.used == 0 })
				r.rejected(sent)
				r.quietHome(1)
			}
			r.clean()
		})
	}
}

// C71: the time of a request is counted from its
// arrival, over however many connections it goes.
func TestC71MovedRequestsKeepTheirTime(t *testing.T) {
	r, o, _ := newOffices(t, 1)
	sent := r.ask(access("bob@home.example"))
	for range 3 {
		r.arrives(o).desk.reset()
		r.linked(1)
		r.pass(9 * time.Second)
		r.linked(2)
	}
	r.arrives(o)
	r.pass(2900 * time.Millisecond)
	assert.Equal(t, 1, r.shard.slab.used)
	r.pass(200 * time.Millisecond)
	r.rejected(sent)
	r.clean()
}

// TestOldRequestsRenewNothing: a request that began before a reload does not
// bring the connections of before it back.
func TestOldRequestsRenewNothing(t *testing.T) {
	r, o, n := newOffices(t, 1)
	sent := r.asks(1)
	l := r.arrives(o)
	r.apply(func(s *realm.Set) { s.Homes[0].Security = n.security("lab") })
	r.opened(o)
	r.opened(o)
	r.opened(o)
	r.opened(o)
	r.until("the new ones stand", func() bool { r.pass(100 * time.Millisecond); return r.links() == 3 })
	l.desk.reset()
	r.linked(2)
	answerAll(r.arrive(o, 1))
	r.acceptedAll(sent)
	r.pass(time.Second)
	assert.Equal(t, 2, r.links())
	assert.Empty(t, o.desks, "no other connection was opened")
	r.clean()
}

// TestRevokedHome: a home that a new list revokes is dropped live.
func TestRevokedHome(t *testing.T) {
	r, o, n := newOffices(t, 2)
	sent := r.asks(1)
	r.arrives(o)
	r.apply(func(s *realm.Set) {
		sec := *s.Homes[0].Security
		sec.Trust = n.trust(n.home)
		s.Homes[0].Security = &sec
	})
	r.hub.judgeAll()
	r.until("it is dropped", func() bool { return r.links() == 0 })
	r.pass(time.Second)
	r.until("it is not let in again", func() bool { r.pass(100 * time.Millisecond); return r.health(0, home.Auth) == home.Down })
	assert.Contains(t, r.state(0, home.Auth).Said(), "revoked")
	h := r.atHome(1)
	h.answer(layeh.CodeAccessAccept)
	r.acceptedAll(sent)
}

// TestC78CallsAreMarked: both ends of a connection that we open know it.
func TestC78CallsAreMarked(t *testing.T) {
	r, o, _ := newOffices(t, 1)
	d := r.opened(o)
	state := d.Conn.(*tls.Conn).ConnectionState()
	mark, err := state.ExportKeyingMaterial(markLabel, nil, len(callMark{}))
	require.NoError(t, err)
	assert.True(t, r.hub.calls.has(callMark(mark)))
	_ = d.Close()
	r.linked(1)
	assert.False(t, r.hub.calls.has(callMark(mark)))
}

// TestFoundHome: a home that DNS has found is used like any other, and its
// connection ends with its time.
func TestFoundHome(t *testing.T) {
	n := newTenant(t, "lab")
	o := openOffice(t, n.conf())
	by := &realm.Discovery{Name: "roam", Security: n.security("lab"), Timers: realm.Timers{IRT: time.Second, MRD: 10 * time.Second, MRC: 5}}
	r := newRigOf(t, setup{homes: 1, edit: func(s *realm.Set) { s.Discoveries = []*realm.Discovery{by} }})
	hm, err := r.hub.homes.Discover(home.Target{Addr: o.addr(), By: by, Holder: &realm.Holder{Hosts: []string{"radius.home.example"}}}, time.Now().Unix()+60)
	require.NoError(t, err)
	pool := r.hub.homes.FoundPool(by, home.Auth, []home.FoundMember{{Home: hm}})
	sent := r.ask(access("bob@home.example"))
	h := r.atHome(0) // the answer of the other home is not waited for
	slot := r.slotOf(r.inFlight())
	ex := r.inFlight()
	r.shard.leaveHome(slot, ex, false)
	ex.pool, ex.tried = pool, 0
	r.shard.forwardAuth(slot, ex, r.shard.parsed(ex))
	answerAll(r.arrive(o, 1))
	r.until("the answer", func() bool { return r.shard.slab.used == 0 })
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	assert.Equal(t, 1, r.value("roamgate_home_requests_total", "home", home.Dynamic, "kind", "auth"))
	_ = h

	gone := *r.set
	gone.Discoveries = nil
	require.NoError(t, r.hub.Apply(&gone))
	r.turn(0)
	r.pass(200 * time.Millisecond)
	assert.Zero(t, r.links())
}

// slotOf finds the slot of an Exchange.
func (r *rig) slotOf(ex *Exchange) uint32 {
	for slot := range uint32(len(r.shard.slab.chunks) * slabChunk) {
		if r.shard.slab.at(slot) == ex {
			return slot
		}
	}
	return noSlot
}

// TestHomeOverDTLS: datagrams that are lost are sent again, encrypted anew.
func TestHomeOverDTLS(t *testing.T) {
	n := newTenant(t, "lab")
	door, err := dtls.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 4)
	require.NoError(t, err)
	peers, poller := make(chan *stream.Conn, 4), (*udp.Poller)(nil)
	var serving sync.WaitGroup
	serving.Go(func() {
		door.Serve(func(netip.AddrPort) bool { return true }, func(_ netip.AddrPort, p *dtls.Peer) {
			serving.Go(func() {
				conf := n.conf("radius/1.0")
				conf.VerifyConnection = func(tls.ConnectionState) error { return nil }
				if c, err := dtls.Server(t.Context(), p, conf); err == nil {
					peers <- c
				}
			})
		})
	})
	poller, err = udp.NewPoller()
	require.NoError(t, err)
	defer poller.Close()
	defer serving.Wait()
	defer door.Close()
	r := newRigOf(t, setup{homes: 1, edit: func(s *realm.Set) {
		s.Homes[0].Auth, s.Homes[0].Acct = door.Addr(), netip.AddrPort{}
		s.Homes[0].Transport, s.Homes[0].Security = realm.DTLS, n.security("lab", "radius/1.1", "radius/1.0")
	}})
	r.linked(1)
	far := <-peers
	defer far.Close()
	require.NoError(t, far.Attach(poller, 1))
	receive := func() (b []byte) {
		r.until("a request", func() bool {
			_, _ = far.Recv()
			b, _ = far.Next()
			return b != nil
		})
		return bytes.Clone(b)
	}
	sent := r.ask(access("bob@home.example"))
	first := receive()
	r.pass(3 * time.Second)
	assert.Equal(t, first, receive(), "the same request once more")
	p, err := layeh.Parse(first, []byte("radius/dtls"))
	require.NoError(t, err)
	requireSigned(t, first, first[4:20], "radius/dtls")
	copy(far.Room(), signReply(t, p.Response(layeh.CodeAccessAccept), true))
	far.Commit(38)
	require.NoError(t, far.Flush())
	r.until("the answer", func() bool { return r.shard.slab.used == 0 })
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	r.clean()
}

func udpAddrOf(r *rig) udp.Addr { return udp.AddrFrom(addrOf(r.nas)) }

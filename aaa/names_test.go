package aaa

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/realm"
)

// nameServer answers A with the address that is set, and fails while there is
// none.
func nameServer(t *testing.T) (at netip.AddrPort, address *atomic.Pointer[net.IP]) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	address = new(atomic.Pointer[net.IP])
	started, done := make(chan struct{}), make(chan error)
	s := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		ip := address.Load()
		switch {
		case ip == nil:
			m.Rcode = dns.RcodeServerFailure
		case q.Question[0].Qtype == dns.TypeA:
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: *ip}}
		}
		_ = w.WriteMsg(m)
	})}
	go func() { done <- s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = s.Shutdown(); <-done })
	return pc.LocalAddr().(*net.UDPAddr).AddrPort(), address
}

// A hub starts without the addresses of its homes, takes them when it is told
// them, and follows them; a home that stays is the same one, health and all.
func TestNamedHome(t *testing.T) {
	dnsAt, address := nameServer(t)
	r := newRigOf(t, setup{homes: 2, conf: func(c *Config) { c.DNS = []netip.AddrPort{dnsAt} }, edit: func(s *realm.Set) {
		h := &s.Homes[0]
		h.Host, h.AuthPort, h.AcctPort = "radius.example", h.Auth.Port(), h.Acct.Port()
		h.Auth, h.Acct = netip.AddrPort{}, netip.AddrPort{}
	}})
	view := func() *home.View { return r.hub.Snapshot().Homes }
	_, cause := view().Homes()[0].Health(home.Auth)
	assert.Equal(t, home.Unresolved, cause)
	other := view().Homes()[1]
	sent := r.ask(access("bob@home.example"))
	h := r.atHome(1)

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.hub.names.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	r.until("it is known why there is no address", func() bool {
		_, cause := view().Homes()[0].Health(home.Auth)
		return cause == home.DNSError
	})
	assert.Contains(t, r.hub.HomeReports()[0].Lookup, "SERVFAIL")
	address.Store(&net.IP{127, 0, 0, 1})
	r.hub.names.Again()
	r.until("the home has an address", func() bool { return view().Homes()[0].Has(home.Auth) })
	r.accepted()
	assert.Same(t, other.State[home.Auth], view().Homes()[1].State[home.Auth])
	assert.Equal(t, other.Index, view().Homes()[1].Index)
	h.answer(2)
	r.got(sent)

	address.Store(&net.IP{127, 0, 0, 2})
	r.hub.names.Again()
	r.until("it has moved", func() bool { return view().Homes()[0].Addr[home.Auth].AddrPort().Addr().String() == "127.0.0.2" })
	r.apply(func(*realm.Set) {})
	assert.Equal(t, "127.0.0.2", view().Homes()[0].Addr[home.Auth].AddrPort().Addr().String(), "over a reload")
	address.Store(nil)
	r.hub.names.Again()
	r.until("DNS is away", func() bool { return r.hub.HomeReports()[0].Lookup != "" })
	assert.True(t, view().Homes()[0].Has(home.Auth), "what is known stays")
}

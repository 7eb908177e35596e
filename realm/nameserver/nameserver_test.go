package nameserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// known is the answer of a server that knows one address.
func known(q *dns.Msg) *dns.Msg { return saying(q, "r.example. 60 IN A 198.51.100.1") }

func saying(q *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

// server is a DNS server on loopback, over UDP and TCP.
func server(t *testing.T, h dns.HandlerFunc) netip.AddrPort {
	var pc net.PacketConn
	var l net.Listener
	var at netip.AddrPort
	for try := 0; ; try++ { // the TCP port of the number may be another's
		var err error
		pc, err = net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		at = pc.LocalAddr().(*net.UDPAddr).AddrPort()
		if l, err = net.Listen("tcp", at.String()); err == nil {
			break
		}
		require.Less(t, try, 20, err)
		require.NoError(t, pc.Close())
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		done := make(chan error)
		go func() { done <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown(); <-done })
	}
	return at
}

// The wire, with a real server: what is too long comes over TCP, and what is
// no answer to the question is none.
func TestExchange(t *testing.T) {
	tests := []struct {
		name  string
		h     dns.HandlerFunc
		want  string
		wrong string
	}{
		{"an answer", func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(known(q)) }, "198.51.100.1", ""},
		{"truncated", func(w dns.ResponseWriter, q *dns.Msg) {
			m := known(q)
			if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
				m.Truncated, m.Answer = true, nil
			}
			_ = w.WriteMsg(m)
		}, "198.51.100.1", ""},
		{"always truncated", func(w dns.ResponseWriter, q *dns.Msg) {
			m := known(q)
			m.Truncated = true
			_ = w.WriteMsg(m)
		}, "", "truncated"},
		{"another question", func(w dns.ResponseWriter, q *dns.Msg) {
			m := known(q)
			m.Question[0].Name = "evil.example."
			_ = w.WriteMsg(m)
		}, "", "another question"},
		{"no response", func(w dns.ResponseWriter, q *dns.Msg) {
			m := known(q)
			m.Response = false
			_ = w.WriteMsg(m)
		}, "", "another question"},
		{"garbage", func(w dns.ResponseWriter, q *dns.Msg) {
			_, _ = w.Write([]byte{byte(q.Id >> 8), byte(q.Id), 0x80, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0xc0, 0xff})
		}, "", "DNS server"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Client{Servers: []netip.AddrPort{server(t, tt.h)}}
			f := c.Ask(t.Context(), "r.example", dns.TypeA)
			if tt.wrong != "" {
				assert.True(t, f.Outcome == Failed)
				assert.Contains(t, f.Why, tt.wrong)
				return
			}
			require.Len(t, f.Records, 1, f.Why)
			assert.Equal(t, tt.want, f.Records[0].(*dns.A).A.String())
		})
	}
}

// The next server is asked where one cannot answer.
func TestNextServer(t *testing.T) {
	good := server(t, func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(known(q))
	})
	bad := server(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		_ = w.WriteMsg(m.SetRcode(q, dns.RcodeRefused))
	})
	c := Client{Servers: []netip.AddrPort{bad, good}}
	assert.Len(t, c.Ask(t.Context(), "r.example", dns.TypeA).Records, 1)
}

// The host's resolvers are read again when their file has changed; without one
// nothing is known.
func TestResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	c := Client{ResolvConf: path}
	_, err := c.list()
	require.ErrorContains(t, err, "reading the DNS servers")
	f := c.Ask(t.Context(), "r.example", dns.TypeA)
	assert.True(t, f.Outcome == Failed)
	write := func(text string, at time.Time) {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(path, at, at))
		c.looked = time.Time{}
	}
	write("search example\nnameserver 192.0.2.1\nnameserver 2001:db8::53\nnameserver nonsense\n", time.Unix(1, 0))
	list, err := c.list()
	require.NoError(t, err)
	assert.Equal(t, "[192.0.2.1:53 [2001:db8::53]:53]", fmt.Sprint(list))
	write("nameserver 192.0.2.2\n", time.Unix(2, 0))
	list, _ = c.list()
	assert.Equal(t, "[192.0.2.2:53]", fmt.Sprint(list))
}

// Aliases are followed within an answer, a few of them, and none twice round.
func TestRead(t *testing.T) {
	q := new(dns.Msg)
	q.SetQuestion("r.example.", dns.TypeA)
	var long []string
	for i := range 20 {
		long = append(long, fmt.Sprintf("%s 60 IN CNAME n%d.example.", []string{"r.example.", fmt.Sprintf("n%d.example.", i-1)}[min(i, 1)], i))
	}
	tests := []struct {
		name    string
		records []string
		outcome Outcome
		ttl     time.Duration
		want    string // in Why
	}{
		{"an address", []string{"r.example. 60 IN A 198.51.100.1"}, Found, time.Minute, ""},
		{"in capitals", []string{"R.Example. 60 IN A 198.51.100.1"}, Found, time.Minute, ""},
		{"the least TTL of an alias", []string{"r.example. 20 IN CNAME a.example.", "a.example. 60 IN A 198.51.100.1"}, Found, 20 * time.Second, ""},
		{"a TTL of years", []string{"r.example. 2147483647 IN A 198.51.100.1"}, Found, most, ""},
		{"of another name", []string{"evil.example. 60 IN A 198.51.100.1"}, NoData, least, "no A record"},
		{"of another type", []string{"r.example. 60 IN AAAA 2001:db8::1"}, NoData, least, "no A record"},
		{"of another class", []string{"r.example. 60 CH A 198.51.100.1"}, NoData, least, "no A record"},
		{"an alias of nothing", []string{"r.example. 60 IN CNAME a.example."}, NoData, least, "alias"},
		{"an alias of itself", []string{"r.example. 60 IN CNAME r.example."}, NoData, least, "goes round"},
		{"a ring", []string{"r.example. 60 IN CNAME a.example.", "a.example. 60 IN CNAME r.example."}, NoData, least, "goes round"},
		{"a long chain", append(long, "n19.example. 60 IN A 198.51.100.1"), NoData, least, "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := Read(saying(q, tt.records...), "r.example", dns.TypeA)
			assert.Equal(t, tt.outcome, a.Outcome)
			assert.Equal(t, tt.ttl, a.TTL)
			assert.Contains(t, a.Why, tt.want)
			assert.Equal(t, tt.outcome == Found, len(a.Records) > 0)
			for _, rr := range a.Records {
				assert.True(t, strings.HasSuffix(strings.ToLower(rr.Header().Name), "example."))
			}
		})
	}
}

// A server that says nothing is left for the next one, and the caller's own end
// is kept.
func TestSilence(t *testing.T) {
	c := Client{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}}
	asked := 0
	ctx, stop := context.WithCancel(t.Context())
	c.Send = func(context.Context, string, netip.AddrPort, *dns.Msg) (*dns.Msg, error) {
		asked++
		stop()
		return nil, os.ErrDeadlineExceeded
	}
	a := c.Ask(ctx, "r.example", dns.TypeA)
	assert.Equal(t, Failed, a.Outcome)
	assert.Equal(t, 1, asked)
	assert.Equal(t, "stopped", a.Why)
}

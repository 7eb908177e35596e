package play

import (
	"crypto/tls"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/pkg/radius"
)

// streams are both ends of the same transport.
func streams(t testing.TB, versions ...string) (nas, home *Stream) {
	t.Helper()
	ca, err := lab.NewCA("play")
	require.NoError(t, err)
	p, err := ca.Issue(lab.Leaf{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	require.NoError(t, err)
	c := &tls.Config{
		Certificates: []tls.Certificate{p.TLS}, RootCAs: lab.Pool(ca), ClientCAs: lab.Pool(ca),
		ServerName: "127.0.0.1", ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: versions,
	}
	return &Stream{TLS: c}, &Stream{TLS: c}
}

func TestOverConnections(t *testing.T) {
	for _, tt := range []struct {
		name     string
		versions []string
		tcp      bool
		delay    time.Duration
	}{
		{name: "TCP", tcp: true},
		{name: "TLS"},
		{name: "RADIUS/1.0 by name", versions: []string{Version10}},
		{name: "RADIUS/1.1", versions: []string{Version11, Version10}},
		{name: "held answers", versions: []string{Version11}, delay: 5 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nas, home := streams(t, tt.versions...)
			if tt.tcp {
				nas, home = &Stream{}, &Stream{}
			}
			secret := []byte(nil)
			if tt.tcp {
				secret = []byte("s")
			}
			h, err := StartHome(HomeConfig{
				Name: "h", Auth: netip.MustParseAddrPort("127.0.0.1:0"), Secret: secret, Stream: home, Password: "correct-horse-1",
				Script: Script{Rounds: 1, Keys: true, Delay: Delay{Min: tt.delay}},
			})
			require.NoError(t, err)
			defer func() { require.NoError(t, h.Close()) }()
			n, err := NewNAS(NASConfig{
				Auth: h.Auth(), Acct: h.Acct(), Secret: secret, Stream: nas, Total: 2000, Devices: 100, Window: 1000, Sockets: 2,
				Mix: Mix{PAP: 1, CHAP: 1, EAP: 1, Status: 1}, Accounting: AccountingAfter, WantKeys: true, ProxyState: true, Retries: 9,
			})
			require.NoError(t, err)
			require.NoError(t, n.Run(t.Context()))
			c, s := n.Snapshot(), h.Snapshot()
			assert.True(t, c.AddsUp())
			assert.Zero(t, c.Lost.All())
			assert.Zero(t, c.Flaws.All(), "%v", c.Flaws)
			assert.Zero(t, s.Flaws.All(), "%v", s.Flaws)
			assert.Zero(t, c.Disconnects)
			assert.Zero(t, c.Rejects)
			assert.Equal(t, c.Sent.All(), s.Requests.All())
			assert.NotZero(t, c.Answered[KindStop])
			assert.NotZero(t, c.Answered[KindStatus])
		})
	}
}

// What is spoilt on purpose is noticed in both versions.
func TestBadAnswersOverConnections(t *testing.T) {
	for _, version := range []string{Version10, Version11} {
		for _, bad := range []Bad{BadAuthenticator, BadIdentifier, BadCode} {
			t.Run(version+" "+bad.String(), func(t *testing.T) {
				nas, home := streams(t, version)
				h, err := StartHome(HomeConfig{
					Name: "h", Auth: netip.MustParseAddrPort("127.0.0.1:0"), Stream: home,
					Script: Script{Misbehave: []Misbehaviour{{bad, 1}}, ThenProper: true},
				})
				require.NoError(t, err)
				defer func() { require.NoError(t, h.Close()) }()
				n, err := NewNAS(NASConfig{Auth: h.Auth(), Stream: nas, Total: 100, Window: 10, Sockets: 1})
				require.NoError(t, err)
				require.NoError(t, n.Run(t.Context()))
				c := n.Snapshot()
				assert.EqualValues(t, 100, c.Answered.All())
				assert.EqualValues(t, 100, c.Flaws.All(), "%v", c.Flaws)
			})
		}
	}
}

// What is in flight on a connection that ends is lost and counted, and the rest
// goes on over a new one.
func TestDisconnect(t *testing.T) {
	nas, home := streams(t, Version11)
	h, err := StartHome(HomeConfig{
		Name: "h", Auth: netip.MustParseAddrPort("127.0.0.1:0"), Stream: home, Script: Script{Silent: true},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close()) }()
	n, err := NewNAS(NASConfig{Auth: h.Auth(), Stream: nas, Total: 100, Window: 10, Sockets: 1, Timeout: time.Minute})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- n.Run(t.Context()) }()
	require.Eventually(t, func() bool { s := h.Snapshot(); return s.Dropped.All() == 10 }, time.Minute, time.Millisecond)
	h.SetScript(Script{})
	h.Disconnect()
	require.NoError(t, <-done)
	c := n.Snapshot()
	assert.EqualValues(t, 1, c.Disconnects)
	assert.EqualValues(t, 10, c.Lost.All())
	assert.EqualValues(t, 90, c.Answered.All())
	assert.True(t, c.AddsUp())
}

func TestCut(t *testing.T) {
	packet := func(n int) []byte { b := make([]byte, n); b[2], b[3] = byte(n>>8), byte(n); return b }
	for _, tt := range []struct {
		name string
		in   []byte
		want int // octets of the packet, 0 for none yet
		bad  bool
	}{
		{"nothing", nil, 0, false},
		{"part of a header", packet(20)[:3], 0, false},
		{"part of a packet", packet(30)[:29], 0, false},
		{"one", packet(20), 20, false},
		{"more than one", append(packet(25), 1, 2, 3), 25, false},
		{"the longest", packet(radius.MaxLen), radius.MaxLen, false},
		{"too short a length", []byte{1, 0, 0, 19}, 0, true},
		{"too long a length", []byte{1, 0, 0x10, 0x01}, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, rest, err := cut(tt.in)
			assert.Equal(t, tt.bad, err != nil)
			assert.Len(t, p, tt.want)
			if !tt.bad {
				assert.Len(t, rest, len(tt.in)-tt.want)
			}
		})
	}
}

// A token names its slot for as long as there are tokens.
func TestTokensWrap(t *testing.T) {
	l := newLane(512, 4096, 0, false)
	l.tokens = 1<<20 - 3
	var auth [16]byte
	var p radius.Packet
	for i := range int32(8) {
		radius.PutToken(&auth, l.token(512+i, 4096))
		b := append([]byte{2, 0, 0, 20}, auth[:]...)
		require.Equal(t, radius.OK, p.Parse(b))
		assert.Equal(t, 512+i, l.slotOf(&p, 4096))
	}
}

// Neither side allocates for a transaction beyond what crypto/tls does for a
// record.
func TestAllocsOverConnections(t *testing.T) {
	nas, home := streams(t, Version11)
	h, err := StartHome(HomeConfig{Name: "h", Auth: netip.MustParseAddrPort("127.0.0.1:0"), Stream: home})
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close()) }()
	n, err := NewNAS(NASConfig{Auth: h.Auth(), Stream: nas, Total: 20000, Window: 1000, Sockets: 1})
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, n.Run(t.Context()))
	runtime.ReadMemStats(&after)
	c := n.Snapshot()
	require.EqualValues(t, 20000, c.Answered.All())
	assert.Less(t, float64(after.Mallocs-before.Mallocs), float64(c.Answered.All()))
}

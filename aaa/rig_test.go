package aaa

import (
	"crypto/hmac"
	"crypto/md5"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	visitedSecret = "visited-secret-0123456789abcdef"
	homeSecret    = "home-secret-0123456789abcdef012"
	patience      = 5 * time.Second // a bound, never waited for when things work
)

// rig is one shard without its loop: the test is the loop and the clock.
// NAS and homes are real sockets on loopback, spoken to with an independent
// RADIUS library.
type rig struct {
	t     *testing.T
	hub   *Hub
	shard *Shard
	now   int64
	wall  int64
	nas   *net.UDPConn
	homes []*net.UDPConn
	fs    vfs.FS
}

// newRig makes a hub with n homes of one pool and lets edit change the
// configuration before it is compiled.
func newRig(t *testing.T, n int, edit func(*realm.Set)) *rig {
	t.Helper()
	r := &rig{t: t, now: int64(time.Hour), wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano(), fs: vfs.NewMem()}
	r.nas = r.socket()
	set := &realm.Set{
		Clients: []realm.Client{{
			Name: "visited", Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			Secret: realm.Secret(visitedSecret), RequireMessageAuthenticator: true, LimitProxyState: true,
			Operator: "1visited.example", Country: "DE",
		}},
		Routes: []realm.Route{
			{Realm: "home.example", Index: 0, Auth: 0, Acct: 0},
			{Realm: "*.iot.example", Index: 1, Auth: 0, Acct: 0, Acknowledge: realm.AcknowledgeDurable},
			{Realm: "closed.example", Index: 2, Auth: -1, Acct: -1, Reject: "contract ended"},
			{Realm: "local.example", Index: 3, Auth: -1, Acct: -1, Acknowledge: realm.AcknowledgeDurable},
		},
	}
	pool := realm.Pool{Name: "pool", Timers: realm.Timers{IRT: 2 * time.Second, MRT: 16 * time.Second, MRD: 30 * time.Second, MRC: 5}}
	for i := range n {
		c := r.socket()
		r.homes = append(r.homes, c)
		addr := c.LocalAddr().(*net.UDPAddr).AddrPort()
		set.Homes = append(set.Homes, realm.Home{
			Name: string(rune('a' + i)), Auth: addr, Secret: realm.Secret(homeSecret), RequireMessageAuthenticator: true,
		})
		pool.Members = append(pool.Members, realm.Member{Home: int32(i), Priority: i, Weight: 1})
	}
	set.Pools = []realm.Pool{pool}
	if edit != nil {
		edit(set)
	}
	set.Table = realm.NewTable(set.Routes)
	sp, err := spool.Open("spool", spool.Options{FS: r.fs, MinFree: -1, Logger: zaptest.NewLogger(t)})
	require.NoError(t, err)
	r.hub, err = New(Config{
		Shards: 1, InFlight: 64, RecvBuffer: 1 << 20,
		Listen: []listen.Address{
			{Service: listen.Auth, Addr: netip.MustParseAddrPort("127.0.0.1:0")},
			{Service: listen.Acct, Addr: netip.MustParseAddrPort("127.0.0.1:0")},
		},
	}, set, Rooms{
		Log: zaptest.NewLogger(t), Stats: stat.NewRegistry(), Spool: sp,
		Events: accounting.NewEvents(1000, time.Hour), Identity: []byte("0123456789abcdef"),
	})
	require.NoError(t, err)
	r.shard = r.hub.shards[0]
	t.Cleanup(func() {
		r.shard.close()
		require.NoError(t, sp.Close())
	})
	return r
}

func (r *rig) socket() *net.UDPConn {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// pass lets virtual time go by and runs what is due.
func (r *rig) pass(d time.Duration) {
	r.now += int64(d)
	r.wall += int64(d)
	r.turn(0)
}

// turn is one round of the event loop.
func (r *rig) turn(wait time.Duration) {
	tags, _, err := r.shard.poller.Wait(wait)
	require.NoError(r.t, err)
	r.shard.clock(r.now, r.wall)
	require.True(r.t, r.shard.step(tags))
	r.shard.stats.Publish()
}

// until turns the loop until ok.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			r.t.Fatal("never happened: " + what)
		}
		r.turn(10 * time.Millisecond)
	}
}

// settleDown turns the loop until nothing is waiting in it.
func (r *rig) settleDown() {
	for range 3 {
		r.turn(0)
	}
}

func (r *rig) value(name string, labels ...string) int {
	r.shard.stats.Publish()
	return int(r.hub.stats.Value(name, labels...))
}

// access makes an Access-Request; its Message-Authenticator is added by
// encode.
func access(user string, edit ...func(*layeh.Packet)) *layeh.Packet {
	p := layeh.New(layeh.CodeAccessRequest, []byte(visitedSecret))
	if user != "" {
		_ = rfc2865.UserName_SetString(p, user)
	}
	for _, e := range edit {
		e(p)
	}
	return p
}

func withPassword(pw string) func(*layeh.Packet) {
	return func(p *layeh.Packet) { _ = rfc2865.UserPassword_SetString(p, pw) }
}

// encode signs a request as its code asks.
func encode(t *testing.T, p *layeh.Packet, ma bool) []byte {
	t.Helper()
	if ma {
		_ = rfc2869.MessageAuthenticator_Set(p, make([]byte, 16))
		b, err := p.MarshalBinary()
		require.NoError(t, err)
		h := hmac.New(md5.New, p.Secret)
		h.Write(b)
		_ = rfc2869.MessageAuthenticator_Set(p, h.Sum(nil))
	}
	b, err := p.Encode()
	require.NoError(t, err)
	return b
}

func (r *rig) front(s listen.Service) *net.UDPAddr {
	for _, a := range r.hub.Fronts() {
		if a.Service == s {
			return net.UDPAddrFromAddrPort(a.Addr)
		}
	}
	r.t.Fatal("no such front")
	return nil
}

// offer sends octets to a front and lets the shard read them.
func (r *rig) offer(s listen.Service, b []byte) {
	r.t.Helper()
	_, err := r.nas.WriteToUDP(b, r.front(s))
	require.NoError(r.t, err)
	r.turn(patience)
}

// ask sends an Access-Request with a Message-Authenticator and returns what
// was sent.
func (r *rig) ask(p *layeh.Packet) []byte {
	r.t.Helper()
	b := encode(r.t, p, true)
	r.offer(listen.Auth, b)
	return b
}

func read(t *testing.T, c *net.UDPConn, wait time.Duration) ([]byte, *net.UDPAddr) {
	t.Helper()
	buf := make([]byte, 5000)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(wait)))
	n, from, err := c.ReadFromUDP(buf)
	if err != nil {
		return nil, nil
	}
	return buf[:n], from
}

// atHome gives the request that reached home i; it must be there.
func (r *rig) atHome(i int) (*layeh.Packet, *net.UDPAddr) {
	r.t.Helper()
	b, from := read(r.t, r.homes[i], patience)
	require.NotNil(r.t, b, "no request reached the home")
	p, err := layeh.Parse(b, []byte(homeSecret))
	require.NoError(r.t, err)
	return p, from
}

// quietHome asserts that nothing reached home i. Loopback delivers before
// the send returns, so there is nothing to wait for.
func (r *rig) quietHome(i int) {
	r.t.Helper()
	b, _ := read(r.t, r.homes[i], time.Millisecond)
	require.Nil(r.t, b, "a request reached the home")
}

// answer sends a reply of home i with a Message-Authenticator and lets the
// shard read it.
func (r *rig) answer(i int, to *net.UDPAddr, req *layeh.Packet, code layeh.Code, edit ...func(*layeh.Packet)) {
	r.t.Helper()
	p := req.Response(code)
	for _, a := range req.Attributes {
		if a.Type == rfc2865.ProxyState_Type {
			p.Add(a.Type, a.Attribute)
		}
	}
	for _, e := range edit {
		e(p)
	}
	_, err := r.homes[i].WriteToUDP(signReply(r.t, p, code != layeh.CodeAccountingResponse), to)
	require.NoError(r.t, err)
	r.turn(patience)
}

// signReply encodes a reply made by Response: its authenticator field still
// holds that of the request.
func signReply(t *testing.T, p *layeh.Packet, ma bool) []byte {
	t.Helper()
	if ma {
		_ = rfc2869.MessageAuthenticator_Set(p, make([]byte, 16))
		b, err := p.MarshalBinary()
		require.NoError(t, err)
		h := hmac.New(md5.New, p.Secret)
		h.Write(b)
		_ = rfc2869.MessageAuthenticator_Set(p, h.Sum(nil))
	}
	b, err := p.Encode()
	require.NoError(t, err)
	return b
}

// got gives the answer at the NAS, verified against its request.
func (r *rig) got(req []byte) *layeh.Packet {
	r.t.Helper()
	b, _ := read(r.t, r.nas, patience)
	require.NotNil(r.t, b, "the NAS got no answer")
	require.True(r.t, layeh.IsAuthenticResponse(b, req, []byte(visitedSecret)), "the answer's authenticator is wrong")
	p, err := layeh.Parse(b, []byte(visitedSecret))
	require.NoError(r.t, err)
	copy(p.Authenticator[:], req[4:20]) // for hidden attributes
	return p
}

// silent asserts that the NAS got nothing.
func (r *rig) silent() {
	r.t.Helper()
	b, _ := read(r.t, r.nas, time.Millisecond)
	require.Nil(r.t, b, "the NAS got an answer")
}

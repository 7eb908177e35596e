package gateway_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/aaa/gateway"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/judge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(judge.Main{M: m}) }

const (
	patience   = time.Minute // a bound, never waited for when things work
	nasSecret  = "visited-secret-0123456789abcdef"
	homeSecret = "home-secret-0123456789abcdef012"
	must       = diameter.AVPMandatory
)

// rig is the whole hub in one process: a NAS and a home of RADIUS, a NAS and a home of
// Diameter, and both walks with the gateway between them.
type rig struct {
	t     *testing.T
	hub   *aaa.Hub
	agent *agent.Agent
	gate  *gateway.Gateway
	stats *stat.Registry
	spool *spool.Spool
	set   *realm.Set

	home   *node // of Diameter
	nas    *node // of Diameter
	server *net.UDPConn
	client *net.UDPConn
	crypt  *radius.Crypt
	id     uint8
}

func newRig(t *testing.T, edit func(*realm.Set)) *rig {
	r := &rig{t: t, stats: stat.NewRegistry(), crypt: radius.NewCrypt()}
	r.home = newNode(t, "aaa.home.example", "home.example")
	r.nas = newNode(t, "nas.visited.example", "visited.example")
	r.server, r.client = udpSocket(t), udpSocket(t)
	at := r.server.LocalAddr().(*net.UDPAddr).AddrPort()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	timers := realm.Timers{IRT: 2 * time.Second, MRT: 16 * time.Second, MRD: 30 * time.Second, MRC: 5}
	r.set = &realm.Set{
		Clients: []realm.Client{
			{Name: "wifi", Prefixes: loopback, Secret: realm.Secret(nasSecret), RequireMessageAuthenticator: true, LimitProxyState: true, Operator: "1wifi.example", Country: "DE"},
			{Name: "home-dia", Transport: realm.Diameter},
			{Name: "nas-dia", Transport: realm.Diameter, ReverseCoA: true, Operator: "1visited.example", Country: "AT"},
		},
		Homes: []realm.Home{
			{Name: "gate", Transport: realm.Diameter, Gateway: diameter.AppNASREQ, Auth: realm.Nowhere, Acct: realm.Nowhere, StatusServer: true, ReverseCoA: true},
			{Name: "radius-home", Secret: realm.Secret(homeSecret), Auth: at, Acct: netip.AddrPort{}},
			{Name: "radius-acct", Secret: realm.Secret(homeSecret), Auth: netip.AddrPort{}, Acct: r.second()},
		},
		Pools: []realm.Pool{
			{Name: "gate", Members: []realm.Member{{Home: 0, Weight: 1}}, Timers: timers},
			{Name: "radius", Members: []realm.Member{{Home: 1, Weight: 1}}, Timers: timers},
			{Name: "radius-acct", Members: []realm.Member{{Home: 2, Weight: 1}}, Timers: timers},
			{Name: "diameter", Diameter: true, Members: []realm.Member{{Home: 0, Weight: 1}}},
		},
		Peers: []realm.Peer{
			{Name: "home-dia", Identity: "aaa.home.example", Realm: "home.example", Client: 1, Transport: realm.TCP,
				Addresses: []netip.AddrPort{r.home.at}, Retry: time.Second},
			{Name: "nas-dia", Identity: "nas.visited.example", Realm: "visited.example", Client: 2, Transport: realm.TCP,
				Addresses: []netip.AddrPort{r.nas.at}, Retry: time.Second},
		},
		Routes: []realm.Route{
			{Realm: "home.example", Index: 0, Auth: 0, Acct: 0, Diameter: &realm.DiameterRoute{Action: realm.DiameterProxy, Pool: 3}},
			{Realm: "radius.example", Index: 1, Auth: 1, Acct: 2, Diameter: &realm.DiameterRoute{Action: realm.DiameterRADIUS, Pool: -1}},
		},
	}
	if edit != nil {
		edit(r.set)
	}
	r.set.Table = realm.NewTable(r.set.Routes)
	r.open()
	return r
}

// second is the address of accounting, of the same server.
func (r *rig) second() netip.AddrPort {
	c := udpSocket(r.t)
	r.serve(c, func(p *radius.Packet) (radius.Code, [][]byte) { return 0, nil })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func udpSocket(t *testing.T) *net.UDPConn {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (r *rig) open() {
	t := r.t
	var err error
	r.spool, err = spool.Open("spool", spool.Options{FS: vfs.NewMem(), MinFree: -1})
	require.NoError(t, err)
	events := accounting.NewEvents(1000, time.Hour)
	key := []byte("0123456789abcdef")
	log := zap.NewNop()
	r.gate, err = gateway.New(gateway.Config{Identity: "hub.example", Realm: "hub"}, gateway.Rooms{
		Log: log, Stats: r.stats, Key: key, Able: func(ctx context.Context) bool { return r.agent.Able(ctx) },
	})
	require.NoError(t, err)
	r.gate.Apply(r.set)
	r.agent, err = agent.New(agent.Config{
		Identity: "hub.example", Realm: "hub", Drain: 100 * time.Millisecond,
		Listen: []listen.Address{{Service: listen.Every, Transport: realm.TCP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
	}, r.set, agent.Rooms{Log: log, Stats: r.stats, Spool: r.spool, Events: events, Identity: key})
	require.NoError(t, err)
	r.agent.Inside(r.gate.Wire())
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	r.hub, err = aaa.New(aaa.Config{
		Shards: 1, InFlight: 1024, RecvBuffer: 1 << 20, DuplicateMem: 1 << 20, ReverseCoA: true,
		Listen: []listen.Address{{Service: listen.Auth, Addr: loopback}, {Service: listen.Acct, Addr: loopback}, {Service: listen.DynAuth, Addr: loopback}},
	}, r.set, aaa.Rooms{Log: log, Stats: r.stats, Spool: r.spool, Events: events, Identity: key, Gateway: r.gate})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { assert.NoError(t, r.agent.Run(ctx)) })
	done.Go(func() { assert.NoError(t, r.gate.Run(ctx, r.hub)) })
	done.Go(func() { assert.NoError(t, r.hub.Run(ctx)) })
	t.Cleanup(func() {
		stop()
		r.home.close()
		r.nas.close()
		done.Wait()
		_ = r.spool.Close()
	})
}

// node is a Diameter node that a test plays over TCP.
type node struct {
	t           *testing.T
	host, realm string
	at          netip.AddrPort
	ln          net.Listener
	done        sync.WaitGroup

	mu     sync.Mutex // guards all below
	conn   net.Conn
	hop    uint32
	answer func(m *diameter.Message) []byte // of requests, nil: none

	got chan *diameter.Message // answers, and requests without an answer
}

func newNode(t *testing.T, host, rlm string) *node {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	n := &node{t: t, host: host, realm: rlm, ln: ln, at: ln.Addr().(*net.TCPAddr).AddrPort(), got: make(chan *diameter.Message, 64)}
	n.done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n.done.Go(func() { n.read(c) })
		}
	})
	return n
}

func (n *node) close() {
	if n.ln != nil {
		_ = n.ln.Close()
	}
	n.mu.Lock()
	c := n.conn
	n.mu.Unlock()
	if c != nil {
		_ = c.Close()
	}
	n.done.Wait()
}

func result(m *diameter.Message) uint32 {
	v, _ := m.Uint32(diameter.KnownResultCode)
	return v
}

func (n *node) capabilities(w *diameter.Writer) {
	w.Bytes(diameter.HostIPAddress, 0, must, []byte{0, 1, 127, 0, 0, 1})
	w.Uint32(diameter.VendorID, 0, must, 0)
	w.String(diameter.ProductName, 0, 0, "test")
	w.Uint32(diameter.AuthApplicationID, 0, must, diameter.AppRelay)
}

// message makes one with Origin-Host and Origin-Realm.
func (n *node) message(flags diameter.Flags, command, app, hop, end uint32, add func(w *diameter.Writer)) []byte {
	var w diameter.Writer
	w.Begin(make([]byte, diameter.MaxLen), &diameter.Header{Flags: flags, Command: command, Application: app, HopByHop: hop, EndToEnd: end})
	w.String(diameter.OriginHost, 0, must, n.host)
	w.String(diameter.OriginRealm, 0, must, n.realm)
	if add != nil {
		add(&w)
	}
	b := w.Finish()
	require.NotNil(n.t, b)
	return b
}

func (n *node) write(c net.Conn, b []byte) { _, _ = c.Write(b) }

func (n *node) read(c net.Conn) {
	n.mu.Lock()
	n.conn = c
	n.mu.Unlock()
	defer func() { _ = c.Close() }()
	for {
		b := make([]byte, diameter.HeaderLen)
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		b = append(b, make([]byte, diameter.ReadHeader(b).Length-len(b))...)
		if _, err := io.ReadFull(c, b[diameter.HeaderLen:]); err != nil {
			return
		}
		judge.Collect(b)
		m := &diameter.Message{}
		m.Parse(b)
		if !m.Request() {
			if m.Application != 0 || m.Command == diameter.CapabilitiesExchange {
				n.got <- m
			}
			continue
		}
		if m.Application == 0 {
			n.write(c, n.message(0, m.Command, 0, m.HopByHop, m.EndToEnd, func(w *diameter.Writer) {
				w.Uint32(diameter.ResultCode, 0, must, 2001)
				if m.Command == diameter.CapabilitiesExchange {
					n.capabilities(w)
				}
			}))
			continue
		}
		n.mu.Lock()
		answer := n.answer
		n.mu.Unlock()
		if answer != nil {
			if b := answer(m); b != nil {
				n.write(c, b)
			}
		}
		n.got <- m
	}
}

// answers has requests answered.
func (n *node) answers(f func(m *diameter.Message) []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = f
}

// says answers each request with a result and what add writes.
func (n *node) says(code uint32, add func(m *diameter.Message, w *diameter.Writer)) {
	n.answers(func(m *diameter.Message) []byte { return n.reply(m, code, add) })
}

func (n *node) reply(m *diameter.Message, code uint32, add func(m *diameter.Message, w *diameter.Writer)) []byte {
	var w diameter.Writer
	w.Answer(make([]byte, diameter.MaxLen), m, &diameter.Answer{Result: code, Host: n.host, Realm: n.realm})
	if add != nil {
		add(m, &w)
	}
	return w.Finish()
}

// next gives what came next.
func (n *node) next() *diameter.Message {
	n.t.Helper()
	select {
	case m := <-n.got:
		return m
	case <-time.After(patience):
		require.FailNow(n.t, "nothing has come", n.host)
	}
	return nil
}

// ask sends a request and gives what comes next.
func (n *node) ask(command, app uint32, add func(w *diameter.Writer)) *diameter.Message {
	n.t.Helper()
	n.mu.Lock()
	n.hop++
	hop, c := n.hop, n.conn
	n.mu.Unlock()
	n.write(c, n.message(diameter.FlagRequest|diameter.FlagProxiable, command, app, hop, hop|0x55000000, add))
	m := n.next()
	if !m.Request() {
		require.Equal(n.t, hop, m.HopByHop)
		require.Equal(n.t, hop|0x55000000, m.EndToEnd)
	}
	return m
}

// value gives an AVP without a vendor.
func value(m *diameter.Message, code uint32) []byte {
	var a diameter.AVP
	if !diameter.Find(m.Body(), code, 0, &a) {
		return nil
	}
	return a.Data
}

func word(m *diameter.Message, code uint32) uint32 {
	if v := value(m, code); len(v) == 4 {
		return binary.BigEndian.Uint32(v)
	}
	return 1<<32 - 1
}

// attr is one attribute, as text or as octets.
func attr(typ radius.Type, v string) []byte { return append([]byte{byte(typ), byte(2 + len(v))}, v...) }

func attr32(typ radius.Type, v uint32) []byte {
	return attr(typ, string(binary.BigEndian.AppendUint32(nil, v)))
}

// request sends a request of RADIUS, without waiting.
func (r *rig) send(service listen.Service, code radius.Code, attrs ...[]byte) []byte {
	r.t.Helper()
	r.id++
	var w radius.Writer
	w.Start(make([]byte, radius.MaxLen), code, r.id, code == radius.AccessRequest)
	for _, a := range attrs {
		require.True(r.t, w.Raw(a))
	}
	secret := radius.NewSecret([]byte(nasSecret))
	var b []byte
	if code == radius.AccessRequest {
		_, _ = rand.Read(w.Authenticator()[:])
		b = w.SignRequest(r.crypt, secret)
	} else {
		b = w.SignAccounting(r.crypt, secret)
	}
	r.again(service, b)
	return b
}

// again sends octets as they are.
func (r *rig) again(service listen.Service, b []byte) {
	for _, a := range r.hub.Fronts() {
		if a.Service == service && a.Transport == realm.UDP {
			_, err := r.client.WriteToUDPAddrPort(b, a.Addr)
			require.NoError(r.t, err)
		}
	}
}

// get reads the next packet for the NAS.
func (r *rig) get(request []byte) *radius.Packet {
	r.t.Helper()
	b := make([]byte, radius.MaxLen)
	require.NoError(r.t, r.client.SetReadDeadline(time.Now().Add(patience)))
	n, _, err := r.client.ReadFromUDPAddrPort(b)
	require.NoError(r.t, err)
	p := &radius.Packet{}
	require.Equal(r.t, radius.OK, p.Parse(b[:n]))
	if request != nil {
		require.True(r.t, r.crypt.CheckResponse(p, (*[16]byte)(request[4:20]), radius.NewSecret([]byte(nasSecret))))
	}
	return p
}

// access asks for access until the home is there: its peer connects a moment later.
func (r *rig) access(attrs ...[]byte) *radius.Packet {
	r.t.Helper()
	return r.get(r.send(listen.Auth, radius.AccessRequest, attrs...))
}

// account sends a record and gives its answer.
func (r *rig) account(attrs ...[]byte) *radius.Packet {
	r.t.Helper()
	return r.get(r.send(listen.Acct, radius.AccountingRequest, attrs...))
}

// connected waits until the peer is open.
func (r *rig) connected(names ...string) {
	r.t.Helper()
	for _, name := range names {
		require.Eventually(r.t, func() bool {
			for _, p := range r.agent.Peers() {
				if p.Name == name && p.State == "open" {
					return true
				}
			}
			return false
		}, patience, 10*time.Millisecond, "%s is not open", name)
	}
}

// serve plays a home of RADIUS on a socket.
func (r *rig) serve(c *net.UDPConn, answer func(p *radius.Packet) (radius.Code, [][]byte)) {
	crypt, secret := radius.NewCrypt(), radius.NewSecret([]byte(homeSecret))
	var done sync.WaitGroup
	done.Go(func() {
		b := make([]byte, radius.MaxLen)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			var p radius.Packet
			if p.Parse(b[:n]) != radius.OK {
				continue
			}
			code, attrs := answer(&p)
			if code == 0 {
				if p.Code() != radius.AccountingRequest {
					continue
				}
				code = radius.AccountingResponse
			}
			var w radius.Writer
			w.Start(make([]byte, radius.MaxLen), code, p.Identifier(), code != radius.AccountingResponse)
			for _, a := range attrs {
				w.Raw(a)
			}
			for a, off, ok := p.Next(p.From(radius.ProxyState)); ok; a, off, ok = p.Next(off) {
				if a.Type == radius.ProxyState {
					w.Raw(a.Raw)
				}
			}
			_, _ = c.WriteToUDPAddrPort(w.SignResponse(crypt, secret, p.Authenticator()), from)
		}
	})
	r.t.Cleanup(func() { _ = c.Close(); done.Wait() })
}

// records gives what is in the spool.
func (r *rig) records() (all []accounting.Record) {
	r.t.Helper()
	require.NoError(r.t, r.spool.Read(1, func(_ uint64, b []byte) bool {
		rec, err := accounting.Decode(append([]byte(nil), b...))
		require.NoError(r.t, err)
		all = append(all, rec)
		return true
	}))
	return all
}

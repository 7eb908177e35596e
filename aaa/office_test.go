package aaa

import (
	"bytes"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/realm"
)

// office is a home that takes connections. What comes over them is read by
// goroutines and waits for the test in letters.
type office struct {
	t       tester
	at      *net.TCPListener
	conf    atomic.Pointer[tls.Config] // nil: TCP
	deaf    atomic.Bool                // reads nothing of what comes
	mute    atomic.Bool                // accepts, and shakes no hands
	letters chan *letter
	desks   chan *desk // connections that were opened
	secret  string

	mu    sync.Mutex
	all   []net.Conn // guarded by mu
	ended bool       // guarded by mu
	done  sync.WaitGroup
}

// desk is one connection to an office.
type desk struct {
	net.Conn
	tcp    *net.TCPConn
	office *office
	clear  bool
	peer   *x509.Certificate // what the hub has shown
	sent   sync.Mutex
}

// letter is a request as it came, and where its answer goes.
type letter struct {
	*layeh.Packet
	raw  []byte
	desk *desk
}

func openOffice(t tester, conf *tls.Config) *office {
	t.Helper()
	ln, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	o := &office{t: t, at: ln, letters: make(chan *letter, 8192), desks: make(chan *desk, 64), secret: homeSecret}
	if conf != nil {
		o.secret = "radsec"
		o.conf.Store(conf)
	}
	o.done.Go(o.accept)
	t.Cleanup(o.close)
	return o
}

func (o *office) addr() netip.AddrPort { return o.at.Addr().(*net.TCPAddr).AddrPort() }

func (o *office) keep(c net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		_ = c.Close()
		return false
	}
	o.all = append(o.all, c)
	return true
}

func (o *office) close() {
	_ = o.at.Close()
	o.mu.Lock()
	o.ended = true
	for _, c := range o.all {
		_ = c.Close()
	}
	o.mu.Unlock()
	o.done.Wait()
}

func (o *office) accept() {
	for {
		c, err := o.at.AcceptTCP()
		if err != nil {
			return
		}
		if o.keep(c) && !o.mute.Load() {
			o.done.Go(func() { o.serve(c) })
		}
	}
}

func (o *office) serve(tcp *net.TCPConn) {
	d := &desk{Conn: tcp, tcp: tcp, office: o}
	if o.deaf.Load() {
		_ = tcp.SetReadBuffer(4096)
	}
	if conf := o.conf.Load(); conf != nil {
		sec := tls.Server(tcp, conf)
		if sec.Handshake() != nil {
			_ = tcp.Close()
			return
		}
		d.Conn, d.clear = sec, sec.ConnectionState().NegotiatedProtocol == "radius/1.1"
		if shown := sec.ConnectionState().PeerCertificates; len(shown) > 0 {
			d.peer = shown[0]
		}
	}
	o.desks <- d
	for !o.deaf.Load() {
		head := make([]byte, 4)
		if _, err := io.ReadFull(d, head); err != nil {
			_ = tcp.Close()
			return
		}
		raw := append(head, make([]byte, int(binary.BigEndian.Uint16(head[2:]))-4)...)
		if _, err := io.ReadFull(d, raw[4:]); err != nil {
			_ = tcp.Close()
			return
		}
		p, err := layeh.Parse(raw, []byte(o.secret))
		if err != nil {
			continue
		}
		o.letters <- &letter{Packet: p, raw: raw, desk: d}
	}
}

// reply makes the answer to a request; over RADIUS/1.1 it has the request's
// token.
func (l *letter) reply(code layeh.Code, edits ...edit) []byte {
	p := l.Response(layeh.CodeAccessAccept)
	for _, a := range l.Attributes {
		if a.Type == rfc2865.ProxyState_Type {
			p.Add(a.Type, a.Attribute)
		}
	}
	for _, e := range edits {
		e(p)
	}
	if !l.desk.clear {
		b := signReply(l.desk.office.t, p, code != layeh.CodeAccountingResponse)
		return recode(b, byte(code), l.raw[4:20], l.desk.office.secret)
	}
	b, err := p.MarshalBinary()
	require.NoError(l.desk.office.t, err)
	b[0] = byte(code)
	copy(b[4:20], l.raw[4:20])
	return b
}

// recode signs a reply with a code that the other library does not know.
func recode(b []byte, code byte, auth []byte, secret string) []byte {
	b[0] = code
	copy(b[4:20], auth)
	for at := 20; at < len(b); at += int(b[at+1]) {
		if b[at] == 80 {
			clear(b[at+2 : at+18])
			copy(b[at+2:], sum([]byte(secret), b))
		}
	}
	hash := md5.Sum(append(bytes.Clone(b), secret...))
	copy(b[4:20], hash[:])
	return b
}

// say writes octets to the hub.
func (d *desk) say(b ...[]byte) {
	d.sent.Lock()
	defer d.sent.Unlock()
	for _, b := range b {
		_, _ = d.Write(b) // the hub may have ended it
	}
}

// reset cuts the connection.
func (d *desk) reset() {
	_ = d.tcp.SetLinger(0)
	_ = d.tcp.Close()
}

// conf is that of an office that shows the tenant's home and asks for our
// certificate.
func (n *tenant) conf(versions ...string) *tls.Config {
	trusted := x509.NewCertPool()
	trusted.AddCert(n.root.Cert)
	return &tls.Config{
		Certificates: []tls.Certificate{n.home.TLS()}, NextProtos: versions, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted,
	}
}

// reach makes home i of a configuration one that is reached at an office.
func (o *office) reach(sec *realm.Security, i int) func(*realm.Set) {
	return func(s *realm.Set) {
		h := &s.Homes[i]
		h.Auth, h.Acct = o.addr(), o.addr()
		h.Transport, h.Security = realm.TCP, sec
		if sec != nil {
			h.Transport = realm.TLS
		}
	}
}

// opened waits for a connection to the office.
func (r *rig) opened(o *office) (d *desk) {
	r.t.Helper()
	r.until("a connection", func() bool {
		select {
		case d = <-o.desks:
			return true
		default:
			return false
		}
	})
	return d
}

// arrives waits for a request at the office.
func (r *rig) arrives(o *office) *letter { r.t.Helper(); return r.arrive(o, 1)[0] }

// arrive waits for n requests, Status-Server not counted.
func (r *rig) arrive(o *office, n int) (all []*letter) {
	r.t.Helper()
	r.until("requests at the home", func() bool {
		for len(all) < n {
			select {
			case l := <-o.letters:
				if l.Code == layeh.CodeStatusServer {
					l.desk.say(l.reply(layeh.CodeAccessAccept))
					continue
				}
				all = append(all, l)
			default:
				return false
			}
		}
		return true
	})
	return all
}

// linked waits until so many connections to homes stand.
func (r *rig) linked(n int) {
	r.t.Helper()
	r.until("connections", func() bool { return r.links() == n })
}

func (r *rig) links() (n int) {
	for _, t := range r.shard.links.all {
		n += len(t.Links())
	}
	return n
}

package aaa

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/realm"
)

const radsec = "radsec"

// tenant is an authority with what it has issued, to clients and homes.
type tenant struct {
	t    tester
	root *issue.Authority
	home *issue.Pair // what offices show
}

func newTenant(t tester, name string) *tenant {
	root, err := issue.NewAuthority(issue.Profile{Names: issue.Names{Common: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	n := &tenant{t: t, root: root}
	n.home = n.issue(issue.Names{Common: "home", Hosts: []string{"radius.home.example"}, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	return n
}

func (n *tenant) issue(names issue.Names, edits ...func(*issue.Profile)) *issue.Pair {
	p := issue.Profile{Names: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	for _, e := range edits {
		e(&p)
	}
	pair, err := n.root.Issue(p)
	require.NoError(n.t, err)
	return pair
}

// security is one trust base with our own certificate of it.
func (n *tenant) security(name string, versions ...string) *realm.Security {
	own := n.issue(issue.Names{Hosts: []string{"hub." + name + ".example"}})
	return &realm.Security{
		Name: name, Trust: n.trust(), Versions: versions,
		Credential: &pki.Credential{TLS: own.TLS(), Hash: sha256.Sum256(own.Cert.Raw)},
	}
}

// trust believes the tenant's authority, less those that a CRL names.
func (n *tenant) trust(revoked ...*issue.Pair) *pki.Trust {
	chain, _, err := n.root.PEM()
	require.NoError(n.t, err)
	base := pki.Base{Authorities: []pki.File{{Name: "root", Data: chain}}}
	for i, r := range revoked {
		crl, err := n.root.Revoke(int64(i+1), time.Now().Add(-time.Minute), time.Now().Add(time.Hour), r.Cert.SerialNumber)
		require.NoError(n.t, err)
		base.CRLs = append(base.CRLs, pki.File{Name: "crl", Data: crl})
	}
	trust, wrong := pki.NewTrust(base, time.Now())
	require.NotNil(n.t, trust, wrong)
	return trust
}

// overTLS is a setup whose doors are open for TLS and TCP. The client "secured"
// of the tenant comes by the first; more can be said by edit.
func (n *tenant) overTLS(edit func(*realm.Set), versions ...string) setup {
	return setup{homes: 1, conf: func(c *Config) {
		for _, by := range []realm.Transport{realm.TLS, realm.TCP} {
			c.Listen = append(c.Listen, listen.Address{Service: listen.Every, Addr: netip.MustParseAddrPort("127.0.0.1:0"), Transport: by})
		}
	}, edit: func(set *realm.Set) {
		set.Securities = []*realm.Security{n.security("tenant", versions...)}
		set.Clients = append(set.Clients, realm.Client{
			Name: "secured", Transport: realm.TLS, Security: set.Securities[0],
			Holder: &realm.Holder{Hosts: []string{"nas.example"}}, Operator: "1secured.example", Country: "DE",
			RequireMessageAuthenticator: true, LimitProxyState: true,
		})
		if edit != nil {
			edit(set)
		}
	}}
}

// nas is the certificate of the client "secured".
func (n *tenant) nas() *issue.Pair { return n.issue(issue.Names{Hosts: []string{"nas.example"}}) }

// door is the address for a transport.
func (r *rig) door(by realm.Transport) string {
	for _, a := range r.hub.reception.addrs() {
		if a.Transport == by {
			return a.Addr.String()
		}
	}
	r.t.Fatal("no door for " + by.String())
	return ""
}

// peer is the far end of a connection.
type peer struct {
	net.Conn
	rig *rig
}

// dial does a handshake; the connection may not be the shard's yet, or never.
func (r *rig) dial(pair *issue.Pair, edits ...func(*tls.Config)) (*tls.Conn, error) {
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{radius10}}
	if pair != nil {
		conf.Certificates = []tls.Certificate{pair.TLS()}
	}
	for _, e := range edits {
		e(conf)
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: conf}
	c, err := d.Dial("tcp", r.door(realm.TLS))
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c.(*tls.Conn), nil
}

// visit connects and waits until the shard has the connection.
func (r *rig) visit(pair *issue.Pair, edits ...func(*tls.Config)) *peer {
	r.t.Helper()
	n := len(r.hub.connections.list())
	c, err := r.dial(pair, edits...)
	require.NoError(r.t, err)
	r.until("the connection is there", func() bool { return len(r.hub.connections.list()) > n })
	return &peer{Conn: c, rig: r}
}

// visitTCP is visit without TLS.
func (r *rig) visitTCP() *peer {
	r.t.Helper()
	n := len(r.hub.connections.list())
	c := r.knock()
	r.until("the connection is there", func() bool { return len(r.hub.connections.list()) > n })
	return &peer{Conn: c, rig: r}
}

// knock connects without TLS, and waits for nothing.
func (r *rig) knock() *net.TCPConn {
	r.t.Helper()
	c, err := net.DialTimeout("tcp", r.door(realm.TCP), patience)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// refusedTLS asserts that a handshake comes to nothing. Over TLS 1.3 the client
// hears of it when it reads.
func (r *rig) refusedTLS(pair *issue.Pair, edits ...func(*tls.Config)) error {
	r.t.Helper()
	c, err := r.dial(pair, edits...)
	if err != nil {
		return err
	}
	require.NoError(r.t, c.SetReadDeadline(time.Now().Add(patience)))
	_, err = c.Read(make([]byte, 1))
	require.Error(r.t, err)
	var late net.Error
	require.False(r.t, errors.As(err, &late) && late.Timeout(), "the connection stands")
	return err
}

// offer writes octets and lets the shard read them.
func (p *peer) offer(b []byte) {
	p.rig.t.Helper()
	_, err := p.Write(b)
	require.NoError(p.rig.t, err)
	p.rig.turn(patience)
}

// next reads one packet.
func (p *peer) next() []byte {
	p.rig.t.Helper()
	require.NoError(p.rig.t, p.SetReadDeadline(time.Now().Add(patience)))
	head := make([]byte, 4)
	_, err := io.ReadFull(p, head)
	require.NoError(p.rig.t, err)
	b := append(head, make([]byte, int(binary.BigEndian.Uint16(head[2:]))-4)...)
	_, err = io.ReadFull(p, b[4:])
	require.NoError(p.rig.t, err)
	return b
}

// got reads the answer to a request that was sent with a secret.
func (p *peer) got(request []byte, secret string) *layeh.Packet {
	p.rig.t.Helper()
	b := p.next()
	require.True(p.rig.t, layeh.IsAuthenticResponse(b, request, []byte(secret)), "its Response Authenticator is wrong")
	a, err := layeh.Parse(b, []byte(secret))
	require.NoError(p.rig.t, err)
	require.Equal(p.rig.t, request[1], a.Identifier)
	return a
}

// ended waits until the hub has closed the connection, and gives what came
// before that.
func (p *peer) ended(why Closing) (rest []byte) {
	p.rig.t.Helper()
	p.rig.until("the connection is closed for "+why.String(), func() bool {
		for _, line := range p.rig.logs.FilterMessage("connection closed").All() {
			if line.ContextMap()["reason"] == why.String() {
				return true
			}
		}
		return false
	})
	require.NoError(p.rig.t, p.SetReadDeadline(time.Now().Add(patience)))
	rest, err := io.ReadAll(p)
	var late net.Error
	require.False(p.rig.t, errors.As(err, &late) && late.Timeout(), "the peer has not heard of it")
	return rest
}

// over has a packet made with the secret of a transport; it comes first of the
// edits.
func over(secret string) edit { return func(p *layeh.Packet) { p.Secret = []byte(secret) } }

// theConn is the only connection that the shard has.
func (r *rig) theConn() *conn {
	r.t.Helper()
	all := r.hub.connections.list()
	require.Len(r.t, all, 1)
	return all[0]
}

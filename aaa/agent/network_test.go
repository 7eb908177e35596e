package agent

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/realm"
)

const patience = time.Minute // a bound, never waited for when things work

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// running is an Agent with its goroutine and sockets of loopback.
type running struct {
	*Agent
	t    *testing.T
	stop func()
}

func run(t *testing.T, c Config, set *realm.Set) *running {
	t.Helper()
	c.Realm = "example"
	a, err := New(c, set, Rooms{Stats: stat.NewRegistry(), Identity: []byte("0123456789abcdef")})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r := &running{Agent: a, t: t}
	r.stop = func() {
		cancel()
		if done != nil {
			assert.NoError(t, <-done)
			done = nil
		}
	}
	t.Cleanup(r.stop)
	return r
}

// state waits until a peer has a state.
func (r *running) state(want string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		all := r.Peers()
		return len(all) > 0 && all[0].State == want
	}, patience, 5*time.Millisecond, "not %s: %+v", want, r.Peers())
}

// pairOf makes the configurations of two agents: the first waits for the second.
func pairOf(by realm.Transport, first, second *realm.Security) (waits, calls *realm.Set) {
	peer := func(identity string, sec *realm.Security) *realm.Set {
		return &realm.Set{
			Clients: []realm.Client{{Name: identity, Transport: realm.Diameter}},
			Peers:   []realm.Peer{{Name: identity, Identity: identity, Realm: "example", Transport: by, Security: sec}},
		}
	}
	waits, calls = peer("b.example", first), peer("a.example", second)
	waits.Peers[0].From = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return waits, calls
}

// securityOf makes a certificate of a name and the trust base of its authority.
func securityOf(t *testing.T, root *issue.Authority, hosts ...string) *realm.Security {
	pair, err := root.Issue(issue.Profile{Names: issue.Names{Hosts: hosts}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	trust, mistakes := pki.NewTrust(pki.Base{Authorities: []pki.File{{Name: "root", Data: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Cert.Raw})}}}, time.Now())
	require.Empty(t, mistakes)
	return &realm.Security{Name: "test", Trust: trust, Credential: &pki.Credential{TLS: pair.TLS(), Hash: sha256.Sum256(pair.Cert.Raw)}}
}

func authority(t *testing.T) *issue.Authority {
	root, err := issue.NewAuthority(issue.Profile{Names: issue.Names{Common: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	return root
}

// Two agents find each other over TCP and TLS, and part in good order.
func TestAgentsMeet(t *testing.T) {
	root := authority(t)
	for _, by := range []realm.Transport{realm.TCP, realm.TLS} {
		t.Run(by.String(), func(t *testing.T) {
			waits, calls := pairOf(by, securityOf(t, root, "a.example"), securityOf(t, root, "b.example"))
			a := run(t, Config{Identity: "a.example", Listen: []listen.Address{{Service: listen.Diameter, Addr: loopback, Transport: by}}}, waits)
			calls.Peers[0].Addresses = []netip.AddrPort{a.Addrs()[0].Addr}
			b := run(t, Config{Identity: "b.example"}, calls)
			a.state("open")
			b.state("open")
			b.stop()
			a.state("down")
		})
	}
}

// Over TLS the certificate says who a peer is, whatever its capabilities say (RFC 6733
// sections 2.2 and 13). C124.
func TestC124Certificates(t *testing.T) {
	root, other := authority(t), authority(t)
	ours, theirs := securityOf(t, root, "a.example"), securityOf(t, other, "a.example")
	theirs.Name = "theirs"
	for _, c := range []struct {
		name          string
		first, second *realm.Security
		identity      string // of who calls
		opens         bool
		says          string          // a counter of who waits, and
		result        string          // its result
		third         *realm.Security // of c.example, nil: nobody knows it
	}{
		{"its own", securityOf(t, root, "a.example"), securityOf(t, root, "b.example"), "b.example", true, "", "", nil},
		{"somebody else's", securityOf(t, root, "a.example"), securityOf(t, root, "c.example"), "b.example", false, "roamgate_diameter_visitors_total", "distrusted", nil},
		{"of an authority that is not believed", securityOf(t, root, "a.example"), securityOf(t, other, "b.example"), "b.example", false, "roamgate_diameter_visitors_total", "distrusted", nil},
		{"another Origin-Host", securityOf(t, root, "a.example"), securityOf(t, root, "b.example"), "c.example", false, "roamgate_diameter_capabilities_total", "unknown_peer", nil},
		{"the Origin-Host of another peer", ours, securityOf(t, root, "b.example"), "c.example", false, "roamgate_diameter_capabilities_total", "wrong_certificate", ours},
		{"the trust base of another peer", ours, securityOf(t, root, "b.example", "c.example"), "c.example", false, "roamgate_diameter_capabilities_total", "wrong_certificate", theirs},
		{"both, and it is the other peer's", ours, securityOf(t, root, "c.example"), "c.example", true, "", "", ours},
	} {
		t.Run(c.name, func(t *testing.T) {
			waits, calls := pairOf(realm.TLS, c.first, c.second)
			if c.third != nil {
				another := waits.Peers[0]
				another.Name, another.Identity, another.Client, another.Security = "c.example", "c.example", 1, c.third
				waits.Clients = append(waits.Clients, realm.Client{Name: another.Name, Transport: realm.Diameter})
				waits.Peers = append(waits.Peers, another)
			}
			// What is called must not be what refuses.
			calls.Peers[0].Security.Trust = c.first.Trust
			a := run(t, Config{Identity: "a.example", Listen: []listen.Address{{Service: listen.Diameter, Addr: loopback, Transport: realm.TLS}}}, waits)
			calls.Peers[0].Addresses = []netip.AddrPort{a.Addrs()[0].Addr}
			b := run(t, Config{Identity: c.identity}, calls)
			if c.opens {
				b.state("open")
				all := a.Peers()
				p := all[slices.IndexFunc(all, func(p PeerStatus) bool { return p.Name == c.identity })]
				assert.WithinDuration(t, time.Now().Add(time.Hour), p.Connections[0].Until, time.Minute)
				assert.Equal(t, map[string]time.Time{p.Name: p.Connections[0].Until}, a.PeerCertificates())
				return
			}
			require.Eventually(t, func() bool { return b.Peers()[0].Error != "" }, patience, 5*time.Millisecond)
			assert.Equal(t, "down", a.Peers()[0].State)
			require.Eventually(t, func() bool { return a.rooms.Stats.Value(c.says, "result", c.result) > 0 }, patience, 5*time.Millisecond)
		})
	}
}

// Where the kernel has no SCTP, a peer that needs it is told so, and a door for it is
// refused. D29.
func TestSCTPIsSaidToBeAbsent(t *testing.T) {
	if l, err := stream.ListenSCTP(loopback); err == nil {
		require.NoError(t, l.Close())
		t.Log("this kernel has SCTP")
		return
	}
	_, calls := pairOf(realm.SCTP, nil, nil)
	calls.Peers[0].Addresses = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:3868")}
	a := run(t, Config{Identity: "b.example"}, calls)
	require.Eventually(t, func() bool { return a.Peers()[0].Error == "this system has no SCTP" }, patience, 5*time.Millisecond, "%+v", a.Peers())
	_, err := New(Config{Identity: "b.example", Realm: "example", Listen: []listen.Address{{Service: listen.Diameter, Addr: loopback, Transport: realm.SCTP}}}, calls, Rooms{Stats: stat.NewRegistry()})
	assert.ErrorContains(t, err, "for diameter over sctp: this system has no SCTP")
}

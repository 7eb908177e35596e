package interop

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/test/peer"
)

// The alerts that a refused peer reads (RFC 8446 section 6.2).
const (
	badCertificate         = 42
	unsupportedCertificate = 43
	certificateRevoked     = 44
	certificateExpired     = 45
	certificateUnknown     = 46
	unknownCA              = 48
	accessDenied           = 49
	protocolVersion        = 70
	certificateRequired    = 116
	noApplicationProtocol  = 120
)

// TestRadSecRefusals: what openssl reads of the hub's listener. Whoever is
// refused is told by an alert, and whoever is not has its protocol.
func TestRadSecRefusals(t *testing.T) {
	t.Parallel()
	pki, other := peer.NewLab(t, "federation"), peer.NewLab(t, "elsewhere")
	visited := lab.Leaf{Hosts: []string{visitedHost}}
	revoked := pki.Keys("revoked", visited)
	list := pki.Revoke(1, revoked)
	home := peer.Server{Auth: peer.Port(t), Acct: peer.Port(t), Secret: homeSecret}
	// A second tenant takes only certificates of another authority.
	own := pki.Keys("hub", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})
	second := *own
	second.Root = other.Root
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, RadSec: true, Homes: []peer.HubHome{{Name: "a", Server: home}},
		Routes: routing("tls:\n", trust("roaming", own, "crls: ["+list+"]"), trust("tenant", &second),
			"clients:\n", tlsClient("visited", "roaming", visitedHost), tlsClient("tenant", "tenant", "tenant.example"),
			udpHome("a", home), route("a")),
	})
	leaf := func(change func(*lab.Leaf)) *peer.Keys {
		l := visited
		change(&l)
		return pki.Keys("client", l)
	}
	for _, tt := range []struct {
		name   string
		keys   func() *peer.Keys // nil: none
		args   []string
		alpn   string
		alerts []int // any of them; none: it is let in
	}{
		{name: "TLS 1.3", keys: func() *peer.Keys { return pki.Keys("client", visited) }},
		{name: "TLS 1.2", keys: func() *peer.Keys { return pki.Keys("client", visited) }, args: []string{"-tls1_2"}},
		{name: "RADIUS/1.1", keys: func() *peer.Keys { return pki.Keys("client", visited) }, args: []string{"-alpn", "radius/1.1"}, alpn: "radius/1.1"},
		{name: "RADIUS/1.0", keys: func() *peer.Keys { return pki.Keys("client", visited) }, args: []string{"-alpn", "radius/1.0"}, alpn: "radius/1.0"},
		{name: "both versions", keys: func() *peer.Keys { return pki.Keys("client", visited) }, args: []string{"-alpn", "radius/1.0,radius/1.1"}, alpn: "radius/1.1"},
		{name: "both versions over TLS 1.2", keys: func() *peer.Keys { return pki.Keys("client", visited) },
			args: []string{"-tls1_2", "-alpn", "radius/1.0,radius/1.1"}, alpn: "radius/1.0"},
		{name: "RADIUS/1.1 over TLS 1.2", keys: func() *peer.Keys { return pki.Keys("client", visited) },
			args: []string{"-tls1_2", "-alpn", "radius/1.1"}, alerts: []int{noApplicationProtocol}},
		{name: "TLS 1.1", keys: func() *peer.Keys { return pki.Keys("client", visited) }, args: []string{"-tls1_1"}, alerts: []int{protocolVersion}},
		{name: "TLS 1.0", keys: func() *peer.Keys { return pki.Keys("client", visited) }, args: []string{"-tls1"}, alerts: []int{protocolVersion}},
		{name: "another protocol", keys: func() *peer.Keys { return pki.Keys("client", visited) }, args: []string{"-alpn", "h2"}, alerts: []int{noApplicationProtocol}},
		{name: "no certificate", alerts: []int{certificateRequired, badCertificate}},
		{name: "no certificate, TLS 1.2", args: []string{"-tls1_2"}, alerts: []int{badCertificate, 40}},
		{name: "expired", keys: func() *peer.Keys { return leaf(func(l *lab.Leaf) { l.To = time.Now().Add(-time.Minute) }) },
			alerts: []int{certificateExpired, badCertificate}},
		{name: "not yet valid", keys: func() *peer.Keys { return leaf(func(l *lab.Leaf) { l.From = time.Now().Add(time.Hour / 2) }) },
			alerts: []int{certificateExpired, badCertificate}},
		{name: "common name alone", keys: func() *peer.Keys { return leaf(func(l *lab.Leaf) { l.Name, l.Hosts = visitedHost, nil }) },
			alerts: []int{accessDenied, certificateUnknown, badCertificate}},
		{name: "another host", keys: func() *peer.Keys { return leaf(func(l *lab.Leaf) { l.Hosts = []string{"other.example"} }) },
			alerts: []int{accessDenied, certificateUnknown, badCertificate}},
		{name: "for another use", keys: func() *peer.Keys {
			return leaf(func(l *lab.Leaf) { l.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} })
		}, alerts: []int{unsupportedCertificate, badCertificate}},
		{name: "revoked", keys: func() *peer.Keys { return revoked }, alerts: []int{certificateRevoked, badCertificate}},
		{name: "another authority", keys: func() *peer.Keys { return other.Keys("client", visited) },
			alerts: []int{unknownCA, accessDenied, certificateUnknown, badCertificate}},
		{name: "the other tenant", keys: func() *peer.Keys { return pki.Keys("client", lab.Leaf{Hosts: []string{"tenant.example"}}) },
			alerts: []int{unknownCA, accessDenied, certificateUnknown, badCertificate}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var keys *peer.Keys
			if tt.keys != nil {
				keys = tt.keys()
			}
			got := peer.OpenSSL(t, hub.RadSec, keys, tt.args...)
			if tt.alerts == nil {
				assert.True(t, got.Done, got.Output)
				assert.Equal(t, tt.alpn, got.ALPN)
				return
			}
			assert.Contains(t, tt.alerts, got.Alert, got.Output)
			assert.False(t, got.Done)
		})
	}
}

package peer_test

import (
	"crypto/tls"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
)

// at names the peers of a lab on loopback.
var at = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

// TestControlRadSec holds that the peers agree over TLS among themselves.
func TestControlRadSec(t *testing.T) {
	pki := peer.NewLab(t, "federation")
	certificates := peer.NewCertificates(t, "radius.home.example", peer.Subscriber.Name)
	home := peer.StartHome(t, peer.HomeConfig{
		Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}, Certificates: certificates,
		RadSec: pki.Keys("home", lab.Leaf{Hosts: []string{"radsec.home.example"}, Addrs: at}),
	})
	visited := pki.Keys("visited", lab.Leaf{Hosts: []string{"radsec.visited.example"}, Addrs: at})
	for _, v := range []peer.Visited{peer.FreeRADIUSProxy, peer.RadsecproxyProxy} {
		t.Run(v.String(), func(t *testing.T) {
			front := v.BeforeTLS(t, peer.Next{TLS: home.TLS, Keys: visited})
			path := peer.Path{Front: front, Home: home, Certificates: certificates}
			for _, c := range peer.Conversations() {
				t.Run(c.Name, func(t *testing.T) { c.Run(t, path) })
			}
		})
	}
	t.Run("radsecproxy to radsecproxy", func(t *testing.T) {
		inner := peer.StartRadsecproxyTLS(t, "inner", "", pki.Keys("inner", lab.Leaf{Addrs: at}), peer.Next{Server: home.Server})
		front := peer.RadsecproxyProxy.BeforeTLS(t, peer.Next{TLS: inner.TLS, Keys: visited})
		path := peer.Path{Front: front, Home: home, Certificates: certificates}
		for _, c := range peer.Conversations() {
			t.Run(c.Name, func(t *testing.T) { c.Run(t, path) })
		}
	})
}

// TestControlOpenSSL holds that openssl notices what it is asked to notice.
func TestControlOpenSSL(t *testing.T) {
	pki, other := peer.NewLab(t, "federation"), peer.NewLab(t, "another")
	own := pki.Keys("server", lab.Leaf{Addrs: at})
	h, err := play.StartHome(play.HomeConfig{
		Name: "h", Auth: netip.MustParseAddrPort("127.0.0.1:0"),
		Stream: &play.Stream{TLS: &tls.Config{
			Certificates: []tls.Certificate{own.TLS}, ClientCAs: lab.Pool(pki.CA), ClientAuth: tls.RequireAndVerifyClientCert,
			NextProtos: []string{play.Version11, play.Version10}, MinVersion: tls.VersionTLS12,
		}},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close()) }()
	good := pki.Keys("client", lab.Leaf{})
	for _, tt := range []struct {
		name     string
		keys     *peer.Keys
		args     []string
		protocol string
		alpn     string
		alert    int
	}{
		{name: "TLS 1.3", keys: good, protocol: "TLSv1.3"},
		{name: "TLS 1.2", keys: good, args: []string{"-tls1_2"}, protocol: "TLSv1.2"},
		{name: "TLS 1.1", keys: good, args: []string{"-tls1_1"}, alert: 70},
		{name: "RADIUS/1.1", keys: good, args: []string{"-alpn", "radius/1.1"}, protocol: "TLSv1.3", alpn: "radius/1.1"},
		{name: "another protocol", keys: good, args: []string{"-alpn", "h2"}, alert: 120},
		{name: "no certificate", alert: 116},
		{name: "expired", keys: pki.Keys("expired", lab.Leaf{To: time.Now().Add(-time.Minute)}), alert: 45},
		{name: "from elsewhere", keys: other.Keys("other", lab.Leaf{}), alert: 48},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := peer.OpenSSL(t, h.Auth(), tt.keys, tt.args...)
			assert.Equal(t, tt.alert, got.Alert, got.Output)
			assert.Equal(t, tt.alert == 0, got.Done, got.Output)
			if tt.alert == 0 {
				assert.Equal(t, tt.protocol, got.Protocol)
				assert.Equal(t, tt.alpn, got.ALPN)
			}
		})
	}
	t.Run("server", func(t *testing.T) {
		addr := peer.StartOpenSSLServer(t, own)
		c, err := tls.Dial("tcp", addr.String(), &tls.Config{
			RootCAs: lab.Pool(pki.CA), Certificates: []tls.Certificate{good.TLS}, ServerName: "127.0.0.1",
		})
		require.NoError(t, err)
		_, err = c.Write([]byte("anything"))
		require.NoError(t, err)
		require.NoError(t, c.Close())
	})
}

package peer_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
)

// TestRecordsOfFreeRADIUS holds the fact about FreeRADIUS 3.2.1 that decides how
// packets are written to TLS: it takes none of a record that has two,
// and ends the connection.
func TestRecordsOfFreeRADIUS(t *testing.T) {
	pki := peer.NewLab(t, "federation")
	home := peer.StartHome(t, peer.HomeConfig{
		Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}, RadSec: pki.Keys("home", lab.Leaf{Addrs: at}),
	})
	k := pki.Keys("client", lab.Leaf{})
	for _, tt := range []struct {
		name   string
		alone  bool
		window int
		total  uint64
		want   uint64
	}{
		{"a request at a time", false, 1, 100, 100},
		{"many, each in a record", true, 20, 400, 400},
		{"two in a record", false, 2, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := play.NewNAS(play.NASConfig{
				Auth: home.TLS, Window: tt.window, Total: tt.total, Sockets: 1, AllowUnsigned: true, Timeout: 3 * time.Second,
				Stream: &play.Stream{Alone: tt.alone, TLS: &tls.Config{
					Certificates: []tls.Certificate{k.TLS}, RootCAs: lab.Pool(pki.CA), ServerName: "127.0.0.1",
				}},
			})
			require.NoError(t, err)
			require.NoError(t, n.Run(t.Context()))
			c := n.Snapshot()
			assert.Equal(t, tt.want, c.Answered.All())
		})
	}
}

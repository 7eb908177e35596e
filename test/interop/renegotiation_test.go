package interop

import (
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/test/peer"
)

// TestC60Renegotiation proves C60: a client of TLS 1.2 that wants to do its
// handshake again is refused by an alert, which ends its connection; one of TLS
// 1.3 that wants other keys gets them.
func TestC60Renegotiation(t *testing.T) {
	t.Parallel()
	pki := peer.NewLab(t, "federation")
	home := peer.Server{Auth: peer.Port(t), Acct: peer.Port(t), Secret: homeSecret}
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, RadSec: true, Homes: []peer.HubHome{{Name: "a", Server: home}},
		Routes: routing("tls:\n", trust("roaming", pki.Keys("hub", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})),
			"clients:\n", tlsClient("visited", "roaming", visitedHost), udpHome("a", home), route("a")),
	})
	keys := pki.Keys("visited", lab.Leaf{Hosts: []string{visitedHost}})
	peer.Need(t, "openssl")
	for _, tt := range []struct{ name, version, command, sign string }{
		{"renegotiation", "-tls1_2", "R\n", "<<< TLS 1.2, Alert [length 0002], fatal unexpected_message"},
		{"KeyUpdate", "-tls1_3", "K\n", "<<< TLS 1.3, Handshake [length 0005], KeyUpdate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			command := exec.Command("openssl", "s_client", tt.version, "-msg", "-connect", hub.RadSec.String(), "-cert", keys.Cert, "-key", keys.Key, "-CAfile", keys.Root)
			in, err := command.StdinPipe()
			require.NoError(t, err)
			p := peer.Start(t, "openssl s_client", command)
			const patience = time.Minute
			peer.Eventually(t, patience, "a handshake", func() bool { return strings.Contains(p.Output(), "Verify return code: 0 (ok)") })
			_, err = io.WriteString(in, tt.command)
			require.NoError(t, err)
			peer.Eventually(t, patience, tt.sign, func() bool { return strings.Contains(p.Output(), tt.sign) })
			_ = in.Close()
			_ = p.Wait(patience)
		})
	}
	for _, reason := range []string{"broken", "peer"} {
		peer.Eventually(t, time.Minute, "one connection closed as "+reason, func() bool {
			return hub.Metric("roamgate_connections_closed_total", `direction="in"`, `reason="`+reason+`"`) == 1
		})
	}
	assert.False(t, hub.Ended())
}

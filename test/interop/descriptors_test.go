package interop

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"layeh.com/radius"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/test/peer"
)

// TestNoDescriptorsLeft: a hub whose descriptors visitors have used up goes on
// serving whom it has, says so in its metrics, and takes visitors again when
// some have gone.
func TestNoDescriptorsLeft(t *testing.T) {
	pki := peer.NewLab(t, "federation")
	home := peer.Server{Auth: peer.Port(t), Acct: peer.Port(t), Secret: homeSecret}
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, RadSec: true, Homes: []peer.HubHome{{Name: "a", Server: home}},
		Routes: routing("tls:\n", trust("roaming", pki.Keys("hub", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})),
			"clients:\n", tlsClient("visited", "roaming", visitedHost), udpHome("a", home), route("a")),
	})
	keys := pki.Keys("visited", lab.Leaf{Hosts: []string{visitedHost}})
	const patience = time.Minute
	visit := func() (net.Conn, error) {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: &tls.Config{
			Certificates: []tls.Certificate{keys.TLS}, RootCAs: lab.Pool(pki.CA), ServerName: firstHost}}
		return d.DialContext(t.Context(), "tcp", hub.RadSec.String())
	}
	served := func(c net.Conn) error {
		p := radius.New(radius.CodeAccessRequest, []byte(peer.RadsecSecret))
		p.Add(1, radius.Attribute("bob@nowhere.example"))
		p.Add(2, radius.Attribute("0123456789abcdef"))
		b, err := p.Encode()
		require.NoError(t, err)
		if err = c.SetDeadline(time.Now().Add(patience)); err == nil {
			if _, err = c.Write(b); err == nil {
				_, err = c.Read(make([]byte, 4096))
			}
		}
		return err
	}
	_, err := hub.Get("/metrics") // its connection is kept
	require.NoError(t, err)
	first, err := visit()
	require.NoError(t, err)
	defer func() { _ = first.Close() }()
	require.NoError(t, served(first))

	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", hub.PID()))
	require.NoError(t, err)
	require.NoError(t, unix.Prlimit(hub.PID(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(len(open) + 8), Max: 1 << 10}, nil))
	var rest []net.Conn
	for range 40 { // the system takes them for the hub
		c, err := net.DialTimeout("tcp", hub.RadSec.String(), patience)
		require.NoError(t, err)
		rest = append(rest, c)
	}
	for range 5 {
		require.NoError(t, served(first))
	}
	for _, c := range rest {
		require.NoError(t, c.Close())
	}
	peer.Eventually(t, patience, "visitors are taken again", func() bool {
		c, err := visit()
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		return served(c) == nil
	})
	assert.NoError(t, served(first))
	assert.NotZero(t, hub.Metric("roamgate_accept_pauses_total"))
	assert.False(t, hub.Ended())
}

package interop

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
)

// newTLSWorld is a world whose homes are reached over TLS.
func newTLSWorld(t *testing.T, more ...string) *world {
	w := &world{t: t, pki: peer.NewLab(t, "federation")}
	w.own = w.pki.Keys("hub", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})
	server := w.pki.Keys("homes", lab.Leaf{Hosts: []string{homeHost}, Addrs: loopback})
	for i := range w.homes {
		h := w.home(i, play.HomeConfig{Stream: &play.Stream{TLS: w.config(server, play.Version11, play.Version10)}})
		w.entries += fmt.Sprintf("  - {name: home-%d, transport: tls, tls: roaming, address: 127.0.0.1, port: %d, certificate: {hosts: [%s]}, status_server: true}\n",
			i, h.Auth().Port(), homeHost)
	}
	w.hub = peer.StartHub(t, peer.HubConfig{Secret: clientSecret, RadSec: true, Routes: w.routes(w.entries, more...)})
	return w
}

// versions are both of RADIUS.
var versions = []string{play.Version10, play.Version11}

// TestRadSecBadReply: an answer that proves nothing costs the request that it
// was for, at most. All others go on, also those that shared its connection,
// which ends for it in RADIUS/1.0 (C74).
func TestRadSecBadReply(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			w := newTLSWorld(t, "versions: ["+version+"]")
			w.homes[0].SetScript(play.Script{Delay: play.Delay{Min: 20 * time.Millisecond}}) // so that something shares it
			a, b := w.visit(0, 0, version), w.visit(1, 1, version)
			a.answered(500)
			bad := func() uint64 { s := w.homes[0].Snapshot(); return s.BadAnswers }
			for n := range uint64(3) {
				w.homes[0].SetScript(play.Script{
					Delay: play.Delay{Min: 20 * time.Millisecond}, Misbehave: []play.Misbehaviour{{Bad: play.BadAuthenticator, Share: 0.01}},
				})
				peer.Eventually(t, time.Minute, "a bad answer", func() bool { return bad() > n })
				w.homes[0].SetScript(play.Script{Delay: play.Delay{Min: 20 * time.Millisecond}})
				a.answered(1000)
			}
			b.answered(500)
			b.untouched("the other realm")
			c := a.end()
			assert.True(t, c.AddsUp())
			assert.LessOrEqual(t, c.Lost.All()+c.Rejects, bad(), "no more than were answered badly")
			assert.Zero(t, c.Flaws.All(), "%v", c.Flaws)
			assert.Zero(t, c.Disconnects)
		})
	}
}

// TestRadSecClosedConnection: a home that closes its connections under load
// loses nothing: what was on them moves to new ones (C70, C71).
func TestRadSecClosedConnection(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			w := newTLSWorld(t, "versions: ["+version+"]")
			w.homes[0].SetScript(play.Script{Delay: play.Delay{Min: 20 * time.Millisecond}}) // so that something is on them
			a, b := w.visit(0, 0, version), w.visit(1, 1, version)
			a.answered(500)
			for range 3 {
				w.homes[0].Disconnect()
				a.answered(1000)
			}
			b.answered(500)
			a.untouched("the realm of the closed connections")
			b.untouched("the other realm")
		})
	}
}

// TestRadSecStalledHome: a home that reads nothing costs its own realm time,
// and nobody else anything.
func TestRadSecStalledHome(t *testing.T) {
	w := newTLSWorld(t)
	b := w.visit(1, 1, play.Version10)
	b.answered(500)
	release := w.homes[0].Stall()
	a := w.visit(0, 0, play.Version10)
	b.answered(3000)
	b.untouched("the other realm")
	release()
	a.answered(100) // it comes back by itself
	a.end()
}

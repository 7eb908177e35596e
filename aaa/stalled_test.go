package aaa

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stall has a peer ask and read nothing until the hub can write no more to it;
// it gives how many requests that took.
func (p *peer) stall(reason Reason) (asked int) {
	r := p.rig
	_ = p.Conn.(*tls.Conn).NetConn().(*net.TCPConn).SetReadBuffer(4096)
	dropped := func() int { return r.value("roamgate_dropped_total", "client", "secured", "reason", reason.String()) }
	// An answer is as long as its Proxy-States, so the probes are long.
	var states []edit
	for range 15 {
		states = append(states, with(33, string(make([]byte, 253))))
	}
	for before := dropped(); dropped() == before; asked++ {
		require.Less(r.t, asked, 10_000)
		r.now += 11e6 // no more than a hundred a second
		p.offer(encode(r.t, statusServer(append([]edit{over(radsec)}, states...)...), true))
	}
	return asked
}

// A client that asks and takes no answers costs memory up to a bound and feels
// it alone; after half a minute without progress its connection ends. One that
// takes them late has all that were written.
func TestStalledClient(t *testing.T) {
	n := newTenant(t, "tenant")
	r := newRigOf(t, n.overTLS(nil))
	stalled, well := r.visit(n.nas()), r.visit(n.nas())
	asked := stalled.stall(PeerStalled)
	assert.Greater(t, asked, 100)
	well.answers()
	r.pass(20 * time.Second)
	well.answers()
	assert.Len(t, r.hub.connections.list(), 2)
	r.pass(15 * time.Second)
	r.until("it is closed", func() bool {
		return r.value("roamgate_connections_closed_total", "peer", "secured", "reason", "stalled") == 1
	})
	well.answers()
	r.clean()
}

func TestStalledClientGoesOn(t *testing.T) {
	n := newTenant(t, "tenant")
	r := newRigOf(t, n.overTLS(nil))
	p := r.visit(n.nas())
	asked := p.stall(PeerStalled)
	_ = p.Conn.(*tls.Conn).NetConn().(*net.TCPConn).SetReadBuffer(1 << 20)
	var got atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in := bufio.NewReader(p)
		for {
			head, err := in.Peek(4)
			if err != nil {
				return
			}
			if _, err = in.Discard(int(binary.BigEndian.Uint16(head[2:]))); err != nil {
				return
			}
			got.Add(1)
		}
	}()
	answered := func() int64 {
		return int64(r.value("roamgate_responses_total", "client", "secured", "result", "accept"))
	}
	r.until("all answers have come that were written", func() bool { return got.Load() == answered() })
	assert.Equal(t, asked, int(got.Load())+r.value("roamgate_dropped_total", "client", "secured", "reason", PeerStalled.String()))
	r.pass(40 * time.Second)
	assert.Len(t, r.hub.connections.list(), 1, "it has gone on")
	p.offer(encode(t, statusServer(over(radsec)), true))
	r.until("it is answered again", func() bool { return int(got.Load()) == int(answered()) && int(answered()) > asked/2 })
	require.NoError(t, p.Close())
	<-ended
	r.clean()
}

package agent

import (
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/realm"
)

// diameterConn has a connection carry Diameter.
func diameterConn(c *stream.Conn, p *realm.Peer) conn {
	queue := defaultQueue
	if p != nil && p.Queue != 0 {
		queue = p.Queue
	}
	c.Diameter(queue)
	return c
}

// open opens the doors.
func (a *Agent) open() error { return nil }

// shut ends what is beside the loop, after it.
func (a *Agent) shut() {
	if a.doors != nil {
		a.doors.Close()
	}
	a.calls.stop()
	a.calls.running.Wait()
	a.loop.closeMail()
	a.loop.poller.Close()
}

// Addrs are the doors, with the ports that the system chose.
func (a *Agent) Addrs() []listen.Address {
	if a.doors == nil {
		return nil
	}
	return a.doors.Addrs()
}

// Inside gives the Agent the connection of the gateway to RADIUS: a peer without
// capabilities and watchdog that has our identity. It is safe for concurrent use.
func (a *Agent) Inside(c Conn) {
	post(a.loop, &a.loop.mail.links, &link{conn: c, inside: true, transport: realm.Diameter})
}

// closeMail closes connections that came when the loop had ended.
func (lp *loop) closeMail() {
	m := &lp.mail
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links.collect()
	for l, ok := m.links.next(); ok; l, ok = m.links.next() {
		l.Close()
	}
	for _, l := range m.links.in {
		l.Close()
	}
}

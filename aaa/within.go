package aaa

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// Gateway is the Diameter side of the hub. Connections with it are in memory: each read
// and each write of one is a packet of RADIUS/1.1, and a shard has it like any other.
type Gateway interface {
	// Dial opens a connection to a home of Transport Diameter.
	Dial(h *realm.Home) (net.Conn, error)
}

var (
	errNoGateway = errors.New("the hub speaks no Diameter")
	errNoClient  = errors.New("no client of Diameter has that name")
	errStopping  = errors.New("the hub is stopping")
)

// connectWithin makes a connection to a home that the gateway is.
func (h *Hub) connectWithin(hm *home.Home) (*conn, error) {
	if h.gateway == nil {
		return nil, errNoGateway
	}
	raw, err := h.gateway.Dial(hm.Spec)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &conn{
		Conn: stream.Datagrams(raw), transport: realm.Diameter, clear: true, from: udp.AddrFrom(realm.Nowhere),
		peer: hm.Spec.Name, secret: radius.Clear,
	}, nil
}

// Visit takes a connection over in which the requests of a Diameter peer come, as those
// of the client of the name. All of one client are a shard's. It is safe for concurrent
// use.
func (h *Hub) Visit(name string, raw net.Conn) error {
	who, ok := h.Snapshot().clientsByName[name]
	if !ok || who.Spec.Transport != realm.Diameter {
		_ = raw.Close()
		return errNoClient
	}
	if h.dialling.ctx.Err() != nil {
		_ = raw.Close()
		return errStopping
	}
	h.visited(name)
	c := &conn{
		Conn: stream.Datagrams(raw), transport: realm.Diameter, clear: true, from: udp.AddrFrom(realm.Nowhere),
		client: who, peer: name, secret: radius.Clear, ctr: h.connections.statsOf(name, incoming, realm.Diameter),
	}
	c.mark = h.markOf(c, false)
	c.shard = h.shards[h.reception.next.Add(1)%uint32(len(h.shards))]
	c.shard.enterLater(c)
	return nil
}

// guests are the clients of transport Diameter by name, those of former files too. Most
// of thousands never ask anything of RADIUS: their series, some two hundred, wait until
// one does.
type guests struct {
	mu  sync.Mutex // guards all below
	all map[string]*guest
}

// guest has figures that count nothing until it has come. They are filled before the
// shard of its connections hears of the first one.
type guest struct {
	stats *clientStats
	met   bool
}

// guestSeries gives the figures of a client for one configuration.
func (h *Hub) guestSeries(name string) *clientStats {
	h.guests.mu.Lock()
	defer h.guests.mu.Unlock()
	v := h.guests.all[name]
	switch {
	case v == nil:
		v = &guest{stats: new(clientStats)}
		h.guests.all[name] = v
	case v.met: // perhaps they were retired
		v.stats = h.clientSeries(name)
		h.connSeries(name, incoming, realm.Diameter)
	}
	return v.stats
}

// visited makes the series of a client that comes for the first time.
func (h *Hub) visited(name string) {
	h.guests.mu.Lock()
	defer h.guests.mu.Unlock()
	if v := h.guests.all[name]; !v.met {
		v.met = true
		*v.stats = *h.clientSeries(name)
		h.connSeries(name, incoming, realm.Diameter)
	}
}

// markOf is markOf, but for connections that have no address: each has a number.
func (h *Hub) markOf(c *conn, calling bool) (m callMark) {
	if c.transport != realm.Diameter {
		return markOf(c.Conn, calling)
	}
	binary.BigEndian.PutUint64(m[:], h.within.Add(1))
	return m
}

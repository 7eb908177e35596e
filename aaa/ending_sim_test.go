package aaa

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/discovery"
)

// comers are clients and homes that come, ask, answer, lie and go as a seed has
// it, by connections and by datagrams.
type comers struct {
	*rig
	*rand.Rand
	clients []*comer
	offices []*office
	letters []*letter
	gate    chan struct{} // each look-up of DNS takes one
	n       int
}

// comer is a client that came by TCP.
type comer struct {
	*net.TCPConn
	mu   sync.Mutex
	sent map[byte][][]byte // guarded by mu
	gone chan struct{}
	bad  string // what came that is no answer to a request of its own
	got  int
}

// read checks all that comes: it is signed for a request of this connection.
func (c *comer) read() {
	defer close(c.gone)
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		b := append(head, make([]byte, int(head[2])<<8+int(head[3])-4)...)
		if _, err := io.ReadFull(c, b[4:]); err != nil {
			return
		}
		c.mu.Lock()
		if !slices.ContainsFunc(c.sent[b[1]], func(q []byte) bool { return layeh.IsAuthenticResponse(b, q, []byte(visitedSecret)) }) {
			c.bad = fmt.Sprintf("%x", b)
		}
		c.got++
		c.mu.Unlock()
	}
}

func newComers(t tester, seed uint64) *comers {
	n := newTenant(t, "tenant")
	w := &comers{Rand: rand.New(rand.NewPCG(seed, 1)), gate: make(chan struct{}, 1000)}
	for range 3 {
		w.offices = append(w.offices, openOffice(t, nil))
	}
	s := n.overTLS(func(s *realm.Set) {
		byTCP(s)
		discovers(s)
		for i := range 2 {
			w.offices[i].reach(nil, i)(s)
		}
	})
	s.homes = 3
	doors := s.conf
	s.conf = func(c *Config) { doors(c); c.InFlight, c.RejectDelay = 128, time.Second }
	w.rig = newRigOf(t, s)
	w.peers()
	return w
}

// peers has every third realm be there, at the third home.
func (w *comers) peers() {
	w.hub.peers = discovery.NewTable(discovery.Config[*home.Pool]{
		Now: w.clock.Load,
		Discover: func(ctx context.Context, name string, _ *realm.Discovery, _ discovery.Service) discovery.Result {
			select {
			case <-w.gate:
			case <-ctx.Done():
			}
			if len(name)%3 == 0 {
				return discovery.Result{TTL: 10 * time.Second, Cause: discovery.NoPeer}
			}
			return discovery.Result{TTL: 10 * time.Second}
		},
		Build: func(_ string, _ *realm.Discovery, s discovery.Service, _ *discovery.Result, _ time.Duration) (*home.Pool, bool) {
			return w.hub.Snapshot().Homes.Pool(0, kindOf(s)), true
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.hub.peers.Run(ctx) }()
	w.t.Cleanup(func() { stop(); <-done })
}

func (w *comers) come() {
	c := &comer{TCPConn: w.knock(), sent: map[byte][][]byte{}, gone: make(chan struct{})}
	go c.read()
	w.clients = append(w.clients, c)
	w.t.Cleanup(func() { _ = c.Close(); <-c.gone })
}

func (w *comers) leave() {
	if len(w.clients) == 0 {
		return
	}
	i := w.IntN(len(w.clients))
	c := w.clients[i]
	w.clients = slices.Delete(w.clients, i, i+1)
	if w.IntN(2) == 0 {
		_ = c.SetLinger(0)
	}
	_ = c.Close()
	<-c.gone
	w.honest(c)
}

func (w *comers) honest(c *comer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(w.t, c.bad, "no answer to what was asked")
}

// ask sends a request without letting the shard read it.
func (w *comers) ask() {
	w.n++
	names := []string{"bob@home.example", "bob@home.example", "bob@x.iot.example", "bob@nowhere.example", "bob@closed.example",
		fmt.Sprintf("bob@r%d.found.example", 8+w.IntN(5)), fmt.Sprintf("bob@r%d.early.example", 8+w.IntN(5))}
	name := names[w.IntN(len(names))]
	id, acct := byte(w.IntN(12)), w.IntN(4) == 0
	var b []byte
	if acct {
		b = encode(w.t, acctStop(name, fmt.Sprint("s", w.n), withID(id)), false)
	} else {
		p := access(name, withID(id), with(rfc2865.Class_Type, fmt.Sprint(w.n)))
		if w.IntN(4) == 0 {
			with(rfc2865.State_Type, "s")(p)
		}
		b = encode(w.t, p, true)
	}
	if at := w.IntN(len(w.clients) + 1); at < len(w.clients) {
		c := w.clients[at]
		c.mu.Lock()
		c.sent[id] = append(c.sent[id], b)
		c.mu.Unlock()
		for range 1 + w.IntN(2) {
			_, _ = c.Write(b) // the hub may have ended it
		}
		return
	}
	s := listen.Auth
	if acct {
		s = listen.Acct
	}
	_, err := w.nas.WriteToUDP(b, w.front(s))
	require.NoError(w.t, err)
}

// hear takes what has come to homes, and checks that it is signed.
func (w *comers) hear() {
	for _, o := range w.offices {
		for len(o.letters) > 0 {
			l := <-o.letters
			if l.Code == layeh.CodeAccessRequest {
				requireSigned(w.t, l.raw, l.raw[4:20], homeSecret)
			} else {
				require.True(w.t, layeh.IsAuthenticRequest(l.raw, []byte(homeSecret)))
			}
			w.letters = append(w.letters, l)
		}
	}
	for i, c := range []*net.UDPConn{w.homes[2], w.accts[2]} {
		for {
			b, from := read(w.t, c, time.Microsecond)
			if b == nil {
				break
			}
			code := layeh.CodeAccessAccept
			if i == 1 {
				code = layeh.CodeAccountingResponse
			}
			p, err := layeh.Parse(b, []byte(homeSecret))
			require.NoError(w.t, err)
			(&heard{Packet: p, raw: b, hub: from, at: c, rig: w.rig}).say((&heard{Packet: p, raw: b, hub: from, at: c, rig: w.rig}).reply(code))
		}
	}
}

// say answers some of what was asked.
func (w *comers) say(n int) {
	for range min(n, len(w.letters)) {
		i := w.IntN(len(w.letters))
		l := w.letters[i]
		w.letters = slices.Delete(w.letters, i, i+1)
		code := layeh.CodeAccountingResponse
		if l.Code == layeh.CodeAccessRequest {
			code = []layeh.Code{layeh.CodeAccessAccept, layeh.CodeAccessReject, layeh.CodeAccessChallenge, 52}[w.IntN(4)]
		}
		b := l.reply(code)
		switch w.IntN(12) {
		case 0:
			b[5]++ // ends the connection
		case 1:
			b = append(b, b...)
		}
		l.desk.say(b)
	}
}

func (w *comers) step() {
	switch w.IntN(16) {
	case 0, 1:
		if len(w.clients) < 6 {
			w.come()
		}
	case 2:
		w.leave()
	case 3, 4, 5, 6:
		for range 1 + w.IntN(12) {
			w.ask()
		}
	case 7, 8, 9:
		w.say(1 + w.IntN(10))
	case 10:
		if len(w.letters) > 0 {
			w.letters[w.IntN(len(w.letters))].desk.reset()
		}
	case 11, 12:
		w.pass(time.Duration(w.IntN(2500)) * time.Millisecond)
	case 13:
		w.gate <- struct{}{}
	case 14:
		w.forwardOwed()
	case 15:
		w.apply(func(s *realm.Set) {
			s.Pools[0].Members = slices.Clone(s.Pools[0].Members)
			s.Pools[0].Members[0].Priority = w.IntN(3)
			if s.Clients[0].Operator = "1visited.example"; w.IntN(3) == 0 {
				s.Clients[2].Name = fmt.Sprint("plain", w.IntN(2)) // ends its connections
			}
		})
	}
	w.turn(0)
	w.hear()
}

// Whatever ends in whatever stage, nothing is left of it: no slot, number,
// timer, remembered request nor connection that is counted.
func TestEndings(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newComers(t, seed)
			for range 250 {
				w.step()
			}
			close(w.gate)
			for range 30 {
				w.say(20)
				w.pass(3 * time.Second)
				w.hear()
			}
			s := w.shard
			w.until("all has ended", func() bool { w.pass(100 * time.Millisecond); w.hear(); w.say(20); return s.slab.used == 0 })
			w.clean()
			for _, tr := range s.links.all {
				for _, l := range tr.Links() {
					assert.Zero(t, l.Len(), "numbers in use")
				}
				assert.Equal(t, len(tr.Links()), tr.home.State[tr.kind].Links())
			}
			for i := range int32(3) {
				for _, k := range []home.Kind{home.Auth, home.Acct} {
					assert.Zero(t, s.pace.Waiting(i, k))
					assert.Zero(t, s.pace.There(i, k))
				}
			}
			for _, c := range w.clients {
				_ = c.Close()
				<-c.gone
				w.honest(c)
			}
			w.until("the clients are gone", func() bool { return s.hub.connections.in == 0 })
			assert.Len(t, s.hub.connections.all, w.links())
			n := 0
			for _, c := range s.conns.slots {
				if c != nil {
					n++
				}
			}
			assert.Equal(t, w.links(), n)
			for key, c := range s.hub.connections.stats {
				if key.direction == incoming {
					assert.Zero(t, c.open.Load(), key.peer)
				}
			}
			_, _, flights := s.hub.peers.Level()
			assert.Zero(t, flights)
			for _, metric := range []string{"roamgate_moved_total", "roamgate_failovers_total", "roamgate_connections_closed_total", "roamgate_local_answers_total"} {
				assert.NotZero(t, w.value(metric), metric)
			}
		})
	}
}

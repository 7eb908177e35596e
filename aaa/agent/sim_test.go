package agent

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// world is a random life of many peers: they ask each other, answer, err, answer late or
// never, stall, are lost and come back. Each request is answered once, to the connection
// that it came by, if that is still there.
type world struct {
	*walkRig
	rnd    *rand.Rand
	serial uint32
	all    []*link             // that were ever open
	owed   map[*link]sentences // by Hop-by-Hop Identifier
	held   []held              // requests that peers have and have not answered
	dead   map[*link]bool
	counts map[string]int
}

// sentences are the answers that are due: false, it may be lost, since the peer took
// nothing for a while.
type sentences map[uint32]bool

type held struct {
	by *link
	m  *diameter.Message
}

const simPeers = 12

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 7)), owed: map[*link]sentences{}, dead: map[*link]bool{}, counts: map[string]int{}}
	w.walkRig = newWalkRig(t, func(s *realm.Set) {
		s.Peers, s.Clients, s.Pools, s.Routes = nil, nil, nil, nil
		for i := range simPeers {
			name := fmt.Sprintf("p%d", i)
			s.Clients = append(s.Clients, realm.Client{Name: name, Transport: realm.Diameter})
			s.Peers = append(s.Peers, realm.Peer{Name: name, Identity: name + ".example", Realm: "r.example", Client: int32(i), InFlight: 40})
		}
		for k, balance := range []realm.Balance{realm.BalanceDevice, realm.BalanceRoundRobin, realm.BalanceLeast, realm.BalanceFirst} {
			p := realm.Pool{Name: fmt.Sprint(k), Diameter: true, Balance: balance}
			for i := range simPeers {
				if (i+k)%2 == 0 {
					p.Members = append(p.Members, realm.Member{Home: int32(i), Priority: i / 6, Weight: 1 + i%3})
				}
			}
			s.Pools = append(s.Pools, p)
			s.Routes = append(s.Routes, realm.Route{Realm: fmt.Sprintf("r%d.example", k), Auth: -1, Acct: -1,
				Diameter: &realm.DiameterRoute{Action: realm.DiameterAction(k % 2), Pool: int32(k)}})
		}
	})
	for _, l := range w.links {
		w.live(l)
	}
	return w
}

func (w *world) live(l *link) {
	w.all = append(w.all, l)
	w.owed[l] = sentences{}
}

func (w *world) some() *link { return w.all[w.rnd.IntN(len(w.all))] }

// ask sends a request; one in five comes twice, the second time with the T bit.
func (w *world) ask() {
	l := w.some()
	if l.closed {
		return
	}
	w.serial++
	m := request().set(diameter.DestinationRealm, fmt.Sprintf("r%d.example", w.rnd.IntN(5))).
		set(diameter.OriginHost, l.node.peer.Identity).set(diameter.UserName, fmt.Sprintf("26201%010d", w.rnd.IntN(50)))
	if w.rnd.IntN(3) == 0 {
		m = m.with(avp{diameter.DestinationHost, 0, fmt.Sprintf("p%d.example", w.rnd.IntN(simPeers+2))})
	}
	if w.rnd.IntN(4) == 0 {
		m = m.with(route(fmt.Sprintf("p%d.example", w.rnd.IntN(simPeers))))
	}
	if w.rnd.IntN(4) == 0 {
		m.Command, m.Application = diameter.Accounting, diameter.AppAccounting
	}
	m.EndToEnd = w.serial
	times := 1
	if w.rnd.IntN(5) == 0 {
		times = 2
	}
	for i := range times {
		w.serial++
		m.HopByHop = w.serial
		if i > 0 {
			m.Flags |= diameter.FlagRetransmitted
		}
		w.owed[l][m.HopByHop] = !l.conn.(*wire).full
		w.lp.heard(l, m.octets())
		w.listen()
	}
}

// listen takes what was sent to everybody.
func (w *world) listen() {
	for _, l := range w.all {
		for _, m := range w.sentBy(l) {
			require.False(w.t, l.closed, "sent to a closed connection")
			if m.Flags&diameter.FlagRequest != 0 {
				require.NotContains(w.t, recordsOf(m)[:m.Routes-1], l.node.peer.Identity, "it has been there")
				w.held = append(w.held, held{l, m})
				w.counts["requests"]++
				continue
			}
			_, asked := w.owed[l][m.HopByHop]
			require.True(w.t, asked, "an answer to nothing, or the second")
			delete(w.owed[l], m.HopByHop)
			w.counts["answers"]++
		}
	}
}

// reply has a peer answer one of those that it has.
func (w *world) reply() {
	if len(w.held) == 0 {
		return
	}
	i := w.rnd.IntN(len(w.held))
	h := w.held[i]
	if w.rnd.IntN(10) != 0 { // else it will answer once more
		w.held = append(w.held[:i], w.held[i+1:]...)
	}
	if h.by.closed {
		return
	}
	results := []uint32{2001, 2001, 2001, 5001, 3002, 3004, 4181}
	b := answerTo(h.m, h.by.node.peer.Identity, results[w.rnd.IntN(len(results))]).octets()
	if w.rnd.IntN(30) == 0 {
		b[diameter.HeaderLen+7] = byte(w.rnd.IntN(8))
	}
	w.lp.heard(h.by, b)
}

// stall has a peer take nothing, or again. What answers are due to it are lost.
func (w *world) stall() {
	l := w.some()
	x := l.conn.(*wire)
	if x.full = !x.full; x.full {
		for hop := range w.owed[l] {
			w.owed[l][hop] = false
		}
	}
}

func (w *world) round() {
	switch w.rnd.IntN(40) {
	case 0:
		w.stall()
	case 1:
		if l := w.some(); !l.closed {
			w.close(l)
			clear(w.owed[l])
			w.counts["closed"]++
		}
	case 2, 3:
		l := w.open(fmt.Sprintf("p%d", w.rnd.IntN(simPeers)))
		w.live(l)
	case 4:
		if l := w.some(); !l.closed && l.inside {
			w.suspect(l)
			w.counts["suspect"]++
		}
	case 5:
		if l := w.some(); !l.closed && !l.inside { // it was suspect, and is well again
			l.inside = true
			l.node.links = append(l.node.links, l)
		}
	case 6:
		w.pass(time.Duration(w.rnd.IntN(3000)) * time.Millisecond)
	default:
		if w.rnd.IntN(2) == 0 {
			w.ask()
		} else {
			w.reply()
		}
	}
	w.listen()
}

// D10: whatever happens, nothing is left.
func TestSimulation(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for range 4000 {
				w.round()
			}
			for _, l := range w.all {
				if x := l.conn.(*wire); x.full {
					x.full = false
				}
			}
			w.pass(25 * time.Second)
			w.listen()
			for l, owed := range w.owed {
				for hop, due := range owed {
					assert.False(t, due, "%d of %s is not answered", hop, l.node.peer.Name)
				}
			}
			w.rest()
			assert.Greater(t, w.counts["requests"], 500)
			assert.Greater(t, w.counts["answers"], 500)
			assert.Greater(t, w.counts["closed"], 20)
			assert.Greater(t, w.counts["suspect"], 20)
		})
	}
}

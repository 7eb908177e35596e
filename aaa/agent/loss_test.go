package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// relaying is a rig of visited networks and a home that requests of them go to.
func relaying(t *testing.T, homes int, conf func(*Config, *Rooms)) *rig {
	set := peersOf("v1", "v2")
	p := realm.Pool{Name: "home", Diameter: true, Balance: realm.BalanceFirst}
	more := peersOf("v1", "v2", "h1", "h2", "h3")
	for i := 2; i < 2+homes; i++ {
		set.Clients, set.Peers = append(set.Clients, more.Clients[i]), append(set.Peers, more.Peers[i])
		p.Members = append(p.Members, realm.Member{Home: int32(i), Priority: i, Weight: 1})
	}
	set.Pools = []realm.Pool{p}
	set.Routes = []realm.Route{{Realm: "home", Auth: -1, Acct: -1, Diameter: &realm.DiameterRoute{Action: realm.DiameterProxy, Pool: 0}}}
	for i := range set.Peers {
		set.Peers[i].InFlight = 1 << 20
	}
	set.Table = realm.NewTable(set.Routes)
	r := newRig(t, set, conf)
	for i := range set.Peers {
		r.peer(set.Peers[i].Name)
	}
	return r
}

// fake gives the last connection of a peer.
func (r *rig) fake(name string) (f *fake) {
	for _, x := range r.fakes {
		if x.host == name+".example" {
			f = x
		}
	}
	return f
}

// ask sends requests of a priority.
func (f *fake) ask(n int, priority uint32) {
	for range n {
		f.hop++
		f.send(f.ulr(priority))
	}
	f.rig.step()
}

// ulr is one of them.
func (f *fake) ulr(priority uint32) []byte {
	return (&message{
		diameter.Header{Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: diameter.UpdateLocation, Application: diameter.AppS6a, HopByHop: f.hop, EndToEnd: f.hop | 0x66000000},
		[]avp{
			{diameter.SessionID, 0, "s;1;2"}, {diameter.OriginHost, 0, f.host}, {diameter.OriginRealm, 0, f.realm},
			{diameter.DestinationRealm, 0, "home"}, {diameter.UserName, 0, imsi}, {diameter.DRMP, 0, priority},
		},
	}).octets()
}

// A home dies with very many requests: each sender gets an error for each, also one that
// takes them slowly, and the memory for them is what it was. D10.
func TestHomeDiesWithMany(t *testing.T) {
	each := 50000
	if raced {
		each = 8000
	}
	r := relaying(t, 1, func(c *Config, _ *Rooms) { c.InFlight = 4 * each })
	v1, v2, home := r.fake("v1"), r.fake("v2"), r.fake("h1")
	for turn := range 2 {
		for range each / 500 {
			v1.ask(500, 10)
			v2.ask(500, 10)
			home.take()
		}
		require.Equal(t, 2*each, r.lp.table.used)
		chunks, kept := len(r.lp.table.chunks), r.lp.table.store.lent
		v2.stall(true)
		home.Close()
		r.after(time.Second)
		assert.Equal(t, each, len(v1.take()), "turn %d", turn)
		v2.stall(false)
		r.after(time.Second)
		v2.stall(true)
		r.after(time.Second)
		v2.stall(false)
		r.after(time.Second)
		assert.Equal(t, each, len(v2.take()), "turn %d: one that has taken nothing for a second", turn)
		assert.Zero(t, r.lp.table.used)
		assert.Zero(t, r.lp.table.store.lent)
		assert.Len(t, r.lp.table.chunks, chunks)
		assert.LessOrEqual(t, r.lp.table.store.kept, kept)
		home = r.come("h1")
		home.introduce()
		r.until("it has proved itself", r.node("h1").able)
	}
}

// The requests of a connection that is lost go to others by their priority (RFC 7944),
// the oldest of one first. D6.
func TestMovedInOrder(t *testing.T) {
	r := relaying(t, 2, nil)
	v1, first, second := r.fake("v1"), r.fake("h1"), r.fake("h2")
	for _, p := range []uint32{10, 15, 0, 10, 3, 15, 0, 10} {
		v1.ask(1, p)
	}
	require.Len(t, first.take(), 8)
	first.Close()
	r.step()
	var got [][2]uint32
	for _, b := range second.take() {
		var m diameter.Message
		require.Equal(t, diameter.NoFault, m.Parse(b))
		assert.NotZero(t, m.Flags&diameter.FlagRetransmitted)
		got = append(got, [2]uint32{uint32(priorityOf(&m)), m.EndToEnd & 0xff})
	}
	hop := v1.hop&0xff - 8
	assert.Equal(t, [][2]uint32{{0, hop + 3}, {0, hop + 7}, {3, hop + 5}, {10, hop + 1}, {10, hop + 4}, {10, hop + 8}, {15, hop + 2}, {15, hop + 6}}, got)
}

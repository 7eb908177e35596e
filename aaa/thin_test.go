package aaa

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/udp"
)

// The kernel is asked for so little of a loud source that its excess just
// shows, and for all of it a while after it has fallen silent.
func TestLoudSources(t *testing.T) {
	var l loud
	l.init()
	source := func(i byte) udp.Addr { return udp.Addr{IP: [16]byte{15: i}, Port: uint16(i), V4: true} }
	now := int64(0)
	// flood lets each source send so many packets in a look's time, of which
	// the filter lets a part through and the share takes 100.
	flood := func(sends map[byte]uint32) (changed bool) {
		now += thinEvery
		for i, n := range sends {
			keep := everything
			for _, s := range l.sources {
				if s.keep != everything && s.from.IP == source(i).IP {
					keep = s.keep
				}
			}
			passed := uint32(uint64(n) * uint64(keep) >> 32)
			taken := min(passed, 100)
			l.taken += taken
			for range passed - taken {
				l.note(source(i))
			}
		}
		return l.look(now)
	}
	assert.False(t, flood(map[byte]uint32{1: 100, 2: 150}), "not worth a filter")
	sends := map[byte]uint32{1: 50, 2: 100_000, 3: 50_000}
	for range 5 {
		flood(sends)
	}
	require.Equal(t, 2, l.thinned)
	worst := uint32(0)
	for range 50 { // probes let more through now and then
		flood(sends)
		worst = max(worst, uint32(uint64(100_000)*uint64(l.sources[0].keep)>>32))
	}
	assert.Less(t, worst, uint32(2_000))
	delete(sends, 2)
	for range 120 {
		flood(sends)
	}
	assert.Equal(t, 1, l.thinned, "the other goes on")
	delete(sends, 3)
	for range 120 {
		flood(sends)
	}
	assert.Zero(t, l.thinned)
	// More loud ones than can be thinned out, and a crowd of quiet ones.
	crowd := map[byte]uint32{}
	for i := range byte(200) {
		crowd[i] = 150
	}
	for i := range byte(12) {
		crowd[i] = 20_000
	}
	for range 20 {
		flood(crowd)
	}
	assert.Equal(t, udp.MostThinned, l.thinned)
	for _, s := range l.sources {
		assert.Less(t, s.from.IP[15], byte(12))
		assert.Zero(t, s.from.Port)
	}
}

// From end to end: the loud client's socket is hardly read, another one's is.
func TestLoudSourceIsThinnedOut(t *testing.T) {
	r := newRig(t, 1, withLoud)
	scream(r)
	for range 2000 {
		r.inject(listen.Auth, packet(1, 20), loudAddr)
	}
	r.pass(50 * time.Millisecond)
	at, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loudAddr.Addr().AsSlice()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = at.Close() })
	before := r.value("roamgate_requests_total", "client", "loud", "kind", "auth") + r.value("roamgate_dropped_total", "client", "loud", "reason", "client_share")
	for range 100 {
		_, err := at.WriteToUDP(packet(1, 20), r.front(listen.Auth))
		require.NoError(t, err)
	}
	r.settleDown()
	after := r.value("roamgate_requests_total", "client", "loud", "kind", "auth") + r.value("roamgate_dropped_total", "client", "loud", "reason", "client_share")
	assert.Less(t, after-before, 60)
	r.pass(time.Second)
	assert.NotZero(t, r.value("roamgate_client_sources_thinned"))
	r.ask(access(atHomeExa))
	r.atHome(0)
	for range 30 {
		r.pass(500 * time.Millisecond)
	}
	assert.Zero(t, r.value("roamgate_client_sources_thinned"))
	for range 100 {
		_, err := at.WriteToUDP(packet(1, 20), r.front(listen.Auth))
		require.NoError(t, err)
	}
	before = r.value("roamgate_requests_total", "client", "loud", "kind", "auth")
	r.settleDown()
	assert.Equal(t, 100, r.value("roamgate_requests_total", "client", "loud", "kind", "auth")-before)
}

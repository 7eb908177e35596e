package home

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

// discovers returns a Registry whose configuration has two static homes and one
// Discovery, and the clock of both.
func discovers(t *testing.T, peers int) (*Registry, *realm.Set, *int64) {
	t.Helper()
	wall := int64(1000)
	r := NewRegistry(7)
	r.wall = func() int64 { return wall }
	set := &realm.Set{Homes: []realm.Home{homeAt("a", 1), homeAt("b", 2)}}
	set.Discoveries = []*realm.Discovery{{Name: "eduroam", Auth: []string{"x-eduroam:radius.tls"}, Peers: peers, Timers: realm.Timers{IRT: time.Second}}}
	_, err := r.Compile(set)
	require.NoError(t, err)
	return r, set, &wall
}

func homeAt(name string, n byte) realm.Home {
	return realm.Home{Name: name, Secret: realm.Secret("secret-of-" + name), Auth: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 1812)}
}

func targetAt(by *realm.Discovery, n byte) Target {
	return Target{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, n}), 2083), By: by, Holder: &realm.Holder{Realms: []string{"home.example"}}}
}

func TestDiscover(t *testing.T) {
	r, set, wall := discovers(t, 2)
	by := set.Discoveries[0]
	one, err := r.Discover(targetAt(by, 1), *wall+60)
	require.NoError(t, err)
	assert.Equal(t, int32(2), one.Index, "behind the homes of the files")
	assert.True(t, one.Found() && one.Stream() && one.Has(Auth) && one.Has(Acct))
	assert.Equal(t, 6, one.Secret.Len(), "radsec")
	assert.Same(t, one, r.view.Home(2), "in the View that was there before")

	again, err := r.Discover(targetAt(by, 1), *wall+120)
	require.NoError(t, err)
	assert.Same(t, one, again)
	other := targetAt(by, 1)
	other.Holder = &realm.Holder{Realms: []string{"other.example"}}
	two, err := r.Discover(other, *wall+60)
	require.NoError(t, err)
	assert.NotEqual(t, one.Index, two.Index, "another certificate is expected there")
	_, err = r.Discover(targetAt(by, 3), *wall+60)
	assert.ErrorIs(t, err, ErrCrowded, "two peers at a time")

	*wall += 61
	r.Govern()
	assert.False(t, one.Retired(), "its time was moved on")
	assert.True(t, two.Retired())
	*wall += 60
	r.Govern()
	assert.True(t, one.Retired())
	assert.Same(t, one, r.view.Home(2), "for what is in flight")
	three, err := r.Discover(targetAt(by, 1), *wall+60)
	require.NoError(t, err)
	assert.NotSame(t, one, three, "a slot rests")
	assert.NotContains(t, []int32{2, 3}, three.Index)

	*wall += slotRest
	again, err = r.Discover(targetAt(by, 9), *wall+60)
	require.NoError(t, err)
	assert.Equal(t, int32(2), again.Index)
	assert.NotSame(t, one.State[Auth], again.State[Auth], "nothing is known of it")
}

func TestDiscoverRefuses(t *testing.T) {
	r, set, wall := discovers(t, 0)
	by := set.Discoveries[0]
	for name, to := range map[string]Target{
		"no address": {By: by}, "no port": {By: by, Addr: netip.MustParseAddrPort("192.0.2.1:0")},
		"no discovery": {Addr: netip.MustParseAddrPort("192.0.2.1:2083")},
	} {
		_, err := r.Discover(to, *wall+60)
		assert.Error(t, err, name)
	}
	for i := range peersOf {
		to := targetAt(by, 1)
		to.Host = fmt.Sprint(i)
		_, err := r.Discover(to, *wall+60)
		require.NoError(t, err)
	}
	_, err := r.Discover(targetAt(by, 2), *wall+60)
	assert.ErrorIs(t, err, ErrCrowded)
	_, err = NewRegistry(1).Discover(targetAt(by, 1), 0)
	assert.Error(t, err, "nothing is configured")
}

func TestDiscoveryReloaded(t *testing.T) {
	tests := map[string]struct {
		edit  func(*realm.Discovery)
		stays bool
	}{
		"as it was":     {func(*realm.Discovery) {}, true},
		"new filter":    {func(d *realm.Discovery) { d.In = &realm.Filter{} }, true},
		"new name":      {func(d *realm.Discovery) { d.Name = "other" }, false},
		"other tags":    {func(d *realm.Discovery) { d.Auth = []string{"aaa+auth:radius.tls.tcp"} }, false},
		"fewer ports":   {func(d *realm.Discovery) { d.Ports = []uint16{2083} }, false},
		"by host names": {func(d *realm.Discovery) { d.Hosts = true }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, set, wall := discovers(t, 0)
			was, err := r.Discover(targetAt(set.Discoveries[0], 1), *wall+60)
			require.NoError(t, err)
			by := *set.Discoveries[0]
			test.edit(&by)
			next := *set
			next.Homes = append(next.Homes[:2:2], homeAt("c", 3))
			next.Discoveries = []*realm.Discovery{&by}
			v, err := r.Compile(&next)
			require.NoError(t, err)
			now := v.Home(was.Index)
			assert.Equal(t, test.stays, !now.Retired())
			assert.Equal(t, test.stays, !was.Retired(), "also for who holds the one of before")
			assert.Same(t, was.State[Auth], now.State[Auth])
			assert.Equal(t, "c", v.Homes()[2].Spec.Name)
			assert.NotEqual(t, was.Index, v.Homes()[2].Index)
			if test.stays {
				assert.Same(t, by.In, now.Spec.In)
				assert.Equal(t, []*Home{now}, v.FoundHomes())
			}
		})
	}
}

func TestFoundPool(t *testing.T) {
	r, set, wall := discovers(t, 0)
	by := set.Discoveries[0]
	var members []FoundMember
	for i, priority := range []int{20, 10, 10} {
		h, err := r.Discover(targetAt(by, byte(i)), *wall+60)
		require.NoError(t, err)
		members = append(members, FoundMember{Home: h, Priority: priority, Weight: 50 * i})
	}
	members = append(members, members[1]) // DNS may name one twice
	p := r.FoundPool(by, Auth, members)
	assert.Equal(t, 3, p.Len())
	assert.Equal(t, foundPatience, p.Spec.Timers.MRD, "a slot rests longer than that")
	got := map[int32]int{}
	for key := range uint64(3000) {
		idx, why := p.Pick(&Ask{Key: mix(key), Sticky: -1})
		require.Equal(t, OK, why)
		got[idx]++
	}
	assert.Zero(t, got[members[0].Home.Index], "a worse priority")
	assert.InDelta(t, 2000, got[members[2].Home.Index], 200, "by weight")

	bit := p.Bit(members[1].Home.Index) | p.Bit(members[2].Home.Index)
	idx, why := p.Pick(&Ask{Sticky: -1, Exclude: bit, Barred: bit})
	assert.Equal(t, members[0].Home.Index, idx)
	assert.Equal(t, OK, why)

	*wall += 60
	r.Govern()
	_, why = p.Pick(&Ask{Sticky: -1})
	assert.Equal(t, NoMember, why, "all are retired")
	idx, why = p.Pick(&Ask{Sticky: members[2].Home.Index})
	assert.Equal(t, members[2].Home.Index, idx, "a conversation goes on")
	assert.Equal(t, OK, why)
}

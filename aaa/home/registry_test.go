package home

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

func from(t testing.TB, v *View, a netip.AddrPort) (int32, Kind) {
	t.Helper()
	home, kind, ok := v.FromAddr(udp.AddrFrom(a))
	require.True(t, ok)
	return home, kind
}

func TestFromAddr(t *testing.T) {
	set := makeSet(3, nil)
	set.Homes[2].Auth = netip.MustParseAddrPort("[2001:db8::1]:1812")
	v := compile(t, set)
	for i := range set.Homes {
		home, kind := from(t, v, set.Homes[i].Auth)
		assert.Equal(t, int32(i), home)
		assert.Equal(t, Auth, kind)
		home, kind = from(t, v, set.Homes[i].Acct)
		assert.Equal(t, int32(i), home)
		assert.Equal(t, Acct, kind)
	}
	home, _ := from(t, v, netip.MustParseAddrPort("[::ffff:203.0.113.1]:1812"))
	assert.Zero(t, home, "a mapped address is the IPv4 one")
	for _, other := range []string{"203.0.113.1:1814", "203.0.113.9:1812"} { // R097, R098
		_, _, ok := v.FromAddr(udp.AddrFrom(netip.MustParseAddrPort(other)))
		assert.False(t, ok, other)
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *realm.Set)
		want   string
	}{
		{"same address, other secret", func(s *realm.Set) {
			s.Homes[1].Auth = s.Homes[0].Auth
		}, "realms.yaml:2:3: home home1: 203.0.113.1:1812 belongs to home home0 already (realms.yaml:1:3), with another secret or other switches"},
		{"same address, other switch", func(s *realm.Set) {
			s.Homes[1].Auth, s.Homes[1].Secret, s.Homes[1].StatusServer = s.Homes[0].Auth, s.Homes[0].Secret, true
		}, "other switches"},
		{"authentication of one, accounting of another", func(s *realm.Set) {
			s.Homes[1].Acct = s.Homes[0].Auth
		}, "is the auth address of home home0 already"},
		{"one port for both", func(s *realm.Set) {
			s.Homes[1].Acct = s.Homes[1].Auth
		}, "is the auth address of home home1 already"},
		{"too many members", func(s *realm.Set) {
			s.Pools[0].Members = make([]realm.Member, 65)
		}, "pool pool: 65 homes, limit 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := makeSet(2, nil)
			for i := range set.Homes {
				set.Homes[i].Pos = realm.Pos{File: "realms.yaml", Line: i + 1, Col: 3}
			}
			tt.change(set)
			r := NewRegistry(1)
			_, err := r.Compile(set)
			require.ErrorContains(t, err, tt.want)
			assert.NotContains(t, err.Error(), "secret of home")
			assert.Empty(t, r.homes, "nothing is left behind")
		})
	}
}

func TestCompileTooManyHomes(t *testing.T) {
	r := NewRegistry(1)
	for range maxHomes - 1 {
		r.homes = append(r.homes, &Home{Spec: &realm.Home{}})
	}
	r.states = make([]*[kinds]State, maxHomes-1)
	_, err := r.Compile(makeSet(2, nil))
	require.ErrorContains(t, err, "restart the process")
	v, err := r.Compile(makeSet(1, nil))
	require.NoError(t, err)
	assert.NotNil(t, v.Home(maxHomes-1))
}

func TestReload(t *testing.T) {
	r := NewRegistry(1)
	old := makeSet(3, nil)
	before, err := r.Compile(old)
	require.NoError(t, err)
	before.Home(1).State[Auth].set(Down, Timeout, false, 0)

	// home0 goes, home1 stays in another place, home2 moves, home9 is new.
	set := makeSet(10, nil)
	set.Homes = []realm.Home{set.Homes[9], set.Homes[1], set.Homes[2]}
	set.Homes[2].Auth = netip.MustParseAddrPort("203.0.113.77:1812")
	set.Pools[0].Members = set.Pools[0].Members[:3]
	after, err := r.Compile(set)
	require.NoError(t, err)

	var index []int32
	for _, h := range after.Homes() {
		index = append(index, h.Index)
	}
	assert.Equal(t, []int32{3, 1, 4}, index)
	h, _ := after.Home(1).Health(Auth)
	assert.Equal(t, Down, h, "health survives")
	assert.Same(t, before.Home(1).Secret, after.Home(1).Secret)
	assert.Same(t, before.Home(1).State[Auth], after.Home(1).State[Auth])
	gone, kind := from(t, after, old.Homes[0].Auth)
	assert.Zero(t, gone, "replies to requests in flight still find a removed home")
	assert.Equal(t, Auth, kind)
	assert.NotNil(t, after.Home(0))
	assert.Zero(t, after.Pool(0, Auth).Bit(0), "but it gets no new ones")
	acct, _ := from(t, after, set.Homes[2].Acct)
	assert.Equal(t, int32(4), acct, "an address belongs to the home that has it now")
	assert.Nil(t, before.Home(3), "a View does not change")
}

func TestReloadOfSecret(t *testing.T) {
	r := NewRegistry(1)
	before, err := r.Compile(makeSet(1, nil))
	require.NoError(t, err)
	after, err := r.Compile(makeSet(1, func(_ int, h *realm.Home, _ *realm.Member) { h.Secret = realm.Secret("another") }))
	require.NoError(t, err)
	assert.NotSame(t, before.Home(0).Secret, after.Home(0).Secret)
	assert.Same(t, before.Home(0).State[Auth], after.Home(0).State[Auth])
}

// F24: the same configuration again and again costs no index.
func TestReloadKeepsIndexes(t *testing.T) {
	r := NewRegistry(1)
	for range 100 {
		_, err := r.Compile(makeSet(20, nil))
		require.NoError(t, err)
	}
	assert.Len(t, r.homes, 20)
}

// One server under two names is one home for identifiers and health.
func TestTwoNamesOfOneServer(t *testing.T) {
	set := makeSet(3, nil)
	set.Homes[2].Auth, set.Homes[2].Secret = set.Homes[0].Auth, set.Homes[0].Secret
	v := compile(t, set)
	home, _ := from(t, v, set.Homes[2].Auth)
	assert.Equal(t, int32(0), home)
	assert.Same(t, v.Home(0).State[Auth], v.Home(2).State[Auth])
	assert.NotSame(t, v.Home(0).State[Acct], v.Home(2).State[Acct])
	assert.Equal(t, 2, v.Pool(0, Auth).Len())
	assert.Equal(t, 3, v.Pool(0, Acct).Len())
	assert.True(t, v.owns(v.Home(0), Auth))
	assert.False(t, v.owns(v.Home(2), Auth))
}

func TestKindsOfHomes(t *testing.T) {
	v := compile(t, makeSet(2, func(i int, h *realm.Home, _ *realm.Member) {
		if i == 0 {
			h.Acct = netip.AddrPort{}
		} else {
			h.Auth = netip.AddrPort{}
		}
	}))
	assert.True(t, v.Home(0).Has(Auth))
	assert.False(t, v.Home(0).Has(Acct))
	auth, _ := v.Pool(0, Auth).Pick(1, -1, 0, 0)
	acct, _ := v.Pool(0, Acct).Pick(1, -1, 0, 0)
	assert.Equal(t, []int32{0, 1}, []int32{auth, acct})
}

func TestViewOutOfRange(t *testing.T) {
	v := compile(t, makeSet(1, nil))
	assert.Nil(t, v.Home(-1))
	assert.Nil(t, v.Home(1))
	assert.Nil(t, v.Pool(-1, Auth))
	assert.Nil(t, v.Pool(1, Auth))
	assert.Nil(t, v.Pool(0, 2))
}

func TestDisabledHome(t *testing.T) {
	v := compile(t, makeSet(1, func(_ int, h *realm.Home, _ *realm.Member) { h.Disabled = true }))
	h, c := v.Home(0).Health(Auth)
	assert.Equal(t, Down, h)
	assert.Equal(t, Disabled, c)
}

func TestSecretsDoNotPrint(t *testing.T) {
	v := compile(t, makeSet(1, nil))
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", v.Home(0).Spec, v.Home(0).Spec, v.Home(0).Secret), "secret of")
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		got  fmt.Stringer
		want string
	}{
		{Auth, "auth"}, {Acct, "acct"}, {Kind(2), "unknown_2"},
		{Up, "up"}, {Degraded, "degraded"}, {Down, "down"}, {Health(3), "unknown_3"},
		{Well, "well"}, {Timeout, "timeout"}, {Probe, "probe"}, {BadSecret, "bad_secret"}, {Disabled, "disabled"}, {Cause(5), "unknown_5"},
		{OK, "ok"}, {NoMember, "no_member"}, {AllDown, "all_down"}, {Reason(3), "unknown_3"},
	} {
		assert.Equal(t, tt.want, tt.got.String())
	}
}

func TestFromAddrAllocs(t *testing.T) {
	set := makeSet(20, nil)
	v := compile(t, set)
	a := udp.AddrFrom(set.Homes[7].Acct)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { v.FromAddr(a) }))
}

func BenchmarkHotFromAddr(b *testing.B) {
	set := makeSet(200, nil)
	set.Pools = nil
	v := compile(b, set)
	a := udp.AddrFrom(set.Homes[7].Acct)
	b.ReportAllocs()
	for b.Loop() {
		v.FromAddr(a)
	}
}

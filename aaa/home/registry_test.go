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

// An address keeps its line whatever home has it, so an identifier in use or
// at rest is not used again under another name.
func TestLines(t *testing.T) {
	r := NewRegistry(1)
	set := makeSet(2, nil)
	before, err := r.Compile(set)
	require.NoError(t, err)
	renamed := makeSet(2, nil)
	renamed.Homes[0].Name = "renamed"
	renamed.Homes[1].Auth, renamed.Homes[1].Acct = renamed.Homes[1].Acct, renamed.Homes[1].Auth
	after, err := r.Compile(renamed)
	require.NoError(t, err)
	was, now := before.Homes(), after.Homes()
	assert.NotEqual(t, was[0].Index, now[0].Index)
	assert.Equal(t, was[0].Line, now[0].Line)
	assert.Equal(t, was[1].Line, [kinds]int32{now[1].Line[Acct], now[1].Line[Auth]})
	seen := map[int32]bool{}
	for _, h := range was {
		for k := Auth; k < kinds; k++ {
			assert.False(t, seen[h.Line[k]])
			seen[h.Line[k]] = true
			line, ok := after.Line(h.Addr[k])
			assert.True(t, ok)
			assert.Equal(t, h.Line[k], line)
		}
	}
}

// Names whose addresses change all the time do not use the indexes up.
func TestIndexesAreUsedAgain(t *testing.T) {
	o := operate(t, nil)
	moving := func(n int) *realm.Set {
		return makeSet(20, func(i int, h *realm.Home, _ *realm.Member) {
			if i > 0 {
				h.Host, h.AuthPort = fmt.Sprintf("h%d.example", i), 1812
				h.Found = []netip.Addr{netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), byte(i)})}
				if n%2 == 1 {
					h.Found = []netip.Addr{netip.AddrFrom16([16]byte{0x20, 1, 13: byte(n >> 8), 14: byte(n), 15: byte(i)})}
				}
			}
		})
	}
	for len(o.homes) < maxHomes-60 { // what was before
		o.homes = append(o.homes, &Home{Spec: &realm.Home{Name: fmt.Sprint(len(o.homes))}})
		o.states = append(o.states, new([kinds]State))
	}
	first := o.view.Homes()[0]
	families := map[int32]bool{}
	for n := range 50 {
		o.now += 3600
		o.load(moving(n))
		require.LessOrEqual(t, len(o.homes), maxHomes)
		require.Equal(t, first.Index, o.view.Homes()[0].Index)
		require.Same(t, first.State[Auth], o.view.Homes()[0].State[Auth])
		seen := map[int32]bool{}
		for _, h := range o.view.Homes() {
			require.False(t, seen[h.Index])
			seen[h.Index] = true
			home, _ := from(t, o.view, h.Addr[Auth].AddrPort())
			require.Equal(t, h.Index, home)
			v4, known := families[h.Line[Auth]]
			require.True(t, !known || v4 == h.Addr[Auth].V4, "a line keeps its family")
			families[h.Line[Auth]] = h.Addr[Auth].V4
			health, _ := h.State[Auth].Health()
			require.Equal(t, Up, health)
			if h != o.view.Homes()[0] {
				h.State[Auth].set(Down, Timeout, false, 0) // its successor must not inherit that
			}
		}
	}
	assert.Less(t, len(families), 150)
	var err error
	for n := 50; n < 60 && err == nil; n++ {
		_, err = o.Compile(moving(n))
	}
	require.ErrorContains(t, err, "within an hour")
	_, err = o.Compile(o.set)
	require.NoError(t, err, "what is there stays there")
}

// A name has no address yet, or none that can be used: the hub starts without.
func TestUnresolved(t *testing.T) {
	written := netip.MustParseAddr("203.0.113.2")
	tests := []struct {
		name  string
		found []netip.Addr
		why   string
		want  Cause
	}{
		{"not looked up", nil, "", Unresolved},
		{"no address", nil, "NXDOMAIN", DNSError},
		{"another's address", []netip.Addr{written}, "", DNSError},
		{"found", []netip.Addr{netip.MustParseAddr("198.51.100.1")}, "", Well},
		{"another's and one of its own", []netip.Addr{written, netip.MustParseAddr("198.51.100.1")}, "", Well},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := compile(t, makeSet(2, func(i int, h *realm.Home, _ *realm.Member) {
				if i == 0 {
					h.Host, h.AuthPort, h.Found, h.Unfound = "radius.example", 1812, tt.found, tt.why
					h.Auth, h.Acct = netip.AddrPortFrom(netip.Addr{}, 1812), netip.AddrPort{}
				}
			}))
			h := v.Homes()[0]
			health, cause := h.Health(Auth)
			assert.Equal(t, tt.want, cause)
			assert.Equal(t, tt.want != Well, health == Down)
			assert.True(t, h.Serves(Auth))
			assert.False(t, h.Serves(Acct))
			assert.Equal(t, tt.want == Well, v.Pool(0, Auth).Len() == 2)
			owner, _ := from(t, v, netip.AddrPortFrom(written, 1812))
			assert.Equal(t, v.Homes()[1].Index, owner)
		})
	}
}

// Of a home with a name only the address that moves is new.
func TestOneAddressMoves(t *testing.T) {
	r := NewRegistry(1)
	at := func(found ...string) *View {
		set := makeSet(2, func(i int, h *realm.Home, _ *realm.Member) {
			if i == 0 {
				h.Host, h.AuthPort, h.AcctPort = "radius.example", 1812, 1813
				for _, f := range found {
					h.Found = append(h.Found, netip.MustParseAddr(f))
				}
			}
		})
		v, err := r.Compile(set)
		require.NoError(t, err)
		return v
	}
	before := at("2001:db8::1", "198.51.100.1")
	before.Homes()[0].Legs[1].State[Auth].set(Down, Timeout, false, 0)
	after := at("2001:db8::2", "198.51.100.1")
	assert.Same(t, before.Homes()[0].Legs[1].State[Auth], after.Homes()[0].Legs[1].State[Auth])
	assert.NotSame(t, before.Homes()[0].State[Auth], after.Homes()[0].State[Auth])
	assert.Same(t, before.Homes()[1].State[Auth], after.Homes()[1].State[Auth])
	assert.Equal(t, before.Homes()[0].Legs[1].Index, after.Homes()[0].Legs[1].Index)
	again := at("198.51.100.1", "2001:db8::1")
	assert.Equal(t, before.Homes()[0].Index, again.Homes()[0].Legs[1].Index, "back again")
	_, _, ok := again.FromAddr(udp.AddrFrom(netip.MustParseAddrPort("[2001:db8::2]:1812")))
	assert.True(t, ok, "an answer to what is in flight is still known")
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
	auth, _ := pick(v.Pool(0, Auth), 1, -1, 0, 0)
	acct, _ := pick(v.Pool(0, Acct), 1, -1, 0, 0)
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
		{Well, "well"}, {Timeout, "timeout"}, {Probe, "probe"}, {BadSecret, "bad_secret"}, {Disabled, "disabled"}, {Unresolved, "unresolved"}, {DNSError, "dns_error"}, {Refused, "refused"}, {Unreachable, "unreachable"}, {Insecure, "tls"}, {Cause(10), "unknown_10"},
		{OK, "ok"}, {NoMember, "no_member"}, {AllDown, "all_down"}, {Silent, "silent"}, {Reason(4), "unknown_4"},
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

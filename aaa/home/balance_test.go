package home

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

// balanced is one pool of n homes under a balance.
func balanced(t testing.TB, b realm.Balance, shards, n int, change func(i int, h *realm.Home, m *realm.Member)) (*View, *Pool) {
	t.Helper()
	set := makeSet(n, change)
	set.Pools[0].Balance = b
	r := NewRegistry(1)
	r.Share(shards)
	v, err := r.Compile(set)
	require.NoError(t, err)
	return v, v.Pool(0, Auth)
}

func (p *Pool) sequence(n, shard int) string {
	var b strings.Builder
	for i := range n {
		home, why := p.Pick(&Ask{Key: uint64(i), Sticky: -1, Shard: shard, Now: second})
		if why != OK {
			home = 9
		}
		fmt.Fprint(&b, home)
	}
	return b.String()
}

func TestRoundRobin(t *testing.T) {
	weights := func(w ...int) func(int, *realm.Home, *realm.Member) {
		return func(i int, _ *realm.Home, m *realm.Member) { m.Weight = w[i] }
	}
	tests := []struct {
		name    string
		weights []int
		change  func(v *View)
		want    string
	}{
		{"equal", []int{1, 1, 1}, nil, "012012012"},
		{"smooth, not in bursts", []int{5, 1, 1}, nil, "00102000010200"},
		{"one is down", []int{1, 1, 1}, func(v *View) { v.Home(1).State[Auth].set(Down, Timeout, false, 0) }, "020202"},
		{"one is degraded", []int{1, 1, 1}, func(v *View) { v.Home(0).State[Auth].set(Degraded, Timeout, false, 0) }, "121212"},
		{"all are degraded", []int{1, 1}, func(v *View) {
			v.Home(0).State[Auth].set(Degraded, Timeout, false, 0)
			v.Home(1).State[Auth].set(Degraded, Timeout, false, 0)
		}, "0101"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, p := balanced(t, realm.BalanceRoundRobin, 1, len(tt.weights), weights(tt.weights...))
			if tt.change != nil {
				tt.change(v)
			}
			assert.Equal(t, tt.want, p.sequence(len(tt.want), 0))
		})
	}
}

// Shards take turns by themselves, and do not all begin with the same home.
func TestRoundRobinOfShards(t *testing.T) {
	_, p := balanced(t, realm.BalanceRoundRobin, 3, 3, nil)
	assert.Equal(t, "012", p.sequence(3, 0))
	assert.Equal(t, "120", p.sequence(3, 1))
	assert.Equal(t, "201", p.sequence(3, 2))
}

func TestRoundRobinByTier(t *testing.T) {
	v, p := balanced(t, realm.BalanceRoundRobin, 1, 4, func(i int, _ *realm.Home, m *realm.Member) { m.Priority = i / 2 })
	assert.Equal(t, "0101", p.sequence(4, 0))
	v.Home(0).State[Auth].set(Down, Timeout, false, 0)
	v.Home(1).State[Auth].set(Degraded, Timeout, false, 0)
	assert.Equal(t, "2323", p.sequence(4, 0))
}

func TestBalanceFirst(t *testing.T) {
	v, p := balanced(t, realm.BalanceFirst, 1, 3, func(i int, _ *realm.Home, m *realm.Member) { m.Weight = 1 + i })
	assert.Equal(t, "0000", p.sequence(4, 0))
	v.Home(0).State[Auth].set(Degraded, Timeout, false, 0)
	assert.Equal(t, "1111", p.sequence(4, 0))
	assert.Equal(t, []int32{1, 2, 0}, p.Order(5))
}

// Requests at homes are counted over all shards, and the one with the fewest
// for its weight is next.
func TestLeastOutstanding(t *testing.T) {
	v, p := balanced(t, realm.BalanceLeast, 2, 3, func(i int, _ *realm.Home, m *realm.Member) { m.Weight = []int{1, 1, 4}[i] })
	at := second
	least := func(shard int) int32 {
		at += loadAge
		home, why := p.Pick(&Ask{Sticky: -1, Shard: shard, Now: at})
		require.Equal(t, OK, why)
		return home
	}
	load := func(home int32, shard, n int) { v.Home(home).Load[Auth].Set(shard, n) }
	assert.Equal(t, int32(2), least(0), "of idle homes the heaviest")
	load(2, 0, 2)
	load(2, 1, 3) // 6/4 with the new one
	load(0, 1, 1)
	assert.Equal(t, int32(1), least(0))
	load(1, 1, 5)
	assert.Equal(t, int32(2), least(0), "6/4 is less than 2/1")
	load(2, 1, 9)
	assert.Equal(t, int32(0), least(1))
	assert.Equal(t, int32(0), least(0))
	assert.Equal(t, []int32{0, 2, 1}, p.Order(0))

	// Its own figure is exact, others' are of the last millisecond.
	load(0, 1, 100)
	home, _ := p.Pick(&Ask{Sticky: -1, Shard: 0, Now: at})
	assert.Equal(t, int32(0), home)
	load(0, 0, 100)
	home, _ = p.Pick(&Ask{Sticky: -1, Shard: 0, Now: at})
	assert.Equal(t, int32(2), home)
}

// Loads outlive a reload, as the requests do.
func TestLoadSurvivesReload(t *testing.T) {
	r := NewRegistry(1)
	set := makeSet(2, nil)
	set.Pools[0].Balance = realm.BalanceLeast
	before, err := r.Compile(set)
	require.NoError(t, err)
	before.Home(1).Load[Auth].Set(0, 7)
	after, err := r.Compile(set)
	require.NoError(t, err)
	assert.EqualValues(t, 7, after.Home(1).Load[Auth].Sum())
	assert.Nil(t, compile(t, makeSet(1, nil)).Home(0).Load[Auth], "not counted where nobody asks")
}

// A conversation stays where it began under every balance.
func TestStickyAboveBalance(t *testing.T) {
	for b := realm.BalanceDevice; b <= realm.BalanceFirst; b++ {
		v, p := balanced(t, b, 1, 3, nil)
		for i := range uint64(10) {
			home, why := pick(p, i, 2, 0, 0)
			require.Equal(t, OK, why)
			require.Equal(t, int32(2), home, "balance %d", b)
		}
		v.Home(2).State[Auth].set(Down, Timeout, false, 0)
		home, _ := pick(p, 1, 2, 0, 0)
		assert.NotEqual(t, int32(2), home)
	}
}

// Under every balance a home that only a request can prove gets one now and
// then, and one that is down a trial where there is no other.
func TestTrialsUnderBalances(t *testing.T) {
	for b := realm.BalanceDevice; b <= realm.BalanceFirst; b++ {
		v, p := balanced(t, b, 1, 2, nil)
		v.Home(0).State[Auth].set(Down, Timeout, true, 0)
		trials := 0
		for now := second; now < 100*second; now += 100 * millisecond {
			home, why := pick(p, uint64(now), -1, 0, now)
			require.Equal(t, OK, why)
			if home == 0 {
				trials++
			}
		}
		assert.Greater(t, trials, 3, "balance %d", b)
		assert.Less(t, trials, 12, "balance %d", b)
		v.Home(1).State[Auth].set(Down, Timeout, true, 0)
		_, why := pick(p, 1, -1, 0, 200*second)
		assert.Equal(t, OK, why)
		_, _ = pick(p, 1, -1, 0, 200*second)
		_, why = pick(p, 1, -1, 0, 200*second)
		assert.Equal(t, AllDown, why)
	}
}

func TestPanic(t *testing.T) {
	tests := []struct {
		name   string
		panics int
		homes  string // u up, g degraded, d down, x drained
		want   string // homes that 20 devices meet
		sticky bool   // home 0 keeps its conversations
	}{
		{"never", 0, "dddu", "3", false},
		{"half is enough", 50, "dduu", "23", false},
		{"less than half", 50, "dddu", "0123", true},
		{"all down", 50, "dddd", "0123", true},
		{"degraded is not well", 50, "gggu", "0123", true},
		{"who is drained does not count", 50, "xxdu", "3", false},
	}
	for _, tt := range tests {
		for _, b := range []realm.Balance{realm.BalanceDevice, realm.BalanceRoundRobin} {
			t.Run(fmt.Sprint(tt.name, b), func(t *testing.T) {
				set := makeSet(len(tt.homes), func(i int, h *realm.Home, _ *realm.Member) { h.Drain = tt.homes[i] == 'x' })
				set.Pools[0].Panic, set.Pools[0].Balance = tt.panics, b
				v := compile(t, set)
				for i, h := range tt.homes {
					if s := v.Home(int32(i)).State[Auth]; h == 'g' {
						s.set(Degraded, Timeout, false, 0)
					} else if h == 'd' {
						s.set(Down, Timeout, false, 0)
					}
				}
				p := v.Pool(0, Auth)
				var met [4]bool
				for key := range uint64(20) {
					home, why := pick(p, key, -1, 0, 0)
					require.Equal(t, OK, why)
					met[home] = true
				}
				got := ""
				for i, m := range met {
					if m {
						got += fmt.Sprint(i)
					}
				}
				assert.Equal(t, tt.want, got)
				home, _ := pick(p, 1, 0, 0, 0)
				if tt.homes[0] == 'd' {
					assert.Equal(t, tt.sticky, home == 0)
				}
				assert.Equal(t, len(tt.want) == 4, p.Panics())
			})
		}
	}
}

// Two layers of hubs: what one of the first layer is given is shared by all
// of the second, and so is what each of those gets by the homes. With one
// seed for all, every device that reaches a hub would go to the same home.
func TestLayersDoNotPolarise(t *testing.T) {
	seeds := func(same bool) (spread [4]int) {
		layer := func(seed uint64) *Pool {
			if same {
				seed = 1
			}
			v, err := NewRegistry(seed).Compile(makeSet(4, nil))
			require.NoError(t, err)
			return v.Pool(0, Auth)
		}
		first, second := layer(0xfeed), [4]*Pool{}
		for i := range second {
			second[i] = layer(uint64(77 + i))
		}
		var r random
		for range 20_000 {
			key := r.next()
			hub, _ := pick(first, key, -1, 0, 0)
			if home, _ := pick(second[hub], key, -1, 0, 0); hub == 2 {
				spread[home]++
			}
		}
		return spread
	}
	own := seeds(false)
	for _, n := range own {
		assert.InDelta(t, 1250, n, 150, "%v", own)
	}
	same := seeds(true)
	assert.Equal(t, [4]int{2: same[2]}, same, "the test would see it")
}

// A home with two addresses is one home: it has one share and keeps its
// devices, under its first address while that is well.
func TestLegs(t *testing.T) {
	v6, v4 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("198.51.100.1")
	named := func(found ...netip.Addr) func(i int, h *realm.Home, m *realm.Member) {
		return func(i int, h *realm.Home, m *realm.Member) {
			if i == 0 {
				h.Host, h.AuthPort, h.AcctPort, h.Found = "radius.example", 1812, 1813, found
				h.Auth, h.Acct = netip.AddrPort{}, netip.AddrPort{}
			}
		}
	}
	for b := realm.BalanceDevice; b <= realm.BalanceLeast; b++ {
		t.Run(fmt.Sprint(b), func(t *testing.T) {
			v, p := balanced(t, b, 1, 2, named(v6, v4))
			require.Len(t, v.Legs(), 3)
			require.Len(t, v.Homes(), 2)
			legs := v.Homes()[0].Legs
			require.Len(t, legs, 2)
			assert.Equal(t, "[2001:db8::1]:1812", legs[0].Addr[Auth].AddrPort().String())
			assert.Equal(t, "198.51.100.1:1813", legs[1].Addr[Acct].AddrPort().String())
			share := func() (n map[int32]int, of map[uint64]int32) {
				n, of = map[int32]int{}, map[uint64]int32{}
				for key := range uint64(1000) {
					home, why := pick(p, key*0x9e3779b97f4a7c15, -1, 0, second)
					require.Equal(t, OK, why)
					n[home]++
					of[key] = home
				}
				return n, of
			}
			n, before := share()
			require.NotContains(t, n, legs[1].Index, "one address at a time")
			require.InDelta(t, 500, n[legs[0].Index], 60)

			legs[0].State[Auth].set(Down, Timeout, false, 0)
			health, _ := v.Homes()[0].Health(Auth)
			assert.Equal(t, Up, health, "the home is as well as its best address")
			n, after := share()
			assert.NotContains(t, n, legs[0].Index)
			assert.InDelta(t, 500, n[legs[1].Index], 60, "it keeps its share")
			if b == realm.BalanceDevice {
				for key, home := range before {
					if home == legs[0].Index {
						home = legs[1].Index
					}
					require.Equal(t, home, after[key], "and its devices")
				}
			}
			home, _ := pick(p, 1, legs[0].Index, 0, 0)
			assert.Equal(t, legs[1].Index, home, "and its conversations")

			legs[0].State[Auth].set(Up, Well, false, 0)
			n, _ = share()
			assert.NotContains(t, n, legs[1].Index, "and comes back")
			home, _ = pick(p, 1, -1, p.Bit(legs[0].Index)|p.Bit(v.Homes()[1].Index), 0)
			assert.Equal(t, legs[1].Index, home, "a request in flight moves on too")
		})
	}
}

// One kind of request can be served at one address and not at another: the
// families are judged apart, and so are the kinds.
func TestLegsAreJudgedApart(t *testing.T) {
	v := compile(t, makeSet(1, func(_ int, h *realm.Home, _ *realm.Member) {
		h.Host, h.AuthPort, h.AcctPort = "radius.example", 1812, 1813
		h.Found = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:198.51.100.1")}
	}))
	legs := v.Homes()[0].Legs
	assert.True(t, legs[1].Addr[Auth].V4, "a mapped address is the IPv4 one")
	legs[0].State[Auth].set(Down, Timeout, false, 0)
	auth, _ := pick(v.Pool(0, Auth), 1, -1, 0, 0)
	acct, _ := pick(v.Pool(0, Acct), 1, -1, 0, 0)
	assert.Equal(t, legs[1].Index, auth)
	assert.Equal(t, legs[0].Index, acct)
}

func TestLegsHaveRoom(t *testing.T) {
	v := compile(t, makeSet(63, func(i int, h *realm.Home, _ *realm.Member) {
		h.Host, h.AuthPort = fmt.Sprintf("h%d.example", i), 1812
		h.Found = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})}
	}))
	p := v.Pool(0, Auth)
	assert.Equal(t, 64, p.Len(), "every home has a place before one has two")
	for i := range 63 {
		assert.NotZero(t, p.Bit(v.Homes()[i].Index))
	}
	assert.Equal(t, ^uint64(0), p.every)
}

func TestBalanceAllocs(t *testing.T) {
	for b := realm.BalanceDevice; b <= realm.BalanceFirst; b++ {
		set := makeSet(4, func(i int, _ *realm.Home, m *realm.Member) { m.Weight = i + 1 })
		set.Pools[0].Balance, set.Pools[0].Panic, set.Pools[0].Breaker = b, 30, true
		v := compile(t, set)
		p, n := v.Pool(0, Auth), uint64(0)
		for range 5 {
			n += 1 << 62
			p.breaker.Unanswered(Silence{Home: 1, Realm: 7, Device: n, Others: second, Well: true, Now: 2 * second})
		}
		require.True(t, p.breaker.Open(1, 7))
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			p.Pick(&Ask{Key: n, Sticky: -1, Realm: 7, Now: int64(n)})
			n++
		}))
	}
}

func BenchmarkHotPickOf(b *testing.B) {
	for bal, name := range []string{"device", "round_robin", "least_outstanding", "first"} {
		b.Run(name, func(b *testing.B) {
			_, p := balanced(b, realm.Balance(bal), 2, 4, nil)
			n := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				p.Pick(&Ask{Key: n, Sticky: -1, Now: int64(n)})
				n++
			}
		})
	}
}

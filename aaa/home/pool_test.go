package home

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

// makeSet is a configuration with one pool of all n homes; change adapts it.
func makeSet(n int, change func(i int, h *realm.Home, m *realm.Member)) *realm.Set {
	set := &realm.Set{Pools: []realm.Pool{{Name: "pool"}}}
	for i := range n {
		addr := netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)})
		h := realm.Home{
			Name:   fmt.Sprintf("home%d", i),
			Auth:   netip.AddrPortFrom(addr, 1812),
			Acct:   netip.AddrPortFrom(addr, 1813),
			Secret: realm.Secret(fmt.Sprintf("secret of home %d, long enough to pass", i)),
		}
		m := realm.Member{Home: int32(i), Weight: 1}
		if change != nil {
			change(i, &h, &m)
		}
		set.Homes = append(set.Homes, h)
		set.Pools[0].Members = append(set.Pools[0].Members, m)
	}
	return set
}

func compile(t testing.TB, set *realm.Set) *View {
	t.Helper()
	v, err := NewRegistry(1).Compile(set)
	require.NoError(t, err)
	return v
}

func TestPick(t *testing.T) {
	const u, g, d, x = Up, Degraded, Down, Health(9) // x: disabled
	tests := []struct {
		name    string
		tiers   []int
		health  []Health
		sticky  int32
		exclude uint64
		want    []int32 // any of them
		why     Reason
	}{
		{"no members", nil, nil, -1, 0, nil, NoMember},
		{"one", []int{0}, []Health{u}, -1, 0, []int32{0}, OK},
		{"best tier", []int{0, 0, 1}, []Health{u, u, u}, -1, 0, []int32{0, 1}, OK},
		{"only up one of the best tier", []int{0, 0, 1}, []Health{g, u, u}, -1, 0, []int32{1}, OK},
		{"up of a worse tier before degraded", []int{0, 1}, []Health{g, u}, -1, 0, []int32{1}, OK},
		{"degraded of the best tier", []int{0, 1, 2}, []Health{d, g, g}, -1, 0, []int32{1}, OK},
		{"degraded before down", []int{0, 1}, []Health{d, g}, -1, 0, []int32{1}, OK},
		{"sticky", []int{0, 0, 1}, []Health{u, u, u}, 2, 0, []int32{2}, OK},
		{"sticky though degraded", []int{0, 1}, []Health{u, g}, 1, 0, []int32{1}, OK},
		{"sticky is down", []int{0, 1}, []Health{u, d}, 1, 0, []int32{0}, OK},
		{"sticky is no member", []int{0, 1}, []Health{u, u}, 7, 0, []int32{0}, OK},
		{"sticky was tried", []int{0, 1}, []Health{u, u}, 1, 0b10, []int32{0}, OK},
		{"fail over", []int{0, 0, 1}, []Health{u, u, u}, -1, 0b01, []int32{1}, OK},
		{"fail over to a worse tier", []int{0, 0, 1}, []Health{u, u, u}, -1, 0b011, []int32{2}, OK},
		{"all tried", []int{0, 0, 1}, []Health{u, u, u}, -1, 0b111, nil, NoMember},
		{"disabled is no member", []int{0, 1}, []Health{x, u}, 0, 0, []int32{1}, OK},
		{"all disabled", []int{0, 1}, []Health{x, x}, -1, 0, nil, NoMember},
		{"all down, trial is due", []int{0, 1}, []Health{d, d}, -1, 0, []int32{0, 1}, OK},
		{"members in any order", []int{3, 1, 2}, []Health{u, u, u}, -1, 0, []int32{1}, OK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := compile(t, makeSet(len(tt.tiers), func(i int, h *realm.Home, m *realm.Member) {
				m.Priority = tt.tiers[i]
				h.Disabled = tt.health[i] == x
			}))
			for i, h := range tt.health {
				if h != Up && h != x {
					v.Home(int32(i)).State[Auth].set(h, Timeout, false, 0)
				}
			}
			p := v.Pool(0, Auth)
			for key := range uint64(50) {
				got, why := pick(p, key, tt.sticky, tt.exclude, int64(key+1)*second)
				require.Equal(t, tt.why, why)
				if why == OK {
					require.Contains(t, tt.want, got)
				} else {
					require.Equal(t, int32(-1), got)
				}
			}
		})
	}
}

// The shares follow the weights, equal keys meet the same home, and taking
// one away moves only its own keys.
func TestPickShares(t *testing.T) {
	for _, weights := range [][]int{{1, 1, 1, 1}, {1, 2, 3, 4}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			v := compile(t, makeSet(4, func(i int, _ *realm.Home, m *realm.Member) { m.Weight = weights[i] }))
			p := v.Pool(0, Auth)
			const n = 40_000
			var r random
			var count [4]float64
			before := map[uint64]int32{}
			for range n {
				key := r.next()
				before[key], _ = pick(p, key, -1, 0, 0)
				count[before[key]]++
			}
			sum := 0
			for _, w := range weights {
				sum += w
			}
			for i, w := range weights {
				share := float64(w) / float64(sum)
				assert.InDelta(t, share, count[i]/n, 5*math.Sqrt(share/n))
			}
			v.Home(2).State[Auth].set(Down, Timeout, false, 0)
			for key, home := range before {
				now, _ := pick(p, key, -1, 0, 0)
				if home != 2 {
					require.Equal(t, home, now)
				}
				require.NotEqual(t, int32(2), now)
			}
		})
	}
}

// Two hubs in a row must not send all of one hub's share to one home of the
// next: peers.md item 14.
func TestPickDoesNotPolarise(t *testing.T) {
	set := makeSet(2, nil)
	first, err := NewRegistry(1).Compile(set)
	require.NoError(t, err)
	next, err := NewRegistry(2).Compile(set)
	require.NoError(t, err)
	var r random
	var count [2]float64
	for range 20_000 {
		key := r.next()
		if home, _ := pick(first.Pool(0, Auth), key, -1, 0, 0); home == 0 {
			home, _ = pick(next.Pool(0, Auth), key, -1, 0, 0)
			count[home]++
		}
	}
	assert.InDelta(t, 0.5, count[0]/(count[0]+count[1]), 0.03)
}

func TestPickTrialOfDownHomes(t *testing.T) {
	v := compile(t, makeSet(2, nil))
	for i := range int32(2) {
		v.Home(i).State[Auth].set(Down, Timeout, true, 0)
	}
	p := v.Pool(0, Auth)
	seen := map[int32]int{}
	down := 0
	for now := int64(0); now < 10*second; now += 10 * millisecond {
		home, why := pick(p, uint64(now), -1, 0, now+second)
		if why == AllDown {
			down++
			continue
		}
		require.Equal(t, OK, why)
		seen[home]++
	}
	assert.Equal(t, map[int32]int{0: 10, 1: 10}, seen, "each home once a second")
	assert.Equal(t, 980, down)
}

// Beside a home that is up, trials become rare as they fail, and neither
// conversations nor requests that fail over are used for them.
func TestPickTrialBesideUp(t *testing.T) {
	v := compile(t, makeSet(2, nil))
	s := v.Home(0).State[Auth]
	s.set(Down, Timeout, true, 0)
	p := v.Pool(0, Auth)
	var at []int64
	for now := int64(0); now < 200*second; now += 100 * millisecond {
		home, why := pick(p, uint64(now), -1, 0, now)
		require.Equal(t, OK, why)
		if home == 0 {
			at = append(at, now/second)
		}
		home, _ = pick(p, uint64(now), 1, 0, now)
		require.Equal(t, int32(1), home)
		home, _ = pick(p, uint64(now), -1, 1<<9, now)
		require.Equal(t, int32(1), home)
	}
	require.Greater(t, len(at), 6)
	assert.LessOrEqual(t, at[0], int64(2))
	assert.Less(t, len(at), 13, "%v", at)
	for i := 6; i < len(at); i++ {
		assert.GreaterOrEqual(t, at[i]-at[i-1], int64(29))
	}
}

func TestPoolMasks(t *testing.T) {
	v := compile(t, makeSet(64, nil))
	p := v.Pool(0, Auth)
	require.Equal(t, 64, p.Len())
	exclude := uint64(0)
	for range 64 {
		home, why := pick(p, 77, -1, exclude, 0)
		require.Equal(t, OK, why)
		require.Zero(t, exclude&p.Bit(home))
		exclude |= p.Bit(home)
	}
	_, why := pick(p, 77, -1, exclude, 0)
	assert.Equal(t, NoMember, why)
	assert.Zero(t, p.Bit(64))
	assert.Equal(t, int32(63), p.Member(63))
}

func TestPickAllocs(t *testing.T) {
	v := compile(t, makeSet(4, func(i int, _ *realm.Home, m *realm.Member) { m.Weight, m.Priority = i+1, i/2 }))
	p := v.Pool(0, Auth)
	v.Home(0).State[Auth].set(Down, Timeout, true, 0)
	now := int64(0)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		pick(p, uint64(now), -1, 0, now)
		pick(p, uint64(now), 1, 2, now)
		now += second
	}))
}

func BenchmarkHotPick(b *testing.B) {
	for _, bench := range []struct {
		name   string
		weight func(i int) int
	}{{"even", func(int) int { return 1 }}, {"weighted", func(i int) int { return i + 1 }}} {
		b.Run(bench.name, func(b *testing.B) {
			v := compile(b, makeSet(4, func(i int, _ *realm.Home, m *realm.Member) { m.Weight = bench.weight(i) }))
			p := v.Pool(0, Auth)
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				pick(p, n, -1, 0, 0)
				n++
			}
		})
	}
}

// What Order foresees is what Pick does, one exclusion after the other.
func TestOrderAgreesWithPick(t *testing.T) {
	v := compile(t, makeSet(6, func(i int, _ *realm.Home, m *realm.Member) { m.Priority, m.Weight = i/2, 1+i%3 }))
	for i, h := range []Health{Degraded, Up, Up, Degraded, Up, Degraded} {
		v.Home(int32(i)).State[Auth].set(h, Timeout, false, 0)
	}
	p := v.Pool(0, Auth)
	for key := range uint64(100) {
		exclude := uint64(0)
		for _, want := range p.Order(key) {
			got, why := pick(p, key, -1, exclude, 0)
			require.Equal(t, OK, why)
			require.Equal(t, want, got)
			exclude |= p.Bit(got)
		}
	}
}

func pick(p *Pool, key uint64, sticky int32, exclude uint64, now int64) (home int32, why Reason) {
	return p.Pick(&Ask{Key: key, Sticky: sticky, Exclude: exclude, Now: now})
}

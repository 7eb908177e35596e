package play

import (
	"math"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/udp"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	assert.Zero(t, h.Quantile(0.99))
	r := random(1)
	var all []int64
	for range 10000 {
		v := int64(r.exponential() * 1e6)
		all = append(all, v)
		h.Observe(v)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
		want := all[min(int(q*10000), 9999)]
		assert.InEpsilon(t, max(want, 1), max(int64(h.Quantile(q)), 1), 0.04, "q %v", q)
	}
	assert.EqualValues(t, all[9999], h.Max())
	h.Observe(-5)
	h.Observe(math.MaxInt64)
	var sum Histogram
	sum.Merge(&h)
	sum.Merge(&h)
	assert.EqualValues(t, 20004, sum.Len())
	assert.EqualValues(t, math.MaxInt64, sum.Quantile(1))
}

func TestDevices(t *testing.T) {
	d, err := newDevices([]Realm{
		{Name: "wlan.mnc001.mcc001.3gppnetwork.org", Weight: 2, Identity: IdentityIMSI},
		{Name: "iot.example", Identity: IdentityMAC},
		{Name: "", Identity: IdentityUser},
	}, 1000, 40)
	require.NoError(t, err)
	var names []string
	for i := range uint64(4) {
		names = append(names, string(d.appendNAI(nil, i)))
	}
	slices.Sort(names)
	assert.Equal(t, []string{
		"0001010000000040@wlan.mnc001.mcc001.3gppnetwork.org",
		"0001010000000043@wlan.mnc001.mcc001.3gppnetwork.org",
		"020000000029@iot.example",
		"device0000042",
	}, names)
	assert.Equal(t, "02-00-00-00-00-2A", string(d.appendMAC(nil, 2)))
}

func TestCycle(t *testing.T) {
	for _, tt := range []struct {
		name    string
		weights []int
		want    []uint16
	}{
		{"one", []int{1}, []uint16{0}},
		{"one each", []int{1, 1, 1}, []uint16{0, 1, 2}},
		{"spread evenly", []int{2, 1, 1}, []uint16{0, 1, 2, 0}},
		{"zero is never chosen", []int{0, 2}, []uint16{1, 1}},
		{"negative", []int{-1}, nil},
		{"nothing", []int{0}, nil},
		{"too many", []int{maxCycle + 1}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cycle(tt.weights)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.want == nil, err != nil)
		})
	}
}

func TestParseDelay(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Delay
		bad  bool
	}{
		{in: ""},
		{in: "20ms", want: Delay{Min: 20 * time.Millisecond}},
		{in: "10ms..80ms", want: Delay{Min: 10 * time.Millisecond, Max: 80 * time.Millisecond}},
		{in: "10ms+30ms", want: Delay{Min: 10 * time.Millisecond, Mean: 30 * time.Millisecond}},
		{in: "soon", bad: true},
		{in: "1ms..", bad: true},
	} {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ParseDelay(tt.in)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.bad, err != nil)
		})
	}
}

func TestDelayDraw(t *testing.T) {
	r := random(3)
	u := Delay{Min: 10, Max: 80}
	e := Delay{Min: 10, Mean: 30, Max: 100}
	for range 1000 {
		assert.True(t, u.draw(&r) >= 10 && u.draw(&r) < 80)
		assert.True(t, e.draw(&r) >= 10 && e.draw(&r) <= 100)
	}
}

func TestHoldReleasesInTime(t *testing.T) {
	h := newHold(0)
	r := random(5)
	var want, got []int64
	for range 500 {
		due := int64(r.share() * 5e9) // five turns of the wheel
		want = append(want, due)
		h.put(due, 0, []byte("x"), nil, udp.Addr{}, udp.LocalInfo{})
	}
	slices.Sort(want)
	for now := int64(0); now <= 6e9; now += int64(r.share() * 2e9 / 16) {
		h.release(now, func(e *held) {
			require.LessOrEqual(t, e.due, now)
			got = append(got, e.due)
		})
		for _, due := range want[len(got):] {
			require.Greater(t, due, now-2*holdTick, "held too long")
		}
	}
	assert.Len(t, got, 500)
	assert.Zero(t, h.n)
}

func TestLaneUsesTheOldestIdentifier(t *testing.T) {
	l := newLane(256, idsPerLane, 250, false)
	first := l.take()
	assert.EqualValues(t, 256+250, first)
	l.give(first)
	for range 255 {
		assert.NotEqual(t, first, l.take())
	}
	assert.Equal(t, first, l.take())
	assert.Zero(t, l.free)
}

func TestMPPEKeyHidesAndReveals(t *testing.T) {
	var key, back [mppeKeyLen]byte
	var hidden [mppeHiddenLen]byte
	auth := [16]byte{1, 2, 3}
	mppeKey(&key, 42, msMPPESendKey)
	hideKey(&hidden, &key, 7, &auth, []byte("secret"))
	require.True(t, revealKey(&back, hidden[:], &auth, []byte("secret")))
	assert.Equal(t, key, back)
	revealKey(&back, hidden[:], &auth, []byte("other"))
	assert.NotEqual(t, key, back)
	assert.False(t, revealKey(&back, hidden[:20], &auth, []byte("secret")))
}

// A transaction allocates nothing on either side once sockets, devices and
// identifiers have been met.
func TestAllocsPerTransaction(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:0")
	h, err := StartHome(HomeConfig{Name: "h", Auth: at, Acct: at, Secret: []byte("s"), Script: Script{Rounds: 1, Keys: true}})
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close()) }()
	n, err := NewNAS(NASConfig{
		Auth: h.Auth(), Acct: h.Acct(), Secret: []byte("s"), Total: 10000, Devices: 1000, Window: 64,
		Mix: Mix{PAP: 1, CHAP: 1, EAP: 1}, Accounting: AccountingAfter, WantKeys: true, Retries: 9,
	})
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, n.Run(t.Context()))
	runtime.ReadMemStats(&after)
	c := n.Snapshot()
	require.EqualValues(t, 10000, c.Answered[KindStop])
	most := 0.02
	if raced { // package lanes allocates there for a message that is alone
		most = 1
	}
	assert.Less(t, float64(after.Mallocs-before.Mallocs), most*float64(c.Answered.All()))
}

// The reference packet of the benchmarks is about 230 octets.
func TestReferencePacket(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:9")
	n, err := NewNAS(NASConfig{
		Auth: at, Secret: []byte("s"), Operator: "1visited.example", Total: 1, Sockets: 1,
		Realms: []Realm{{Name: "wlan.mnc001.mcc001.3gppnetwork.org", Identity: IdentityIMSI}},
	})
	require.NoError(t, err)
	w := n.workers[0]
	w.begin(0)
	require.Len(t, w.unsent, 1)
	assert.InDelta(t, 230, w.slots[w.unsent[0]].n, 15)
	require.NoError(t, n.close())
}

// An open loop begins as often as it was asked to, at instants by chance that are the
// same again.
func TestArrivals(t *testing.T) {
	const rate, seconds = 10_000, 10
	a, b, other := NewArrivals(rate, 1), NewArrivals(rate, 1), NewArrivals(rate, 2)
	count, last, short, same := 0, int64(0), 0, 0
	for at, ok := a.Take(seconds * 1e9); ok; at, ok = a.Take(seconds * 1e9) {
		again, _ := b.Take(at)
		require.Equal(t, at, again)
		if o, _ := other.Take(seconds * 1e9); o == at {
			same++
		}
		require.GreaterOrEqual(t, at, last)
		if at-last < 1e9/rate/2 {
			short++
		}
		last = at
		count++
	}
	assert.InDelta(t, rate*seconds, count, rate*seconds/50)
	assert.InDelta(t, 0.393, float64(short)/float64(count), 0.02, "1-exp(-1/2) of the gaps are shorter than half of the mean")
	assert.Less(t, same, 10)
	_, ok := a.Take(last)
	assert.False(t, ok, "the next one is not due")
}

// No port is given twice, though its server has not begun yet.
func TestFreePort(t *testing.T) {
	given := map[netip.AddrPort]bool{}
	for range 500 {
		at, err := FreePort()
		require.NoError(t, err)
		require.False(t, given[at], at)
		given[at] = true
	}
}

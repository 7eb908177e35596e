package device

import (
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

const policyFile = `
profiles:
  - name: open
  - name: rules
    operators: ["1visited.example", "4WBA:DE"]
    countries: [DE, AT]
    nas_port_types: [wireless-802.11, 5]
    rat_types: [WLAN]
    valid_from: 2026-01-01T00:00:00Z
    valid_until: 2027-01-01T00:00:00Z
  - name: banned
    deny: true
    deny_reason: contract ended
  - name: few
    attempts_per_hour: 3
  - name: urgent
    attempts_per_hour: 1
    critical: true
    class: alarm
  - name: capped
    daily_volume: 1kB
  - name: answer
    session_timeout: 4h
    interim_interval: 10m
    filter_ids: [iot, slow]
    bandwidth_up: 64000
    bandwidth_down: 128000
devices:
  - {imsi: 001010000000001, profile: open}
  - {imsi: 001010000000002, profile: rules}
  - {imsi: 001010000000003, profile: banned}
  - {imsi: 001010000000004, profile: few}
  - {imsi: 001010000000005, profile: urgent}
  - {imsi: 001010000000006, profile: capped}
  - {imsi: 001010000000007, profile: answer}
  - {imsi: 001010000000008, profile: open, blocked: true}
  - {mac: 00-11-22-AA-BB-CC, profile: open}
`

var (
	strict  = &realm.Route{Policy: realm.Policy{Enabled: true}}
	lenient = &realm.Route{Policy: realm.Policy{Enabled: true, AllowUnknown: true, FailOpen: true}}
	visited = &realm.Client{Operator: "1visited.example", Country: "DE"}
	noon    = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).Unix()
	hour    = int64(time.Hour)
)

func fileTable(t testing.TB, text string) *Table {
	f, problems := ReadFile("policy.yaml", []byte(text))
	require.NoError(t, problems.Err())
	return New(Config{File: f})
}

// imsi is the query of test device n.
func imsi(n int) Query {
	return Query{
		Route: strict, Client: visited, IMSI: fmt.Appendf(nil, "00101%010d", n),
		NASPortType: 19, HasNASPortType: true, RATType: 3, HasRATType: true, Wall: noon,
	}
}

func TestDecideRules(t *testing.T) {
	tab := fileTable(t, policyFile)
	with := func(n int, f func(*Query)) Query {
		q := imsi(n)
		if f != nil {
			f(&q)
		}
		return q
	}
	for _, tt := range []struct {
		name string
		q    Query
		want Outcome
		why  Reason
	}{
		{"policy off", Query{Route: &realm.Route{}}, Allow, OK},
		{"open", imsi(1), Allow, OK},
		{"by MAC", Query{Route: strict, CallingStation: []byte("0011.22aa.bbcc:ssid")}, Allow, OK},
		{"unknown", imsi(99), Unknown, UnknownDevice},
		{"unknown let pass", with(99, func(q *Query) { q.Route = lenient }), Allow, UnknownDevice},
		{"no route", with(99, func(q *Query) { q.Route = nil }), Unknown, UnknownDevice},
		{"nothing names it", Query{Route: strict}, Unknown, NoIdentity},
		{"rules met", imsi(2), Allow, OK},
		{"second operator", with(2, func(q *Query) { q.Client = &realm.Client{Operator: "4WBA:DE", Country: "AT"} }), Allow, OK},
		{"claimed operator does not count", with(2, func(q *Query) {
			q.Client, q.OperatorName = &realm.Client{Country: "DE"}, []byte("1visited.example")
		}), Deny, OperatorNotAllowed},
		{"no client", with(2, func(q *Query) { q.Client = nil }), Deny, OperatorNotAllowed},
		{"country", with(2, func(q *Query) { q.Client = &realm.Client{Operator: "4WBA:DE", Country: "FR"} }), Deny, CountryNotAllowed},
		{"country unknown", with(2, func(q *Query) { q.Client = &realm.Client{Operator: "4WBA:DE"} }), Deny, CountryNotAllowed},
		{"port type by number", with(2, func(q *Query) { q.NASPortType = 5 }), Allow, OK},
		{"port type", with(2, func(q *Query) { q.NASPortType = 15 }), Deny, AccessTypeNotAllowed},
		{"port type beyond an octet", with(2, func(q *Query) { q.NASPortType = 256 + 19 }), Deny, AccessTypeNotAllowed},
		{"port type absent", with(2, func(q *Query) { q.HasNASPortType = false }), Deny, AccessTypeNotAllowed},
		{"radio type", with(2, func(q *Query) { q.RATType = 6 }), Deny, AccessTypeNotAllowed},
		{"radio type absent", with(2, func(q *Query) { q.HasRATType = false }), Deny, AccessTypeNotAllowed},
		{"too early", with(2, func(q *Query) { q.Wall = time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC).Unix() }), Deny, NotYetValid},
		{"first second", with(2, func(q *Query) { q.Wall = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix() }), Allow, OK},
		{"too late", with(2, func(q *Query) { q.Wall = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Unix() }), Deny, Expired},
		{"denied", imsi(3), Deny, Denied},
		{"blocked", imsi(8), Deny, Blocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			peek := tab.Peek(&tt.q)
			before := tab.Decisions(tt.why)
			d := tab.Decide(&tt.q)
			assert.Equal(t, tt.want.String(), d.Outcome.String())
			assert.Equal(t, tt.why.String(), d.Reason.String())
			assert.Equal(t, d, peek)
			assert.False(t, d.Stale)
			if tt.q.Route == nil || tt.q.Route.Policy.Enabled {
				assert.Equal(t, before+1, tab.Decisions(tt.why))
			}
		})
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for r := range NumReasons {
		assert.NotEmpty(t, r.String())
		assert.False(t, seen[r.String()])
		assert.Equal(t, r == OK, r.Text() == "")
		seen[r.String()] = true
	}
	assert.Equal(t, "unknown", NumReasons.String())
	assert.Empty(t, NumReasons.Text())
	for o := range numOutcomes {
		assert.NotEmpty(t, o.String())
	}
	assert.Equal(t, "unknown", numOutcomes.String()+numSources.String()[7:])
	assert.Equal(t, "unknown", numFaults.String())
}

func TestAnswer(t *testing.T) {
	tab := fileTable(t, policyFile)
	q := imsi(7)
	d := tab.Decide(&q)
	require.Equal(t, Allow, d.Outcome)
	assert.Equal(t, "0b05696f74"+"0b06736c6f77"+
		"1a0c"+"0000372a"+"0706"+"0000fa00"+
		"1a0c"+"0000372a"+"0806"+"0001f400", hex.EncodeToString(d.Extra))
	assert.Equal(t, [4]uint64{1 << 11}, d.Profile.Drop)
	assert.EqualValues(t, 14400, d.Profile.SessionTimeout)
	assert.EqualValues(t, 600, d.Profile.InterimInterval)
	assert.EqualValues(t, 14400, d.Profile.Timeout(noon))

	q = imsi(2)
	p := tab.Decide(&q).Profile
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	assert.EqualValues(t, 60, p.Timeout(end-60), "no session outlives the profile")
	assert.EqualValues(t, 1, p.Timeout(end+60))
}

func TestAttempts(t *testing.T) {
	tab := fileTable(t, policyFile)
	try := func(n int, now int64, continues bool) Reason {
		q := imsi(n)
		q.Now, q.Continues = now, continues
		return tab.Decide(&q).Reason
	}
	for range 3 {
		assert.Equal(t, OK, try(4, hour, false))
	}
	assert.Equal(t, TooManyAttempts, try(4, hour, false))
	assert.Equal(t, OK, try(4, hour, true), "a later round is no attempt")
	q := imsi(4)
	q.Now = hour
	assert.Equal(t, OK, tab.Peek(&q).Reason, "an explanation is no attempt")
	assert.Equal(t, TooManyAttempts, try(4, hour+hour/3-1e9, false))
	assert.Equal(t, OK, try(4, hour+hour/3+1e6, false), "one more every third of an hour")
	assert.Equal(t, TooManyAttempts, try(4, hour+hour/3+2e6, false))
	assert.Equal(t, OK, try(4, 5*hour, false))
	for range 20 {
		assert.Equal(t, OK, try(5, hour, false), "critical devices are not held back")
	}
}

func TestAttemptsTableIsBounded(t *testing.T) {
	a := newAttempts(1024)
	for i := range uint64(100_000) {
		k := hasher{1, 2}.sum(fmt.Append(nil, i))
		k0, k1 := k.words()
		a.allow(k0, k1, 1000, 5, 720_000)
	}
	assert.Len(t, a.w, 1024)
	assert.NotZero(t, a.lost.Load())
}

func TestVolume(t *testing.T) {
	tab := fileTable(t, policyFile)
	q := imsi(6)
	key, ok := tab.KeyOf(&q)
	require.True(t, ok)
	why := func() Reason { q := q; return tab.Decide(&q).Reason }
	tab.Usage(key, 1, 400, q.Wall)
	tab.Usage(key, 1, 600, q.Wall)
	tab.Usage(key, 1, 600, q.Wall) // repeated
	tab.Usage(key, 1, 500, q.Wall) // an older interim
	tab.Usage(key, 2, 300, q.Wall) // a session beside it
	tab.Usage(key, 1, 650, q.Wall)
	assert.Equal(t, OK, why(), "950 of 1000")
	tab.Usage(key, 2, 350, q.Wall)
	assert.Equal(t, VolumeCap, why(), "1000 of 1000")

	q.Wall += daySeconds
	assert.Equal(t, OK, why(), "a new day")
	tab.Usage(key, 1, 1600, q.Wall)
	assert.Equal(t, OK, why(), "950 grown since yesterday's last report")
	tab.Usage(key, 3, 60, q.Wall)
	assert.Equal(t, VolumeCap, why())

	other := imsi(1)
	free, _ := tab.KeyOf(&other)
	tab.Usage(free, 1, 1<<40, q.Wall)
	k0, k1 := free.words()
	assert.Zero(t, tab.volumes.used(k0, k1, q.Wall), "devices without a cap take no room")
}

func TestVolumeTableIsBounded(t *testing.T) {
	v := newVolumes(4096)
	for i := range uint64(50_000) {
		v.add(i+1, i*0x9e3779b97f4a7c15, 7, 100, noon+int64(i))
	}
	n := 0
	for i := range v.stripe {
		n += len(v.stripe[i].slots)
	}
	assert.Equal(t, 4096, n)
}

// A scan of random identities must not grow memory nor push a device out.
func TestMemoryIsFlatOverUnknown(t *testing.T) {
	tab := New(Config{Redis: &Redis{Addresses: []string{"192.0.2.1:1"}}, MaxAbsent: 8192})
	q := imsi(1)
	key, _ := tab.KeyOf(&q)
	tab.store(key, result{found: true, value: value{profile: "open"}}, 1, 1)
	scan := func(from, to int) {
		var b [identCap]byte
		for i := from; i < to; i++ {
			tab.store(tab.hash.sum(fmt.Appendf(b[:0], "imsi:%015d", i)), result{absence: absentUnknown}, 1, 1)
		}
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	scan(0, 30_000)
	before := heap()
	scan(30_000, 200_000)
	assert.Less(t, float64(heap()), float64(before)+64<<10)
	assert.Equal(t, 1, tab.Len())
	assert.Len(t, tab.absent.w, 8192*negWords)
	q.Wall = noon
	assert.NotEqual(t, Miss, tab.Decide(&q).Outcome)
}

func TestAllocsDecide(t *testing.T) {
	tab := fileTable(t, policyFile)
	for _, n := range []int{2, 4, 6, 7, 99} {
		q := imsi(n)
		assert.Zero(t, testing.AllocsPerRun(1000, func() { tab.Decide(&q) }), "device %d", n)
	}
	q := Query{Route: strict, CallingStation: []byte("00-11-22-AA-BB-CC")}
	assert.Zero(t, testing.AllocsPerRun(1000, func() { tab.Decide(&q) }))
	q = imsi(6)
	k, _ := tab.KeyOf(&q)
	n := uint64(0)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { n++; tab.Usage(k, 9, n, noon) }))
}

func BenchmarkHotDecide(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("devices=%d", n), func(b *testing.B) { benchmarkDecide(b, n) })
	}
}

func benchmarkDecide(b *testing.B, devices int) {
	var text strings.Builder
	text.WriteString("profiles:\n  - {name: rules, operators: [\"1visited.example\"], countries: [DE], session_timeout: 4h}\n")
	f, problems := ReadFile("p.yaml", []byte(text.String()))
	require.NoError(b, problems.Err())
	ids := make([][]byte, devices)
	for i := range ids {
		ids[i] = fmt.Appendf(nil, "00101%010d", i)
		f.groups[0].add(append([]byte("imsi:"), ids[i]...), 0, false)
	}
	f.count = devices
	tab := New(Config{File: f})
	q := imsi(0)
	b.ReportAllocs()
	i, bad := uint32(0), 0
	for b.Loop() {
		i = i*1664525 + 1013904223
		q.IMSI = ids[int(i>>12)&(devices-1)]
		if tab.Decide(&q).Outcome != Allow {
			bad++
		}
	}
	require.Zero(b, bad)
}

package traffic

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

var (
	nas   = netip.MustParseAddr("192.0.2.1")
	other = netip.MustParseAddr("2001:db8::1")
)

// packet makes a request out of attributes: type, value, type, value.
func packet(t testing.TB, pairs ...any) *radius.Packet {
	b := make([]byte, radius.HeaderLen)
	b[0] = byte(radius.AccessRequest)
	for i := 0; i < len(pairs); i += 2 {
		v := pairs[i+1].(string)
		b = append(append(b, byte(pairs[i].(int)), byte(2+len(v))), v...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	p := &radius.Packet{}
	require.Equal(t, radius.OK, p.Parse(b))
	return p
}

// totals are what a Sample says.
func totals(s *Sample) (requests [2]uint64, devices uint64) {
	seen := map[uint64]bool{}
	var p radius.Packet
	for i := range s.Len() {
		r, ok := s.Row(i, &p)
		if !ok {
			panic("a row that cannot be read")
		}
		requests[0] += r.Requests[0]
		requests[1] += r.Requests[1]
		if r.Counts && !seen[r.Device] {
			seen[r.Device] = true
			devices += s.Weight()
		}
	}
	return requests, devices
}

const minute = int64(time.Minute)

// What routing looks at comes back as it was; nothing else is kept.
func TestRowIsTheRequest(t *testing.T) {
	imsi, rcoi := "\x00\x00\x28\xaf\x01\x11262011234567890", "\x00\x00\x9f\x68\x06\x05\x5a\x03\xba"
	p := packet(t, 4, "\x7f\x00\x00\x01", 1, "bob@a.example", 2, "0123456789abcdef", 61, "\x00\x00\x00\x13", 30, "AA:SSID", 31, "02-00",
		126, "1visited.example", 24, "state", 26, imsi, 26, rcoi, 79, "\x02\x01\x00\x04")
	tb := New(NewKey(maphash.MakeSeed()), 10)
	tb.Note(7, nas, 0, p, 0)
	tb.Note(7, nas, 1, p, 0)
	tb.Note(7, nas, 0, p, 0)
	tb.Note(7, other, 0, p, 0)
	s := tb.Copy(0)
	require.Equal(t, 2, s.Len())
	var got radius.Packet
	r, ok := s.Row(0, &got)
	require.True(t, ok)
	assert.Equal(t, Row{Device: 7, From: nas, Requests: [2]uint64{2, 1}, Counts: true}, r)
	assert.Equal(t, packet(t, 1, "bob@a.example", 30, "AA:SSID", 31, "02-00", 61, "\x00\x00\x00\x13", 126, "1visited.example", 26, imsi, 26, rcoi).Bytes(), got.Bytes())
	r, _ = s.Row(1, &got)
	assert.Equal(t, other, r.From)
}

func TestTooLongIsCounted(t *testing.T) {
	tb := New(NewKey(maphash.MakeSeed()), 10)
	long := strings.Repeat("x", 253)
	tb.Note(1, nas, 0, packet(t, 1, long, 126, long), 0)
	tb.Note(1, nas, 0, packet(t, 1, long, 30, strings.Repeat("y", 100), 26, "\x00\x00\x28\xaf\x01\x3f"+strings.Repeat("1", 61)), 0)
	tb.Note(1, nas, 0, packet(t), 0)
	s := tb.Copy(0)
	assert.EqualValues(t, 2, s.Long)
	assert.Equal(t, 1, s.Len())
}

// An hour is remembered, and no more.
func TestHour(t *testing.T) {
	tb := New(NewKey(maphash.MakeSeed()), 100)
	start := int64(1e18)
	for i := range 120 { // one device a minute
		tb.Note(uint64(i), nas, 0, packet(t, 1, fmt.Sprint(i)), start+int64(i)*minute)
		requests, devices := totals(tb.Copy(start + int64(i)*minute))
		require.LessOrEqual(t, requests[0], uint64(60))
		require.GreaterOrEqual(t, requests[0], uint64(min(i+1, 51)), "at minute %d", i)
		require.Equal(t, requests[0], devices)
	}
	requests, _ := totals(tb.Copy(start + 120*minute + 70*minute))
	assert.Zero(t, requests)
	assert.Zero(t, tb.Copy(start+300*minute).Len())
	tb.Note(1, nas, 0, packet(t), start)
	requests, _ = totals(tb.Copy(start))
	assert.EqualValues(t, 1, requests[0], "a clock that goes back does no harm")
}

// However many there are, the numbers come out about right, in fixed memory,
// and a device is kept as a whole.
func TestEstimates(t *testing.T) {
	for _, devices := range []int{100, 5_000, 200_000} {
		t.Run(fmt.Sprint(devices), func(t *testing.T) {
			tb := New(NewKey(maphash.MakeSeed()), 4096)
			asks := func(d int) int { return 1 + d%3 }
			total := 0
			for d := range devices {
				device := uint64(d) * 0x1234567
				for range asks(d) {
					total++
					if tb.Wants(device, int64(d)) {
						tb.Note(device, nas, 0, packet(t, 1, fmt.Sprint(d)), int64(d))
					}
				}
			}
			s := tb.Copy(int64(devices))
			requests, counted := totals(s)
			assert.InEpsilon(t, total, requests[0], 0.15)
			assert.InEpsilon(t, devices, counted, 0.15)
			assert.LessOrEqual(t, s.Len(), 4096)
			var p radius.Packet
			for i := range s.Len() {
				r, _ := s.Row(i, &p)
				name, _ := p.First(radius.UserName)
				var d int
				_, err := fmt.Sscan(string(name), &d)
				require.NoError(t, err)
				require.EqualValues(t, asks(d)<<s.rate, r.Requests[0], "all that a device asks, or nothing")
			}
		})
	}
}

// After a storm the Table takes more devices again, and what it says of the
// hour stays right.
func TestRateComesDown(t *testing.T) {
	tb := New(NewKey(maphash.MakeSeed()), 1024)
	note := func(d int, now int64) {
		if device := uint64(d) * 0x1234567; tb.Wants(device, now) {
			tb.Note(device, nas, 0, packet(t, 1, fmt.Sprint(d)), now)
		}
	}
	for d := range 50_000 {
		note(d, 0)
	}
	high := tb.rate
	require.Greater(t, high, uint8(4))
	for slot := range int64(Slots - 1) {
		for d := range 100 {
			note(1_000_000+d, (slot+1)*int64(SlotTime))
		}
	}
	requests, _ := totals(tb.Copy((Slots - 1) * int64(SlotTime)))
	assert.InEpsilon(t, 50_500, requests[0], 0.25)
	for slot := range int64(20) {
		for d := range 100 {
			note(1_000_000+d, (slot+Slots)*int64(SlotTime))
		}
	}
	assert.Zero(t, tb.rate)
	requests, devices := totals(tb.Copy((20 + Slots - 1) * int64(SlotTime)))
	assert.EqualValues(t, 600, requests[0], "exact again")
	assert.EqualValues(t, 100, devices)
}

// One device that asks in ever new ways takes no memory and breaks nothing.
func TestOneDeviceOnly(t *testing.T) {
	tb := New(NewKey(maphash.MakeSeed()), 64)
	for i := range 100_000 {
		if tb.Wants(5, 0) {
			tb.Note(5, nas, 0, packet(t, 1, fmt.Sprint(i)), 0)
		}
	}
	assert.LessOrEqual(t, tb.Copy(0).Len(), 64)
}

// Tables of several shards know the same devices.
func TestAdd(t *testing.T) {
	key := NewKey(maphash.MakeSeed())
	a, b := New(key, 256), New(key, 256)
	for d := range 20_000 {
		tb := a
		if d%10 == 0 { // a few devices of b are known to a too
			tb = b
		}
		for _, to := range []*Table{tb, a} {
			if device := uint64(d) * 0x1234567; to.Wants(device, 0) {
				to.Note(device, nas, 0, packet(t, 1, fmt.Sprint(d)), 0)
			}
		}
	}
	s := &Sample{}
	s.Add(a.Copy(0))
	s.Add(b.Copy(0))
	_, devices := totals(s)
	assert.InEpsilon(t, 20_000, devices, 0.4)
	requests, _ := totals(s)
	assert.InEpsilon(t, 40_000, requests[0], 0.4)
}

func TestAllocsNote(t *testing.T) {
	tb := New(NewKey(maphash.MakeSeed()), 256)
	p := packet(t, 1, "bob@a.example", 30, "AA:SSID", 31, "02-00", 61, "\x00\x00\x00\x13")
	device, now := uint64(0), int64(0)
	assert.Zero(t, testing.AllocsPerRun(5000, func() {
		device, now = device+1, now+int64(time.Second)
		if tb.Wants(device, now) {
			tb.Note(device, nas, 0, p, now)
		}
	}))
}

func BenchmarkHotNote(b *testing.B) {
	for name, devices := range map[string]uint64{"few": 1000, "many": 1 << 40} {
		b.Run(name, func(b *testing.B) {
			tb := New(NewKey(maphash.MakeSeed()), 16384)
			p := packet(b, 1, "0262011234567890@wlan.mnc001.mcc262.3gppnetwork.org", 30, "AA-BB-CC-DD-EE-FF:Roam", 31, "02-00-5e-10-00-01", 61, "\x00\x00\x00\x13")
			user, _ := p.First(radius.UserName)
			b.ReportAllocs()
			device := uint64(0)
			for b.Loop() {
				device = (device + 1) % devices
				if tb.Wants(device*0x9e3779b9, 0) {
					binary.BigEndian.PutUint64(user, device)
					tb.Note(device*0x9e3779b9, nas, 0, p, 0)
				}
			}
		})
	}
}

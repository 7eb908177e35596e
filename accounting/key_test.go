package accounting

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// named classifies raw and names the event.
func named(h *Hasher, raw []byte, visited string, at int64) (Key, uint64) {
	var e Event
	Classify(&e, raw, at)
	return h.Key(&e, visited), h.Content(raw)
}

// TestKeyNamesTheEvent: C18, what tells events and sessions apart.
func TestKeyNamesTheEvent(t *testing.T) {
	h := NewHasher([]byte("key"))
	base := stop()
	k, c := named(h, packet(base...), "visited", arrival)
	replace := func(t byte, a []byte) []byte {
		attrs := append([][]byte{}, base...)
		for i := range attrs {
			if attrs[i][0] == t {
				attrs[i] = a
			}
		}
		return packet(attrs...)
	}
	for _, tt := range []struct {
		name       string
		raw        []byte
		visited    string
		key, still bool
	}{
		{"other identifier", append([]byte{4, 99}, packet(base...)[2:]...), "visited", true, true},
		{"delay", with(base, attr32(attrAcctDelayTime, 5)), "visited", true, true},
		{"proxy state", with(base, attr(attrProxyState, "x")), "visited", true, true},
		{"message authenticator", with(base, attr(attrMessageAuthenticator, "0123456789abcdef")), "visited", true, true},
		{"other octets", replace(attrAcctInputOctets, attr32(attrAcctInputOctets, 8)), "visited", true, false},
		{"R127 other NAS", replace(attrNASIdentifier, attr(attrNASIdentifier, "ap-18")), "visited", false, false},
		{"other visited network", packet(base...), "elsewhere", false, true},
		{"other session", replace(attrAcctSessionID, attr(attrAcctSessionID, "s2")), "visited", false, false},
		{"other user", replace(attrCUI, attr(attrCUI, "cui-2")), "visited", false, false},
		{"R127 session id used again after a reboot", replace(attrEventTimestamp, attr32(attrEventTimestamp, 1_763_757_000)), "visited", false, false},
		{"other kind", replace(attrAcctStatusType, attr32(attrAcctStatusType, 3)), "visited", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k2, c2 := named(h, tt.raw, tt.visited, arrival)
			assert.Equal(t, tt.key, k2 == k, "key")
			assert.Equal(t, tt.still, c2 == c, "content")
		})
	}
	other, _ := named(NewHasher([]byte("other")), packet(base...), "visited", arrival)
	assert.NotEqual(t, k, other, "the key of the hash matters")
}

func TestKeyOfInterimsHasCounters(t *testing.T) {
	h := NewHasher([]byte("key"))
	interim := func(octets uint32) []byte {
		return packet(attr32(attrAcctStatusType, 3), attr(attrAcctSessionID, "s"), attr(attrUserName, "u"), attr32(attrAcctInputOctets, octets))
	}
	a, _ := named(h, interim(1), "v", arrival)
	b, _ := named(h, interim(2), "v", arrival)
	assert.NotEqual(t, a, b)
}

func TestKeyIsStableOverRestarts(t *testing.T) {
	k, _ := named(NewHasher([]byte("key")), packet(stop()...), "visited", arrival)
	assert.Equal(t, "40634ece8440a15330ee9bdf85dafbab", hexOf(k[:]), "changing this forgets every stored event")
}

func TestEventsClaim(t *testing.T) {
	ev := NewEvents(1<<12, time.Hour)
	k := Key{1, 15: 9}
	now := int64(1000)
	claim := func(c uint64) (Outcome, uint64) { return ev.Claim(k, c, now) }
	expect := func(c uint64, want Outcome, seq uint64) {
		t.Helper()
		out, s := claim(c)
		assert.Equal(t, want, out, out)
		assert.Equal(t, seq, s)
	}
	expect(1, New, 0)
	expect(1, Committing, 0)
	ev.Settle(k, 1, 77)
	expect(1, Duplicate, 77)
	expect(2, Conflict, 77)
	expect(2, Committing, 0)
	ev.Settle(k, 2, 78)
	expect(2, Duplicate, 78)
	expect(1, Duplicate, 77)
	expect(3, Conflict, 78)
	ev.Abandon(k, 3)
	expect(3, Conflict, 78)
	ev.Abandon(k, 1) // settled: no effect
	expect(1, Duplicate, 77)
	now += 3601
	expect(1, New, 0)
	assert.Equal(t, 1, ev.Len())
}

func TestEventsKnowARetransmissionByArrivalTime(t *testing.T) {
	// No Event-Timestamp: the session start moves with the arrival.
	session := 0
	raw := func(delay uint32) []byte {
		return packet(attr32(attrAcctStatusType, 2), attr(attrAcctSessionID, strconv.Itoa(session)), attr(attrUserName, "u"),
			attr32(attrAcctSessionTime, 60), attr32(attrAcctDelayTime, delay))
	}
	h, ev := NewHasher([]byte("key")), NewEvents(1<<12, 0)
	for second := range int64(3 * startWidth) {
		session++
		at := arrival + second*int64(100*time.Minute) // every phase of a bucket
		at += second * int64(time.Second)
		k, c := named(h, raw(0), "v", at)
		out, _ := ev.Claim(k, c, at/1e9)
		require.Equal(t, New, out)
		ev.Settle(k, c, uint64(second+1))
		// Sent again 5 s later, on the road for one second more or less.
		for _, late := range []time.Duration{4 * time.Second, 5 * time.Second, 6 * time.Second} {
			k, c = named(h, raw(5), "v", at+int64(late))
			out, seq := ev.Claim(k, c, at/1e9)
			require.Equal(t, Duplicate, out, "second %d, %s late", second, late)
			require.Equal(t, uint64(second+1), seq)
		}
	}
}

// The same octets again and again while the home is away, from a NAS that
// says no time, or sent once more by who has recorded them: one event.
func TestEventsKnowTheSameOctetsLater(t *testing.T) {
	usage := attr32(attrAcctInputOctets, 5)
	for _, tt := range []struct {
		name  string
		kind  uint32
		more  []byte
		again Outcome
	}{
		{"stop", 2, usage, Duplicate},
		{"interim", 3, usage, Duplicate},
		{"stop of no usage", 2, nil, New},
		{"start: the session id may have come round", 1, nil, New},
		{"start with counters", 1, usage, New},
		{"NAS up: it may have booted again", 7, nil, New},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := packet(attr32(attrAcctStatusType, tt.kind), attr(attrAcctSessionID, "s"), attr(attrUserName, "u"), tt.more)
			h, ev := NewHasher([]byte("key")), NewEvents(1<<12, 0)
			claim := func(raw []byte, after time.Duration) (Key, uint64, Outcome) {
				at := arrival + int64(after)
				k, c := named(h, raw, "v", at)
				out, _ := ev.Claim(k, c, at/1e9)
				return k, c, out
			}
			k, c, out := claim(raw, 0)
			require.Equal(t, New, out)
			if tt.again == Duplicate {
				_, _, out = claim(raw, time.Minute)
				require.Equal(t, Committing, out)
				ev.Abandon(k, c)
				_, _, out = claim(raw, time.Minute)
				require.Equal(t, New, out, "what was not stored is let in")
				k, c = named(h, raw, "v", arrival+int64(time.Minute))
			}
			ev.Settle(k, c, 7)
			for _, after := range []time.Duration{31 * time.Second, 5 * time.Minute, 71 * time.Hour} {
				_, _, out = claim(raw, after)
				assert.Equal(t, tt.again, out, after)
			}
			other := packet(attr32(attrAcctStatusType, tt.kind), attr(attrAcctSessionID, "s"), attr(attrUserName, "u"), attr32(attrAcctInputOctets, 6))
			_, _, out = claim(other, 71*time.Hour+time.Minute)
			assert.Equal(t, New, out, "other usage at another time is another event")
		})
	}
}

func TestEventsConflictWithoutEnd(t *testing.T) {
	ev := NewEvents(1<<12, 0)
	for c := range uint64(1000) {
		out, _ := ev.Claim(Key{1}, c+1, 1)
		if c > 0 {
			require.Equal(t, Conflict, out)
		}
	}
	assert.Equal(t, maxSame, ev.Len(), "the chain of one event is bounded")
}

func TestEventsForgetTheOldest(t *testing.T) {
	ev := NewEvents(stripes*8, 0)
	key := func(i int) Key { return Key{6: byte(i >> 8), 7: byte(i), 8: byte(i * 7), 9: byte(i >> 8), 15: 1} }
	for i := range 64 * stripes {
		out, _ := ev.Claim(key(i), 5, int64(i))
		require.Equal(t, New, out)
		ev.Settle(key(i), 5, uint64(i+1))
	}
	assert.Equal(t, 8*stripes, ev.Len())
	for i := range 8 * stripes {
		i := 56*stripes + i
		out, seq := ev.Claim(key(i), 5, int64(i))
		require.Equal(t, Duplicate, out, i)
		require.Equal(t, uint64(i+1), seq)
	}
}

func TestEventsReplay(t *testing.T) {
	h := NewHasher([]byte("key"))
	raw := with(stop(), attr(attrUserPassword, "0123456789abcdef"))
	var e Event
	Classify(&e, raw, arrival)
	head := Header{Time: arrival, Key: h.Key(&e, "v")}
	head.SetEvent(&e)
	rec := AppendRecord(nil, &head, raw)
	ev := NewEvents(1<<12, 0)
	require.NoError(t, ev.Replay(42, rec))
	out, seq := ev.Claim(head.Key, h.Content(raw), arrival/1e9)
	assert.Equal(t, Duplicate, out, "a redacted record has the content of its packet")
	assert.Equal(t, uint64(42), seq)
	require.ErrorIs(t, ev.Replay(43, rec[:10]), ErrRecord)
}

// BenchmarkEventsClaim claims and settles new events in a table of a million
// that is full, from all cores at once.
func BenchmarkEventsClaim(b *testing.B) {
	ev := NewEvents(1<<20, 0)
	rng := rand.NewChaCha8([32]byte{})
	random := func() (k Key) {
		_, _ = rng.Read(k[:])
		return k
	}
	for n := range uint64(1 << 20) {
		k := random()
		ev.Claim(k, n, 1)
		ev.Settle(k, n, n+1)
	}
	var lanes atomic.Uint64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		k := Key{15: byte(lanes.Add(1))}
		x := lanes.Load()
		for pb.Next() {
			x += 0x9E3779B97F4A7C15
			binary.BigEndian.PutUint64(k[:], bits.ReverseBytes64(x*x|1))
			binary.BigEndian.PutUint64(k[8:], x)
			if out, _ := ev.Claim(k, x, 1); out == New {
				ev.Settle(k, x, x)
			}
		}
	})
}

// TestEventsWhenTheClockSteps: a repetition is known whichever way the clock
// was set since, as long as it is no more than the window.
func TestEventsWhenTheClockSteps(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour, -30 * 365 * 24 * time.Hour, 71 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			ev := NewEvents(1<<12, 0)
			now := arrival / 1e9
			out, _ := ev.Claim(Key{1}, 7, now)
			require.Equal(t, New, out)
			ev.Settle(Key{1}, 7, 42)
			now += int64(step / time.Second)
			out, seq := ev.Claim(Key{1}, 7, now)
			assert.Equal(t, Duplicate, out)
			assert.Equal(t, uint64(42), seq)
			out, _ = ev.Claim(Key{2}, 7, now)
			assert.Equal(t, New, out)
		})
	}
}

package clearing

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/session"
)

// Keys begin with what they name. All numbers are big-endian, so that keys
// are in the order of the numbers.
const (
	keyLayout  = 'v'
	keyOldest  = 'w' // -> seconds
	keySource  = 'n' // epoch node -> source
	keyStretch = 'a' // epoch node first -> last hash taken
	keySettled = 'x' // epoch node first last hash
	keyClaim   = 'c' // key -> hour contents
	keySession = 's' // id, generation (newest first) -> reports open updated tail session
	keyOpen    = 'o' // NAS id generation
	keyDue     = 'd' // seconds id generation
	keyTrace   = 't' // id generation chunk -> traces
	keyJourney = 'j' // key -> hour legs
	keyRecord  = 'r' // order -> seconds JSON
	keyID      = 'i' // record id -> order
	keyPart    = 'q' // session key, order -> id generation
	keyTally   = 'y' // class, names -> number
	keyCount   = 'z' // name -> number
	keyLetter  = 'l' // number -> JSON
	keyDigest  = 'h' // digest of a letter -> number
)

const layout = 1

// prefixLen is what the store's filters know of a key: what it names and one
// hash. All generations of a session ID are of one prefix, so that one look
// says that there is none.
const prefixLen = 17

// comparer is the order of octets, and prefixes.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "roamgate.clearing.1"
	c.Split = func(k []byte) int { return min(len(k), prefixLen) }
	c.ImmediateSuccessor = func(dst, prefix []byte) []byte {
		n := len(dst)
		if dst = append(dst, prefix...); len(prefix) < prefixLen {
			return append(dst, 0)
		}
		for i := len(dst) - 1; i >= n; i-- {
			if dst[i]++; dst[i] != 0 {
				break
			}
		}
		return dst
	}
	return &c
}()

func join(prefix byte, parts ...[]byte) []byte {
	k := append(make([]byte, 0, 48), prefix)
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

func sourceKey(prefix byte, id SourceID) []byte {
	k := binary.BigEndian.AppendUint64(join(prefix), id.Epoch)
	return append(append(k, byte(len(id.Node))), id.Node...)
}

func settledKey(id SourceID, st stretch) []byte {
	k := binary.BigEndian.AppendUint64(sourceKey(keySettled, id), st.First)
	return append(binary.BigEndian.AppendUint64(k, st.Last), st.Hash[:]...)
}

func placeKey(k []byte, at place) []byte {
	return binary.BigEndian.AppendUint64(append(k, at.id[:]...), at.generation)
}

func sessionKey(at place) []byte {
	at.generation = ^at.generation
	return placeKey([]byte{keySession}, at)
}

func traceKey(at place, n uint32) []byte {
	return binary.BigEndian.AppendUint16(placeKey([]byte{keyTrace}, at), uint16(n))
}

// sessionHead is what stands before a session and its last traces.
const sessionHead = 4 + 1 + 8 + 2

func appendSession(b []byte, st *stored) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(b, st.Reports)
	b = append(b, map[bool]byte{true: 1}[st.Open])
	b = binary.BigEndian.AppendUint64(b, uint64(st.Updated))
	b = binary.BigEndian.AppendUint16(b, uint16(len(st.tail)))
	return st.AppendBinary(append(b, st.tail...))
}

func readSession(v []byte) (*stored, error) {
	if len(v) < sessionHead {
		return nil, errStored
	}
	n := sessionHead + int(binary.BigEndian.Uint16(v[13:]))
	if len(v) < n {
		return nil, errStored
	}
	st := &stored{Session: &session.Session{}, Reports: binary.BigEndian.Uint32(v), tail: bytes.Clone(v[sessionHead:n])}
	return st, st.UnmarshalBinary(v[n:])
}

func dueKey(due int64) []byte {
	// The sign bit turned: what is before 1970 is due first.
	return binary.BigEndian.AppendUint64([]byte{keyDue}, uint64(due)^1<<63)
}

func tallyKey(t session.TallyKey) []byte {
	k := join(keyTally, []byte{byte(t.Class), byte(len(t.Node))}, []byte(t.Node))
	k = binary.BigEndian.AppendUint16(k, uint16(len(t.Client)))
	return append(append(k, t.Client...), t.Reason...)
}

func readTally(k []byte) (t session.TallyKey, ok bool) {
	if len(k) < 3 || len(k) < 3+int(k[2])+2 {
		return t, false
	}
	t.Class = classOf(k[1])
	n := 3 + int(k[2])
	t.Node = string(k[3:n])
	l := int(binary.BigEndian.Uint16(k[n:]))
	if n += 2; l > len(k)-n {
		return t, false
	}
	t.Client, t.Reason = string(k[n:n+l]), string(k[n+l:])
	return t, true
}

func appendSource(b []byte, s *Source) []byte {
	for _, n := range [...]uint64{
		s.Lowest, s.Whole, s.Highest, s.Beyond, s.forgotten,
		nanos(s.Since), nanos(s.Taken), nanos(s.Arrival),
	} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func readSource(k, v []byte) (*Source, error) {
	if len(k) < 10 || len(v) != 64 || len(k) != 10+int(k[9]) {
		return nil, errStored
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	return &Source{
		SourceID: SourceID{Node: string(k[10:]), Epoch: binary.BigEndian.Uint64(k[1:])},
		Lowest:   n(0), Whole: n(1), Highest: n(2), Beyond: n(3), forgotten: n(4),
		Since: timeOf(n(5)), Taken: timeOf(n(6)), Arrival: timeOf(n(7)),
	}, nil
}

// nanos and timeOf keep the zero time.
func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

func timeOf(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

func appendStretch(b []byte, st *stretch) []byte {
	b = binary.BigEndian.AppendUint64(b, st.Last)
	b = append(b, st.Hash[:]...)
	return binary.BigEndian.AppendUint64(b, nanos(st.taken))
}

func readStretch(k, v []byte) (st stretch, err error) {
	if len(k) < 8 || len(v) != 32 {
		return st, errStored
	}
	st.First = binary.BigEndian.Uint64(k[len(k)-8:])
	st.Last = binary.BigEndian.Uint64(v)
	copy(st.Hash[:], v[8:])
	st.taken = timeOf(binary.BigEndian.Uint64(v[24:]))
	return st, nil
}

func keysOf(v []byte) []accounting.Key {
	ks := make([]accounting.Key, 0, len(v)/16)
	for ; len(v) >= 16; v = v[16:] {
		ks = append(ks, accounting.Key(v))
	}
	return ks
}

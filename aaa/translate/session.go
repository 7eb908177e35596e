package translate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"

	"github.com/roamgate/roamgate/pkg/radius"
)

// ID is the number of a session of ours (RFC 6733 section 8.8: high and low). The zero
// ID is none.
type ID struct{ High, Low uint32 }

// HandleLen is the length of a handle.
const HandleLen = 16

// maxSessionID bounds a Session-Id of another: what is longer names no session.
const maxSessionID = 512

// Sessions makes and reads the names of sessions. It belongs to one goroutine.
type Sessions struct {
	identity string
	mac      hash.Hash
	sum      [sha256.Size]byte
	buf      [maxSessionID]byte
	hex      [32]byte
}

// sessionLabel keeps these tags apart from others of the hub's key.
const sessionLabel = "roamgate diameter session 1"

// NewSessions makes those of an identity. What was made with one key is read with the
// same one only, by whatever hub.
func NewSessions(identity string, key []byte) *Sessions {
	own := hmac.New(sha256.New, key)
	own.Write([]byte(sessionLabel))
	s := &Sessions{identity: identity, mac: hmac.New(sha256.New, own.Sum(nil))}
	s.mac.Sum(s.sum[:0])
	s.mac.Reset()
	s.mac.Sum(s.sum[:0])
	return s
}

// Name appends the Session-Id of a session.
func (s *Sessions) Name(dst []byte, id ID) []byte {
	dst = append(append(dst, s.identity...), ';')
	dst = strconv.AppendUint(dst, uint64(id.High), 10)
	return strconv.AppendUint(append(dst, ';'), uint64(id.Low), 10)
}

// Read gives the session that a Session-Id names; false: it is not one of ours, or of
// accounting alone.
func (s *Sessions) Read(name []byte) (id ID, ok bool) {
	n := len(s.identity)
	if len(name) < n+4 || string(name[:n]) != s.identity || name[n] != ';' {
		return id, false
	}
	id.High, name, ok = number(name[n+1:])
	if !ok || len(name) == 0 || name[0] != ';' {
		return ID{}, false
	}
	id.Low, name, ok = number(name[1:])
	return id, ok && len(name) == 0
}

// number reads one of at most ten digits.
func number(b []byte) (v uint32, rest []byte, ok bool) {
	var n uint64
	i := 0
	for ; i < len(b) && i < 10 && b[i] >= '0' && b[i] <= '9'; i++ {
		n = 10*n + uint64(b[i]-'0')
	}
	return uint32(n), b[i:], i > 0 && n <= 1<<32-1 && (i == 1 || b[0] != '0')
}

// Handle appends what a NAS is given to repeat.
func (s *Sessions) Handle(dst []byte, id ID) []byte {
	dst = binary.BigEndian.AppendUint32(dst, id.High)
	dst = binary.BigEndian.AppendUint32(dst, id.Low)
	return append(dst, s.tag(dst[len(dst)-8:])...)
}

// Open reads a handle and gives what follows it; false: we have not made it.
func (s *Sessions) Open(b []byte) (id ID, rest []byte, ok bool) {
	if len(b) < HandleLen || !hmac.Equal(b[8:HandleLen], s.tag(b[:8])) {
		return id, nil, false
	}
	return ID{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, b[HandleLen:], true
}

func (s *Sessions) tag(head []byte) []byte {
	s.mac.Reset()
	s.mac.Write(append(s.buf[:0], head...))
	return s.mac.Sum(s.sum[:0])[:8]
}

// Class gives the session whose handle a packet repeats in a Class.
func (s *Sessions) Class(p *radius.Packet) (id ID, ok bool) {
	for a, off, more := p.Next(p.From(radius.Class)); more; a, off, more = p.Next(off) {
		if a.Type != radius.Class || len(a.Value()) != HandleLen {
			continue
		}
		if id, _, ok = s.Open(a.Value()); ok {
			return id, true
		}
	}
	return ID{}, false
}

// State gives the session whose handle the State of a packet begins with, and the
// State of the home behind it.
func (s *Sessions) State(p *radius.Packet) (id ID, home []byte, ok bool) {
	v, has := p.First(radius.State)
	if !has {
		return id, nil, false
	}
	return s.Open(v)
}

// Accounting appends the Session-Id of accounting that repeats no handle: it follows
// from the network, the NAS and the Acct-Session-Id, so that every hub of the identity
// has the same one for each record of the session. False: it has none of these.
func (s *Sessions) Accounting(dst []byte, p *radius.Packet) ([]byte, bool) {
	v, ok := p.First(radius.AcctSessionID)
	if !ok || len(v) == 0 {
		return dst, false
	}
	s.mac.Reset()
	for _, t := range [...]radius.Type{radius.AcctSessionID, radius.OperatorName, radius.NASIdentifier, radius.NASIPAddress, radius.NASIPv6Address} {
		v, _ := p.First(t)
		s.mac.Write(append(append(s.buf[:0], byte(t), byte(len(v))), v...))
	}
	sum := s.mac.Sum(s.sum[:0])
	dst = s.Name(dst, ID{binary.BigEndian.Uint32(sum), binary.BigEndian.Uint32(sum[4:])})
	hex.Encode(s.hex[:16], sum[8:16])
	return append(append(dst, ";a"...), s.hex[:16]...), true
}

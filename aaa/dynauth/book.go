package dynauth

import (
	"hash/maphash"
	"math/bits"
	"sync"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Session is what a packet says of one: the attributes of RFC 5176 section 3
// that identify it. The octets are borrowed from the packet.
type Session struct {
	ID, CUI, Station, User []byte
	NAS                    []byte // address or identifier
	NASType                radius.Type

	// Where it is and whose it is, as the Book names them; NoName where that is
	// not known.
	Client     int32
	Auth, Acct int32 // pools
	// Accepted: the home has let it in, which is more than that a visited
	// network speaks of it.
	Accepted bool
}

// NoName is the number of no name.
const NoName = int32(-1)

// Read takes what identifies a session from a packet.
//
// hot: 0 allocs
func (s *Session) Read(p *radius.Packet) {
	s.ID, _ = p.First(radius.AcctSessionID)
	s.Station, _ = p.First(radius.CallingStationID)
	s.User, _ = p.First(radius.UserName)
	if s.CUI, _ = p.First(radius.ChargeableUserID); len(s.CUI) == 1 && s.CUI[0] == 0 {
		s.CUI = nil // only asks for one (RFC 4372 section 2.1)
	}
	s.NAS = nil
	for _, t := range [...]radius.Type{radius.NASIdentifier, radius.NASIPAddress, radius.NASIPv6Address} {
		if v, ok := p.First(t); ok {
			s.NAS, s.NASType = v, t
			return
		}
	}
}

// What a session can be looked up by, the most telling first.
const (
	bySession = iota
	byCUI
	byStation
	byUser
	byNAS // never looked up, only compared
	numKeys
)

const (
	ways    = 8   // sessions of one key
	stripes = 256 // locks
)

// entry is a session under one of its keys. Parts of hashes say what else is
// known of it, 0 for nothing.
type entry struct {
	key        uint64 // 0: free
	parts      [numKeys]uint32
	client     int32
	auth, acct int32
	at         uint32 // second
	ended      bool
	accepted   bool
}

// Book remembers where live sessions are. It has a fixed size: what was not
// heard of for longest is forgotten first, and then found by Operator-Name
// only. All methods are safe for concurrent use.
type Book struct {
	seeds [numKeys]maphash.Seed
	sets  [][ways]entry
	locks [stripes]stripe

	naming sync.Mutex // guards names
	names  map[string]int32
}

// stripe guards the sets whose number it shares, on a cache line of its own.
type stripe struct {
	sync.Mutex
	_ [56]byte
}

const entrySize = 48

// NewBook makes a Book of about so many octets.
func NewBook(octets int) *Book {
	b := &Book{names: make(map[string]int32)}
	for i := range b.seeds {
		b.seeds[i] = maphash.MakeSeed()
	}
	n := max(octets/(ways*entrySize), stripes)
	b.sets = make([][ways]entry, 1<<(bits.Len(uint(n))-1))
	return b
}

// Name gives the number of a client's or a pool's name. It stays the same for
// as long as the process runs, so sessions survive a new configuration.
func (b *Book) Name(name string) int32 {
	b.naming.Lock()
	defer b.naming.Unlock()
	n, known := b.names[name]
	if !known {
		n = int32(len(b.names))
		b.names[name] = n
	}
	return n
}

// hashes are those of a session's attributes, 0 where it has none.
type hashes [numKeys]uint64

// hash makes a session's. User-Names are compared without case, as realms are.
func (b *Book) hash(s *Session) (h hashes) {
	var fold [nai.MaxLen]byte
	for k, v := range [...][]byte{bySession: s.ID, byCUI: s.CUI, byStation: s.Station, byUser: s.User, byNAS: s.NAS} {
		if len(v) > 0 && len(v) <= len(fold) {
			h[k] = maphash.Bytes(b.seeds[k], nai.Fold(&fold, v)) | 1<<32
		}
	}
	if h[byNAS] != 0 {
		h[byNAS] = h[byNAS]&^0xff | uint64(s.NASType) // what is of another type says nothing
	}
	return h
}

// part is the other half of a hash than that which chooses the set.
func part(h uint64) uint32 {
	if h == 0 {
		return 0
	}
	return uint32(h) | 1<<8
}

func (h *hashes) parts() (p [numKeys]uint32) {
	for k := range h {
		p[k] = part(h[k])
	}
	return p
}

// agrees reports whether nothing that both know is different.
func agrees(a, b uint32) bool { return a == 0 || b == 0 || a == b }

// agreesNAS compares only what is of one type.
func agreesNAS(a, b uint32) bool { return agrees(a, b) || a&0xff != b&0xff }

// same reports whether a packet from the entry's client speaks of its session.
func (e *entry) same(p *[numKeys]uint32) bool {
	return agrees(e.parts[bySession], p[bySession]) && agrees(e.parts[byStation], p[byStation]) &&
		agreesNAS(e.parts[byNAS], p[byNAS])
}

func (b *Book) set(h uint64) (*[ways]entry, *stripe) {
	i := h >> 33 & uint64(len(b.sets)-1)
	return &b.sets[i], &b.locks[i%stripes]
}

// Learn remembers a session that is alive; second is of any clock that does not
// go back.
//
// hot: 0 allocs
func (b *Book) Learn(s *Session, second uint32) {
	h := b.hash(s)
	p := h.parts()
	for k := bySession; k <= byUser; k++ {
		if h[k] != 0 {
			b.learn(h[k], &p, s, second)
		}
	}
}

func (b *Book) learn(key uint64, p *[numKeys]uint32, s *Session, second uint32) {
	set, lock := b.set(key)
	lock.Lock()
	defer lock.Unlock()
	at := &set[0]
	for i := range set {
		e := &set[i]
		if e.key == key && e.client == s.Client && e.same(p) {
			at = e
			break
		}
		if e.older(at) {
			at = e
		}
	}
	if at.key != key || at.client != s.Client || !at.same(p) || at.ended {
		*at = entry{key: key, client: s.Client, auth: NoName, acct: NoName}
	}
	for k := range p {
		if p[k] != 0 {
			at.parts[k] = p[k]
		}
	}
	if s.Auth != NoName || s.Acct != NoName {
		at.auth, at.acct = s.Auth, s.Acct
	}
	at.at, at.accepted = second, at.accepted || s.Accepted
}

// older reports whether e is to be forgotten before o.
func (e *entry) older(o *entry) bool {
	switch {
	case e.key == 0 || o.key == 0:
		return o.key != 0
	case e.ended != o.ended:
		return e.ended
	}
	return e.at < o.at
}

// End notes that a session is over. That is remembered too, until its place is
// needed.
//
// hot: 0 allocs
func (b *Book) End(s *Session, second uint32) {
	h := b.hash(s)
	p := h.parts()
	for k := bySession; k <= byUser; k++ {
		if h[k] == 0 {
			continue
		}
		set, lock := b.set(h[k])
		lock.Lock()
		for i := range set {
			if e := &set[i]; e.key == h[k] && e.client == s.Client && e.same(&p) {
				e.ended, e.at = true, second
			}
		}
		lock.Unlock()
	}
}

// Found is a session that a request may mean.
type Found struct {
	Client     int32
	Auth, Acct int32
	Ended      bool
	// Other: it has the Acct-Session-Id of the request and is somebody else's.
	Other    bool
	Named    bool   // it has the Acct-Session-Id of the request
	Accepted bool   // by the home
	At       uint32 // second of the last packet that spoke of it
}

// Find appends the sessions that s may mean: all that it says of itself must
// hold, as far as it is known (RFC 5176 section 3). Those of the same
// Acct-Session-Id that are somebody else's come too, marked.
func (b *Book) Find(dst []Found, s *Session) []Found {
	h := b.hash(s)
	p := h.parts()
	for k := bySession; k <= byUser; k++ {
		if h[k] == 0 {
			continue
		}
		n := len(dst)
		dst = b.find(dst, k, h[k], &p)
		for _, f := range dst[n:] {
			if !f.Other {
				return dst
			}
		}
	}
	return dst
}

func (b *Book) find(dst []Found, k int, key uint64, p *[numKeys]uint32) []Found {
	set, lock := b.set(key)
	lock.Lock()
	defer lock.Unlock()
	for i := range set {
		e := &set[i]
		if e.key != key || !agreesNAS(e.parts[byNAS], p[byNAS]) {
			continue
		}
		f := Found{Client: e.client, Auth: e.auth, Acct: e.acct, Ended: e.ended, Named: k == bySession, Accepted: e.accepted, At: e.at}
		f.Other = !agrees(e.parts[bySession], p[bySession]) || !agrees(e.parts[byCUI], p[byCUI]) ||
			!agrees(e.parts[byStation], p[byStation]) || !agrees(e.parts[byUser], p[byUser])
		if f.Other && k != bySession {
			continue // another session of the same device or user
		}
		dst = append(dst, f)
	}
	return dst
}

package dynauth

import (
	"hash/maphash"
	"math/bits"
	"sync"

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
	Began    bool // a Start: the Acct-Session-Id may have been another's
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

// late is how many seconds after a Stop a Start of the same Acct-Session-Id may
// be one of before, that was repeated or took a longer way.
const late = 60

// row is the sessions whose keys fall together. What is asked of all of them
// stands in front, so that one is found in few cache lines.
type row struct {
	keys  [ways]uint64 // 0: free
	at    [ways]uint32 // second of the last packet
	marks [ways]mark
	_     [24]byte
	what  [ways]entry
}

type mark uint8

const (
	ended mark = 1 << iota
	accepted
)

// entry is a session under one of its keys. Parts of hashes say what else is
// known of it, 0 for nothing.
type entry struct {
	parts      [numKeys]uint32
	client     int32
	auth, acct int32
}

// Book remembers where live sessions are. It has a fixed size: what was not
// heard of for longest is forgotten first, and then found by Operator-Name
// only. All methods are safe for concurrent use.
type Book struct {
	seeds [numKeys]maphash.Seed
	rows  []row
	locks [stripes]stripe

	restarting sync.Mutex // guards restarts
	restarts   [restarts]restart

	naming sync.Mutex // guards names
	names  map[string]int32
}

// stripe guards the sets whose number it shares, on a cache line of its own.
type stripe struct {
	sync.Mutex
	_ [56]byte
}

const rowSize = ways * 48

// restarts is how many NASes are remembered that have lost all their sessions.
const restarts = 1 << 12

// restart is when a NAS of a client has lost them.
type restart struct {
	nas    uint64
	second uint32
}

// NewBook makes a Book of about so many octets.
func NewBook(octets int) *Book {
	b := &Book{names: make(map[string]int32)}
	for i := range b.seeds {
		b.seeds[i] = maphash.MakeSeed()
	}
	n := max(octets/rowSize, stripes)
	b.rows = make([]row, 1<<(bits.Len(uint(n))-1))
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

// hash makes a session's. Letters of ASCII count without their case: realms have
// none, and homes do not agree on that of addresses. No more is folded: whoever
// speaks of a session repeats its octets.
func (b *Book) hash(s *Session) (h hashes) {
	var buf [radius.MaxValue]byte
	for k, v := range [...][]byte{bySession: s.ID, byCUI: s.CUI, byStation: s.Station, byUser: s.User, byNAS: s.NAS} {
		if len(v) > 0 && len(v) <= len(buf) {
			for i, c := range v {
				buf[i] = lower(c)
			}
			h[k] = maphash.Bytes(b.seeds[k], buf[:len(v)]) | 1<<32
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

func (b *Book) row(h uint64) (*row, *sync.Mutex) {
	i := h >> 33 & uint64(len(b.rows)-1)
	return &b.rows[i], &b.locks[i%stripes].Mutex
}

// Learn remembers a session that is alive; second is of any clock that does not
// go back.
//
// hot: 0 allocs
func (b *Book) Learn(s *Session, second uint32) {
	h := b.hash(s)
	p := h.parts()
	if h[bySession] != 0 && !s.Accepted && b.over(h[bySession], &p, s, second) {
		return // it comes late, and brings nobody back
	}
	// What the home has let in under a name is known by its Acct-Session-Id
	// from accounting only, so that comes last.
	known := s.Accepted
	for k := byUser; k >= bySession; k-- {
		if h[k] != 0 {
			known = b.learn(h[k], &p, s, second, known) || known
		}
	}
}

// learn reports whether the home has let the session in.
func (b *Book) learn(key uint64, p *[numKeys]uint32, s *Session, second uint32, known bool) bool {
	r, lock := b.row(key)
	lock.Lock()
	defer lock.Unlock()
	i, found := r.find(key, p, s, known)
	e := &r.what[i]
	if !found || r.marks[i]&ended != 0 || !e.of(s) { // the device may be with another home now
		r.begin(i, key, s.Client)
	}
	for k := range p {
		if p[k] != 0 {
			e.parts[k] = p[k]
		}
	}
	e.auth, e.acct = s.Auth, s.Acct
	if r.at[i] = second; known {
		r.marks[i] |= accepted
	}
	return r.marks[i]&accepted != 0
}

// over reports whether a session has ended, and s does not begin it anew.
func (b *Book) over(key uint64, p *[numKeys]uint32, s *Session, second uint32) bool {
	r, lock := b.row(key)
	lock.Lock()
	defer lock.Unlock()
	for i := range r.keys {
		if r.keys[i] == key && r.marks[i]&ended != 0 && r.what[i].client == s.Client && r.what[i].same(p) {
			return !s.Began || second-r.at[i] < late
		}
	}
	return false
}

// find gives the place of a session, or else the one to be taken for it: a free
// one, one whose session is over, or the one not heard of for longest. What a
// visited network says takes nothing from the home that has let a session in.
func (r *row) find(key uint64, p *[numKeys]uint32, s *Session, known bool) (place int, found bool) {
	for i := range r.keys {
		if r.keys[i] == key {
			e := &r.what[i]
			if e.client == s.Client && e.same(p) && (known || r.marks[i] != accepted || e.of(s)) {
				return i, true
			}
		}
		if r.older(i, place) {
			place = i
		}
	}
	return place, false
}

func (r *row) begin(i int, key uint64, client int32) {
	r.keys[i], r.marks[i] = key, 0
	r.what[i] = entry{client: client, auth: NoName, acct: NoName}
}

// of reports whether a session is of the pools that s is of.
func (e *entry) of(s *Session) bool { return e.auth == s.Auth && e.acct == s.Acct }

// older reports whether the session at i is to be forgotten before that at j.
func (r *row) older(i, j int) bool {
	switch over := r.marks[i] & ended; {
	case r.keys[i] == 0 || r.keys[j] == 0:
		return r.keys[j] != 0
	case over != r.marks[j]&ended:
		return over != 0
	}
	return r.at[i] < r.at[j]
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
		r, lock := b.row(h[k])
		lock.Lock()
		if k == bySession {
			if i, found := r.find(h[k], &p, s, true); !found {
				r.begin(i, h[k], s.Client)
				r.what[i] = entry{parts: p, client: s.Client, auth: s.Auth, acct: s.Acct}
			}
		}
		for i := range r.keys {
			if e := &r.what[i]; r.keys[i] == h[k] && e.client == s.Client && e.same(&p) {
				r.at[i] = second
				r.marks[i] |= ended
			}
		}
		lock.Unlock()
	}
}

// Restart notes that a NAS has begun anew, or is about to end: whatever it had
// before is over (RFC 2866 section 5.1, Accounting-On and -Off). A NAS without
// a name ends nothing.
//
// hot: 0 allocs
func (b *Book) Restart(s *Session, second uint32) {
	h := b.hash(&Session{NAS: s.NAS, NASType: s.NASType})
	nas := part(h[byNAS])
	if nas == 0 {
		return
	}
	b.restarting.Lock()
	defer b.restarting.Unlock()
	at, now := b.restart(s.Client, nas), restart{nasOf(s.Client, nas), second}
	if at.nas != now.nas || at.second < second {
		*at = now
	}
}

func (b *Book) restart(client int32, nas uint32) *restart {
	const odd = 0x9e3779b97f4a7c15
	return &b.restarts[nasOf(client, nas)*odd>>32%restarts]
}

func nasOf(client int32, nas uint32) uint64 { return uint64(uint32(client))<<32 | uint64(nas) }

// lost reports whether a session was last heard of before its NAS began anew.
func (b *Book) lost(e *entry, second uint32) bool {
	nas := e.parts[byNAS]
	if nas == 0 {
		return false
	}
	b.restarting.Lock()
	defer b.restarting.Unlock()
	r := b.restart(e.client, nas)
	return r.nas == nasOf(e.client, nas) && second < r.second
}

// Found is a session that a request may mean.
type Found struct {
	Client     int32
	Auth, Acct int32
	Ended      bool
	// Other: it has the Acct-Session-Id of the request, or its device or CUI,
	// and is somebody else's.
	Other    bool
	Named    bool   // it has the Acct-Session-Id of the request
	Accepted bool   // by the home
	At       uint32 // second of the last packet that spoke of it
}

// Find appends the sessions that s may mean: all that it says of itself must
// hold, as far as it is known (RFC 5176 section 3). Those that are somebody
// else's come too, marked.
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
	r, lock := b.row(key)
	lock.Lock()
	defer lock.Unlock()
	for i := range r.keys {
		e := &r.what[i]
		if r.keys[i] != key || !agreesNAS(e.parts[byNAS], p[byNAS]) {
			continue
		}
		otherUser := !agrees(e.parts[byUser], p[byUser])
		f := Found{
			Client: e.client, Auth: e.auth, Acct: e.acct, Named: k == bySession, At: r.at[i],
			Ended: r.marks[i]&ended != 0 || b.lost(e, r.at[i]), Accepted: r.marks[i]&accepted != 0,
			Other: otherUser || !agrees(e.parts[bySession], p[bySession]) || !agrees(e.parts[byCUI], p[byCUI]) ||
				!agrees(e.parts[byStation], p[byStation]),
		}
		if f.Other && !f.Named && !otherUser {
			continue // another session of the same device or user
		}
		dst = append(dst, f)
	}
	return dst
}

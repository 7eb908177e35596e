package aaa

import (
	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/dedup"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// stage is where an Exchange stands.
type stage uint8

const (
	stageFree    stage = iota
	stageParked        // waits for the device policy
	stageWaiting       // waits for a home, a spool commit or both
	stageDelayed       // is refused, and is told so in a while
)

// Exchange is one request in flight. It lives in its shard's slab from the
// claim in the duplicate cache until its answer is sent (or will never be),
// and is touched by that shard only.
type Exchange struct {
	gen   uint32 // grows each time the slot is taken; part of every token
	stage stage
	kind  home.Kind
	id    uint8 // the client's Identifier

	displaced bool // the client has begun anew
	answered  bool // the client has its answer (durable accounting)
	toSpool   bool // the record is on its way to disk
	waits     bool // the first copy of it is
	conflict  bool // contradicts another record
	onDisk    bool
	homeDone  bool   // the home has answered, or there is none
	failed    bool   // no home took it
	viaHome   bool   // its first copy is owed to nobody: only the home can take it
	letter    Letter // and none ever can: why
	owed      bool   // marked in the spool until a home takes it
	entered   bool   // counted among what its session owes
	turn      bool   // the one of its session that may be sent
	replay    bool   // comes from the spool, has no client
	tallied   bool   // what its client's filter has done is counted
	stateful  bool   // carries State: belongs to one home
	seeks     bool   // its pool is being discovered, or has to be

	settlement settlement
	link       *link          // of its home, where sock is onLink
	number     uint32         // under which it is under way there
	homeSecret *radius.Secret // that its home answers with

	sent    uint8 // transmissions to the present home
	homeID  uint8
	sock    int32
	homeIdx int32  // -1: none
	tried   uint64 // members of the pool already used, or barred
	barred  uint64 // members that the request must not be sent to
	shifts  uint8  // realms of ours taken from the front of its name
	states  uint8  // Proxy-States that it came with, as far as that counts
	print   uint64 // under which a loop would be known, 0: none

	door     door           // where it came in; none of a replay
	operator *operator      // of its connection's certificate, nil: it has none
	secret   *radius.Secret // of its request and its answer; nil of a replay, in which nothing is hidden (RFC 2866 section 4.1)
	from     udp.Addr
	local    udp.LocalInfo
	entry    dedup.Entry

	auth     [16]byte // the client's Request Authenticator
	homeAuth [16]byte // ours toward the home
	nonce    uint32   // inside our Proxy-State

	began   int64  // monotonic ns, arrival
	firstAt int64  // monotonic ns, first transmission to the present home
	sentAt  int64  // monotonic ns, last transmission
	rt      int64  // present retransmission timeout
	key     uint64 // of the device
	realm   uint64 // names the realm to the breaker, 0: there is none
	turns   uint16 // waited for a commit
	event   accounting.Key
	content uint64
	seq     uint64 // in the spool
	session uint32 // of debts
	why     Reason // it failed for
	lane    *lane  // of a replay

	snap    *Snapshot
	client  *client.Client
	visitor *visitor // of a replay whose client is still known
	route   *realm.Route
	pool    *home.Pool
	profile *device.Profile

	buf []byte // the request as received; owned by the slab
}

// orphan reports whether nobody waits for the answer any more: the client has
// begun anew, or the connection has ended that it asked by.
func (ex *Exchange) orphan() bool {
	return ex.displaced || ex.door.conn != nil && ex.door.conn.closed
}

// arrives reports whether what was sent to the home needs no repetition: it
// went by a connection that loses nothing, which DTLS does.
func (ex *Exchange) arrives() bool {
	return ex.link != nil && ex.link.conn.transport != realm.DTLS
}

// clientRepeats reports whether the repetitions toward the home are the
// client's own, as the pool may say. Over a connection a client has none
// (draft-ietf-radext-radiusdtls-bis section 6.2.2).
func (ex *Exchange) clientRepeats() bool {
	return ex.door.conn == nil && ex.pool.Spec.Retransmit == realm.RetransmitClient
}

const (
	slabChunk = 1024
	noSlot    = ^uint32(0)
)

// slab holds the Exchanges of a shard and the buffers of their requests.
// Chunks are never moved, so a pointer stays good while its slot is taken.
type slab struct {
	chunks [][]Exchange
	free   []uint32
	bufs   [len(bufSizes)][][]byte
	max    int
	used   int
}

// bufSizes are the buffer classes: a PAP request, an EAP fragment, the
// protocol's limit.
var bufSizes = [...]int{512, 1536, radius.MaxLen}

func (s *slab) at(slot uint32) *Exchange {
	return &s.chunks[slot/slabChunk][slot%slabChunk]
}

// resolve gives the Exchange a token was made for, nil when it has ended.
func (s *slab) resolve(token uint64) (uint32, *Exchange) {
	slot := uint32(token)
	if int(slot/slabChunk) >= len(s.chunks) {
		return noSlot, nil
	}
	ex := s.at(slot)
	if ex.stage == stageFree || ex.gen != uint32(token>>32) {
		return noSlot, nil
	}
	return slot, ex
}

func (s *slab) token(slot uint32) uint64 {
	return uint64(s.at(slot).gen)<<32 | uint64(slot)
}

// take gives a cleared slot, noSlot when max are in use.
func (s *slab) take() uint32 {
	if s.used >= s.max {
		return noSlot
	}
	if len(s.free) == 0 {
		s.grow()
	}
	slot := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.used++
	ex := s.at(slot)
	*ex = Exchange{gen: ex.gen + 1, homeIdx: -1}
	return slot
}

func (s *slab) grow() {
	base := uint32(len(s.chunks) * slabChunk)
	s.chunks = append(s.chunks, make([]Exchange, slabChunk))
	for i := range uint32(slabChunk) {
		s.free = append(s.free, base+slabChunk-1-i)
	}
}

// keep copies the request into a buffer of the slot.
func (s *slab) keep(ex *Exchange, b []byte) {
	class := 0
	for len(b) > bufSizes[class] {
		class++
	}
	list := s.bufs[class]
	if n := len(list); n > 0 {
		ex.buf = list[n-1]
		s.bufs[class] = list[:n-1]
	} else {
		ex.buf = make([]byte, bufSizes[class])
	}
	ex.buf = ex.buf[:copy(ex.buf[:cap(ex.buf)], b)]
}

// put frees the slot and its buffer.
func (s *slab) put(slot uint32) {
	ex := s.at(slot)
	if ex.stage == stageFree {
		panic("aaa: exchange released twice")
	}
	if ex.buf != nil {
		for class, size := range bufSizes {
			if cap(ex.buf) == size {
				s.bufs[class] = append(s.bufs[class], ex.buf)
			}
		}
	}
	gen := ex.gen
	*ex = Exchange{gen: gen}
	s.free = append(s.free, slot)
	s.used--
}

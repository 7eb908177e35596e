package dynauth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// Clock is the time of an event.
type Clock struct {
	Now  int64 // monotonic ns
	Wall int64 // unix seconds
}

// Source is where a home's request came from, and how its answer gets back.
type Source struct {
	From  netip.AddrPort
	Local udp.LocalInfo
	Front int        // door it came to; of a connection what no other has, below 0
	Way   Connection // that it came by and is answered by, nil: the door
}

// Step is a place on the way where filters change a packet.
type Step uint8

const (
	FromHome   Step = iota // a request, as the hub takes it
	ToClient               // as the client gets it
	FromClient             // its answer, as the hub takes it
	ToHome                 // as the home gets it
)

// Kinds of event.
const (
	Received  = iota // a request that is what it claims to be
	Forwarded        // sent on for the first time
	Retransmitted
	Moved   // sent on by another connection
	Replied // the home has its answer
	Dropped // a packet that was silently discarded
)

// Event is something to count. Names are those of the configuration, "" where
// there is none.
type Event struct {
	Kind   int
	Code   radius.Code // of the request, or of the answer where it has Replied
	Home   string
	Client string
	Why    Reason // OK: the client has answered
	Cause  uint32 // Error-Cause of an answer, 0 none
	From   netip.AddrPort
}

// Config is what a Machine works with.
type Config struct {
	Book     *Book
	Identity []byte // keys what names a NAS, the same for all hubs of an operator
	// Answer sends a packet to a home. b is not retained.
	Answer func(to Source, b []byte)
	// Note hears of events, nil: nobody does.
	Note func(Event)
	// Filter writes into buf what a step leaves of p and returns it, or nil
	// where that is p itself. It is not ok where the packet may not pass. A nil
	// Filter changes nothing.
	Filter func(step Step, buf []byte, p *radius.Packet, home *realm.Home, client *realm.Client) (changed []byte, ok bool)
	// MaxPending bounds the requests on their way, 0: 8192.
	MaxPending int
}

const (
	defaultPending = 8192
	keepAnswers    = int64(30 * time.Second) // for repetitions (RFC 5080 section 2.2.2)
	window         = 300                     // seconds that an Event-Timestamp may differ (RFC 5176 section 6.3)
	maxAnswers     = 1 << 16
)

// Machine is the walk of CoA and Disconnect requests. It belongs to one
// goroutine.
type Machine struct {
	conf   Config
	book   *Book
	table  *Table
	sealer *Sealer
	crypt  *radius.Crypt
	tag    cipher.Block // keys our Proxy-State

	links   map[int32][]*link // by client's name in the Book
	known   map[repeatKey]*exchange
	oldest  []*exchange // answered, in order; nil: forgotten
	gone    int         // how many have left oldest
	pending int
	shares  map[string]*share // of homes, by name
	timers  timers

	request, changed, answer radius.Packet
	w                        radius.Writer
	out, scratch, spare      [radius.MaxLen]byte
	states                   [radius.MaxLen]byte
	tagIn, tagOut            [aes.BlockSize]byte
	proxy                    [ownProxyState]byte
	found                    []Found
}

// repeatKey tells a repetition from a new request.
type repeatKey struct {
	from  netip.AddrPort
	front int
	code  radius.Code
	id    uint32 // or token
}

// exchange is one request: on its way, or answered and kept for repetitions.
type exchange struct {
	key     repeatKey
	src     Source
	sender  *Sender
	auth    [16]byte // the home's
	signed  bool     // it carries a Message-Authenticator
	request []byte   // as received
	clients []*Client
	ways    []*link // tried

	link    *link   // nil: not on its way
	client  *Client // whose secret it was written with
	out     []byte
	secret  *radius.Secret // that signs it
	outAuth [16]byte
	outID   uint8
	sent    int
	rt      int64
	began   int64
	sentAt  int64
	first   int64 // to the present connection
	timer   int   // place in the heap, -1 none
	due     int64

	reply []byte // answered
	at    int64
	place int // in oldest, from when the first came there
}

// NewMachine makes a Machine for a Table.
func NewMachine(conf Config, table *Table) *Machine {
	if conf.MaxPending == 0 {
		conf.MaxPending = defaultPending
	}
	if conf.Note == nil {
		conf.Note = func(Event) {}
	}
	var key [aes.BlockSize]byte
	_, _ = rand.Read(key[:])
	tag, err := aes.NewCipher(key[:])
	if err != nil {
		panic("dynauth: " + err.Error()) // the length is that of a key
	}
	return &Machine{
		conf: conf, book: conf.Book, table: table, sealer: NewSealer(conf.Identity), crypt: radius.NewCrypt(), tag: tag,
		links: make(map[int32][]*link), known: make(map[repeatKey]*exchange), shares: make(map[string]*share),
	}
}

// Adopt takes a newer configuration over. Connections of clients that it no
// longer lets take requests are the caller's to detach; requests on their way
// end with the client they were sent to.
func (m *Machine) Adopt(t *Table) {
	m.table = t
	for name, links := range m.links {
		if c := t.byName[name]; c != nil {
			for _, l := range links {
				l.client = c
			}
		}
	}
}

// Table is the configuration in use.
func (m *Machine) Table() *Table { return m.table }

// Pending is the number of requests on their way.
func (m *Machine) Pending() int { return m.pending }

// Request takes a datagram from where homes send.
func (m *Machine) Request(src Source, datagram []byte, now Clock) {
	p := &m.request
	senders := m.table.Senders(src.From.Addr())
	if len(senders) == 0 {
		m.drop(Stranger, "", src)
		return
	}
	if p.Parse(datagram) != radius.OK {
		m.drop(Malformed, senders[0].Spec.Name, src)
		return
	}
	s, why := m.authentic(senders, p, now)
	if why != OK {
		m.drop(why, s.Spec.Name, src)
		return
	}
	m.take(s, src, p, uint32(p.Identifier()), now)
}

// RequestBy takes a packet that a home has sent by a connection which we have
// opened to it: the connection says who the home is.
func (m *Machine) RequestBy(home string, src Source, packet []byte, now Clock) {
	p := &m.request
	s := m.table.reversed[home]
	switch {
	case s == nil:
		m.drop(Stranger, home, src)
		return
	case p.Parse(packet) != radius.OK:
		m.drop(Malformed, home, src)
		return
	}
	if own := src.Way.Secret(); own != nil {
		as := *s
		as.Secret = own
		s = &as
	}
	s, why := m.authentic([]*Sender{s}, p, now)
	if why != OK {
		m.drop(why, home, src)
		return
	}
	id := uint32(p.Identifier())
	if s.Secret.IsClear() {
		id = radius.Token(p.Authenticator())
	}
	m.take(s, src, p, id, now)
}

// take goes on with a request that is what it claims to be.
func (m *Machine) take(s *Sender, src Source, p *radius.Packet, id uint32, now Clock) {
	m.note(Event{Kind: Received, Code: p.Code(), Home: s.Spec.Name})
	key := repeatKey{src.From, src.Front, p.Code(), id}
	if old := m.known[key]; old != nil {
		if old.auth == *p.Authenticator() {
			m.repeated(old)
			return
		}
		m.forget(old) // the home has given it up (RFC 5080 section 2.2.2)
	}
	if m.full(s) {
		m.drop(Overload, s.Spec.Name, src)
		return
	}
	ex := &exchange{key: key, src: src, sender: s, auth: *p.Authenticator(), signed: p.Has(radius.MessageAuthenticator) && !s.Secret.IsClear(), began: now.Now, timer: -1}
	ex.request = append(ex.request, p.Bytes()...)
	m.known[key] = ex
	m.shares[s.Spec.Name].known++
	why := m.route(ex, p, now)
	if why == ReversePath || why == NoSession || why == OtherSession {
		why = m.renamed(ex, p, why, now)
	}
	if why != OK {
		m.refuse(ex, why, now)
		return
	}
	m.forward(ex, now)
}

// share is how much of the memory one home has in use.
type share struct{ pending, known int }

// ofAll is the part of it that one home can have, so that one that never stops
// takes nothing from the others.
const ofAll = 4

// full reports whether there is no room for another request of a home.
func (m *Machine) full(s *Sender) bool {
	h := m.shares[s.Spec.Name]
	if h == nil {
		h = new(share)
		m.shares[s.Spec.Name] = h
	}
	return m.pending >= m.conf.MaxPending || len(m.known) >= maxAnswers ||
		h.pending >= max(m.conf.MaxPending/ofAll, 1) || h.known >= maxAnswers/ofAll
}

// authentic finds the home that has signed the request, and judges what comes
// before its attributes are used (RFC 5176 sections 2.3, 3.4 and 6.3). A home
// that must sign its answers with a Message-Authenticator must do so here.
func (m *Machine) authentic(senders []*Sender, p *radius.Packet, now Clock) (*Sender, Reason) {
	if c := p.Code(); c != radius.CoARequest && c != radius.DisconnectRequest {
		return senders[0], CodeNotServed
	}
	for _, s := range senders {
		if !m.crypt.CheckRequestAuthenticator(p, s.Secret) {
			continue
		}
		switch {
		case !p.Has(radius.MessageAuthenticator):
			if s.strict {
				return s, NoMessageAuthenticator
			}
		case !m.crypt.CheckMessageAuthenticator(p, s.Secret):
			return s, BadMessageAuthenticator
		}
		if !fresh(p, now.Wall) {
			return s, Stale
		}
		return s, OK
	}
	return senders[0], BadAuthenticator
}

// fresh judges every Event-Timestamp there is; without one a request cannot be
// told from a recording of it, which RFC 5176 leaves to the sender.
func fresh(p *radius.Packet, wall int64) bool {
	for a, off, ok := p.Next(p.From(radius.EventTimestamp)); ok; a, off, ok = p.Next(off) {
		if a.Type != radius.EventTimestamp {
			continue
		}
		v := a.Value()
		if len(v) != 4 {
			return false
		}
		if d := wall - int64(binary.BigEndian.Uint32(v)); d > window || d < -window {
			return false
		}
	}
	return true
}

// repeated answers a repetition with the same octets, or not while the first
// copy is on its way: the hub repeats it itself.
func (m *Machine) repeated(old *exchange) {
	if old.reply == nil {
		m.drop(Repeated, old.sender.Spec.Name, old.src)
		return
	}
	m.say(old.src, old.reply)
}

// say sends a packet back to where a request came from.
func (m *Machine) say(to Source, b []byte) {
	if to.Way != nil {
		to.Way.Send(b)
		return
	}
	m.conf.Answer(to, b)
}

// refuse answers with a NAK of our own.
func (m *Machine) refuse(ex *exchange, why Reason, now Clock) {
	if why.Dropped() {
		m.drop(why, ex.sender.Spec.Name, ex.src)
		m.forget(ex)
		return
	}
	if m.request.Parse(ex.request) != radius.OK {
		panic("dynauth: kept request no longer parses")
	}
	m.nak(ex, &m.request, why.ErrorCause(), why, now)
}

// nak answers a request with a NAK and an Error-Cause. Where its Proxy-States
// alone fill a packet there is no answer that could find its way.
func (m *Machine) nak(ex *exchange, p *radius.Packet, cause uint32, why Reason, now Clock) {
	const toNAK = 2
	m.w.Start(m.out[:], p.Code()+toNAK, ex.identifier(), ex.signed)
	if !m.w.AddErrorCause(cause) || !m.w.Raw(m.proxyStates(p)) {
		m.drop(TooLong, ex.sender.Spec.Name, ex.src)
		m.forget(ex)
		return
	}
	m.reply(ex, why, cause, "", now)
}

// identifier is what the answer to the home has; where there are tokens it is
// zero (RFC 9765 section 4.1).
func (ex *exchange) identifier() uint8 {
	if ex.sender.Secret.IsClear() {
		return 0
	}
	return uint8(ex.key.id)
}

// reply signs what m.w has built, sends it and keeps it for repetitions.
func (m *Machine) reply(ex *exchange, why Reason, cause uint32, client string, now Clock) {
	b := m.w.SignResponse(m.crypt, ex.sender.Secret, &ex.auth)
	m.say(ex.src, b)
	m.leave(ex)
	ex.reply, ex.at = append([]byte(nil), b...), now.Now
	ex.request, ex.out, ex.clients, ex.ways = nil, nil, nil, nil
	ex.place = m.gone + len(m.oldest)
	m.oldest = append(m.oldest, ex)
	m.note(Event{Kind: Replied, Code: radius.Code(b[0]), Home: ex.sender.Spec.Name, Client: client, Why: why, Cause: cause})
}

// leave ends what is on its way for ex.
func (m *Machine) leave(ex *exchange) {
	if ex.link != nil {
		ex.link.release(ex.outID)
		ex.link = nil
		m.pending--
		m.shares[ex.sender.Spec.Name].pending--
	}
	m.timers.remove(ex)
}

// forget lets a repetition be a new request.
func (m *Machine) forget(ex *exchange) {
	m.leave(ex)
	if ex.reply != nil {
		m.oldest[ex.place-m.gone] = nil // a home that uses its identifiers again does not fill the memory
	}
	if m.known[ex.key] == ex {
		delete(m.known, ex.key)
		m.shares[ex.sender.Spec.Name].known--
	}
}

// Tick does what is due and says when it wants to be called again, 0 for never.
func (m *Machine) Tick(now Clock) (next int64) {
	for {
		ex := m.timers.first()
		if ex == nil || ex.due > now.Now {
			break
		}
		m.timers.remove(ex)
		m.expired(ex, now)
	}
	n := 0
	for n < len(m.oldest) && (m.oldest[n] == nil || now.Now-m.oldest[n].at >= keepAnswers) {
		if m.oldest[n] != nil {
			m.forget(m.oldest[n])
		}
		n++
	}
	if n > 0 {
		m.oldest = slices.Delete(m.oldest, 0, n)
		m.gone += n
	}
	if ex := m.timers.first(); ex != nil {
		next = ex.due
	}
	if len(m.oldest) > 0 {
		if end := m.oldest[0].at + keepAnswers; next == 0 || end < next {
			next = end
		}
	}
	return next
}

func (m *Machine) note(e Event) { m.conf.Note(e) }

func (m *Machine) drop(why Reason, home string, src Source) {
	m.note(Event{Kind: Dropped, Home: home, Why: why, From: src.From})
}

// proxyStates collects those of the home's request: they go back whole and in
// order (RFC 5176 section 3.1).
func (m *Machine) proxyStates(p *radius.Packet) []byte {
	n := 0
	for a, off, ok := p.Next(p.From(radius.ProxyState)); ok; a, off, ok = p.Next(off) {
		if a.Type == radius.ProxyState {
			n += copy(m.states[n:], a.Raw)
		}
	}
	return m.states[:n]
}

package home

import (
	"slices"
)

// The times of a Trunk.
const (
	hope           = second     // for a connection that is being opened (RFC 7585 section 2.1.1.2)
	reconnectFloor = second / 2 // draft-ietf-radext-radiusdtls-bis section 3.9.1
	reconnectCap   = 60 * second
	surplusIdle    = 5 * 60 * second // of a connection beside another
	drainTime      = 10 * second
	watchIdle      = 30 * second // Tw of RFC 3539 section 3.4.1, moved by up to 2 s
	watchBusy      = second      // requests are under way and nothing was heard
	watchFloor     = 6 * second  // between two Status-Servers, and for the answer
	// worn is after how many TLS records either way a connection is replaced:
	// the limit of AES-GCM is 2^24.5 of them (RFC 8446 section 5.5), and
	// crypto/tls starts no key update.
	worn = 1 << 23
)

// Wire is what a Link runs over.
type Wire interface {
	// Full reports that the peer takes too little: nothing more can be sent.
	Full() bool
	// Records counts what was sent and received under the present keys.
	Records() (in, out uint64)
}

// Link is one connection to a home that stands.
type Link struct {
	*Numbers
	Wire   Wire
	Serial uint32 // of the connection in its Trunk

	stale    bool  // another is to take its place
	draining int64 // nothing new is sent since, 0: it is in use
	opened   int64
	heard    int64 // the last packet that proved to be the home's
	used     int64 // the last request
	asked    int64 // the first request since something was heard
	probe    watch
}

// watch is the watchdog of a Link (RFC 3539 section 3.4).
type watch struct {
	out    bool
	owed   bool // the last one was never answered
	number uint32
	sent   int64
	auth   [16]byte
	jitter uint32
}

// TrunkConfig is how many connections a Trunk has and how it watches them.
type TrunkConfig struct {
	Links int   // at most; RADIUS/1.1 needs one
	Eager bool  // one is opened before anybody needs it
	Probe bool  // the home knows Status-Server
	Once  bool  // an attempt that failed is made again only where a request needs it
	Idle  int64 // after so long without a request the last one is closed too, 0: never
	Seed  uint64
}

// Trunk is the connections of one shard to one home for one kind of request: how
// many there are, which takes a request, when another is opened and when one
// has to go. It knows neither sockets nor a clock: its owner tells what happens
// and does what Dial and Step ask for.
//
// A connection is opened when a request finds no number on those that stand; one
// attempt at a time, and after an attempt that failed or a connection that broke
// not before a pause, from half a second growing to a minute, whatever waits
// (draft-ietf-radext-radiusdtls-bis section 3.9.1). A peer that ends a
// connection on which nothing is under way has done nothing wrong: the next
// request opens another.
//
// Once is for homes that were found by DNS: a target that has failed is passed
// over until DNS is asked again (RFC 7585 section 2.1.1.2), or until there is no
// other.
//
// Renew has all connections replaced: they serve until another stands, then
// they drain. It is what a new certificate needs, and a connection that has
// carried so much that its keys are worn.
type Trunk struct {
	conf    TrunkConfig
	links   []*Link
	next    int
	serial  uint32 // of the last attempt
	trying  bool
	void    bool  // it was begun before Renew
	late    bool  // the attempt is
	began   int64 // of the attempt
	wanted  bool  // a request found no number
	needed  int64 // when one did last
	asleep  bool  // the peer or we have ended an idle connection: none before it is needed
	failed  bool  // the last attempt did, or a connection broke since
	pause   int64 // before the next attempt, 0: no attempt has failed lately
	retry   int64 // not before
	closing bool
	rnd     random
}

// NewTrunk returns a Trunk without connections.
func NewTrunk(conf TrunkConfig) *Trunk {
	conf.Links = max(conf.Links, 1)
	return &Trunk{conf: conf, rnd: random(conf.Seed)}
}

// Configure changes what a reload has changed.
func (t *Trunk) Configure(conf TrunkConfig) {
	conf.Links, conf.Seed = max(conf.Links, 1), t.conf.Seed
	t.conf = conf
	t.closing = false
}

// Links are the connections that stand. The slice must not be changed.
func (t *Trunk) Links() []*Link { return t.links }

// Hopeful reports whether it is better to wait for a connection that is being
// opened than to go elsewhere: nothing speaks against it yet.
func (t *Trunk) Hopeful(now int64) bool {
	return t.trying && !t.failed && now-t.began < hope
}

// Broken reports whether there is no connection, and either the last attempt or
// connection has failed, or the present attempt takes too long, or there will be
// none.
func (t *Trunk) Broken(now int64) bool {
	return len(t.links) == 0 && (t.failed || t.closing || t.trying && now-t.began >= hope)
}

// Late reports, once for each attempt, that it takes so long that those who wait
// for it should go elsewhere. It goes on.
func (t *Trunk) Late(now int64) bool {
	late := t.trying && !t.late && now-t.began >= hope
	t.late = t.late || late
	return late
}

// Acquire gives the Exchange in slot a number on one of the connections; nil:
// there is none now, and Dial may ask for another connection.
// hot: 0 allocs
func (t *Trunk) Acquire(slot uint32, now int64) (l *Link, number uint32) {
	for _, stale := range [2]bool{false, true} {
		// To ask whether a connection is full may end it.
		for n := len(t.links); n > 0 && len(t.links) > 0; n-- {
			if t.next >= len(t.links) {
				t.next = 0
			}
			l = t.links[t.next]
			if l.stale == stale && l.draining == 0 && !l.Wire.Full() {
				if number, ok := l.Take(slot, now); ok {
					l.used = now
					if l.asked < l.heard {
						l.asked = now
					}
					return l, number
				}
			}
			t.next++
		}
	}
	t.wanted, t.needed = true, now
	return nil, 0
}

// Wake has an eager Trunk whose connection went idle open one again.
func (t *Trunk) Wake() { t.asleep = false }

// Dial reports whether a connection is to be opened now, and counts it as begun.
// Opened or Failed must follow, with its serial.
func (t *Trunk) Dial(now int64) (serial uint32, ok bool) {
	if t.closing || t.trying || now < t.retry {
		return 0, false
	}
	fresh, stale, most := 0, 0, t.conf.Links
	for _, l := range t.links {
		switch {
		case l.draining != 0:
		case l.stale:
			stale++
		default:
			fresh++
		}
		if l.Tokens() {
			most = 1
		}
	}
	switch {
	case fresh == 0 && stale > 0:
	case t.wanted && fresh < most:
	case fresh == 0 && !t.asleep && !t.conf.Once && (t.conf.Eager || t.failed && now-t.needed < reconnectCap):
	default:
		return 0, false
	}
	t.serial++
	t.trying, t.late, t.began = true, false, now
	return t.serial, true
}

// Opened adds a connection. nil: it is not wanted any more, and to be closed.
func (t *Trunk) Opened(serial uint32, w Wire, tokens bool, now int64) *Link {
	if !t.trying || serial != t.serial {
		return nil
	}
	t.trying = false
	if t.closing || t.void {
		t.void = false
		return nil
	}
	l := &Link{Numbers: NewNumbers(tokens), Wire: w, Serial: serial, opened: now, heard: now, used: now}
	l.probe.jitter = uint32(t.rnd.next())
	t.links = append(t.links, l)
	t.wanted, t.asleep, t.failed = false, false, false
	for _, old := range t.links {
		if old.stale && old.draining == 0 {
			old.draining = now
		}
	}
	return l
}

// Failed ends an attempt; false: it says nothing of the home.
func (t *Trunk) Failed(serial uint32, now int64) bool {
	if !t.trying || serial != t.serial {
		return false
	}
	t.trying = false
	if t.void {
		t.void = false
		return false
	}
	t.wanted = t.wanted && !t.conf.Once
	t.back(now)
	return true
}

// Postpone takes an attempt back that could not be begun.
func (t *Trunk) Postpone(serial uint32, now int64) {
	if t.trying && serial == t.serial {
		t.trying, t.void, t.retry = false, false, now+reconnectFloor
	}
}

// back makes the next attempt wait, twice as long as the last one, or as short
// as it may be.
func (t *Trunk) back(now int64) {
	t.failed, t.asleep = true, false
	t.pause = min(max(2*t.pause, reconnectFloor), reconnectCap)
	// Half of it by chance, so that the shards of many hubs do not come at once;
	// never less than the floor.
	t.retry = now + max(reconnectFloor, t.pause/2+int64(t.rnd.next()%uint64(t.pause/2+1)))
}

// Lost takes a connection away that has ended. idle: its peer has ended it in
// order, or we have. Those that were under way on it are for the caller to take
// from it before.
func (t *Trunk) Lost(l *Link, idle bool, now int64) {
	i := slices.Index(t.links, l)
	if i < 0 {
		return
	}
	t.links = slices.Delete(t.links, i, i+1)
	switch {
	case l.draining != 0:
	case idle:
		t.retry = max(t.retry, l.opened+reconnectFloor)
		t.asleep = t.asleep || len(t.links) == 0
	default:
		t.back(now)
	}
}

// Heard notes a packet that proved to be the home's.
// hot: 0 allocs
func (t *Trunk) Heard(l *Link, now int64) {
	l.heard = now
	l.probe.out = false
	t.pause = 0
}

// Renew has every connection replaced by a new one. An attempt that is under way
// counts for nothing: it judges the home by what was said of it before.
func (t *Trunk) Renew() {
	for _, l := range t.links {
		l.stale = true
	}
	t.void = t.trying
}

// Leave is Renew where the home is somebody else now: connections to who it was
// take nothing more, whether there is another or not.
func (t *Trunk) Leave(now int64) {
	t.Renew()
	for _, l := range t.links {
		if l.draining == 0 {
			l.draining = now
		}
	}
}

// Close ends the Trunk: what is under way has some seconds to be answered.
func (t *Trunk) Close(now int64) {
	t.closing = true
	for _, l := range t.links {
		if l.draining == 0 {
			l.draining = now
		}
	}
}

// Closing reports whether the Trunk was closed.
func (t *Trunk) Closing() bool { return t.closing }

// Over reports whether nothing of a Trunk that was closed is left.
func (t *Trunk) Over() bool { return t.closing && len(t.links) == 0 && !t.trying }

// Need is what is to be done with a connection.
type Need uint8

// The needs.
const (
	NeedNothing Need = iota
	NeedProbe        // send a Status-Server: see Trunk.Probing
	NeedRelease      // close it: nothing is under way any more, or for too long
	NeedRest         // close it: it was of no use for long
	NeedBreak        // close it: the watchdog was not answered
)

// Step looks after the connections. It is called some ten times a second, and
// calls do for each of those that need something; do may call Lost.
func (t *Trunk) Step(now int64, do func(*Link, Need)) {
	for i := len(t.links) - 1; i >= 0; i-- {
		if i >= len(t.links) {
			continue
		}
		l := t.links[i]
		if need := t.need(l, now); need != NeedNothing {
			do(l, need)
		}
	}
}

func (t *Trunk) need(l *Link, now int64) Need {
	l.stale = l.stale || l.Worn()
	switch {
	case l.draining != 0 && (l.Len() == 0 || now-l.draining >= drainTime):
		return NeedRelease
	case l.Len() == 0 && l.draining == 0 && t.idle(l, now):
		return NeedRest
	case !t.conf.Probe:
		return NeedNothing
	case l.probe.out && now-l.probe.sent >= watchFloor+10*tenth(second, l.probe.jitter)+second:
		return NeedBreak
	case !l.probe.out && l.draining == 0 && t.watches(l, now):
		return NeedProbe
	}
	return NeedNothing
}

func (t *Trunk) idle(l *Link, now int64) bool {
	quiet := now - l.used
	return t.conf.Idle > 0 && quiet >= t.conf.Idle || len(t.links) > 1 && quiet >= surplusIdle
}

// watches reports whether it is time for a Status-Server: after Tw without a
// packet, and sooner where requests are not answered. The first one says that
// the home is ready.
func (t *Trunk) watches(l *Link, now int64) bool {
	quiet := now - l.heard
	switch {
	case l.probe.sent == 0:
		return true
	case now-l.probe.sent < watchFloor:
		return false
	case l.Len() > 0 && quiet >= watchBusy && now-l.asked >= watchBusy:
		return true
	}
	return quiet >= watchIdle+20*tenth(second, l.probe.jitter)
}

// Probing begins a Status-Server on the connection and gives its number. auth is
// for the caller to fill.
//
// Where the number is always the same, a late answer could not be told from a wrong
// one: as long as one is owed, auth is again what it was.
func (t *Trunk) Probing(l *Link, now int64) (number uint32, auth *[16]byte, again bool) {
	number = l.Probe()
	again = l.probe.owed && l.probe.number == number
	if !again {
		l.probe = watch{number: number}
	}
	l.probe.out, l.probe.owed, l.probe.sent, l.probe.jitter = true, true, now, uint32(t.rnd.next())
	return number, &l.probe.auth, again
}

// Probed says whether a number is that of a Status-Server that is not answered,
// and gives its authenticator.
func (l *Link) Probed(number uint32) (auth *[16]byte, ok bool) {
	return &l.probe.auth, l.probe.owed && l.probe.number == number
}

// Vouched notes the answer to a Status-Server.
func (l *Link) Vouched() { l.probe.owed = false }

// Worn reports whether the connection has carried so much that it needs new keys.
func (l *Link) Worn() bool {
	in, out := l.Wire.Records()
	return in >= worn || out >= worn
}

package screen

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// Screen has the rules of all peers, and what they have learned.
type Screen struct {
	identity, realm string
	senders         []sender
	peers           map[string]int32 // by identity
	base            *realm.Screening
	known           *subscribers // nil: no rule needs it
	seed            maphash.Seed
	began           int64
	// host and origin are where a message's origin is folded to.
	host, origin [maxIdentity]byte
}

// sender is what the rules need to know of a peer.
type sender struct {
	rules           *realm.Screening
	identity, realm string
	origins         *realm.Names
	ours            bool // our realm is one of its own
	// on has a bit for each rule that is not off.
	on uint16
}

func (p *sender) has(r realm.ScreenRule) bool { return p.on&(1<<r) != 0 }

const (
	class3   = 1<<realm.ScreenVisitedPLMN | 1<<realm.ScreenPrevious | 1<<realm.ScreenVelocity | 1<<realm.ScreenRate
	stateful = 1<<realm.ScreenPrevious | 1<<realm.ScreenVelocity | 1<<realm.ScreenRate
)

// New makes a Screen of a node with an Origin-Host and an Origin-Realm, folded. The
// learning period begins at now, monotonic nanoseconds. base are the rules of peers
// where no file has any.
func New(identity, ownRealm string, base *realm.Screening, now int64) *Screen {
	return &Screen{
		identity: identity, realm: ownRealm, base: base, seed: maphash.MakeSeed(), began: now,
	}
}

// Apply takes a configuration. What has been learned stays, unless the room for it
// changes.
func (s *Screen) Apply(set *realm.Set) {
	s.senders = make([]sender, len(set.Peers))
	s.peers = make(map[string]int32, len(set.Peers))
	room := 0
	for i := range set.Peers {
		p := &set.Peers[i]
		one := sender{rules: set.Screened(p, s.base), identity: p.Identity, realm: p.Realm, origins: p.Origins}
		one.ours = p.Realm == s.realm || p.Origins != nil && p.Origins.Allow([]byte(s.realm))
		for r := range realm.NumScreenRules {
			if one.rules.Rules[r].Mode != realm.ScreenOff {
				one.on |= 1 << r
			}
		}
		if one.on&stateful != 0 {
			room = max(room, one.rules.Subscribers)
		}
		s.senders[i] = one
		s.peers[p.Identity] = int32(i)
	}
	switch {
	case room == 0:
		s.known = nil
	case s.known == nil || s.known.room != room:
		s.known = newSubscribers(room)
	}
}

// Found is what the rules say of a request.
type Found struct {
	// Mode is that of the rule that decides: off where none is broken.
	Mode realm.ScreenMode
	Rule realm.ScreenRule
	// Result and Vendor are for ScreenAnswer.
	Result, Vendor uint32
	// Broken has a bit for each rule that is broken, 1 << rule.
	Broken uint16
	// Rules are those that the peer is judged by.
	Rules *realm.Screening
	// Seen is to be given to Learn when the request has been answered.
	Seen Seen
}

// Seen is what can be learned of a request. The zero Seen is nothing.
type Seen struct {
	key     uint64
	network realm.Network // 0: the subscriber is gone from where it was
	set     bool
}

// Judge applies the rules to a request that came from a peer, an index into the Peers
// of the configuration; what comes from no peer is not judged. now is monotonic.
//
// hot: 0 allocs
func (s *Screen) Judge(peer int32, m *diameter.Message, now int64) (f Found) {
	return s.judge(peer, m, now, true)
}

// Peek is Judge that leaves no trace, to explain.
func (s *Screen) Peek(peer int32, m *diameter.Message, now int64) Found {
	return s.judge(peer, m, now, false)
}

func (s *Screen) judge(peer int32, m *diameter.Message, now int64, count bool) (f Found) {
	if peer < 0 || int(peer) >= len(s.senders) {
		return f
	}
	p := &s.senders[peer]
	f.Rules = p.rules
	if p.on == 0 {
		return f
	}
	j := judging{s: s, p: p, m: m, now: now, count: count}
	j.origin()
	j.crossing()
	if m.Application == diameter.AppS6a {
		j.home()
		j.visited()
	} else {
		j.messages()
	}
	f.Broken, f.Seen = j.broken&p.on, j.seen
	if f.Broken != 0 {
		s.decide(&f, now)
	}
	return f
}

// decide takes the first rule that does more than detect, else the first.
func (s *Screen) decide(f *Found, now int64) {
	learning := now-s.began < int64(f.Rules.Learn)
	for r := range realm.NumScreenRules {
		if f.Broken&(1<<r) == 0 {
			continue
		}
		a := f.Rules.Rules[r]
		if r.Learned() && learning {
			a.Mode = realm.ScreenDetect
		}
		if f.Mode == realm.ScreenOff || f.Mode == realm.ScreenDetect && a.Mode > realm.ScreenDetect {
			f.Mode, f.Rule, f.Result, f.Vendor = a.Mode, r, a.Result, a.Vendor
		}
	}
}

// Of gives the Screening that a peer is judged by.
func (s *Screen) Of(peer int32) *realm.Screening { return s.senders[peer].rules }

// ModeOf gives what a broken rule does now: one that learns detects.
func (s *Screen) ModeOf(f *Found, r realm.ScreenRule, now int64) realm.ScreenMode {
	if mode := f.Rules.Rules[r].Mode; mode <= realm.ScreenDetect || !r.Learned() || now-s.began >= int64(f.Rules.Learn) {
		return mode
	}
	return realm.ScreenDetect
}

// Learning gives how long rules of peers that learn only detect from now on, 0: none
// does.
func (s *Screen) Learning(now int64) (left time.Duration) {
	for i := range s.senders {
		for r := range realm.NumScreenRules {
			if rules := s.senders[i].rules; r.Learned() && rules.Rules[r].Mode > realm.ScreenDetect {
				left = max(left, rules.Learn-time.Duration(now-s.began))
			}
		}
	}
	return left
}

// Learn takes what the home has answered with success.
//
// hot: 0 allocs
func (s *Screen) Learn(seen Seen, now int64) {
	if !seen.set || s.known == nil {
		return
	}
	u := s.known.of(seen.key)
	u.network, u.seen = seen.network, s.seconds(now)
}

// Len counts the subscribers that something is known of.
func (s *Screen) Len() int {
	if s.known == nil {
		return 0
	}
	return s.known.used
}

func (s *Screen) seconds(now int64) uint32 { return uint32((now-s.began)/int64(time.Second)) + 1 }

// judging is one request while it is judged.
type judging struct {
	s      *Screen
	p      *sender
	m      *diameter.Message
	now    int64
	count  bool
	broken uint16
	seen   Seen

	host, realm []byte // of the origin, folded
}

// maxIdentity is the longest name of a host or realm in DNS.
const maxIdentity = 255

func (j *judging) breaks(r realm.ScreenRule) { j.broken |= 1 << r }

// fold writes a name in lower case; nil: it is empty or longer than any.
func fold(dst *[maxIdentity]byte, name []byte) []byte {
	if len(name) == 0 || len(name) > len(dst) {
		return nil
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst[i] = c
	}
	return dst[:len(name)]
}

// origin is class 0: who says to have sent it.
func (j *judging) origin() {
	j.host = fold(&j.s.host, j.m.Value(diameter.KnownOriginHost))
	j.realm = fold(&j.s.origin, j.m.Value(diameter.KnownOriginRealm))
	if j.host == nil || j.realm == nil {
		j.breaks(realm.ScreenOriginHost)
		j.breaks(realm.ScreenOriginRealm)
		return
	}
	if string(j.host) == j.s.identity || !j.p.ours && string(j.realm) == j.s.realm {
		j.breaks(realm.ScreenOriginOwn)
	}
	if string(j.realm) != j.p.realm && !j.p.origins.Allow(j.realm) {
		j.breaks(realm.ScreenOriginRealm)
	}
	if j.p.has(realm.ScreenOriginHost) && !j.hostFits() {
		j.breaks(realm.ScreenOriginHost)
	}
	if j.p.has(realm.ScreenRouteRecord) && !j.recordsFit() {
		j.breaks(realm.ScreenRouteRecord)
	}
}

// hostFits reports whether the host can be of the realm: a configured peer is of its
// own, any other's name is below its realm.
func (j *judging) hostFits() bool {
	if i, ok := j.s.peers[string(j.host)]; ok {
		return j.s.senders[i].realm == string(j.realm)
	}
	n := len(j.host) - len(j.realm)
	return n > 1 && j.host[n-1] == '.' && string(j.host[n:]) == string(j.realm)
}

// mostRecords are more nodes than any request passes.
const mostRecords = 32

// recordsFit reports whether the Route-Records can be (RFC 6733 section 6.1.9): each
// node appends whom it has the request from, so the first is the origin, the sender is
// not among them, and there is none where the sender is the origin.
func (j *judging) recordsFit() bool {
	direct := string(j.host) == j.p.identity
	if direct || j.m.Routes == 0 || j.m.Routes > mostRecords {
		return direct && j.m.Routes == 0
	}
	first := true
	var a diameter.AVP
	var buf [maxIdentity]byte
	for c := diameter.Walk(j.m.Body()); c.Next(&a); {
		if !a.Is(diameter.RouteRecord, 0) {
			continue
		}
		name := fold(&buf, a.Data)
		if name == nil || string(name) == j.p.identity || first && string(name) != string(j.host) {
			return false
		}
		first = false
	}
	return true
}

// crossing is class 1: what may not cross an interconnection.
func (j *judging) crossing() {
	if j.p.has(realm.ScreenApplication) && !slices.Contains(j.p.rules.Applications, j.m.Application) {
		j.breaks(realm.ScreenApplication)
	}
	if j.p.has(realm.ScreenCommand) &&
		(!commands(j.m.Application, j.m.Command) || slices.Contains(j.p.rules.Commands, j.m.Command)) {
		j.breaks(realm.ScreenCommand)
	}
}

// commands reports whether an application has a command, as far as that is known here.
func commands(application, command uint32) bool {
	switch application {
	case diameter.AppNASREQ:
		return command == diameter.AA || command == diameter.Accounting || session(command)
	case diameter.AppEAP:
		return command == diameter.EAP || command == diameter.Accounting || session(command)
	case diameter.AppSTa, diameter.AppSWm, diameter.AppS6b:
		return command == diameter.EAP || command == diameter.AA || session(command)
	case diameter.AppAccounting:
		return command == diameter.Accounting
	case diameter.AppCredit:
		return command == diameter.CreditControl || session(command)
	case diameter.AppS6a:
		return command >= diameter.UpdateLocation && command <= diameter.Notify
	case diameter.AppS13:
		return command == diameter.MEIdentityCheck
	case diameter.AppT6a:
		return command >= diameter.ConnectionManagement && command <= diameter.MTData ||
			command == diameter.ConfigurationInfo || command == diameter.ReportingInfo
	case diameter.AppSGd:
		return command == diameter.MOForwardSM || command == diameter.MTForwardSM || command == diameter.AlertServiceCentre
	case diameter.AppS6c:
		return command == diameter.SendRoutingInfoSM || command == diameter.ReportSMStatus || command == diameter.AlertServiceCentre
	}
	return true
}

// session reports whether a command ends or renews sessions of any application.
func session(command uint32) bool {
	return command == diameter.ReAuth || command == diameter.AbortSession || command == diameter.SessionTermination
}

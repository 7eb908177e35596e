package aaa

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/radius"
)

// onLink is the socket of an Exchange whose request goes over a connection.
const onLink = int32(-2)

// trunk is the connections of the shard to one home for one kind of request.
type trunk struct {
	*home.Trunk
	home *home.Home // as the present configuration has it
	kind home.Kind
}

// link is the home's side of a connection.
type link struct {
	*home.Link // nil until the shard has taken it
	shard      *Shard
	trunk      *trunk
	conn       *conn
	serial     uint32 // of the attempt
	home       int32  // its index
}

// Full reports that the home takes too little.
func (l *link) Full() bool { return l.shard.roomOf(l.conn) == nil }

// Records counts the TLS records each way.
func (l *link) Records() (in, out uint64) { return l.conn.Records() }

// links are the trunks of a shard.
type links struct {
	of     [][2]*trunk // by home and kind
	all    []*trunk
	tended int64
	slots  []uint32 // of what was under way on a connection that has ended
}

// tendEvery is how late a Trunk can be.
const tendEvery = int64(100 * time.Millisecond)

// trunkOf gives the trunk to a home as the present configuration has it.
func (s *Shard) trunkOf(hm *home.Home, kind home.Kind) *trunk {
	for int(hm.Index) >= len(s.links.of) {
		s.links.of = append(s.links.of, [2]*trunk{})
	}
	t := s.links.of[hm.Index][kind]
	if t == nil {
		t = &trunk{home: hm, kind: kind, Trunk: home.NewTrunk(s.trunkConfig(hm))}
		s.links.of[hm.Index][kind] = t
		s.links.all = append(s.links.all, t)
	} else if t.home != hm {
		t.become(s, hm)
	}
	return t
}

// become takes a home over as another configuration has it.
func (t *trunk) become(s *Shard, hm *home.Home) {
	switch {
	case !t.home.SameHolder(hm) || t.home.Spec.Name != hm.Spec.Name || t.home.Addr[t.kind] != hm.Addr[t.kind]:
		t.Leave(s.now)
	case !t.home.SameSecurity(hm):
		t.Renew()
		s.hub.Rejudge() // one of them may have come after it was done by these files
	}
	t.home = hm
	t.Configure(s.trunkConfig(hm))
}

func (s *Shard) trunkConfig(hm *home.Home) home.TrunkConfig {
	n := hm.Spec.Connections
	if n == 0 {
		n = defaultLinks
	}
	return home.TrunkConfig{
		Links: n, Eager: s.index == 0 && !hm.Found(), Once: hm.Found(), Probe: hm.Spec.StatusServer, Idle: int64(hm.Idle),
		Seed: uint64(s.random32())<<32 | uint64(s.random32()),
	}
}

// defaultLinks are the connections of a shard to a home for one kind of request.
const defaultLinks = 8

// adoptLinks brings the trunks in line with a configuration. Those of homes that
// are gone end when what is under way is answered.
func (s *Shard) adoptLinks() {
	live := make(map[*trunk]bool)
	for _, hm := range s.snap.Homes.Legs() {
		if !hm.Stream() || hm.Spec.Disabled {
			continue
		}
		for _, kind := range []home.Kind{home.Auth, home.Acct} {
			if hm.Has(kind) {
				live[s.trunkOf(hm, kind)] = true
			}
		}
	}
	for _, t := range s.links.all {
		if !live[t] && !t.home.Found() {
			t.Close(s.now)
		}
	}
	s.links.tended = 0
}

// tendLinks looks after the trunks, some ten times a second.
func (s *Shard) tendLinks() {
	if len(s.links.all) == 0 || s.now-s.links.tended < tendEvery && s.links.tended != 0 {
		return
	}
	s.links.tended = s.now
	over := false
	for _, t := range s.links.all {
		s.tend(t)
		over = over || t.Over()
	}
	if over {
		s.links.all = slices.DeleteFunc(s.links.all, func(t *trunk) bool {
			if t.Over() {
				s.links.of[t.home.Index][t.kind] = nil
			}
			return t.Over()
		})
	}
}

func (s *Shard) tend(t *trunk) {
	if t.home.Found() {
		switch now := s.snap.Homes.Home(t.home.Index); {
		case now == nil || now.Retired():
			t.Close(s.now)
		case now != t.home:
			t.become(s, now)
		}
	}
	if s.index == 0 && t.home.State[t.kind].IsCut() {
		t.Wake()
	}
	t.Step(s.now, func(l *home.Link, need home.Need) {
		c := l.Wire.(*link).conn
		switch need {
		case home.NeedProbe:
			s.probeLink(c)
		case home.NeedRelease:
			s.closeConn(c, t.released(l))
		case home.NeedRest:
			s.closeConn(c, ClosedIdle)
		case home.NeedBreak:
			s.closeConn(c, ClosedSilent)
		}
	})
	if t.Late(s.now) {
		s.moveOn(t)
	}
	s.dialTrunk(t)
}

// moveOn sends those that wait for a connection to another home of theirs, as
// far as they have one.
func (s *Shard) moveOn(t *trunk) {
	idx, kind := t.home.Index, t.kind
	for range s.pace.Waiting(idx, kind) {
		slot, ok := s.pace.Next(idx, kind, s.now)
		if !ok {
			return
		}
		switch ex := s.slab.at(slot); {
		case ex.orphan() && kind == home.Auth:
			s.end(slot)
		case !s.failOver(slot, ex):
			s.pace.Back(slot, idx, kind)
		}
	}
}

// released says why a connection that has drained was to go.
func (t *trunk) released(l *home.Link) Closing {
	switch {
	case t.Closing():
		return ClosedGone
	case l.Worn():
		return ClosedVolume
	}
	return ClosedRenewed
}

// dialTrunk begins to open a connection if one is wanted.
func (s *Shard) dialTrunk(t *trunk) {
	if t.home.Mode().Use == home.Off {
		return
	}
	if serial, ok := t.Dial(s.now); ok && !s.hub.dial(s, t, serial) {
		t.Postpone(serial, s.now)
	}
}

// undialled is told of an attempt that failed. Who waits for it goes elsewhere.
func (s *Shard) undialled(u undialled) {
	t := u.trunk
	if !t.Failed(u.serial, s.now) || t.Over() {
		return
	}
	state := t.home.State[t.kind]
	if state.Said() != u.said {
		s.hub.log.Warn("home cannot be reached", zap.String("home", t.home.Spec.Name), zap.Stringer("kind", t.kind),
			zap.String("to", addressOf(t.home, t.kind)), zap.Stringer("cause", u.why), zap.String("because", u.said))
	}
	state.Cut(u.why, u.said)
	if ctr := s.homeCounters(t.home.Index); ctr != nil {
		s.stats.Add(ctr.unreached[u.why], 1)
	}
	s.turns(t.home.Index, t.kind)
}

// linkOpened takes a new connection to a home over.
func (s *Shard) linkOpened(c *conn) {
	l, t := c.link, c.link.trunk
	if l.Link = t.Opened(l.serial, l, c.clear, s.now); l.Link == nil {
		s.closeConn(c, ClosedSpare)
		return
	}
	t.home.State[t.kind].Linked(!t.home.Spec.StatusServer, s.now)
	s.goOnAt(t)
}

// linkClosed is told of the end of a connection to a home. What was under way
// on it has its turn at another connection or home; that of a client that is
// gone itself is over.
func (s *Shard) linkClosed(c *conn, why Closing) {
	s.hub.calls.remove(c.mark)
	l, t := c.link, c.link.trunk
	if l.Link == nil {
		return
	}
	t.home.State[t.kind].Unlinked()
	s.links.slots = l.Slots(s.links.slots[:0])
	idle := why == ClosedIdle || why == ClosedByPeer && len(s.links.slots) == 0
	t.Lost(l.Link, idle, s.now)
	for _, slot := range s.links.slots {
		ex := s.slab.at(slot)
		if ex.link != l {
			continue
		}
		s.unlink(ex)
		if ex.orphan() && ex.kind == home.Auth {
			s.end(slot)
			continue
		}
		s.hold(slot, ex)
	}
	if len(s.links.slots) > 0 {
		s.stats.Add(s.ctr.moved, uint64(len(s.links.slots)))
		s.goOnAt(t)
	}
}

// hold lets an Exchange wait for its turn at its home behind those that come
// anew.
func (s *Shard) hold(slot uint32, ex *Exchange) {
	ex.sock, ex.sent, ex.rt = noSocket, 0, 0
	s.pace.Back(slot, ex.homeIdx, ex.kind)
	s.wheel.Set(slot, s.patient(ex))
}

// goOnAt has those that wait at a home have their turn in this round.
func (s *Shard) goOnAt(t *trunk) {
	if l := (line{t.home.Index, t.kind}); !slices.Contains(s.goOn, l) {
		s.goOn = append(s.goOn, l)
	}
}

// unlink takes an Exchange off its connection.
func (s *Shard) unlink(ex *Exchange) { ex.link, ex.sock = nil, noSocket }

// engageLink takes a number on a connection to a home for the Exchange.
//
// hot: 0 allocs
func (s *Shard) engageLink(slot uint32, ex *Exchange, hm *home.Home) bool {
	t := s.trunkAt(hm.Index, ex.kind)
	if t == nil {
		if hm = s.snap.Homes.Home(hm.Index); hm == nil || !hm.Found() {
			return false // no configuration has it any more
		}
		t = s.trunkOf(hm, ex.kind)
	}
	at, number := t.Acquire(slot, s.now)
	if at == nil {
		s.dialTrunk(t)
		return false
	}
	l := at.Wire.(*link)
	ex.link, ex.sock, ex.number, ex.homeID = l, onLink, number, uint8(number)
	ex.homeSecret = l.conn.secret
	if l.conn.clear {
		ex.homeID = 0
		radius.PutToken(&ex.homeAuth, number)
	} else {
		s.crypt.Random(ex.homeAuth[:])
	}
	s.loadLink(t)
	return true
}

// loadLink tells the other shards how busy this one keeps the home.
func (s *Shard) loadLink(t *trunk) {
	load := t.home.Load[t.kind]
	if load == nil {
		return
	}
	n := 0
	for _, l := range t.Links() {
		n += l.Len()
	}
	load.Set(s.index, n)
}

// hopeful reports whether a connection to the home can be expected at once, astray
// whether there is none and the last has failed.
func (s *Shard) hopeful(idx int32, kind home.Kind) bool {
	t := s.trunkAt(idx, kind)
	return t != nil && t.Hopeful(s.now)
}

func (s *Shard) astray(idx int32, kind home.Kind) bool {
	t := s.trunkAt(idx, kind)
	return t == nil || t.Broken(s.now)
}

// trunkAt gives a trunk that is there.
func (s *Shard) trunkAt(idx int32, kind home.Kind) *trunk {
	if int(idx) >= len(s.links.of) {
		return nil
	}
	return s.links.of[idx][kind]
}

// probeLink sends a Status-Server over a connection (RFC 5997, RFC 3539 section
// 3.4).
func (s *Shard) probeLink(c *conn) {
	b := s.roomOf(c)
	if b == nil {
		return // it is stalled, and that is watched too
	}
	number, auth, again := c.link.trunk.Probing(c.link.Link, s.now)
	switch {
	case c.clear:
		radius.PutToken(auth, number)
	case !again:
		s.crypt.Random(auth[:])
	}
	s.w.Start(b, radius.StatusServer, 0, !c.clear)
	s.w.SetAuthenticator(auth)
	s.commitTo(c, len(s.signatures.Request(&s.w, c.secret)))
}

// hearLink takes one packet of a home up to its proofs. Of one that is too long
// for RADIUS there is the header alone.
//
// hot: 0 allocs
func (s *Shard) hearLink(a *arrival, c *conn, data []byte, long bool) {
	a.state, a.mac, a.hash, a.from, a.slot = arrivalUseless, radius.NoProof, radius.NoProof, c.from, noSlot
	if long {
		a.why = ReplyTooLong
		return
	}
	if why := a.Parse(data); why != radius.OK {
		if a.why = ofRadius(why); why != radius.BadCode {
			a.state = arrivalBroken
		}
		return
	}
	if asks, may := a.asksInside(c); asks {
		if a.state, a.why = arrivalInside, OK; !may {
			a.why = CodeNotServed
		}
		return
	}
	a.number = uint32(a.Identifier())
	if c.clear {
		a.number = radius.Token(a.Authenticator())
	}
	if auth, ok := c.link.Probed(a.number); ok {
		a.state, a.why = arrivalStatus, OK
		s.prove(a, auth, c.secret)
		return
	}
	slot, ok := c.link.Find(a.number)
	if !ok {
		a.why = LateReply
		return
	}
	ex := s.slab.at(slot)
	a.home = ex.snap.Homes.Home(ex.homeIdx)
	if a.why = shapeOfReply(ex, a.home, &a.Packet); a.why == ReplyCode {
		return
	}
	a.state, a.slot, a.token = arrivalReply, slot, s.slab.token(slot)
	s.prove(a, &ex.homeAuth, c.secret)
}

func (s *Shard) prove(a *arrival, auth *[16]byte, secret *radius.Secret) {
	a.hash = s.proofs.Response(&a.Packet, auth, secret)
	a.mac = s.proofs.ResponseMessageAuthenticator(&a.Packet, auth, secret)
}

// takeLink goes on with a packet of a home whose proofs have been run. One that
// is malformed, or whose authenticator is wrong, ends the connection: nobody but
// the home can have sent it (draft-ietf-radext-radiusdtls-bis section 3.12). The
// requests under way on it move, but for the one that it was meant for, which
// would only meet the same at this home again. All else that is wrong is the
// matter of one request.
//
// hot: 0 allocs
func (s *Shard) takeLink(a *arrival, c *conn) {
	t, why := c.link.trunk, a.why
	slot, ex := noSlot, (*Exchange)(nil)
	if a.slot != noSlot && (a.state == arrivalReply || a.state == arrivalUseless) {
		if slot, ex = s.slab.resolve(a.token); ex == nil || ex.link != c.link || ex.number != a.number {
			a.state, why = arrivalUseless, LateReply // the first of two in one batch has ended it
		}
	}
	switch {
	case a.state == arrivalBroken:
		s.badReply(t.home.Index, why, a.from)
		s.closeConn(c, ClosedMalformed)
		return
	case a.state == arrivalInside && why == OK:
		s.passInside(a, c, toldRequest)
		return
	case a.state == arrivalInside:
		s.badReply(t.home.Index, why, a.from)
		s.protestAt(a, c)
		return
	case a.state == arrivalUseless:
	case !s.proofs.OK(a.hash):
		why = BadResponseAuthenticator
	case a.mac != radius.NoProof && !s.proofs.OK(a.mac):
		why = ReplyBadMessageAuthenticator
	}
	switch why {
	case OK:
	case BadResponseAuthenticator, ReplyBadMessageAuthenticator:
		t.home.State[t.kind].BadAuthenticator(s.now)
		s.badReply(t.home.Index, why, a.from)
		if ex != nil {
			s.mistrust(slot, ex)
		}
		s.closeConn(c, ClosedAuthenticator)
		return
	default:
		s.badReply(t.home.Index, why, a.from)
		return
	}
	t.Heard(c.link.Link, s.now)
	if a.state == arrivalStatus {
		c.link.Vouched()
		t.home.State[t.kind].Vouched(s.now)
		return
	}
	s.replied(slot, a.home, &a.Packet)
}

// mistrust takes a request away from a home that has answered it wrongly.
func (s *Shard) mistrust(slot uint32, ex *Exchange) {
	s.leaveHome(slot, ex, false)
	s.elsewhere(slot, ex, HomeTimeout)
}

// elsewhere sends a request that has left its home to another one of its pool;
// where there is none it ends for the reason.
func (s *Shard) elsewhere(slot uint32, ex *Exchange, why Reason) {
	s.wheel.Cancel(slot)
	if ex.orphan() && ex.kind == home.Auth {
		s.end(slot)
		return
	}
	if !s.another(slot, ex) {
		s.giveUp(slot, ex, why)
	}
}

// linkOverdue says whether the time of a connection to a home is over.
func (s *Shard) linkOverdue(c *conn) Closing {
	if c.Partial() && s.now-c.heard >= int64(s.hub.conf.Connections.Stalled) {
		return ClosedStalled
	}
	return StaysOpen
}

// linkStays judges a connection to a home by the present files. It is called by
// another goroutine than the shard's, with what does not change of c.
func (h *Hub) linkStays(c *conn, snap *Snapshot) Closing {
	hm := snap.Homes.Home(c.link.home)
	switch {
	case hm == nil || c.identity == nil:
		return StaysOpen
	case hm.Again(c.identity, time.Now()) != nil:
		return ClosedUntrusted
	case outdated(hm.Spec.Security, c.transport, c.TLS()):
		return ClosedRenewed
	}
	return StaysOpen
}

package aaa

import (
	"hash/maphash"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// homeAsk collects what the choice of a home goes by.
//
// hot: 0 allocs
func (s *Shard) homeAsk(ex *Exchange, p *radius.Packet, sticky int32) home.Ask {
	a := home.Ask{Key: ex.key, Sticky: sticky, Barred: ex.barred, Shard: s.index, Now: s.now}
	if !ex.stateful { // no other home knows the conversation
		a.Realm = ex.realm
	}
	if ex.kind == home.Acct && ex.pool.Drains() {
		a.Began, a.Last = s.sessionBegan(ex, p), true
	}
	return a
}

// audit names the realm of an Exchange to the breaker of its pool.
func (s *Shard) audit(ex *Exchange, folded []byte) {
	if ex.pool != nil && ex.pool.Spec.Breaker {
		ex.realm = s.hub.breakerRealm(ex.kind, folded)
	}
}

// breakerRealm is keyed, as whoever sends requests chooses their realms.
func (h *Hub) breakerRealm(kind home.Kind, folded []byte) uint64 {
	return kind.Realm(maphash.Bytes(h.seed, folded))
}

// Values of Acct-Status-Type (RFC 2866 section 5.1).
const (
	statusStop    = 2
	statusInterim = 3
)

// sessionBegan tells when the session of an Interim or a Stop began, in Unix
// seconds: one that runs already ends at the home where it began. 0 is one
// that begins now.
func (s *Shard) sessionBegan(ex *Exchange, p *radius.Packet) int64 {
	if status, _ := p.Uint32(radius.AcctStatusType); status != statusStop && status != statusInterim {
		return 0
	}
	lasts, known := p.Uint32(radius.AcctSessionTime)
	if !known || ex.replay {
		return 1 // long ago
	}
	delay, _ := p.Uint32(radius.AcctDelayTime)
	return max(s.wall/1e9-int64(lasts)-int64(delay), 1)
}

// silent reports whether the home leaves the realm of an Exchange unanswered
// while it answers others: what is sent there says nothing about the home.
//
// hot: 0 allocs
func (s *Shard) silent(ex *Exchange) bool {
	return ex.realm != 0 && s.hub.homes.Breaker().Open(ex.homeIdx, ex.realm)
}

// noteSilence reports a transmission that was not answered: to the breaker,
// once for each request where we repeat, and to the home's health unless the
// breaker knows the silence to be the realm's own. The breaker hears of the
// second time: a realm that is slower than the first timer is not silent.
func (s *Shard) noteSilence(ex *Exchange, hm *home.Home) (silent bool) {
	state := hm.State[ex.kind]
	if ex.realm != 0 && (int(ex.sent) == min(2, ex.pool.Timers.MRC) || ex.pool.Spec.Retransmit == realm.RetransmitClient) {
		health, _ := state.Health()
		opened := s.hub.homes.Breaker().Unanswered(home.Silence{
			Home: ex.homeIdx, Realm: ex.realm, Device: ex.key, Sent: ex.sentAt,
			Others: state.LastAnswer(), Well: health == home.Up, Now: s.now,
		})
		if opened {
			state.Excuse(s.now)
			s.note(RealmSilent, hm.Spec.Name, hm.Addr[ex.kind])
		}
	}
	if silent = s.silent(ex); !silent {
		state.TimedOut(s.now)
	}
	return silent
}

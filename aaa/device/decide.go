package device

import "github.com/roamgate/roamgate/realm"

// Query is what a decision is made from. The octets are borrowed for the call.
type Query struct {
	Route  *realm.Route  // for its Policy; nil refuses unknown devices
	Client *realm.Client // who asks: the visited operator and country as configured
	User   []byte        // of the User-Name, before the '@'
	Realm  []byte        // of the User-Name, folded; nil none

	IMSI           []byte // 3GPP-IMSI, nil none
	CallingStation []byte // Calling-Station-Id, nil none
	CUI            []byte // Chargeable-User-Identity, nil none
	OperatorName   []byte // RFC 5580, as the visited network claims it; decides nothing yet
	NASPortType    uint32
	HasNASPortType bool
	RATType        uint8 // 3GPP-RAT-Type
	HasRATType     bool

	// Continues marks a later round of a conversation (the request has State):
	// it is not another attempt.
	Continues bool
	// Waited marks a query that has been fetched already, or could not be: no
	// Miss comes back, Unavailable does.
	Waited bool

	Now  int64 // monotonic nanoseconds
	Wall int64 // unix seconds
}

// Decision is the answer to a Query.
type Decision struct {
	Outcome Outcome
	Reason  Reason   // why, also of an Allow by the realm's rule
	Stale   bool     // made on a policy that the store could not confirm
	Profile *Profile // nil where none is known
	Key     Key      // of the device, zero where it has no identity
	Extra   []byte   // Profile.Extra on Allow; see Profile.Answer
}

// Decide decides about a device from memory. The order of the rules is fixed:
// blocked, denied, validity, operator, country, access type, daily volume and
// last the attempts, so that only an attempt that would pass counts.
// hot: 0 allocs
func (t *Table) Decide(q *Query) Decision {
	if q.Route != nil && !q.Route.Policy.Enabled {
		return Decision{}
	}
	var buf [identCap]byte
	ident, c := appendIdentity(buf[:0], q)
	if c == classNone {
		d := unknown(q, NoIdentity)
		t.stats.hot[0].decisions[d.Reason].Add(1)
		return d
	}
	k := t.hash.sum(ident)
	d := t.decide(q, k, ident)
	d.Key = k
	return d
}

func (t *Table) decide(q *Query, k Key, ident []byte) (d Decision) {
	k0, k1 := k.words()
	hot := &t.stats.hot[k1%statStripes]
	now := seconds(q.Now)
	st := t.state.Load()
	r, s, off, ok := st.devices.find(k0, k1)
	if !ok || r.hard <= now {
		d = t.missing(q, k0, k1, now, hot)
		if d.Outcome != Miss {
			hot.decisions[d.Reason].Add(1)
		}
		return d
	}
	source := SourceFresh
	if r.flags&flagPinned == 0 {
		inDoubt := r.epoch != t.epoch.Load()
		if inDoubt || now >= r.soft {
			source = SourceStale
			d.Stale = inDoubt || !t.stats.redisUp.Load()
			if !t.breaker.open() && s.claim(off, now, now+refreshRetry+uint32(k1&3)) {
				t.refresh(k, ident, now)
			}
		}
	}
	hot.lookups[source].Add(1)
	d.Reason, d.Profile = t.rules(q, &r, st.profiles.at(r.profile), k0, k1)
	switch d.Reason {
	case OK:
		d.Outcome, d.Extra = Allow, d.Profile.Extra
	case ProfileMissing:
		d.Outcome = unavailable(q)
	default:
		d.Outcome = Deny
	}
	if d.Stale {
		hot.stale.Add(1)
	}
	hot.decisions[d.Reason].Add(1)
	return d
}

// rules applies what is known of a device to the query.
func (t *Table) rules(q *Query, r *ref, p *Profile, k0, k1 uint64) (Reason, *Profile) {
	switch {
	case r.flags&flagBlocked != 0:
		return Blocked, p
	case p == nil:
		return ProfileMissing, nil
	}
	if why := p.check(q); why != OK {
		return why, p
	}
	if p.DailyVolume > 0 && t.volumes.used(k0, k1, q.Wall) >= p.DailyVolume {
		return VolumeCap, p
	}
	if p.AttemptsPerHour > 0 && !p.Critical && !q.Continues &&
		!t.attempts.allow(k0, k1, milliseconds(q.Now), p.AttemptsPerHour, p.period) {
		return TooManyAttempts, p
	}
	return OK, p
}

// missing decides about a device that has no entry.
func (t *Table) missing(q *Query, k0, k1 uint64, now uint32, hot *hotStats) Decision {
	if t.cfg.Redis == nil {
		hot.lookups[SourceNegative].Add(1)
		return unknown(q, UnknownDevice)
	}
	a := t.absent.find(k0, k1, now)
	if a != 0 {
		hot.lookups[SourceNegative].Add(1)
	} else {
		hot.lookups[SourceMiss].Add(1)
	}
	switch {
	case a == absentUnknown:
		return unknown(q, UnknownDevice)
	case a == absentMalformed:
		return Decision{Outcome: unavailable(q), Reason: MalformedValue}
	case a == absentAway || q.Waited || t.breaker.open():
		return Decision{Outcome: unavailable(q), Reason: StoreAway}
	}
	return Decision{Outcome: Miss}
}

// unknown applies the realm's rule for devices the policy does not know.
func unknown(q *Query, why Reason) Decision {
	if q.Route != nil && q.Route.Policy.AllowUnknown {
		return Decision{Outcome: Allow, Reason: why}
	}
	return Decision{Outcome: Unknown, Reason: why}
}

// unavailable applies the realm's rule for devices nobody can look up.
func unavailable(q *Query) Outcome {
	if q.Route != nil && q.Route.Policy.FailOpen {
		return Allow
	}
	return Unavailable
}

// seconds and milliseconds turn the caller's clock into table units; zero is
// kept for "never seen".
func seconds(now int64) uint32      { return uint32(now/1e9) + 1 }
func milliseconds(now int64) uint64 { return uint64(now/1e6) + 1 }

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
	Network        realm.Network // mobile network visited, as it says; 0: it says none
	IMEI           []byte        // digits of IMEI or IMEISV, nil none
	// Cellular marks a request that names the equipment where it is known, as an
	// Update-Location-Request does.
	Cellular bool
	// Partial marks a request that says neither access type nor equipment, as an
	// Authentication-Information-Request: those rules wait for the next one.
	Partial bool
	// Later marks a request within what was judged when it began, as one of a gateway
	// that serves a device which an access network has let in: what it does not say is
	// not held against it.
	Later bool

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
	Long    bool     // it roams for longer than its profile likes, and is only warned of
	Profile *Profile // nil where none is known
	Key     Key      // of the device, zero where it has no identity
	Extra   []byte   // Profile.Extra on Allow
}

// Decide decides about a device from memory. The order of the rules is fixed:
// blocked, denied, validity, operator, country, network, access type, equipment,
// daily volume, how long it roams, and last the attempts, so that only an attempt
// that would pass counts.
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
		var source Source
		d, source = t.missing(q, k0, k1, now)
		hot.lookups[source].Add(1)
		if d.Outcome != Miss {
			hot.decisions[d.Reason].Add(1)
		}
		return d
	}
	source, stale := SourceFresh, false
	if r.flags&flagPinned == 0 {
		inDoubt := r.epoch != t.epoch.Load()
		if inDoubt || now >= r.soft {
			source = SourceStale
			stale = inDoubt || !t.stats.redisUp.Load()
			if !t.breaker.open() && s.claim(off, now, now+refreshRetry+uint32(k1&3)) {
				t.refresh(k, ident, now)
			}
		}
	}
	hot.lookups[source].Add(1)
	p := st.profiles.at(r.profile)
	why, long := t.rules(q, &r, p, k0, k1)
	d = conclude(q, why, p)
	d.Long = long
	if long {
		t.stats.long.Add(1)
	}
	if d.Stale = stale; stale {
		hot.stale.Add(1)
	}
	hot.decisions[d.Reason].Add(1)
	return d
}

// conclude turns what the rules say of a device found into a decision.
func conclude(q *Query, why Reason, p *Profile) Decision {
	d := Decision{Outcome: Deny, Reason: why, Profile: p}
	switch why {
	case OK:
		d.Outcome, d.Extra = Allow, p.Extra
	case ProfileMissing:
		d.Outcome = unavailable(q)
	}
	return d
}

// rules applies what is known of a device to the query.
func (t *Table) rules(q *Query, r *ref, p *Profile, k0, k1 uint64) (why Reason, long bool) {
	if why, long = t.lasting(q, r, p, k0, k1); why != OK {
		return why, false
	}
	if p.AttemptsPerHour > 0 && !p.Critical && !q.Continues &&
		!t.attempts.allow(k0, k1, milliseconds(q.Now), p.AttemptsPerHour, p.period) {
		return TooManyAttempts, false
	}
	t.remember(q, p, k0, k1)
	return OK, long
}

// lasting applies the rules that asking does not change.
func (t *Table) lasting(q *Query, r *ref, p *Profile, k0, k1 uint64) (why Reason, long bool) {
	switch {
	case r.flags&flagBlocked != 0:
		return Blocked, false
	case p == nil:
		return ProfileMissing, false
	}
	if why = p.check(q); why != OK {
		return why, false
	}
	if p.DailyVolume > 0 && t.volumes.used(k0, k1, q.Wall) >= p.DailyVolume {
		return VolumeCap, false
	}
	return t.past(q, p, k0, k1)
}

// missing decides about a device that has no entry.
func (t *Table) missing(q *Query, k0, k1 uint64, now uint32) (Decision, Source) {
	if t.cfg.Redis == nil {
		return unknown(q, UnknownDevice), SourceNegative
	}
	switch t.absent.find(k0, k1, now) {
	case absentUnknown:
		return unknown(q, UnknownDevice), SourceNegative
	case absentMalformed:
		return Decision{Outcome: unavailable(q), Reason: MalformedValue}, SourceNegative
	case absentAway:
		return Decision{Outcome: unavailable(q), Reason: StoreAway}, SourceNegative
	}
	if q.Waited || t.breaker.open() {
		return Decision{Outcome: unavailable(q), Reason: StoreAway}, SourceMiss
	}
	return Decision{Outcome: Miss}, SourceMiss
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

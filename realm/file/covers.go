package file

import (
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// covers reports whether a takes every request that b takes of the same
// subject. false may also mean that it is not known.
func covers(a, b *realm.Route) bool {
	if b.RADIUS() && !a.RADIUS() || b.Diameter != nil && a.Diameter == nil {
		return false
	}
	if a.For != nil && (b.For == nil || !within(b.For.Groups, a.For.Groups, func(x, y *realm.Group) bool { return x == y })) {
		return false
	}
	switch {
	case a.When == nil:
		return true
	case b.When == nil:
		return false
	}
	c, d := a.When, b.When
	return (c.Percent == 0 || c.Percent == allDevices) &&
		implied(d.Clients, c.Clients, func(x, y string) bool { return x == y }) &&
		implied(d.Applications, c.Applications, func(x, y uint32) bool { return x == y }) &&
		implied(d.Commands, c.Commands, func(x, y uint32) bool { return x == y }) &&
		implied(d.NASPortTypes, c.NASPortTypes, func(x, y uint32) bool { return x == y }) &&
		implied(d.SSIDs, c.SSIDs, func(x, y string) bool { return x == y }) &&
		implied(d.Operators, c.Operators, operatorWithin) &&
		implied(d.RCOIs, c.RCOIs, strings.HasPrefix) &&
		implied(d.Users, c.Users, userWithin) &&
		implied(d.During, c.During, windowWithin)
}

// implied reports whether a condition on one of the inner values holds only
// where the one on the outer ones does. No values are no condition.
func implied[T any](inner, outer []T, in func(x, y T) bool) bool {
	return len(outer) == 0 || len(inner) > 0 && within(inner, outer, in)
}

// within reports whether each inner value is in one of the outer ones.
func within[T any](inner, outer []T, in func(x, y T) bool) bool {
	return !slices.ContainsFunc(inner, func(x T) bool {
		return !slices.ContainsFunc(outer, func(y T) bool { return in(x, y) })
	})
}

func operatorWithin(x, y string) bool {
	if suffix, wild := strings.CutPrefix(x, "1*"); wild {
		x = "1a" + suffix // any realm below it
	}
	return realm.OperatorIs(y, []byte(x))
}

func userWithin(x, y realm.UserRange) bool {
	switch {
	case y.Prefix:
		return strings.HasPrefix(x.First, y.First) && (x.Prefix || strings.HasPrefix(x.Last, y.First))
	case x.Prefix || len(x.First) != len(y.First):
		return false
	}
	same := 0
	for same < len(y.First) && y.First[same] == y.Last[same] {
		same++
	}
	return x.First[:same] == y.First[:same] && allDigits(x.First[same:]) && allDigits(x.Last[same:]) &&
		x.First >= y.First && x.Last <= y.Last
}

func windowWithin(x, y realm.Window) bool {
	sameZone := y.Zone == x.Zone || y.Zone != nil && x.Zone != nil && y.Zone.String() == x.Zone.String()
	always := y.Days == 0 && y.From == y.To
	return (y.Begin.IsZero() || !x.Begin.IsZero() && !x.Begin.Before(y.Begin)) &&
		(y.End.IsZero() || !x.End.IsZero() && !x.End.After(y.End)) &&
		(always || sameZone && x.From == y.From && x.To == y.To && (y.Days == 0 || x.Days != 0 && x.Days&^y.Days == 0))
}

// meets reports whether a list of realms can have a realm of the subject. Of a
// subject that does not tell its realms, it can.
func meets(n *realm.Names, subject string) bool {
	if n == nil {
		return true
	}
	switch (&realm.Route{Realm: subject}).Tier() {
	case realm.TierExact:
		return n.Allow([]byte(subject))
	case realm.TierNone:
		return n.Allow(nil)
	case realm.TierSuffix:
		below := subject[1:]
		if n.Allow([]byte("a" + below)) {
			return true
		}
		return slices.ContainsFunc(n.List(), func(name string) bool { return strings.HasSuffix(name, below) && name != below[1:] })
	}
	return true
}

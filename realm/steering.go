package realm

import "time"

// Steering brings devices into the networks that their home prefers: the first
// Update-Location-Requests from another network are refused, and the device looks for
// the next one (GSMA IR.73). Nothing else is refused for it, and never what may be the
// last resort.
type Steering struct {
	Name string
	// Networks are those that devices are steered away from. Preferred are never,
	// also where their country is in Networks.
	Networks, Preferred *Networks
	// Reject is how many requests of one network are refused to a device, GiveUp how
	// many in all networks together, after which it is let in wherever it is.
	Reject, GiveUp int
	// Memory is how long a device's refusals, and that it was let in, are remembered.
	Memory time.Duration
	// LastResort are the RAT-Types of 3GPP (TS 29.212 section 5.3.31) that are not
	// steered: there may be one network with it.
	LastResort []uint32
	// Result is the Experimental-Result of 3GPP in the answer.
	Result uint32
	// Devices bounds what is remembered, 32 octets for each device and network.
	Devices int
	Pos     Pos
}

// NewSteering gives a Steering as it is unless a file says otherwise.
func NewSteering(name string) *Steering {
	const roamingNotAllowed = 5004
	return &Steering{
		Name: name, Reject: 2, GiveUp: 4, Memory: time.Hour, Result: roamingNotAllowed, Devices: 1 << 17,
	}
}

// Steers reports whether devices are steered away from a network.
//
// hot: 0 allocs
func (s *Steering) Steers(n Network) bool { return s.Networks.Has(n) && !s.Preferred.Has(n) }

package play

import (
	"encoding/json"
	"maps"
	"time"
)

// Kind tells the transactions apart that are counted apart.
type Kind uint8

const (
	KindAuth    Kind = iota // Access-Request, every round of EAP is one
	KindStart               // Acct-Status-Type Start
	KindInterim             // Interim-Update
	KindStop                // Stop
	KindOther               // Accounting-On, Accounting-Off and unknown ones
	KindStatus              // Status-Server (RFC 5997)
	kinds
)

var kindNames = [kinds]string{"auth", "start", "interim", "stop", "acct_other", "status"}

// String gives the name used in JSON.
func (k Kind) String() string { return kindNames[k] }

// PerKind is a count for each kind.
type PerKind [kinds]uint64

// Accounting is the sum over Start, Interim-Update, Stop and the others.
func (p *PerKind) Accounting() uint64 {
	return p[KindStart] + p[KindInterim] + p[KindStop] + p[KindOther]
}

// All is the sum over all kinds.
func (p *PerKind) All() (n uint64) {
	for _, c := range p {
		n += c
	}
	return n
}

func (p *PerKind) add(o *PerKind) {
	for i := range p {
		p[i] += o[i]
	}
}

// MarshalJSON writes the counts by name, those above zero only.
func (p PerKind) MarshalJSON() ([]byte, error) { return marshalNamed(p[:], kindNames[:]) }

// Flaw is what is wrong with something received. It is a closed set.
type Flaw uint8

const (
	FlawMalformed            Flaw = iota // does not parse, or a code that nobody asked for
	FlawSource                           // not from the address that was asked
	FlawUnexpected                       // no request waits for it: late, repeated or forged
	FlawAuthenticator                    // Request or Response Authenticator
	FlawMessageAuthenticator             // wrong
	FlawUnsigned                         // Message-Authenticator missing
	FlawProxyState                       // not ours, exactly, once
	FlawKeys                             // MS-MPPE keys missing or not what the home made
	FlawPassword                         // PAP or CHAP
	FlawState                            // of another home, another device or another round
	FlawClass                            // accounting without the Class of the Access-Accept
	FlawUnplaced                         // Message-Authenticator present, not first; counted, not refused
	flaws
)

var flawNames = [flaws]string{
	"malformed", "source", "unexpected", "authenticator", "message_authenticator", "unsigned",
	"proxy_state", "keys", "password", "state", "class", "unplaced",
}

// String gives the name used in JSON.
func (f Flaw) String() string { return flawNames[f] }

// Flaws is a count for each flaw.
type Flaws [flaws]uint64

// All is the sum over all flaws that make a packet unusable.
func (f *Flaws) All() (n uint64) {
	for i, c := range f {
		if Flaw(i) != FlawUnplaced {
			n += c
		}
	}
	return n
}

func (f *Flaws) add(o *Flaws) {
	for i := range f {
		f[i] += o[i]
	}
}

// MarshalJSON writes the counts by name, those above zero only.
func (f Flaws) MarshalJSON() ([]byte, error) { return marshalNamed(f[:], flawNames[:]) }

func marshalNamed(counts []uint64, names []string) ([]byte, error) {
	m := map[string]uint64{}
	for i, c := range counts {
		if c > 0 {
			m[names[i]] = c
		}
	}
	return json.Marshal(m)
}

func addCounts(dst *map[string]uint64, src map[string]uint64) {
	if *dst == nil {
		*dst = maps.Clone(src)
		return
	}
	for k, n := range src {
		(*dst)[k] += n
	}
}

var epoch = time.Now()

// clock is monotonic nanoseconds, read once per batch.
func clock() int64 { return int64(time.Since(epoch)) }

// idleWait bounds the sleep of a loop that waits for nothing.
const idleWait = 50 * time.Millisecond

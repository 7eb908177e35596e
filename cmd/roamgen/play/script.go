package play

import (
	"fmt"
	"strings"
	"time"
)

// Script says how a Home behaves. The zero value answers everything at once
// and well. A Script is a value: SetScript replaces it whole.
type Script struct {
	Delay Delay
	// Loss is the share (0..1) of requests left unanswered. A repeated
	// request has its own chance.
	Loss float64
	// Silent answers nothing at all, StatusOnly nothing but Status-Server.
	Silent     bool
	StatusOnly bool
	// Rejects refuse a share of the devices; a device always meets the same.
	Rejects []Rejection
	// Rounds is the number of Access-Challenges before the decision where
	// the request carries an EAP-Message.
	Rounds int
	// Misbehave answers a share of requests badly; with ThenProper the good
	// answer follows the bad one at once, as when an attacker was faster.
	Misbehave  []Misbehaviour
	ThenProper bool
	LateBy     time.Duration // for BadLate

	SessionTimeout  uint32 // seconds, 0 leaves the attribute out
	InterimInterval uint32 // seconds, 0 leaves the attribute out
	// Keys sends MS-MPPE-Send-Key and MS-MPPE-Recv-Key in every Accept.
	Keys bool
}

// Rejection refuses the share of devices with a Reply-Message.
type Rejection struct {
	Share   float64
	Message string
}

// Bad is a way to answer badly.
type Bad uint8

const (
	BadNone                 Bad = iota
	BadAuthenticator            // Response Authenticator wrong
	BadMessageAuthenticator     // Message-Authenticator wrong, Response Authenticator right
	BadUnsigned                 // no Message-Authenticator
	BadLate                     // right, Script.LateBy later
	BadDuplicate                // right, twice
	BadOtherPort                // right, from another UDP port
	BadTruncated                // cut in half
	BadIdentifier               // signed for another identifier
	BadCode                     // signed, with a code that answers something else
	bads
)

var badNames = [bads]string{
	"none", "authenticator", "message-authenticator", "unsigned", "late", "duplicate",
	"other-port", "truncated", "identifier", "code",
}

// String gives the name used in flags.
func (b Bad) String() string { return badNames[b] }

// BadNames lists what ParseBad reads.
func BadNames() []string { return badNames[1:] }

// ParseBad is the reverse of String.
func ParseBad(s string) (Bad, error) {
	for i, n := range badNames {
		if n == s {
			return Bad(i), nil
		}
	}
	return 0, fmt.Errorf("bad answer %q: want one of %v", s, badNames[1:])
}

// Misbehaviour is a share of requests that is answered badly.
type Misbehaviour struct {
	Bad   Bad
	Share float64
}

// Delay is how long a Home thinks: Min, plus an exponential time of the given
// Mean, or anything between Min and Max alike. Zero is at once.
type Delay struct {
	Min  time.Duration
	Max  time.Duration // above Min: uniform, or the cap of the exponential
	Mean time.Duration // above zero: exponential
}

func (d *Delay) draw(r *random) int64 {
	switch {
	case d.Mean > 0:
		t := int64(d.Min) + int64(float64(d.Mean)*r.exponential())
		if d.Max > d.Min {
			t = min(t, int64(d.Max))
		}
		return t
	case d.Max > d.Min:
		return int64(d.Min) + int64(r.share()*float64(d.Max-d.Min))
	}
	return int64(d.Min)
}

// ParseDelay reads "20ms", "10ms..80ms" (uniform) or "10ms+30ms" (at least
// 10 ms and an exponential tail of mean 30 ms).
func ParseDelay(s string) (Delay, error) {
	if s == "" || s == "0" {
		return Delay{}, nil
	}
	first, second, sep := s, "", ""
	for _, mark := range []string{"..", "+"} {
		if a, b, ok := strings.Cut(s, mark); ok {
			first, second, sep = a, b, mark
			break
		}
	}
	d := Delay{}
	var err error
	if d.Min, err = time.ParseDuration(first); err != nil {
		return Delay{}, fmt.Errorf("parsing delay %q: %w", s, err)
	}
	if sep == "" {
		return d, nil
	}
	more, err := time.ParseDuration(second)
	if err != nil {
		return Delay{}, fmt.Errorf("parsing delay %q: %w", s, err)
	}
	if sep == "+" {
		d.Mean = more
	} else {
		d.Max = more
	}
	return d, nil
}

// decide gives the bad answer this request gets, if any.
func (s *Script) decide(r *random) Bad {
	if len(s.Misbehave) == 0 {
		return BadNone
	}
	x := r.share()
	for _, m := range s.Misbehave {
		if x < m.Share {
			return m.Bad
		}
		x -= m.Share
	}
	return BadNone
}

// rejection gives the Reply-Message that refuses the device with this hash,
// or "" where it is welcome.
func (s *Script) rejection(device uint64) string {
	if len(s.Rejects) == 0 {
		return ""
	}
	x := float64(mix(device)>>11) / (1 << 53)
	for _, r := range s.Rejects {
		if x < r.Share {
			return r.Message
		}
		x -= r.Share
	}
	return ""
}

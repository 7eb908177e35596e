package realm

import (
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// ScreenRule is a check of the Diameter requests that a Peer sends, in the classes that
// are publicly listed of GSMA FS.19. The set is closed.
type ScreenRule uint8

// The rules. Class 0 is who says to have sent it, class 1 what may not cross an
// interconnection at all, class 2 what only the home may send to a visited network, and
// class 3 what a visited network may send to the home.
const (
	ScreenOriginOwn     ScreenRule = iota // 0: Origin-Host or Origin-Realm is ours
	ScreenOriginRealm                     // 0: an Origin-Realm that the peer may not speak for
	ScreenOriginHost                      // 0: an Origin-Host that is another's, or of another realm
	ScreenRouteRecord                     // 0: Route-Records that cannot be
	ScreenApplication                     // 1: an application that is not for interconnections
	ScreenCommand                         // 1: a command that the application has not, or that is refused
	ScreenHomeRealm                       // 2: CLR, IDR, DSR, RSR, TFR, TDR, CIR not of the subscriber's home
	ScreenServiceCentre                   // 2: an SC-Address that is not of who sends it, or of whom it is for
	ScreenVisitedPLMN                     // 3: Visited-PLMN-Id is none of the network that asks
	ScreenPrevious                        // 3: PUR, NOR, OFR, ALR, CMR, ODR, RIR of a network that the subscriber is not in
	ScreenVelocity                        // 3: a ULR from farther than anybody travels
	ScreenRate                            // 3: more requests for a subscriber than there can be
	NumScreenRules
)

// screenRules are the names of the rules in files and counters, and their classes.
var screenRules = [NumScreenRules]struct {
	name  string
	class int
}{
	{"origin_own", 0}, {"origin_realm", 0}, {"origin_host", 0}, {"route_record", 0},
	{"application", 1}, {"command", 1}, {"home_realm", 2}, {"service_centre", 2},
	{"visited_plmn", 3}, {"previous", 3}, {"velocity", 3}, {"rate", 3},
}

// String is the rule's name in files and the label of its counters.
func (r ScreenRule) String() string { return screenRules[r].name }

// Class is the one of FS.19.
func (r ScreenRule) Class() int { return screenRules[r].class }

// Learned reports whether the rule knows nothing of a subscriber before it has been
// seen: such rules only detect while they learn.
func (r ScreenRule) Learned() bool { return r == ScreenPrevious || r == ScreenVelocity }

// ScreenMode is what becomes of a request that breaks a rule.
type ScreenMode uint8

// The modes.
const (
	ScreenOff    ScreenMode = iota
	ScreenDetect            // it is counted, and goes on
	ScreenDrop              // nobody answers
	ScreenAnswer            // it is answered with the rule's result
)

var screenModes = [...]string{"off", "detect", "drop", "answer"}

// String is the word of the files and the label of counters.
func (m ScreenMode) String() string { return screenModes[m] }

// ScreenAction is a rule's mode and its answer: a Result-Code, or with a Vendor an
// Experimental-Result.
type ScreenAction struct {
	Mode           ScreenMode
	Result, Vendor uint32
}

// DefaultScreening names the Screening of peers that name none.
const DefaultScreening = "default"

// Screening is what is checked of the requests of some Peers.
type Screening struct {
	Name  string
	Rules [NumScreenRules]ScreenAction
	// Applications are those that may cross.
	Applications []uint32
	// Commands are refused in every application.
	Commands []uint32
	// Networks are what folded realms stand for that do not say it themselves, as
	// epc.mnc001.mcc262.3gppnetwork.org does.
	Networks map[string][]Network
	// ServiceCentres are the numbers that the service centres of folded realms have.
	ServiceCentres []ServiceCentre
	// Learn is how long rules that learn only detect, after the hub's start; what is
	// not known of a subscriber is not held against it after that either.
	Learn time.Duration
	// Travel is the least time between places on two continents, Rate the requests
	// an hour for one subscriber.
	Travel time.Duration
	Rate   int
	// Subscribers bounds what is remembered, 32 octets each.
	Subscribers int
	Pos         Pos
}

// ServiceCentre is how the numbers of a realm's service centres for short messages
// begin: digits of an international number (ITU-T E.164).
type ServiceCentre struct{ Realm, Digits string }

// NewScreening gives the rules as they are unless a file says otherwise. What is wrong
// by itself is refused; what is wrong by what went before is detected. 3010, 3007 and
// 3001 say what is wrong of the sender; 5012 says nothing, to whom only tries what is
// answered, and 5004 of 3GPP (ROAMING_NOT_ALLOWED) lets a device leave for another
// network.
func NewScreening(name string) *Screening {
	s := &Screening{
		Name: name, Learn: 7 * 24 * time.Hour, Travel: 2 * time.Hour, Rate: 120, Subscribers: 1 << 18,
		Applications: []uint32{
			diameter.AppNASREQ, diameter.AppAccounting, diameter.AppEAP, diameter.AppSTa, diameter.AppS6a,
			diameter.AppSWm, diameter.AppS9, diameter.AppS6b, diameter.AppS6c, diameter.AppSGd, diameter.AppT6a,
		},
	}
	answer := func(result, vendor uint32) ScreenAction { return ScreenAction{ScreenAnswer, result, vendor} }
	detect := func(result, vendor uint32) ScreenAction { return ScreenAction{ScreenDetect, result, vendor} }
	const (
		roamingNotAllowed = 5004
		serviceBarred     = 5557 // TS 29.338 section 7.3
	)
	s.Rules = [NumScreenRules]ScreenAction{
		ScreenOriginOwn:     answer(diameter.ResultUnknownPeer, 0),
		ScreenOriginRealm:   answer(diameter.ResultUnknownPeer, 0),
		ScreenOriginHost:    detect(diameter.ResultUnknownPeer, 0),
		ScreenRouteRecord:   detect(diameter.ResultUnknownPeer, 0),
		ScreenApplication:   answer(diameter.ResultApplicationUnsupported, 0),
		ScreenCommand:       answer(diameter.ResultCommandUnsupported, 0),
		ScreenHomeRealm:     answer(diameter.ResultUnableToComply, 0),
		ScreenServiceCentre: detect(serviceBarred, diameter.Vendor3GPP),
		ScreenVisitedPLMN:   answer(roamingNotAllowed, diameter.Vendor3GPP),
		ScreenPrevious:      detect(diameter.ResultUnableToComply, 0),
		ScreenVelocity:      detect(roamingNotAllowed, diameter.Vendor3GPP),
		ScreenRate:          detect(diameter.ResultTooBusy, 0),
	}
	return s
}

// BaseScreening is that of peers where no file has one: class 0 only, which needs to
// know nothing but the peers.
func BaseScreening() *Screening {
	s := NewScreening(DefaultScreening)
	for r := range s.Rules {
		if ScreenRule(r).Class() > 0 {
			s.Rules[r].Mode = ScreenOff
		}
	}
	return s
}

// Needs reports whether any of some rules is on.
func (s *Screening) Needs(rules ...ScreenRule) bool {
	for _, r := range rules {
		if s.Rules[r].Mode != ScreenOff {
			return true
		}
	}
	return false
}

// Screened gives the Screening of a peer; base is that of one where no file has any.
func (s *Set) Screened(p *Peer, base *Screening) *Screening {
	if p.Screening != nil {
		return p.Screening
	}
	for _, one := range s.Screenings {
		if one.Name == DefaultScreening {
			return one
		}
	}
	return base
}

package mutation

import (
	"slices"
	"strings"

	"github.com/roamgate/roamgate/pkg/diameter/dict"
)

// once are the AVPs that a message has once at most, and that every agent reads.
var once = []string{"Session-Id", "Origin-Host", "Origin-Realm", "Destination-Host", "Destination-Realm"}

// tooShort are the lengths that no AVP has, and the one that none in a message of at
// most 64 KiB has.
var tooShort = []string{"of length 0", "of length 1", "of length 4", "of length 7", "of length 16777215"}

// noName are the values that no identity has.
var noName = []string{"NUL", "no UTF-8", "a line break", "a path", "a shell", "a format", "300 octets"}

// Due says what a mutation of a routable request with a session is answered with: the
// Result-Code that RFC 6733 section 7.1 wants, and the code of the AVP that a Failed-AVP
// must hold, 0 for none or any. A result of 0 is one that the mutation alone does not
// decide. It is written from the RFC and not from the parser.
func Due(name string) (result, failed uint32) {
	switch name {
	case "header bits 20 turned":
		return 3008, 0
	case "application 0", "application 4294967295":
		return 3007, 0
	case "no AVPs":
		return 5005, 0
	case "something behind the last AVP":
		return 5014, 0
	}
	if strings.HasPrefix(name, "Proxy-Info nested ") {
		return 5014, 0
	}
	of, what, _ := strings.Cut(name, " ")
	if what == "" || strings.HasPrefix(what, "/") {
		return 0, 0 // in a group, of which not everything is read
	}
	of, value := strings.CutSuffix(of, ":")
	at, known := dict.AVPNamed(of)
	switch {
	case !known:
		return 0, 0
	case slices.Contains(tooShort, what):
		return 5014, at.Code
	case !slices.Contains(once, of):
		return 0, 0
	case what == "twice", what == "64 times":
		return 5009, at.Code
	case what == "missing" && !strings.HasPrefix(of, "Destination-"):
		return 5005, at.Code
	case value && of != "Session-Id" && slices.Contains(noName, what):
		return 5004, at.Code
	}
	return 0, 0
}

// Package diameter proves roamgate between real Diameter peers: freeDiameter,
// go-diameter and OTP on both sides of it, and nodes of cmd/roamgen. The same
// conversations run without roamgate in test/peer, which is the control group. The
// rules of package interop hold here; it is a package of its own so that both run at
// the same time.
package diameter

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/test/judge"
)

const (
	clientSecret = "client-secret-of-32-octets-or-more"
	homeSecret   = "home-secret-of-at-least-32-octets-1"
)

// Everything that the hub says to our Diameter nodes is judged at the end, and what it
// says to foreign ones over TCP.
func TestMain(m *testing.M) { goleak.VerifyTestMain(judge.Main{M: m}) }

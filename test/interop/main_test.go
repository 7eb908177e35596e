// Package interop proves roamgate between real peers: FreeRADIUS and
// radsecproxy as visited networks, FreeRADIUS as home, freeDiameter, go-diameter and
// OTP on both sides of Diameter, eapol_test and radclient
// as devices, Redis as the clearing queue and the policy store. The same
// conversations run without roamgate in test/peer, which is the control group.
//
// Every test starts its own programs through package peer and leaves none
// behind. Under CI nothing is skipped; elsewhere a test says which Debian
// package it misses.
//
// What must hold is written as a peer sees it: answers received, keys derived,
// records stored. No test here looks inside the hub, except at its metrics and
// its own commands.
package interop

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/test/judge"
)

// go-redis tries a lost server again once a second in a goroutine that looks
// for the end of its pool only when it wakes.
const redialing = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"

// Everything that the hub says to our Diameter nodes is judged at the end.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(judge.Main{M: m}, goleak.IgnoreAnyFunction(redialing))
}

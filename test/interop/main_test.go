// Package interop proves roamgate between real peers: FreeRADIUS and
// radsecproxy as visited networks, FreeRADIUS as home, eapol_test and radclient
// as devices, Redis as the clearing queue and the policy store. The same
// conversations run without roamgate in test/peer, which is the control group.
// Diameter has a package of its own beside this one.
//
// Every test starts its own programs through package peer and leaves none
// behind. What waits for its peers runs beside others; what brings a load runs
// alone. Under CI nothing is skipped; elsewhere a test says which Debian
// package it misses.
//
// What must hold is written as a peer sees it: answers received, keys derived,
// records stored. No test here looks inside the hub, except at its metrics and
// its own commands.
package interop

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/test/peer"
)

// go-redis tries a lost server again once a second in a goroutine that looks
// for the end of its pool only when it wakes.
const redialing = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"

func TestMain(m *testing.M) {
	peer.AtOnce(4)
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(redialing))
}

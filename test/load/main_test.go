// Package load proves what holds when the hub is asked for too much: more
// than it can do, more than a home can do, by few or by all, well formed or
// not. It starts the real hub in a process of its own, plays visited networks
// and homes against it, and floods it with datagrams of its own making.
//
// Every case writes its figures in one line. What is asserted does not depend
// on the machine's speed: every request has one outcome, no answer is wrong,
// memory stays bounded, who did nothing wrong is served, and afterwards all is
// as before. Rates and latencies are told, not judged; test/bench judges them
// side by side with other proxies.
package load

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

package device

import (
	"testing"

	"go.uber.org/goleak"
)

// go-redis tries a lost server again once a second in a goroutine that looks
// for the end of its pool only when it wakes, and opens connections ahead of
// need in others, which end when a server that does not accept has been waited
// for long enough.
const (
	redialing = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"
	dialing   = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).addIdleConn"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(redialing), goleak.IgnoreAnyFunction(dialing))
}

package device

import (
	"testing"

	"go.uber.org/goleak"
)

// go-redis tries a lost server again once a second in a goroutine that looks
// for the end of its pool only when it wakes.
const redialing = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(redialing)) }

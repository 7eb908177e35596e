package device

import "sync/atomic"

// breaker stops misses from waiting for a store that is away. It opens after
// breakerFailures in a row and closes when a probe is answered in time; the
// probes are Run's.
type breaker struct {
	failures atomic.Uint32
	isOpen   atomic.Bool
	opened   chan struct{} // tells Run's prober
}

const breakerFailures = 5

func (b *breaker) init() { b.opened = make(chan struct{}, 1) }

func (b *breaker) open() bool { return b.isOpen.Load() }

// failed counts a failure and says whether it opened the breaker.
func (b *breaker) failed() bool {
	if b.failures.Add(1) < breakerFailures || !b.isOpen.CompareAndSwap(false, true) {
		return false
	}
	select {
	case b.opened <- struct{}{}:
	default:
	}
	return true
}

// succeeded closes the breaker and says whether it was open.
func (b *breaker) succeeded() bool {
	b.failures.Store(0)
	return b.isOpen.CompareAndSwap(true, false)
}

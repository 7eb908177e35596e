package play

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/pkg/udp"
)

// homeLoop is one event loop: a goroutine that works a shard of one Home or
// of several.
type homeLoop struct {
	poller *udp.Poller
	shards []*homeShard
	wait   sync.WaitGroup
	closed atomic.Bool
	spin   bool // it never sleeps
}

// newHomeLoop opens the sockets of a new shard of each home.
func newHomeLoop(homes ...*Home) (*homeLoop, error) {
	poller, err := udp.NewPoller()
	if err != nil {
		return nil, err
	}
	l := &homeLoop{poller: poller}
	for i, h := range homes {
		s, err := newHomeShard(h, poller, uint32(i)*uint32(doors))
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.shards = append(l.shards, s)
		l.spin = l.spin || h.config.Spin
	}
	return l, nil
}

func (l *homeLoop) start() { l.wait.Go(l.run) }

func (l *homeLoop) close() error {
	l.closed.Store(true)
	l.poller.Wake()
	l.wait.Wait()
	var err error
	for _, s := range l.shards {
		err = errors.Join(err, s.close())
	}
	l.poller.Close()
	return err
}

func (l *homeLoop) run() {
	for !l.closed.Load() {
		tags, _, err := l.poller.Wait(l.pause())
		if err != nil {
			return
		}
		if len(tags) == 0 && l.spin {
			Yield()
		}
		for _, tag := range tags {
			s := l.shards[tag/uint32(doors)]
			s.ready = append(s.ready, tag%uint32(doors))
		}
		for _, s := range l.shards {
			if len(s.ready) > 0 || s.holds() {
				s.turn()
				s.ready = s.ready[:0]
			}
		}
	}
}

// pause is how long nothing has to be done.
func (l *homeLoop) pause() time.Duration {
	if l.spin {
		return 0
	}
	for _, s := range l.shards {
		if s.holds() {
			return time.Millisecond
		}
	}
	return idleWait
}

// Homes share one event loop: many of them cost the machine hardly more than
// one. Its methods are safe for concurrent use.
type Homes struct {
	All  []*Home
	loop *homeLoop
}

// StartHomes opens the sockets of all homes and answers until Close. Each has
// one shard, whatever its configuration says.
func StartHomes(configs ...HomeConfig) (*Homes, error) {
	t := &Homes{}
	for _, c := range configs {
		c.Shards = 1
		t.All = append(t.All, newHome(c))
	}
	var err error
	if t.loop, err = newHomeLoop(t.All...); err != nil {
		return nil, fmt.Errorf("starting %d homes: %w", len(configs), err)
	}
	for _, h := range t.All {
		if err := h.open(); err != nil {
			return nil, errors.Join(err, t.Close())
		}
	}
	t.loop.start()
	return t, nil
}

// Close closes all homes.
func (t *Homes) Close() error {
	if t.loop.closed.Swap(true) {
		return nil
	}
	var err error
	for _, h := range t.All {
		err = errors.Join(err, h.door.close())
	}
	return errors.Join(err, t.loop.close())
}

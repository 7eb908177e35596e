package fticks

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Spec says what is written and where to.
type Spec struct {
	Reporting Reporting
	MAC       MAC
	Key       []byte // of the keyed modes
	Prefix    string // "": DefaultPrefix
	To        Target
	Log       *zap.Logger
}

// maxValue is what an attribute holds.
const maxValue = 253

// tick is what one line is made from, with octets of its own.
type tick struct {
	country, institution string
	nameLen, stationLen  uint8
	accept, hasStation   bool
	names                [maxValue]byte
	stations             [maxValue]byte
}

func (t *tick) name() []byte    { return t.names[:t.nameLen] }
func (t *tick) station() []byte { return t.stations[:t.stationLen] }

const (
	queued = 4096        // ticks that wait for being written, some 2 MiB
	pause  = time.Second // before a target that failed is tried again
)

// Ticker takes ticks and writes their lines.
type Ticker struct {
	spec    Spec
	queue   chan tick
	written atomic.Uint64
	dropped atomic.Uint64
	failed  atomic.Uint64
}

// New makes a Ticker; nothing is written before Run.
func New(s Spec) *Ticker { return &Ticker{spec: s, queue: make(chan tick, queued)} }

// Tick hands over what a line is made from. name and station are borrowed, and
// a nil station is none. While the queue is full the tick is dropped.
//
// hot: 0 allocs
func (t *Ticker) Tick(name, station []byte, country, institution string, accept bool) {
	var k tick
	k.country, k.institution, k.accept, k.hasStation = country, institution, accept, station != nil
	k.nameLen = uint8(copy(k.names[:], name))
	k.stationLen = uint8(copy(k.stations[:], station))
	select {
	case t.queue <- k:
	default:
		t.dropped.Add(1)
	}
}

// Written is the number of lines that the target has taken.
func (t *Ticker) Written() uint64 { return t.written.Load() }

// Dropped is the number of ticks for which the queue had no room.
func (t *Ticker) Dropped() uint64 { return t.dropped.Load() }

// Failed is the number of lines that the target has not taken.
func (t *Ticker) Failed() uint64 { return t.failed.Load() }

// Run writes until ctx ends, and then what is queued.
func (t *Ticker) Run(ctx context.Context) {
	out := &output{target: t.spec.To}
	defer out.close()
	w := newWriter(&t.spec)
	var line []byte
	for {
		select {
		case k := <-t.queue:
			line = w.append(line[:0], &k)
			t.write(out, line)
		case <-ctx.Done():
			for len(t.queue) > 0 {
				k := <-t.queue
				line = w.append(line[:0], &k)
				t.write(out, line)
			}
			return
		}
	}
}

func (t *Ticker) write(out *output, line []byte) {
	was := out.down
	err := out.write(line)
	switch {
	case err == nil:
		t.written.Add(1)
		if was {
			t.spec.Log.Info("F-Ticks are written again", zap.Uint64("lost", t.failed.Load()))
		}
	default:
		t.failed.Add(1)
		if !was {
			t.spec.Log.Warn("F-Ticks cannot be written, they are dropped until they can", zap.Error(err))
		}
	}
}

package queue

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/accounting"
)

// Trim says when the spool may forget a record.
type Trim uint8

const (
	// TrimAuto is TrimWatermark from the first report of a clearing side on,
	// and TrimDelivered until then.
	TrimAuto Trim = iota
	// TrimDelivered forgets what the queue has confirmed.
	TrimDelivered
	// TrimWatermark forgets what the clearing side has reported as stored.
	TrimWatermark
)

// ParseTrim reads the configuration's word.
func ParseTrim(s string) (Trim, error) {
	switch s {
	case "", "auto":
		return TrimAuto, nil
	case "delivered":
		return TrimDelivered, nil
	case "watermark":
		return TrimWatermark, nil
	}
	return 0, fmt.Errorf("trim %q is none of auto, delivered, watermark", s)
}

// Options of a Drainer.
type Options struct {
	View   *accounting.View // how identities show; its Hasher becomes the drainer's own; must not be nil
	Logger *zap.Logger      // nil logs nothing
	Trim   Trim
	// NewView returns one more View like the first, for one more goroutine
	// that encodes. Encoders is how many there are at most; 0 is one for each
	// processor, up to 4. Without NewView there is one.
	NewView  func() *accounting.View
	Encoders int
	// MaxRecords and MaxBytes end a batch; 0 is 512 and 1 MiB of stored
	// records. MaxMessage ends it too.
	MaxRecords, MaxBytes int
	// Linger is how long a batch that is not full waits for more; 0 is 20 ms.
	Linger time.Duration
	// Backoff is the longest pause between attempts while the queue is away;
	// 0 is 5 s.
	Backoff time.Duration
	// Poll is how often the clearing side's watermark is read; 0 is 1 s.
	Poll time.Duration
}

const firstBackoff = 50 * time.Millisecond

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Encoders <= 0 {
		o.Encoders = min(runtime.GOMAXPROCS(0), 4)
	}
	if o.MaxRecords <= 0 {
		o.MaxRecords = 512
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 20
	}
	if o.Linger <= 0 {
		o.Linger = 20 * time.Millisecond
	}
	if o.Backoff <= 0 {
		o.Backoff = 5 * time.Second
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
}

// Stats are the drainer's counters.
type Stats struct {
	Published atomic.Uint64 // records the queue confirmed, repetitions included
	Batches   atomic.Uint64
	Retries   atomic.Uint64 // attempts that failed for a passing reason
	Rewinds   atomic.Uint64 // the queue had lost its tail and was sent it again
	Alarms    atomic.Uint64 // conflicts: draining stands still until somebody looks
	Lost      atomic.Uint64 // records the queue lost that the spool has trimmed
	Cursor    atomic.Uint64 // newest record that is behind us
	LastAck   atomic.Int64  // Unix nanoseconds of the last confirmation
	Reported  atomic.Uint64 // watermark of the clearing side
	Up        atomic.Bool   // the last attempt reached the queue
}

package spool

import (
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// Options of a Spool. The zero value is safe for a real disk.
type Options struct {
	// FS is the file system; nil is that of the machine.
	FS vfs.FS
	// Logger takes state changes; nil logs nothing.
	Logger *zap.Logger
	// ReadOnly opens a spool that another process may write to later but not
	// now: for looking into it from the command line.
	ReadOnly bool
	// Node is whose spool this is. A spool keeps the first it is given and
	// refuses any other with ErrOwner: two nodes that number their records
	// alike would pass for one. "" asks nothing.
	Node string
	// DefaultNode is the name of a spool that has none, where Node is "".
	DefaultNode string
	// MaxQueued bounds the records that wait for a commit; 0 is 65536.
	MaxQueued int
	// MaxQueuedBytes bounds their octets; 0 is 64 MiB.
	MaxQueuedBytes int
	// MinFree is the free space in octets below which nothing more is taken;
	// 0 is 256 MiB, negative never refuses. Taking resumes by itself at an
	// eighth more.
	MinFree int64
	// Ballast is the size of a file that is kept beside the log only to be
	// removed when a write meets a full disk in spite of MinFree: 0 is 64 MiB,
	// negative none. It grows to that while the spool runs.
	Ballast int64
	// Retain is how many delivered records stay readable; 0 is 100000,
	// negative none.
	Retain int
	// RetainTime keeps delivered records at least this long; 0 has no say.
	RetainTime time.Duration
	// Seal is how often at most the witness is told what was acknowledged,
	// by which Open knows damage at the end of the log from a torn tail. It
	// costs one more sync. 0 is 250 ms, negative never.
	Seal time.Duration
	// Scan is called by Open for every retained record in order, while the
	// whole log is checked: an error refuses to open. nil only checks; rec is
	// lent.
	Scan func(seq uint64, rec []byte) error
	// SkipCheck opens without reading the whole log; Scan is not called.
	SkipCheck bool

	format pebble.FormatMajorVersion // tests: the control with an older format
	now    func() time.Time          // tests
}

const (
	maxCommitBytes   = 4 << 20
	maxCommitRecords = 8192
	spaceInterval    = time.Second // how often a full disk is looked at
)

func (o *Options) defaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.MaxQueued <= 0 {
		o.MaxQueued = 65536
	}
	if o.MaxQueuedBytes <= 0 {
		o.MaxQueuedBytes = 64 << 20
	}
	if o.MinFree == 0 {
		o.MinFree = 256 << 20
	}
	if o.Ballast == 0 {
		o.Ballast = 64 << 20
	}
	if o.Retain == 0 {
		o.Retain = 100_000
	}
	if o.Seal == 0 {
		o.Seal = 250 * time.Millisecond
	}
	if o.format == pebble.FormatDefault {
		o.format = pebble.FormatNewest
	}
	if o.now == nil {
		o.now = time.Now
	}
}

// State says whether the spool takes records, and if not why.
type State uint32

const (
	Ready   State = iota
	Full          // more waits than MaxQueued: the disk is too slow
	NoSpace       // less is free than MinFree, or a write met a full disk
	Failed        // a write or sync failed: final for this process
	Closed
)

// String gives the label of the state gauge.
func (s State) String() string {
	switch s {
	case Ready:
		return "ready"
	case Full:
		return "full"
	case NoSpace:
		return "no_space"
	case Failed:
		return "failed"
	case Closed:
		return "closed"
	}
	return "unknown"
}

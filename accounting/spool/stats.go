package spool

import (
	"sync/atomic"
	"time"
)

// counters are written by the committer and by refused callers.
type counters struct {
	commits, records, bytes, refused atomic.Uint64
	free, disk, sealed               atomic.Uint64
	commitTime, oldest               atomic.Int64
	used, level                      atomic.Uint32 // of the file system: thousandths, percent
}

// Stats is a picture of the spool for metrics and the status page.
type Stats struct {
	State      State
	First      uint64        // oldest kept sequence number
	Last       uint64        // newest durable one
	Watermark  uint64        // newest delivered one
	Sealed     uint64        // newest one that even damage at the very end of the log cannot hide, 0 since start
	Pending    uint64        // records owed to home servers
	Dead       uint64        // dead letters, of whatever reason
	Queued     uint64        // records that wait for a commit
	Commits    uint64        // since start, as all below
	Records    uint64        // committed
	Bytes      uint64        // of committed records
	Refused    uint64        // records not taken
	CommitTime time.Duration // spent in commits
	DiskBytes  uint64        // what the log takes on the disk
	FreeBytes  uint64        // what the file system has left, 0 unknown
	DiskUsed   float64       // of the file system, 0 to 1 as df counts it
	DiskLevel  int           // that crossed last: 0, 70, 85 or 95 percent
	Oldest     time.Time
}

// Kept counts the records that can be read.
func (s *Stats) Kept() uint64 { return s.Last + 1 - s.First }

// Stats reads the counters; it does not wait for the disk.
func (s *Spool) Stats() Stats {
	s.in.mu.Lock()
	queued := s.in.records
	s.in.mu.Unlock()
	c := &s.stats
	st := Stats{
		State: s.State(), First: s.First(), Last: s.Last(), Watermark: s.Watermark(), Sealed: s.stats.sealed.Load(),
		Pending: uint64(max(s.pending.Load(), 0)), Queued: uint64(queued),
		Commits: c.commits.Load(), Records: c.records.Load(), Bytes: c.bytes.Load(), Refused: c.refused.Load(),
		CommitTime: time.Duration(c.commitTime.Load()), DiskBytes: c.disk.Load(), FreeBytes: c.free.Load(),
		DiskUsed: float64(c.used.Load()) / 1000, DiskLevel: int(c.level.Load()),
	}
	for i := range s.dead {
		st.Dead += s.DeadLetters(uint8(i))
	}
	if t := c.oldest.Load(); t != 0 {
		st.Oldest = time.Unix(t, 0)
	}
	return st
}

// measure asks the store how much disk it takes.
func (s *Spool) measure() {
	if s.Failure() == nil {
		s.stats.disk.Store(s.db.Metrics().DiskSpaceUsage())
	}
}

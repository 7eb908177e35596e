package spool

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// The store does not survive a write that fails: the disk then holds it,
// or a part of it, or nothing. So a full disk must not be met at all
// (MinFree), and where another writer has filled it between two looks, room
// is made before the write is tried again: the ballast is a file of no
// content that is given up then. What the store has under way goes into its
// room, and nothing more is taken until there is enough again for a new one.
//
// A sync that meets a full disk is not tried again: like any failed sync it
// may have dropped what it should have written.

const (
	ballastName  = "ballast"
	ballastStep  = 4 << 20  // by which it grows, once a second: writing it must not hold up a commit
	ballastPiece = 64 << 10 // octets at a time
)

// ballast is shared by the committer and by whatever goroutine of the store
// meets the full disk.
type ballast struct {
	fs vfs.FS // of the machine, which does not call back

	mu   sync.Mutex // guards size, and the state against being set from an old look
	size int64

	spent atomic.Bool // given up, and taking has not resumed since
}

// levels of a file system in use, in percent, at which an operator hears.
var levels = [...]uint32{70, 85, 95}

// guardDisk makes all that the spool and its store write give up the ballast
// before they fail.
func (s *Spool) guardDisk() {
	s.ballast.fs = s.o.FS
	if s.o.Ballast <= 0 || s.o.ReadOnly {
		return
	}
	if st, err := s.ballast.fs.Stat(s.ballastPath()); err == nil {
		s.ballast.size = st.Size()
	}
	s.o.FS = vfs.OnDiskFull(s.o.FS, s.diskFull)
}

func (s *Spool) ballastPath() string { return s.o.FS.PathJoin(s.dir, ballastName) }

// diskFull makes room: a write has met a full disk and waits to be repeated.
func (s *Spool) diskFull() {
	b := &s.ballast
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent.Store(true)
	s.state.CompareAndSwap(uint32(Ready), uint32(NoSpace))
	freed := b.size
	if err := b.fs.Remove(s.ballastPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		freed = 0
		s.o.Logger.Error("removing the ballast", zap.String("dir", s.dir), zap.Error(err))
	}
	b.size = 0
	s.o.Logger.Error("disk is full, accounting is not acknowledged and the ballast is given up",
		zap.String("dir", s.dir), zap.Int64("freed", freed))
}

// cramped says whether the next commit could fill what room the ballast has
// made. Marks lead to trimming, so they may take more of it than records.
func (s *Spool) cramped(records bool) bool {
	if !s.ballast.spent.Load() {
		return false
	}
	u, err := s.o.FS.GetDiskUsage(s.dir)
	if err != nil {
		return false
	}
	if records {
		return u.AvailBytes < uint64(s.o.Ballast)/2
	}
	return u.AvailBytes < uint64(s.o.Ballast)/8
}

// turnAway answers all that waits: there is no room for it. Marks are kept.
func (s *Spool) turnAway() {
	w, q := &s.writer, &s.in
	group := w.taken[w.at:]
	records, load, bytes := 0, 0, 0
	for _, b := range group {
		records += b.Len()
		load += b.load()
		bytes += b.Size()
	}
	q.mu.Lock()
	q.records -= load
	q.bytes -= bytes
	q.mu.Unlock()
	s.stats.refused.Add(uint64(records))
	w.at, w.group = len(w.taken), 0
	for _, b := range group {
		b.Err = ErrNoSpace
		b.done.SpoolDone(b)
	}
	for _, r := range w.requests {
		r.err = ErrNoSpace
		close(r.done)
	}
	clear(w.requests)
	w.requests = w.requests[:0]
}

// checkSpace moves between Ready and NoSpace.
func (s *Spool) checkSpace() {
	b := &s.ballast
	b.mu.Lock()
	defer b.mu.Unlock()
	u, err := s.o.FS.GetDiskUsage(s.dir)
	if err != nil {
		return // a file system that does not say is taken to have room
	}
	s.stats.free.Store(u.AvailBytes)
	s.used(&u)
	limit := uint64(max(s.o.MinFree, 0))
	if b.spent.Load() {
		limit = max(limit, uint64(s.o.Ballast))
	}
	switch {
	case u.AvailBytes < limit && s.state.CompareAndSwap(uint32(Ready), uint32(NoSpace)):
		s.o.Logger.Error("disk is nearly full, accounting is not acknowledged",
			zap.String("dir", s.dir), zap.Uint64("free", u.AvailBytes), zap.Uint64("limit", limit))
	case u.AvailBytes >= limit+limit/8 && s.state.CompareAndSwap(uint32(NoSpace), uint32(Ready)):
		b.spent.Store(false)
		s.o.Logger.Info("disk has room again, accounting is acknowledged",
			zap.String("dir", s.dir), zap.Uint64("free", u.AvailBytes))
	}
}

// used publishes how much of the file system is in use, as df counts it, and
// says when that crosses a level.
func (s *Spool) used(u *vfs.DiskUsage) {
	if u.UsedBytes+u.AvailBytes == 0 {
		return
	}
	permille := uint32(u.UsedBytes * 1000 / (u.UsedBytes + u.AvailBytes))
	s.stats.used.Store(permille)
	was, now := s.stats.level.Load(), uint32(0)
	for _, l := range levels {
		// A level is left only a whole percent below it.
		if permille >= l*10 || was >= l && permille > l*10-10 {
			now = l
		}
	}
	if now == was {
		return
	}
	s.stats.level.Store(now)
	fields := []zap.Field{zap.String("dir", s.dir), zap.Uint32("used_percent", permille/10), zap.Uint32("level", now)}
	if now > was {
		s.o.Logger.Warn("disk fills up", fields...)
	} else {
		s.o.Logger.Info("disk has more room", fields...)
	}
}

// growBallast adds a step to the ballast where that takes nothing from the
// room that Ready needs.
func (s *Spool) growBallast() {
	b := &s.ballast
	b.mu.Lock()
	defer b.mu.Unlock()
	step := min(s.o.Ballast-b.size, ballastStep)
	if step <= 0 || State(s.state.Load()) != Ready {
		return
	}
	u, err := s.o.FS.GetDiskUsage(s.dir)
	if limit := max(s.o.MinFree, 0); err != nil || int64(u.AvailBytes)-step < limit+limit/8 {
		return
	}
	if err := s.addBallast(step); err != nil {
		s.o.Logger.Warn("making the ballast", zap.String("dir", s.dir), zap.Error(err))
	}
}

func (s *Spool) addBallast(step int64) (err error) {
	b := &s.ballast
	var f vfs.File
	if b.size == 0 {
		f, err = b.fs.Create(s.ballastPath(), vfs.WriteCategoryUnspecified)
	} else {
		f, err = b.fs.OpenReadWrite(s.ballastPath(), vfs.WriteCategoryUnspecified)
	}
	if err != nil {
		b.size = 0 // it is not what it was: made anew
		return err
	}
	// Octets that no file system folds into nothing.
	octets, chance := make([]byte, min(step, ballastPiece)), rand.NewChaCha8([32]byte{byte(b.size >> 20)})
	for end := b.size + step; b.size < end && err == nil; {
		var n int
		_, _ = chance.Read(octets)
		n, err = f.WriteAt(octets[:min(end-b.size, int64(len(octets)))], b.size)
		b.size += int64(n)
	}
	return errors.Join(err, f.Close())
}

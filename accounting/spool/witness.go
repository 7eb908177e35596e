package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// The witness is a small file beside the store that says up to which record
// we have acknowledged. The store cannot always tell damage near the end of
// its live log from a torn tail: it looks for proof of durability only in
// the next block of 32 KiB, and what it writes there as durable leaves out
// full blocks. It then opens without the damaged records and those behind
// them. The witness knows better.
//
// It is appended to and synced a few times a second, not per commit: what
// was acknowledged since then has the store's own protection only.
const (
	witnessName  = "acked"
	witnessEntry = 12      // sequence number, CRC-32C
	witnessMax   = 1 << 16 // then a new file replaces it
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type witness struct {
	file vfs.File
	size int
	seq  uint64    // what the file says
	at   time.Time // when it was written
}

// readWitness returns the highest whole entry. A file that is not there is
// one nobody wrote yet, or one the operator removed to accept a loss.
func (s *Spool) readWitness() (seq uint64, err error) {
	f, err := s.o.FS.Open(s.witnessPath(""))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, damaged("opening "+s.witnessPath(""), err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, damaged("reading "+s.witnessPath(""), err)
	}
	for ; len(b) >= witnessEntry; b = b[witnessEntry:] {
		if crc32.Checksum(b[:8], castagnoli) == binary.BigEndian.Uint32(b[8:]) {
			seq = max(seq, binary.BigEndian.Uint64(b))
		}
	}
	return seq, nil
}

// checkWitness compares the log with what was acknowledged.
func (s *Spool) checkWitness() error {
	seq, err := s.readWitness()
	if err != nil {
		return err
	}
	if last := s.last.Load(); seq > last {
		return fmt.Errorf("%w: records %d to %d were acknowledged and are missing from the end of the log "+
			"(removing %s accepts the loss)", ErrDamaged, last+1, seq, s.witnessPath(""))
	}
	return nil
}

func (s *Spool) witnessPath(suffix string) string {
	return s.o.FS.PathJoin(s.dir, witnessName+suffix)
}

// seal makes the witness say what is durable now.
func (s *Spool) seal() {
	w := &s.writer.witness
	seq := s.last.Load()
	if s.o.Seal < 0 || seq == w.seq || s.Failure() != nil {
		return
	}
	if err := s.writeWitness(seq); err != nil {
		s.fail(fmt.Errorf("writing %s: %w", s.witnessPath(""), err))
		return
	}
	w.seq, w.at = seq, time.Now()
	s.stats.sealed.Store(seq)
}

func (s *Spool) writeWitness(seq uint64) error {
	w := &s.writer.witness
	if w.file == nil || w.size >= witnessMax {
		return s.newWitness(seq)
	}
	w.size += witnessEntry
	if _, err := w.file.Write(entryOf(seq)); err != nil {
		return err
	}
	return w.file.SyncData()
}

// newWitness replaces the file whole, so that there is always one to read.
func (s *Spool) newWitness(seq uint64) error {
	w := &s.writer.witness
	s.closeWitness()
	f, err := s.o.FS.Create(s.witnessPath(".new"), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w.file, w.size = f, witnessEntry
	if _, err := f.Write(entryOf(seq)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := s.o.FS.Rename(s.witnessPath(".new"), s.witnessPath("")); err != nil {
		return err
	}
	dir, err := s.o.FS.OpenDir(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (s *Spool) closeWitness() {
	w := &s.writer.witness
	if w.file == nil {
		return
	}
	if err := w.file.Close(); err != nil {
		s.o.Logger.Warn("closing the spool's witness", zap.Error(err))
	}
	w.file = nil
}

func entryOf(seq uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, seq)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

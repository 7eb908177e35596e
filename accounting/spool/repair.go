package spool

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Repair makes a spool anew from what Salvage can read of the one in dir, in
// its place, and leaves the damaged one beside it under the name it returns.
// No hub may have it open. Records keep their numbers; what is lost stays a
// named gap (Lost); the watermark, whole cuts, what is owed and dead letters
// come along. Records that o.Scan refuses are lost. The epoch is a new one: the queue must not take what follows
// for a repetition of something else.
//
// Until the new spool has been read whole nothing of the old one is touched.
func Repair(dir string, o Options) (r *Remains, kept string, err error) {
	o = Options{FS: o.FS, Logger: o.Logger, Scan: o.Scan, now: o.now, Ballast: -1, Seal: -1, MinFree: -1}
	o.defaults()
	lock, err := pebble.LockDirectory(dir, o.FS)
	if err != nil {
		return nil, "", fmt.Errorf("locking %s, is it in use? %w", dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	fresh := dir + ".repaired"
	if _, err := o.FS.Stat(fresh); err == nil {
		return nil, "", fmt.Errorf("%s is there already, perhaps from a repair that was interrupted: remove it first", fresh)
	}
	if r, err = remake(dir, fresh, o); err == nil {
		err = reread(fresh, r, o)
	}
	if err == nil {
		err = linkOthers(dir, fresh, o.FS)
	}
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("repairing %s: %w", dir, err), o.FS.RemoveAll(fresh))
	}
	kept = dir + ".damaged-" + o.now().UTC().Format("20060102T150405Z")
	if err := o.FS.Rename(dir, kept); err != nil {
		return nil, "", err
	}
	if err := o.FS.Rename(fresh, dir); err != nil {
		return nil, "", errors.Join(err, o.FS.Rename(kept, dir))
	}
	return r, kept, syncDir(o.FS, o.FS.PathDir(dir))
}

// remake writes what can be read of dir into fresh.
func remake(dir, fresh string, o Options) (*Remains, error) {
	s, err := Open(fresh, Options{FS: o.FS, Logger: o.Logger, now: o.now, Ballast: -1, Seal: -1, MinFree: -1})
	if err != nil {
		return nil, err
	}
	b := s.db.NewBatch()
	write := func(k, v []byte) error {
		if err := b.Set(k, v, nil); err != nil || b.Len() < maxCommitBytes {
			return err
		}
		err := b.Commit(pebble.NoSync)
		b = s.db.NewBatch()
		return err
	}
	var failed error
	r, err := Salvage(dir, o.FS, func(seq uint64, rec []byte) error {
		if o.Scan != nil {
			if err := o.Scan(seq, rec); err != nil {
				return err
			}
		}
		if failed == nil {
			failed = write(newKey(keyRecord, seq), rec)
		}
		return nil
	})
	if err = errors.Join(err, failed); err == nil {
		err = r.carry(write, s.epoch)
	}
	if err == nil && r.First > 1 {
		err = b.DeleteRange(newKey(keyRecord, 0), newKey(keyRecord, r.First), nil)
	}
	if err == nil {
		err = b.Commit(pebble.Sync)
	}
	if err == nil {
		err = s.db.Flush()
	}
	return r, errors.Join(err, s.Close())
}

// carry writes what is no record.
func (r *Remains) carry(write func(k, v []byte) error, now uint64) error {
	r.Epoch = max(r.Epoch+1, now)
	set := map[string][]byte{string(keyMeta): binary.BigEndian.AppendUint64([]byte{layout}, r.Epoch)}
	if r.Node != "" {
		set[string(keyNode)] = []byte(r.Node)
	}
	if r.Watermark > 0 {
		set[string(keyWatermark)] = binary.BigEndian.AppendUint64(nil, r.Watermark)
	}
	for _, p := range r.Lost {
		set[string(newKey(keyLost, p.First))] = binary.BigEndian.AppendUint64(nil, p.Last)
	}
	r.Owed, r.Dead = 0, 0
	for k, m := range r.marks {
		if !m.gone && len(k) == keyLen && r.carries([]byte(k), m.value) {
			set[k] = m.value
		}
	}
	for k, v := range set {
		if err := write([]byte(k), v); err != nil {
			return err
		}
	}
	return nil
}

// carries says whether a mark still has what it speaks of, and counts it.
func (r *Remains) carries(k, v []byte) bool {
	here := func(first, last uint64) bool {
		return first >= r.First && first <= last && len(gaps(r.found, first, last)) == 0
	}
	n := seqOf(k)
	switch k[0] {
	case keyForward:
		if len(v) == 0 && !here(n, n) {
			return false
		}
		r.Owed++
		return true
	case keyDead:
		l, rec, err := decodeLetter(k, v)
		if err != nil || len(rec) == 0 && !l.Final && !here(n, n) {
			return false
		}
		r.Dead++
		return true
	case keyCut:
		c, err := decodeCut(k, v)
		return err == nil && here(c.First, c.Last)
	case keyTime:
		return len(v) == 8 && binary.BigEndian.Uint64(v) <= r.Last
	}
	return false
}

// reread opens what was made as a hub would, and compares.
func reread(fresh string, r *Remains, o Options) error {
	o.ReadOnly = true
	s, err := Open(fresh, o)
	if err != nil {
		return err
	}
	n := uint64(0)
	err = s.Read(0, func(uint64, []byte) bool { n++; return true })
	if err == nil && n != r.Records {
		err = fmt.Errorf("%w: %d of %d records were written", ErrDamaged, n, r.Records)
	}
	return errors.Join(err, s.Close())
}

// linkOthers brings along what lies beside the store, as the identity key.
func linkOthers(dir, fresh string, fs vfs.FS) error {
	files, err := Files(dir, fs)
	for _, f := range files {
		if err == nil && f.Kind == kindOther {
			err = fs.Link(fs.PathJoin(dir, f.Name), fs.PathJoin(fresh, f.Name))
		}
	}
	return errors.Join(err, syncDir(fs, fresh))
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

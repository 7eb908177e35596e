package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Damage is one place of a spool that cannot be read.
type Damage struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"` // -1 where it is not known
	Text   string `json:"text"`
}

func (d Damage) String() string {
	if d.Offset < 0 {
		return d.File + ": " + d.Text
	}
	return fmt.Sprintf("%s, offset %d: %s", d.File, d.Offset, d.Text)
}

// Remains is what can still be read of a spool, whatever state it is in.
type Remains struct {
	Node      string   `json:"node,omitempty"`
	Epoch     uint64   `json:"epoch"` // 0: not known
	First     uint64   `json:"first"`
	Last      uint64   `json:"last"` // to which there were records, as far as anything tells
	Watermark uint64   `json:"watermark"`
	Records   uint64   `json:"records"` // that can be read
	Owed      uint64   `json:"owed"`
	Dead      uint64   `json:"dead"`
	Lost      []Span   `json:"lost,omitempty"`   // of First to Last
	Damage    []Damage `json:"damage,omitempty"` // where

	found []Span
	marks map[string]mark
	floor uint64 // below it the log was trimmed
}

// mark is the newest version of a key that is no record.
type mark struct {
	num   uint64 // the store's, of the write
	value []byte
	gone  bool
}

// Salvage reads a spool file by file, around what is damaged, and says what
// there is. It writes nothing and does not need the store to open. Tables that
// the store had replaced but not removed count too: records are never changed,
// so an old copy is as good.
//
// each is called for every record that can be read, in no order and perhaps
// more than once; a record it returns an error for counts as lost. nil takes
// all. rec is lent.
func Salvage(dir string, fs vfs.FS, each func(seq uint64, rec []byte) error) (*Remains, error) {
	if fs == nil {
		fs = vfs.Default
	}
	r := &Remains{marks: map[string]mark{}}
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	x := salvager{r: r, dir: dir, fs: fs, each: each}
	for _, n := range names {
		switch kindOf(n) {
		case "log":
			err = x.log(n)
		case "table":
			err = x.table(n)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, x.sum()
}

type salvager struct {
	r    *Remains
	dir  string
	fs   vfs.FS
	each func(seq uint64, rec []byte) error
}

func (x *salvager) bad(file string, offset int, text string) {
	x.r.Damage = append(x.r.Damage, Damage{file, int64(offset), text})
}

// put takes one entry of the store.
func (x *salvager) put(kind pebble.InternalKeyKind, num uint64, k, v []byte) {
	r := x.r
	switch kind {
	case pebble.InternalKeyKindSet:
		if len(k) == keyLen && k[0] == keyRecord {
			seq := seqOf(k)
			if x.each != nil {
				if err := x.each(seq, v); err != nil {
					x.bad(fmt.Sprintf("record %d", seq), -1, err.Error())
					return
				}
			}
			if n := len(r.found); n > 0 && r.found[n-1].Last+1 == seq {
				r.found[n-1].Last = seq
			} else {
				r.found = append(r.found, Span{seq, seq})
			}
			return
		}
	case pebble.InternalKeyKindDelete, pebble.InternalKeyKindSingleDelete, pebble.InternalKeyKindDeleteSized:
		v = nil
	case pebble.InternalKeyKindRangeDelete:
		if len(k) == keyLen && len(v) == keyLen && k[0] == keyRecord {
			r.floor = max(r.floor, seqOf(v))
		}
		return
	default:
		return
	}
	gone := kind != pebble.InternalKeyKindSet
	if old, ok := r.marks[string(k)]; !ok || num > old.num || num == old.num && old.gone {
		r.marks[string(k)] = mark{num, append([]byte(nil), v...), gone}
	}
}

func (x *salvager) log(name string) error {
	num, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 64)
	if err != nil {
		return nil // none of the store's
	}
	f, err := x.fs.Open(x.fs.PathJoin(x.dir, name))
	if err != nil {
		return err
	}
	b, rerr := io.ReadAll(f)
	if err := f.Close(); err != nil {
		return err
	}
	if rerr != nil {
		x.bad(name, len(b), rerr.Error())
	}
	for _, h := range readLog(b, uint32(num), x.write) {
		x.bad(name, h.from, fmt.Sprintf("%d octets do not match their checksum", h.to-h.from))
	}
	return nil
}

// write takes one write of a log.
func (x *salvager) write(repr []byte) {
	h, ok := batchrepr.ReadHeader(repr)
	if !ok {
		return
	}
	num := uint64(h.SeqNum)
	for r := batchrepr.Read(repr); ; num++ {
		kind, k, v, ok, err := r.Next()
		if err != nil || !ok {
			return // its checksum was good: the end, or a format we do not know
		}
		x.put(kind, num, k, v)
	}
}

// table reads one table. What its index cannot lead to is lost.
func (x *salvager) table(name string) error {
	f, err := x.fs.Open(x.fs.PathJoin(x.dir, name))
	if err != nil {
		return err
	}
	o := new(pebble.Options)
	o.EnsureDefaults()
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	t, err := sstable.NewReader(context.Background(), readable, o.MakeReaderOptions())
	if err != nil {
		x.bad(name, -1, cause(err))
		return readable.Close()
	}
	defer func() { _ = t.Close() }()
	if err := t.ValidateBlockChecksums(); err != nil {
		x.bad(name, -1, cause(err))
	}
	x.tombstones(t)
	it, err := t.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return nil // ValidateBlockChecksums has named it
	}
	defer func() { _ = it.Close() }()
	for _, prefix := range prefixes {
		x.walk(it, prefix)
	}
	return nil
}

// prefixes are all keys of the layout.
var prefixes = []byte{keyCut, keyDead, keyForward, keyLost, keyMeta[0], keyNode[0], keyRecord, keyTime, keyWatermark[0]}

// tombstones finds how far the log was trimmed.
func (x *salvager) tombstones(t *sstable.Reader) {
	it, err := t.NewRawRangeDelIter(context.Background(), sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if err != nil || it == nil {
		return
	}
	defer it.Close()
	for sp, err := it.First(); err == nil && sp != nil; sp, err = it.Next() {
		x.put(pebble.InternalKeyKindRangeDelete, 0, sp.Start, sp.End)
	}
}

// walk reads the keys of one prefix. Where a block cannot be read it looks
// for the first number behind the block: twice as far each time until it
// finds a good block, then back by halves.
func (x *salvager) walk(it sstable.Iterator, prefix byte) {
	if single := prefix == keyMeta[0] || prefix == keyNode[0] || prefix == keyWatermark[0]; single {
		if kv := it.SeekGE([]byte{prefix}, 0); kv != nil && len(kv.K.UserKey) == 1 && kv.K.UserKey[0] == prefix {
			for ; kv != nil && len(kv.K.UserKey) == 1 && kv.K.UserKey[0] == prefix; kv = it.Next() {
				if v, _, err := kv.Value(nil); err == nil {
					x.put(kv.K.Kind(), uint64(kv.K.SeqNum()), kv.K.UserKey, v)
				}
			}
		}
		return
	}
	next, good := uint64(0), true
	for {
		kv := it.SeekGE(newKey(prefix, next), 0)
		for ; kv != nil; kv = it.Next() {
			k := kv.K.UserKey
			if k[0] != prefix || len(k) != keyLen {
				return
			}
			good = true
			if v, _, err := kv.Value(nil); err == nil {
				x.put(kv.K.Kind(), uint64(kv.K.SeqNum()), k, v)
			}
			next = seqOf(k) + 1
		}
		if it.Error() == nil || !good {
			return
		}
		good = false
		var found bool
		if next, found = behind(it, prefix, next); !found {
			return
		}
	}
}

// behind returns the first number from which on the table can be read again.
func behind(it sstable.Iterator, prefix byte, from uint64) (uint64, bool) {
	readable := func(n uint64) bool {
		kv := it.SeekGE(newKey(prefix, n), 0)
		return kv != nil || it.Error() == nil
	}
	low, step := from, uint64(1)
	for !readable(low + step) {
		low += step
		if step <<= 1; low+step < low || step == 0 {
			return 0, false
		}
	}
	high := low + step
	for low+1 < high {
		if mid := low + (high-low)/2; readable(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high, true
}

// cause is the text of a store's error with the place it names.
func cause(err error) string {
	if where := place(err); where != "" {
		return where + ": " + err.Error()
	}
	return err.Error()
}

// sum draws together what was read.
func (x *salvager) sum() error {
	r := x.r
	if m, ok := r.mark(keyMeta); ok {
		if len(m) != 9 || m[0] != layout {
			return fmt.Errorf("%w: written by a newer program?", ErrVersion)
		}
		r.Epoch = binary.BigEndian.Uint64(m[1:])
	}
	if m, ok := r.mark(keyNode); ok {
		r.Node = string(m)
	}
	if m, ok := r.mark(keyWatermark); ok && len(m) == 8 {
		r.Watermark = binary.BigEndian.Uint64(m)
	}
	s := Spool{o: Options{FS: x.fs}, dir: x.dir}
	acked, err := s.readWitness()
	if err != nil {
		x.bad(witnessName, -1, err.Error())
	}
	r.found = merged(r.found)
	r.Last = max(r.Watermark, acked)
	if n := len(r.found); n > 0 {
		r.Last = max(r.Last, r.found[n-1].Last)
	}
	for k, m := range r.marks {
		r.count(k, m)
	}
	r.First = max(r.floor, 1)
	// What is missing at the front and was delivered has been trimmed; the
	// note of it may be gone with the records.
	if len(r.found) > 0 && r.found[0].First > r.First {
		r.First = min(r.found[0].First, max(r.First, r.Watermark+1))
	}
	for _, p := range r.found {
		if p.Last >= r.First {
			r.Records += Span{max(p.First, r.First), p.Last}.Len()
		}
	}
	r.Lost = gaps(r.found, r.First, r.Last)
	return nil
}

func (r *Remains) mark(k []byte) ([]byte, bool) {
	m, ok := r.marks[string(k)]
	return m.value, ok && !m.gone
}

// count adds what a mark says.
func (r *Remains) count(k string, m mark) {
	if m.gone || len(k) != keyLen {
		return
	}
	switch k[0] {
	case keyForward:
		r.Owed++
		r.Last = max(r.Last, seqOf([]byte(k)))
	case keyDead:
		r.Dead++
		r.Last = max(r.Last, seqOf([]byte(k)))
	case keyCut:
		if c, err := decodeCut([]byte(k), m.value); err == nil {
			r.Last = max(r.Last, c.Last)
		}
	case keyLost:
		if len(m.value) == 8 {
			r.Last = max(r.Last, binary.BigEndian.Uint64(m.value))
		}
	}
}

package queue

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

// Encoding names the form of Batch.Data: one JSON object a line
// (accounting.Record.AppendJSON).
const Encoding = "jsonl"

// Batch is one message: a stretch First to Last of the spool and those of
// its records that are carried.
type Batch struct {
	Epoch       uint64
	First, Last uint64
	N           int      // records in Data
	NQ          int      // records in Quarantined
	Hash        [16]byte // of the stored records carried, not of their JSON form
	Data        []byte
	Quarantined []byte

	cut spool.Cut
	sum hash.Hash
	raw int // octets of the records carried
}

// ID is the batch's place in its stream: it grows from batch to batch.
func (b *Batch) ID() string {
	return strconv.FormatUint(b.First, 10) + "-" + strconv.FormatUint(b.Epoch, 10)
}

// HashText is Hash as the stream shows it.
func (b *Batch) HashText() string { return hex.EncodeToString(b.Hash[:]) }

func (b *Batch) reset(epoch, first uint64) {
	if b.sum == nil {
		b.sum = sha256.New()
	}
	b.sum.Reset()
	*b = Batch{
		Epoch: epoch, First: first, Last: first - 1,
		Data: b.Data[:0], Quarantined: b.Quarantined[:0], sum: b.sum,
	}
}

// add takes one record of the stretch. Records of kinds not in the filter
// only move its end.
func (b *Batch) add(seq uint64, rec []byte, filter accounting.Kinds, v *accounting.View) {
	b.Last = seq
	kind, ok := accounting.KindOf(rec)
	if !ok {
		kind = accounting.Quarantined
	}
	if !filter.Has(kind) {
		return
	}
	var head [12]byte
	binary.BigEndian.PutUint64(head[:], seq)
	binary.BigEndian.PutUint32(head[8:], uint32(len(rec)))
	_, _ = b.sum.Write(head[:])
	_, _ = b.sum.Write(rec)
	b.raw += len(rec)
	if kind == accounting.Quarantined {
		b.Quarantined = appendLine(b.Quarantined, seq, rec, v)
		b.NQ++
		return
	}
	b.Data = appendLine(b.Data, seq, rec, v)
	b.N++
}

// appendLine appends the JSON line of a record. One that this program cannot
// read goes out as it is: it must not hold up those behind it.
func appendLine(dst []byte, seq uint64, rec []byte, v *accounting.View) []byte {
	r, err := accounting.Decode(rec)
	if err != nil {
		dst = fmt.Appendf(dst, `{"seq":%d,"kind":"quarantined","quarantine":"unreadable","record":"`, seq)
		dst = base64.StdEncoding.AppendEncode(dst, rec)
		return append(dst, "\"}\n"...)
	}
	r.Seq = seq
	return append(r.AppendJSON(dst, v), '\n')
}

// seal ends the stretch.
func (b *Batch) seal(filter accounting.Kinds) {
	copy(b.Hash[:], b.sum.Sum(nil))
	b.cut = spool.Cut{First: b.First, Last: b.Last, N: uint32(b.count()), Filter: uint32(filter), Hash: b.Hash}
}

// count is how many records the batch carries; with none it is not sent.
func (b *Batch) count() int { return b.N + b.NQ }

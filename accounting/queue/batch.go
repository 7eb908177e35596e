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

// MaxMessage is the most octets of Data and Quarantined together, unless one
// record alone has more, which none has. It is below what every queue takes
// by default (NATS 1 MiB, Kafka 1,048,588), headers included, so that a
// stretch that was cut for one queue fits any other.
const MaxMessage = 900_000

// Batch is one message: a stretch First to Last of the spool.
type Batch struct {
	Epoch       uint64
	First, Last uint64
	N           int      // records in Data
	NQ          int      // records in Quarantined
	Hash        [16]byte // of the stored records carried, not of their JSON form
	Data        []byte
	Quarantined []byte

	cut    spool.Cut
	sum    hash.Hash
	filter accounting.Kinds // what is carried
}

// ID is the batch's place in its stream: it grows from batch to batch.
func (b *Batch) ID() string {
	return strconv.FormatUint(b.First, 10) + "-" + strconv.FormatUint(b.Epoch, 10)
}

// HashText is Hash as the stream shows it.
func (b *Batch) HashText() string { return hex.EncodeToString(b.Hash[:]) }

// begin empties b for a stretch that begins at first. filter is that of a
// cut: a program before this one left out some kinds, and what it has cut
// must come out as it was; 0 carries everything.
func (b *Batch) begin(epoch, first uint64, filter uint32) {
	if b.sum == nil {
		b.sum = sha256.New()
	}
	b.sum.Reset()
	*b = Batch{
		Epoch: epoch, First: first, Last: first - 1,
		Data: b.Data[:0], Quarantined: b.Quarantined[:0], sum: b.sum,
		filter: accounting.Kinds(filter), cut: spool.Cut{Filter: filter},
	}
	if filter == 0 {
		b.filter = accounting.AllKinds
	}
}

// add takes one record of the stretch; an empty one is lost, and carried as
// nothing. It reports false, and has not taken it, when the batch would have
// more than limit octets by it; the first always fits.
func (b *Batch) add(seq uint64, rec []byte, v *accounting.View, limit int) bool {
	if len(rec) == 0 {
		b.Last = seq
		return true
	}
	kind, ok := accounting.KindOf(rec)
	if !ok {
		kind = accounting.Quarantined
	}
	if !b.filter.Has(kind) {
		b.Last = seq
		return true
	}
	to, n := &b.Data, &b.N
	if kind == accounting.Quarantined {
		to, n = &b.Quarantined, &b.NQ
	}
	had := len(*to)
	*to = appendLine(*to, seq, rec, v)
	if b.count() > 0 && len(b.Data)+len(b.Quarantined) > limit {
		*to = (*to)[:had]
		return false
	}
	*n++
	b.Last = seq
	var head [12]byte
	binary.BigEndian.PutUint64(head[:], seq)
	binary.BigEndian.PutUint32(head[8:], uint32(len(rec)))
	_, _ = b.sum.Write(head[:])
	_, _ = b.sum.Write(rec)
	return true
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
func (b *Batch) seal() {
	copy(b.Hash[:], b.sum.Sum(nil))
	b.cut = spool.Cut{First: b.First, Last: b.Last, N: uint32(b.count()), Filter: b.cut.Filter, Hash: b.Hash}
}

// count is how many records the batch carries.
func (b *Batch) count() int { return b.N + b.NQ }

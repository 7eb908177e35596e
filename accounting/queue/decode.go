package queue

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
)

const (
	maxForeign = 64 << 10 // octets kept of what is no batch
	maxRecords = 1 << 17  // records of a batch; programs before this one could pass over 65,536
	maxData    = 64 << 20 // octets of a batch
)

// decode reads what a queue carries beside the records: first, last, n, nq,
// hash and encoding, by name; Data and Quarantined are set. It sets Err to
// what is wrong with them.
func (d *Delivery) decode(field func(name string) string) {
	number := func(name string, limit uint64) uint64 {
		text := field(name)
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n > limit || len(text) > 20 {
			d.refuse("its field %s is no number up to %d", name, limit)
		}
		return n
	}
	d.First, d.Last = number("first", 1<<63), number("last", 1<<63)
	d.N = int(number("n", maxRecords))
	if field("nq") != "" {
		d.NQ = int(number("nq", maxRecords))
	}
	hash := field("hash")
	if len(hash) != hex.EncodedLen(len(d.Hash)) {
		d.refuse("its hash has %d digits", len(hash))
	} else if _, err := hex.Decode(d.Hash[:], []byte(hash)); err != nil {
		d.refuse("its hash is not hexadecimal")
	}
	d.Encoding = clip(field("encoding"))
	switch {
	case d.Err != nil:
	case d.Encoding != Encoding:
		d.refuse("its encoding is %q, not %s: a newer hub may have written it", d.Encoding, Encoding)
	case d.First == 0 || d.Last < d.First || d.Last-d.First >= maxRecords:
		d.refuse("it claims the records %d to %d", d.First, d.Last)
	case uint64(d.N)+uint64(d.NQ) > d.Last-d.First+1:
		d.refuse("it claims %d records in %d", d.N+d.NQ, d.Last-d.First+1)
	case len(d.Data) > maxData || len(d.Quarantined) > maxData:
		d.refuse("it has %d octets", len(d.Data)+len(d.Quarantined))
	case !lines(d.Data, d.N) || !lines(d.Quarantined, d.NQ):
		d.refuse("it does not have the %d lines and %d quarantined it claims", d.N, d.NQ)
	}
}

// lines says whether b is n lines.
func lines(b []byte, n int) bool {
	return bytes.Count(b, []byte{'\n'}) == n && (len(b) == 0 || b[len(b)-1] == '\n')
}

// refuse says why d is no batch; the first reason stands.
func (d *Delivery) refuse(format string, args ...any) {
	if d.Err == nil {
		d.Err = fmt.Errorf("%w: %s", ErrForeign, fmt.Sprintf(format, args...))
	}
}

// maxHeaders is what the fields of a batch and the queue's own take.
const maxHeaders = 4096

// fields gives what stands beside the records, for queues whose messages
// have headers and one payload.
func (b *Batch) fields(set func(name, value string)) {
	set("first", strconv.FormatUint(b.First, 10))
	set("last", strconv.FormatUint(b.Last, 10))
	set("epoch", strconv.FormatUint(b.Epoch, 10))
	set("n", strconv.Itoa(b.N))
	set("nq", strconv.Itoa(b.NQ))
	set("hash", b.HashText())
	set("encoding", Encoding)
	set("data", strconv.Itoa(len(b.Data)))
}

// payload is Data with Quarantined behind it.
func (b *Batch) payload() []byte {
	if len(b.Quarantined) == 0 {
		return b.Data
	}
	return append(append(make([]byte, 0, len(b.Data)+len(b.Quarantined)), b.Data...), b.Quarantined...)
}

// unpack is the reverse of fields and payload.
func (d *Delivery) unpack(payload []byte, field func(name string) string) {
	n, err := strconv.Atoi(field("data"))
	if err != nil || n < 0 || n > len(payload) {
		d.refuse("its field data is no number up to %d", len(payload))
		n = len(payload)
	}
	if epoch := field("epoch"); epoch != strconv.FormatUint(d.Epoch, 10) {
		d.refuse("its epoch is %.32q", epoch)
	}
	d.Data, d.Quarantined = payload[:n:n], payload[n:]
	d.decode(field)
	if d.Err != nil {
		d.Data, d.Quarantined = payload[:min(len(payload), maxForeign)], nil
	}
}

// number is 0 for what is no number.
func number(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

package diameter

import "encoding/binary"

// Writer builds a message in room that it is lent. What does not fit makes the whole
// message Full, which Finish tells; nothing grows and nothing allocates.
type Writer struct {
	b    []byte
	full bool
}

// Begin starts a message in room.
//
// hot: 0 allocs
func (w *Writer) Begin(room []byte, h *Header) {
	w.full = len(room) < HeaderLen
	if w.full {
		w.b = nil
		return
	}
	w.b = room[:HeaderLen]
	w.b[0], w.b[4] = version, byte(h.Flags)
	w.b[5], w.b[6], w.b[7] = byte(h.Command>>16), byte(h.Command>>8), byte(h.Command)
	binary.BigEndian.PutUint32(w.b[8:], h.Application)
	binary.BigEndian.PutUint32(w.b[12:], h.HopByHop)
	binary.BigEndian.PutUint32(w.b[16:], h.EndToEnd)
}

// Finish gives the message; nil: it did not fit.
//
// hot: 0 allocs
func (w *Writer) Finish() []byte {
	if w.full || len(w.b) > MaxLen {
		return nil
	}
	setLength(w.b, len(w.b))
	return w.b
}

// extend adds n octets.
func (w *Writer) extend(n int) []byte {
	if w.full || n > cap(w.b)-len(w.b) {
		w.full = true
		return nil
	}
	at := len(w.b)
	w.b = w.b[:at+n]
	return w.b[at:]
}

func (w *Writer) head(code, vendor uint32, flags AVPFlags, n int) []byte {
	head := 8
	if vendor != 0 {
		flags |= AVPVendor
		head = 12
	}
	b := w.extend(padded(head + n))
	if b == nil {
		return nil
	}
	binary.BigEndian.PutUint32(b, code)
	b[4] = byte(flags)
	b[5], b[6], b[7] = byte((head+n)>>16), byte((head+n)>>8), byte(head+n)
	if vendor != 0 {
		binary.BigEndian.PutUint32(b[8:], vendor)
	}
	clear(b[head+n:])
	return b[head : head+n]
}

// Bytes adds an AVP, with the M bit where mandatory says so.
//
// hot: 0 allocs
func (w *Writer) Bytes(code, vendor uint32, flags AVPFlags, v []byte) {
	copy(w.head(code, vendor, flags, len(v)), v)
}

// String adds an AVP.
//
// hot: 0 allocs
func (w *Writer) String(code, vendor uint32, flags AVPFlags, v string) {
	copy(w.head(code, vendor, flags, len(v)), v)
}

// Uint32 adds an AVP.
//
// hot: 0 allocs
func (w *Writer) Uint32(code, vendor uint32, flags AVPFlags, v uint32) {
	if b := w.head(code, vendor, flags, 4); b != nil {
		binary.BigEndian.PutUint32(b, v)
	}
}

// Uint64 adds an AVP.
//
// hot: 0 allocs
func (w *Writer) Uint64(code, vendor uint32, flags AVPFlags, v uint64) {
	if b := w.head(code, vendor, flags, 8); b != nil {
		binary.BigEndian.PutUint64(b, v)
	}
}

// Raw adds AVPs as they stand, padded to a whole word.
//
// hot: 0 allocs
func (w *Writer) Raw(avps []byte) {
	if b := w.extend(padded(len(avps))); b != nil {
		clear(b[copy(b, avps):])
	}
}

// Group begins a Grouped AVP; what is added until End, which takes the mark, stands in
// it.
//
// hot: 0 allocs
func (w *Writer) Group(code, vendor uint32, flags AVPFlags) (mark int) {
	mark = len(w.b)
	w.head(code, vendor, flags, 0)
	return mark
}

// End ends a group.
//
// hot: 0 allocs
func (w *Writer) End(mark int) {
	if w.full {
		return
	}
	n := len(w.b) - mark
	w.b[mark+5], w.b[mark+6], w.b[mark+7] = byte(n>>16), byte(n>>8), byte(n)
}

// Len is the length so far.
func (w *Writer) Len() int { return len(w.b) }

// Full reports whether something did not fit.
func (w *Writer) Full() bool { return w.full }

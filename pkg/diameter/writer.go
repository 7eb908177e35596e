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
	w.b = room[:HeaderLen:len(room)]
	w.b[0], w.b[4] = version, byte(h.Flags)
	w.b[5], w.b[6], w.b[7] = byte(h.Command>>16), byte(h.Command>>8), byte(h.Command)
	binary.BigEndian.PutUint32(w.b[8:], h.Application)
	binary.BigEndian.PutUint32(w.b[12:], h.HopByHop)
	binary.BigEndian.PutUint32(w.b[16:], h.EndToEnd)
}

// Copy starts with a copy of a whole message in room, to be added to and edited.
//
// hot: 0 allocs
func (w *Writer) Copy(room, raw []byte) {
	w.full = len(room) < len(raw) || len(raw) < HeaderLen
	if w.full {
		w.b = nil
		return
	}
	w.b = room[:copy(room, raw):len(room)]
}

// Cut takes out the octets from at to end, which are those of whole AVPs as Span and
// Cursor.Offset give them. What stands behind moves: a later AVP is cut first.
//
// hot: 0 allocs
func (w *Writer) Cut(at, end int) {
	if w.full || at < HeaderLen || end < at || end > len(w.b) {
		return
	}
	w.b = append(w.b[:at], w.b[end:]...)
}

// Replace gives the AVP at an offset, at the top of the message, another value. Its
// code, vendor and flags stay. What stands behind moves, as with Cut.
//
// hot: 0 allocs
func (w *Writer) Replace(at int, v []byte) {
	var a AVP
	if w.full || at < HeaderLen || at > len(w.b) {
		return
	}
	c := Walk(w.b[at:])
	if !c.Next(&a) {
		return
	}
	head := 8
	if a.Flags&AVPVendor != 0 {
		head = 12
	}
	n, old := padded(head+len(v)), len(a.Raw)
	if head+len(v) > MaxLen {
		w.full = true
		return
	}
	if n > old && w.extend(n-old) == nil {
		return
	}
	was := len(w.b)
	if n > old {
		was -= n - old
	}
	copy(w.b[at+n:], w.b[at+old:was])
	w.b = w.b[:was+n-old]
	b := w.b[at : at+n]
	b[5], b[6], b[7] = byte((head+len(v))>>16), byte((head+len(v))>>8), byte(head+len(v))
	clear(b[head+copy(b[head:], v):])
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
	flags &^= AVPVendor
	if vendor != 0 {
		flags |= AVPVendor
		head = 12
	}
	return w.open(code, vendor, flags, head, n)
}

// open adds an AVP with a header of head octets and gives its value.
func (w *Writer) open(code, vendor uint32, flags AVPFlags, head, n int) []byte {
	if head+n > MaxLen {
		w.full = true
		return nil
	}
	b := w.extend(padded(head + n))
	if b == nil {
		return nil
	}
	binary.BigEndian.PutUint32(b, code)
	b[4] = byte(flags)
	b[5], b[6], b[7] = byte((head+n)>>16), byte((head+n)>>8), byte(head+n)
	if head == 12 {
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

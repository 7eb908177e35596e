package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/queue"
)

func timeOf(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// appendPacket appends the Accounting-Request of p.
func appendPacket(b []byte, p *packet) []byte {
	at, l, t := len(b), p.of, &p.tick
	b = append(b, 4, byte(p.order), 0, 0)
	b = append(b, make([]byte, 16)...)
	binary.BigEndian.PutUint64(b[at+4:], p.order) // for an authenticator
	text := func(kind byte, v string) { b = append(append(b, kind, byte(len(v)+2)), v...) }
	number := func(kind byte, v uint32) { b = binary.BigEndian.AppendUint32(append(b, kind, 6), v) }
	if t.damage != noStatusType {
		status := uint32(t.kind)
		if t.status != 0 {
			status = t.status
		}
		number(40, status)
	}
	text(32, l.nas)
	if !l.untimed {
		number(55, uint32(p.event))
	}
	if p.delay > 0 {
		number(41, uint32(p.delay))
	}
	if t.kind == accounting.On || t.kind == accounting.Off {
		return length(b, at)
	}
	if t.damage != noSessionID {
		text(44, l.id)
	}
	if t.damage == withPassword {
		text(2, "0123456789abcdef")
	}
	text(1, "device"+strconv.FormatUint(l.user, 16)+"@home.example")
	text(31, fmt.Sprintf("%012x", l.user))
	number(61, 19)
	if l.multi != "" {
		text(50, l.multi)
	}
	if t.kind == accounting.Start {
		return length(b, at)
	}
	in, out := t.packets()
	number(46, uint32(t.seconds))
	number(42, uint32(t.in))
	number(43, uint32(t.out))
	number(47, uint32(in))
	number(48, uint32(out))
	if l.wide {
		number(52, uint32(t.in>>32))
		number(53, uint32(t.out>>32))
	}
	if t.kind == accounting.Stop {
		number(49, 1)
	}
	return length(b, at)
}

func length(b []byte, at int) []byte {
	binary.BigEndian.PutUint16(b[at+2:], uint16(len(b)-at))
	return b
}

// hub takes packets as roamgate does, and makes batches of what it stored.
type hub struct {
	name   string
	hasher *accounting.Hasher
	view   accounting.View
	seq    uint64
	batch  queue.Delivery
	packet []byte
	record []byte
}

func newHub(name string) *hub {
	key := []byte("the identity key of both hubs")
	return &hub{name: name, hasher: accounting.NewHasher(key), view: accounting.View{Hasher: accounting.NewHasher(key)}}
}

// take takes one packet. It says whether the batch is full.
func (h *hub) take(p *packet) (full bool, err error) {
	h.packet = appendPacket(h.packet[:0], p)
	arrival := p.arrival * int64(time.Second)
	var e accounting.Event
	accounting.Classify(&e, h.packet, arrival)
	head := accounting.Header{Time: arrival, Client: p.of.client, Operator: "1" + p.of.client + ".example", Country: "DE",
		Realm: "home.example", Route: "home.example"}
	head.SetEvent(&e)
	head.Key = h.hasher.Key(&e, head.Operator)
	h.record = accounting.AppendRecord(h.record[:0], &head, h.packet)
	rec, err := accounting.Decode(h.record)
	if err != nil {
		return false, err
	}
	h.seq++
	rec.Seq = h.seq
	d := &h.batch
	if d.N+d.NQ == 0 {
		*d = queue.Delivery{Node: h.name, Epoch: 1, First: h.seq, Encoding: queue.Encoding, Data: d.Data[:0], Quarantined: d.Quarantined[:0]}
	}
	d.Last = h.seq
	if e.Kind == accounting.Quarantined {
		d.Quarantined, d.NQ = append(rec.AppendJSON(d.Quarantined, &h.view), '\n'), d.NQ+1
	} else {
		d.Data, d.N = append(rec.AppendJSON(d.Data, &h.view), '\n'), d.N+1
	}
	return d.N+d.NQ >= 512, nil
}

// seal gives the batch its hash.
func (h *hub) seal() *queue.Delivery {
	sum := sha256.New()
	_, _ = sum.Write(h.batch.Data)
	_, _ = sum.Write(h.batch.Quarantined)
	copy(h.batch.Hash[:], sum.Sum(nil))
	return &h.batch
}

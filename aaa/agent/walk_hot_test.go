package agent

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// sink takes what is sent and keeps the last of it.
type sink struct {
	wire
	last [8192]byte
	n    int
}

func (s *sink) RoomFor(n int) []byte { return s.last[:n] }
func (s *sink) Commit(n int)         { s.n = n }

// hotWalk relays one request and its answer after the other.
type hotWalk struct {
	*walkRig
	mme, hss    *link
	in, out     *sink
	ask, answer []byte
	serial      uint32
}

func newHotWalk(t testing.TB, edit func(*realm.Set)) *hotWalk {
	h := &hotWalk{walkRig: newWalkRig(t, edit), in: &sink{}, out: &sink{}}
	h.mme, h.hss = h.links["mme"], h.links["hss1"]
	h.mme.conn, h.hss.conn = h.in, h.out
	h.ask = request().octets()
	h.round() // for its answer
	var m diameter.Message
	m.Parse(h.out.last[:h.out.n])
	h.answer = answerTo(&m, "hss1.home.example", diameter.ResultSuccess).octets()
	h.lp.answer(h.hss, &m, diameter.NoFault)
	return h
}

func (h *hotWalk) round() {
	h.serial++
	binary.BigEndian.PutUint32(h.ask[12:], h.serial)
	binary.BigEndian.PutUint32(h.ask[16:], h.serial)
	h.lp.heard(h.mme, h.ask)
	if h.answer != nil {
		copy(h.answer[12:], h.out.last[12:20])
		h.lp.heard(h.hss, h.answer)
	}
}

// A ULR and its answer cost no allocation.
func TestAllocRelay(t *testing.T) {
	if raced {
		return // the race detector allocates
	}
	for name, edit := range map[string]func(*realm.Set){
		"relay": nil,
		"rates": func(s *realm.Set) { s.Peers[0].Rate = 1e6 },
	} {
		h := newHotWalk(t, edit)
		for range 100 {
			h.round()
		}
		assert.Zero(t, testing.AllocsPerRun(1000, h.round), name)
		assert.Zero(t, h.lp.table.used)
	}
}

func BenchmarkRelay(b *testing.B) {
	h := newHotWalk(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		h.round()
	}
}

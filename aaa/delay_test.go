package aaa

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/aaa/listen"
)

func delaying(c *Config) { c.InFlight, c.RejectDelay = 8, time.Second }

// C54: a reject of our own is held back from a second on, not longer than half
// as long more; a repetition in between is answered once. A home's reject goes
// back at once.
func TestC54RejectDelay(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: delaying})
	request := access("bob@closed.example")
	sent := r.ask(request)
	r.offer(listen.Auth, sent)
	r.pass(900 * time.Millisecond)
	r.silent()
	r.pass(700 * time.Millisecond)
	assert.Equal(t, layeh.CodeAccessReject, r.got(sent).Code)
	r.silent()
	assert.Zero(t, r.shard.slab.used)

	sent = r.ask(access("bob@home.example"))
	r.atHome(0).answer(layeh.CodeAccessReject)
	assert.Equal(t, layeh.CodeAccessReject, r.got(sent).Code)
}

// C54: who waits for a home as long as that has waited enough; where many are
// refused none is held back, and the memory of others is not used up by it.
func TestC54NotForEver(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: delaying})
	for range 4 {
		r.ask(access("bob@closed.example"))
	}
	sent := r.ask(access("bob@closed.example"))
	assert.Equal(t, layeh.CodeAccessReject, r.got(sent).Code)
	assert.Equal(t, 4, r.shard.slab.used)
	r.pass(2 * time.Second)
	assert.Zero(t, r.shard.slab.used)
}

// C52: attributes that nobody knows, of any shape, end no packet, neither a
// request nor its answer, and pass as they are.
func TestC52UnknownAttributes(t *testing.T) {
	r := newRig(t, 1, nil)
	odd := func(p *layeh.Packet) {
		p.Add(17, layeh.Attribute("unassigned"))
		p.Add(240, layeh.Attribute{})
		p.Add(246, layeh.Attribute{9, 0x80, 1})
		p.Add(26, layeh.Attribute{0, 0, 0x7f, 0xff, 1})
		p.Add(255, layeh.Attribute{0})
	}
	sent := r.ask(access("bob@home.example", odd))
	h := r.atHome(0)
	h.answer(layeh.CodeAccessAccept, odd)
	got := r.got(sent)
	assert.Equal(t, layeh.CodeAccessAccept, got.Code)
	for _, p := range []*layeh.Packet{h.Packet, got} {
		var there []layeh.Type
		for _, a := range p.Attributes {
			switch a.Type {
			case 17, 240, 246, 26, 255:
				there = append(there, a.Type)
			}
		}
		assert.Equal(t, []layeh.Type{17, 240, 246, 26, 255}, there)
	}
}

package home

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rush is a shard between many clients and one home, in steps of a
// millisecond. Clients repeat a request as RFC 5080 section 2.2.1 says and
// give it up after 30 s, and so does the shard. The home serves a steady rate
// from a bounded queue, each packet anew, repeated or not: nothing is
// forgiven. No clock and no goroutine.
type rush struct {
	pace    *Pace
	patient time.Duration // of clients, 30 s
	off     bool          // without the Pace
	rate    float64
	queue   int           // packets that wait at the home
	latency time.Duration // of an answer beside the queue
	spread  time.Duration // of the latency, even
	loss    float64       // of requests and answers together
	timers  Timers

	now    int64
	events [][]rushEvent // by millisecond
	rnd    random

	clients []rushClient
	slots   []rushSlot
	free    []uint32
	line    []rushPacket // at the home
	credit  float64

	good     int // answers that a client still waited for
	gone     int // clients that gave up
	full     int // requests that found no slot
	busy     int
	most     int // at the home, in its queue
	inFlight int
}

type rushClient struct {
	began    int64
	rt       int64
	tries    int
	slot     int // in the shard, -1 none
	over     bool
	answered int64
}

type rushSlot struct {
	gen    uint32
	client int
	began  int64
	rt     int64
	sent   int
	timer  int64
	taken  bool
}

type rushPacket struct{ slot, gen uint32 }

type rushEvent struct {
	kind   uint8 // 0 client sends, 1 timer of a slot, 2 answer
	client int
	packet rushPacket
}

func newRush(rate float64, queue int) *rush {
	r := &rush{
		rate: rate, queue: queue, now: 1000 * second, patient: 30 * time.Second,
		timers: Timers{IRT: 2 * time.Second, MRT: 16 * time.Second, MRD: 30 * time.Second, MRC: 5},
		slots:  make([]rushSlot, 65536),
	}
	r.pace = NewPace(len(r.slots))
	for i := range r.slots {
		r.free = append(r.free, uint32(len(r.slots)-1-i))
	}
	return r
}

func (r *rush) at(when int64, e rushEvent) {
	ms := int((when - 1000*second + millisecond - 1) / millisecond)
	for ms >= len(r.events) {
		r.events = append(r.events, nil)
	}
	r.events[ms] = append(r.events[ms], e)
}

// offer lets clients begin at a rate from now on for that long.
func (r *rush) offer(rate float64, lasting time.Duration) {
	for i := range int(rate * lasting.Seconds()) {
		r.clients = append(r.clients, rushClient{slot: -1})
		r.at(r.now+int64(float64(i)/rate*1e9)+millisecond, rushEvent{client: len(r.clients) - 1})
	}
}

func (r *rush) run(lasting time.Duration) {
	for end := r.now + int64(lasting); r.now < end; {
		r.now += millisecond
		if ms := int((r.now - 1000*second) / millisecond); ms < len(r.events) {
			for i := 0; i < len(r.events[ms]); i++ {
				r.event(r.events[ms][i])
			}
			r.events[ms] = nil
		}
		r.serve()
	}
}

func (r *rush) event(e rushEvent) {
	switch e.kind {
	case 0:
		r.client(e.client)
	case 1:
		if s := &r.slots[e.packet.slot]; s.taken && s.gen == e.packet.gen && s.timer <= r.now {
			r.expire(e.packet.slot)
		}
	case 2:
		r.answer(e.packet)
	}
}

// client sends a request, first or again.
func (r *rush) client(i int) {
	c := &r.clients[i]
	if c.over {
		return
	}
	if c.tries == 0 {
		c.began = r.now
	}
	if r.now-c.began >= int64(r.patient) {
		c.over = true
		r.gone++
		return
	}
	c.tries++
	c.rt = r.timers.Next(c.rt, c.tries, uint32(r.rnd.next()))
	if c.rt == 0 {
		c.rt = int64(r.patient)
	}
	r.at(min(r.now+c.rt, c.began+int64(r.patient)), rushEvent{client: i})
	if c.slot < 0 { // else a duplicate of what is in the shard
		r.request(i)
	}
}

func (r *rush) request(client int) {
	if len(r.free) == 0 {
		r.full++
		return
	}
	turn := Go
	if !r.off {
		turn = r.pace.Ask(0, Auth, false, r.now)
	}
	if turn == Busy {
		r.busy++
		return
	}
	slot := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	s := &r.slots[slot]
	*s = rushSlot{gen: s.gen + 1, client: client, began: r.now, taken: true}
	r.clients[client].slot = int(slot)
	r.inFlight = max(r.inFlight, len(r.slots)-len(r.free))
	if turn == Wait {
		if oldest, full := r.pace.Enqueue(slot, 0, Auth, r.now); full {
			r.busy++
			r.end(oldest)
		}
		r.arm(slot, int64(Patience))
		return
	}
	r.send(slot)
}

func (r *rush) arm(slot uint32, wait int64) {
	s := &r.slots[slot]
	s.timer = min(r.now+wait, s.began+int64(r.timers.MRD))
	r.at(s.timer, rushEvent{kind: 1, packet: rushPacket{slot, s.gen}})
}

func (r *rush) send(slot uint32) {
	s := &r.slots[slot]
	s.sent++
	s.rt = r.timers.Next(s.rt, s.sent, uint32(r.rnd.next()))
	if !r.off {
		r.pace.Sent(slot, 0, Auth, r.now)
		if r.pace.Paced(0, Auth) {
			s.rt = r.timers.Next(0, 1, uint32(r.rnd.next()))
		}
	}
	r.arm(slot, s.rt)
	if len(r.line) < r.queue {
		r.line = append(r.line, rushPacket{slot, s.gen})
		r.most = max(r.most, len(r.line))
	}
}

func (r *rush) expire(slot uint32) {
	s := &r.slots[slot]
	waited := r.pace.Queued(slot)
	again := r.off || r.pace.Expired(slot, r.now)
	switch {
	case waited, s.sent >= r.timers.MRC, r.now-s.began >= int64(r.timers.MRD):
		r.end(slot)
	case again:
		r.send(slot)
	default:
		r.arm(slot, int64(Patience))
	}
	r.next()
}

func (r *rush) next() {
	for !r.off {
		slot, ok := r.pace.Next(0, Auth, r.now)
		if !ok {
			return
		}
		r.send(slot)
	}
}

func (r *rush) end(slot uint32) {
	s := &r.slots[slot]
	r.pace.Leave(slot)
	r.clients[s.client].slot = -1
	s.taken = false
	r.free = append(r.free, slot)
}

func (r *rush) serve() {
	for r.credit += r.rate / 1000; r.credit >= 1 && len(r.line) > 0; r.credit-- {
		p := r.line[0]
		r.line = r.line[1:]
		if r.loss > 0 && float64(r.rnd.next()>>11)/(1<<53) < r.loss {
			continue
		}
		if r.latency == 0 {
			r.answer(p)
			continue
		}
		r.at(r.now+int64(r.latency)+int64(float64(r.rnd.next()>>11)/(1<<53)*float64(r.spread)), rushEvent{kind: 2, packet: p})
	}
	r.credit = min(r.credit, 1)
}

func (r *rush) answer(p rushPacket) {
	s := &r.slots[p.slot]
	if !s.taken || s.gen != p.gen {
		return
	}
	c := &r.clients[s.client]
	if !c.over {
		c.over = true
		c.answered = r.now
		r.good++
	}
	r.pace.Answered(p.slot, r.now-s.began, r.now)
	r.end(p.slot)
	r.next()
}

// F28, F30: ten times what the home can do, for a minute.
func TestPaceOverload(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rate  float64
		queue int
		want  float64
	}{
		{"a home with a short queue", 200, 60, 0.9},
		{"a home with a second of queue", 200, 200, 0.9},
		{"a small home", 20, 20, 0.9},
		// What it was sent before anybody could know fills the queue with
		// requests that nobody waits for when they are answered.
		{"a home with a queue longer than clients wait", 200, 2000, 0.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overload := func(off bool) *rush {
				r := newRush(tt.rate, tt.queue)
				r.off, r.patient = off, 5*time.Second
				r.offer(10*tt.rate, 60*time.Second)
				r.run(60 * time.Second)
				return r
			}
			without := overload(true)
			r := overload(false)
			goodput := float64(r.good) / 60 / tt.rate
			// Five seconds after the rush: half of what the home can do.
			r.run(5 * time.Second)
			first, good := len(r.clients), r.good
			r.offer(tt.rate/2, 20*time.Second)
			r.run(25 * time.Second)
			fresh, slowest := 0, time.Duration(0)
			for _, c := range r.clients[first:] {
				if c.answered > 0 {
					fresh++
					slowest = max(slowest, time.Duration(c.answered-c.began))
				}
			}
			t.Logf("goodput %.1f %% of what the home can do (%.1f %% without), at most %d at the home, %d slots; afterwards %d of %d answered, after at most %v",
				100*goodput, 100*float64(without.good)/60/tt.rate, r.most, r.inFlight, fresh, len(r.clients)-first, slowest)
			assert.GreaterOrEqual(t, goodput, tt.want)
			assert.Equal(t, len(r.clients)-first, fresh, "new requests from five seconds after the rush on")
			assert.Equal(t, good+fresh, r.good)
			assert.LessOrEqual(t, r.inFlight, len(r.slots)/2)
		})
	}
}

// F30: a hundred thousand devices attach at once. The time is that of all but
// one in a thousand: who was just turned away when the last place was taken
// waits for the next repetition, alone.
func TestPaceDrainsAWave(t *testing.T) {
	for _, tt := range []struct {
		name  string
		queue int
	}{
		{"a home with a short queue", 1500},
		{"a home with a second of queue", 5000},
		{"a home with a deep queue", 50000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const devices, rate = 100000, 5000
			drained := func(off bool) (took time.Duration, r *rush) {
				r = newRush(rate, tt.queue)
				r.off = off
				r.offer(devices*10, 100*time.Millisecond)
				start := r.now
				for r.good < devices && r.now-start < 40*second {
					r.run(10 * time.Millisecond)
					if r.good <= devices-devices/1000 {
						took = time.Duration(r.now - start)
					}
				}
				return took, r
			}
			without, lost := drained(true)
			took, r := drained(false)
			ideal := time.Duration(devices) * time.Second / rate
			t.Logf("%d of %d devices attached in %v, ideal %v (without %d in %v)", r.good, devices, took, ideal, lost.good, without)
			assert.Equal(t, devices, r.good)
			assert.LessOrEqual(t, took, ideal*12/10)
		})
	}
}

// A slow home is not struggling: 20,000 requests a second with answers after
// 500 ms, from the first second on, and one whose answers come after the
// first repetition.
func TestPaceLeavesSlowHomesAlone(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rate    float64
		latency time.Duration
	}{
		{"after 500 ms", 20000, 500 * time.Millisecond},
		{"after 3 s", 1000, 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// It has the power to answer each repetition as well.
			r := newRush(6*tt.rate, 1<<20)
			r.latency = tt.latency
			const lasting = 6
			r.offer(tt.rate, lasting*time.Second)
			r.run(lasting*time.Second + 2*tt.latency + 10*time.Second)
			t.Logf("%d of %d answered, %d turned away, slots %d", r.good, len(r.clients), r.busy, r.inFlight)
			assert.Equal(t, len(r.clients), r.good)
		})
	}
}

func TestPaceDeadHomeKeepsOutOfTheWay(t *testing.T) {
	r := newRush(0, 0)
	r.offer(50000, 4*time.Second)
	r.run(10 * time.Second)
	assert.LessOrEqual(t, r.inFlight, len(r.slots)/2, "slots")
	require.NotZero(t, r.pace.Limit(0, Auth, r.now))
	r.run(60 * time.Second) // the last began when the last client asked the last time
	assert.LessOrEqual(t, r.pace.There(0, Auth), paceFloor)
	assert.Zero(t, r.pace.There(0, Auth)+r.pace.Waiting(0, Auth), "after everybody gave up")
	assert.Equal(t, len(r.slots), len(r.free))
}

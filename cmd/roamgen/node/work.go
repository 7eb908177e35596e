package node

import (
	"bytes"
	"cmp"
	"context"
	"hash/fnv"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
	dia "github.com/roamgate/roamgate/pkg/diameter"
)

// Work is what a Node asks of others.
type Work struct {
	Steps []Step // of a conversation
	// Realm is the Destination-Realm, Host the Destination-Host, "": none.
	Realm, Host string
	Prefix      string // of the IMSIs
	PLMN        [3]byte
	Password    string
	Coupled     bool // accounting by the application NASREQ (RFC 7155 section 1.6)
	// Octets is added to all volumes.
	Octets uint64

	// Window is how many conversations are under way (closed loop), 0: 1. Rate is how
	// many begin in a second instead, by chance (play.Arrivals). A Node that spins
	// begins them to the microsecond and counts latencies from when they were due,
	// however late they were begun; any other does so in steps of a millisecond and
	// counts from when they were begun.
	Window int
	Rate   float64
	// Total and Duration end it, whichever comes first; 0: they do not.
	Total    uint64
	Duration time.Duration
	Timeout  time.Duration // of an answer, 0: 10 s
	Retries  int           // with the T bit, after Timeout
	// Devices are taken in turns, from First on. 0: 10,000.
	First, Devices uint64
}

const (
	workTimeout = 10 * time.Second
	workDevices = 10_000
	// maxOpen bounds what is under way where the rate does not.
	maxOpen  = 1 << 15
	slotBits = 16
)

// work is a Work under way. Everything is guarded by the lock of the Node.
type work struct {
	Work
	node    *Node
	epoch   uint64
	now     time.Time
	begun   time.Time
	pace    play.Arrivals // of the rate
	number  uint64        // of the next conversation
	slots   []talk
	free    []int32
	busy    int
	idle    []int32 // that wait for a connection
	stopped bool
	late    bool // Duration is over
	over    chan struct{}
	scratch [1024]byte
}

// talk is a conversation.
type talk struct {
	subject
	c       *conn // nil: it waits for one
	step    int
	round   int
	records uint32
	tries   int
	hbh     uint32
	e2e     uint32
	sent    time.Time // for the first time, or when that was due
	due     time.Time
	busy    bool
}

// sweepEvery is how often it is looked for what is late.
const sweepEvery = 20 * time.Millisecond

// Play works until all is answered or lost. Only one Work at a time.
func (n *Node) Play(ctx context.Context, what Work) error {
	w := &work{Work: what, node: n, begun: time.Now(), over: make(chan struct{})}
	w.Timeout, w.Devices = cmp.Or(w.Timeout, workTimeout), cmp.Or(w.Devices, workDevices)
	w.Prefix, w.Window = cmp.Or(w.Prefix, "00101"), max(w.Window, 1)
	if w.Rate > 0 {
		w.pace = play.NewArrivals(w.Rate, seedOf(w.Realm))
	}
	w.epoch, w.now = uint64(w.begun.UnixMicro()), w.begun
	every := time.Millisecond
	if w.Rate == 0 || n.config.Spin {
		every = sweepEvery
	}
	n.mu.Lock()
	if len(n.conns) == 0 && n.listen == nil {
		n.mu.Unlock()
		return errNoPeer
	}
	n.work = w
	if !n.config.Spin {
		w.fill(w.now)
	}
	n.mu.Unlock()
	n.flushAll()
	defer func() {
		n.mu.Lock()
		n.work = nil
		n.mu.Unlock()
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	swept := w.begun
	for {
		select {
		case <-w.over:
			return nil
		case <-ctx.Done():
			n.mu.Lock()
			w.stopped = true
			n.mu.Unlock()
			ctx = context.WithoutCancel(ctx) // what is under way is waited for
		case <-tick.C:
			n.mu.Lock()
			now := time.Now()
			if now.Sub(swept) >= sweepEvery {
				swept = now
				w.sweep(now)
			}
			if !n.config.Spin {
				w.fill(now)
			}
			for _, c := range n.conns {
				c.flush()
			}
			n.mu.Unlock()
		}
	}
}

func seedOf(realm string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(realm)) // it takes all
	return h.Sum64()
}

// EndWork begins nothing more.
func (n *Node) EndWork() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.work != nil {
		n.work.stopped = true
	}
}

// fill begins what may begin now.
func (w *work) fill(now time.Time) {
	w.now = now
	elapsed := now.Sub(w.begun)
	if w.Duration > 0 && elapsed >= w.Duration {
		elapsed = w.Duration
		if !w.late {
			w.late, w.node.counts.InTime = true, w.node.counts.InTime+w.node.counts.Done()
		}
	}
	if w.Rate > 0 {
		for !w.ended() {
			due, ok := w.pace.Take(int64(elapsed))
			if !ok {
				break
			}
			if w.busy >= maxOpen {
				w.node.counts.Skipped++
				continue
			}
			t := w.begin()
			if w.node.config.Spin {
				t.sent = w.begun.Add(time.Duration(due))
			}
		}
		if w.late {
			w.stopped = true
		}
	} else {
		if w.late {
			w.stopped = true
		}
		for w.busy < w.Window && !w.ended() {
			w.begin()
		}
	}
	if w.busy == 0 && w.ended() {
		select {
		case <-w.over:
		default:
			close(w.over)
		}
	}
}

func (w *work) ended() bool { return w.stopped || w.Total > 0 && w.number >= w.Total }

func (w *work) begin() *talk {
	var i int32
	if n := len(w.free); n > 0 {
		i, w.free = w.free[n-1], w.free[:n-1]
	} else {
		w.slots = append(w.slots, talk{})
		i = int32(len(w.slots) - 1)
	}
	t := &w.slots[i]
	w.setSubject(&t.subject, w.number)
	w.number++
	w.busy++
	w.node.counts.Conversations++
	t.step, t.records, t.busy = 0, 0, true
	w.ask(i, 0)
	return t
}

// ask begins a step.
func (w *work) ask(i int32, round int) {
	t := &w.slots[i]
	t.round, t.tries, t.sent = round, 0, w.now
	t.e2e = w.node.endToEnd.Add(1)
	w.node.counts.Sent++
	w.node.counts.Asked[w.Steps[t.step]]++
	w.transmit(i, 0)
}

// transmit sends a step by any connection, or waits for one.
func (w *work) transmit(i int32, flags dia.Flags) {
	t := &w.slots[i]
	t.due = w.now.Add(w.Timeout)
	t.hbh = (t.hbh&^(1<<slotBits-1)+1<<slotBits)&^asking | uint32(i)
	t.tries++
	if t.c = w.node.next(); t.c == nil {
		w.idle = append(w.idle, i)
		return
	}
	t.c.send(w.build(w.Steps[t.step], &t.subject, t.round, t.records, dia.Header{Flags: flags, HopByHop: t.hbh, EndToEnd: t.e2e}))
}

// answered takes an answer.
func (w *work) answered(c *conn, r *dia.Message, now time.Time) {
	w.now = now
	counts := &w.node.counts
	i := int32(r.HopByHop & (1<<slotBits - 1))
	if int(i) >= len(w.slots) || !w.slots[i].busy || w.slots[i].hbh != r.HopByHop || w.slots[i].c != c {
		counts.Unasked++
		return
	}
	t := &w.slots[i]
	step := w.Steps[t.step]
	result := resultOf(r)
	if r.EndToEnd != t.e2e || r.Command != stepTable[step].command || r.Application != w.application(step) || result == 0 ||
		!bytes.Equal(r.Value(dia.KnownSessionID), t.session) && r.Flags&dia.FlagError == 0 ||
		!r.Has(dia.KnownOriginHost) || !w.right(step, t, r, result) {
		counts.Flaws++
		return // it is as if it had not come
	}
	counts.Latency.Observe(int64(now.Sub(t.sent)))
	switch {
	case result == dia.ResultMultiRoundAuth:
		counts.Success++
		counts.Succeeded[step]++
		w.ask(i, t.round+1)
		return
	case result/1000 == 2:
		counts.Success++
		counts.Succeeded[step]++
	default:
		counts.Failed++
		if counts.Results == nil {
			counts.Results, counts.Reporters = map[uint32]uint64{}, map[string]uint64{}
		}
		counts.Results[result]++
		counts.Reporters[string(r.Value(dia.KnownOriginHost))]++
		w.end(i, false)
		return
	}
	if k := stepTable[step].command; k == dia.Accounting || k == dia.CreditControl {
		if k == dia.Accounting && w.node.seen != nil {
			w.node.taken = append(w.node.taken, Record{string(t.session), t.records})
		}
		t.records++
	}
	if t.step++; t.step == len(w.Steps) {
		w.end(i, true)
		return
	}
	w.ask(i, 0)
}

// right compares what only this step has.
func (w *work) right(step Step, t *talk, r *dia.Message, result uint32) bool {
	if result/1000 != 2 {
		return true
	}
	switch stepTable[step].command {
	case dia.EAP:
		var a dia.AVP
		want := keyOf(t.session)
		return dia.Find(r.Body(), eapMasterKey, 0, &a) && bytes.Equal(a.Data, want[:])
	case dia.Accounting:
		n, ok := r.Uint32(dia.KnownRecordNumber)
		return ok && n == t.records
	case dia.CreditControl:
		n, ok := r.Uint32(dia.KnownRequestNumber)
		return ok && n == t.records
	}
	return true
}

// resultOf gives Result-Code or Experimental-Result-Code, 0: neither.
func resultOf(r *dia.Message) uint32 {
	if v, ok := r.Uint32(dia.KnownResultCode); ok {
		return v
	}
	var a dia.AVP
	if !dia.Find(r.Value(dia.KnownExperimentalResult), dia.ExperimentalResultCode, 0, &a) {
		return 0
	}
	v, _ := a.Uint32()
	return v
}

// Result reads the Result-Code or Experimental-Result-Code of an answer, 0: it has
// neither.
func Result(answer []byte) uint32 {
	var r dia.Message
	if r.Parse(answer) != dia.NoFault {
		return 0
	}
	return resultOf(&r)
}

func (w *work) end(i int32, finished bool) {
	if finished {
		w.node.counts.Finished++
	}
	w.slots[i].busy = false
	w.busy--
	w.free = append(w.free, i)
}

// opened sends what waits for a connection.
func (w *work) opened() {
	idle := w.idle
	w.idle = nil
	for _, i := range idle {
		if t := &w.slots[i]; t.busy && t.c == nil {
			due := t.due
			w.transmit(i, w.again(t))
			t.due = due
		}
	}
}

// again is the T bit where a request may have come before.
func (w *work) again(t *talk) dia.Flags {
	if t.tries < 2 {
		return 0
	}
	return dia.FlagRetransmitted
}

// lost sends what was under way by another connection (RFC 6733 section 5.5.4).
func (w *work) lost(c *conn) {
	for i := range w.slots {
		if t := &w.slots[i]; t.busy && t.c == c {
			due := t.due
			w.node.counts.Repeated++
			t.tries = max(t.tries, 2)
			w.transmit(int32(i), dia.FlagRetransmitted)
			t.due = due
		}
	}
}

// sweep repeats or gives up what is late.
func (w *work) sweep(now time.Time) {
	w.now = now
	for i := range w.slots {
		t := &w.slots[i]
		if !t.busy || t.due.After(now) {
			continue
		}
		if t.tries <= w.Retries {
			w.node.counts.Repeated++
			w.transmit(int32(i), dia.FlagRetransmitted)
			continue
		}
		w.node.counts.Lost++
		w.end(int32(i), false)
	}
}

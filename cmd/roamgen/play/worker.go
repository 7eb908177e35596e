package play

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// method is how a conversation authenticates; the order is that of Mix.
type method uint16

const (
	methodPAP method = iota
	methodCHAP
	methodEAP
	methodStatus
)

// conversation is a device from its first request to the end of its session.
type conversation struct {
	number  uint64 // of the conversation, over all workers
	device  uint64
	hash    uint64 // of the NAI
	due     int64  // of the next request: end of the dwelling, 0: at once
	begun   int64
	next    Kind // the request to send
	method  method
	interim int32
	eapID   uint8
	stateN  uint8
	classN  uint8
	state   [253]byte
	class   [64]byte
}

// batchSize is how many datagrams are received, proved, signed or sent
// together.
const batchSize = 64

// worker is one event loop of a NAS.
type worker struct {
	nas    *NAS
	lanes  []*lane // authentication ones first
	size   int32   // slots of a lane
	turns  [2]int  // next lane of each port to try
	poller *udp.Poller
	batch  *udp.Batch

	slots   []slot
	waiting waiting
	busy    int
	convs   []conversation
	free    []int32
	live    int
	ready   fifo // conversations that lack an identifier
	resting fifo // conversations that dwell, by due

	arrivals   [batchSize]arrival
	answer     *radius.Packet // the one at hand
	proofs     *radius.Proofs
	writer     radius.Writer
	crypt      *radius.Crypt
	signatures *radius.Signatures
	unsent     []int32 // slots whose requests wait for their signature
	plain      [256]byte
	random     random
	start      int64
	now        int64
	asked      uint64   // conversations that the rate has asked for
	pace       Arrivals // of Spin
	packets    [][]byte // of a connection, where there is no batch of datagrams
	readers    sync.WaitGroup
	closing    bool // guarded by mu

	mu      sync.Mutex // guards what follows; held by the loop while it works
	counts  NASCounts
	rejects map[string]*uint64 // by Reply-Message
}

func newWorker(n *NAS, i int) (*worker, error) {
	w := &worker{
		nas:     n,
		size:    int32(n.config.Stream.slots()),
		batch:   udp.NewBatch(batchSize, radius.MaxLen+1),
		waiting: waiting{none, none},
		crypt:   radius.NewCrypt(),
		random:  random(n.config.Seed + mix(uint64(i))),
		rejects: map[string]*uint64{},

		proofs:     radius.NewProofs(batchSize),
		signatures: radius.NewSignatures(batchSize),
		unsent:     make([]int32, 0, batchSize),
	}
	if w.spins() {
		w.pace = NewArrivals(n.config.Rate/float64(n.config.Workers), uint64(i))
	}
	var err error
	if w.poller, err = udp.NewPoller(); err != nil {
		return nil, err
	}
	for acct, target := range [2]netip.AddrPort{n.config.Auth, n.config.Acct} {
		if !target.IsValid() {
			continue
		}
		for range n.config.Sockets {
			if err := w.open(target, acct == 1); err != nil {
				return nil, errors.Join(err, w.close())
			}
		}
	}
	w.slots = make([]slot, len(w.lanes)*int(w.size))
	for _, l := range w.lanes {
		if l.link != nil {
			w.readers.Go(func() { w.attend(l, l.link) })
		}
	}
	return w, nil
}

func (w *worker) open(target netip.AddrPort, acct bool) error {
	bind := w.nas.config.bind(target)
	l := newLane(int32(len(w.lanes))*w.size, int(w.size), int(w.random.next()%idsPerLane), acct)
	l.secret, l.to = w.nas.secret, target
	if w.nas.config.Stream != nil {
		link, err := w.nas.config.Stream.dial(bind, target)
		if err != nil {
			return fmt.Errorf("connecting to %s: %w", target, err)
		}
		w.lanes = append(w.lanes, l)
		w.join(l, link)
		return nil
	}
	conn, err := udp.Listen(netip.AddrPortFrom(bind, 0), udp.Options{RecvBuffer: socketBuffer, SendBuffer: socketBuffer, Segment: true})
	if err != nil {
		return fmt.Errorf("opening socket on %s: %w", bind, err)
	}
	l.conn, l.queue, l.target = conn, udp.NewQueue(conn, batchSize), udp.AddrFrom(target)
	w.lanes = append(w.lanes, l)
	return w.poller.Add(conn, uint32(len(w.lanes)-1))
}

func (w *worker) close() error {
	var err error
	w.mu.Lock()
	w.closing = true
	for _, l := range w.lanes {
		switch {
		case l.conn != nil:
			w.poller.Remove(l.conn)
			err = errors.Join(err, l.conn.Close())
		case l.link != nil:
			l.link.close()
		}
	}
	w.lanes = nil
	w.mu.Unlock()
	w.readers.Wait()
	w.poller.Close()
	return err
}

func (w *worker) run() {
	var tags []uint32
	for {
		more, pause := w.turn(tags)
		if !more || w.nas.aborted.Load() {
			return
		}
		var err error
		if tags, _, err = w.poller.Wait(pause); err != nil {
			return
		}
		if pause == 0 && len(tags) == 0 {
			Yield()
		}
	}
}

// turn works one batch of every socket that has one and reports whether
// there is anything left to do, and how long not.
func (w *worker) turn(tags []uint32) (more bool, pause time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = clock()
	if w.start == 0 {
		w.start = w.now
	}
	for _, tag := range tags {
		l := w.lanes[tag]
		n, err := l.conn.Recv(w.batch)
		if err != nil {
			continue
		}
		w.receive(l, n)
	}
	return w.carryOn(), w.pause()
}

// carryOn does what is due beside the answers that have come.
func (w *worker) carryOn() (more bool) {
	w.repeat()
	w.resume()
	more = w.launch()
	w.sign()
	for _, l := range w.lanes {
		switch {
		case l.queue != nil:
			l.queue.Flush()
		case l.link != nil:
			l.link.flush()
		}
	}
	return more || w.live > 0
}

// pause is how long nothing has to be done.
func (w *worker) pause() time.Duration {
	if w.spins() {
		return 0
	}
	until := w.now + int64(idleWait)
	if w.nas.config.Rate > 0 {
		until = min(until, w.now+int64(time.Millisecond))
	}
	if w.waiting.head != none {
		until = min(until, w.slots[w.waiting.head].due)
	}
	if w.resting.n > 0 {
		until = min(until, w.convs[w.resting.peek()].due)
	}
	return time.Duration(max(until-w.now, 0))
}

// repeat sends what is due again, same bytes, or gives it up.
func (w *worker) repeat() {
	for w.waiting.head != none {
		i := w.waiting.head
		s := &w.slots[i]
		if s.due > w.now {
			return
		}
		w.waiting.remove(w.slots, i)
		if int(s.tries) > w.nas.config.Retries || w.nas.config.Stream != nil {
			w.lose(i)
			continue
		}
		w.counts.Retransmitted[s.kind]++
		w.transmit(i)
	}
}

// lose gives a request up.
func (w *worker) lose(i int32) {
	s := &w.slots[i]
	w.counts.Lost[s.kind]++
	conv := s.conv
	w.release(i)
	w.end(conv, false)
}

// sign completes what was built and sends it. hot: 0 allocs
func (w *worker) sign() {
	w.signatures.Run()
	for _, i := range w.unsent {
		s := &w.slots[i]
		s.auth = [16]byte(s.buf[4:radius.HeaderLen]) // of accounting, a hash
		w.transmit(i)
	}
	w.unsent = w.unsent[:0]
}

// transmit sends a slot's bytes and sets its clock.
func (w *worker) transmit(i int32) {
	s := &w.slots[i]
	l := w.lanes[i/w.size]
	s.tries++
	s.due = w.now + int64(w.nas.config.Timeout)
	if l.conn != nil {
		l.queue.Send(s.buf[:s.n], l.target, udp.LocalInfo{})
	} else {
		// A connection repeats by itself (RFC 6613 section 2.6.1).
		s.due += int64(w.nas.config.Retries) * int64(w.nas.config.Timeout)
		l.link.send(s.buf[:s.n])
	}
	w.waiting.push(w.slots, i)
}

// resume continues conversations that have dwelt long enough, after those
// that have waited for an identifier.
func (w *worker) resume() {
	for n := w.ready.n; n > 0; n-- {
		conv := w.ready.pop()
		if w.nas.stopped.Load() && w.alone() {
			w.end(conv, false) // nobody would ever take it
			continue
		}
		if !w.send(conv) {
			break
		}
	}
	for w.resting.n > 0 && w.convs[w.resting.peek()].due <= w.now {
		w.send(w.resting.pop())
	}
}

// launch begins conversations: up to the window, or as many as the rate has
// asked for by now. It reports whether more will come.
func (w *worker) launch() bool {
	c := &w.nas.config
	over := c.Duration > 0 && w.now-w.start >= int64(c.Duration)
	if c.Rate > 0 && !w.launchRate() {
		return false
	}
	if over {
		w.nas.stopped.Store(true)
	}
	if c.Rate > 0 {
		return !over
	}
	for w.busy+w.ready.n < (c.Window+c.Workers-1)/c.Workers {
		if w.ready.n > 0 { // identifiers are the bound, not the window
			break
		}
		if !w.begin(0) {
			return false
		}
	}
	return !w.nas.stopped.Load()
}

// launchRate begins all that the Duration asks for, also where its end is
// noticed late.
func (w *worker) launchRate() bool {
	c := &w.nas.config
	elapsed := w.now - w.start
	if c.Duration > 0 {
		elapsed = min(elapsed, int64(c.Duration))
	}
	if w.spins() {
		return w.launchDue(elapsed)
	}
	due := uint64(float64(elapsed) / 1e9 * c.Rate / float64(c.Workers))
	for ; w.asked < due; w.asked++ {
		if w.ready.n > 0 {
			w.counts.Skipped++
			continue
		}
		if !w.begin(0) {
			return false
		}
	}
	return !w.nas.stopped.Load()
}

func (w *worker) spins() bool { return w.nas.config.Spin && w.nas.config.Rate > 0 }

// launchDue begins what was due by now.
func (w *worker) launchDue(elapsed int64) bool {
	for at, ok := w.pace.Take(elapsed); ok; at, ok = w.pace.Take(elapsed) {
		if w.ready.n > 0 {
			w.counts.Skipped++
			continue
		}
		if !w.begin(w.start + at) {
			return false
		}
	}
	return !w.nas.stopped.Load()
}

// begin begins a conversation that was due, 0: now.
func (w *worker) begin(due int64) bool {
	number, ok := w.nas.begin()
	if !ok {
		return false
	}
	var i int32
	if n := len(w.free); n > 0 {
		i, w.free = w.free[n-1], w.free[:n-1]
	} else {
		w.convs = append(w.convs, conversation{})
		i = int32(len(w.convs) - 1)
	}
	v := &w.convs[i]
	v.number, v.device, v.begun = number, number%w.nas.devices.n, w.now
	v.hash = hash(w.nas.devices.appendNAI(w.plain[:0], v.device))
	v.method = method(w.nas.mix[mix(number)%uint64(len(w.nas.mix))])
	v.interim, v.eapID, v.stateN, v.classN = 0, uint8(number), 0, 0
	v.due = due
	v.next = KindAuth
	switch {
	case w.nas.config.Accounting == AccountingOnly:
		v.next = KindStart
	case w.nas.config.Accounting == AccountingStop:
		v.next = KindStop
	case v.method == methodStatus:
		v.next = KindStatus
	}
	w.live++
	w.counts.Conversations++
	w.send(i)
	return true
}

// end recycles the conversation.
func (w *worker) end(conv int32, finished bool) {
	if finished {
		w.counts.Finished++
	}
	w.live--
	w.free = append(w.free, conv)
}

// release makes the identifier free again.
func (w *worker) release(i int32) {
	w.slots[i].busy = false
	w.busy--
	w.lanes[i/w.size].give(i)
}

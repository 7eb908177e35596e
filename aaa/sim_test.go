package aaa

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"pgregory.net/rapid"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/realm"
)

// world is a shard between NAS that repeat, begin anew and lose packets, and
// homes that are slow, deaf, wrong or dead. All that the shard sends is
// waited for, so that a run depends on nothing but what rapid draws.
type world struct {
	*rig
	rt      *rapid.T
	ids     int            // identifiers that a NAS uses
	ports   []*net.UDPConn // of the NAS
	asked   []*question
	latest  map[spot]*question
	at      []*heard // what homes have been asked and not let go
	lines   map[string]*use4
	got     uint64 // datagrams taken out of all sockets
	stops   int
	offered int
	waited  int
	acked   map[string]bool
	taken   map[string]bool // records of series that a home has answered
	ordered int             // records of series that reached a home
	second  realm.Home      // while the configuration does not have it
}

// spot is what a NAS tells its requests apart by.
type spot struct {
	port    int
	service listen.Service
	id      byte
}

// question is a request of a NAS and what became of it.
type question struct {
	spot
	raw   []byte
	tag   string // its Class, which its home repeats, or its session
	reply []byte
	when  int64 // of the reply
}

// use4 is the last request seen on one (source port, identifier) at a home.
type use4 struct {
	auth     [16]byte
	since    int64
	answered bool
}

func newWorld(rt *rapid.T) *world {
	w := &world{rt: rt, latest: map[spot]*question{}, lines: map[string]*use4{}, acked: map[string]bool{}, taken: map[string]bool{}}
	w.ids = rapid.SampledFrom([]int{6, 40}).Draw(rt, "identifiers of a port")
	inFlight := rapid.SampledFrom([]int{24, 120}).Draw(rt, "slots")
	homes := rapid.IntRange(1, 2).Draw(rt, "homes in the pool")
	queue := rapid.SampledFrom([]int{0, 3}).Draw(rt, "records that may wait")
	w.rig = newRigOf(rt, setup{homes: 2, queue: queue, conf: func(c *Config) { c.InFlight = inFlight }, edit: func(s *realm.Set) {
		s.Pools[0].Timers.MRD = 20 * time.Second
		s.Pools[0].Members = s.Pools[0].Members[:homes]
		if rapid.Bool().Draw(rt, "client mode") {
			clientMode(s)
		}
		if rapid.Bool().Draw(rt, "equal homes") {
			s.Pools[0].Members[homes-1].Priority = 0
		}
	}})
	for range 2 {
		w.ports = append(w.ports, w.socket())
	}
	return w
}

// sent counts all that the shard has handed to the kernel.
func (w *world) sent() (n uint64) {
	for _, f := range w.shard.fronts {
		n += f.Queue.Sent()
	}
	for _, h := range w.shard.homes {
		n += h.queue.Sent()
	}
	return n
}

// drain lets commits end and takes all that was sent out of the sockets.
func (w *world) drain() {
	w.until("commits end", func() bool {
		waiting := false
		w.each(func(ex *Exchange) { waiting = waiting || (ex.waits || ex.toSpool && !ex.onDisk) })
		return !waiting
	})
	for end := time.Now().Add(patience); w.got < w.sent(); {
		require.True(w.rt, time.Now().Before(end), "datagrams are missing")
		for port, c := range w.ports {
			for b, _ := w.waiting(c); b != nil; b, _ = w.waiting(c) {
				w.got++
				w.answered(port, b)
			}
		}
		for i := range w.homes {
			for _, c := range []*net.UDPConn{w.homes[i], w.accts[i]} {
				for b, from := w.waiting(c); b != nil; b, from = w.waiting(c) {
					w.got++
					w.heard(c, b, from)
				}
			}
		}
	}
}

// waiting takes a datagram that has arrived, nil if there is none.
func (w *world) waiting(c *net.UDPConn) (b []byte, from *net.UDPAddr) {
	raw, err := c.SyscallConn()
	require.NoError(w.rt, err)
	buf := make([]byte, 4097)
	require.NoError(w.rt, raw.Read(func(fd uintptr) bool {
		n, addr, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
		if v4, ok := addr.(*unix.SockaddrInet4); ok && err == nil {
			b, from = buf[:n], &net.UDPAddr{IP: v4.Addr[:], Port: v4.Port}
		}
		return true
	}))
	return b, from
}

// heard checks what reaches a home: an identifier in use is used for nothing
// else.
func (w *world) heard(c *net.UDPConn, b []byte, from *net.UDPAddr) {
	p, err := layeh.Parse(b, []byte(homeSecret))
	require.NoError(w.rt, err)
	key := fmt.Sprint(c.LocalAddr(), from.Port, p.Identifier)
	u := w.lines[key]
	if u != nil && u.auth != p.Authenticator {
		require.True(w.rt, u.answered || w.now-u.since >= int64(20*time.Second), "an identifier in use was given out again")
	}
	if u == nil || u.auth != p.Authenticator {
		w.lines[key] = &use4{auth: p.Authenticator, since: w.now}
	}
	w.inOrder(p)
	w.at = append(w.at, &heard{Packet: p, raw: b, hub: from, at: c, rig: w.rig})
}

// answered checks what reaches a NAS: it is the answer to the latest request
// of that port and identifier, to it alone, and always the same.
func (w *world) answered(port int, b []byte) {
	s := listen.Auth
	if layeh.Code(b[0]) == layeh.CodeAccountingResponse {
		s = listen.Acct
	}
	q := w.latest[spot{port, s, b[1]}]
	require.NotNil(w.rt, q, "an answer to nothing")
	require.True(w.rt, layeh.IsAuthenticResponse(b, q.raw, []byte(visitedSecret)), "an answer to another request")
	p, err := layeh.Parse(b, []byte(visitedSecret))
	require.NoError(w.rt, err)
	if s == listen.Acct {
		w.acked[q.tag] = true
	} else if p.Code == layeh.CodeAccessAccept {
		require.Equal(w.rt, q.tag, rfc2865.Class_GetString(p), "somebody else's answer")
	}
	if q.reply != nil && w.now-q.when < int64(10*time.Second) {
		require.True(w.rt, bytes.Equal(q.reply, b), "two different answers to one request")
		return
	}
	q.reply, q.when = b, w.now
}

// put sends a question, again or for the first time.
func (w *world) put(q *question) {
	w.post(q)
	w.turn(patience)
	w.drain()
}

// post leaves a question for the shard to find.
func (w *world) post(q *question) {
	if w.latest[q.spot] != q {
		q.reply = nil
	}
	w.latest[q.spot] = q
	_, err := w.ports[q.port].WriteToUDP(q.raw, w.front(q.service))
	require.NoError(w.rt, err)
	w.offered++
}

// burst lets many requests, some of them twice, meet in a batch. Those of one
// port have different identifiers: which of two was the latest could not be
// told.
func (w *world) burst(t *rapid.T) {
	used := map[spot]*question{}
	for range rapid.IntRange(2, 60).Draw(t, "requests") {
		q := w.access(t)
		if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			w.stops++
			q = w.session(t, fmt.Sprint("session ", w.stops), 0)
		}
		if used[q.spot] != nil {
			q = used[q.spot]
		}
		used[q.spot] = q
		w.post(q)
	}
	w.turn(patience)
	w.drain()
}

func (w *world) ask(t *rapid.T) { w.put(w.access(t)) }

func (w *world) access(t *rapid.T) *question {
	tag := fmt.Sprint("request ", len(w.asked))
	name := rapid.SampledFrom([]string{"bob@home.example", "a@x.iot.example", "b@nowhere.example"}).Draw(t, "name")
	p := access(name, with(rfc2865.Class_Type, tag), withID(byte(rapid.IntRange(0, w.ids-1).Draw(t, "id"))))
	if rapid.Bool().Draw(t, "state") {
		with(rfc2865.State_Type, "s")(p)
	}
	q := &question{spot: spot{rapid.IntRange(0, 1).Draw(t, "port"), listen.Auth, p.Identifier}, raw: encode(w.rt, p, true), tag: tag}
	w.asked = append(w.asked, q)
	return q
}

func (w *world) report(t *rapid.T) {
	w.stops++
	tag := fmt.Sprint("session ", w.stops)
	w.put(w.session(t, tag, 0))
}

// session reports a session, once more or for the first time.
func (w *world) session(t *rapid.T, tag string, delay uint32) *question {
	name := []string{"bob@home.example", "a@x.iot.example", "b@nowhere.example", "c@local.example"}[tag[len(tag)-1]%4]
	p := acctStop(name, tag, with32(55, 1_772_366_000), with32(rfc2866.AcctDelayTime_Type, delay), withID(byte(rapid.IntRange(0, w.ids-1).Draw(t, "id"))))
	q := &question{spot: spot{rapid.IntRange(0, 1).Draw(t, "port"), listen.Acct, p.Identifier}, raw: encode(w.rt, p, false), tag: tag}
	w.asked = append(w.asked, q)
	return q
}

func (w *world) restate(t *rapid.T) {
	if w.stops == 0 {
		t.Skip("no session yet")
	}
	w.put(w.session(t, fmt.Sprint("session ", rapid.IntRange(1, w.stops).Draw(t, "session")), uint32(rapid.IntRange(1, 60).Draw(t, "delay"))))
}

func (w *world) repeat(t *rapid.T) {
	if len(w.asked) == 0 {
		t.Skip("nothing asked yet")
	}
	from := max(0, len(w.asked)-6)
	q := w.asked[rapid.IntRange(from, len(w.asked)-1).Draw(t, "question")]
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		w.put(q)
	}
}

// series reports a session once more, which its home must hear of in order.
func (w *world) series(t *rapid.T) {
	w.stops++
	name := fmt.Sprint("series ", rapid.IntRange(0, 2).Draw(t, "series"))
	p := acctStop("a@x.iot.example", name, with(rfc2865.Class_Type, fmt.Sprint(name, " record ", w.stops)),
		with32(55, 1_772_366_000+uint32(w.stops)), withID(byte(rapid.IntRange(0, w.ids-1).Draw(t, "id"))))
	q := &question{spot: spot{rapid.IntRange(0, 1).Draw(t, "port"), listen.Acct, p.Identifier}, raw: encode(w.rt, p, false), tag: tagOf(p)}
	w.asked = append(w.asked, q)
	w.put(q)
}

// tagOf tells the reports apart.
func tagOf(p *layeh.Packet) string {
	if tag := rfc2865.Class_GetString(p); tag != "" {
		return tag
	}
	return rfc2866.AcctSessionID_GetString(p)
}

// inOrder checks that what is owed of a session has reached its home before
// the next record of it does.
func (w *world) inOrder(p *layeh.Packet) {
	session, tag := rfc2866.AcctSessionID_GetString(p), rfc2865.Class_GetString(p)
	if session == "" || tag == "" {
		return
	}
	var before []string
	for _, rec := range w.records() {
		stored, err := layeh.Parse(rec.Raw, []byte(visitedSecret))
		require.NoError(w.rt, err)
		if rfc2866.AcctSessionID_GetString(stored) != session || rec.Flags&accounting.FlagForward == 0 {
			continue
		}
		if tagOf(stored) == tag {
			w.ordered++
			for _, earlier := range before {
				require.True(w.rt, w.taken[earlier], "%s was sent before %s was taken", tag, earlier)
			}
		}
		before = append(before, tagOf(stored))
	}
}

// take draws one request that homes have not let go; lost ones stay lost.
func (w *world) take(t *rapid.T) *heard {
	if len(w.at) == 0 {
		t.Skip("nothing at the homes")
	}
	i := rapid.IntRange(0, len(w.at)-1).Draw(t, "request")
	h := w.at[i]
	if rapid.Bool().Draw(t, "let go") {
		w.at = append(w.at[:i:i], w.at[i+1:]...)
	}
	return h
}

func (w *world) reply(t *rapid.T) {
	b, h := w.verdict(t)
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		h.say(b)
		w.drain()
	}
}

// replies lets many answers, some of them twice, meet in a batch.
func (w *world) replies(t *rapid.T) {
	for range rapid.IntRange(2, 60).Draw(t, "answers") {
		if len(w.at) == 0 {
			break
		}
		b, h := w.verdict(t)
		for range rapid.IntRange(1, 2).Draw(t, "times") {
			_, err := h.at.WriteToUDP(b, h.hub)
			require.NoError(w.rt, err)
		}
	}
	w.turn(0)
	w.drain()
}

// forward hands what homes have not taken to the shard again.
func (w *world) forward(*rapid.T) {
	w.forwardOwed()
	w.drain()
}

// verdict is the answer to a request that has reached a home.
func (w *world) verdict(t *rapid.T) (b []byte, h *heard) {
	h = w.take(t)
	code := layeh.CodeAccountingResponse
	var edits []edit
	if h.Code == layeh.CodeAccessRequest {
		code = rapid.SampledFrom([]layeh.Code{layeh.CodeAccessAccept, layeh.CodeAccessReject, layeh.CodeAccessChallenge}).Draw(t, "code")
		edits = append(edits, with(rfc2865.Class_Type, rfc2865.Class_GetString(h.Packet)))
	}
	if u := w.lines[fmt.Sprint(h.at.LocalAddr(), h.hub.Port, h.Identifier)]; u.auth == h.Authenticator {
		u.answered = true
	}
	w.taken[rfc2865.Class_GetString(h.Packet)] = true
	return h.reply(code, edits...), h
}

func (w *world) lie(t *rapid.T) {
	h := *w.take(t)
	code := layeh.CodeAccessAccept
	if h.Code == layeh.CodeAccountingRequest {
		code = layeh.CodeAccountingResponse
	}
	b := h.reply(code, with(rfc2865.Class_Type, "a lie"))
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		spoil(b, rapid.IntRange(4, len(b)-1).Draw(t, "where"))
	case 1:
		h.at = w.homes[rapid.IntRange(0, 1).Draw(t, "home")]
		if h.at.LocalAddr().String() == w.homes[0].LocalAddr().String() || h.at == w.homes[1] {
			spoil(b, 4)
		}
	default:
		h.at = w.nas
	}
	h.say(b)
	w.drain()
}

func (w *world) wait(t *rapid.T) {
	for range rapid.IntRange(1, 5).Draw(t, "steps") {
		w.pass(time.Duration(rapid.IntRange(1, 4000).Draw(t, "ms")) * time.Millisecond)
		w.drain()
	}
}

func (w *world) change(t *rapid.T) {
	how := rapid.IntRange(0, 5).Draw(t, "how")
	w.apply(func(s *realm.Set) {
		pool := &s.Pools[0]
		switch {
		case how == 0:
			s.Homes[0].Disabled = !s.Homes[0].Disabled
		case how == 1:
			pool.Members = slices.Clone(pool.Members)
			slices.Reverse(pool.Members)
		case how == 2:
			s.Routes[1].Acknowledge = 1 - s.Routes[1].Acknowledge
		case len(s.Homes) == 1: // the other home comes back
			s.Homes = append(s.Homes, w.second)
			pool.Members = append(slices.Clone(pool.Members), realm.Member{Home: 1, Weight: 1})
		case how == 3:
			s.Homes[1].Disabled = !s.Homes[1].Disabled
		case how == 4:
			pool.Members = []realm.Member{{Home: 1 - pool.Members[0].Home, Weight: 1}}
		default: // and goes, whatever waits at it
			w.second = s.Homes[1]
			s.Homes, pool.Members = s.Homes[:1], []realm.Member{{Weight: 1}}
		}
	})
	w.drain()
}

// check is what holds after every step.
func (w *world) check(*rapid.T) {
	s := w.shard
	require.LessOrEqual(w.rt, s.slab.used, s.slab.max)
	sent, atHomes, working := 0, 0, 0
	held := map[pacedHome]int{}
	for slot := range uint32(min(len(s.slab.chunks)*slabChunk, s.slab.max)) {
		ex := s.slab.at(slot)
		if ex.stage == stageFree {
			require.False(w.rt, s.pace.Queued(slot), "a free slot waits for its turn")
			continue
		}
		if !ex.replay && !ex.orphan() && !ex.answered {
			working++
		}
		if ex.homeIdx < 0 {
			continue
		}
		atHomes++
		held[pacedHome{ex.homeIdx, ex.kind}]++
		if ex.sock != noSocket {
			sent++
		} else {
			require.True(w.rt, s.pace.Queued(slot), "what has no socket waits for its turn")
		}
		if s.pace.Queued(slot) {
			w.waited++
		}
	}
	for at, n := range held {
		require.LessOrEqual(w.rt, s.pace.There(at.home, at.kind)+s.pace.Waiting(at.home, at.kind), n)
		require.LessOrEqual(w.rt, n, s.slab.max/2, "requests at one home")
	}
	require.Equal(w.rt, sent, s.ids.InUse(), "identifiers and requests at homes")
	require.Equal(w.rt, atHomes, s.wheel.Len(), "timers and requests at homes")
	require.Empty(w.rt, s.unsigned)
	w.account(working)
	w.accountReports()
	require.Zero(w.rt, s.ids.Counters().Misused)
	if s.slab.used == 0 {
		require.Empty(w.rt, s.draining)
	}
}

type pacedHome struct {
	home int32
	kind home.Kind
}

// account compares what came with what became of it.
func (w *world) account(working int) {
	ended := working + w.value("roamgate_responses_total") + w.value("roamgate_duplicates_total", "action", "replayed") +
		w.value("roamgate_duplicates_total", "action", "suppressed")
	for _, why := range []Reason{Displaced, ConflictingDuplicate, Overload} {
		ended += w.value("roamgate_dropped_total", "reason", why.String())
	}
	require.Equal(w.rt, w.offered, w.value("roamgate_requests_total"), "requests")
	require.Equal(w.rt, w.offered, ended, "requests, and what became of them")
	require.Zero(w.rt, w.value("roamgate_panics_recovered_total"))
}

// accountReports compares the reports that came with what became of each: the
// outcome is known as soon as nothing of it waits for the disk.
func (w *world) accountReports() {
	undecided := 0
	w.each(func(ex *Exchange) {
		if ex.waits || ex.toSpool && !ex.onDisk {
			undecided++
		}
	})
	ended := w.value("roamgate_acct_packets_total")
	require.Equal(w.rt, w.value("roamgate_requests_total", "kind", "acct"), ended+undecided, "reports, and what became of them")
	kept := w.value("roamgate_acct_packets_total", "result", "recorded") + w.value("roamgate_acct_packets_total", "result", "conflict")
	require.EqualValues(w.rt, w.hub.spool.Last(), kept, "records, and reports that became one")
}

// end lets all time pass and compares what was acknowledged with the disk.
func (w *world) end() {
	for range 3 {
		w.pass(21 * time.Second)
		w.drain()
	}
	w.clean()
	w.apply(func(s *realm.Set) {
		for i := range s.Homes {
			s.Homes[i].Disabled = false
		}
	})
	for round := 0; w.owed() > 0; round++ {
		require.Less(w.rt, round, 500, "it stays owed")
		w.pass(21 * time.Second)
		w.drain()
		w.forwardOwed()
		w.drain()
		for _, h := range w.at {
			w.taken[rfc2865.Class_GetString(h.Packet)] = true
			h.say(h.reply(layeh.CodeAccountingResponse))
		}
		w.at = w.at[:0]
		w.drain()
	}
	w.paid()
	count := map[string]int{}
	for _, rec := range w.records() {
		p, err := layeh.Parse(rec.Raw, []byte(visitedSecret))
		require.NoError(w.rt, err)
		count[tagOf(p)]++
	}
	for tag := range w.acked {
		require.Equal(w.rt, 1, count[tag], "records of an acknowledged session")
	}
	for tag, n := range count {
		require.Equal(w.rt, 1, n, "records of %s", tag)
	}
}

// TestSimulation drives a shard through random days.
func TestSimulation(t *testing.T) {
	waited, ordered := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"ask": w.ask, "report": w.report, "restate": w.restate, "repeat": w.repeat,
			"reply": w.reply, "lie": w.lie, "wait": w.wait, "reload": w.change, "": w.check,
			"burst": w.burst, "replies": w.replies, "forward": w.forward, "series": w.series,
		})
		w.end()
		waited += w.waited
		ordered += w.ordered
	})
	t.Logf("records of sessions with several that reached a home: %d", ordered)
	t.Logf("requests that waited for their turn, counted after each step: %d", waited)
}

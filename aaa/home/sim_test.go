package home

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// sim is a shard and its homes in steps of ten milliseconds: requests come at
// a steady rate, are picked, repeated after two seconds at the next home, and
// given up after nine; the Monitor ticks and its probes are answered by the
// same homes. No clock and no goroutine but the Monitor's idle reader.
type sim struct {
	t      testing.TB
	reg    *Registry
	view   *View
	mon    *Monitor
	sock   *fakeSocket
	now    int64
	every  int64                                 // between requests, 0 none
	alive  func(home int32, now int64) bool      // answers requests
	probes func(home int32, now int64) bool      // answers probes; nil: as alive
	delay  func(home int32) int64                // of answers, nil: 20 ms
	wrong  map[int32]bool                        // signs with another secret
	spoof  func(home int32, s *State, now int64) // called each step

	rnd      random
	requests []*simRequest
	events   []simEvent
	picked   map[int32]int // first choices since the last reset
	answered int
	refused  int
	lost     int
}

type simRequest struct {
	sent, at int64 // at: of the next timeout
	home     int32
	exclude  uint64
	due      map[int32]int64 // answers under way
}

type simEvent struct {
	at       float64
	home     int32
	from, to Health
	why      Cause
}

func newSim(t testing.TB, set *realm.Set) *sim {
	s := &sim{
		t: t, reg: NewRegistry(1), every: 10 * millisecond, picked: map[int32]int{}, wrong: map[int32]bool{},
		sock: newFakeSocket(), alive: func(int32, int64) bool { return true }, now: 100 * second,
	}
	s.load(set)
	s.mon = NewMonitor(MonitorConfig{
		View:   func() *View { return s.view },
		Now:    func() int64 { return s.now },
		Listen: func(bool) (Socket, error) { return s.sock, nil },
		OnChange: func(h *Home, k Kind, from, to Health, why Cause) {
			require.Equal(t, Auth, k)
			s.events = append(s.events, simEvent{s.seconds(), h.Index, from, to, why})
		},
	})
	s.sock.answer = s.answerProbe
	t.Cleanup(s.mon.stop)
	return s
}

func (s *sim) load(set *realm.Set) {
	for i := range set.Homes {
		set.Homes[i].Acct = netip.AddrPort{}
	}
	v, err := s.reg.Compile(set)
	require.NoError(s.t, err)
	s.view = v
}

// seconds since the start.
func (s *sim) seconds() float64 { return float64(s.now-100*second) / 1e9 }

func (s *sim) at(seconds float64) int64 { return 100*second + int64(seconds*1e9) }

func (s *sim) health(home int32) (Health, Cause) { return s.view.Home(home).Health(Auth) }

// run until that many seconds after the start.
func (s *sim) run(until float64) {
	for s.seconds() < until {
		s.now += 10 * millisecond
		if s.every > 0 && s.now%s.every == 0 {
			s.request()
		}
		s.work()
		if s.spoof != nil {
			for _, h := range s.view.Homes() {
				s.spoof(h.Index, h.State[Auth], s.now)
			}
		}
		if s.now%(100*millisecond) == 0 {
			s.mon.tick(s.now)
			for _, d := range s.sock.take() {
				s.mon.receive(d.from, d.data, s.now)
			}
		}
	}
}

func (s *sim) request() {
	r := &simRequest{sent: s.now, due: map[int32]int64{}}
	home, why := pick(s.view.Pool(0, Auth), s.rnd.next(), -1, 0, s.now)
	if why != OK {
		s.refused++
		return
	}
	s.picked[home]++
	s.send(r, home)
	s.requests = append(s.requests, r)
}

func (s *sim) send(r *simRequest, home int32) {
	r.home, r.at = home, s.now+2*second
	s.view.Home(home).State[Auth].Sent(s.now)
	if _, ok := r.due[home]; ok || !s.alive(home, s.now) {
		return
	}
	delay := 20 * millisecond
	if s.delay != nil {
		delay = s.delay(home)
	}
	r.due[home] = s.now + delay
}

// work moves requests on: an answer that has arrived ends one, a timeout
// sends it to the next home or, when all were tried, again to the first.
func (s *sim) work() {
	open := s.requests[:0]
	for _, r := range s.requests {
		if !s.finished(r) {
			open = append(open, r)
		}
	}
	s.requests = open
}

func (s *sim) finished(r *simRequest) bool {
	for home, at := range r.due {
		switch {
		case s.now < at:
		case s.wrong[home]:
			s.view.Home(home).State[Auth].BadAuthenticator(s.now)
			delete(r.due, home)
		default:
			s.view.Home(home).State[Auth].Answered(s.now)
			s.answered++
			return true
		}
	}
	if s.now < r.at {
		return false
	}
	s.view.Home(r.home).State[Auth].TimedOut(s.now)
	if s.now-r.sent >= 9*second {
		s.lost++
		return true
	}
	p := s.view.Pool(0, Auth)
	r.exclude |= p.Bit(r.home)
	home, why := pick(p, 0, -1, r.exclude, s.now)
	if why != OK {
		home = r.home
	}
	s.send(r, home)
	return false
}

// answerProbe checks a Status-Server as a home does and answers it.
func (s *sim) answerProbe(to netip.AddrPort, b []byte) []byte {
	home, _, ok := s.view.FromAddr(udp.AddrFrom(to))
	require.True(s.t, ok)
	alive := s.probes
	if alive == nil {
		alive = s.alive
	}
	if !alive(home, s.now) {
		return nil
	}
	secret := s.view.Home(home).Secret
	if s.wrong[home] {
		secret = radius.NewSecret([]byte("not the secret that we have of it"))
	}
	return replyTo(b, radius.AccessAccept, secret, true)
}

// replyTo builds a home's answer to a packet.
func replyTo(b []byte, code radius.Code, secret *radius.Secret, withMA bool) []byte {
	var p radius.Packet
	if p.Parse(b) != radius.OK {
		return nil
	}
	var w radius.Writer
	w.Start(make([]byte, radius.MaxLen), code, p.Identifier(), withMA)
	return w.SignResponse(radius.NewCrypt(), secret, p.Authenticator())
}

// fakeSocket keeps what the Monitor sends and blocks its reader until Close.
type fakeSocket struct {
	mu      sync.Mutex
	sent    []datagram
	replies []datagram
	answer  func(to netip.AddrPort, b []byte) []byte
	closed  chan struct{}
	once    sync.Once
}

func newFakeSocket() *fakeSocket { return &fakeSocket{closed: make(chan struct{})} }

func (f *fakeSocket) ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error) {
	<-f.closed
	return 0, netip.AddrPort{}, net.ErrClosed
}

func (f *fakeSocket) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := datagram{to, append([]byte(nil), b...)}
	f.sent = append(f.sent, d)
	if f.answer != nil {
		if r := f.answer(to, d.data); r != nil {
			f.replies = append(f.replies, datagram{to, r})
		}
	}
	return len(b), nil
}

func (f *fakeSocket) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

func (f *fakeSocket) take() []datagram {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.replies
	f.replies = nil
	return r
}

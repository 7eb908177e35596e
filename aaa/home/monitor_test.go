package home

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// probing is a Monitor with one probed home that has just sent a probe.
func probing(t *testing.T, change func(h *realm.Home)) (m *Monitor, sock *fakeSocket, h *Home, now int64) {
	v := compile(t, makeSet(1, func(_ int, h *realm.Home, _ *realm.Member) {
		h.StatusServer, h.Acct = true, netip.AddrPort{}
		if change != nil {
			change(h)
		}
	}))
	sock = newFakeSocket()
	m = NewMonitor(MonitorConfig{
		View:   func() *View { return v },
		Listen: func(bool) (Socket, error) { return sock, nil },
	})
	t.Cleanup(m.stop)
	for now = 100 * second; len(sock.sent) == 0; now += 100 * millisecond {
		require.Less(t, now, 133*second)
		m.tick(now)
	}
	return m, sock, v.Home(0), now
}

// C42, C43: what a probe is, and that each is a new one.
func TestProbe(t *testing.T) {
	m, sock, h, now := probing(t, nil)
	for range 50 { // unanswered: twice quickly, then while down
		now += 100 * millisecond
		m.tick(now)
	}
	require.Greater(t, len(sock.sent), 3)
	ids, auths := map[uint8]bool{}, map[[16]byte]bool{}
	for i, d := range sock.sent {
		assert.Equal(t, h.Spec.Auth, d.from)
		var p radius.Packet
		require.Equal(t, radius.OK, p.Parse(d.data))
		assert.Equal(t, radius.StatusServer, p.Code())
		assert.True(t, radius.NewCrypt().CheckMessageAuthenticator(&p, h.Secret))
		assert.Equal(t, byte(radius.MessageAuthenticator), d.data[radius.HeaderLen])
		if i > 0 {
			assert.Equal(t, sock.sent[i-1].data[1]+1, p.Identifier())
		}
		ids[p.Identifier()], auths[*p.Authenticator()] = true, true
	}
	assert.Len(t, ids, len(sock.sent))
	assert.Len(t, auths, len(sock.sent))
}

func TestProbeReplies(t *testing.T) {
	strict := func(h *realm.Home) { h.RequireMessageAuthenticator = true }
	other := radius.NewSecret([]byte("some other secret of the attacker"))
	home := netip.MustParseAddrPort("203.0.113.1:1812")
	tests := []struct {
		name  string
		spec  func(h *realm.Home)
		from  netip.AddrPort
		reply func(probe []byte, s *radius.Secret) []byte
		good  bool
		bad   uint32
	}{
		{"accept with Message-Authenticator", nil, home, func(b []byte, s *radius.Secret) []byte {
			return replyTo(b, radius.AccessAccept, s, true)
		}, true, 0},
		{"accept without, not required", nil, home, func(b []byte, s *radius.Secret) []byte {
			return replyTo(b, radius.AccessAccept, s, false)
		}, true, 0},
		{"accept without, required (C50)", strict, home, func(b []byte, s *radius.Secret) []byte {
			return replyTo(b, radius.AccessAccept, s, false)
		}, false, 0},
		{"accept with, required", strict, home, func(b []byte, s *radius.Secret) []byte {
			return replyTo(b, radius.AccessAccept, s, true)
		}, true, 0},
		{"other secret", nil, home, func(b []byte, _ *radius.Secret) []byte {
			return replyTo(b, radius.AccessAccept, other, true)
		}, false, 1},
		{"Message-Authenticator damaged, response authenticator right", nil, home, func(b []byte, s *radius.Secret) []byte {
			var w radius.Writer
			w.Start(make([]byte, 64), radius.AccessAccept, b[1], false)
			w.Add(radius.MessageAuthenticator, make([]byte, 16))
			return w.SignResponse(radius.NewCrypt(), s, (*[16]byte)(b[4:]))
		}, false, 1},
		{"identifier of no probe", nil, home, func(b []byte, s *radius.Secret) []byte {
			b[1]++
			return replyTo(b, radius.AccessAccept, s, true)
		}, false, 0},
		{"from another address", nil, netip.MustParseAddrPort("203.0.113.2:1812"), func(b []byte, s *radius.Secret) []byte {
			return replyTo(b, radius.AccessAccept, s, true)
		}, false, 0},
		{"from another port", nil, netip.MustParseAddrPort("203.0.113.1:1813"), func(b []byte, s *radius.Secret) []byte {
			return replyTo(b, radius.AccessAccept, s, true)
		}, false, 0},
		{"no packet", nil, home, func([]byte, *radius.Secret) []byte { return []byte{2, 0, 0} }, false, 0},
		{"nothing", nil, home, func([]byte, *radius.Secret) []byte { return nil }, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, sock, h, now := probing(t, tt.spec)
			reply := tt.reply(append([]byte(nil), sock.sent[0].data...), h.Secret)
			m.receive(tt.from, reply, now)
			s := h.State[Auth]
			assert.Equal(t, tt.good, s.machine.probed == now)
			assert.Equal(t, tt.bad, s.bad.Load())
			if tt.good {
				m.receive(tt.from, reply, now+1)
				assert.Equal(t, now, s.machine.probed, "a second reply is nothing new")
			}
		})
	}
}

// C44: an idle home that is up is probed every 28 to 32 s, not more often,
// and not at all while it answers requests.
func TestProbeTimes(t *testing.T) {
	m, sock, h, now := probing(t, nil)
	var at []int64
	until := now + 600*second
	for seen := 0; now < until; now += 100 * millisecond {
		for _, d := range sock.sent[seen:] {
			at = append(at, now)
			m.receive(d.from, replyTo(d.data, radius.AccessAccept, h.Secret, true), now)
		}
		seen = len(sock.sent)
		m.tick(now)
	}
	require.Greater(t, len(at), 17)
	for i := 1; i < len(at); i++ {
		gap := at[i] - at[i-1]
		assert.GreaterOrEqual(t, gap, 28*second)
		assert.LessOrEqual(t, gap, 32*second+200*millisecond)
	}
	sent := len(sock.sent)
	for until = now + 300*second; now < until; now += 100 * millisecond {
		h.State[Auth].Sent(now)
		h.State[Auth].Answered(now + millisecond)
		m.tick(now)
	}
	assert.LessOrEqual(t, len(sock.sent), sent+1)
}

func TestProbesStopWithTheSwitch(t *testing.T) {
	r := NewRegistry(1)
	set := func(on, disabled bool) *View {
		v, err := r.Compile(makeSet(1, func(_ int, h *realm.Home, _ *realm.Member) { h.StatusServer, h.Disabled = on, disabled }))
		require.NoError(t, err)
		return v
	}
	for _, tt := range []struct {
		name         string
		on, disabled bool
		want         bool
	}{{"on", true, false, true}, {"off", false, false, false}, {"disabled", true, true, false}} {
		v, sock := set(tt.on, tt.disabled), newFakeSocket()
		m := NewMonitor(MonitorConfig{View: func() *View { return v }, Listen: func(bool) (Socket, error) { return sock, nil }})
		for now := int64(0); now < 70*second; now += 100 * millisecond {
			m.tick(now)
		}
		m.stop()
		assert.Equal(t, tt.want, len(sock.sent) > 0, tt.name)
	}
}

// A socket that cannot be opened is our trouble, not the home's.
func TestProbeSocketFails(t *testing.T) {
	v := compile(t, makeSet(1, withStatus))
	tried := 0
	m := NewMonitor(MonitorConfig{
		View:   func() *View { return v },
		Listen: func(bool) (Socket, error) { tried++; return nil, errors.New("no sockets left") },
	})
	for now := int64(0); now < 120*second; now += 100 * millisecond {
		m.tick(now)
	}
	h, _ := v.Home(0).Health(Auth)
	assert.Equal(t, Up, h)
	assert.LessOrEqual(t, tried, 121, "once a second")
	assert.Greater(t, tried, 50)
}

func TestMonitorWithoutView(t *testing.T) {
	m := NewMonitor(MonitorConfig{View: func() *View { return nil }})
	m.tick(second)
	m.receive(netip.MustParseAddrPort("203.0.113.1:1812"), nil, second)
}

// scriptSocket answers each probe through the Monitor's own reader, after an
// error that must not end it.
type scriptSocket struct {
	*fakeSocket
	reads  chan datagram
	failed atomic.Bool
}

func (s *scriptSocket) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	if s.failed.CompareAndSwap(false, true) {
		return 0, netip.AddrPort{}, errors.New("connection refused")
	}
	select {
	case d := <-s.reads:
		return copy(b, d.data), d.from, nil
	case <-s.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (s *scriptSocket) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	n, err := s.fakeSocket.WriteToUDPAddrPort(b, to)
	for _, d := range s.take() {
		s.reads <- d
	}
	return n, err
}

// The whole Monitor on a virtual clock: a home dies, is found down by probes
// alone, and comes back.
func TestMonitorRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		v := compile(t, makeSet(1, func(_ int, h *realm.Home, _ *realm.Member) {
			h.StatusServer, h.Acct = true, netip.AddrPort{}
		}))
		var alive atomic.Bool
		alive.Store(true)
		sock := &scriptSocket{fakeSocket: newFakeSocket(), reads: make(chan datagram, 16)}
		sock.answer = func(_ netip.AddrPort, b []byte) []byte {
			if !alive.Load() {
				return nil
			}
			return replyTo(b, radius.AccessAccept, v.Home(0).Secret, true)
		}
		var events []simEvent
		m := NewMonitor(MonitorConfig{
			View:   func() *View { return v },
			Now:    func() int64 { return int64(time.Since(start)) + second },
			Listen: func(bool) (Socket, error) { return sock, nil },
			OnChange: func(h *Home, _ Kind, from, to Health, why Cause) {
				events = append(events, simEvent{home: h.Index, from: from, to: to, why: why})
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()

		time.Sleep(2 * time.Minute)
		alive.Store(false)
		time.Sleep(time.Minute)
		alive.Store(true)
		time.Sleep(20 * time.Second)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		assert.Equal(t, []simEvent{
			{0, 0, Up, Degraded, Probe}, {0, 0, Degraded, Down, Probe},
			{0, 0, Down, Degraded, Probe}, {0, 0, Degraded, Up, Well},
		}, events)
	})
}

// Once over the loopback: real sockets, and the monitor is ended while its
// reader waits.
func TestMonitorLoopback(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	addr := server.LocalAddr().(*net.UDPAddr).AddrPort()
	v := compile(t, makeSet(1, func(_ int, h *realm.Home, _ *realm.Member) {
		h.StatusServer, h.Auth, h.Acct = true, addr, netip.AddrPort{}
	}))
	s := v.Home(0).State[Auth]
	s.set(Degraded, Timeout, false, 0)
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteToUDPAddrPort(replyTo(buf[:n], radius.AccessAccept, v.Home(0).Secret, true), from)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start := time.Now()
	m := NewMonitor(MonitorConfig{
		View: func() *View { return v },
		// Ten times as fast as the clock, to have the three answers soon.
		Now:      func() int64 { return 100*second + 10*int64(time.Since(start)) },
		OnChange: func(_ *Home, _ Kind, _, to Health, _ Cause) { cancel() },
	})
	require.ErrorIs(t, m.Run(ctx), context.Canceled)
	h, _ := s.Health()
	assert.Equal(t, Up, h)
	require.NoError(t, server.Close())
	wg.Wait()
}

// Shards pick and report, the Monitor ticks and configurations come and go,
// all at once: for the race detector.
func TestConcurrentUse(t *testing.T) {
	r := NewRegistry(1)
	var view atomic.Pointer[View]
	load := func(n int) {
		v, err := r.Compile(makeSet(n, withStatus))
		require.NoError(t, err)
		view.Store(v)
	}
	load(4)
	var now atomic.Int64
	sock := newFakeSocket()
	m := NewMonitor(MonitorConfig{View: view.Load, Now: now.Load, Listen: func(bool) (Socket, error) { return sock, nil }})
	defer m.stop()
	sticky := NewSticky(100, time.Minute)
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			rnd := random(g)
			for range 20_000 {
				v, at, key := view.Load(), now.Add(millisecond), rnd.next()
				was, _ := sticky.Find(key%64<<32, at)
				home, why := pick(v.Pool(0, Auth), key, was, 0, at)
				if why != OK {
					continue
				}
				s := v.Home(home).State[Auth]
				s.Sent(at)
				switch key % 4 {
				case 0:
					s.TimedOut(at)
				case 1:
					s.BadAuthenticator(at)
				default:
					s.Answered(at)
				}
				sticky.Learn(key%64<<32, home, at)
				v.Home(home).Health(Auth)
			}
		})
	}
	wg.Go(func() {
		for i := range 200 {
			load(1 + i%5)
			m.tick(now.Load())
		}
	})
	wg.Wait()
}

// A home that is only degraded forgets a wrong secret as well, when it gets
// another; no cause but that one is touched.
func TestForgive(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    Health
		c    Cause
		want change
	}{
		{"up", Up, Well, change{}},
		{"down by timeout", Down, Timeout, change{}},
		{"degraded by the secret", Degraded, BadSecret, change{Degraded, Degraded, Timeout}},
		{"down by the secret", Down, BadSecret, change{Down, Degraded, Timeout}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s State
			s.set(tt.h, tt.c, false, 0)
			assert.Equal(t, tt.want, s.forgive(second))
		})
	}
}

// More than a few probes are never out at once, whatever the clock does.
func TestProbesAreFew(t *testing.T) {
	var p probes
	c := radius.NewCrypt()
	for i := range maxProbes {
		assert.NotNil(t, p.start(int64(i), 0, c))
	}
	assert.Nil(t, p.start(9, 0, c))
	lost := 0
	p.overdue(3+probeTimeout, func(int64) { lost++ })
	assert.Equal(t, maxProbes, lost)
}

// Whatever comes from a home's address without its secret proves no life.
func FuzzReceive(f *testing.F) {
	probe := make([]byte, radius.HeaderLen)
	probe[0], probe[3] = byte(radius.StatusServer), radius.HeaderLen
	wrong := radius.NewSecret([]byte("some other secret of the attacker"))
	f.Add(replyTo(probe, radius.AccessAccept, wrong, true))
	f.Add(replyTo(probe, radius.AccountingResponse, wrong, false))
	f.Add(probe)
	f.Add([]byte{})
	v, err := NewRegistry(1).Compile(makeSet(1, withStatus))
	require.NoError(f, err)
	m := NewMonitor(MonitorConfig{View: func() *View { return v }})
	s := v.Home(0).State[Auth]
	s.machine.probes.start(0, 0, m.crypt)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1 {
			data[1] = s.machine.probes.out[0].id
		}
		m.receive(v.Home(0).Spec.Auth, data, second)
		require.Zero(t, s.machine.probed)
		require.Zero(t, s.streak.Load())
	})
}

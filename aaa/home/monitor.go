package home

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

const (
	monitorTick = 100 * time.Millisecond
	readPause   = 100 * time.Millisecond // after a read error, lest it spins
)

// Socket is what the Monitor sends probes through; *net.UDPConn is one.
// Close must end a blocked read with an error that is net.ErrClosed.
type Socket interface {
	ReadFromUDPAddrPort(b []byte) (n int, from netip.AddrPort, err error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	Close() error
}

// MonitorConfig is what a Monitor needs. View and Now must be set.
type MonitorConfig struct {
	View func() *View // the configuration in force
	Now  func() int64 // the clock of the shards
	// Listen opens the socket for probes of a family; nil binds a free port
	// of the wildcard address.
	Listen func(v4 bool) (Socket, error)
	// OnChange is told of each change of health or cause, from the
	// Monitor's goroutine; from equals to where only the cause is new. It
	// must not block.
	OnChange func(h *Home, k Kind, from, to Health, why Cause)
	Seed     uint64 // of jitter, any
}

// Monitor moves the health of all homes of the View in force and probes those
// that are to be probed. There must be one at most for a Registry.
type Monitor struct {
	conf     MonitorConfig
	crypt    *radius.Crypt
	writer   radius.Writer
	packet   radius.Packet
	buf      [128]byte
	rnd      random
	socks    [2]Socket // IPv4, IPv6
	retry    [2]int64
	arrived  chan datagram
	readers  sync.WaitGroup
	stopping <-chan struct{}
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

// NewMonitor returns a Monitor; it does nothing until Run.
func NewMonitor(conf MonitorConfig) *Monitor {
	if conf.Listen == nil {
		conf.Listen = listenUDP
	}
	if conf.OnChange == nil {
		conf.OnChange = func(*Home, Kind, Health, Health, Cause) {}
	}
	return &Monitor{
		conf:    conf,
		crypt:   radius.NewCrypt(),
		rnd:     random(conf.Seed),
		arrived: make(chan datagram, 64),
	}
}

func listenUDP(v4 bool) (Socket, error) {
	network := "udp6"
	if v4 {
		network = "udp4"
	}
	return net.ListenUDP(network, nil)
}

// Run watches until ctx is done, closes its sockets and waits for its
// readers. It returns the context's error. A Monitor runs once.
func (m *Monitor) Run(ctx context.Context) error {
	m.stopping = ctx.Done()
	defer m.stop()
	ticker := time.NewTicker(monitorTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case d := <-m.arrived:
			m.receive(d.from, d.data, m.conf.Now())
		case <-ticker.C:
			m.tick(m.conf.Now())
		}
	}
}

func (m *Monitor) stop() {
	for _, s := range m.socks {
		if s != nil {
			_ = s.Close() // nothing was promised to anybody through it
		}
	}
	m.readers.Wait()
}

// tick looks after every home once.
func (m *Monitor) tick(now int64) {
	v := m.conf.View()
	if v == nil {
		return
	}
	m.tickAll(v.Legs(), v, now)
	m.tickAll(v.FoundHomes(), v, now)
}

func (m *Monitor) tickAll(homes []*Home, v *View, now int64) {
	for _, h := range homes {
		for k := Auth; k < kinds; k++ {
			if h.Has(k) && !h.Spec.Disabled && h.mode().Use != Off && v.owns(h, k) {
				m.watch(h, k, now)
			}
		}
	}
}

func (m *Monitor) watch(h *Home, k Kind, now int64) {
	s := h.State[k]
	mc := &s.machine
	if !mc.probes.begun {
		mc.probes.begin(now, m.rnd.next())
	}
	if mc.secret != h.Secret {
		mc.secret = h.Secret
		m.report(h, k, s.forgive(now))
	}
	mc.stream = h.Stream()
	mc.probing = h.Spec.StatusServer && !mc.stream
	mc.probes.overdue(now, s.probeLost)
	m.report(h, k, s.step(now))
	if mc.probing && s.due(now) {
		m.probe(h, k, now)
	}
}

func (m *Monitor) report(h *Home, k Kind, c change) {
	if c != (change{}) {
		m.conf.OnChange(h, k, c.from, c.to, c.why)
	}
}

// probe sends one Status-Server. A write that fails is a probe that will be
// lost; a socket that cannot be had says nothing about the home.
func (m *Monitor) probe(h *Home, k Kind, now int64) {
	sock := m.socket(h.Addr[k].V4, now)
	if sock == nil {
		return
	}
	p := h.State[k].machine.probes.start(now, m.rnd.next(), m.crypt)
	if p == nil {
		return
	}
	m.writer.Start(m.buf[:], radius.StatusServer, p.id, true)
	m.writer.SetAuthenticator(&p.auth)
	b := m.writer.SignRequest(m.crypt, h.Secret)
	to := h.addrPort(k)
	_, _ = sock.WriteToUDPAddrPort(b, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
}

// socket opens the socket of a family when it is first needed.
func (m *Monitor) socket(v4 bool, now int64) Socket {
	i := 1
	if v4 {
		i = 0
	}
	if m.socks[i] != nil || now < m.retry[i] {
		return m.socks[i]
	}
	s, err := m.conf.Listen(v4)
	if err != nil {
		m.retry[i] = now + socketRetry
		return nil
	}
	m.socks[i] = s
	m.readers.Add(1)
	go m.read(s)
	return s
}

// read hands datagrams to Run until its socket is closed.
func (m *Monitor) read(s Socket) {
	defer m.readers.Done()
	buf := make([]byte, radius.MaxLen+1)
	for {
		n, from, err := s.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			if !m.pause() {
				return
			}
		default:
			d := datagram{from, append([]byte(nil), buf[:n]...)}
			select {
			case m.arrived <- d:
			case <-m.stopping:
				return
			}
		}
	}
}

func (m *Monitor) pause() (running bool) {
	t := time.NewTimer(readPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-m.stopping:
		return false
	}
}

// receive takes a datagram from the probe sockets. Only a verified reply to
// an outstanding probe says anything.
func (m *Monitor) receive(from netip.AddrPort, data []byte, now int64) {
	v := m.conf.View()
	if v == nil {
		return
	}
	i, k, ok := v.FromAddr(udp.AddrFrom(from))
	if !ok || m.packet.Parse(data) != radius.OK {
		return
	}
	h := v.Home(i)
	s := h.State[k]
	p := s.machine.probes.find(m.packet.Identifier())
	if p == nil {
		return
	}
	hasMA := m.packet.Has(radius.MessageAuthenticator)
	switch {
	case !m.crypt.CheckResponse(&m.packet, &p.auth, h.Secret),
		hasMA && !m.crypt.CheckResponseMessageAuthenticator(&m.packet, &p.auth, h.Secret):
		s.BadAuthenticator(now)
	case hasMA || k == Acct || !h.Spec.RequireMessageAuthenticator:
		p.open = false
		s.probeAnswered(now)
	}
}

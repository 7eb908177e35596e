package agent

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/judge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(judge.Main{M: m}) }

const (
	ourHost  = "hub.example"
	ourRealm = "example"
)

// tester is a test, a benchmark or one run of a property.
type tester interface {
	require.TestingT
	Helper()
	Cleanup(f func())
}

// rig is an Agent without its goroutine: the test is the loop, the clock and the
// network. Nothing in it waits.
type rig struct {
	t     tester
	agent *Agent
	lp    *loop
	set   *realm.Set
	stats *stat.Registry
	logs  *observer.ObservedLogs
	now   int64
	wall  int64

	// listening are the peers that take a connection of ours; called are the ends
	// that they got.
	listening map[string]bool
	called    map[string][]*fake
	silent    bool // they say nothing by themselves
	fakes     []*fake
	next      uint32
}

// newRig makes an Agent with these peers; conf may be nil.
func newRig(t tester, set *realm.Set, conf func(*Config, *Rooms)) *rig {
	t.Helper()
	r := &rig{
		t: t, set: set, stats: stat.NewRegistry(), listening: map[string]bool{}, called: map[string][]*fake{},
		now: int64(time.Hour), wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano(),
	}
	core, logs := observer.New(zapcore.DebugLevel)
	r.logs = logs
	c := Config{Identity: ourHost, Realm: ourRealm, StateID: 1000}
	rooms := Rooms{Log: zap.New(core), Stats: r.stats, Identity: []byte("0123456789abcdef")}
	if conf != nil {
		conf(&c, &rooms)
	}
	a, err := newAgent(c, set, rooms)
	require.NoError(t, err)
	r.agent, r.lp = a, a.loop
	r.lp.clock(r.now, r.wall)
	a.calls.begin = r.dial
	t.Cleanup(func() {
		a.calls.stop()
		r.lp.poller.Close()
	})
	r.step()
	return r
}

// peersOf makes a configuration of peers that come to us over TCP, each with a client
// of its name. Their addresses are 192.0.2.N, their realms NAME.
func peersOf(names ...string) *realm.Set {
	set := &realm.Set{}
	for i, name := range names {
		set.Clients = append(set.Clients, realm.Client{Name: name, Transport: realm.Diameter})
		set.Peers = append(set.Peers, realm.Peer{
			Name: name, Identity: name + ".example", Realm: name, Client: int32(i), Transport: realm.TCP,
			From: []netip.Prefix{netip.PrefixFrom(addrOf(i), 32)},
		})
	}
	return set
}

// addrOf is where the peer of an index is.
func addrOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}) }

// dial is the network that our connections are made by.
func (r *rig) dial(ln *lane, serial uint32, p *realm.Peer) {
	if !r.listening[p.Name] {
		post(r.lp, &r.lp.mail.failed, undialled{ln, serial, "connection refused"})
		return
	}
	r.next++
	to := netip.AddrPortFrom(addrOf(int(ln.node.index)), 3868)
	if len(p.Addresses) > 0 {
		to = p.Addresses[0]
	}
	ours, theirs := newPipe(netip.AddrPortFrom(addrOf(200), uint16(40000+r.next)), to)
	f := &fake{pipe: theirs, rig: r, host: p.Identity, realm: p.Realm, auto: !r.silent}
	r.fakes = append(r.fakes, f)
	r.called[p.Name] = append(r.called[p.Name], f)
	r.lp.called(ln, serial, &link{conn: ours, transport: p.Transport, vouched: shown(p)})
}

// shown is the certificate that a peer shows by TLS: that of its identity.
func shown(p *realm.Peer) []vouched {
	if !p.Transport.Secured() {
		return nil
	}
	return []vouched{{p.Security.Name, &pki.Identity{Hosts: []string{p.Identity}, NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}, tls.VersionTLS13}}
}

// step lets everything happen that can at this time.
func (r *rig) step() {
	for range 1000 {
		tags, _, err := r.lp.poller.Wait(0)
		require.NoError(r.t, err)
		r.lp.clock(r.now, r.wall)
		more := r.lp.step(tags)
		busy := len(tags) > 0 || len(r.lp.conns.unread) > 0
		for _, f := range r.fakes {
			if f.auto && f.serve() {
				busy = true
			}
		}
		if !busy || !more {
			return
		}
	}
	require.FailNow(r.t, "the loop does not come to rest")
}

// after lets time pass.
func (r *rig) after(d time.Duration) {
	r.step()
	for end := r.now + int64(d); r.now < end; {
		next := min(end, r.now+int64(time.Second))
		if at, ok := r.lp.wheel.Next(); ok {
			next = min(next, at)
		}
		if at, ok := r.lp.timers.Next(); ok {
			next = min(next, at)
		}
		next = max(next, r.now+int64(time.Millisecond))
		r.wall += next - r.now
		r.now = next
		r.step()
	}
}

// fake is a peer as a test plays it.
type fake struct {
	*pipe
	rig         *rig
	host, realm string
	apps        []uint32 // none: it relays
	state       uint32
	auto        bool // answers what belongs to the peer machine
	mute        bool // but not the watchdog
	garbage     bool // what comes may be somebody else's, broken: it is not judged
	got         [][]byte
	base        []diameter.Message // what came of the peer machine
	hop         uint32
}

// come connects a peer of the set, without capabilities yet.
func (r *rig) come(name string) *fake {
	for i := range r.set.Peers {
		if p := &r.set.Peers[i]; p.Name == name {
			r.next++
			ours, theirs := newPipe(netip.AddrPortFrom(addrOf(200), 3868), netip.AddrPortFrom(addrOf(i), uint16(10000+r.next)))
			f := &fake{pipe: theirs, rig: r, host: p.Identity, realm: p.Realm}
			r.fakes = append(r.fakes, f)
			post(r.lp, &r.lp.mail.links, &link{conn: ours, transport: p.Transport, vouched: shown(p)})
			r.step()
			return f
		}
	}
	require.FailNow(r.t, "no such peer", name)
	return nil
}

// peer connects a peer of the set, which introduces itself and answers watchdogs from
// then on.
func (r *rig) peer(name string) *fake {
	f := r.come(name)
	f.introduce()
	require.True(r.t, r.node(name).able(), "%s is not able: %v", name, r.logs.All())
	return f
}

// node gives a peer of the set at run time.
func (r *rig) node(name string) *node {
	for _, n := range r.lp.nodes {
		if n != nil && n.peer.Name == name {
			return n
		}
	}
	require.FailNow(r.t, "no such node", name)
	return nil
}

// introduce sends a CER, and takes the CEA from what came.
func (f *fake) introduce() (cea *diameter.Message) {
	f.send(f.cer())
	f.rig.step()
	all := f.take()
	f.auto = true
	for _, b := range all {
		m := &diameter.Message{}
		if m.Parse(b); m.Command == diameter.CapabilitiesExchange && !m.Request() {
			cea = m
		} else {
			f.handle(b)
		}
	}
	f.rig.step()
	return cea
}

func (f *fake) cer() []byte { return f.capabilities(diameter.FlagRequest, 0, 0, 0) }

// capabilities makes a CER, or a CEA to one.
func (f *fake) capabilities(flags diameter.Flags, hop, end, result uint32) []byte {
	const m = diameter.AVPMandatory
	if flags&diameter.FlagRequest != 0 {
		f.hop++
		hop, end = f.hop, f.hop|0x77000000
	}
	var w diameter.Writer
	w.Begin(make([]byte, 4096), &diameter.Header{Flags: flags, Command: diameter.CapabilitiesExchange, HopByHop: hop, EndToEnd: end})
	if result != 0 {
		w.Uint32(diameter.ResultCode, 0, m, result)
	}
	w.String(diameter.OriginHost, 0, m, f.host)
	w.String(diameter.OriginRealm, 0, m, f.realm)
	w.Bytes(diameter.HostIPAddress, 0, m, addressValue(f.local.Addr()))
	w.Uint32(diameter.VendorID, 0, m, 0)
	w.String(diameter.ProductName, 0, 0, "fake")
	if f.state != 0 {
		w.Uint32(diameter.OriginStateID, 0, m, f.state)
	}
	if len(f.apps) == 0 {
		w.Uint32(diameter.AuthApplicationID, 0, m, diameter.AppRelay)
	}
	for _, a := range f.apps {
		w.Uint32(diameter.AuthApplicationID, 0, m, a)
	}
	return w.Finish()
}

// say makes a message of the peer machine.
func (f *fake) say(flags diameter.Flags, command, hop, end uint32, add func(w *diameter.Writer)) []byte {
	const m = diameter.AVPMandatory
	if flags&diameter.FlagRequest != 0 {
		f.hop++
		hop, end = f.hop, f.hop|0x77000000
	}
	var w diameter.Writer
	w.Begin(make([]byte, 4096), &diameter.Header{Flags: flags, Command: command, HopByHop: hop, EndToEnd: end})
	if flags&diameter.FlagRequest == 0 {
		w.Uint32(diameter.ResultCode, 0, m, diameter.ResultSuccess)
	}
	w.String(diameter.OriginHost, 0, m, f.host)
	w.String(diameter.OriginRealm, 0, m, f.realm)
	if add != nil {
		add(&w)
	}
	return w.Finish()
}

// send puts messages on the wire. Nothing has happened with them before step.
func (f *fake) send(all ...[]byte) {
	for _, b := range all {
		f.push(b)
	}
}

func (f *fake) judge(b []byte) {
	if !f.garbage {
		judge.Collect(b)
	}
}

// serve answers what belongs to the peer machine and keeps the rest for take.
func (f *fake) serve() (busy bool) {
	for _, b := range f.pull() {
		f.judge(b)
		busy = true
		f.handle(b)
	}
	return busy
}

func (f *fake) handle(b []byte) {
	var m diameter.Message
	m.Parse(b)
	if !isBase(b) {
		f.got = append(f.got, b)
		return
	}
	f.base = append(f.base, m)
	switch {
	case !m.Request():
	case m.Command == diameter.CapabilitiesExchange:
		f.send(f.capabilities(0, m.HopByHop, m.EndToEnd, diameter.ResultSuccess))
	case m.Command == diameter.DeviceWatchdog && f.mute:
	default:
		f.send(f.say(0, m.Command, m.HopByHop, m.EndToEnd, nil))
	}
}

// take gives the messages that have come since the last time; those of the peer machine
// are only among them where the fake is not automatic.
func (f *fake) take() (all [][]byte) {
	if !f.auto {
		for _, b := range f.pull() {
			f.judge(b)
			f.got = append(f.got, b)
		}
	}
	all, f.got = f.got, nil
	return all
}

// one gives the only message that has come.
func (f *fake) one() *diameter.Message {
	all := f.take()
	require.Len(f.rig.t, all, 1)
	m := &diameter.Message{}
	require.Equal(f.rig.t, diameter.NoFault, m.Parse(all[0]))
	return m
}

// result gives the Result-Code of the only message that has come.
func (f *fake) result() uint32 {
	v, _ := f.one().Uint32(diameter.KnownResultCode)
	return v
}

func TestPeerComes(t *testing.T) {
	r := newRig(t, peersOf("mno", "hss"), nil)
	r.peer("mno")
	require.Equal(t, "open", r.lp.statuses()[0].State)
	require.Equal(t, "down", r.lp.statuses()[1].State)
	r.peer("hss")
	require.Equal(t, fmt.Sprint([]string{"open", "open"}), fmt.Sprint([]string{r.lp.statuses()[0].State, r.lp.statuses()[1].State}))
	r.after(10 * time.Minute)
	require.True(t, r.node("mno").able())
}

func TestPeerIsCalled(t *testing.T) {
	set := peersOf("hss")
	set.Peers[0].Addresses = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:3868")}
	r := newRig(t, set, nil)
	require.Equal(t, "down", r.lp.statuses()[0].State)
	r.listening["hss"] = true
	r.after(time.Minute)
	require.Equal(t, "open", r.lp.statuses()[0].State, "%v", r.logs.All())
}

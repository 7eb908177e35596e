package agent

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/pkg/diameter"
)

// leave is a DPR.
func (f *fake) leave(why peer.Cause) []byte {
	return f.say(diameter.FlagRequest, diameter.DisconnectPeer, 0, 0, func(w *diameter.Writer) {
		w.Uint32(diameter.DisconnectCause, 0, diameter.AVPMandatory, uint32(why))
	})
}

// Who says why it goes and does not wait for an answer has taken leave all the same: it
// is left alone for as long as its cause says, and needs no proof when it is back. D24.
func TestLeaveWithoutWaiting(t *testing.T) {
	for _, c := range []struct {
		name  string
		apart time.Duration // between the DPR and the end
		owed  int           // that is under way
	}{
		{"DPR and FIN together", 0, 0},
		{"while the DPA waits for answers", 100 * time.Millisecond, 1},
		{"after the DPA", time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, calling("hss"), nil)
			r.listening["hss"] = true
			r.until("it is open", r.node("hss").able)
			r.after(5 * time.Minute) // long enough that it would be called again at once
			f := r.called["hss"][0]
			r.node("hss").links[0].owed = c.owed
			f.send(f.leave(peer.DoNotWant))
			if c.apart > 0 {
				r.after(c.apart)
			}
			f.Close()
			r.step()
			left := r.now
			r.until("it is called again", func() bool { return len(r.called["hss"]) == 2 })
			assert.GreaterOrEqual(t, time.Duration(r.now-left), 250*time.Second)
			assert.True(t, r.node("hss").able(), "who left in good order needs no proof")
		})
	}
}

// Answers to nothing, with the identifiers that no request of ours has, change nothing. D23.
func TestAnswersToNothing(t *testing.T) {
	for _, command := range []uint32{diameter.DisconnectPeer, diameter.CapabilitiesExchange, diameter.DeviceWatchdog} {
		t.Run(fmt.Sprint(command), func(t *testing.T) {
			r := newRig(t, calling("hss"), nil)
			r.listening["hss"] = true
			r.until("it is open", r.node("hss").able)
			f := r.called["hss"][0]
			f.apps = []uint32{diameter.AppS6a}
			if command == diameter.CapabilitiesExchange {
				f.send(f.capabilities(0, 0, 0, diameter.ResultSuccess), f.capabilities(0, 0, 0, diameter.ResultUnableToComply))
			} else {
				f.send(f.say(0, command, 0, 0, nil))
			}
			r.after(2 * time.Second)
			n := r.node("hss")
			assert.True(t, n.able())
			assert.NotNil(t, n.link(), "requests may be sent by it")
			assert.True(t, n.relay, "what it has said of itself stands")
			assert.False(t, f.gone())
			r.after(10 * time.Minute)
			assert.Len(t, r.called["hss"], 1)
		})
	}
}

// What comes behind capabilities that were refused, or behind a message of another
// version, is not read any more. D27.
func TestNothingBehindARefusal(t *testing.T) {
	for _, c := range []struct {
		name  string
		first func(f *fake) []byte
	}{
		{"capabilities of nobody", func(f *fake) []byte {
			f.host = "nobody.example"
			defer func() { f.host = "mno.example" }()
			return f.cer()
		}},
		{"another version", func(f *fake) []byte { b := f.cer(); b[0] = 2; return b }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, peersOf("mno"), nil)
			f := r.come("mno")
			f.garbage = true
			f.send(c.first(f), f.cer(), f.cer())
			r.step()
			assert.Len(t, f.take(), 1)
			assert.True(t, f.gone())
			assert.Equal(t, "down", r.lp.statuses()[0].State)
			again := r.come("mno")
			again.introduce()
			assert.True(t, r.node("mno").able(), "the next one has nothing to prove")
		})
	}
}

// Attempts beyond those of one time wait for a place: that there are many peers is not
// their failure. D25.
func TestAttemptsWaitForAPlace(t *testing.T) {
	set := calling("hss")
	door, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = door.Close() }()
	set.Peers[0].Addresses = []netip.AddrPort{door.Addr().(*net.TCPAddr).AddrPort()}
	r := newRig(t, set, nil)
	d := r.agent.calls
	d.begin = r.agent.dial
	for range cap(d.free) {
		d.free <- struct{}{}
	}
	ln := r.node("hss").lanes[0]
	r.until("an attempt", func() bool { return ln.machine.State() == peer.WaitConnAck })
	r.step()
	assert.Equal(t, peer.WaitConnAck, ln.machine.State(), "it waits: %v", r.logs.All())
	<-d.free
	c, err := door.Accept()
	require.NoError(t, err)
	_ = c.Close()
	d.running.Wait()
	for range cap(d.free) - 1 {
		<-d.free
	}
	assert.Empty(t, r.logs.FilterMessage("peer not reached").All())
}

// A peer that comes and goes without end fills no log, and what was left out is told. D42.
func TestRestlessPeer(t *testing.T) {
	r := newRig(t, peersOf("mno", "calm"), nil)
	r.peer("calm")
	lines := func() int { return r.logs.FilterField(logPeer("mno")).Len() }
	rounds := 0
	others := r.fakes
	for end := r.now + int64(3*time.Minute); r.now < end; rounds++ {
		r.fakes = others
		f := r.peer("mno")
		f.send(f.leave(peer.Rebooting))
		r.step()
		f.Close()
		r.after(500 * time.Millisecond)
	}
	require.Greater(t, rounds, 300)
	assert.LessOrEqual(t, lines(), 4*(mostLines+1))
	r.after(2 * time.Minute)
	told := 0
	for _, e := range r.logs.FilterMessage("lines of a peer left out").All() {
		told += int(e.ContextMap()["lines"].(int64))
	}
	written := lines() - r.logs.FilterMessage("lines of a peer left out").Len()
	assert.Equal(t, 3*rounds, written+told, "each round would have three")
	before := lines()
	r.peer("mno")
	assert.Equal(t, before+1, lines(), "who is calm again is told of as before")
	assert.Equal(t, 1, r.logs.FilterField(logPeer("calm")).Len())
}

func logPeer(name string) zap.Field { return zap.String("peer", name) }

package diameter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	dia "github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
	"github.com/roamgate/roamgate/test/mutation"
)

// enemy is a peer that has introduced itself and says what it likes.
type enemy struct {
	t      *testing.T
	conn   net.Conn
	serial uint32
	due    map[uint32]dueAnswer // by End-to-End Identifier
}

// dueAnswer is what a mutation must be answered with.
type dueAnswer struct {
	name   string
	result uint32
}

func newEnemy(t *testing.T, name string, to netip.AddrPort) *enemy {
	t.Helper()
	conn, err := net.DialTimeout("tcp", to.String(), soon)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	e := &enemy{t: t, conn: conn, due: map[uint32]dueAnswer{}}
	cer, err := dict.Parse(fmt.Sprintf("CER hbh=1 e2e=1\nOrigin-Host: %s\nOrigin-Realm: %s\nHost-IP-Address: 127.0.0.1\nVendor-Id: 0\nProduct-Name: enemy\nAuth-Application-Id: 4294967295\n",
		identity(name, visitedRealm), visitedRealm))
	require.NoError(t, err)
	e.write(cer)
	h, _ := e.read()
	require.EqualValues(t, dia.CapabilitiesExchange, h.Command)
	return e
}

func (e *enemy) write(b []byte) {
	require.NoError(e.t, e.conn.SetWriteDeadline(time.Now().Add(soon)))
	_, err := e.conn.Write(b)
	require.NoError(e.t, err)
}

// mark makes a message one that has not been yet.
func (e *enemy) mark(raw []byte) []byte {
	e.serial++
	dia.SetHopByHop(raw, e.serial)
	dia.SetEndToEnd(raw, e.serial)
	return raw
}

func (e *enemy) read() (h dia.Header, raw []byte) {
	e.t.Helper()
	require.NoError(e.t, e.conn.SetReadDeadline(time.Now().Add(soon)))
	raw = make([]byte, 4)
	_, err := io.ReadFull(e.conn, raw)
	require.NoError(e.t, err)
	n, fault := dia.Frame(raw)
	require.Equal(e.t, dia.NoFault, fault)
	raw = append(raw, make([]byte, n-4)...)
	_, err = io.ReadFull(e.conn, raw[4:])
	require.NoError(e.t, err)
	return dia.ReadHeader(raw), raw
}

// until reads answers until that to the last message has come, and holds them against
// those that are due; all that is a request is answered, watchdogs among it.
func (e *enemy) until(last uint32) (answers int) {
	e.t.Helper()
	for {
		h, raw := e.read()
		if h.Request() {
			var m dia.Message
			var w dia.Writer
			m.Parse(raw)
			w.Answer(make([]byte, 4096), &m, &dia.Answer{Result: dia.ResultSuccess, Host: identity("enemy", visitedRealm), Realm: visitedRealm})
			e.write(w.Finish())
			continue
		}
		answers++
		if d, ok := e.due[h.EndToEnd]; ok {
			require.Equal(e.t, d.result, node.Result(raw), d.name)
			delete(e.due, h.EndToEnd)
		}
		if h.EndToEnd == last {
			return answers
		}
	}
}

// resident is the memory of a process in KiB.
func resident(t *testing.T, pid int) (size int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "VmRSS:")
	require.True(t, ok)
	_, err = fmt.Sscan(rest, &size)
	require.NoError(t, err)
	return size
}

// D43: TestDiameterHostile: a peer sends mutations of every command, in bulk, to a hub that
// carries other peers' requests meanwhile. Its connection lives through all of it, what
// is good is answered in between, the others see nothing of it, and memory stays flat.
// Where it breaks the frame it loses its connection, and nobody else.
func TestDiameterHostile(t *testing.T) {
	// What it hears is the enemy's, as it came: nobody judges it.
	home, err := node.Start(t.Context(), node.Config{Identity: identity("hss", homeRealm), Realm: homeRealm, Listen: anyPort})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, home.Close()) })
	hub := agent(t, "peers:\n"+peerEntry("mme", visitedRealm, netip.AddrPort{}, "")+peerEntry("enemy", visitedRealm, netip.AddrPort{}, "")+
		peerEntry("hss", homeRealm, home.Addr(), "")+toHome("", "hss"))
	connected(t, home)
	mme := visitedAt(t, "mme", hub.Diameter)
	e := newEnemy(t, "enemy", hub.Diameter)

	ctx, stop := context.WithCancel(t.Context())
	load := make(chan error, 1)
	go func() {
		load <- mme.Play(ctx, node.Work{Steps: node.Roles["mme"], Realm: homeRealm, Window: 4, Rate: 200, Total: 1 << 30})
	}()

	text, err := os.ReadFile("../../vectors/diameter/valid.txt")
	require.NoError(t, err)
	vectors, err := dict.Vectors(string(text))
	require.NoError(t, err)
	base, sent, due, answered := 0, 0, 0, 0
	for round := range 3 {
		for _, v := range vectors {
			good := mutation.Readdress(v.Raw, identity("enemy", visitedRealm), visitedRealm, "", homeRealm)
			h := dia.ReadHeader(good)
			if !h.Request() || h.Application == 0 {
				continue
			}
			var batch []byte
			n := 0
			mutation.Each(good, func(name string, raw []byte) bool {
				if n++; (n+2*round)%6 == 0 {
					sent++
					batch = append(batch, e.mark(raw)...)
					if result, _ := mutation.Due(name); result != 0 {
						e.due[e.serial] = dueAnswer{v.Name + ": " + name, result}
						due++
					}
				}
				return true
			})
			batch = append(batch, e.mark(good)...)
			e.due[e.serial] = dueAnswer{v.Name, dia.ResultSuccess}
			e.write(batch)
			answered += e.until(e.serial)
		}
		if round == 1 { // what is taken on first use is taken by then
			base = resident(t, hub.PID())
		}
	}
	grown := resident(t, hub.PID()) - base
	t.Logf("%d bad messages, of %d it is known what is due, %d answers, %d KiB more", sent, due, answered, grown)
	assert.Greater(t, due, 1000)
	assert.Empty(t, e.due, "not answered")
	assert.EqualValues(t, 3, hub.Metric("roamgate_diameter_peer_connections"), "no link is lost")
	assert.Zero(t, hub.Metric("roamgate_diameter_panics_recovered_total"))
	assert.Greater(t, answered, sent*9/10, "but for those that are no requests")
	assert.Less(t, grown, 32<<10)

	e.write(mutation.Unframed()[0]) // aaa/agent has them all
	require.NoError(t, e.conn.SetReadDeadline(time.Now().Add(soon)))
	_, err = io.Copy(io.Discard, e.conn)
	require.False(t, errors.Is(err, os.ErrDeadlineExceeded), "the connection is not closed")

	stop()
	require.NoError(t, <-load)
	c := mme.Snapshot()
	assert.Positive(t, c.Success)
	assert.Zero(t, c.Lost, "%+v", c)
	assert.Zero(t, c.Failed, "%+v", c)
}

package peer

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/fiorix/go-diameter/v4/diam/sm"
	"github.com/stretchr/testify/require"
)

// GoDiameter is a node on go-diameter: an HSS that answers ULR, or an MME that asks.
type GoDiameter struct {
	Identity, Realm string
	TLS             *tls.Config // nil: TCP

	requests atomic.Int64
	machine  *sm.StateMachine
}

const (
	s6a      = 16777251
	vendor3G = 10415
)

func (g *GoDiameter) settings() *sm.Settings {
	return &sm.Settings{
		OriginHost: datatype.DiameterIdentity(g.Identity), OriginRealm: datatype.DiameterIdentity(g.Realm),
		VendorID: vendor3G, ProductName: "go-diameter",
		HostIPAddresses: []datatype.Address{datatype.Address(net.IPv4(127, 0, 0, 1))},
	}
}

// Listen answers every ULR with DIAMETER_SUCCESS.
func (g *GoDiameter) Listen(t testing.TB) netip.AddrPort {
	t.Helper()
	g.machine = sm.New(g.settings())
	g.machine.HandleFunc("ULR", func(c diam.Conn, m *diam.Message) {
		g.requests.Add(1)
		a := diam.NewMessage(m.Header.CommandCode, m.Header.CommandFlags&^diam.RequestFlag, m.Header.ApplicationID,
			m.Header.HopByHopID, m.Header.EndToEndID, m.Dictionary())
		if id, err := m.FindAVP(avp.SessionID, 0); err == nil {
			a.AddAVP(id)
		}
		g.add(a, avp.ResultCode, 0, datatype.Unsigned32(diam.Success))
		g.add(a, avp.AuthSessionState, 0, datatype.Enumerated(1))
		g.add(a, avp.OriginHost, 0, datatype.DiameterIdentity(g.Identity))
		g.add(a, avp.OriginRealm, 0, datatype.DiameterIdentity(g.Realm))
		_, _ = a.WriteTo(c) // a connection that is gone is the other side's to notice
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().(*net.TCPAddr).AddrPort()
	if g.TLS != nil {
		l = tls.NewListener(l, g.TLS)
	}
	s := &diam.Server{Handler: g.machine, Dict: dict.Default}
	ended := make(chan struct{})
	go func() {
		_ = s.Serve(l)
		close(ended)
	}()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		<-ended
	})
	return at
}

// Requests is how many have come.
func (g *GoDiameter) Requests() int { return int(g.requests.Load()) }

func (g *GoDiameter) add(m *diam.Message, code uint32, vendor uint32, v datatype.Type) {
	flags := uint8(avp.Mbit)
	if vendor != 0 {
		flags |= avp.Vbit
	}
	_, err := m.NewAVP(code, flags, vendor, v)
	if err != nil {
		panic(fmt.Sprintf("AVP %d of vendor %d: %v", code, vendor, err)) // its dictionary has all of ours
	}
}

// Ask connects, sends n ULRs one by one into the realm and gives their results.
func (g *GoDiameter) Ask(t testing.TB, at netip.AddrPort, realm string, n int) (results map[uint32]int) {
	t.Helper()
	machine := sm.New(g.settings())
	answers := make(chan *diam.Message, n)
	machine.HandleFunc("ULA", func(_ diam.Conn, m *diam.Message) { answers <- m })
	client := &sm.Client{Dict: dict.Default, Handler: machine, VendorSpecificApplicationID: []*diam.AVP{
		diam.NewAVP(avp.VendorSpecificApplicationID, avp.Mbit, 0, &diam.GroupedAVP{AVP: []*diam.AVP{
			diam.NewAVP(avp.AuthApplicationID, avp.Mbit, 0, datatype.Unsigned32(s6a)),
			diam.NewAVP(avp.VendorID, avp.Mbit, 0, datatype.Unsigned32(vendor3G)),
		}}),
	}}
	var raw net.Conn
	var err error
	if g.TLS != nil {
		raw, err = tls.Dial("tcp", at.String(), g.TLS)
	} else {
		raw, err = net.Dial("tcp", at.String())
	}
	require.NoError(t, err)
	c, err := client.NewConn(raw, at.String())
	require.NoError(t, err)
	defer c.Close()
	results = map[uint32]int{}
	for i := range n {
		_, err := g.locationUpdate(realm, i).WriteTo(c)
		require.NoError(t, err)
		select {
		case m := <-answers:
			var a struct {
				Result uint32 `avp:"Result-Code"`
			}
			require.NoError(t, m.Unmarshal(&a))
			results[a.Result]++
		case <-time.After(startLimit):
			t.Fatalf("no answer to request %d in %s", i, startLimit)
		}
	}
	return results
}

func (g *GoDiameter) locationUpdate(realm string, i int) *diam.Message {
	m := diam.NewRequest(diam.UpdateLocation, s6a, dict.Default)
	m.Header.CommandFlags |= diam.ProxiableFlag
	g.add(m, avp.SessionID, 0, datatype.UTF8String(fmt.Sprintf("%s;1;%d", g.Identity, i)))
	g.add(m, avp.AuthSessionState, 0, datatype.Enumerated(1))
	g.add(m, avp.OriginHost, 0, datatype.DiameterIdentity(g.Identity))
	g.add(m, avp.OriginRealm, 0, datatype.DiameterIdentity(g.Realm))
	g.add(m, avp.DestinationRealm, 0, datatype.DiameterIdentity(realm))
	g.add(m, avp.UserName, 0, datatype.UTF8String(fmt.Sprintf("00101%010d", i)))
	g.add(m, avp.RATType, vendor3G, datatype.Enumerated(1004))
	g.add(m, avp.ULRFlags, vendor3G, datatype.Unsigned32(0x22))
	g.add(m, avp.VisitedPLMNID, vendor3G, datatype.OctetString("\x00\xf1\x10"))
	return m
}

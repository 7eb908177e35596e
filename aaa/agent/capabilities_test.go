package agent

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// strike gives a message without the first AVP of a code.
func strike(b []byte, code uint32) []byte {
	out := append([]byte{}, b[:diameter.HeaderLen]...)
	var a diameter.AVP
	struck := false
	for c := diameter.Walk(b[diameter.HeaderLen:]); c.Next(&a); {
		if a.Code == code && !struck {
			struck = true
			continue
		}
		out = append(out, a.Raw...)
	}
	out[1], out[2], out[3] = byte(len(out)>>16), byte(len(out)>>8), byte(len(out))
	return out
}

// add gives a message with another AVP at its end.
func add(b []byte, code uint32, v ...byte) []byte {
	n := 8 + len(v)
	out := append([]byte{}, b...)
	out = append(out, byte(code>>24), byte(code>>16), byte(code>>8), byte(code), 0x40, byte(n>>16), byte(n>>8), byte(n))
	out = append(out, v...)
	for len(out)%4 != 0 {
		out = append(out, 0)
	}
	out[1], out[2], out[3] = byte(len(out)>>16), byte(len(out)>>8), byte(len(out))
	return out
}

// What a CER is answered with (RFC 6733 section 5.3). Whoever is refused is closed, and
// nobody else notices. C118, C124.
func TestC118Capabilities(t *testing.T) {
	for _, c := range []struct {
		name   string
		peer   func(p *realm.Peer)
		fake   func(f *fake)
		edit   func(b []byte) []byte
		result uint32
		failed uint32 // code of the AVP in Failed-AVP
		reason string
	}{
		{name: "a relay", result: 2001, reason: "ok"},
		{name: "an application", fake: func(f *fake) { f.apps = []uint32{diameter.AppS6a} }, result: 2001, reason: "ok"},
		{name: "capital letters", fake: func(f *fake) { f.host = "MNO.Example" }, result: 2001, reason: "ok"},
		{name: "applications in common", peer: func(p *realm.Peer) { p.Applications = []uint32{1, 3} }, fake: func(f *fake) { f.apps = []uint32{3, 4} }, result: 2001, reason: "ok"},
		{name: "none in common", peer: func(p *realm.Peer) { p.Applications = []uint32{1} }, fake: func(f *fake) { f.apps = []uint32{3} }, result: 5010, reason: "no_common_application"},
		{name: "none at all", edit: func(b []byte) []byte { return strike(b, diameter.AuthApplicationID) }, result: 5010, reason: "no_common_application"},
		{name: "of a vendor", fake: func(f *fake) { f.apps = []uint32{9} }, peer: func(p *realm.Peer) { p.Applications = []uint32{diameter.AppS6a} },
			edit: func(b []byte) []byte {
				return add(b, diameter.VendorSpecificApplicationID, 0, 0, 1, 10, 0x40, 0, 0, 12, 0, 0, 0x28, 0xaf, 0, 0, 1, 2, 0x40, 0, 0, 12, 1, 0, 0, 0x23)
			}, result: 2001, reason: "ok"},
		{name: "a vendor's that cannot be read", fake: func(f *fake) { f.apps = []uint32{9} }, peer: func(p *realm.Peer) { p.Applications = []uint32{diameter.AppS6a} },
			edit: func(b []byte) []byte {
				return add(b, diameter.VendorSpecificApplicationID, 0, 0, 1, 10, 0x40, 0, 0, 99)
			},
			result: 5014, reason: "malformed"},
		{name: "an unknown Origin-Host", fake: func(f *fake) { f.host = "stranger.example" }, result: 3010, reason: "unknown_peer"},
		{name: "our own identity", fake: func(f *fake) { f.host = ourHost }, result: 3010, reason: "unknown_peer"},
		{name: "another peer's Origin-Host", fake: func(f *fake) { f.host = "other.example" }, result: 3010, reason: "wrong_address"},
		{name: "another Origin-Realm", fake: func(f *fake) { f.realm = "elsewhere.example" }, result: 3010, reason: "wrong_realm"},
		{name: "TLS inside alone", edit: func(b []byte) []byte { return add(b, diameter.InbandSecurityID, 0, 0, 0, 1) }, result: 5017, reason: "no_common_security"},
		{name: "TLS inside or not", edit: func(b []byte) []byte {
			return add(add(b, diameter.InbandSecurityID, 0, 0, 0, 1), diameter.InbandSecurityID, 0, 0, 0, 0)
		}, result: 2001, reason: "ok"},
		{name: "no Origin-Host", edit: func(b []byte) []byte { return strike(b, diameter.OriginHost) }, result: 5005, failed: diameter.OriginHost, reason: "malformed"},
		{name: "no Origin-Realm", edit: func(b []byte) []byte { return strike(b, diameter.OriginRealm) }, result: 5005, failed: diameter.OriginRealm, reason: "malformed"},
		{name: "no Host-IP-Address", edit: func(b []byte) []byte { return strike(b, diameter.HostIPAddress) }, result: 5005, failed: diameter.HostIPAddress, reason: "malformed"},
		{name: "no Vendor-Id", edit: func(b []byte) []byte { return strike(b, diameter.VendorID) }, result: 5005, failed: diameter.VendorID, reason: "malformed"},
		{name: "no Product-Name", edit: func(b []byte) []byte { return strike(b, diameter.ProductName) }, result: 5005, failed: diameter.ProductName, reason: "malformed"},
		{name: "Origin-Host twice", edit: func(b []byte) []byte { return add(b, diameter.OriginHost, 'x') }, result: 5009, failed: diameter.OriginHost, reason: "malformed"},
		{name: "an AVP beyond the end", edit: func(b []byte) []byte { b = add(b, 1, 'x'); b[len(b)-5] = 200; return b }, result: 5014, reason: "malformed"},
		{name: "the E bit", edit: func(b []byte) []byte { b[4] |= 0x20; return b }, result: 3008, reason: "malformed"},
		{name: "another version", edit: func(b []byte) []byte { b[0] = 2; return b }, result: 5011},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := peersOf("mno", "other")
			if c.peer != nil {
				c.peer(&set.Peers[0])
			}
			r := newRig(t, set, nil)
			other := r.peer("other")
			f := r.come("mno")
			if c.fake != nil {
				c.fake(f)
			}
			b := f.cer()
			if c.edit != nil {
				b = c.edit(b)
			}
			f.send(b)
			r.step()
			m := f.one()
			assert.EqualValues(t, diameter.CapabilitiesExchange, m.Command)
			assert.False(t, m.Request())
			assert.Equal(t, diameter.ReadHeader(b).HopByHop, m.HopByHop)
			assert.Equal(t, diameter.ReadHeader(b).EndToEnd, m.EndToEnd)
			got, _ := m.Uint32(diameter.KnownResultCode)
			assert.Equal(t, c.result, got)
			assert.Equal(t, c.result/1000 == 3, m.Flags&diameter.FlagError != 0, "the E bit is that of protocol errors")
			var a diameter.AVP
			if diameter.Find(m.Body(), diameter.FailedAVP, 0, &a); c.failed != 0 {
				require.GreaterOrEqual(t, len(a.Data), 8)
				assert.Equal(t, c.failed, diameter.ReadAVPCode(a.Data))
			}
			ok := c.result == diameter.ResultSuccess
			assert.Equal(t, !ok, f.gone())
			assert.Equal(t, ok, r.node("mno").able())
			assert.True(t, r.node("other").able())
			assert.False(t, other.gone())
			if c.reason != "" {
				r.lp.stats.Publish()
				assert.Positive(t, r.stats.Value("roamgate_diameter_capabilities_total", "result", c.reason))
			}
		})
	}
}

// A CEA and a CER of ours say what RFC 6733 sections 5.3.1 and 5.3.2 want. C118.
func TestC118OurCapabilities(t *testing.T) {
	set := peersOf("mno", "hss")
	set.Peers[1].Addresses = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:3868")}
	r := newRig(t, set, func(c *Config, _ *Rooms) {
		c.Hosts = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("198.51.100.1")}
	})
	f := r.come("mno")
	cea := f.introduce()
	r.listening["hss"] = true
	r.after(time.Minute)
	require.Len(t, r.called["hss"], 1)
	require.NotEmpty(t, r.called["hss"][0].base)
	cer := &r.called["hss"][0].base[0]
	for _, m := range []*diameter.Message{cea, cer} {
		assert.Equal(t, ourHost, string(m.Value(diameter.KnownOriginHost)))
		assert.Equal(t, ourRealm, string(m.Value(diameter.KnownOriginRealm)))
		state, _ := m.Uint32(diameter.KnownOriginStateID)
		assert.EqualValues(t, 1000, state)
		assert.Zero(t, m.Flags&diameter.FlagProxiable)
		var hosts [][]byte
		apps := map[uint32]uint32{}
		var a diameter.AVP
		for c := diameter.Walk(m.Body()); c.Next(&a); {
			switch a.Code {
			case diameter.HostIPAddress:
				hosts = append(hosts, a.Data)
			case diameter.AuthApplicationID, diameter.AcctApplicationID:
				apps[a.Code], _ = a.Uint32()
			case diameter.ProductName:
				assert.Equal(t, "roamgate", string(a.Data))
				assert.Zero(t, a.Flags&diameter.AVPMandatory)
			}
		}
		assert.Equal(t, [][]byte{append([]byte{0, 2}, netip.MustParseAddr("2001:db8::1").AsSlice()...), {0, 1, 198, 51, 100, 1}}, hosts)
		assert.Equal(t, map[uint32]uint32{diameter.AuthApplicationID: diameter.AppRelay, diameter.AcctApplicationID: diameter.AppRelay}, apps)
	}
}

// A CEA that is not what we want ends the connection, and the reason can be read. C118,
// D21.
func TestC118CEA(t *testing.T) {
	for _, c := range []struct {
		name string
		cea  func(f *fake, m *diameter.Message) []byte
		says string // "": it opens
	}{
		{"welcome", func(f *fake, m *diameter.Message) []byte {
			return f.capabilities(0, m.HopByHop, m.EndToEnd, 2001)
		}, ""},
		{"refused", func(f *fake, m *diameter.Message) []byte {
			return add(f.capabilities(0, m.HopByHop, m.EndToEnd, 3010), diameter.ErrorMessage, []byte("no\nway")...)
		}, `result 3010 no\nway`},
		{"another host", func(f *fake, m *diameter.Message) []byte {
			f.host = "impostor.example"
			return f.capabilities(0, m.HopByHop, m.EndToEnd, 2001)
		}, "Origin-Host is not that of this peer"},
		{"another realm", func(f *fake, m *diameter.Message) []byte {
			f.realm = "elsewhere"
			return f.capabilities(0, m.HopByHop, m.EndToEnd, 2001)
		}, "Origin-Realm is not that of this peer"},
		{"no application", func(f *fake, m *diameter.Message) []byte {
			return strike(f.capabilities(0, m.HopByHop, m.EndToEnd, 2001), diameter.AuthApplicationID)
		}, "no application in common"},
		{"of another CER", func(f *fake, m *diameter.Message) []byte {
			return f.capabilities(0, m.HopByHop+1, m.EndToEnd, 2001)
		}, "uninvited"},
		{"a request instead", func(f *fake, m *diameter.Message) []byte {
			return f.say(diameter.FlagRequest, diameter.DeviceWatchdog, 0, 0, nil)
		}, "uninvited"},
		{"nothing", func(*fake, *diameter.Message) []byte { return nil }, "silent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := peersOf("hss")
			set.Peers[0].Addresses = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:3868")}
			r := newRig(t, set, nil)
			r.listening["hss"] = true
			r.silent = true
			for len(r.called["hss"]) == 0 {
				r.after(time.Second)
			}
			require.Len(t, r.called["hss"], 1)
			f := r.called["hss"][0]
			cer := f.one()
			f.send(c.cea(f, cer))
			r.step()
			assert.Equal(t, c.says == "", r.node("hss").able())
			r.after(11 * time.Second)
			assert.Equal(t, c.says != "", f.gone())
			if c.says != "" {
				assert.Contains(t, r.lp.statuses()[0].Error, c.says)
			}
		})
	}
}

// Who has not introduced himself is served nothing. D21.
func TestUninvited(t *testing.T) {
	for _, c := range []struct {
		name string
		b    func(f *fake) []byte
	}{
		{"a watchdog", func(f *fake) []byte { return f.say(diameter.FlagRequest, diameter.DeviceWatchdog, 0, 0, nil) }},
		{"a disconnection", func(f *fake) []byte { return f.say(diameter.FlagRequest, diameter.DisconnectPeer, 0, 0, nil) }},
		{"a request", func(f *fake) []byte { return f.say(diameter.FlagRequest, diameter.UpdateLocation, 0, 0, nil) }},
		{"a CEA", func(f *fake) []byte { return f.capabilities(0, 1, 1, 2001) }},
		{"a DWA", func(f *fake) []byte { return f.say(0, diameter.DeviceWatchdog, 1, 1, nil) }},
		{"a length that no message has", func(*fake) []byte { return []byte{1, 0, 0, 19, 0, 0, 0, 0} }},
		{"too long a message", func(*fake) []byte { return []byte{1, 0xff, 0xff, 0xfc, 0, 0, 0, 0} }},
		{"nothing", func(*fake) []byte { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, peersOf("mno"), nil)
			f := r.come("mno")
			f.send(c.b(f))
			r.after(11 * time.Second)
			assert.True(t, f.gone())
			assert.Empty(t, f.take())
			assert.Zero(t, r.lp.conns.open)
		})
	}
}

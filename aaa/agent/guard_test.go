package agent

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/judge"
)

const (
	guardedRealm = "epc.mnc010.mcc262.3gppnetwork.org"
	guardedMME   = "mme1." + guardedRealm
	guardedIMSI  = "901280000000001"
)

// guardRig is a guard with one peer, one route and a policy, and the time.
type guardRig struct {
	*guard
	t     *testing.T
	stats *stat.Registry
	set   *realm.Set
	now   int64
	wall  int64
}

const guardedPolicy = `
profiles:
  - {name: open}
  - {name: denied, deny: true}
  - {name: networks, visited_plmns: [262-01, "310"]}
  - {name: radios, rat_types: [nb-iot, lte-m]}
  - {name: types, imeis: ["35000001"]}
  - {name: locked, lock_imei: true}
  - {name: long, roaming_days: 2}
  - {name: warned, roaming_days: 2, roaming_action: warn}
  - {name: often, attempts_per_hour: 1}
  - {name: wlan, countries: [AT]}
devices:
`

func newGuardRig(t *testing.T, profile string, change ...func(*realm.Set)) *guardRig {
	t.Helper()
	text := guardedPolicy + fmt.Sprintf("  - {imsi: %q, profile: %s}\n  - {nai: bob@home.example, profile: %s}\n", guardedIMSI, profile, profile)
	f, problems := device.ReadFile("policy.yaml", []byte(text))
	require.NotNil(t, f, problems)
	r := &guardRig{t: t, stats: stat.NewRegistry(), now: int64(time.Hour), wall: 1_800_000_000}
	r.set = &realm.Set{
		Peers:   []realm.Peer{{Name: "visited", Identity: guardedMME, Realm: guardedRealm}},
		Clients: []realm.Client{{Name: "visited", Country: "DE"}},
		Routes:  []realm.Route{{Realm: "home.example", Policy: realm.Policy{Enabled: true}, Diameter: &realm.DiameterRoute{}}},
	}
	for _, f := range change {
		f(r.set)
	}
	r.guard = newGuard(&Config{Identity: "Hub.example", Realm: "Roam.example"}, &Rooms{Stats: r.stats, Policy: device.New(device.Config{File: f})}, r.set)
	return r
}

func (r *guardRig) asked(m *diameter.Message) *asked {
	return &asked{m: m, client: &r.set.Clients[0], route: &r.set.Routes[0], now: r.now, wall: r.wall}
}

type field struct {
	code, vendor uint32
	value        string
}

func number(code, vendor, v uint32) field {
	return field{code, vendor, string(binary.BigEndian.AppendUint32(nil, v))}
}

func visitedPLMN(text string) field {
	n, _ := realm.ParseNetwork(text)
	return field{diameter.TGPPVisitedPLMNID, diameter.Vendor3GPP, string(n.AppendVisited(nil))}
}

func terminal(imei string) field {
	var w diameter.Writer
	w.Begin(make([]byte, 256), &diameter.Header{})
	w.String(diameter.TGPPIMEI, diameter.Vendor3GPP, diameter.AVPMandatory, imei)
	return field{diameter.TGPPTerminalInformation, diameter.Vendor3GPP, string(w.Finish()[diameter.HeaderLen:])}
}

func rat(v uint32) field { return number(diameter.TGPPRATType, diameter.Vendor3GPP, v) }

func ask(t testing.TB, app, command uint32, user string, more ...field) *diameter.Message {
	t.Helper()
	var w diameter.Writer
	w.Begin(make([]byte, 4096), &diameter.Header{
		Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: command, Application: app, HopByHop: 7, EndToEnd: 9,
	})
	w.String(diameter.SessionID, 0, diameter.AVPMandatory, guardedMME+";1;2")
	w.String(diameter.OriginHost, 0, diameter.AVPMandatory, guardedMME)
	w.String(diameter.OriginRealm, 0, diameter.AVPMandatory, guardedRealm)
	w.String(diameter.DestinationRealm, 0, diameter.AVPMandatory, "home.example")
	if user != "" {
		w.String(diameter.UserName, 0, diameter.AVPMandatory, user)
	}
	for _, f := range more {
		w.String(f.code, f.vendor, diameter.AVPMandatory, f.value)
	}
	m := new(diameter.Message)
	require.Equal(t, diameter.NoFault, m.Parse(w.Finish()))
	return m
}

func ulr(t testing.TB, more ...field) *diameter.Message {
	return ask(t, diameter.AppS6a, diameter.UpdateLocation, guardedIMSI, more...)
}

func air(t testing.TB, more ...field) *diameter.Message {
	return ask(t, diameter.AppS6a, diameter.AuthenticationInfo, guardedIMSI, more...)
}

// TestDenials has the policy refuse each application in its own words (D55).
func TestDenials(t *testing.T) {
	const vendor = diameter.Vendor3GPP
	in := visitedPLMN("262-10")
	for _, tc := range []struct {
		name, profile  string
		m              func(testing.TB) *diameter.Message
		result, vendor uint32
		why            string
	}{
		{"S6a allowed", "open", func(t testing.TB) *diameter.Message { return ulr(t, in) }, 0, 0, ""},
		{"S6a denied", "denied", func(t testing.TB) *diameter.Message { return ulr(t, in) }, 5420, vendor, "denied"},
		{"S6a AIR denied", "denied", func(t testing.TB) *diameter.Message { return air(t, in) }, 5420, vendor, "denied"},
		{"S6a PUR passes", "denied", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppS6a, diameter.PurgeUE, guardedIMSI)
		}, 0, 0, ""},
		{"S6a network", "networks", func(t testing.TB) *diameter.Message { return ulr(t, in) }, 5004, vendor, "network_not_allowed"},
		{"S6a network of the AIR", "networks", func(t testing.TB) *diameter.Message { return air(t, in) }, 5004, vendor, "network_not_allowed"},
		{"S6a a network allowed", "networks", func(t testing.TB) *diameter.Message { return ulr(t, visitedPLMN("262-01")) }, 0, 0, ""},
		{"S6a a country allowed", "networks", func(t testing.TB) *diameter.Message { return ulr(t, visitedPLMN("310-410")) }, 0, 0, ""},
		{"S6a no network said", "networks", func(t testing.TB) *diameter.Message { return ulr(t) }, 5004, vendor, "network_not_allowed"},
		{"S6a radio", "radios", func(t testing.TB) *diameter.Message { return ulr(t, in, rat(1004)) }, 5421, vendor, "access_type_not_allowed"},
		{"S6a NB-IoT", "radios", func(t testing.TB) *diameter.Message { return ulr(t, in, rat(1005)) }, 0, 0, ""},
		{"S6a LTE-M", "radios", func(t testing.TB) *diameter.Message { return ulr(t, in, rat(1007)) }, 0, 0, ""},
		{"S6a a radio of no name", "radios", func(t testing.TB) *diameter.Message { return ulr(t, in, rat(4711)) }, 5421, vendor, "access_type_not_allowed"},
		{"S6a an AIR says no radio", "radios", func(t testing.TB) *diameter.Message { return air(t, in) }, 0, 0, ""},
		{"S6a equipment", "types", func(t testing.TB) *diameter.Message { return ulr(t, in, terminal("35000002123456")) }, 5004, vendor, "equipment_not_allowed"},
		{"S6a equipment of a type", "types", func(t testing.TB) *diameter.Message { return ulr(t, in, terminal("350000011234567")) }, 0, 0, ""},
		{"S6a equipment not said", "locked", func(t testing.TB) *diameter.Message { return ulr(t, in) }, 5004, vendor, "equipment_not_allowed"},
		{"S6a unknown", "open", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppS6a, diameter.UpdateLocation, "901280000000002", in)
		}, 5001, vendor, "unknown_device"},
		{"S6a nobody", "open", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppS6a, diameter.UpdateLocation, "", in)
		}, 5001, vendor, "no_identity"},
		{"S6a two subscribers", "open", func(t testing.TB) *diameter.Message {
			return ulr(t, in, field{diameter.UserName, 0, "901280000000002"})
		}, 5009, 0, "no_identity"},
		{"NASREQ two stations", "open", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppNASREQ, diameter.AA, "bob@home.example", field{callingStationID, 0, "02-00-00-00-00-01"}, field{callingStationID, 0, "02-00-00-00-00-02"})
		}, 5009, 0, "no_identity"},
		{"STa denied", "denied", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppSTa, diameter.EAP, "bob@home.example", number(diameter.AuthRequestType, 0, 3))
		}, 5003, 0, "denied"},
		{"STa country", "wlan", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppSTa, diameter.EAP, "bob@home.example")
		}, 5004, vendor, "country_not_allowed"},
		{"STa the network's name", "networks", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppSTa, diameter.EAP, "bob@home.example", field{visitedNetworkID, vendor, "MNC001.mcc262.3gppnetwork.org"})
		}, 0, 0, ""},
		{"SWm radio", "radios", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppSWm, diameter.EAP, "bob@home.example", rat(0))
		}, 5452, vendor, "access_type_not_allowed"},
		{"SWm equipment", "types", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppSWm, diameter.EAP, "bob@home.example", terminal("35000002123456"))
		}, 5554, vendor, "equipment_not_allowed"},
		{"S6b says no network", "networks", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppS6b, diameter.AA, "bob@home.example")
		}, 0, 0, ""},
		{"S6b says no radio", "radios", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppS6b, diameter.AA, "bob@home.example")
		}, 0, 0, ""},
		{"S6b says no equipment", "types", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppS6b, diameter.AA, "bob@home.example")
		}, 0, 0, ""},
		{"S6b DER denied", "denied", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppS6b, diameter.EAP, "bob@home.example", number(diameter.AuthRequestType, 0, 3))
		}, 5003, 0, "denied"},
		{"S6b STR passes", "denied", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppS6b, diameter.SessionTermination, "bob@home.example")
		}, 0, 0, ""},
		{"SWm unknown", "open", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppSWm, diameter.EAP, "eve@home.example")
		}, 5001, vendor, "unknown_device"},
		{"EAP denied", "denied", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppEAP, diameter.EAP, "bob@home.example", field{eapPayload, 0, "\x02\x2a\x00\x05\x01"})
		}, 5003, 0, "denied"},
		{"NASREQ denied", "denied", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppNASREQ, diameter.AA, "bob@home.example")
		}, 5003, 0, "denied"},
		{"NASREQ STR passes", "denied", func(t testing.TB) *diameter.Message {
			return ask(t, diameter.AppNASREQ, diameter.SessionTermination, "bob@home.example")
		}, 0, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newGuardRig(t, tc.profile)
			m := tc.m(t)
			v := r.police(r.asked(m))
			assert.Equal(t, verdict{r.wanted(tc.result), tc.result, tc.vendor, tc.why}, v)
			if tc.result == 0 {
				return
			}
			r.judge(m, v)
		})
	}
}

// TestDenialOf has each application say each of four things by its own code: TS 29.272
// section 7.4, TS 29.273 section 10, RFC 7155 section 3.2 (D55).
func TestDenialOf(t *testing.T) {
	type code struct{ result, vendor uint32 }
	plain := func(result uint32) code { return code{result, 0} }
	tgpp := func(result uint32) code { return code{result, diameter.Vendor3GPP} }
	name := func(s string) field { return field{visitedNetworkID, diameter.Vendor3GPP, s} }
	const bob, elsewhere = "bob@home.example", "mnc010.mcc262.3gppnetwork.org"
	ethernet := number(nasPortType, 0, 15)
	for _, tc := range []struct {
		name                             string
		app, command                     uint32
		user, stranger                   string
		place, radio                     field
		unknown, denied, roaming, access code
	}{
		{"S6a ULR", diameter.AppS6a, diameter.UpdateLocation, guardedIMSI, "901280000000002", visitedPLMN("262-10"), rat(1004), tgpp(5001), tgpp(5420), tgpp(5004), tgpp(5421)},
		{"S6a AIR", diameter.AppS6a, diameter.AuthenticationInfo, guardedIMSI, "901280000000002", visitedPLMN("262-10"), field{}, tgpp(5001), tgpp(5420), tgpp(5004), plain(0)},
		{"STa DER", diameter.AppSTa, diameter.EAP, bob, "eve@home.example", name(elsewhere), rat(0), tgpp(5001), plain(5003), tgpp(5004), tgpp(5452)},
		{"SWm DER", diameter.AppSWm, diameter.EAP, bob, "eve@home.example", name(elsewhere), rat(0), tgpp(5001), plain(5003), tgpp(5004), tgpp(5452)},
		{"S6b AAR", diameter.AppS6b, diameter.AA, bob, "eve@home.example", name(elsewhere), rat(0), tgpp(5001), plain(5003), tgpp(5004), tgpp(5452)},
		{"EAP DER", diameter.AppEAP, diameter.EAP, bob, "eve@home.example", field{}, ethernet, plain(5003), plain(5003), plain(5003), plain(5003)},
		{"NASREQ AAR", diameter.AppNASREQ, diameter.AA, bob, "eve@home.example", field{}, ethernet, plain(5003), plain(5003), plain(5003), plain(5003)},
	} {
		for what, c := range map[string]struct {
			profile, user string
			more          field
			want          code
			why           string
		}{
			"unknown device":      {"open", tc.stranger, tc.place, tc.unknown, "unknown_device"},
			"denied":              {"denied", tc.user, tc.place, tc.denied, "denied"},
			"roaming not allowed": {"networks", tc.user, tc.place, tc.roaming, "network_not_allowed"},
			"RAT not allowed":     {"radios", tc.user, tc.radio, tc.access, "access_type_not_allowed"},
		} {
			t.Run(tc.name+" "+what, func(t *testing.T) {
				r := newGuardRig(t, c.profile)
				more := []field{}
				if c.more.code != 0 {
					more = append(more, c.more)
				}
				m := ask(t, tc.app, tc.command, c.user, more...)
				v := r.police(r.asked(m))
				if c.want.result == 0 {
					assert.Equal(t, verdict{}, v, "it does not say")
					return
				}
				assert.Equal(t, verdict{refused, c.want.result, c.want.vendor, c.why}, v)
				r.judge(m, v)
			})
		}
	}
}

// An AAR of S6b belongs to the access that came first: it is no attempt, and no second
// access of the device.
func TestGatewayIsNoAttempt(t *testing.T) {
	r := newGuardRig(t, "often")
	for range 3 {
		assert.Zero(t, r.police(r.asked(ask(t, diameter.AppS6b, diameter.AA, "bob@home.example"))))
	}
	assert.Zero(t, r.police(r.asked(ask(t, diameter.AppSWm, diameter.EAP, "bob@home.example"))))
	assert.Equal(t, refused, r.police(r.asked(ask(t, diameter.AppSWm, diameter.EAP, "bob@home.example"))).disposition)
	assert.Zero(t, r.police(r.asked(ask(t, diameter.AppS6b, diameter.AA, "bob@home.example"))))
}

func (r *guardRig) wanted(result uint32) disposition {
	if result == 0 {
		return passed
	}
	return refused
}

// judge reads the denial of a request as its peer does.
func (r *guardRig) judge(m *diameter.Message, v verdict) {
	t := r.t
	t.Helper()
	var a diameter.Message
	b := r.deny(make([]byte, 4096), m, v)
	judge.Collect(b)
	require.Equal(t, diameter.NoFault, a.Parse(b))
	assert.Equal(t, []uint32{7, 9, m.Command, m.Application}, []uint32{a.HopByHop, a.EndToEnd, a.Command, a.Application})
	assert.False(t, a.Request())
	assert.Equal(t, v.vendor == 0 && v.result/1000 == 3, a.Flags&diameter.FlagError != 0)
	assert.Equal(t, guardedMME+";1;2", string(a.Value(diameter.KnownSessionID)))
	assert.Equal(t, "hub.example", string(a.Value(diameter.KnownOriginHost)))
	assert.Equal(t, "roam.example", string(a.Value(diameter.KnownOriginRealm)))
	var one diameter.AVP
	if v.vendor != 0 {
		group := a.Value(diameter.KnownExperimentalResult)
		require.True(t, diameter.Find(group, diameter.VendorID, 0, &one))
		got, _ := one.Uint32()
		assert.Equal(t, v.vendor, got)
		require.True(t, diameter.Find(group, diameter.ExperimentalResultCode, 0, &one))
		got, _ = one.Uint32()
		assert.Equal(t, v.result, got)
		assert.False(t, a.Has(diameter.KnownResultCode), "one result")
	} else {
		got, _ := a.Uint32(diameter.KnownResultCode)
		assert.Equal(t, v.result, got)
	}
	assert.Equal(t, v.result == diameter.ResultAVPOccursTooManyTimes, diameter.Find(a.Body(), diameter.FailedAVP, 0, &one))
	if a.Flags&diameter.FlagError != 0 {
		return
	}
	if m.Application == diameter.AppS6a {
		got, _ := a.Uint32(diameter.KnownAuthSessionState)
		assert.EqualValues(t, 1, got)
		require.True(t, diameter.Find(a.Body(), diameter.VendorSpecificApplicationID, 0, &one))
		assert.True(t, diameter.Find(one.Data, diameter.AuthApplicationID, 0, new(diameter.AVP)))
		return
	}
	require.True(t, diameter.Find(a.Body(), diameter.AuthApplicationID, 0, &one))
	for _, code := range []uint32{diameter.AuthRequestType, eapPayload} {
		assert.Equal(t, diameter.Find(m.Body(), code, 0, &one), diameter.Find(a.Body(), code, 0, new(diameter.AVP)), code)
	}
	if diameter.Find(a.Body(), eapPayload, 0, &one) {
		assert.Equal(t, "\x04\x2a\x00\x04", string(one.Data), "a failure with the request's identifier")
	}
}

// TestPolicyOff asks nothing where the route does not, and where it only relays or
// translates.
func TestPolicyOff(t *testing.T) {
	for name, change := range map[string]func(*realm.Route){
		"not enabled": func(r *realm.Route) { r.Policy.Enabled = false },
		"relay":       func(r *realm.Route) { r.Diameter.Action = realm.DiameterRelay },
		"radius":      func(r *realm.Route) { r.Diameter.Action = realm.DiameterRADIUS },
	} {
		t.Run(name, func(t *testing.T) {
			r := newGuardRig(t, "denied", func(s *realm.Set) { change(&s.Routes[0]) })
			assert.Zero(t, r.police(r.asked(ulr(t))))
		})
	}
}

// TestOften counts an attach once: by its AIR, not by the ULR behind it.
func TestOften(t *testing.T) {
	r := newGuardRig(t, "often")
	assert.Zero(t, r.police(r.asked(air(t))))
	assert.Zero(t, r.police(r.asked(ulr(t))))
	v := r.police(r.asked(air(t)))
	assert.Equal(t, verdict{refused, diameter.ResultUnableToComply, 0, "too_many_attempts"}, v)
}

// TestRoamingDays lets a device be in one foreign country on two days, and no more until
// it has been elsewhere.
func TestRoamingDays(t *testing.T) {
	abroad, elsewhere := ulr(t, visitedPLMN("262-10")), ulr(t, visitedPLMN("310-410"))
	for _, tc := range []struct {
		profile string
		refused bool
		warned  float64
	}{{"long", true, 0}, {"warned", false, 2}} {
		t.Run(tc.profile, func(t *testing.T) {
			r := newGuardRig(t, tc.profile)
			for range 2 {
				assert.Zero(t, r.police(r.asked(abroad)))
				assert.Zero(t, r.police(r.asked(abroad)), "twice a day is one day")
				r.wall += 86400
			}
			assert.Equal(t, tc.refused, r.police(r.asked(abroad)).why == "roaming_too_long")
			assert.Equal(t, tc.refused, r.police(r.asked(abroad)).disposition == refused)
			for _, s := range r.policy.Series() {
				if s.Name == "roamgate_policy_long_roaming_total" {
					assert.Equal(t, tc.warned, s.Value())
				}
			}
			assert.Zero(t, r.police(r.asked(elsewhere)))
			assert.Zero(t, r.police(r.asked(abroad)), "it begins anew")
		})
	}
}

// TestLockedIMEI keeps a device to the equipment that it came with.
func TestLockedIMEI(t *testing.T) {
	r := newGuardRig(t, "locked")
	first, second := ulr(t, terminal("35000001123456")), ulr(t, terminal("35000001123457"))
	assert.Zero(t, r.police(r.asked(first)))
	assert.Equal(t, "equipment_not_allowed", r.police(r.asked(second)).why)
	assert.Zero(t, r.police(r.asked(first)))
	assert.Zero(t, r.police(r.asked(ulr(t, terminal("3500000112345601")))), "another version of its software")
	assert.Zero(t, r.police(r.asked(air(t))))
}

// TestSignals counts what was asked for a device.
func TestSignals(t *testing.T) {
	r := newGuardRig(t, "open")
	for range 3 {
		r.police(r.asked(air(t)))
	}
	r.police(r.asked(ulr(t)))
	r.police(r.asked(ask(t, diameter.AppS6a, diameter.PurgeUE, guardedIMSI)))
	k, ok := r.policy.KeyOf(&device.Query{IMSI: []byte(guardedIMSI)})
	require.True(t, ok)
	h, ok := r.policy.History(k)
	require.True(t, ok)
	assert.Equal(t, [device.NumSignals]uint32{device.SignalAuth: 3, device.SignalUpdate: 1, device.SignalPurge: 1}, h.Signals)
}

func steering(change ...func(*realm.Steering)) func(*realm.Set) {
	return func(s *realm.Set) {
		st := realm.NewSteering("mvno")
		st.Networks = realm.NewNetworks([]realm.Network{realm.NewNetwork(262, -1), realm.NewNetwork(310, -1)})
		st.Preferred = realm.NewNetworks([]realm.Network{realm.NewNetwork(262, 1)})
		st.LastResort = []uint32{1005}
		st.Devices = 64
		for _, f := range change {
			f(st)
		}
		s.Steerings, s.Routes[0].Steering = []*realm.Steering{st}, st
		s.Routes[0].Policy.Enabled = false
	}
}

// TestSteering refuses the first requests in networks that are not preferred (D56).
func TestSteering(t *testing.T) {
	in := func(t *testing.T, r *guardRig, network string, more ...field) bool {
		q := r.asked(ulr(t, append(more, visitedPLMN(network))...))
		v := r.police(q)
		if v.disposition == passed {
			r.answered(q.mark, true, r.now)
			return true
		}
		assert.Equal(t, verdict{refused, 5004, diameter.Vendor3GPP, "steered"}, v)
		return false
	}
	t.Run("twice, and then it is let in and stays", func(t *testing.T) {
		r := newGuardRig(t, "open", steering())
		assert.False(t, in(t, r, "262-10"))
		assert.False(t, in(t, r, "262-10"))
		for range 5 {
			assert.True(t, in(t, r, "262-10"))
		}
		assert.Equal(t, 2.0, r.stats.Value("roamgate_diameter_steering_total", "decision", "refused"))
		r.tell(r.now)
		assert.Equal(t, 2.0, r.stats.Value("roamgate_diameter_remembered", "by", "steering"), "in the network, and in all")
	})
	t.Run("never where its home wants it, nor elsewhere", func(t *testing.T) {
		r := newGuardRig(t, "open", steering())
		assert.True(t, in(t, r, "262-01"))
		assert.True(t, in(t, r, "234-15"))
	})
	t.Run("given up after four in all", func(t *testing.T) {
		r := newGuardRig(t, "open", steering())
		for _, network := range []string{"262-10", "262-10", "262-02", "262-02"} {
			assert.False(t, in(t, r, network))
		}
		assert.True(t, in(t, r, "262-03"))
	})
	t.Run("forgotten in time", func(t *testing.T) {
		r := newGuardRig(t, "open", steering())
		assert.False(t, in(t, r, "262-10"))
		assert.False(t, in(t, r, "262-10"))
		r.now += int64(time.Hour) + 1
		assert.False(t, in(t, r, "262-10"))
	})
	t.Run("what the home refuses is not let in", func(t *testing.T) {
		r := newGuardRig(t, "open", steering(func(s *realm.Steering) { s.Reject = 1 }))
		assert.False(t, in(t, r, "262-10"))
		r.now += int64(time.Hour) / 2
		q := r.asked(ulr(t, visitedPLMN("262-10")))
		assert.Zero(t, r.police(q))
		r.answered(q.mark, false, r.now)
		r.now += int64(time.Hour)/2 + 1
		assert.False(t, in(t, r, "262-10"), "who is let in stays so for another hour")
	})
	t.Run("never an emergency, the last radio, who is there already, or an AIR", func(t *testing.T) {
		r := newGuardRig(t, "open", steering())
		assert.True(t, in(t, r, "262-10", number(emergencyServices, diameter.Vendor3GPP, 1)))
		assert.True(t, in(t, r, "262-11", rat(1005)))
		assert.True(t, in(t, r, "262-12", number(diameter.TGPPULRFlags, diameter.Vendor3GPP, skipSubscriberData)))
		assert.Zero(t, r.police(r.asked(air(t, visitedPLMN("262-13")))))
		assert.Equal(t, 3.0, r.stats.Value("roamgate_diameter_steering_total", "decision", "exempt"))
	})
	t.Run("memory is bounded", func(t *testing.T) {
		r := newGuardRig(t, "open", steering())
		for i := range 10_000 {
			r.police(r.asked(ask(t, diameter.AppS6a, diameter.UpdateLocation, fmt.Sprintf("90128%010d", i), visitedPLMN("262-10"))))
		}
		assert.Len(t, r.steers.all, 64)
	})
	t.Run("a reload keeps it", func(t *testing.T) {
		r := newGuardRig(t, "open", steering())
		assert.False(t, in(t, r, "262-10"))
		assert.False(t, in(t, r, "262-10"))
		r.apply(r.set)
		assert.True(t, in(t, r, "262-10"))
		r.apply(&realm.Set{})
		assert.Nil(t, r.steers)
		r.answered(mark{steer: steerMark{key: 1}}, true, r.now)
	})
}

// TestScreened drops, answers and only counts, and tells why (D54).
func TestScreened(t *testing.T) {
	for _, tc := range []struct {
		mode realm.ScreenMode
		want verdict
	}{
		{realm.ScreenOff, verdict{}},
		{realm.ScreenDetect, verdict{}},
		{realm.ScreenDrop, verdict{dropped, 5004, diameter.Vendor3GPP, "visited_plmn"}},
		{realm.ScreenAnswer, verdict{refused, 5004, diameter.Vendor3GPP, "visited_plmn"}},
	} {
		t.Run(tc.mode.String(), func(t *testing.T) {
			r := newGuardRig(t, "open", func(s *realm.Set) {
				one := realm.NewScreening("interconnect")
				one.Rules[realm.ScreenVisitedPLMN].Mode = tc.mode
				s.Screenings, s.Peers[0].Screening = []*realm.Screening{one}, one
			})
			m := ulr(t, visitedPLMN("262-01"))
			if tc.mode != realm.ScreenOff {
				assert.Equal(t, []string{"visited_plmn: " + tc.mode.String()}, r.explainScreening(r.asked(m)))
				assert.Zero(t, r.stats.Value("roamgate_diameter_screened_total"), "it only explains")
			}
			v := r.screened(r.asked(m))
			assert.Equal(t, tc.want, v)
			if tc.mode != realm.ScreenOff {
				assert.Equal(t, 1.0, r.stats.Value("roamgate_diameter_screened_total",
					"screening", "interconnect", "rule", "visited_plmn", "mode", tc.mode.String()))
				assert.Len(t, r.explainScreening(r.asked(m)), 1)
			}
			if v.disposition == refused {
				r.judge(m, v)
			}
		})
	}
}

// TestC124ScreenedUnsaid has a peer that no file screens: only who it is counts (D50).
func TestC124ScreenedUnsaid(t *testing.T) {
	r := newGuardRig(t, "open", func(s *realm.Set) {
		s.Peers[0].Origins = realm.NewNames([]string{"else.example"})
		s.Peers[0].Realm = "else.example"
	})
	m := ulr(t)
	v := r.screened(r.asked(m))
	assert.Equal(t, verdict{refused, diameter.ResultUnknownPeer, 0, "origin_realm"}, v)
	r.judge(m, v)
	assert.Equal(t, 1.0, r.stats.Value("roamgate_diameter_screened_total", "screening", "default", "rule", "origin_realm"))
}

// TestLearned has the answer of the home teach where a subscriber is (D54).
func TestLearned(t *testing.T) {
	r := newGuardRig(t, "open", func(s *realm.Set) {
		one := realm.NewScreening("interconnect")
		one.Learn = 0
		one.Rules[realm.ScreenVelocity].Mode = realm.ScreenAnswer
		one.Networks = map[string][]realm.Network{guardedRealm: {realm.NewNetwork(262, 10), realm.NewNetwork(310, 410)}}
		s.Screenings, s.Peers[0].Screening = []*realm.Screening{one}, one
	})
	q := r.asked(ulr(t, visitedPLMN("262-10")))
	assert.Zero(t, r.screened(q))
	far := r.asked(ulr(t, visitedPLMN("310-410")))
	assert.Zero(t, r.screened(far), "nothing is known before the answer")
	r.answered(q.mark, false, r.now)
	assert.Zero(t, r.screened(far), "the home has not let it in")
	r.answered(q.mark, true, r.now)
	assert.Equal(t, "velocity", r.screened(far).why)
}

// waiting is told when a policy has been fetched.
type waiting chan uint64

func (w waiting) PolicyReady(token uint64) { w <- token }

// TestDeferred has a device fetched from the store, and the request asked about again (D55).
func TestDeferred(t *testing.T) {
	m := miniredis.RunT(t)
	m.HSet("{dp}:profiles", "denied", `{"v":1,"name":"denied","deny":true}`)
	name := "imsi:" + guardedIMSI
	require.NoError(t, m.Set("{dp}:d:"+name, fmt.Sprintf("1 1 - denied %d:%s", len(name), name)))
	table := device.New(device.Config{Redis: &device.Redis{Addresses: []string{m.Addr()}}, MissBudget: time.Minute})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = table.Run(ctx) }()
	defer func() { cancel(); <-done }()
	require.Eventually(t, table.Ready, time.Minute, time.Millisecond)

	r := newGuardRig(t, "open")
	r.policy = table
	ready := make(waiting, 1)
	q := r.asked(ulr(t, visitedPLMN("262-10")))
	q.waiter, q.token = ready, 42
	assert.Equal(t, verdict{disposition: deferred}, r.police(q))
	assert.EqualValues(t, 42, <-ready)
	q.waited = true
	assert.Equal(t, "denied", r.police(q).why)

	gone := r.asked(ask(t, diameter.AppS6a, diameter.UpdateLocation, "901280000000009"))
	gone.waited = true
	assert.Equal(t, verdict{refused, diameter.ResultUnableToDeliver, 0, "store_away"}, r.police(gone), "no second wait")
}

func TestGuardAllocs(t *testing.T) {
	r := newGuardRig(t, "open", steering(), func(s *realm.Set) { s.Routes[0].Policy.Enabled = true })
	m := ulr(t, visitedPLMN("262-10"), rat(1004), terminal("35000001123456"), number(diameter.TGPPULRFlags, diameter.Vendor3GPP, 34))
	q := r.asked(m)
	bad := ask(t, diameter.AppSWm, diameter.EAP, "eve@home.example", number(diameter.AuthRequestType, 0, 3))
	room := make([]byte, 4096)
	asks := r.asked(bad)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		r.screened(q)
		v := r.police(q)
		r.answered(q.mark, v.disposition == passed, q.now)
		if r.deny(room, bad, r.police(asks)) == nil {
			t.Error("nothing denied")
		}
	}))
	assert.Nil(t, r.deny(room[:60:60], bad, r.police(asks)), "what does not fit is nothing")
}

// TestRatTypes holds the names of profiles against the values of both protocols.
func TestRatTypes(t *testing.T) {
	for name, v := range map[string]uint32{
		"wlan": 0, "virtual": 1, "utran": 1000, "geran": 1001, "gan": 1002, "hspa-evolution": 1003, "eutran": 1004,
		"nb-iot": 1005, "nr": 1006, "lte-m": 1007,
	} {
		spec := device.ProfileSpec{Name: "p", RATTypes: []string{name}}
		_, problems, _ := spec.Compile()
		require.Empty(t, problems)
		text := strings.ReplaceAll(guardedPolicy, "rat_types: [nb-iot, lte-m]", "rat_types: ["+name+"]") +
			fmt.Sprintf("  - {imsi: %q, profile: radios}\n", guardedIMSI)
		f, _ := device.ReadFile("p.yaml", []byte(text))
		require.NotNil(t, f)
		r := newGuardRig(t, "open")
		r.policy = device.New(device.Config{File: f})
		assert.Zero(t, r.police(r.asked(ulr(t, rat(v)))), name)
	}
}

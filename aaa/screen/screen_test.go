package screen

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

const (
	visited = "epc.mnc010.mcc262.3gppnetwork.org" // 262-10, and its node
	mme     = "mme1." + visited
	other   = "epc.mnc001.mcc310.3gppnetwork.org" // in North America
	home    = "epc.mnc001.mcc901.3gppnetwork.org"
	hss     = "hss1." + home
	imsi    = "901010123456789"

	second = int64(time.Second)
	hour   = 3600 * second
	day    = 24 * hour
)

// peers of the tests: an agent that may pass on anything, a visited network that
// speaks for itself, and a home.
const (
	dra int32 = iota
	network
	homeland
	foreign
	mvno
)

func set(rules ...*realm.Screening) *realm.Set {
	s := &realm.Set{Screenings: rules, Peers: []realm.Peer{
		{Name: "dra", Identity: "dra.ipx.example", Realm: "ipx.example"},
		{Name: "visited", Identity: mme, Realm: visited, Origins: realm.NewNames([]string{visited})},
		{Name: "home", Identity: hss, Realm: home, Origins: realm.NewNames([]string{home})},
		{Name: "foreign", Identity: "mme1." + other, Realm: other, Origins: realm.NewNames([]string{other})},
		{Name: "mvno", Identity: "hss.mvno.example", Realm: "mvno.example", Origins: realm.NewNames([]string{"mvno.example"})},
	}}
	return s
}

// strict is the default with all that detects answered.
func strict() *realm.Screening {
	s := realm.NewScreening(realm.DefaultScreening)
	for i := range s.Rules {
		s.Rules[i].Mode = realm.ScreenAnswer
	}
	s.Subscribers = 64
	s.Networks = map[string][]realm.Network{"mvno.example": {realm.NewNetwork(901, 1), realm.NewNetwork(901, 77)}}
	return s
}

func newScreen(rules ...*realm.Screening) *Screen {
	s := New("hub.roamgate.example", "roamgate.example", realm.BaseScreening(), 0)
	s.Apply(set(rules...))
	return s
}

// avp is one of a message; a network's is written as "262-10".
type avp struct {
	code, vendor uint32
	value        string
}

func plmn(text string) avp {
	n, ok := realm.ParseNetwork(text)
	if !ok {
		panic(text)
	}
	return avp{diameter.TGPPVisitedPLMNID, diameter.Vendor3GPP, string(n.AppendVisited(nil))}
}

func request(t testing.TB, app, command uint32, host, from string, more ...avp) *diameter.Message {
	t.Helper()
	var w diameter.Writer
	w.Begin(make([]byte, 4096), &diameter.Header{Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: command, Application: app})
	w.String(diameter.SessionID, 0, diameter.AVPMandatory, host+";1;2")
	w.String(diameter.OriginHost, 0, diameter.AVPMandatory, host)
	w.String(diameter.OriginRealm, 0, diameter.AVPMandatory, from)
	for _, a := range more {
		w.String(a.code, a.vendor, diameter.AVPMandatory, a.value)
	}
	m := new(diameter.Message)
	require.Equal(t, diameter.NoFault, m.Parse(w.Finish()))
	return m
}

func user(s string) avp   { return avp{diameter.UserName, 0, s} }
func record(s string) avp { return avp{diameter.RouteRecord, 0, s} }
func userOf(s string) avp { return avp{userID, diameter.Vendor3GPP, s} }

func rules(found Found) (names []string) {
	for r := range realm.NumScreenRules {
		if found.Broken&(1<<r) != 0 {
			names = append(names, r.String())
		}
	}
	return names
}

// TestC124Rules judges one request by each rule that needs no past (D50, D51, D52, D53).
func TestC124Rules(t *testing.T) {
	const s6a = diameter.AppS6a
	type list = []string
	for _, tc := range []struct {
		name         string
		peer         int32
		app, command uint32
		host, from   string
		more         []avp
		want         list
	}{
		{"a ULR as it should be", network, s6a, diameter.UpdateLocation, mme, visited, []avp{user(imsi), plmn("262-10")}, nil},
		{"in capitals", network, s6a, diameter.UpdateLocation, "MME1." + visited, "EPC.mnc010.MCC262.3gppnetwork.org", []avp{user(imsi), plmn("262-10")}, nil},
		{"class 0: our host", dra, s6a, diameter.UpdateLocation, "hub.roamgate.example", visited, []avp{user(imsi), plmn("262-10"), record("hub.roamgate.example")}, list{"origin_own", "origin_host"}},
		{"class 0: our realm", dra, diameter.AppNASREQ, diameter.AA, "nas.roamgate.example", "roamgate.example", []avp{record("nas.roamgate.example")}, list{"origin_own"}},
		{"class 0: another's realm", network, s6a, diameter.UpdateLocation, "mme1." + other, other, []avp{user(imsi), plmn("310-01"), record("mme1." + other)}, list{"origin_realm"}},
		{"class 0: a host of another realm", dra, s6a, diameter.UpdateLocation, "mme9.elsewhere.example", visited, []avp{user(imsi), plmn("262-10"), record("mme9.elsewhere.example")}, list{"origin_host"}},
		{"class 0: a peer's host under another realm", dra, s6a, diameter.UpdateLocation, hss, visited, []avp{user(imsi), plmn("262-10"), record(hss)}, list{"origin_host"}},
		{"class 0: a record where the sender is the origin", network, s6a, diameter.UpdateLocation, mme, visited, []avp{user(imsi), plmn("262-10"), record("mme2." + visited)}, list{"route_record"}},
		{"class 0: relayed without a record", dra, s6a, diameter.UpdateLocation, mme, visited, []avp{user(imsi), plmn("262-10")}, list{"route_record"}},
		{"class 0: relayed", dra, s6a, diameter.UpdateLocation, mme, visited, []avp{user(imsi), plmn("262-10"), record(mme), record("dra2.ipx.example")}, nil},
		{"class 0: the sender has recorded itself", dra, s6a, diameter.UpdateLocation, mme, visited, []avp{user(imsi), plmn("262-10"), record(mme), record("dra.ipx.example")}, list{"route_record"}},
		{"class 0: the first record is not the origin", dra, s6a, diameter.UpdateLocation, mme, visited, []avp{user(imsi), plmn("262-10"), record("x.example")}, list{"route_record"}},
		{"class 1: S13 crosses nothing", network, diameter.AppS13, diameter.MEIdentityCheck, mme, visited, nil, list{"application"}},
		{"class 1: Gx crosses nothing", network, diameter.AppGx, diameter.CreditControl, mme, visited, nil, list{"application"}},
		{"class 1: a command of another application", network, s6a, diameter.CreditControl, mme, visited, nil, list{"command"}},
		{"class 2: the home", homeland, s6a, diameter.CancelLocation, hss, home, []avp{user(imsi)}, nil},
		{"class 2: a CLR of a visited network", network, s6a, diameter.CancelLocation, mme, visited, []avp{user(imsi)}, list{"home_realm"}},
		{"class 2: an IDR of a visited network", network, s6a, diameter.InsertSubscriberData, mme, visited, []avp{user(imsi)}, list{"home_realm"}},
		{"class 2: a DSR of a visited network", network, s6a, diameter.DeleteSubscriberData, mme, visited, []avp{user(imsi)}, list{"home_realm"}},
		{"class 2: an IDR for nobody", homeland, s6a, diameter.InsertSubscriberData, hss, home, nil, list{"home_realm"}},
		{"class 2: an IDR for what is no IMSI", homeland, s6a, diameter.InsertSubscriberData, hss, home, []avp{user("90101x123456789")}, list{"home_realm"}},
		{"class 2: a home whose realm says nothing", mvno, s6a, diameter.CancelLocation, "hss.mvno.example", "mvno.example", []avp{user("901770000000001")}, nil},
		{"class 2: and another's subscriber", mvno, s6a, diameter.CancelLocation, "hss.mvno.example", "mvno.example", []avp{user("262010000000001")}, list{"home_realm"}},
		{"class 2: a realm that stands for no network", dra, s6a, diameter.Reset, "dra.ipx.example", "ipx.example", nil, list{"home_realm"}},
		{"class 2: an RSR of the home", homeland, s6a, diameter.Reset, hss, home, []avp{userOf("9010100"), userOf("9010102")}, nil},
		{"class 2: an RSR for another's", homeland, s6a, diameter.Reset, hss, home, []avp{userOf("9010100"), userOf("262020")}, list{"home_realm"}},
		{"class 2: an RSR of five digits", network, s6a, diameter.Reset, mme, visited, []avp{userOf("26210")}, nil},
		{"class 2: an RSR for a whole country", network, s6a, diameter.Reset, mme, visited, []avp{userOf("262")}, list{"home_realm"}},
		{"class 3: another's network", network, s6a, diameter.UpdateLocation, mme, visited, []avp{user(imsi), plmn("262-01")}, list{"visited_plmn"}},
		{"class 3: no network", network, s6a, diameter.AuthenticationInfo, mme, visited, []avp{user(imsi)}, list{"visited_plmn"}},
		{"class 3: a network of four octets", network, s6a, diameter.AuthenticationInfo, mme, visited, []avp{user(imsi), {diameter.TGPPVisitedPLMNID, diameter.Vendor3GPP, "\x62\xf2\x01\x00"}}, list{"visited_plmn"}},
		{"class 3: a NOR says no network", network, s6a, diameter.Notify, mme, visited, []avp{user(imsi)}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := request(t, tc.app, tc.command, tc.host, tc.from, tc.more...)
			found := newScreen(strict()).Judge(tc.peer, m, hour)
			assert.Equal(t, tc.want, list(rules(found)))
			if tc.want == nil {
				assert.Equal(t, realm.ScreenOff, found.Mode)
				return
			}
			assert.Equal(t, realm.ScreenAnswer, found.Mode)
			assert.Equal(t, tc.want[0], found.Rule.String())
			assert.NotZero(t, found.Result)
			assert.Equal(t, found.Broken, newScreen(strict()).Peek(tc.peer, m, hour).Broken, "what explains says the same")
		})
	}
}

// TestModes has one request break one rule in each mode (D54).
func TestModes(t *testing.T) {
	m := request(t, diameter.AppS13, diameter.MEIdentityCheck, mme, visited)
	for _, mode := range []realm.ScreenMode{realm.ScreenOff, realm.ScreenDetect, realm.ScreenDrop, realm.ScreenAnswer} {
		t.Run(mode.String(), func(t *testing.T) {
			rules := realm.NewScreening("default")
			rules.Rules[realm.ScreenApplication].Mode = mode
			found := newScreen(rules).Judge(network, m, hour)
			assert.Equal(t, mode, found.Mode)
			assert.Equal(t, mode != realm.ScreenOff, found.Broken == 1<<realm.ScreenApplication)
		})
	}
}

// TestFirstThatActs has a rule that only detects in front of one that answers (D51).
func TestFirstThatActs(t *testing.T) {
	r := realm.NewScreening("default")
	r.Rules[realm.ScreenRouteRecord].Mode = realm.ScreenDetect
	r.Commands = []uint32{diameter.UpdateLocation}
	m := request(t, diameter.AppS6a, diameter.UpdateLocation, mme, visited, user(imsi), plmn("262-10"))
	found := newScreen(r).Judge(dra, m, hour)
	assert.Equal(t, []string{"route_record", "command"}, rules(found))
	assert.Equal(t, realm.ScreenCommand, found.Rule)
	assert.Equal(t, uint32(diameter.ResultCommandUnsupported), found.Result)
}

// TestBase is what is checked where no file says anything: who sends, and no more (D50).
func TestBase(t *testing.T) {
	s := newScreen()
	assert.Nil(t, s.known, "no room for subscribers is taken")
	own := request(t, diameter.AppS6a, diameter.UpdateLocation, "mme."+other, other, user(imsi))
	assert.Equal(t, realm.ScreenOriginRealm, s.Judge(network, own, 0).Rule)
	gx := request(t, diameter.AppGx, diameter.CreditControl, mme, visited)
	assert.Zero(t, s.Judge(network, gx, 0).Broken)
	assert.Zero(t, s.Judge(-1, own, 0), "what comes from no peer")
	assert.Zero(t, s.Judge(99, own, 0))
}

func ulr(t testing.TB, host, from, network, who string) *diameter.Message {
	return request(t, diameter.AppS6a, diameter.UpdateLocation, host, from, user(who), plmn(network))
}

// attach has a ULR judged, and learned where it is let through.
func attach(t testing.TB, s *Screen, peer int32, host, from, network string, now int64) Found {
	found := s.Judge(peer, ulr(t, host, from, network, imsi), now)
	if found.Mode <= realm.ScreenDetect {
		s.Learn(found.Seen, now)
	}
	return found
}

// TestC124Learn is what rules with a past make of a subscriber before it is known,
// while they learn, and after that (D54). D53.
func TestC124Learn(t *testing.T) {
	nor := func() *diameter.Message {
		return request(t, diameter.AppS6a, diameter.Notify, "mme1."+other, other, user(imsi))
	}
	t.Run("nothing is known of whom nobody has seen", func(t *testing.T) {
		s := newScreen(strict())
		assert.Zero(t, s.Judge(foreign, nor(), 30*day).Broken)
	})
	t.Run("while it learns it detects", func(t *testing.T) {
		s := newScreen(strict())
		assert.Zero(t, attach(t, s, network, mme, visited, "262-10", hour).Broken)
		found := s.Judge(foreign, nor(), 2*hour)
		assert.Equal(t, []string{"previous"}, rules(found))
		assert.Equal(t, realm.ScreenDetect, found.Mode)
		assert.Equal(t, realm.ScreenDetect, s.ModeOf(&found, realm.ScreenPrevious, 2*hour))
	})
	t.Run("after that it answers", func(t *testing.T) {
		s := newScreen(strict())
		assert.Zero(t, attach(t, s, network, mme, visited, "262-10", hour).Broken)
		found := s.Judge(foreign, nor(), 8*day)
		assert.Equal(t, realm.ScreenAnswer, found.Mode)
		assert.Equal(t, realm.ScreenPrevious, found.Rule)
		assert.Equal(t, realm.ScreenAnswer, s.ModeOf(&found, realm.ScreenPrevious, 8*day))
	})
	t.Run("what the home has not accepted teaches nothing", func(t *testing.T) {
		s := newScreen(strict())
		assert.Zero(t, attach(t, s, network, mme, visited, "262-10", hour).Broken)
		s.Judge(foreign, ulr(t, "mme1."+other, other, "310-01", imsi), 8*day) // and no Learn
		assert.NotZero(t, s.Judge(foreign, nor(), 8*day).Broken)
	})
	t.Run("whom its network has purged is nowhere", func(t *testing.T) {
		s := newScreen(strict())
		assert.Zero(t, attach(t, s, network, mme, visited, "262-10", hour).Broken)
		stranger := request(t, diameter.AppS6a, diameter.PurgeUE, "mme1."+other, other, user(imsi))
		assert.NotZero(t, s.Judge(foreign, stranger, 8*day).Broken, "of a network that it is not in")
		purge := request(t, diameter.AppS6a, diameter.PurgeUE, mme, visited, user(imsi))
		found := s.Judge(network, purge, 8*day)
		assert.Zero(t, found.Broken)
		s.Learn(found.Seen, 8*day)
		assert.Zero(t, s.Judge(foreign, nor(), 8*day).Broken)
	})
}

// TestLearning is how long rules that learn have less to say than their mode.
func TestLearning(t *testing.T) {
	s := newScreen(strict())
	assert.Equal(t, 7*24*time.Hour-time.Hour, s.Learning(hour))
	assert.Zero(t, s.Learning(8*day))
	assert.Zero(t, newScreen(realm.NewScreening("default")).Learning(hour), "they detect in any case")
	assert.Zero(t, newScreen().Learning(hour))
}

// TestC124Velocity has a subscriber appear elsewhere (D53).
func TestC124Velocity(t *testing.T) {
	for _, tc := range []struct {
		name, to, host, from string
		peer                 int32
		after                int64
		broken               bool
	}{
		{"on another continent a minute later", "310-01", "mme1." + other, other, foreign, 60 * second, true},
		{"on another continent after a flight", "310-01", "mme1." + other, other, foreign, 2 * hour, false},
		{"in the same network", "262-10", mme, visited, network, second, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScreen(strict())
			assert.Zero(t, attach(t, s, network, mme, visited, "262-10", 8*day).Broken)
			found := attach(t, s, tc.peer, tc.host, tc.from, tc.to, 8*day+tc.after)
			assert.Equal(t, tc.broken, found.Broken == 1<<realm.ScreenVelocity, rules(found))
		})
	}
	t.Run("a network of no place is as far from all", func(t *testing.T) {
		s := newScreen(strict())
		s.Learn(Seen{key: 1, network: realm.NewNetwork(901, 14), set: true}, day)
		j := judging{s: s, p: &s.senders[foreign], now: day}
		j.moved(s.known.find(1), diameter.UpdateLocation, realm.NewNetwork(310, 1))
		assert.Zero(t, j.broken)
	})
}

// TestC124Rate asks for one subscriber as often as it may, and once more (D53).
func TestC124Rate(t *testing.T) {
	r := strict()
	r.Rate = 5
	s := newScreen(r)
	air := request(t, diameter.AppS6a, diameter.AuthenticationInfo, mme, visited, user(imsi), plmn("262-10"))
	for i := range 5 {
		require.Zero(t, s.Judge(network, air, day).Broken, i)
	}
	for range 3 {
		assert.Zero(t, s.Peek(network, request(t, diameter.AppS6a, diameter.Notify, mme, visited, user("901010000000001")), day).Broken)
	}
	assert.Equal(t, []string{"rate"}, rules(s.Judge(network, air, day)))
	assert.Zero(t, s.Judge(network, air, day+hour/5).Broken, "one more in time")
	assert.NotZero(t, s.Judge(network, air, day+hour/5).Broken)
	assert.Equal(t, 1, s.Len(), "Peek has left nothing")
}

// TestRoom floods the table with subscribers that were only asked for.
func TestRoom(t *testing.T) {
	s := newScreen(strict())
	assert.Zero(t, attach(t, s, network, mme, visited, "262-10", 8*day).Broken)
	for i := range 5000 {
		who := fmt.Sprintf("90101%010d", i)
		s.Judge(network, request(t, diameter.AppS6a, diameter.AuthenticationInfo, mme, visited, user(who), plmn("262-10")), 8*day+int64(i))
	}
	assert.LessOrEqual(t, s.Len(), 64)
	nor := request(t, diameter.AppS6a, diameter.Notify, "mme1."+other, other, user(imsi))
	assert.Equal(t, []string{"previous"}, rules(s.Judge(foreign, nor, 8*day)), "where it is known it stays known")
}

// TestApply keeps what was learned, and lets go of it when nothing needs it.
func TestApply(t *testing.T) {
	s := newScreen(strict())
	attach(t, s, network, mme, visited, "262-10", hour)
	s.Apply(set(strict()))
	assert.Equal(t, 1, s.Len())
	s.Apply(set())
	assert.Zero(t, s.Len())
	s.Learn(Seen{key: 1, network: 1, set: true}, hour)
}

func TestAllocs(t *testing.T) {
	s := newScreen(strict())
	m := request(t, diameter.AppS6a, diameter.UpdateLocation, mme, visited, user(imsi), plmn("262-10"), record("a.example"))
	bad := request(t, diameter.AppS6a, diameter.CancelLocation, "x."+other, other, user(imsi), record("a.example"))
	s.senders[dra].rules.ServiceCentres = []realm.ServiceCentre{{Realm: other, Digits: "4917699"}}
	message := request(t, diameter.AppSGd, diameter.MOForwardSM, "x."+other, other, inUser(user(imsi)), centre("491769900001"), to(home))
	data := request(t, diameter.AppT6a, diameter.MTData, "x."+other, other, inUser(user(imsi)))
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		f := s.Judge(network, m, day)
		s.Learn(f.Seen, day)
		if s.Judge(dra, message, day).Broken == 0 || s.Judge(dra, data, day).Broken == 0 {
			t.Error("nothing found")
		}
		if s.Judge(dra, bad, day).Broken == 0 {
			t.Error("nothing found")
		}
	}))
}

func BenchmarkHotJudge(b *testing.B) {
	for name, s := range map[string]*Screen{"base": newScreen(), "strict": newScreen(strict())} {
		m := request(b, diameter.AppS6a, diameter.UpdateLocation, mme, visited, user(imsi), plmn("262-10"))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Judge(network, m, day)
			}
		})
	}
}

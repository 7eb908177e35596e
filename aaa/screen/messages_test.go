package screen

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// inUser is a User-Identifier with AVPs.
func inUser(list ...avp) avp {
	var w diameter.Writer
	w.Begin(make([]byte, 1024), &diameter.Header{})
	for _, a := range list {
		w.String(a.code, a.vendor, diameter.AVPMandatory, a.value)
	}
	return avp{diameter.TGPPUserIdentifier, diameter.Vendor3GPP, string(w.Finish()[diameter.HeaderLen:])}
}

// centre is an SC-Address.
func centre(number string) avp {
	var tbcd []byte
	for i := 0; i < len(number); i += 2 {
		high := byte(15)
		if i+1 < len(number) {
			high = number[i+1] - '0'
		}
		tbcd = append(tbcd, number[i]-'0'|high<<4)
	}
	return avp{diameter.TGPPSCAddress, diameter.Vendor3GPP, string(tbcd)}
}

func to(r string) avp { return avp{diameter.DestinationRealm, 0, r} }

// TestC124Messages judges short messages and non-IP data by rules that need no past
// (D52, D53).
func TestC124Messages(t *testing.T) {
	const s6c, sgd, t6a = diameter.AppS6c, diameter.AppSGd, diameter.AppT6a
	type list = []string
	msisdn := avp{701, diameter.Vendor3GPP, "\x94\x71"}
	ours, others := centre("491769900001"), centre("14155550100")
	for _, tc := range []struct {
		name         string
		peer         int32
		app, command uint32
		host, from   string
		more         []avp
		want         list
	}{
		{"class 1: a command of S6a over SGd", network, sgd, diameter.UpdateLocation, mme, visited, nil, list{"command"}},
		{"class 1: a command of SGd over S6c", network, s6c, diameter.MTForwardSM, mme, visited, []avp{user("262101234567890")}, list{"command"}},
		{"class 1: an alert of an MME", network, sgd, diameter.AlertServiceCentre, mme, visited, []avp{inUser(user(imsi))}, nil},

		{"class 2: a TFR of the home", homeland, sgd, diameter.MTForwardSM, hss, home, []avp{user(imsi), others}, nil},
		{"class 2: a TFR of another", foreign, sgd, diameter.MTForwardSM, "mme1." + other, other, []avp{user(imsi)}, list{"home_realm"}},
		{"class 2: a TFR for nobody", homeland, sgd, diameter.MTForwardSM, hss, home, nil, list{"home_realm"}},
		{"class 2: a TFR for two, one of them another's", homeland, sgd, diameter.MTForwardSM, hss, home, []avp{user(imsi), inUser(user("262101234567890"))}, list{"home_realm"}},
		{"class 2: a TFR for more than there are", homeland, sgd, diameter.MTForwardSM, hss, home, []avp{user(imsi), inUser(user(imsi), user(imsi), user(imsi), user("262101234567890"))}, list{"home_realm"}},
		{"class 2: a TDR of the home", homeland, t6a, diameter.MTData, hss, home, []avp{inUser(user(imsi))}, nil},
		{"class 2: a TDR of a home by its list", mvno, t6a, diameter.MTData, "hss.mvno.example", "mvno.example", []avp{inUser(user(imsi))}, nil},
		{"class 2: a TDR of another", foreign, t6a, diameter.MTData, "mme1." + other, other, []avp{inUser(user(imsi))}, list{"home_realm"}},
		{"class 2: a TDR by number", foreign, t6a, diameter.MTData, "mme1." + other, other, []avp{inUser(msisdn)}, list{"home_realm"}},
		{"class 2: a CIR of the home", homeland, t6a, diameter.ConfigurationInfo, hss, home, []avp{inUser(msisdn, user(imsi))}, nil},
		{"class 2: a CIR of another", foreign, t6a, diameter.ConfigurationInfo, "mme1." + other, other, []avp{inUser(user(imsi))}, list{"home_realm"}},
		{"class 2: a CIR that asks of all", homeland, t6a, diameter.ConfigurationInfo, hss, home, nil, list{"home_realm"}},
		{"class 2: a group that is cut off", homeland, t6a, diameter.MTData, hss, home, []avp{{diameter.TGPPUserIdentifier, diameter.Vendor3GPP, inUser(user(imsi)).value[:12]}}, list{"home_realm"}},

		{"class 2: the service centre that asks", mvno, s6c, diameter.SendRoutingInfoSM, "smsc.mvno.example", "mvno.example", []avp{ours}, nil},
		{"class 2: another's number", mvno, s6c, diameter.SendRoutingInfoSM, "smsc.mvno.example", "mvno.example", []avp{others}, list{"service_centre"}},
		{"class 2: another with its number", foreign, s6c, diameter.SendRoutingInfoSM, "smsc." + other, other, []avp{ours}, list{"service_centre"}},
		{"class 2: another with a number that nobody has", foreign, s6c, diameter.ReportSMStatus, "smsc." + other, other, []avp{others}, nil},
		{"class 2: two numbers", mvno, s6c, diameter.ReportSMStatus, "smsc.mvno.example", "mvno.example", []avp{ours, others}, list{"service_centre"}},
		{"class 2: what is no number", foreign, s6c, diameter.SendRoutingInfoSM, "smsc." + other, other, []avp{{diameter.TGPPSCAddress, diameter.Vendor3GPP, "\x94\x7a"}}, list{"service_centre"}},
		{"class 2: a filling in the middle", foreign, s6c, diameter.SendRoutingInfoSM, "smsc." + other, other, []avp{{diameter.TGPPSCAddress, diameter.Vendor3GPP, "\xf4\x71"}}, list{"service_centre"}},
		{"class 2: a number that is too long", foreign, s6c, diameter.SendRoutingInfoSM, "smsc." + other, other, []avp{centre("1234567890123456789012")}, list{"service_centre"}},
		{"class 2: a message to the home's centre", network, sgd, diameter.MOForwardSM, mme, visited, []avp{to("mvno.example"), ours, inUser(user(imsi))}, nil},
		{"class 2: a message past the home's centre", network, sgd, diameter.MOForwardSM, mme, visited, []avp{to("MVNO.example"), others, inUser(user(imsi))}, list{"service_centre"}},
		{"class 2: a message for a subscriber from anywhere", homeland, sgd, diameter.MTForwardSM, hss, home, []avp{user(imsi), others}, nil},

		{"class 3: a CMR of the network", network, t6a, diameter.ConnectionManagement, mme, visited, []avp{inUser(user(imsi)), plmn("262-10")}, nil},
		{"class 3: a CMR that names another", network, t6a, diameter.ConnectionManagement, mme, visited, []avp{inUser(user(imsi)), plmn("262-01")}, list{"visited_plmn"}},
		{"class 3: a CMR that names none", network, t6a, diameter.ConnectionManagement, mme, visited, []avp{inUser(user(imsi))}, nil},
		{"class 3: a CMR of the home", homeland, t6a, diameter.ConnectionManagement, hss, home, []avp{inUser(user(imsi)), plmn("262-10")}, nil},
		{"class 3: data of more than there are", network, t6a, diameter.MOData, mme, visited, []avp{inUser(user("1"), user("2"), user("3"), user("4"), user("5"))}, list{"previous"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := strict()
			r.ServiceCentres = []realm.ServiceCentre{{Realm: "mvno.example", Digits: "4917699"}}
			r.Rules[realm.ScreenRouteRecord].Mode = realm.ScreenOff // a service centre is none of the peers
			m := request(t, tc.app, tc.command, tc.host, tc.from, tc.more...)
			s := newScreen(r)
			found := s.Judge(tc.peer, m, hour)
			assert.Equal(t, tc.want, list(rules(found)))
			assert.Equal(t, found.Broken, s.Peek(tc.peer, m, hour).Broken, "what explains says the same")
		})
	}
}

// TestC124ServedElsewhere has messages and data of a subscriber come from a network that
// it is not in (D53).
func TestC124ServedElsewhere(t *testing.T) {
	for _, tc := range []struct {
		name         string
		app, command uint32
		rated        bool
	}{
		{"OFR", diameter.AppSGd, diameter.MOForwardSM, true},
		{"ALR of SGd", diameter.AppSGd, diameter.AlertServiceCentre, false},
		{"ALR of S6c", diameter.AppS6c, diameter.AlertServiceCentre, false},
		{"CMR", diameter.AppT6a, diameter.ConnectionManagement, true},
		{"ODR", diameter.AppT6a, diameter.MOData, false},
		{"RIR", diameter.AppT6a, diameter.ReportingInfo, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := strict()
			r.Rate = 2
			s := newScreen(r)
			here := request(t, tc.app, tc.command, mme, visited, inUser(user(imsi)))
			there := request(t, tc.app, tc.command, "mme1."+other, other, inUser(user(imsi)))
			athome := request(t, tc.app, tc.command, hss, home, inUser(user(imsi)))
			assert.Zero(t, s.Peek(foreign, there, 8*day).Broken, "nothing is known")
			attach(t, s, network, mme, visited, "262-10", 8*day)
			found := s.Peek(foreign, there, 8*day+second)
			assert.Equal(t, []string{"previous"}, rules(found))
			assert.Equal(t, realm.ScreenAnswer, found.Mode)
			assert.Zero(t, s.Judge(homeland, athome, 8*day+second).Broken)
			assert.Zero(t, s.Judge(network, here, 8*day+second).Broken)
			found = s.Judge(network, here, 8*day+2*second)
			assert.Equal(t, tc.rated, found.Broken == 1<<realm.ScreenRate, rules(found))
			assert.False(t, found.Seen.set, "only a ULR tells where it is")
		})
	}
}

// TestMessagesModes has one rule of each class in each mode (D54).
func TestMessagesModes(t *testing.T) {
	for _, tc := range []struct {
		rule realm.ScreenRule
		m    *diameter.Message
	}{
		{realm.ScreenHomeRealm, request(t, diameter.AppSGd, diameter.MTForwardSM, "mme1."+other, other, user(imsi))},
		{realm.ScreenServiceCentre, request(t, diameter.AppS6c, diameter.SendRoutingInfoSM, "smsc."+other, other, centre("491769900001"), record("smsc."+other))},
		{realm.ScreenVisitedPLMN, request(t, diameter.AppT6a, diameter.ConnectionManagement, "mme1."+other, other, inUser(user(imsi)), plmn("262-10"))},
		{realm.ScreenPrevious, request(t, diameter.AppSGd, diameter.MOForwardSM, "mme1."+other, other, inUser(user(imsi)))},
	} {
		for _, mode := range []realm.ScreenMode{realm.ScreenOff, realm.ScreenDetect, realm.ScreenDrop, realm.ScreenAnswer} {
			t.Run(tc.rule.String()+" "+mode.String(), func(t *testing.T) {
				r := realm.NewScreening("default")
				for i := range r.Rules {
					r.Rules[i].Mode = realm.ScreenOff
				}
				r.ServiceCentres = []realm.ServiceCentre{{Realm: "mvno.example", Digits: "4917699"}}
				r.Rules[tc.rule].Mode, r.Rules[realm.ScreenRate].Mode = mode, realm.ScreenDetect
				s := newScreen(r)
				attach(t, s, network, mme, visited, "262-10", 8*day)
				found := s.Judge(foreign, tc.m, 8*day+1)
				assert.Equal(t, mode, found.Mode)
				if mode != realm.ScreenOff {
					assert.Equal(t, tc.rule, found.Rule)
					assert.NotZero(t, found.Result)
				}
			})
		}
	}
}

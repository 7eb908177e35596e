package screen

import (
	"testing"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// FuzzJudge judges whatever parses: what explains says the same, a rule that is off is
// never broken, and what is decided was broken.
func FuzzJudge(f *testing.F) {
	f.Add(ulr(f, mme, visited, "262-10", imsi).Raw, uint8(network))
	f.Add(request(f, diameter.AppS6a, diameter.Reset, hss, home, userOf("90101"), userOf("")).Raw, uint8(homeland))
	f.Add(request(f, diameter.AppS6a, diameter.Notify, "x", "y", record(""), record(mme)).Raw, uint8(dra))
	f.Add(request(f, diameter.AppSGd, diameter.MOForwardSM, mme, visited, inUser(user(imsi)), centre("491769900001"), to("mvno.example")).Raw, uint8(network))
	f.Add(request(f, diameter.AppS6c, diameter.SendRoutingInfoSM, hss, home, centre("49176")).Raw, uint8(mvno))
	f.Add(request(f, diameter.AppT6a, diameter.ConnectionManagement, mme, visited, inUser(user(imsi), user("")), plmn("262-10")).Raw, uint8(network))
	r := strict()
	r.ServiceCentres = []realm.ServiceCentre{{Realm: "mvno.example", Digits: "4917699"}}
	r.Rules[realm.ScreenOriginHost].Mode = realm.ScreenOff
	f.Fuzz(func(t *testing.T, b []byte, peer uint8) {
		var m diameter.Message
		if n, fault := diameter.Frame(b); fault != diameter.NoFault || n == 0 || n != len(b) || m.Parse(b) != diameter.NoFault {
			return
		}
		s := newScreen(r)
		peek := s.Peek(int32(peer), &m, day)
		found := s.Judge(int32(peer), &m, day)
		if peek != found {
			t.Fatalf("%v, then %v", peek, found)
		}
		if found.Broken&(1<<realm.ScreenOriginHost) != 0 {
			t.Fatal("broken, and off")
		}
		if (found.Mode != realm.ScreenOff) != (found.Broken != 0) || found.Mode != realm.ScreenOff && found.Broken&(1<<found.Rule) == 0 {
			t.Fatalf("%+v", found)
		}
		s.Learn(found.Seen, day)
	})
}

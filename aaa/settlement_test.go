package aaa

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

const (
	freeRCOI    = "\x5a\x03\xba\x00\x00"
	settledRCOI = "\xba\xa2\xd0\x00\x00"
)

func withRCOI(rcoi string) edit { return with(26, vsa(wba.VendorWFA, wba.RoamingConsortium, rcoi)) }

func withWBA(sub byte, value string) edit { return with(26, vsa(wba.Vendor, sub, value)) }

func withRate(currency string, index uint8, nanos uint32) edit {
	return withWBA(wba.LinearVolumeRate, string(binary.BigEndian.AppendUint32(append([]byte(currency), index), nanos)))
}

// clears is what both sides say of who pays.
func clears() edit { return withWBA(wba.FinancialClearingProvider, "4CLEARER:US") }

func all(edits ...edit) edit {
	return func(p *layeh.Packet) {
		for _, e := range edits {
			e(p)
		}
	}
}

func rateOf(currency string, index uint8, nanos uint32) wba.Rate {
	return wba.Rate{Currency: [3]byte([]byte(currency)), Index: index, Nanos: nanos}
}

// bonds are the Classes of an answer that the hub has added, bare of their type
// and length.
func bonds(p *layeh.Packet) (found []string) {
	for _, v := range values(p, rfc2865.Class_Type) {
		if len(v) == bondLen && v[:len(bondMark)] == bondMark {
			found = append(found, v)
		}
	}
	return found
}

// wbaOf gives the first sub-attribute of an answer.
func wbaOf(t tester, p *layeh.Packet, sub byte) (string, bool) {
	b, err := p.Encode()
	require.NoError(t, err)
	var q radius.Packet
	require.Equal(t, radius.OK, q.Parse(b))
	v, ok := q.Vendor(wba.Vendor, sub)
	return string(v), ok
}

// What is agreed in the Accept stands in the record of the Stop.
func TestSettlement(t *testing.T) {
	euro, dollar, both := withRate("EUR", 1, 70), withRate("USD", 2, 80), all(withRate("EUR", 1, 70), withRate("USD", 2, 80))
	for _, tt := range []struct {
		name     string
		terms    realm.Terms
		ask, say edit
		want     accounting.Flags
		rate     wba.Rate
		counted  string
	}{
		{"free by its consortium", realm.Terms{Settled: true}, withRCOI(freeRCOI), all(), accounting.FlagFree, wba.Rate{}, "free"},
		{"free by the terms", realm.Terms{}, all(), all(), accounting.FlagFree, wba.Rate{}, "free"},
		{"another consortium counts as none", realm.Terms{}, withRCOI("\x00\x1b\xc5\x04\x60"), all(), accounting.FlagFree, wba.Rate{}, "free"},
		{"the rate that the home takes", realm.Terms{}, all(withRCOI(settledRCOI), clears(), both), all(clears(), dollar), accounting.FlagSettled, rateOf("USD", 2, 80), "settled"},
		{"the only rate is taken by silence", realm.Terms{}, all(withRCOI(settledRCOI), clears(), euro), clears(), accounting.FlagSettled, rateOf("EUR", 1, 70), "settled"},
		{"three octets are as good", realm.Terms{}, all(withRCOI(settledRCOI[:3]), clears(), euro), all(clears(), euro), accounting.FlagSettled, rateOf("EUR", 1, 70), "settled"},
		{"settled by the terms", realm.Terms{Settled: true}, all(clears(), euro), all(clears(), euro), accounting.FlagSettled, rateOf("EUR", 1, 70), "settled"},
		{"by a tariff", realm.Terms{Tariff: "flat"}, all(withRCOI(settledRCOI), clears()), clears(), accounting.FlagSettled, wba.Rate{}, "settled"},
		{"a rate goes before the tariff", realm.Terms{Tariff: "flat"}, all(withRCOI(settledRCOI), clears(), both), all(clears(), euro), accounting.FlagSettled, rateOf("EUR", 1, 70), "settled"},
		{"the home clears nothing", realm.Terms{Downgrade: true}, all(withRCOI(settledRCOI), clears(), euro), euro, accounting.FlagFree, wba.Rate{}, "downgraded"},
		{"the home takes what was not offered", realm.Terms{Downgrade: true}, all(withRCOI(settledRCOI), clears(), euro), all(clears(), dollar), accounting.FlagFree, wba.Rate{}, "downgraded"},
		{"the home takes it at another price", realm.Terms{Downgrade: true}, all(withRCOI(settledRCOI), clears(), euro), all(clears(), withRate("EUR", 1, 69)), accounting.FlagFree, wba.Rate{}, "downgraded"},
		{"the home takes both", realm.Terms{Downgrade: true}, all(withRCOI(settledRCOI), clears(), both), all(clears(), both), accounting.FlagFree, wba.Rate{}, "downgraded"},
		{"the home takes none of two", realm.Terms{Downgrade: true}, all(withRCOI(settledRCOI), clears(), both), clears(), accounting.FlagFree, wba.Rate{}, "downgraded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, settling(tt.terms))
			sent := r.ask(access("@home.example", tt.ask))
			r.atHome(0).answer(layeh.CodeAccessAccept, tt.say, with(rfc2865.Class_Type, "the home's"))
			p := r.got(sent)
			require.Equal(t, layeh.CodeAccessAccept, p.Code)
			assert.Contains(t, values(p, rfc2865.Class_Type), "the home's")
			require.Len(t, bonds(p), 1)
			assert.Equal(t, 1, r.value("roamgate_sessions_settlement_total", "client", "visited", "settlement", tt.counted))
			if tt.counted == "downgraded" {
				for _, sub := range []byte{wba.FinancialClearingProvider, wba.LinearVolumeRate} {
					_, said := wbaOf(t, p, sub)
					assert.False(t, said, "nothing is said of who pays: %d", sub)
				}
			}

			r.report(acctStop("@home.example", "s", with(rfc2865.Class_Type, "the home's"), with(rfc2865.Class_Type, bonds(p)...)))
			r.recorded(1)
			rec := r.records()[0]
			assert.Equal(t, tt.want, rec.Flags&(accounting.FlagFree|accounting.FlagSettled|accounting.FlagRateDiffers))
			assert.Equal(t, tt.rate, rec.Rate)
		})
	}
}

// Where the contract says so, a session that the home does not clear is rejected,
// and the visited network is told why.
func TestSettlementRejects(t *testing.T) {
	r := newRig(t, 1, settling(realm.Terms{}))
	sent := r.ask(access("@home.example", withEAP(3), withRCOI(settledRCOI), clears(), withRate("EUR", 1, 70)))
	r.atHome(0).answer(layeh.CodeAccessAccept, with(79, "\x03\x03\x00\x04"))
	p := r.rejected(sent)
	assert.Equal(t, []string{"\x04\x03\x00\x04"}, values(p, 79))
	assert.Equal(t, []string{NotCleared.Text() + "\x00Reject-Reason=43"}, values(p, 18))
	assert.Empty(t, bonds(p))
	r.clean()
}

// A peer that is in no consortium knows nothing of all this.
func TestSettlementElsewhere(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) {
		settling(realm.Terms{})(s)
		s.Clients[0].Group = nil
	})
	p := r.accepted(withWBA(15, "x"))
	assert.Empty(t, values(p, rfc2865.Class_Type))
	sent := r.ask(access("bob@home.example", withRCOI(settledRCOI)))
	r.atHome(0).answer(layeh.CodeAccessReject, withEAP(1), with(18, "no\x00Reject-Reason=42"))
	assert.Empty(t, values(r.rejected(sent), 18))
	r.report(acctStop("bob@home.example", "s", withRCOI(settledRCOI)))
	r.recorded(1)
	assert.Zero(t, r.records()[0].Flags&(accounting.FlagFree|accounting.FlagSettled))
}

// A home in the consortium brings its terms along.
func TestSettlementOfTheHome(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) {
		settling(realm.Terms{Settled: true, Tariff: "flat"})(s)
		s.Clients[0].Group, s.Homes[0].Group, s.Pools[0].Group = nil, s.Groups[0], s.Groups[0]
	})
	r.rejected(r.ask(access("bob@home.example")))
	sent := r.ask(access("bob@home.example", clears()))
	r.atHome(0).answer(layeh.CodeAccessAccept, clears())
	assert.Len(t, bonds(r.got(sent)), 1)
}

// Nobody can make a Class that the hub takes for its own, change one, or use one
// that another client was given.
func TestBond(t *testing.T) {
	b := newBond([]byte("identity"))
	rate := rateOf("EUR", 1, 70)
	v := append([]byte(nil), b.seal(paid, rate, [bondNonce]byte{1}, "visited", []byte("home.example"))...)
	assert.Equal(t, []byte{25, byte(2 + bondLen)}, v[:2])
	v = v[2:]
	how, got, ok := b.open(v, "visited", []byte("home.example"))
	assert.True(t, ok)
	assert.Equal(t, paid, how)
	assert.Equal(t, rate, got)

	_, _, ok = b.open(v, "other", []byte("home.example"))
	assert.False(t, ok, "of another client")
	_, _, ok = b.open(v, "visited", []byte("other.example"))
	assert.False(t, ok, "of another realm")
	_, _, ok = b.open(v, "visite", []byte("dhome.example"))
	assert.False(t, ok, "cut elsewhere")
	elsewhere := newBond([]byte("another key"))
	_, _, ok = elsewhere.open(v, "visited", []byte("home.example"))
	assert.False(t, ok, "of another operator's hub")
	again := newBond([]byte("identity"))
	_, _, ok = again.open(v, "visited", []byte("home.example"))
	assert.True(t, ok, "after a restart")
	for i := range v {
		changed := append([]byte(nil), v...)
		changed[i] ^= 1
		_, _, ok = b.open(changed, "visited", []byte("home.example"))
		assert.False(t, ok, "octet %d", i)
		_, _, ok = b.open(v[:i], "visited", []byte("home.example"))
		assert.False(t, ok, "cut to %d", i)
	}
}

// A NAS that repeats another rate than was agreed is flagged, and the agreed one
// stands; one that loses its Class is judged by the terms.
func TestSettlementRecords(t *testing.T) {
	r := newRig(t, 1, settling(realm.Terms{Settled: true}))
	sent := r.ask(access("@home.example", clears(), withRate("EUR", 1, 70)))
	r.atHome(0).answer(layeh.CodeAccessAccept, clears())
	class := with(rfc2865.Class_Type, bonds(r.got(sent))...)
	for i, tt := range []struct {
		name  string
		edits edit
		want  accounting.Flags
		rate  wba.Rate
	}{
		{"the same rate", all(class, withRate("EUR", 1, 70)), accounting.FlagSettled, rateOf("EUR", 1, 70)},
		{"another rate", all(class, withRate("EUR", 1, 71)), accounting.FlagSettled | accounting.FlagRateDiffers, rateOf("EUR", 1, 70)},
		{"no rate at all", all(class, withWBA(15, "x")), accounting.FlagSettled | accounting.FlagRateDiffers, rateOf("EUR", 1, 70)},
		{"the Class says more than the consortium", all(class, withRCOI(freeRCOI)), accounting.FlagSettled, rateOf("EUR", 1, 70)},
		{"a Class of its own making", with(rfc2865.Class_Type, bondMark+"\x01EUR\x00\x00\x00\x00\x01noncenonce000000"), accounting.FlagSettled, wba.Rate{}},
		{"no Class, and a consortium", withRCOI(freeRCOI), accounting.FlagFree, wba.Rate{}},
		{"nothing", all(), accounting.FlagSettled, wba.Rate{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.report(acctStop("@home.example", tt.name, tt.edits))
			r.recorded(i + 1)
			rec := r.records()[i]
			assert.Equal(t, tt.want, rec.Flags&(accounting.FlagFree|accounting.FlagSettled|accounting.FlagRateDiffers))
			assert.Equal(t, tt.rate, rec.Rate)
		})
	}
}

// A Class that one home's session was given pays for none of another's; it goes
// with the realm that the home itself has given the user.
func TestSettlementElsewhereReplayed(t *testing.T) {
	for _, tt := range []struct {
		name, given, reported string
		want                  accounting.Flags
	}{
		{"the same realm", "", "@HOME.example", accounting.FlagSettled},
		{"another realm", "", "@open.example", accounting.FlagFree},
		{"the realm that the home has given", "alice@open.example", "alice@open.example", accounting.FlagSettled},
		{"the realm of before", "alice@open.example", "@home.example", accounting.FlagFree},
		{"a name without a realm", "alice", "@home.example", accounting.FlagSettled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, settling(realm.Terms{}))
			sent := r.ask(access("@home.example", withRCOI(settledRCOI), clears(), withRate("EUR", 1, 70)))
			edits := []edit{clears()}
			if tt.given != "" {
				edits = append(edits, with(rfc2865.UserName_Type, tt.given))
			}
			r.atHome(0).answer(layeh.CodeAccessAccept, all(edits...))
			class := with(rfc2865.Class_Type, bonds(r.got(sent))...)
			r.report(acctStop(tt.reported, "s", class))
			r.recorded(1)
			assert.Equal(t, tt.want, r.records()[0].Flags&(accounting.FlagFree|accounting.FlagSettled))
		})
	}
}

// Without the Class nobody is paid where the terms have it otherwise.
func TestSettlementClaims(t *testing.T) {
	r := newRig(t, 1, settling(realm.Terms{}))
	sent := r.ask(access("@home.example", withRCOI(freeRCOI)))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	class := with(rfc2865.Class_Type, bonds(r.got(sent))...)
	for i, edits := range []edit{withRCOI(settledRCOI), all(class, withRCOI(settledRCOI), withRate("EUR", 1, 70)), all(clears(), withRate("EUR", 1, 70))} {
		r.report(acctStop("@home.example", string(rune('a'+i)), edits))
		r.recorded(i + 1)
		rec := r.records()[i]
		assert.Equal(t, accounting.FlagFree, rec.Flags&(accounting.FlagFree|accounting.FlagSettled), i)
		assert.Zero(t, rec.Rate)
	}
}

// WBA-Identity-Provider is added where the home is known and does not say it.
func TestIdentityProvider(t *testing.T) {
	for _, tt := range []struct {
		name string
		home func(*realm.Home)
		say  edit
		want string
		has  bool
	}{
		{"by the files", func(h *realm.Home) { h.Operator = "4HOME:US" }, all(), "4HOME:US", true},
		{"a mobile network", func(h *realm.Home) { h.Operator = "0DEUD1" }, all(), "0DEUD1", true},
		{"by its certificate", func(h *realm.Home) { h.Holder = &realm.Holder{Operator: []string{"HOME:US"}} }, all(), "4HOME:US", true},
		{"one of two", func(h *realm.Home) { h.Holder = &realm.Holder{Operator: []string{"A:US", "B:US"}} }, all(), "", false},
		{"the home's word", func(h *realm.Home) { h.Operator = "4HOME:US" }, withWBA(wba.IdentityProvider, "4PART.HOME:US"), "4PART.HOME:US", true},
		{"not known", func(*realm.Home) {}, all(), "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, func(s *realm.Set) {
				settling(realm.Terms{})(s)
				tt.home(&s.Homes[0])
			})
			got, has := wbaOf(t, r.accepted(tt.say), wba.IdentityProvider)
			assert.Equal(t, tt.has, has)
			assert.Equal(t, tt.want, got)
		})
	}
}

// A home that grants more than was offered is counted.
func TestTierExceeded(t *testing.T) {
	r := newRig(t, 1, settling(realm.Terms{}))
	for _, tt := range []struct {
		offered, granted string
		want             int
	}{
		{"OpenRoaming Silver", "OpenRoaming Silver", 0},
		{"OpenRoaming Silver", "OpenRoaming Bronze", 0},
		{"OpenRoaming Silver", "OpenRoaming Gold", 1},
		{"OpenRoaming Bronze", "openroaming silver", 2},
		{"Silver", "OpenRoaming Gold", 2},
		{"OpenRoaming Silver", "vlan-7", 2},
	} {
		sent := r.ask(access("@home.example", withWBA(wba.OfferedService, tt.offered)))
		r.atHome(0).answer(layeh.CodeAccessAccept, with(rfc2865.FilterID_Type, tt.granted))
		assert.Equal(t, []string{tt.granted}, values(r.got(sent), rfc2865.FilterID_Type))
		assert.Equal(t, tt.want, r.value("roamgate_home_tier_exceeded_total", "home", "a"), tt)
	}
}

// What is explained is what would be done.
func TestExplainSettlement(t *testing.T) {
	r := newRig(t, 1, settling(realm.Terms{}))
	ask := Question{NAI: "bob@home.example", Client: "visited", RCOI: "BA-A2-D0-20-00"}
	x := r.hub.Explain(ask)
	assert.Equal(t, "OpenRoaming settled, silver, any identity", x.Consortium)
	assert.Equal(t, "settled", x.Settlement)
	assert.Equal(t, "no_clearing_provider", x.Reason)
	assert.Equal(t, "reject", x.Result)

	ask.Attributes = []string{"Attr-26.14122.13=4CLEARER:US", "Attr-26.14122.15=0x4555520100000007"}
	x = r.hub.Explain(ask)
	assert.Equal(t, "forward", x.Result, x.Text)
	x = r.hub.Explain(Question{NAI: "bob@home.example", Client: "visited"})
	assert.Equal(t, "free", x.Settlement)
	assert.Empty(t, x.Consortium)
	assert.Equal(t, "forward", x.Result)
}

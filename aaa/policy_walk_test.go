package aaa

import (
	"encoding/binary"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/vendors/wispr"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

// What a profile sets replaces what the home said; of two Session-Timeouts
// the shorter wins, and no session outlives the profile.
func TestPolicyShapesTheAccept(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, edit: withPolicy, policyOf: policyOf})
	number := func(v uint32) []string { return []string{string(binary.BigEndian.AppendUint32(nil, v))} }
	for _, tt := range []struct {
		name, user                string
		said                      []edit
		timeout, interim, filters []string
	}{
		{"home says nothing", "open", nil, number(3600), number(600), []string{"meters", "slow"}},
		{"home is longer", "open", []edit{with32(27, 7200), with32(85, 120), with(11, "the home's")}, number(3600), number(600), []string{"meters", "slow"}},
		{"home is shorter", "open", []edit{with32(27, 60)}, number(60), number(600), []string{"meters", "slow"}},
		{"home sets no limit", "open", []edit{with32(27, 0)}, number(3600), number(600), []string{"meters", "slow"}},
		{"home says nonsense", "open", []edit{with(27, "abc")}, number(3600), number(600), []string{"meters", "slow"}},
		{"profile sets nothing", "plain", []edit{with32(27, 7200), with32(85, 120), with(11, "the home's")}, number(7200), number(120), []string{"the home's"}},
		{"profile ends in ten minutes", "ending", []edit{with32(27, 7200)}, number(600), nil, nil},
		{"interim below a minute", "plain", []edit{with32(85, 5)}, nil, number(60), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := r.ask(access(tt.user + "@home.example"))
			r.atHome(0).answer(layeh.CodeAccessAccept, append(tt.said, with(rfc2865.Class_Type, "kept"))...)
			p := r.got(sent)
			assert.Equal(t, tt.timeout, values(p, rfc2865.SessionTimeout_Type))
			assert.Equal(t, tt.interim, values(p, rfc2869.AcctInterimInterval_Type))
			assert.Equal(t, tt.filters, values(p, rfc2865.FilterID_Type))
			assert.Equal(t, []string{"kept"}, values(p, rfc2865.Class_Type))
			if tt.user == "open" {
				assert.EqualValues(t, 64000, wispr.WISPrBandwidthMaxUp_Get(p))
			}
		})
	}
	r.clean()
}

// A profile adds nothing to a Challenge or a Reject.
func TestPolicyShapesOnlyTheAccept(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, edit: withPolicy, policyOf: policyOf})
	for _, code := range []layeh.Code{layeh.CodeAccessChallenge, layeh.CodeAccessReject} {
		sent := r.ask(access("open@home.example"))
		r.atHome(0).answer(code)
		assert.Empty(t, rest(r.got(sent)))
	}
	r.clean()
}

// A device that is not in memory is looked up while its request waits; a
// repetition meanwhile is dropped.
func TestPolicyIsFetched(t *testing.T) {
	var m *miniredis.Miniredis
	r := newRigOf(t, setup{homes: 1, edit: withPolicy, policyOf: func(t tester) (tab *device.Table) {
		tab, m = storedPolicy(t, true)
		return tab
	}})
	storeDevice(m, "user", "open")
	b := encode(t, access("user@home.example"), true)
	r.inject(listen.Auth, b, addrOf(r.nas))
	assert.Equal(t, stageParked, r.inFlight().stage)
	r.inject(listen.Auth, b, addrOf(r.nas))
	assert.Equal(t, 1, r.value("roamgate_duplicates_total", "action", "suppressed"))
	r.until("the policy has come", func() bool { return r.inFlight().stage != stageParked })
	r.atHome(0).answer(layeh.CodeAccessAccept)
	p := r.got(b)
	assert.EqualValues(t, 3600, rfc2865.SessionTimeout_Get(p))
	allowedDevice("user")(r) // from memory now
	r.clean()
}

// A client that has begun anew while its request was parked: what comes out
// of the store belongs to nobody, and the home is not asked.
func TestPolicyClientGivesUp(t *testing.T) {
	var m *miniredis.Miniredis
	r := newRigOf(t, setup{homes: 1, edit: withPolicy, policyOf: func(t tester) (tab *device.Table) {
		tab, m = storedPolicy(t, true)
		return tab
	}})
	storeDevice(m, "user", "open")
	old := encode(t, access("user@home.example", withID(1)), true)
	fresh := encode(t, access("user@home.example", withID(1)), true)
	r.inject(listen.Auth, old, addrOf(r.nas))
	r.inject(listen.Auth, fresh, addrOf(r.nas))
	assert.Equal(t, 1, dropped.count(r, Displaced))
	r.until("only one is left", func() bool { return r.shard.slab.used == 1 && r.inFlight().stage != stageParked })
	h := r.atHome(0)
	r.quietHome(0)
	h.answer(layeh.CodeAccessAccept)
	r.got(fresh)
	r.silent()
	r.clean()
}

// What the realm says of devices nobody can look up, or nobody knows.
func TestPolicyStoreAway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy realm.Policy
		run    bool
		fault  string
		user   string
		why    Reason
	}{
		{"away, closed", realm.Policy{Enabled: true}, true, "LOADING", "user", ofDevice(device.StoreAway)},
		{"away, open", realm.Policy{Enabled: true, FailOpen: true}, true, "LOADING", "user", OK},
		{"not running, closed", realm.Policy{Enabled: true}, false, "", "user", ofDevice(device.StoreAway)},
		{"not running, open", realm.Policy{Enabled: true, FailOpen: true}, false, "", "user", OK},
		{"unknown, refused", realm.Policy{Enabled: true}, true, "", "stranger", ofDevice(device.UnknownDevice)},
		{"unknown, allowed", realm.Policy{Enabled: true, AllowUnknown: true}, true, "", "stranger", OK},
		{"off", realm.Policy{}, true, "LOADING", "user", OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m *miniredis.Miniredis
			r := newRigOf(t, setup{homes: 1,
				edit: func(s *realm.Set) { s.Routes[0].Policy = tt.policy },
				policyOf: func(t tester) (tab *device.Table) {
					tab, m = storedPolicy(t, tt.run)
					return tab
				}})
			storeDevice(m, "user", "open")
			m.SetError(tt.fault)
			sent := r.fetched(tt.user)
			if tt.why != OK {
				r.rejected(sent)
				assert.Equal(t, 1, local.count(r, tt.why))
				r.quietHome(0)
			} else {
				r.atHome(0).answer(layeh.CodeAccessAccept)
				require.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
			}
			r.clean()
		})
	}
}

// A route that wants the policy where none is loaded is served without.
func TestPolicyNotLoaded(t *testing.T) {
	r := newRig(t, 1, withPolicy)
	allowedDevice("anybody")(r)
	r.clean()
}

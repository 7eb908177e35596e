package agent

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// newPolicedRig has a device policy for home.example: imsi is denied.
func newPolicedRig(t *testing.T, table *device.Table) *walkRig {
	r := newWalkRig(t, func(s *realm.Set) { s.Routes[0].Policy = realm.Policy{Enabled: true, AllowUnknown: true} })
	r.lp.guard.policy = table
	return r
}

// A denied device is told so by us, and no peer hears of it.
func TestPolicyDeniesInTheWalk(t *testing.T) {
	f, problems := device.ReadFile("policy.yaml", []byte("profiles:\n  - {name: denied, deny: true}\ndevices:\n  - {imsi: \""+imsi+"\", profile: denied}\n"))
	require.NotNil(t, f, problems)
	r := newPolicedRig(t, device.New(device.Config{File: f}))
	r.heard("mme", request())
	ans := r.one("mme")
	assert.NotEqual(t, uint32(diameter.ResultSuccess), resultOf(ans))
	assert.EqualValues(t, 0x11, ans.HopByHop)
	assert.Equal(t, 1, r.counted("roamgate_diameter_refused_total", "peer", "mme", "reason", "denied"))
	r.rest()
	r.heard("mme", request().set(diameter.UserName, "262019999999999"))
	r.one("hss1")
}

// A request whose policy has to be fetched waits in its slot: it goes on when the policy
// is there, and ends in time or without its sender all the same.
func TestPolicyParksInTheWalk(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(r *walkRig)
		check     func(r *walkRig)
	}{
		"goes on": {func(*walkRig) {}, func(r *walkRig) {
			r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultSuccess))
			r.one("mme")
		}},
		"too late": {func(r *walkRig) {
			r.pass(6 * time.Second)
			assert.EqualValues(t, diameter.ResultUnableToDeliver, resultIn(r.one("mme")))
		}, func(r *walkRig) { r.nothing() }},
		"sender gone": {func(r *walkRig) { r.close(r.links["mme"]) }, func(r *walkRig) {
			r.heard("hss1", answerTo(r.one("hss1"), "hss1.home.example", diameter.ResultSuccess))
			r.nothing()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := miniredis.RunT(t)
			table := device.New(device.Config{Redis: &device.Redis{Addresses: []string{m.Addr()}}, MissBudget: time.Minute})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { defer close(done); _ = table.Run(ctx) }()
			defer func() { cancel(); <-done }()
			require.Eventually(t, table.Ready, time.Minute, time.Millisecond)
			r := newPolicedRig(t, table)
			r.heard("mme", request())
			r.nothing()
			assert.Equal(t, 1, r.lp.table.used)
			c.meanwhile(r)
			require.Eventually(t, func() bool {
				r.lp.mail.mu.Lock()
				defer r.lp.mail.mu.Unlock()
				return len(r.lp.mail.tasks.All()) > 0
			}, time.Minute, time.Millisecond)
			r.lp.readMail()
			c.check(r)
			r.rest()
		})
	}
}

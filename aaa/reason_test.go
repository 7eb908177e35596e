package aaa

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
)

// place is where a reason is counted.
type place struct{ name, label, value string }

var (
	dropped = place{"roamgate_dropped_total", "client", "visited"}
	local   = place{"roamgate_local_answers_total", "", ""}
	byHome  = place{"roamgate_home_bad_responses_total", "home", "a"}
	strange = place{"roamgate_unknown_client_packets_total", "", ""}
	nowhere = place{"roamgate_unknown_home_packets_total", "", ""}
)

func (p place) count(r *rig, why Reason) int {
	switch p {
	case strange, nowhere:
		return r.value(p.name)
	case local:
		return r.value(p.name, "reason", why.String())
	}
	return r.value(p.name, p.label, p.value, "reason", why.String())
}

// provocation is one way to a Reason. what makes it happen from outside and
// asserts what the peers get.
type provocation struct {
	name  string
	why   Reason
	place place
	count int // 1 unless said
	setup setup
	what  func(r *rig)
	// broken: the disk has failed, and nothing more can be asked of it.
	broken bool
}

// The users and passwords of all provocations; no log line may name them.
const (
	secretUser = "confidential-user"
	secretPass = "confidential-pass"
	atHomeExa  = secretUser + "@home.example"
)

func provocations() (all []provocation) {
	for _, list := range [][]provocation{
		malformedRequests(), unauthenticRequests(), statusRequests(), repeatedRequests(),
		refusedNames(), refusedRequests(), routedNowhere(), refusedOperators(), refusedSettlements(), loops(), refusedByHomes(), oversized(),
		badReplies(), malformedReplies(), refusedDevices(), refusedByStore(), accountingTrouble(), undiscovered(),
	} {
		all = append(all, list...)
	}
	return all
}

// impossible are the reasons that this walk cannot meet, and why.
var impossible = map[Reason]string{
	HomeStalled:                     "it takes a connection, see TestStalledHome",
	PeerStalled:                     "it takes a connection, see TestStalledClient",
	ofNAI(nai.TooLong):              "a User-Name attribute holds 253 octets, which is the limit of a NAI",
	ofDevice(device.NoIdentity):     "a request without User-Name, or with an empty one, is refused before the policy is asked, and any User-Name is an identity",
	ofDevice(device.RoamingTooLong): "it takes days, see device.TestRoamingDays",
}

func TestReasons(t *testing.T) {
	for _, p := range provocations() {
		t.Run(p.why.String()+"/"+p.name, func(t *testing.T) {
			if p.setup.homes == 0 {
				p.setup.homes = 1
			}
			r := newRigOf(t, p.setup)
			p.what(r)
			r.settleDown()
			assert.Equal(t, max(p.count, 1), p.place.count(r, p.why), "count of %s in %s", p.why, p.place.name)
			assertLogged(t, r, p.why)
			if !p.broken {
				r.clean()
			}
		})
	}
}

// assertLogged asserts that the reason has a line and that no line tells more
// than reason, peer and source.
func assertLogged(t *testing.T, r *rig, why Reason) {
	t.Helper()
	found := false
	for _, line := range r.logs.All() {
		fields := line.ContextMap()
		found = found || fields["reason"] == why.String()
		if line.Message != "packet noted" {
			continue
		}
		assert.Equal(t, zapcore.InfoLevel, line.Level)
		for k, v := range fields {
			assert.Contains(t, []string{"reason", "peer", "from", "suppressed"}, k)
			for _, secret := range []string{secretUser, secretPass, visitedSecret, homeSecret, ".example"} {
				assert.NotContains(t, fmt.Sprint(v), secret)
			}
		}
	}
	assert.True(t, found, "no log line says %s", why)
}

// TestEveryReasonIsProvoked is the closed set's lock: a new Reason comes with
// a provocation, or with the reason why there is none.
func TestEveryReasonIsProvoked(t *testing.T) {
	provoked := map[Reason]bool{}
	for _, p := range provocations() {
		provoked[p.why] = true
	}
	for _, why := range Reasons() {
		excuse, excused := impossible[why]
		assert.NotEqual(t, provoked[why], excused && excuse != "", "%s needs either a provocation or an excuse", why)
	}
}

func TestReasonLabelsAreUnique(t *testing.T) {
	seen := map[string]Reason{}
	for _, why := range Reasons() {
		label := why.String()
		other, taken := seen[label]
		assert.False(t, taken, "%d and %d are both %s", why, other, label)
		assert.Regexp(t, `^[a-z0-9]+(_[a-z0-9]+)*$`, label)
		assert.NotEqual(t, "unknown", label)
		seen[label] = why
	}
	assert.Equal(t, "unknown", Reason(60).String(), "between the ranges")
}

// A reason's text is read by people of other networks.
func TestReasonTexts(t *testing.T) {
	for _, why := range Reasons() {
		assert.LessOrEqual(t, len(why.Text()), maxText, why)
	}
}

// Log lines are bounded: one a second and reason, with the number of those
// left out.
func TestNotesAreBounded(t *testing.T) {
	r := newRig(t, 1, nil)
	for range 100 {
		r.offer(0, []byte{1})
	}
	require.Equal(t, 1, r.logs.Len())
	r.pass(time.Second)
	r.offer(0, []byte{1})
	require.Equal(t, 2, r.logs.Len())
	assert.EqualValues(t, 99, r.logs.All()[1].ContextMap()["suppressed"])
	assert.Equal(t, 99, r.value("roamgate_log_suppressed_total"))
	assert.Equal(t, 101, dropped.count(r, ofRadius(1)))
}

// A log that nobody reads stops no packet.
func TestNotesDoNotBlock(t *testing.T) {
	r := newRig(t, 1, nil)
	for range cap(r.hub.notes) {
		r.hub.notes <- note{}
	}
	r.inject(0, []byte{1}, addrOf(r.nas))
	assert.Equal(t, 1, dropped.count(r, ofRadius(1)))
	assert.Equal(t, 1, r.value("roamgate_log_suppressed_total"))
}

func lax(set *realm.Set) {
	set.Clients[0].RequireMessageAuthenticator, set.Clients[0].LimitProxyState = false, false
}

package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// C123: a record that the NAS has its answer for, and that its home of Diameter refuses for
// good, is a dead letter at once; one that it has no room for comes again until it has.
func TestC123RecordThatIsRefused(t *testing.T) {
	r := newRig(t, func(s *realm.Set) { s.Routes[0].Acknowledge = realm.AcknowledgeDurable })
	r.connected("home-dia")
	full := 2
	r.home.answers(func(m *diameter.Message) []byte {
		switch string(value(m, diameter.AcctSessionID)) {
		case "poison":
			return r.home.reply(m, diameter.ResultInvalidAVPValue, nil)
		case "full":
			if full--; full >= 0 {
				return r.home.reply(m, []uint32{diameter.ResultUnableToComply, diameter.ResultOutOfSpace}[full], nil)
			}
		}
		return r.home.reply(m, diameter.ResultSuccess, nil)
	})
	for _, id := range []string{"poison", "full", "good"} {
		got := r.account(bob, attr32(radius.AcctStatusType, 2), attr32(radius.AcctSessionTime, 60), attr(radius.AcctSessionID, id), attr(radius.NASIdentifier, "ap1"))
		assert.Equal(t, radius.AccountingResponse, got.Code(), "the hub has it")
	}
	seen := map[string]int{}
	for seen["full"] < 3 || seen["good"] < 1 || seen["poison"] < 1 {
		seen[string(value(r.home.next(), diameter.AcctSessionID))]++
	}
	require.Eventually(t, func() bool {
		owed := 0
		require.NoError(t, r.spool.Pending(0, 0, func(uint64, []byte) bool { owed++; return true }))
		return owed == 0 && r.spool.DeadLetters(uint8(aaa.DeadProtocolError)) == 1
	}, time.Minute, 10*time.Millisecond)
	assert.Equal(t, map[string]int{"poison": 1, "full": 3, "good": 1}, seen, "each as often as it has to be")
}

package aaa

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

// Nor does a session that is paid allocate anything, from its offer to its Stop.
func TestAllocsSettled(t *testing.T) {
	offers := append(tlv(26, vsa(wba.VendorWFA, wba.RoamingConsortium, settledRCOI), 26, vsa(wba.Vendor, wba.FinancialClearingProvider, "4CLEARER:US"),
		26, vsa(wba.Vendor, wba.LinearVolumeRate, "EUR\x01\x00\x00\x00\x07"), 26, vsa(wba.Vendor, wba.LinearVolumeRate, "USD\x02\x00\x00\x00\x08"),
		26, vsa(wba.Vendor, wba.OfferedService, "OpenRoaming Silver")), papRequest...)
	takes := append(tlv(26, vsa(wba.Vendor, wba.FinancialClearingProvider, "4CLEARER:US"), 26, vsa(wba.Vendor, wba.LinearVolumeRate, "USD\x02\x00\x00\x00\x08")), accept...)
	h := newHotOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 1024 }, edit: func(s *realm.Set) {
		settling(realm.Terms{})(s)
		s.Homes[0].Operator = "4HOME:US"
	}})
	sealed := append([]byte(nil), h.shard.bond.seal(paid, rateOf("USD", 2, 8), [bondNonce]byte{}, "visited", []byte("home.example"))...)
	stop := append(tlv(1, "open@home.example"), stopOf[2+len("0262011234567890@wlan.mnc001.mcc262.3gppnetwork.org"):]...)
	stop = append(stop, sealed...)
	told := tlv(18, "no money\x00Reject-Reason=43")
	round := func() {
		h.round(offers, radius.AccessAccept, takes)
		h.round(offers, radius.AccessReject, told)
		h.round(offers, radius.AccessAccept, accept) // refused here
		h.stop(stop)
	}
	h.warm(t, round)
	runs := repeated(300)
	allocs := testing.AllocsPerRun(runs, round)
	assert.True(t, raced || allocs == 0, "%v allocations", allocs)
	assert.Equal(t, repeated(2000)+runs+1, h.value("roamgate_sessions_settlement_total", "settlement", "settled"))
	assert.Equal(t, repeated(2000)+runs+1, h.value("roamgate_local_answers_total", "reason", "not_cleared"))
}

package aaa

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// changesAll is a configuration in which packets are changed in every way but
// by expressions.
func changesAll(t tester) func(*realm.Set) {
	edit := filtered(t, "remove: [Class, Connect-Info, vendor Cisco]; location: coarse", "keep: [User-Name, Class, Chargeable-User-Identity, Session-Timeout, MS-MPPE-Send-Key, MS-MPPE-Recv-Key]",
		"remove: Filter-Id", "set: NAS-Identifier, value: '${client} ${source} ${realm} ${home}'; supplement: 26.14122.13, value: x; add: 241.8, value: 0x01")
	return func(s *realm.Set) {
		edit(s)
		s.Clients[0].OperatorName = realm.OperatorCheck
		for i := range s.Routes {
			if s.Routes[i].Reject == "" {
				s.Routes[i].Rewrite, s.Routes[i].IssueCUI = &realm.Rewrite{Realm: "inner.example"}, true
			}
		}
	}
}

// What changes packets allocates nothing either.
func TestAllocsFilters(t *testing.T) {
	named := append(tlv(1, "bob@inner.example"), accept...)
	for _, tt := range []struct {
		name  string
		round func(h *hot)
	}{
		{"PAP", func(h *hot) { h.round(papRequest, radius.AccessAccept, accept) }},
		{"CUI issued, User-Name undone", func(h *hot) { h.round(eapRequest, radius.AccessAccept, named) }},
		{"Stop", func(h *hot) { h.stop(stopOf) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHotOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 1024 }, edit: func(s *realm.Set) {
				s.Routes = append(s.Routes, realm.Route{Realm: "wlan.mnc001.mcc262.3gppnetwork.org", Index: 4, Auth: 0, Acct: 0})
				changesAll(t)(s)
			}})
			h.warm(t, func() { tt.round(h) })
			allocs := testing.AllocsPerRun(repeated(1000), func() { tt.round(h) })
			assert.True(t, raced || allocs == 0, "%v allocations", allocs)
			assert.Positive(t, h.filteredBy("a", "out", "home_out"))
			assert.Positive(t, h.value("roamgate_responses_total"), "they went the whole way")
		})
	}
}

// BenchmarkHotFilters is an Access-Request and its answer through one shard,
// with nothing configured, with the filters of a Wi-Fi roaming contract, and
// with all there is but expressions.
func BenchmarkHotFilters(b *testing.B) {
	profile := func(s *realm.Set) {
		f := file.Profile("wrix-i")
		s.Homes[0].In, s.Homes[0].Out, s.Clients[0].OperatorName = f, f, realm.OperatorCheck
	}
	for _, tt := range []struct {
		name string
		edit func(*realm.Set)
	}{{"nothing", nil}, {"wrix-i", profile}, {"everything", changesAll(b)}} {
		b.Run(tt.name, func(b *testing.B) {
			h := newHotOf(b, setup{homes: 1, conf: func(c *Config) { c.InFlight = 1024 }, edit: tt.edit})
			round := func() { h.round(papRequest, radius.AccessAccept, accept) }
			h.warm(b, round)
			b.ReportAllocs()
			for b.Loop() {
				round()
			}
		})
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/test/peer"
)

// TestRecordsSignalling has two devices signal, and reads the hub's counts of it.
func TestRecordsSignalling(t *testing.T) {
	hss := answerer(t, node.Config{Applications: []uint32{diameter.AppS6a}})
	door := peer.Port(t)
	h := prepare(t, fmt.Sprintf("diameter: {identity: hub.roam.example, listen: [%q]}\n", door))
	write(t, h.dir, map[string]string{"realms/d.yaml": fmt.Sprintf(`peers:
  - {name: hss, identity: "hss.%s", address: 127.0.0.1, port: %d, applications: s6a}
  - {name: mme, identity: mme.visited.example, from: 127.0.0.1}
pools:
  - {name: hss, peers: hss}
realms:
  - {imsi: 26201123, diameter: hss}
`, aRealm, hss.Addr().Port())})
	h.serve()
	h.eventually("the peer is open", func() bool { return strings.Contains(h.ask("status peers hss").out, "open") })
	for _, imsi := range []string{"262011234567890", "262011234567890", "262011234567891"} {
		r := sendDiameterTo(door, "--command", "ULR", "--imsi", imsi, "--destination-realm", aRealm, "Visited-PLMN-Id=0x62f210", "RAT-Type=1004", "ULR-Flags=34")
		require.Zero(t, r.code, r.errs+r.out)
	}
	h.Stop() // writes what is counted
	h.serve()
	var out []string
	h.eventually("the counts are in the store", func() bool {
		r := h.ask("records signalling")
		require.Zero(t, r.code, r.errs)
		out = lines(r.out)
		return len(out) == 3
	})
	assert.Regexp(t, `^DEVICE +CLIENT +HOME +APPLICATION +COMMAND +RESULT +REQUESTS +IN +OUT +FROM +TO$`, out[0])
	requests := map[string]bool{}
	for _, row := range out[1:] {
		f := strings.Fields(row)
		require.Len(t, f, 11, row)
		assert.Regexp(t, `^[0-9a-f]{32}$`, f[0])
		assert.Equal(t, []string{"mme", aRealm, "s6a", "update_location", "2001"}, f[1:6])
		requests[f[6]] = true
		one := lines(h.ask("records signalling --device " + f[0]).out)
		assert.Equal(t, strings.Fields(row), strings.Fields(one[1]))
		assert.Len(t, one, 2)
	}
	assert.Equal(t, map[string]bool{"1": true, "2": true}, requests)
	r := h.ask("records signalling --each --json")
	require.Zero(t, r.code, r.errs)
	assert.Len(t, lines(r.out), 2)
	for _, row := range lines(r.out) {
		var s signalled
		require.NoError(t, json.Unmarshal([]byte(row), &s))
		assert.Equal(t, "update_location", s.Command)
	}
	assert.NotContains(t, r.out, "26201123456789")
}

// records is a book of nothing else.
type records []usage.Record

func (b records) records(_ context.Context, _ recordQuery, f func(uint64, *usage.Record) error) error {
	for i := range b {
		if err := f(uint64(i), &b[i]); err != nil {
			return err
		}
	}
	return nil
}

// TestSignalledOf tells counts of the hub from what only looks like them.
func TestSignalledOf(t *testing.T) {
	at := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, session, context string
		want                   bool
	}{
		{"a count", "hub.example;signalling;1;1", "t6a/mo_data/2001@hub.example", true},
		{"without an answer", "hub.example;signalling;1;1", "s6a/notify/none@hub.example", true},
		{"a session of another's", "nas.example;1;1", "t6a/mo_data/2001@hub.example", false},
		{"of another hub", "hub2.example;signalling;1;1", "t6a/mo_data/2001@hub.example", false},
		{"charging", "hub.example;signalling;1;1", "32251@3gpp.org", false},
		{"too much", "hub.example;signalling;1;1", "a/b/c/d@hub.example", false},
		{"nothing", "", "", false},
		{"of nobody", ";signalling;1", "a/b/c", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := usage.Record{
				SessionID: tc.session, Service: usage.Service{Context: tc.context}, User: accounting.Key{1}, Client: "mme",
				Start: at, End: at.Add(time.Hour), InputPackets: 3, InputOctets: 5,
			}
			s, ok := signalledOf(&r)
			assert.Equal(t, tc.want, ok)
			if ok {
				assert.Equal(t, accounting.Key{1}, s.Device, "a device that has no IMSI goes by its name")
				assert.Equal(t, []int64{3, 5, 0}, []int64{s.Requests, s.In, s.Out})
			}
		})
	}
}

// Sums of a device hold for the whole time that it was counted in.
func TestSignalledSum(t *testing.T) {
	at := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	var b records
	for i := range 6 {
		b = append(b, usage.Record{
			SessionID: "hub.example;signalling;1;" + strconv.Itoa(i), Service: usage.Service{Context: "t6a/mt_data/2001@hub.example"},
			Device: accounting.Key{byte(i % 2)}, Client: "mme", Start: at.Add(time.Duration(5-i) * time.Hour), End: at.Add(time.Duration(6-i) * time.Hour),
			OutputPackets: int64(i), OutputOctets: 1 << 40,
		})
	}
	b = append(b, usage.Record{SessionID: "s", Client: "wifi"})
	var all []signalled
	require.NoError(t, signalledSums(context.Background(), b.records, recordQuery{}, func(s *signalled) error {
		all = append(all, *s)
		return nil
	}))
	require.Len(t, all, 2)
	for i, s := range all {
		assert.Equal(t, accounting.Key{byte(i)}, s.Device)
		assert.Equal(t, []int64{6 + 3*int64(i), 0, 3 << 40}, []int64{s.Requests, s.In, s.Out})
		assert.Equal(t, 5*time.Hour, s.End.Sub(s.Start))
	}
}

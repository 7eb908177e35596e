package aaa

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/realm"
)

func withPolicy(s *realm.Set) {
	for i := range s.Routes {
		s.Routes[i].Policy.Enabled = true
	}
}

const policyText = `
profiles:
  - {name: open, session_timeout: 1h, interim_interval: 10m, filter_ids: [meters, slow], bandwidth_up: 64000}
  - {name: plain}
  - {name: denied, deny: true, deny_reason: stolen}
  - {name: later, valid_from: 2027-01-01T00:00:00Z}
  - {name: over, valid_until: 2026-01-01T00:00:00Z}
  - {name: ending, session_timeout: 4h, valid_until: 2026-03-01T12:10:00Z}
  - {name: operator, operators: [1other.example]}
  - {name: country, countries: [AT]}
  - {name: port, nas_port_types: [wireless-802.11]}
  - {name: volume, daily_volume: 1kB}
  - {name: attempts, attempts_per_hour: 1}
  - {name: network, visited_plmns: [262-01]}
  - {name: equipment, imeis: ["35000001"]}
devices:
  - {nai: blocked@home.example, profile: open, blocked: true}
`

// policyOf is an embedded table in which user NAME@home.example has profile
// NAME.
func policyOf(t tester) *device.Table {
	t.Helper()
	text := policyText
	for _, name := range []string{"open", "plain", "denied", "later", "over", "ending", "operator", "country", "port", "volume", "attempts", "network", "equipment"} {
		text += fmt.Sprintf("  - {nai: %s@home.example, profile: %s}\n", name, name)
	}
	f, problems := device.ReadFile("policy.yaml", []byte(text))
	require.NotNil(t, f, problems)
	return device.New(device.Config{File: f})
}

// storedPolicy is a table served from a Redis in memory; keep stops and
// starts it.
func storedPolicy(t tester, run bool) (*device.Table, *miniredis.Miniredis) {
	t.Helper()
	m := miniredis.NewMiniRedis()
	require.NoError(t, m.Start())
	m.HSet("{dp}:profiles", "open", `{"v":1,"name":"open","session_timeout":"1h"}`)
	tab := device.New(device.Config{
		Redis: &device.Redis{Addresses: []string{m.Addr()}}, Fetchers: 1, MissBudget: patience,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if run {
			_ = tab.Run(ctx)
		}
	}()
	t.Cleanup(func() { cancel(); <-done; m.Close() })
	if run {
		require.Eventually(t, tab.Ready, patience, time.Millisecond)
	}
	return tab, m
}

func storeDevice(m *miniredis.Miniredis, user, profile string) {
	name := "nai:" + user + "@home.example"
	_ = m.Set("{dp}:d:"+name, fmt.Sprintf("1 1 - %s %d:%s", profile, len(name), name))
}

func refusedDevices() (all []provocation) {
	for _, d := range []struct {
		user string
		why  device.Reason
	}{
		{"stranger", device.UnknownDevice},
		{"blocked", device.Blocked},
		{"denied", device.Denied},
		{"later", device.NotYetValid},
		{"over", device.Expired},
		{"operator", device.OperatorNotAllowed},
		{"country", device.CountryNotAllowed},
		{"port", device.AccessTypeNotAllowed},
		{"network", device.NetworkNotAllowed},
		{"equipment", device.EquipmentNotAllowed},
	} {
		all = append(all, provocation{name: d.user, why: ofDevice(d.why), place: local, what: deniedDevice(d.user, d.why)})
	}
	all = append(all,
		provocation{name: "usage by accounting", why: ofDevice(device.VolumeCap), place: local, what: func(r *rig) {
			sent := r.report(acctStop("volume@home.example", "s", with32(rfc2866.AcctInputOctets_Type, 600), with32(rfc2866.AcctOutputOctets_Type, 400)))
			r.recorded(1)
			r.atAcct(0).answer(layeh.CodeAccountingResponse)
			r.got(sent)
			deniedDevice("volume", device.VolumeCap)(r)
		}},
		provocation{name: "second within the hour", why: ofDevice(device.TooManyAttempts), place: local, what: func(r *rig) {
			allowedDevice("attempts")(r)
			sent := r.ask(access("attempts@home.example", with(rfc2865.State_Type, "goes on")))
			r.atHome(0).answer(layeh.CodeAccessAccept)
			assert.Equal(r.t, layeh.CodeAccessAccept, r.got(sent).Code, "another round is no attempt")
			deniedDevice("attempts", device.TooManyAttempts)(r)
		}})
	for i := range all {
		all[i].setup = setup{edit: withPolicy, policyOf: policyOf}
	}
	return all
}

func deniedDevice(user string, why device.Reason) func(*rig) {
	return func(r *rig) {
		p := r.rejected(r.ask(access(user + "@home.example")))
		assert.Equal(r.t, why.Text(), rfc2865.ReplyMessage_GetString(p))
		r.quietHome(0)
	}
}

func allowedDevice(user string) func(*rig) {
	return func(r *rig) {
		sent := r.ask(access(user + "@home.example"))
		r.atHome(0).answer(layeh.CodeAccessAccept)
		assert.Equal(r.t, layeh.CodeAccessAccept, r.got(sent).Code)
	}
}

// fetched asks and turns the loop until the answer of the store has come.
func (r *rig) fetched(user string) []byte {
	r.t.Helper()
	sent := r.ask(access(user + "@home.example"))
	r.until("the policy has come", func() bool { return r.shard.slab.used == 0 || r.inFlight().stage != stageParked })
	return sent
}

func refusedByStore() []provocation {
	withStore := func(prepare func(m *miniredis.Miniredis)) func(t tester) *device.Table {
		return func(t tester) *device.Table {
			tab, m := storedPolicy(t, true)
			prepare(m)
			return tab
		}
	}
	refused := func(why device.Reason) func(*rig) {
		return func(r *rig) {
			sent := r.fetched("user")
			assert.Equal(r.t, why.Text(), rfc2865.ReplyMessage_GetString(r.rejected(sent)))
			r.quietHome(0)
		}
	}
	return []provocation{
		{name: "nobody there", why: ofDevice(device.StoreAway), place: local,
			setup: setup{edit: withPolicy, policyOf: withStore(func(m *miniredis.Miniredis) { m.SetError("LOADING") })}, what: refused(device.StoreAway)},
		{name: "value of no schema", why: ofDevice(device.MalformedValue), place: local,
			setup: setup{edit: withPolicy, policyOf: withStore(func(m *miniredis.Miniredis) { _ = m.Set("{dp}:d:nai:user@home.example", "garbage") })}, what: refused(device.MalformedValue)},
		{name: "fetched", why: ofDevice(device.UnknownDevice), place: local,
			setup: setup{edit: withPolicy, policyOf: withStore(func(*miniredis.Miniredis) {})}, what: refused(device.UnknownDevice)},
		{name: "not in the store", why: ofDevice(device.ProfileMissing), place: local,
			setup: setup{edit: withPolicy, policyOf: withStore(func(m *miniredis.Miniredis) { storeDevice(m, "user", "gone") })}, what: refused(device.ProfileMissing)},
	}
}

package aaa

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/realm"
)

// A record that leaves no room for our Proxy-State is acknowledged, kept for
// clearing, and not tried for ever.
func TestRecordThatFitsNoNextHop(t *testing.T) {
	r := newRig(t, 1, nil)
	p := acctStop("bob@a.iot.example", "s")
	for n := len(encode(t, p, false)); n < 4085; n = len(encode(t, p, false)) {
		p.Add(rfc2865.Class_Type, layeh.Attribute(strings.Repeat("c", min(4090-n-2, 253))))
	}
	b := r.report(p)
	r.recorded(1)
	r.settleDown()
	assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
	r.until("it is owed to nobody", func() bool { return r.owed() == 0 })
	assert.Equal(t, 1, r.value("roamgate_acct_dead_records", "reason", "too_long"))
	r.clean()
}

// The last round sends what it has built.
func TestStopFlushes(t *testing.T) {
	r := newRig(t, 1, nil)
	sent := r.ask(access("bob@home.example", withPassword("x")))
	h := r.atHome(0)
	_, err := h.at.WriteToUDP(h.reply(layeh.CodeAccessAccept), h.hub)
	require.NoError(t, err)
	r.shard.stop()
	tags, _, err := r.shard.poller.Wait(patience)
	require.NoError(t, err)
	r.shard.clock(r.now, r.wall)
	require.False(t, r.shard.step(tags))
	r.got(sent)
}

// A client that a reload has taken away is still counted as the one it was.
func TestDropAfterReload(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, edit: func(s *realm.Set) {
		other := realm.Client{Name: "other", Secret: realm.Secret(visitedSecret), Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
		s.Clients = append([]realm.Client{other}, s.Clients...)
	}})
	r.inject(listen.Acct, encode(t, acctStop("bob@local.example", "s"), false), addrOf(r.nas))
	batch := r.shard.recs
	r.shard.recs = nil
	r.apply(func(s *realm.Set) { s.Clients = s.Clients[1:] })
	batch.Err = errors.New("disk")
	r.shard.spooled(batch)
	assert.Equal(t, 1, r.value("roamgate_dropped_total", "client", "visited", "reason", "spool_unavailable"))
	r.clean()
}

// A mistake of ours in one letter of the mail loses no other.
func TestPanicLosesNoMail(t *testing.T) {
	r := newRig(t, 1, nil)
	b := encode(t, acctStop("bob@local.example", "s1"), false)
	r.inject(listen.Acct, b, addrOf(r.nas))
	good := r.shard.recs
	r.shard.recs = nil
	done := make(letters, 1)
	require.True(t, r.hub.spool.Submit(good, done))
	r.shard.SpoolDone(nil) // what no committer says
	r.shard.SpoolDone(<-done)
	r.shard.clock(r.now, r.wall)
	require.True(t, r.shard.guarded(nil))
	require.True(t, r.shard.guarded(nil))
	assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
	assert.Equal(t, 1, r.value("roamgate_panics_recovered_total"))
	r.clean()
}

type letters chan *spool.Batch

func (c letters) SpoolDone(b *spool.Batch) { c <- b }

// A home cannot get round the policy by saying a thing twice, or by saying it
// in the attribute that the policy adds.
func TestPolicyBoundsEveryInstance(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, edit: withPolicy, policyOf: policyOf})
	sent := r.ask(access("open@home.example", withPassword("x")))
	r.atHome(0).answer(layeh.CodeAccessAccept,
		with32(rfc2865.SessionTimeout_Type, 10), with32(rfc2865.SessionTimeout_Type, 999999),
		with(rfc2865.VendorSpecific_Type, "\x00\x00\x37\x2a\x07\x06\xff\xff\xff\xff"))
	p := r.got(sent)
	timeouts := values(p, rfc2865.SessionTimeout_Type)
	require.Len(t, timeouts, 1)
	assert.EqualValues(t, 10, binary.BigEndian.Uint32([]byte(timeouts[0])))
	for _, v := range values(p, rfc2865.VendorSpecific_Type) {
		assert.NotContains(t, v, "\xff\xff\xff\xff")
	}
}

// A record stored while its route waited for the home is owed to nobody. When
// the route answers at once by then, its repetition still waits for the home.
func TestModeSwitchLeavesNobodyOut(t *testing.T) {
	r := newRig(t, 1, nil)
	r.report(acctStop("bob@home.example", "s", with32(42, 5)))
	r.recorded(1)
	r.pass(31 * time.Second)
	r.silent()
	r.unheardAt(0)
	r.apply(func(s *realm.Set) { s.Routes[0].Acknowledge = realm.AcknowledgeDurable })
	b := r.report(acctStop("bob@home.example", "s", with32(42, 5)))
	r.settleDown()
	r.silent()
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
	assert.Len(t, r.records(), 1)
	r.clean()
}

// Homes that give short States may give the same one to two devices; each
// conversation stays where it began.
func TestEqualStatesOfTwoHomes(t *testing.T) {
	r := newRig(t, 2, func(s *realm.Set) { s.Pools[0].Members[1].Priority = 0 })
	home := map[string]int{}
	for i := range 16 {
		user := string(rune('a'+i)) + "@home.example"
		r.ask(access(user, withEAP(1)))
		at := int(r.inFlight().homeIdx)
		home[user] = at
		r.atHome(at).answer(layeh.CodeAccessChallenge, with(rfc2865.State_Type, "1"))
		r.raw()
	}
	for user, at := range home {
		r.ask(access(user, withEAP(2), with(rfc2865.State_Type, "1")))
		assert.EqualValues(t, at, r.inFlight().homeIdx, user)
		r.atHome(at).answer(layeh.CodeAccessAccept)
		r.raw()
	}
	r.clean()
}

// A record from the spool has no client and so no secret any more; what looks
// hidden in it travels as it came.
func TestOwedRecordWithHiddenAttributes(t *testing.T) {
	r := newRig(t, 1, nil)
	hidden := []edit{
		with(69, "\x00\x80\x010123456789abcdef"),
		with(rfc2865.VendorSpecific_Type, "\x00\x00\x01\x37\x10\x24\x80\x01"+strings.Repeat("k", 32)),
		with(rfc2865.VendorSpecific_Type, "\x00\x00\x01\x37\x0c\x22"+strings.Repeat("k", 32)),
	}
	r.report(acctStop("bob@a.iot.example", "s", hidden...))
	r.recorded(1)
	first := r.atAcct(0)
	r.pass(31 * time.Second)
	r.unheardAt(0)
	r.forwardOwed()
	again := r.atAcct(0)
	assert.Equal(t, rest(first.Packet), rest(again.Packet))
	again.answer(layeh.CodeAccountingResponse)
	assert.Zero(t, r.value("roamgate_panics_recovered_total"))
	r.clean()
}

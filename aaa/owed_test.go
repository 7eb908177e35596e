package aaa

import (
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/realm"
)

// owed counts the records that a home has still to take.
func (r *rig) owed() (n int) {
	r.t.Helper()
	require.NoError(r.t, r.hub.settleOwed(r.now))
	return r.marked()
}

// marked counts the markers in the spool, also while the walk runs.
func (r *rig) marked() (n int) {
	r.t.Helper()
	require.NoError(r.t, r.hub.spool.Pending(0, 0, func(uint64, []byte) bool { n++; return true }))
	return n
}

// forgetOwed has what ended taken, though the spool never heard of it.
func (r *rig) forgetOwed() {
	for i := range r.shard.ended {
		r.shard.ended[i].how = fateTaken
		r.hub.later.settled(&r.shard.ended[i], r.now)
	}
	r.shard.ended = r.shard.ended[:0]
}

// forwardOwed lets the walk go round once: what is owed and has its turn goes
// to the shard. It says how many records.
func (r *rig) forwardOwed() (sent int) {
	r.t.Helper()
	require.True(r.t, r.hub.rebuildDebts())
	require.NoError(r.t, r.hub.settleOwed(r.now))
	for more := true; more; {
		var n int
		n, more = r.hub.forwardSome(r.now, r.hub.spool.Last())
		sent += n
		require.NoError(r.t, r.hub.settleOwed(r.now))
	}
	r.turn(0)
	return sent
}

// unheardAt forgets what waits at an accounting port.
func (r *rig) unheardAt(i int) {
	for b, _ := read(r.t, r.accts[i], time.Millisecond); b != nil; b, _ = read(r.t, r.accts[i], time.Millisecond) {
	}
}

// C31: accounting that has been acknowledged is never given up: it waits in
// the spool, also over a restart, until the home has answered.
func TestC31OwedUntilAnswered(t *testing.T) {
	fs := vfs.NewMem()
	r := newRigOf(t, setup{homes: 1, fs: fs})
	b := r.report(acctStop("bob@a.iot.example", "s", with(rfc2865.Class_Type, "c")))
	r.recorded(1)
	assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
	first := r.atAcct(0)
	r.pass(31 * time.Second)
	assert.Zero(t, r.shard.slab.used, "given up for now")
	assert.Equal(t, 1, r.owed())
	require.NoError(t, r.hub.spool.Close())
	r.unheardAt(0)

	again := newRigOf(t, setup{homes: 1, fs: fs, edit: func(s *realm.Set) {
		s.Homes[0].Acct = addrOf(r.accts[0])
	}})
	again.accts[0] = r.accts[0]
	for range 2 { // as often as it takes
		assert.Equal(t, 1, again.forwardOwed())
		assert.Equal(t, rest(first.Packet), rest(again.atAcct(0).Packet))
		again.pass(31 * time.Second)
		again.unheardAt(0)
		assert.Equal(t, 1, again.owed())
	}
	again.forwardOwed()
	again.atAcct(0).answer(layeh.CodeAccountingResponse)
	assert.Equal(t, 1, again.value("roamgate_acct_forwarded_later_total"))
	again.silent()
	again.until("the marker is gone", func() bool { return again.owed() == 0 })
	again.clean()
}

// A record of a NAI without a realm finds its rule again.
func TestOwedWithoutRealm(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) {
		s.Routes = append(s.Routes, realm.Route{Realm: realm.NameNone, Index: 4, Auth: 0, Acct: 0, Acknowledge: realm.AcknowledgeDurable})
	})
	r.report(acctStop("bob", "s"))
	r.recorded(1)
	r.pass(31 * time.Second)
	r.unheardAt(0)
	r.forwardOwed()
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	assert.Equal(t, 1, r.value("roamgate_acct_forwarded_later_total"))
	r.clean()
}

// Records whose rule, home or room is gone stay owed.
func TestOwedStays(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(r *rig)
	}{
		{"no rule", func(r *rig) { r.apply(func(s *realm.Set) { s.Routes = nil }) }},
		{"no pool", func(r *rig) { r.apply(func(s *realm.Set) { s.Routes[1].Acct = -1 }) }},
		{"no home", func(r *rig) { r.apply(func(s *realm.Set) { s.Homes[0].Disabled = true }) }},
		{"no room", func(r *rig) { r.shard.slab.max = 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			r.report(acctStop("bob@a.iot.example", "s"))
			r.recorded(1)
			r.pass(31 * time.Second)
			tt.change(r)
			r.forwardOwed()
			r.settleDown()
			assert.Equal(t, 1, r.owed())
			assert.Zero(t, r.hub.later.underway, "it has come back")
			r.clean()
		})
	}
}

// What this configuration makes of a request says nothing of the homes: such a
// record waits, and those behind it are sent as fast as before.
func TestOwedByItsName(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *realm.Set)
	}{
		{"nothing is left of it", func(s *realm.Set) { s.Routes[0].Rewrite = &realm.Rewrite{Strip: true} }},
		{"its client may not name that operator any more", func(s *realm.Set) { s.Clients[0].OperatorName = realm.OperatorCheck }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, func(s *realm.Set) { s.Routes[0].Acknowledge = realm.AcknowledgeDurable })
			r.report(acctStop("@home.example", "s", with(126, "1other.example")))
			r.recorded(1)
			r.pass(31 * time.Second)
			r.unheardAt(0)
			r.apply(tt.change)
			assert.Equal(t, 1, r.forwardOwed())
			r.quietHome(0)
			r.settleDown()
			assert.Equal(t, 1, r.owed())
			require.NoError(t, r.hub.settleOwed(r.now))
			require.NotEmpty(t, r.hub.later.lanes)
			for _, on := range r.hub.later.lanes {
				assert.Equal(t, firstLimit, on.limit)
			}
			r.clean()
		})
	}
}

// What is no record does not stand in the way of the others.
func TestOwedGarbage(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 4096 }})
	const owed = laterChunk + 10
	var done collector
	done.Add(1)
	b := r.hub.spool.NewBatch()
	for range owed {
		b.Add(0, []byte("no record"), true)
		r.hub.later.debts.enter(unreadable, false)
	}
	require.True(t, r.hub.spool.Submit(b, &done))
	done.Wait()
	r.until("nothing is owed", func() bool { r.forwardOwed(); r.now += laneAgain; return r.owed() == 0 })
	assert.Equal(t, owed, r.value("roamgate_acct_dead_records", "reason", "unreadable"))
	r.paid()
	r.clean()
}

// paid asserts that no session is taken to owe anything.
func (r *rig) paid() {
	r.t.Helper()
	for i := range r.hub.later.debts {
		if v := r.hub.later.debts[i].Load(); v != 0 {
			r.t.Fatal("a session is left with a count")
		}
	}
}

type collector struct{ sync.WaitGroup }

func (c *collector) SpoolDone(*spool.Batch) { c.Done() }

// A record goes where it was taken for, whatever the time is by then; where
// that route is gone its realm counts, if that is open to the client.
func TestOwedByItsRoute(t *testing.T) {
	until := time.Date(2026, 3, 1, 12, 0, 10, 0, time.UTC)
	durable := realm.AcknowledgeDurable
	r := newRig(t, 2, func(s *realm.Set) {
		second := s.Pools[0]
		second.Name, second.Members = "second", []realm.Member{{Home: 1, Weight: 1}}
		s.Pools[0].Members = s.Pools[0].Members[:1]
		s.Pools = append(s.Pools, second)
		s.Groups = []*realm.Group{{Name: "own", Kind: realm.Own}}
		s.Routes = append(s.Routes,
			realm.Route{Realm: "trial.example", Name: "trial", Rank: 1, Index: 4, Auth: 1, Acct: 1, Acknowledge: durable,
				When: &realm.Condition{During: []realm.Window{{End: until}}}},
			realm.Route{Realm: "trial.example", Index: 5, Auth: 0, Acct: 0, Acknowledge: durable})
	})
	b := r.report(acctStop("bob@trial.example", "s"))
	r.recorded(1)
	r.got(b)
	assert.Equal(t, "trial", r.records()[0].Route)
	owedAt := func(home int) {
		t.Helper()
		r.pass(31 * time.Second)
		r.unheardAt(0)
		r.unheardAt(1)
		require.Equal(t, 1, r.owed())
		if home < 0 {
			assert.Zero(t, r.forwardOwed())
			r.quietHome(0)
			r.quietHome(1)
			return
		}
		assert.Equal(t, 1, r.forwardOwed())
		r.atAcct(home)
		r.quietHome(1 - home)
	}
	owedAt(1)
	r.apply(func(s *realm.Set) { s.Homes[1].Realms = realm.NewNames([]string{"other.example"}) })
	owedAt(-1)
	r.apply(func(s *realm.Set) { s.Homes[1].Realms = nil })
	owedAt(1)
	r.apply(func(s *realm.Set) {
		s.Routes = append(s.Routes[:4:4], s.Routes[5])
		s.Routes[4].Index = 4
	})
	owedAt(0)
	r.apply(func(s *realm.Set) { s.Routes[4].For = &realm.Scope{Groups: s.Groups} })
	owedAt(-1)
	r.apply(func(s *realm.Set) { s.Clients[0].Group = s.Groups[0] })
	owedAt(0)
	r.pass(31 * time.Second)
	r.unheardAt(0)
	r.forwardOwed()
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	r.until("the marker is gone", func() bool { return r.owed() == 0 })
	r.clean()
}

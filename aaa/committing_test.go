package aaa

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2866"

	"github.com/roamgate/roamgate/aaa/listen"
)

// aged is one event reported again under another Identifier.
func aged(t tester, name string, id byte) []byte {
	return encode(t, acctStop(name, "s", withID(id), with32(55, 1_772_366_000), with32(rfc2866.AcctDelayTime_Type, uint32(id))), false)
}

// held is a rig whose disk syncs nothing until release.
func held(t *testing.T, o setup) (r *rig, release func()) {
	gate, open := make(chan struct{}), make(chan struct{})
	close(open)
	disk := &slowDisk{FS: vfs.NewMem()}
	disk.let.Store(&open)
	o.fs = disk
	r = newRigOf(t, o)
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	disk.let.Store(&gate)
	return r, release
}

// A repetition under another Identifier that comes while the first is on its
// way to the disk waits for it, in whatever batch it came, and is answered
// with it: each once, with one record (acceptance row 7).
func TestRepetitionWaitsForTheCommit(t *testing.T) {
	for _, tt := range []struct {
		name   string
		realm  string
		gather bool // all in one batch
	}{
		{"in one batch", "local.example", true},
		{"behind it", "local.example", false},
		{"with a home", "a.iot.example", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, release := held(t, setup{homes: 1})
			from := addrOf(r.nas)
			var asked [][]byte
			for id := range byte(4) {
				b := aged(t, "bob@"+tt.realm, id)
				asked = append(asked, b)
				r.inject(listen.Acct, b, from)
				if !tt.gather {
					r.turn(0)
				}
			}
			r.settleDown()
			r.silent()
			assert.Equal(t, len(asked), r.shard.slab.used, "they wait")
			release()
			r.recorded(1)
			r.settleDown()
			answered := map[byte]bool{}
			for range asked {
				b := r.raw()
				require.Less(t, int(b[1]), len(asked))
				assert.True(t, layeh.IsAuthenticResponse(b, asked[b[1]], []byte(visitedSecret)))
				assert.False(t, answered[b[1]], "answered twice")
				answered[b[1]] = true
			}
			r.silent()
			assert.Len(t, r.records(), 1)
			assert.Equal(t, len(asked)-1, r.value("roamgate_acct_waited_total"))
			assert.Equal(t, len(asked)-1, r.value("roamgate_acct_packets_total", "result", "duplicate"))
			assert.Equal(t, 1, r.value("roamgate_acct_packets_total", "result", "recorded"))
			if tt.realm != "local.example" {
				r.atAcct(0).answer(layeh.CodeAccountingResponse)
			}
			r.clean()
		})
	}
}

// The first copy may be in another shard's hands. The repetition goes through
// the spool until that shard has said what became of it.
func TestRepetitionOfAnotherShardsRecord(t *testing.T) {
	for _, tt := range []struct {
		name   string
		then   func(r *rig, ex *Exchange)
		result string
		stored int
	}{
		{"durable there", func(r *rig, ex *Exchange) { r.hub.events.Settle(ex.event, ex.content, 7) }, "duplicate", 0},
		{"refused there", func(r *rig, ex *Exchange) { r.hub.events.Abandon(ex.event, ex.content) }, "recorded", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			b := aged(t, "bob@local.example", 1)
			r.inject(listen.Acct, b, addrOf(r.nas))
			r.recorded(1) // only to learn its event
			r.got(b)
			var ex Exchange
			ex.event, ex.content = r.records()[0].Key, r.shard.hasher.Content(b)
			other := newRig(t, 1, nil)
			other.hub.events.Claim(ex.event, ex.content, r.wall/1e9)
			b = aged(t, "bob@local.example", 2)
			other.offer(listen.Acct, b)
			other.until("it has gone round", func() bool { return other.inFlight().turns > 2 })
			other.silent()
			tt.then(other, &ex)
			other.until("it has ended", func() bool { return other.shard.slab.used == 0 })
			assert.Equal(t, layeh.CodeAccountingResponse, other.got(b).Code)
			other.silent()
			assert.EqualValues(t, tt.stored, other.hub.spool.Last())
			assert.Equal(t, 1, other.value("roamgate_acct_packets_total", "result", tt.result))
			other.clean()
		})
	}
}

// A claim that nobody settles keeps no repetition for ever.
func TestRepetitionOfALostClaim(t *testing.T) {
	r := newRig(t, 1, nil)
	b := aged(t, "bob@local.example", 1)
	r.offer(listen.Acct, b)
	r.recorded(1)
	r.got(b)
	lost := newRig(t, 1, nil)
	lost.hub.events.Claim(r.records()[0].Key, r.shard.hasher.Content(b), r.wall/1e9)
	lost.offer(listen.Acct, b)
	lost.inFlight().turns = maxTurns - 2
	lost.until("it is given up", func() bool { return lost.shard.slab.used == 0 })
	lost.silent()
	assert.Equal(t, 1, lost.value("roamgate_acct_packets_total", "result", "refused"))
	assert.Equal(t, 1, dropped.count(lost, SpoolUnavailable))
	lost.clean()
}

// Where the spool fails, nobody who waits is answered and nothing is left.
func TestRepetitionsOfARefusedRecord(t *testing.T) {
	r, release := held(t, setup{homes: 1})
	for id := range byte(3) {
		r.inject(listen.Acct, aged(t, "bob@a.iot.example", id), addrOf(r.nas))
		r.turn(0)
	}
	closed := make(chan error)
	go func() { closed <- r.hub.spool.Close() }()
	id := byte(3)
	r.until("the spool closes", func() bool {
		id++
		r.inject(listen.Acct, aged(t, "bob@a.iot.example", id), addrOf(r.nas))
		r.turn(0)
		return r.value("roamgate_acct_packets_total", "result", "refused") > 0
	})
	release()
	require.NoError(t, <-closed)
	r.until("nothing is left", func() bool {
		done := true
		r.each(func(ex *Exchange) { done = done && !ex.waits && (!ex.toSpool || ex.onDisk) })
		return done
	})
	assert.Zero(t, r.value("roamgate_panics_recovered_total"))
}

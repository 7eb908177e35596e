package aaa

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
)

// records reads all that is durable.
func (r *rig) records() (all []accounting.Record) {
	r.t.Helper()
	require.NoError(r.t, r.hub.spool.Read(1, func(_ uint64, b []byte) bool {
		rec, err := accounting.Decode(append([]byte(nil), b...))
		require.NoError(r.t, err)
		all = append(all, rec)
		return true
	}))
	return all
}

// stopped reports a Stop that ends here and is acknowledged.
func (r *rig) stopped(p *layeh.Packet) {
	r.t.Helper()
	n := int(r.hub.spool.Last())
	b := r.report(p)
	r.recorded(n)
	r.until("the exchange has ended", func() bool { return r.shard.slab.used == 0 })
	assert.Equal(r.t, layeh.CodeAccountingResponse, r.got(b).Code)
}

// slowDisk syncs only while it is let.
type slowDisk struct {
	vfs.FS
	let atomic.Pointer[chan struct{}]
}

type slowFile struct {
	vfs.File
	disk *slowDisk
}

func (d *slowDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return &slowFile{f, d}, err
}

func (f *slowFile) Sync() error     { <-*f.disk.let.Load(); return f.File.Sync() }
func (f *slowFile) SyncData() error { <-*f.disk.let.Load(); return f.File.SyncData() }

// C14: no Accounting-Response before the record is on the disk, whatever the
// home says and whatever the mode.
func TestC14NotBeforeDurable(t *testing.T) {
	for _, name := range []string{"home.example", "a.iot.example", "local.example", "nowhere.example"} {
		t.Run(name, func(t *testing.T) {
			gate, open := make(chan struct{}), make(chan struct{})
			close(open)
			disk := &slowDisk{FS: vfs.NewMem()}
			disk.let.Store(&open)
			r := newRigOf(t, setup{homes: 1, fs: disk})
			release := sync.OnceFunc(func() { close(gate) })
			t.Cleanup(release)
			disk.let.Store(&gate)
			b := r.report(acctStop("bob@"+name, "s"))
			if name == "home.example" || name == "a.iot.example" {
				r.atAcct(0).answer(layeh.CodeAccountingResponse)
			}
			r.settleDown()
			r.silent()
			r.offer(listen.Acct, b)
			r.silent()
			assert.Equal(t, 1, r.shard.slab.used, "a repetition waits with the first")
			release()
			r.recorded(1)
			r.until("the exchange has ended", func() bool { return r.shard.slab.used == 0 })
			assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
			r.clean()
		})
	}
}

// C16: an Accounting-Request with a wrong or a zero authenticator vanishes,
// one with a Message-Authenticator beside a right one is served (R113).
func TestC16RequestAuthenticator(t *testing.T) {
	r := newRig(t, 1, nil)
	good := encode(t, acctStop("bob@local.example", "s"), false)
	wrong := spoil(append([]byte(nil), good...), 7)
	zero := append([]byte(nil), good...)
	clear(zero[4:20])
	r.offer(listen.Acct, wrong)
	r.offer(listen.Acct, zero)
	r.silent()
	assert.Equal(t, 2, dropped.count(r, BadRequestAuthenticator))
	assert.Zero(t, r.hub.spool.Last())

	b := encode(t, acctStop("bob@home.example", "s2"), true)
	r.offer(listen.Acct, b)
	h := r.atAcct(0)
	assert.Empty(t, values(h.Packet, 80), "many servers drop accounting with one")
	h.answer(layeh.CodeAccountingResponse)
	r.recorded(1)
	r.until("the exchange has ended", func() bool { return r.shard.slab.used == 0 })
	assert.Empty(t, values(r.got(b), 80))
	r.clean()
}

// C17: what does not belong into accounting reaches neither the home nor the
// record (R119).
func TestC17Credentials(t *testing.T) {
	r := newRig(t, 1, nil)
	b := r.report(acctStop("bob@home.example", "s", with(2, "hidden-password!"), with(3, "0chap-response16!"),
		with(24, "state"), with(18, "message"), withEAP(1), with(rfc2865.Class_Type, "kept")))
	h := r.atAcct(0)
	for _, gone := range []layeh.Type{2, 3, 24, 18, 79} {
		assert.Empty(t, values(h.Packet, gone), "attribute %d", gone)
	}
	assert.Equal(t, []string{"kept"}, values(h.Packet, rfc2865.Class_Type))
	h.answer(layeh.CodeAccountingResponse)
	r.recorded(1)
	r.until("the exchange has ended", func() bool { return r.shard.slab.used == 0 })
	r.got(b)
	rec := r.records()[0]
	assert.Equal(t, accounting.Credentials, rec.Quarantine)
	assert.NotContains(t, string(rec.Raw), "hidden-password!")
	assert.NotContains(t, string(rec.Raw), "chap-response")
}

// C18, R127: a session is client, NAS and Acct-Session-Id: the same id of two
// NAS is two sessions, and twice from one is one.
func TestC18SessionKey(t *testing.T) {
	r := newRig(t, 1, nil)
	nas := func(name string) *layeh.Packet {
		return acctStop("bob@local.example", "same", with(rfc2865.NASIdentifier_Type, name))
	}
	r.stopped(nas("one"))
	r.stopped(nas("two"))
	r.stopped(nas("one"))
	recs := r.records()
	require.Len(t, recs, 2)
	assert.NotEqual(t, recs[0].Key, recs[1].Key)
	assert.Equal(t, 1, r.value("roamgate_acct_packets_total", "result", "duplicate"))
	r.clean()
}

// C20, C39, C40, C29: what is recorded is the packet as it came: 64-bit
// counters, unknown attributes, Acct-Multi-Session-Id, an interim with every
// counter of a stop.
func TestC20Recorded(t *testing.T) {
	r := newRig(t, 1, nil)
	p := acctStop("bob@local.example", "s", odd, with(rfc2866.AcctMultiSessionID_Type, "roam"),
		with32(rfc2866.AcctInputOctets_Type, 7), with32(rfc2869.AcctInputGigawords_Type, 1),
		with32(rfc2866.AcctOutputOctets_Type, 9), with32(rfc2869.AcctOutputGigawords_Type, 2),
		with32(rfc2866.AcctSessionTime_Type, 600), with32(rfc2866.AcctInputPackets_Type, 11))
	require.NoError(t, rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_InterimUpdate))
	r.stopped(p)
	rec := r.records()[0]
	var e accounting.Event
	rec.ReadEvent(&e)
	assert.Equal(t, accounting.Interim, rec.Kind)
	assert.EqualValues(t, 1<<32+7, e.InputOctets)
	assert.EqualValues(t, 2<<32+9, e.OutputOctets)
	assert.EqualValues(t, 600, e.SessionTime)
	assert.Equal(t, "roam", string(e.MultiSessionID), "C29: by it the moves of one session are found")
	stored, err := layeh.Parse(rec.Raw, []byte(visitedSecret))
	require.NoError(t, err)
	assert.Equal(t, rest(p), rest(stored), "C40: nothing is lost")
	assert.Equal(t, "visited", rec.Client)
	assert.Equal(t, "DE", rec.Country)
	assert.Equal(t, addrOf(r.nas), rec.From)
}

// C21: neither time is rewritten, on the wire or in the record; a repetition
// that has only aged is the same event.
func TestC21EventTime(t *testing.T) {
	r := newRig(t, 1, nil)
	const at = 1_772_366_000
	stop := func(delay uint32) *layeh.Packet {
		return acctStop("bob@home.example", "s", with32(rfc2869.EventTimestamp_Type, at), with32(rfc2866.AcctDelayTime_Type, delay))
	}
	for delay := range uint32(3) {
		b := r.report(stop(delay))
		h := r.atAcct(0)
		assert.EqualValues(t, delay, rfc2866.AcctDelayTime_Get(h.Packet))
		assert.EqualValues(t, at, rfc2869.EventTimestamp_Get(h.Packet).Unix())
		h.answer(layeh.CodeAccountingResponse)
		r.recorded(1)
		r.until("the exchange has ended", func() bool { return r.shard.slab.used == 0 })
		r.got(b)
	}
	recs := r.records()
	require.Len(t, recs, 1, "one record of one event")
	assert.EqualValues(t, at, recs[0].Event)
	r.clean()
}

// What has no route, no session or no sense is evidence: kept, acknowledged,
// never billed (R071, R114-R118).
func TestQuarantined(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    *layeh.Packet
		why  accounting.Reason
	}{
		{"R071 unknown realm", acctStop("bob@nowhere.example", "s"), accounting.NoRoute},
		{"closed realm", acctStop("bob@closed.example", "s"), accounting.NoRoute},
		{"no NAI", acctStop("a@b@local.example", "s"), accounting.NoRoute},
		{"R114 without User-Name", acctStop("", "s"), accounting.NoIdentity},
		{"with Class only", acctStop("", "s", with(25, "c")), accounting.NoRoute},
		{"R115 without Acct-Session-Id", acctStop("bob@local.example", ""), accounting.NoSessionID},
		{"R116 without Acct-Status-Type", acctStop("bob@local.example", "s", func(p *layeh.Packet) { p.Del(40) }), accounting.NoStatusType},
		{"R117 status 0", acctStop("bob@local.example", "s", func(p *layeh.Packet) { p.Del(40) }, with32(40, 0)), accounting.BadStatusType},
		{"R118 status of one octet", acctStop("bob@local.example", "s", func(p *layeh.Packet) { p.Del(40) }, with(40, "\x02")), accounting.BadStatusType},
		{"On", acctStop("", "", func(p *layeh.Packet) { p.Del(40) }, with32(40, 7)), accounting.NotQuarantined},
		{"Off", acctStop("", "", func(p *layeh.Packet) { p.Del(40) }, with32(40, 8)), accounting.NotQuarantined},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			r.stopped(tt.p)
			recs := r.records()
			require.Len(t, recs, 1)
			assert.Equal(t, tt.why, recs[0].Quarantine)
			if tt.why != accounting.NotQuarantined {
				assert.Equal(t, 1, r.value("roamgate_acct_quarantined_total", "reason", tt.why.String()))
			}
			r.quietHome(0)
			r.clean()
		})
	}
}

// The same event with other content is kept beside the first (R121).
func TestConflictIsKept(t *testing.T) {
	r := newRig(t, 1, nil)
	r.stopped(acctStop("bob@local.example", "s", with32(rfc2866.AcctInputOctets_Type, 5)))
	r.stopped(acctStop("bob@local.example", "s", with32(rfc2866.AcctInputOctets_Type, 6)))
	recs := r.records()
	require.Len(t, recs, 2)
	assert.Equal(t, recs[0].Key, recs[1].Key)
	assert.NotZero(t, recs[1].Flags&accounting.FlagConflict)
	assert.EqualValues(t, 1, recs[1].Other)
	assert.Equal(t, 1, r.value("roamgate_acct_packets_total", "result", "conflict"))
	r.clean()
}

// In `home` mode the client hears nothing until the home has answered, and
// may ask again as often as it likes.
func TestHomeModeWaitsForTheHome(t *testing.T) {
	r := newRig(t, 1, nil)
	b := r.report(acctStop("bob@home.example", "s", with32(rfc2869.EventTimestamp_Type, 1_772_366_000)))
	r.recorded(1)
	r.pass(31 * time.Second)
	r.silent()
	assert.Equal(t, 1, r.value("roamgate_responses_total", "kind", "acct", "result", "none"))
	for got, _ := read(t, r.accts[0], time.Millisecond); got != nil; got, _ = read(t, r.accts[0], time.Millisecond) {
	}
	r.offer(listen.Acct, b)
	r.silent()
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
	assert.Len(t, r.records(), 1)
	r.clean()
}

// C29: the moves of one session keep their Acct-Multi-Session-Id: it reaches
// the home as it came and stands in every record, so that they can be joined.
func TestC29MultiSessionID(t *testing.T) {
	r := newRig(t, 1, nil)
	view := &accounting.View{Hasher: accounting.NewHasher([]byte("0123456789abcdef"))}
	for i, session := range []string{"ap-1", "ap-2", "ap-3"} {
		b := r.report(acctStop(atHomeExa, session, with(rfc2866.AcctMultiSessionID_Type, "roam-7")))
		h := r.atAcct(0)
		assert.Equal(t, "roam-7", rfc2866.AcctMultiSessionID_GetString(h.Packet))
		h.answer(layeh.CodeAccountingResponse)
		r.recorded(i + 1)
		r.until("the exchange has ended", func() bool { return r.shard.slab.used == 0 })
		r.got(b)
	}
	recs := r.records()
	require.Len(t, recs, 3, "three sessions")
	for i := range recs {
		assert.Contains(t, string(recs[i].AppendJSON(nil, view)), `"multi_session_id":"roam-7"`)
	}
	r.clean()
}

// A report that the client has given up for another one is counted once,
// however its home takes it.
func TestDisplacedReportIsCountedOnce(t *testing.T) {
	r := newRig(t, 1, nil)
	r.report(acctStop("bob@home.example", "old", withID(7)))
	r.report(acctStop("bob@home.example", "new", withID(7)))
	r.recorded(2)
	for range 20 {
		r.pass(10 * time.Second)
	}
	assert.Equal(t, 1, dropped.count(r, Displaced))
	assert.Equal(t, 1, r.value("roamgate_responses_total", "kind", "acct", "result", "none"))
	r.silent()
	r.clean()
}

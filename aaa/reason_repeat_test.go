package aaa

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting/spool"
)

func repeatedRequests() []provocation {
	// No home holds more than half of the slots, so two of them fill the slab.
	small := setup{homes: 2, conf: func(c *Config) { c.InFlight = 16 }}
	return []provocation{
		{name: "R092 while pending", why: ConflictingDuplicate, place: dropped, what: conflict(false)},
		{name: "R092 after the answer", why: ConflictingDuplicate, place: dropped, what: conflict(true)},
		{name: "same identifier, new authenticator", why: Displaced, place: dropped, what: displace},
		{name: "new conversations", why: Overload, place: dropped, setup: small, what: overload},
		{name: "one sends most of it", why: ClientShare, place: place{"roamgate_dropped_total", "client", "loud"}, setup: setup{edit: withLoud}, what: screaming},
		{name: "half of the slots", why: HomeBusy, place: dropped, setup: setup{conf: func(c *Config) { c.InFlight = 16 }}, what: halfOfTheSlots},
		{name: "all", why: Overload, place: dropped, count: 2, setup: small, what: overloadAll},
	}
}

// conflict sends the same authenticator over other octets.
func conflict(answered bool) func(*rig) {
	return func(r *rig) {
		p := access(atHomeExa, withID(9))
		sent := r.ask(p)
		h := r.atHome(0)
		if answered {
			h.answer(layeh.CodeAccessAccept)
			r.got(sent)
		}
		q := access(atHomeExa, withID(9), with(rfc2865.NASIdentifier_Type, "other"))
		q.Authenticator = p.Authenticator
		r.ask(q)
		r.silent()
		r.quietHome(0)
		assert.Equal(r.t, 1, r.value("roamgate_duplicates_total", "action", "conflict"))
		if !answered {
			h.answer(layeh.CodeAccessAccept)
			r.got(sent)
		}
	}
}

func displace(r *rig) {
	r.ask(access(atHomeExa, withID(9)))
	first := r.atHome(0)
	sent := r.ask(access(atHomeExa, withID(9)))
	second := r.atHome(0)
	first.answer(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "old"))
	r.silent()
	second.answer(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "new"))
	assert.Equal(r.t, "new", rfc2865.Class_GetString(r.got(sent)))
}

// overload fills the slab up to its reserve; what continues a conversation is
// served, and so are repetitions, which need no room.
func overload(r *rig) {
	var sent [][]byte
	var at []*heard
	ask := func(edits ...edit) {
		sent = append(sent, r.ask(access(atHomeExa, edits...)))
		at = append(at, r.atHome(len(at)/8))
	}
	first := r.ask(access(atHomeExa))
	r.atHome(0).answer(layeh.CodeAccessAccept)
	answer := r.got(first)
	for range 14 {
		ask()
	}
	r.ask(access(atHomeExa))
	r.silent()
	r.quietHome(0)
	r.quietHome(1)
	ask(with(rfc2865.State_Type, "conversation"))
	r.offer(listen.Auth, first)
	assert.Equal(r.t, answer.Attributes, r.got(first).Attributes, "a repetition is answered under overload too (C32)")
	for i, h := range at {
		h.answer(layeh.CodeAccessAccept)
		r.got(sent[i])
	}
}

// overloadAll: money and conversations are served from the reserve, until
// nothing is left.
func overloadAll(r *rig) {
	var sent [][]byte
	for range 14 {
		sent = append(sent, r.ask(access(atHomeExa)))
	}
	stops := [][]byte{r.report(acctStop(atHomeExa, "1")), r.report(acctStop(atHomeExa, "2"))}
	r.report(acctStop(atHomeExa, "3"))
	r.ask(access(atHomeExa, with(rfc2865.State_Type, "conversation")))
	r.recorded(2)
	for i := range stops {
		r.atAcct(0).answer(layeh.CodeAccountingResponse)
		r.got(stops[i])
	}
	for i := range sent {
		r.atHome(i / 8).answer(layeh.CodeAccessAccept)
		r.got(sent[i])
	}
	r.silent()
	assert.EqualValues(r.t, 2, r.hub.spool.Last())
}

// halfOfTheSlots: what one home holds leaves room for the others, whatever
// comes for it. Its client is not answered and may ask again.
func halfOfTheSlots(r *rig) {
	var sent [][]byte
	for range 8 {
		sent = append(sent, r.ask(access(atHomeExa)))
	}
	over := r.ask(access(atHomeExa))
	r.silent()
	for i := range sent {
		r.atHome(0).answer(layeh.CodeAccessAccept)
		r.got(sent[i])
	}
	r.quietHome(0)
	r.offer(listen.Auth, over)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(over)
}

// brokenDisk fails every sync once told to.
type brokenDisk struct {
	vfs.FS
	broken atomic.Bool
}

type brokenFile struct {
	vfs.File
	disk *brokenDisk
}

var errDisk = errors.New("no sync today")

func (d *brokenDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return &brokenFile{f, d}, err
}

func (d *brokenDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, c)
	return &brokenFile{f, d}, err
}

func (f *brokenFile) try(do func() error) error {
	if f.disk.broken.Load() {
		return errDisk
	}
	return do()
}

func (f *brokenFile) Sync() error     { return f.try(f.File.Sync) }
func (f *brokenFile) SyncData() error { return f.try(f.File.SyncData) }
func (f *brokenFile) SyncTo(n int64) (full bool, err error) {
	err = f.try(func() error { full, err = f.File.SyncTo(n); return err })
	return full, err
}

func accountingTrouble() []provocation {
	commit, full := &brokenDisk{FS: vfs.NewMem()}, &brokenDisk{FS: vfs.NewMem()}
	return []provocation{
		{name: "a commit fails", why: SpoolUnavailable, place: dropped, setup: setup{fs: commit}, broken: true, what: func(r *rig) {
			commit.broken.Store(true)
			r.report(acctStop(atHomeExa, "s"))
			r.until("the commit fails", func() bool { return r.hub.spool.State() == spool.Failed && r.shard.slab.used == 0 })
			r.silent()
		}},
		{name: "it takes no more", why: SpoolUnavailable, place: dropped, count: 3, setup: setup{fs: full}, broken: true, what: refusingSpool(full)},
	}
}

// refusingSpool: accounting is no longer acknowledged, authentication goes on.
func refusingSpool(disk *brokenDisk) func(*rig) {
	return func(r *rig) {
		disk.broken.Store(true)
		r.report(acctStop(atHomeExa, "s"))
		r.until("the spool fails", func() bool { return r.shard.slab.used == 0 })
		b := r.report(acctStop("x@a.iot.example", "s2"))
		r.settleDown()
		r.silent()
		sent := r.ask(access(atHomeExa))
		r.atHome(0).answer(layeh.CodeAccessAccept)
		assert.Equal(r.t, layeh.CodeAccessAccept, r.got(sent).Code)
		assert.Zero(r.t, r.shard.slab.used)
		assert.Equal(r.t, 2, r.value("roamgate_responses_total", "kind", "acct", "result", "none"))
		r.offer(listen.Acct, b)
		r.silent()
		require.Zero(r.t, r.value("roamgate_duplicates_total"), "a repetition is tried again")
	}
}

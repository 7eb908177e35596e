package aaa

import (
	"context"
	"path"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/accounting/spool"
)

// tightDisk refuses a write while it is full, until the spool has given up
// its ballast, and has no room then either.
type tightDisk struct {
	vfs.FS
	full atomic.Bool
	room atomic.Uint64
}

type tightFile struct {
	vfs.File
	d *tightDisk
}

func (f tightFile) Write(b []byte) (int, error) {
	if f.d.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(b)
}

func (d *tightDisk) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return tightFile{f, d}, nil
}

func (d *tightDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(d.FS.Create(name, c))
}

func (d *tightDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(d.FS.ReuseForWrite(from, to, c))
}

func (d *tightDisk) Remove(name string) error {
	if path.Base(name) == "ballast" {
		d.full.Store(false)
	}
	return d.FS.Remove(name)
}

func (d *tightDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.room.Load()}, nil
}

// F17: a full disk stops forwarding only for as long as it is full. What the
// homes have said meanwhile is kept, and so is the count of each session.
func TestForwardingSurvivesAFullDisk(t *testing.T) {
	disk := &tightDisk{FS: vfs.NewMem()}
	disk.room.Store(1 << 40)
	r := newRigOf(t, setup{homes: 1, fs: disk})
	r.refusedByHome("dead")
	b := r.report(acctStop("bob@a.iot.example", "s"))
	r.recorded(2)
	r.got(b)
	r.atAcct(0).answer(layeh.CodeAccountingResponse)
	r.settleDown()

	disk.full.Store(true)
	disk.room.Store(0)
	done := make(letters, 1)
	last := r.hub.spool.NewBatch()
	last.Add(0, []byte("what meets the full disk"), false)
	if r.hub.spool.Submit(last, done) { // unless the spool has noticed by itself
		<-done
	}
	require.ErrorIs(t, r.hub.spool.Trim(1), spool.ErrNoSpace)

	for range 3 {
		assert.Equal(t, 1, r.owed(), "not forgotten, and no failure")
	}
	r.command(func(ctx context.Context) {
		_, err := r.hub.Revive(ctx, Selection{All: true})
		assert.ErrorIs(t, err, spool.ErrNoSpace)
	})
	disk.room.Store(1 << 40)
	r.until("the disk has room again", func() bool { return r.owed() == 0 })
	r.paid()
	r.clean()
}

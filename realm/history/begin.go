package history

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// Beginning is what a hub starts with.
type Beginning struct {
	Set      *realm.Set
	Problems file.Problems
	// Why says in words that it is not the files as they are, "" that it is.
	Why string

	files file.Texts // nil: from the history
	disk  Hash
	entry *Entry // to be written
	trial Entry  // that goes on
	held  bool
}

// Begin chooses what to start with: the files of dir, or, where they wait for
// somebody to take them or were left, what the history says was in use. Where
// nothing can be used the Problems or the error say why. It needs no Store and
// changes nothing.
func Begin(o Options, now time.Time) (*Beginning, error) {
	b := &Beginning{}
	log, err := Read(o.History)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files, ps := file.ReadTexts(o.Dir)
	if !ps.Failed() {
		b.disk = hashOf(files)
	}
	last := log.last()
	lost := log.newest()
	if lost != nil && last == nil && o.Manual {
		return nil, fmt.Errorf("what was in use cannot be read (routing.apply: auto would take the files as they are): %s: %s", filepath.Join(o.History, lost.Path), lost.Text)
	}
	if last == nil || !o.Manual && !log.keeps(b.disk) {
		return b.fromDisk(o, files, ps, last, now), nil
	}
	h, why := last.Hash, ""
	switch {
	case last.onTrial() && !now.Before(last.Until):
		h, why = last.Base, "nobody confirmed "+last.Hash.String()+" until "+last.Until.UTC().Format(time.RFC3339)
		b.entry = &Entry{Time: now, Hash: h, How: Unconfirmed, Left: last.Hash, Why: why}
	case last.onTrial():
		b.trial = *last
	case !o.Manual && last.How.back():
		why = "the files as they are were left"
	case o.Manual && b.disk != h:
		why = "the files as they are wait for roamgate apply"
	}
	err = b.version(o, h, files)
	if err != nil && b.entry != nil { // what was on trial is better than nothing
		if b.version(o, last.Hash, files) == nil {
			b.Why = fmt.Sprintf("%s, and going back is not possible: %s: version %s stays in use", why, err, last.Hash)
			b.entry, b.held = nil, b.disk != last.Hash
			return b, nil
		}
	}
	switch {
	case err == nil:
		if b.held = b.disk != h; b.held {
			b.Why = strings.TrimPrefix(why+": version "+h.String()+" of the history is in use", ": ")
		}
		if lost != nil {
			b.Why = strings.TrimPrefix(b.Why+"; what was in use last cannot be read ("+lost.Path+": "+lost.Text+"): version "+h.String()+" was before it", "; ")
		}
		return b, nil
	case o.Manual:
		return nil, fmt.Errorf("the version that was in use cannot be used (routing.apply: auto would take the files as they are): %w", err)
	}
	// In automatic mode the files are better than no hub.
	b.entry, b.trial = nil, Entry{}
	return b.fromDisk(o, files, ps, last, now), nil
}

// version loads a version from the disk, where it is the files as they are,
// or from the history.
func (b *Beginning) version(o Options, h Hash, disk file.Texts) error {
	if h == b.disk {
		b.files = disk
		b.Set, b.Problems = disk.Load(o.Dir, o.Env)
		return b.Problems.Err()
	}
	kept, err := Version(o.History, h)
	if err != nil {
		return err
	}
	set, ps := kept.Load(o.Dir, o.Env)
	b.Set = set
	return ps.Err()
}

// keeps reports whether in automatic mode something else than the files on
// disk is to be used, or they are on trial. Who goes back twice has left two
// versions.
func (l *Log) keeps(disk Hash) bool {
	if last := l.last(); last.onTrial() {
		return disk == last.Hash
	}
	for i := len(l.Entries) - 1; i >= 0 && l.Entries[i].How.back(); i-- {
		if disk == l.Entries[i].Left {
			return true
		}
	}
	return false
}

// newest is a damaged entry behind all that can be read.
func (l *Log) newest() *Damage {
	for i := range l.Damaged {
		n, ok := l.Damaged[i].number()
		if last := l.last(); ok && (last == nil || n > last.Number) {
			return &l.Damaged[i]
		}
	}
	return nil
}

func (b *Beginning) fromDisk(o Options, files file.Texts, ps file.Problems, last *Entry, now time.Time) *Beginning {
	if ps.Failed() {
		b.Problems = ps
		return b
	}
	b.files = files
	b.Set, b.Problems = files.Load(o.Dir, o.Env)
	if b.Set == nil || last != nil && last.Hash == b.disk && !last.onTrial() {
		return b
	}
	b.entry = &Entry{Time: now, Hash: b.disk, How: Start}
	if last != nil {
		b.entry.Left = last.Hash
		if last.onTrial() && now.Before(last.Until) { // newer files, and still nobody has confirmed
			b.entry.Until, b.entry.Base = last.Until, last.Base
			b.trial = *b.entry
		}
	}
	return b
}

// New writes down what the hub began with and returns its Control.
func New(o Options, b *Beginning, now time.Time) (*Control, error) {
	if b.Set == nil {
		return nil, errors.New("there is nothing to begin with")
	}
	c := &Control{opt: o}
	c.now = State{Manual: o.Manual, Hash: Hash(b.Set.Hash), Disk: b.disk, Held: b.held}
	c.running.Store(b.Set)
	if err := c.started(b); err != nil {
		c.now.Failed = err.Error()
		c.report("", err)
	}
	if b.trial.onTrial() {
		c.now.Trial = Trial{Since: b.trial.Time, Until: b.trial.Until, Base: b.trial.Base}
	}
	c.publish()
	return c, nil
}

// started writes down what the hub began with. A hub that cannot is better
// than none.
func (c *Control) started(b *Beginning) error {
	if b.files != nil {
		if err := c.opt.Store.Keep(b.files); err != nil {
			return err
		}
	}
	if b.entry == nil {
		return nil
	}
	if b.entry.How == Unconfirmed {
		c.now.Back[NotConfirmed]++
		c.now.Why = b.entry.Why
	}
	_, err := c.opt.Store.Append(*b.entry)
	return err
}

// hasPrefix reports whether people may mean the version.
func hasPrefix(h Hash, name string) bool {
	return len(name) >= minPrefix && strings.HasPrefix(h.Whole(), strings.ToLower(name))
}

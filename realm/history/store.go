package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/roamgate/roamgate/realm/file"
)

const (
	entriesDir  = "entries"
	versionsDir = "versions"
	lockFile    = "lock"
	unfinished  = ".new-" // what a crash leaves behind begins with it

	maxEntry   = 64 << 10 // octets of one
	maxEntries = 10_000
	// MinKeep is the least that is kept: what is in use and what was before.
	MinKeep = 2
	// MaxKeep bounds what the directory may hold.
	MaxKeep = maxEntries / 2
)

// Damage names what could not be read, and why.
type Damage struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// number is that of a damaged entry, false for what never was one.
func (d *Damage) number() (int, bool) { return numberOf(filepath.Base(d.Path)) }

// Log is what a directory tells.
type Log struct {
	Entries []Entry  `json:"entries"` // the oldest first
	Damaged []Damage `json:"damaged,omitempty"`
}

// Store is the directory of a hub that runs.
type Store struct {
	dir  string
	keep int
	lock *os.File
	log  Log
	next int
}

// ErrInUse says that another hub keeps its versions here.
var ErrInUse = errors.New("it is the history of another hub that runs")

// Open opens or makes the directory of a hub, which keeps so many entries.
func Open(dir string, keep int) (*Store, error) {
	s := &Store{dir: dir, keep: max(keep, MinKeep)}
	for _, d := range []string{entriesDir, versionsDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("making the history %s: %w", dir, cause(err))
		}
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the history %s: %w", dir, cause(err))
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("opening the history %s: %w", dir, err)
	}
	s.lock = lock
	if s.log, err = Read(dir); err != nil {
		_ = lock.Close()
		return nil, err
	}
	s.next = highest(filepath.Join(dir, entriesDir)) + 1
	s.tidy()
	return s, nil
}

// Close lets another hub open the directory.
func (s *Store) Close() error { return s.lock.Close() }

// Log is what is kept now. It must not be changed.
func (s *Store) Log() Log { return s.log }

// Last is the newest entry, nil where there is none.
func (s *Store) Last() *Entry { return s.log.last() }

func (l *Log) last() *Entry {
	if len(l.Entries) == 0 {
		return nil
	}
	return &l.Entries[len(l.Entries)-1]
}

// Read reads what a directory tells, without its versions.
func Read(dir string) (Log, error) {
	var l Log
	found, err := os.ReadDir(filepath.Join(dir, entriesDir))
	if err != nil {
		return l, fmt.Errorf("reading the history %s: %w", dir, cause(err))
	}
	for _, f := range found {
		number, ok := numberOf(f.Name())
		switch {
		case strings.HasPrefix(f.Name(), "."):
			continue
		case !ok:
			l.damaged(entriesDir, f.Name(), errors.New("it is no entry"))
			continue
		case len(l.Entries)+len(l.Damaged) >= maxEntries:
			l.damaged(entriesDir, f.Name(), fmt.Errorf("there are more than %d entries", maxEntries))
			return l, nil
		}
		e, err := readEntry(filepath.Join(dir, entriesDir, f.Name()))
		if err == nil && e.Number != number {
			err = fmt.Errorf("it says that it is entry %d", e.Number)
		}
		if err != nil {
			l.damaged(entriesDir, f.Name(), err)
			continue
		}
		l.Entries = append(l.Entries, e)
	}
	return l, nil
}

func (l *Log) damaged(dir, name string, err error) {
	l.Damaged = append(l.Damaged, Damage{Path: filepath.Join(dir, printable(name, maxWho)), Text: printable(err.Error(), maxComment)})
}

// The names of entries sort as their numbers do.
const digits = 9

func nameOf(number int) string { return fmt.Sprintf("%0*d.json", digits, number) }

func numberOf(name string) (n int, ok bool) {
	text, ok := strings.CutSuffix(name, ".json")
	if !ok || len(text) != digits {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// highest counts damaged entries too: none is written over.
func highest(dir string) (n int) {
	found, _ := os.ReadDir(dir)
	for _, f := range found {
		if number, ok := numberOf(f.Name()); ok {
			n = max(n, number)
		}
	}
	return n
}

func readEntry(path string) (e Entry, err error) {
	data, err := readBounded(path, maxEntry)
	if err != nil {
		return e, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&e); err != nil {
		return e, fmt.Errorf("it is no entry: %w", err)
	}
	switch {
	case d.More():
		return e, errors.New("it goes on behind its end")
	case e.Hash.IsZero():
		return e, errors.New("it names no version")
	case !slices.Contains(hows, e.How):
		return e, fmt.Errorf("how a version came into use is %q", printable(string(e.How), maxWho))
	case e.Guard < 0 || e.Guard > 100:
		return e, errors.New("its guard is out of range")
	}
	e.clean()
	return e, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	if info, err := os.Lstat(path); err != nil {
		return nil, cause(err)
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it has more than %d octets", limit)
	}
	return data, err
}

// Append writes an entry; its number is given here.
func (s *Store) Append(e Entry) (Entry, error) {
	e.Number = s.next
	e.clean()
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return e, fmt.Errorf("writing the history: %w", err)
	}
	dir := filepath.Join(s.dir, entriesDir)
	if err := writeWhole(dir, nameOf(e.Number), append(data, '\n')); err != nil {
		return e, fmt.Errorf("writing the history: %w", err)
	}
	s.next++
	s.log.Entries = append(slices.Clone(s.log.Entries), e)
	s.tidy()
	return e, nil
}

// Undo takes the newest entry back: its version did not come into use.
func (s *Store) Undo() error {
	last := s.Last()
	if last == nil {
		return nil
	}
	dir := filepath.Join(s.dir, entriesDir)
	if err := os.Remove(filepath.Join(dir, nameOf(last.Number))); err != nil {
		return fmt.Errorf("taking back an entry of the history: %w", cause(err))
	}
	s.log.Entries = s.log.Entries[:len(s.log.Entries)-1]
	return syncDir(dir)
}

// tidy removes what is beyond the number that is kept, and versions that no
// entry names. What cannot be removed now is tried again the next time.
func (s *Store) tidy() {
	entries := filepath.Join(s.dir, entriesDir)
	if over := len(s.log.Entries) - s.keep; over > 0 {
		for i := range s.log.Entries[:over] {
			_ = os.Remove(filepath.Join(entries, nameOf(s.log.Entries[i].Number)))
		}
		s.log.Entries = slices.Clone(s.log.Entries[over:])
		s.log.Damaged = slices.DeleteFunc(slices.Clone(s.log.Damaged), func(d Damage) bool {
			n, ok := d.number()
			return ok && n < s.log.Entries[0].Number && os.Remove(filepath.Join(s.dir, d.Path)) == nil
		})
	}
	damaged := slices.ContainsFunc(s.log.Damaged, func(d Damage) bool { _, ok := d.number(); return ok })
	named := map[string]bool{}
	for i := range s.log.Entries {
		e := &s.log.Entries[i]
		named[e.Hash.Whole()], named[e.Base.Whole()] = true, true
	}
	for _, dir := range []string{entries, filepath.Join(s.dir, versionsDir)} {
		found, _ := os.ReadDir(dir)
		for _, f := range found {
			var h Hash
			stale := strings.HasPrefix(f.Name(), unfinished)
			// A damaged entry may name any version: nothing is thrown away then.
			if h.UnmarshalText([]byte(f.Name())) == nil && dir != entries && !damaged {
				stale = stale || !named[f.Name()]
			}
			if stale {
				_ = os.RemoveAll(filepath.Join(dir, f.Name()))
			}
		}
	}
}

// cause is an error without the path, which stands before it.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// writeWhole writes a file so that it is there as a whole or not at all.
func writeWhole(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, unfinished+"*") // readable by its owner only
	if err != nil {
		return cause(err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return cause(err)
	}
	return syncDir(dir)
}

// syncDir makes names durable that were given in a directory.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return cause(err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// readTexts is file.ReadTexts with one error.
func readTexts(dir string) (file.Texts, error) {
	files, ps := file.ReadTexts(dir)
	for _, p := range ps {
		if p.Severity == file.Error {
			return nil, errors.New(p.Text)
		}
	}
	return files, nil
}

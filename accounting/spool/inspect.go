package spool

import (
	"path"
	"sort"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Inventory says what a spool holds, for people. Its JSON is a contract:
// fields are only added.
type Inventory struct {
	Node        string    `json:"node,omitempty"`
	Epoch       uint64    `json:"epoch"`
	First       uint64    `json:"first"`
	Last        uint64    `json:"last"`
	Watermark   uint64    `json:"watermark"`
	Delivered   uint64    `json:"delivered"`   // records that are kept and up to the watermark
	Undelivered uint64    `json:"undelivered"` // behind it
	Owed        uint64    `json:"owed"`        // to homes
	Dead        uint64    `json:"dead"`        // letters
	Cuts        uint64    `json:"cuts"`
	CutTo       uint64    `json:"cut_to"` // last record that is in a cut
	Lost        []Span    `json:"lost,omitempty"`
	Oldest      time.Time `json:"oldest,omitzero"`
	Bytes       int64     `json:"bytes"`
	Files       []File    `json:"files"`
}

// File is one file of a spool's directory.
type File struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
}

// Inventory counts what the open spool holds.
func (s *Spool) Inventory() (v Inventory, err error) {
	v = Inventory{Node: s.Node(), Epoch: s.Epoch(), First: s.First(), Last: s.Last(), Watermark: s.Watermark(), Lost: s.Lost()}
	total := v.Last + 1 - v.First
	for _, p := range v.Lost {
		total -= Span{max(p.First, v.First), p.Last}.Len()
	}
	v.Undelivered = v.Last - v.Watermark
	for _, p := range v.Lost {
		if p.Last > v.Watermark {
			v.Undelivered -= Span{max(p.First, v.Watermark+1), p.Last}.Len()
		}
	}
	v.Delivered = total - min(v.Undelivered, total)
	if t := s.Stats().Oldest; !t.IsZero() && total > 0 {
		v.Oldest = t
	}
	err = s.use(func() error {
		for prefix, n := range map[byte]*uint64{keyForward: &v.Owed, keyDead: &v.Dead} {
			if err := s.eachKey(prefix, func(_, _ []byte) error { *n++; return nil }); err != nil {
				return err
			}
		}
		return s.eachKey(keyCut, func(k, b []byte) error {
			c, err := decodeCut(k, b)
			v.Cuts++
			v.CutTo = max(v.CutTo, c.Last)
			return err
		})
	})
	if err != nil {
		return v, err
	}
	v.Files, err = Files(s.dir, s.o.FS)
	for _, f := range v.Files {
		v.Bytes += f.Bytes
	}
	return v, err
}

// eachKey walks all keys of a prefix.
func (s *Spool) eachKey(prefix byte, f func(k, v []byte) error) error {
	it, err := s.iter(prefix, 0, 0)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = f(it.Key(), it.Value())
	}
	if e := it.Close(); err == nil {
		err = damaged("reading", e)
	}
	return err
}

// Files lists the directory of a spool, which need not be whole; nil is the
// file system of the machine.
func Files(dir string, fs vfs.FS) ([]File, error) {
	if fs == nil {
		fs = vfs.Default
	}
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	files := make([]File, 0, len(names))
	for _, n := range names {
		st, err := fs.Stat(fs.PathJoin(dir, n))
		if err != nil {
			continue // gone since
		}
		files = append(files, File{Name: n, Kind: kindOf(n), Bytes: st.Size(), Modified: st.ModTime()})
	}
	return files, nil
}

const kindOther = "other"

// kindOf says what a file is by its name.
func kindOf(name string) string {
	switch {
	case path.Ext(name) == ".log":
		return "log"
	case path.Ext(name) == ".sst":
		return "table"
	case strings.HasPrefix(name, "MANIFEST-"), strings.HasPrefix(name, "marker."):
		return "manifest"
	case strings.HasPrefix(name, "OPTIONS-"):
		return "options"
	case strings.HasPrefix(name, witnessName):
		return "witness"
	case name == ballastName:
		return ballastName
	case name == "LOCK":
		return "lock"
	}
	return kindOther
}

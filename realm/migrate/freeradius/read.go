package freeradius

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

const (
	maxLine    = 8190 // octets of a line with its continuations, the original's own limit
	maxFiles   = 4096
	maxOctets  = 64 << 20
	maxItems   = 1 << 20
	maxNesting = 64 // of includes, and of sections
)

// Source is where the files are.
type Source struct {
	// Dir holds radiusd.conf.
	Dir string
	// Env gives variables of the environment that $ENV{} names; nil: none is
	// set.
	Env func(string) (string, bool)
}

// reader reads one configuration.
type reader struct {
	Source
	root    *Section
	files   []string        // in the order they were read
	loaded  map[string]bool // those that were named by themselves
	open    []string        // that include each other now
	octets  int
	items   int
	missing []string // variables of the environment that are not set
	unread  []*Pair  // $-INCLUDE of files that are not there
	several []string // directories of which several files were read: their order is not said
}

// Read reads radiusd.conf of a directory and everything that it includes, as
// FreeRADIUS 3.2 does.
func Read(src Source) (*Tree, error) {
	r := &reader{Source: src, loaded: map[string]bool{}}
	first := filepath.Join(src.Dir, "radiusd.conf")
	r.root = &Section{Name: "main", Pos: realm.Pos{File: first, Line: 1, Col: 1}}
	r.root.Items = []Item{{Pair: &Pair{Name: "confdir", Value: filepath.Clean(src.Dir), Op: ":="}}}
	if err := r.begin(first); err != nil {
		return nil, err
	}
	if err := r.resolve(r.root); err != nil {
		return nil, err
	}
	return &Tree{Root: r.root, Files: r.files, Missing: r.missing, Unread: r.unread, Several: r.several}, nil
}

// Tree is a configuration that was read.
type Tree struct {
	Root    *Section
	Files   []string
	Missing []string // variables of the environment that were empty
	Unread  []*Pair  // optional includes that are not there
	Several []string // directories whose files have no order of their own
}

// alone are the files of a directory that has no radiusd.conf: what somebody
// copied who has only routing in mind.
var alone = []string{"proxy.conf", "clients.conf"}

func (r *reader) begin(first string) error {
	if _, err := os.Stat(first); err == nil {
		return r.include(r.root, first, realm.Pos{}, false)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fail(realm.Pos{}, "%v", err)
	}
	found := false
	for _, name := range alone {
		path := filepath.Join(r.Dir, name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if !found {
			found, r.root.Pos.File = true, path
		}
		if err := r.include(r.root, path, realm.Pos{}, false); err != nil {
			return err
		}
	}
	if !found {
		return fail(realm.Pos{}, "%s has neither radiusd.conf nor proxy.conf nor clients.conf", r.Dir)
	}
	return nil
}

// include reads one file into a section.
func (r *reader) include(into *Section, path string, pos realm.Pos, fromDir bool) error {
	if fromDir && r.loaded[path] {
		return nil
	}
	for _, open := range r.open {
		if open == path {
			return fail(pos, "%s includes itself", path)
		}
	}
	switch {
	case len(r.open) >= maxNesting:
		return fail(pos, "files include each other more than %d deep", maxNesting)
	case len(r.files) >= maxFiles:
		return fail(pos, "more than %d files", maxFiles)
	}
	text, err := r.load(path, pos)
	if err != nil {
		return err
	}
	r.files = append(r.files, path)
	r.loaded[path] = r.loaded[path] || !fromDir
	r.open = append(r.open, path)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	return r.section(path, text, into)
}

func (r *reader) load(path string, pos realm.Pos) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fail(pos, "unable to open file %q: %v", path, reason(err))
	}
	switch {
	case info.Mode().Perm()&0o002 != 0:
		return "", fail(pos, "%s is writable for everybody: the original refuses to start", path)
	case !info.Mode().IsRegular():
		return "", fail(pos, "%s is no file", path)
	case info.Size() > int64(maxOctets-r.octets):
		return "", fail(pos, "more than %d octets in all files", maxOctets)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fail(pos, "unable to open file %q: %v", path, reason(err))
	}
	r.octets += len(b)
	return string(b), nil
}

func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// includes carries out $INCLUDE and $-INCLUDE.
func (r *reader) includes(into *Section, file, word string, optional bool, pos realm.Pos) error {
	value, _, err := r.expand(into, word, pos)
	if err != nil {
		return err
	}
	if value == "" {
		return fail(pos, "$INCLUDE of nothing")
	}
	if word[0] == '$' && !filepath.IsAbs(value) {
		return fail(pos, "unable to open file %q: behind a variable the original looks in its working directory, which is not known here", value)
	}
	slash := strings.HasSuffix(value, "/")
	path := r.locate(into, file, value)
	if slash {
		return r.directory(into, path, pos)
	}
	if optional {
		if _, err := os.Stat(path); err != nil {
			r.unread = append(r.unread, &Pair{Pos: pos, Name: "$-INCLUDE", Value: value, Op: "="})
			return nil
		}
	}
	return r.include(into, path, pos, false)
}

// locate finds a file that is named relative to the including one. A whole path
// below the directory that the configuration gives as its own is looked for in
// Dir, which may be a copy on another host.
func (r *reader) locate(into *Section, file, value string) string {
	if !filepath.IsAbs(value) {
		return filepath.Join(filepath.Dir(file), value)
	}
	value = filepath.Clean(value)
	for _, name := range []string{"raddbdir", "confdir"} {
		own, ok := into.top().Text(name)
		if own = filepath.Clean(own); ok && own != "/" && own != "." {
			if rest, ok := strings.CutPrefix(value, own+"/"); ok {
				return filepath.Join(r.Dir, rest)
			}
			if value == own {
				return r.Dir
			}
		}
	}
	return value
}

// directory includes the files of a directory. The original takes them as the
// file system lists them; here they are sorted, and Several says so.
func (r *reader) directory(into *Section, path string, pos realm.Pos) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o002 != 0 {
		return fail(pos, "directory %s is writable for everybody: the original refuses to start", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fail(pos, "failed reading directory %s: %v", path, reason(err))
	}
	var names []string
	for _, e := range entries {
		if !includable(e.Name()) {
			continue
		}
		info, err := os.Stat(filepath.Join(path, e.Name()))
		if err != nil || info.IsDir() {
			continue
		}
		names = append(names, e.Name())
	}
	sort.Strings(names)
	if len(names) > 1 {
		r.several = append(r.several, path)
	}
	for _, name := range names {
		if err := r.include(into, filepath.Join(path, name), pos, true); err != nil {
			return err
		}
	}
	return nil
}

// includable reports whether a directory's file of this name is read.
func includable(name string) bool {
	if name == "" || name[0] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// lines gives the logical lines of a file: comments and empty ones left out,
// continued ones joined.
type lines struct {
	file string
	text string
	line int // physical lines read
}

// next gives a logical line and the number of its first physical one.
func (l *lines) next() (text string, at int, more bool, err error) {
	var b strings.Builder
	tight := false // a string was broken behind its quote: blanks in front do not count
	for {
		if l.text == "" {
			if b.Len() > 0 || at > 0 {
				return "", at, false, fail(realm.Pos{File: l.file, Line: l.line, Col: 1}, "continuation at EOF is illegal")
			}
			return "", 0, false, nil
		}
		raw, rest, _ := strings.Cut(l.text, "\n")
		l.text = rest
		l.line++
		pos := realm.Pos{File: l.file, Line: l.line, Col: 1}
		if b.Len()+len(raw) >= maxLine {
			return "", l.line, false, fail(pos, "line too long")
		}
		if strings.IndexByte(raw, 0) >= 0 {
			return "", l.line, false, fail(pos, "a NUL octet")
		}
		if tight {
			raw = skipSpace(raw)
		}
		if at == 0 {
			if s := skipSpace(raw); s == "" || s[0] == '#' {
				continue
			}
			at = l.line
		}
		raw = strings.TrimRight(raw, "\r")
		cut, continued := strings.CutSuffix(raw, `\`)
		if !continued {
			b.WriteString(raw)
			return b.String(), at, true, nil
		}
		if !tight && len(cut) > 1 && cut[len(cut)-1] == '"' {
			tight = true
		}
		b.WriteString(cut)
	}
}

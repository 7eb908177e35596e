package device

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// File is the checked content of a policy file:
//
//	profiles:
//	  - name: meter
//	    countries: [DE, AT]
//	    session_timeout: 24h
//	devices:
//	  - imsi: 262011234567890
//	    profile: meter
type File struct {
	Profiles []ProfileSpec `yaml:"profiles"`
	Devices  []DeviceSpec  `yaml:"devices"`

	compiled []*Profile // of Profiles
	groups   []group
	count    int
}

// group is a run of the devices of a file as they are kept: 8 octets and the
// identity each, for there may be ten million.
type group struct {
	idents []byte
	ends   []uint32 // of each identity
	refs   []uint32 // profile number * 2 | blocked
}

func (g *group) ident(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = g.ends[i-1]
	}
	return g.idents[from:g.ends[i]]
}

func (g *group) add(ident []byte, profile int, blocked bool) {
	ref := uint32(profile) << 1
	if blocked {
		ref |= 1
	}
	g.idents = append(g.idents, ident...)
	g.ends = append(g.ends, uint32(len(g.idents)))
	g.refs = append(g.refs, ref)
}

// Len counts the devices.
func (f *File) Len() int { return f.count }

// All gives the devices in the order of the file, by their canonical identity.
func (f *File) All() iter.Seq2[DeviceSpec, error] {
	return func(yield func(DeviceSpec, error) bool) {
		for gi := range f.groups {
			g := &f.groups[gi]
			for i, ref := range g.refs {
				d, err := ParseDevice(string(g.ident(i)))
				d.Profile, d.Blocked = f.Profiles[ref>>1].Name, ref&1 != 0
				if !yield(d, err) {
					return
				}
			}
		}
	}
}

// LoadFile reads and checks the policy file at path. The File is nil if the
// problems have Failed.
func LoadFile(path string) (*File, file.Problems) {
	data, err := os.ReadFile(path)
	if err != nil {
		var reason error = err
		if p := new(fs.PathError); errors.As(err, &p) {
			reason = p.Err
		}
		return nil, file.Problems{{
			Pos: realm.Pos{File: path}, Severity: file.Error, Text: "reading the policy file: " + reason.Error(),
		}}
	}
	return ReadFile(path, data)
}

// ReadFile checks the content of a policy file; name is used in messages, data
// is not retained. The File is nil if the problems have Failed.
func ReadFile(name string, data []byte) (*File, file.Problems) {
	doc, list, problems := file.ParseLong(name, data, "devices")
	if doc == nil {
		return nil, problems
	}
	c := newContent(doc, problems)
	if list != nil && !c.readList(list) {
		if doc, problems = file.Parse(name, data); doc == nil {
			return nil, problems
		}
		c, list = newContent(doc, problems), nil
	}
	if list == nil && !c.problems.Failed() {
		c.readDevices()
	}
	if c.problems.Failed() {
		return nil, c.problems
	}
	c.Devices = nil
	return c.File, c.problems
}

// Load takes the policies of a file in place of all earlier ones, at once.
// Attempts and volumes counted so far go on. Only a table without Redis is
// loaded; f is not changed.
func (t *Table) Load(f *File) {
	if t.cfg.Redis != nil {
		panic("device: Load of a table that is served from Redis")
	}
	d := newDevices(max(t.cfg.MaxDevices, 2*f.count))
	d.reserve(f.count)
	set := &profileSet{}
	for i, p := range f.compiled {
		n, _ := set.intern(f.Profiles[i].Name)
		set.list[n] = p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	version := uint32(t.stats.epochs.Add(1))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(f.groups)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(f.groups)); i = next.Add(1) - 1 {
				t.loadGroup(d, f, set, &f.groups[i], version)
			}
		})
	}
	workers.Wait()
	t.state.Store(&state{devices: d, profiles: set})
	t.countProfiles(set)
	t.ready.Store(true)
}

func (t *Table) loadGroup(d *devices, f *File, set *profileSet, g *group, version uint32) {
	for i, r := range g.refs {
		k0, k1 := t.hash.sum(g.ident(i)).words()
		flags := flagPinned
		if r&1 != 0 {
			flags |= flagBlocked
		}
		d.put(k0, k1, &ref{
			profile: set.number[f.Profiles[r>>1].Name], flags: flags, version: version, soft: never, hard: never,
		}, 0)
	}
}

// content is a file being checked.
type content struct {
	*File
	doc      *file.Document
	problems file.Problems
	numbers  map[string]int // of the profiles
}

func newContent(doc *file.Document, problems file.Problems) *content {
	c := &content{File: &File{}, doc: doc, problems: problems}
	if c.problems = append(c.problems, doc.Decode(c.File)...); !c.problems.Failed() {
		c.numbers = c.checkProfiles()
	}
	return c
}

// maxFileProblems bounds the messages of one file.
const maxFileProblems = 200

func (c *content) say(s file.Severity, path, format string, args ...any) {
	if len(c.problems) < maxFileProblems {
		c.problems = append(c.problems, file.Problem{Pos: c.doc.Pos(path), Severity: s, Text: fmt.Sprintf(format, args...)})
	}
}

func (c *content) sayField(s file.Severity, path string, e FieldError) {
	if e.Field == "" {
		c.say(s, path, "%s", e.Text)
		return
	}
	c.say(s, path+"."+e.Field, "%s %s", e.Field, e.Text)
}

func (c *content) checkProfiles() map[string]int {
	numbers := make(map[string]int, len(c.Profiles))
	if len(c.Profiles) > maxProfiles {
		c.say(file.Error, "profiles", "more than %d profiles", maxProfiles)
	}
	for i := range c.Profiles {
		s := &c.Profiles[i]
		path := "profiles." + strconv.Itoa(i)
		p, problems, warnings := s.Compile()
		for _, e := range problems {
			c.sayField(file.Error, path, e)
		}
		for _, e := range warnings {
			c.sayField(file.Warning, path, e)
		}
		if first, twice := numbers[s.Name]; twice {
			c.say(file.Error, path+".name", "profile %q is at %s already", s.Name, c.doc.Pos("profiles."+strconv.Itoa(first)))
		}
		numbers[s.Name] = i
		c.compiled = append(c.compiled, p)
	}
	return numbers
}

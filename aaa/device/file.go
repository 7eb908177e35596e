package device

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

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
	idents   [][]byte   // of Devices
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
	doc, problems := file.Parse(name, data)
	if doc == nil {
		return nil, problems
	}
	c := &content{File: &File{}, doc: doc, problems: problems}
	c.problems = append(c.problems, doc.Decode(c.File)...)
	if !c.problems.Failed() {
		c.checkDevices(c.checkProfiles())
	}
	if c.problems.Failed() {
		return nil, c.problems
	}
	return c.File, c.problems
}

// Load takes the policies of a file in place of all earlier ones, at once.
// Attempts and volumes counted so far go on. Only a table without Redis is
// loaded; f is not changed.
func (t *Table) Load(f *File) {
	if t.cfg.Redis != nil {
		panic("device: Load of a table that is served from Redis")
	}
	d := newDevices(max(t.cfg.MaxDevices, 2*len(f.Devices)))
	set := &profileSet{}
	for i, p := range f.compiled {
		n, _ := set.intern(f.Profiles[i].Name)
		set.list[n] = p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	version := uint32(t.stats.epochs.Add(1))
	for i := range f.Devices {
		k0, k1 := t.hash.sum(f.idents[i]).words()
		v := f.Devices[i].value(uint64(version))
		d.put(k0, k1, &ref{
			profile: set.number[v.profile], flags: v.flags | flagPinned, version: version, soft: never, hard: never,
		}, 0)
	}
	t.state.Store(&state{devices: d, profiles: set})
	t.countProfiles(set)
	t.ready.Store(true)
}

// content is a file being checked.
type content struct {
	*File
	doc      *file.Document
	problems file.Problems
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

func (c *content) checkDevices(numbers map[string]int) {
	seen := make(map[string]int, len(c.Devices))
	c.idents = make([][]byte, len(c.Devices))
	for i := range c.Devices {
		d := &c.Devices[i]
		ident, problems := d.identity()
		c.idents[i] = ident
		_, known := numbers[d.Profile]
		first, twice := seen[string(ident)]
		seen[string(ident)] = i
		if len(problems) == 0 && known && !twice {
			continue
		}
		path := "devices." + strconv.Itoa(i)
		switch {
		case len(problems) > 0:
			c.sayField(file.Error, path, problems[0])
		case twice:
			c.say(file.Error, path, "this device is at %s already", c.doc.Pos("devices."+strconv.Itoa(first)))
		}
		if !known {
			c.say(file.Error, path+".profile", "there is no profile %q", d.Profile)
		}
	}
}

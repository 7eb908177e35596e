package device

import (
	"hash/maphash"
	"iter"
	"slices"
	"strconv"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// checked is a group and what is wrong with it, by device.
type checked struct {
	group
	findings []finding
}

type finding struct {
	device  int // in its group
	problem file.Problem
	// later completes the problem where that takes a while.
	later func(*file.Problem)
}

// device checks one device and adds it to its group; at gives positions.
func (c *content) device(d *DeviceSpec, at func(key string) realm.Pos, out *checked) {
	ident, problems := d.identity()
	profile, known := c.numbers[d.Profile]
	out.add(ident, profile, d.Blocked)
	if len(problems) > 0 {
		e := problems[0]
		text := e.Text
		if e.Field != "" {
			text = e.Field + " " + text
		}
		out.say(at(e.Field), text)
	}
	if !known {
		out.say(at("profile"), "there is no profile "+strconv.Quote(d.Profile))
	}
}

func (c *checked) say(pos realm.Pos, text string) {
	if len(c.findings) < maxFileProblems {
		c.findings = append(c.findings, finding{len(c.refs) - 1, file.Problem{Pos: pos, Severity: file.Error, Text: text}, nil})
	}
}

// readDevices checks the devices of a file that was decoded whole.
func (c *content) readDevices() {
	var out checked
	place := func(_, i int) func(key string) realm.Pos {
		return func(key string) realm.Pos {
			path := "devices." + strconv.Itoa(i)
			if key != "" {
				path += "." + key
			}
			return c.doc.Pos(path)
		}
	}
	for i := range c.Devices {
		c.device(&c.Devices[i], place(0, i), &out)
	}
	c.finish([]checked{out}, place)
}

// readList checks the devices of a long file; false if it must be read whole.
func (c *content) readList(l *file.List) bool {
	var all []checked
	good := !c.problems.Failed()
	problems, plain := file.ReadList(l, func(rows iter.Seq2[file.Place, *DeviceSpec], out *checked) {
		*out = checked{group{out.idents[:0], out.ends[:0], out.refs[:0]}, nil}
		for place, d := range rows {
			if good {
				c.device(d, place.Pos, out)
			}
		}
	}, func(_ int, out *checked) {
		all = append(all, checked{group{
			slices.Clone(out.idents), slices.Clone(out.ends), slices.Clone(out.refs),
		}, out.findings})
	})
	if !plain {
		return false
	}
	if c.problems = append(c.problems, problems...); !c.problems.Failed() {
		last := map[int]func(int) file.Place{} // few of them: each is a tree
		c.finish(all, func(group, i int) func(key string) realm.Pos {
			if last[group] == nil {
				if len(last) == 4 {
					clear(last)
				}
				last[group] = l.Places(group)
			}
			return last[group](i).Pos
		})
	}
	return true
}

// finish looks for devices that stand twice and takes the groups over.
func (c *content) finish(all []checked, place func(group, i int) func(key string) realm.Pos) {
	s := newSeen(all)
	for gi := range all {
		g := &all[gi]
		for i := range g.refs {
			if len(g.ident(i)) == 0 {
				continue // no identity: that has been said
			}
			if fg, fi, twice := s.add(gi, i); twice && len(g.findings) < 2*maxFileProblems {
				// Before what is said of its profile.
				at := slices.IndexFunc(g.findings, func(f finding) bool { return f.device >= i })
				if at < 0 {
					at = len(g.findings)
				}
				g.findings = slices.Insert(g.findings, at, finding{i, file.Problem{Severity: file.Error}, func(p *file.Problem) {
					p.Pos, p.Text = place(gi, i)(""), "this device is at "+place(fg, fi)("").String()+" already"
				}})
			}
		}
		for _, f := range g.findings[:min(len(g.findings), max(0, maxFileProblems-len(c.problems)))] {
			if f.later != nil {
				f.later(&f.problem)
			}
			c.problems = append(c.problems, f.problem)
		}
		c.groups = append(c.groups, g.group)
		c.count += len(g.refs)
	}
}

// seen finds identities that stand twice: an open-addressed set of places
// without pointers.
type seen struct {
	all   []checked
	first []uint32 // number of each group's first device
	seed  maphash.Seed
	slots []uint64 // hash 32 | number of the device + 1, 32
}

func newSeen(all []checked) *seen {
	s := &seen{all: all, seed: maphash.MakeSeed()}
	n := 0
	for i := range all {
		s.first = append(s.first, uint32(n))
		n += len(all[i].refs)
	}
	size := 8
	for 2*size < 3*n {
		size *= 2
	}
	s.slots = make([]uint64, size)
	return s
}

// add says where the identity was before.
func (s *seen) add(gi, i int) (group, device int, twice bool) {
	ident := s.all[gi].ident(i)
	hash := maphash.Bytes(s.seed, ident)
	for at := hash; ; at++ {
		slot := &s.slots[at&uint64(len(s.slots)-1)]
		if *slot == 0 {
			*slot = hash>>32<<32 | uint64(s.first[gi]) + uint64(i) + 1
			return 0, 0, false
		}
		if *slot>>32 != hash>>32 {
			continue
		}
		n := uint32(*slot) - 1
		g, found := slices.BinarySearch(s.first, n)
		if !found {
			g--
		}
		for g+1 < len(s.first) && s.first[g+1] == n { // groups without devices
			g++
		}
		if d := int(n - s.first[g]); string(s.all[g].ident(d)) == string(ident) {
			return g, d, true
		}
	}
}

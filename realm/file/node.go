package file

import (
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

type kind uint8

const (
	kindNull kind = iota
	kindScalar
	kindMapping
	kindSequence
)

func (k kind) String() string {
	switch k {
	case kindNull:
		return "nothing"
	case kindScalar:
		return "a single value"
	case kindMapping:
		return "keys and values"
	}
	return "a list"
}

// node is one value of a file. Nodes stand in one slice in the order of the
// text, a container before its content; a mapping holds keys and values in
// turn. 100,000 realms are 700,000 nodes, so they are small and not linked.
type node struct {
	kind   kind
	quoted bool
	line   uint32 // of the text; of the first key or dash in a block container
	col    uint32
	end    uint32 // index after the last node of this value
	text   string // of a scalar
}

// tree is the value of a whole file; empty if the file has none.
type tree []node

func (t tree) pos(file string, i int) realm.Pos {
	return realm.Pos{File: file, Line: int(t[i].line), Col: int(t[i].col)}
}

// open starts a container or adds a scalar; close ends it.
func (t *tree) open(k kind, line, col uint32, text string, quoted bool) int {
	i := len(*t)
	*t = append(*t, node{kind: k, quoted: quoted, line: line, col: col, end: uint32(i + 1), text: text})
	return i
}

func (t tree) close(i int) { t[i].end = uint32(len(t)) }

// Document is one parsed file. It is immutable.
type Document struct {
	name string
	tree tree
}

// Empty reports whether the file holds nothing but blanks and comments.
func (d *Document) Empty() bool { return len(d.tree) == 0 }

// Pos returns where the value at a path stands, such as "listen.0.address":
// keys and list positions joined by dots. If the path leads nowhere, it is the
// position of the nearest value above, so a check of a missing key points at
// the section it should stand in.
func (d *Document) Pos(path string) realm.Pos {
	if len(d.tree) == 0 {
		return realm.Pos{File: d.name, Line: 1, Col: 1}
	}
	at := 0
	for step := range strings.SplitSeq(path, ".") {
		next, ok := d.tree.child(at, step)
		if !ok {
			break
		}
		at = next
	}
	return d.tree.pos(d.name, at)
}

func (t tree) child(at int, step string) (int, bool) {
	switch n := t[at]; n.kind {
	case kindMapping:
		for k := at + 1; k < int(n.end); k = int(t[k+1].end) {
			if t[k].text == step {
				return k + 1, true
			}
		}
	case kindSequence:
		want, err := strconv.Atoi(step)
		for i, left := at+1, want; err == nil && i < int(n.end); i = int(t[i].end) {
			if left == 0 {
				return i, true
			}
			left--
		}
	}
	return 0, false
}

package file

import (
	"iter"
	"reflect"
	"runtime"

	"github.com/roamgate/roamgate/realm"
)

// maxLong bounds the octets of a file with a list that is read in pieces.
const maxLong = 2 << 30

// List is a list of a file that is too long to be read at once. It is
// immutable and keeps the file's content.
type List struct {
	name   string
	key    string
	pieces []piece
}

// ParseLong is Parse for a file of which the list under a key of the top level
// may be very long. The Document is without that list then, which is read by
// ReadList. The List is nil if the Document is whole. data is retained by the
// List.
func ParseLong(name string, data []byte, key string) (*Document, *List, Problems) {
	if d, pieces, ok := cut(name, data, key, maxLong); ok {
		return d, &List{name: name, key: key, pieces: pieces}, nil
	}
	d, ps := Parse(name, data)
	return d, nil, ps
}

// Place is where an entry of a list stands.
type Place struct {
	name string
	tree tree
	at   int
}

// Pos is the position of the value of a key, or of the entry where it has none.
func (p Place) Pos(key string) realm.Pos {
	if i, ok := p.tree.child(p.at, key); ok {
		return p.tree.pos(p.name, i)
	}
	return p.tree.pos(p.name, p.at)
}

// ReadList decodes a list, as Decode does, on all processors. read gets the
// entries of one piece after the other in row, which is used again, and leaves
// in out what is to be kept; out may hold what an earlier piece left. It is
// called by several goroutines at once. take gets the results in order, on the
// caller's. plain is false, and what was taken worthless, if the file has to be
// parsed whole.
func ReadList[T, R any](l *List, read func(rows iter.Seq2[Place, *T], out *R), take func(i int, out *R)) (ps Problems, plain bool) {
	type result struct {
		out      R
		decoded  report
		doubtful bool
	}
	workers := runtime.GOMAXPROCS(0)
	trees, all, doubtful := make([]tree, workers), &report{}, -1
	inOrder(len(l.pieces), workers, func(w, i int, r *result) {
		r.decoded = report{}
		var ok bool
		trees[w], ok = l.pieces[i].parse(trees[w])
		if r.doubtful = !ok; ok {
			read(rowsOf[T](l, trees[w], &r.decoded), &r.out)
		}
	}, func(i int, r *result) bool {
		if r.doubtful {
			doubtful = i
			return false
		}
		all.join(&r.decoded)
		take(i, &r.out)
		return true
	})
	if doubtful < 0 {
		return all.problems(), true
	}
	if l.size() <= maxFile {
		return nil, false
	}
	r := &report{}
	l.pieces[doubtful].explain(r, l.name)
	return r.problems(), true
}

func (l *List) size() int {
	n := 0
	for i := range l.pieces {
		n += len(l.pieces[i].text)
	}
	return n
}

// rowsOf decodes the entries of a piece one by one.
func rowsOf[T any](l *List, t tree, r *report) iter.Seq2[Place, *T] {
	return func(yield func(Place, *T) bool) {
		var row, empty T
		v := reflect.ValueOf(&row).Elem()
		p := planOf(v.Type())
		d := decoder{name: l.name, tree: t, report: r}
		for i := 1; i < len(t); i = int(t[i].end) {
			row = empty
			setDefaults(v, p)
			d.value(i, v, p, "each of "+l.key)
			if !yield(Place{l.name, t, i}, &row) {
				return
			}
		}
	}
}

// Places reads a piece again, to find its n-th entry.
func (l *List) Places(piece int) func(n int) Place {
	t, _ := l.pieces[piece].parse(nil)
	return func(n int) Place {
		i := 1
		for ; n > 0; n-- {
			i = int(t[i].end)
		}
		return Place{l.name, t, i}
	}
}

// explain says why a piece cannot be read, of a file that is too large for the
// general reader.
func (p piece) explain(r *report, name string) {
	if at, what, hint := badOctet(p.text); at >= 0 {
		pos := octetPos(name, p.text, at)
		pos.Line += p.lines
		r.add(pos, Error, hint, "%s", what)
		return
	}
	t, line, col, ok := p.read(nil)
	if !ok {
		r.notPlain(realm.Pos{File: name, Line: line, Col: col})
		return
	}
	(&Document{name: name, tree: t}).duplicateKeys(r)
}

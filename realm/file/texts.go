package file

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"path/filepath"
	"runtime"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// Text is one routing file: its name in the directory, and what it holds.
type Text struct {
	Name string
	Data []byte
}

// Texts are the routing files of one version in the order of their names. No
// secret is among them: files only name where secrets are.
type Texts []Text

// ReadTexts reads the routing files of a directory. The Problems are about
// reading alone; where they have failed, files are missing.
func ReadTexts(dir string) (Texts, Problems) {
	r := &report{}
	files, _ := readDir(r, dir)
	return textsOf(files), r.problems()
}

// ReadSteady reads the routing files once they hold still: two looks in a row
// find them alike. It gives up when ctx ends or they never do.
func ReadSteady(ctx context.Context, dir string) (Texts, Problems) {
	var last [sha256.Size]byte
	timer := time.NewTimer(0)
	defer timer.Stop()
	for try := range settleTries {
		select {
		case <-ctx.Done():
			return nil, unsteady(dir, "the time was up before the files held still")
		case <-timer.C:
		}
		r := &report{}
		files, hash := readDir(r, dir)
		if try > 0 && hash == last {
			return textsOf(files), r.problems()
		}
		last = hash
		timer.Reset(settle)
	}
	return nil, unsteady(dir, "the files keep changing")
}

func unsteady(dir, text string) Problems {
	return Problems{{Pos: realm.Pos{File: dir}, Severity: Error, Text: text, Hint: "try again when nobody writes them"}}
}

func textsOf(files []content) Texts {
	ts := make(Texts, len(files))
	for i, f := range files {
		ts[i] = Text{Name: filepath.Base(f.name), Data: f.data}
	}
	return ts
}

// Hash is that of a Set loaded from the files.
func (ts Texts) Hash() (hash [sha256.Size]byte) {
	sum := sha256.New()
	for _, t := range ts {
		hashFile(sum, t.Name, t.Data)
	}
	sum.Sum(hash[:0])
	return hash
}

func hashFile(sum io.Writer, name string, data []byte) {
	hashPart(sum, name)
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(data)))
	sum.Write(size[:])
	sum.Write(data)
}

// Load compiles the files as Load does those of dir: what they say of secrets
// is relative to it, and messages name them there.
func (ts Texts) Load(dir string, env func(string) (string, bool)) (*realm.Set, Problems) {
	r := &report{}
	files := make([]content, len(ts))
	for i, t := range ts {
		files[i] = content{name: filepath.Join(dir, t.Name), data: t.Data}
	}
	if len(files) == 0 {
		r.add(realm.Pos{File: dir}, Error, "", "there are no routing files")
	}
	set, _ := compile(r, dir, files, ts.Hash(), env, max(1, runtime.GOMAXPROCS(0)/2))
	return set, r.problems()
}

// Wanted reports whether a name is that of a routing file.
func Wanted(name string) bool { return name == filepath.Base(name) && wanted(name) }

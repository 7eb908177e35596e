package file

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/roamgate/roamgate/realm"
)

const maxFiles = 10_000

// maxDir bounds the octets of all files together; tests lower it.
var maxDir = int64(256 << 20)

// content is what one file held when it was read.
type content struct {
	name string // as it is written in messages
	data []byte
}

// wanted reports whether a name of the directory is one of ours: no hidden
// file, no backup an editor leaves behind ("#a.yaml", "a.yaml~", ".a.yaml.swp").
func wanted(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") {
		return false
	}
	ext := filepath.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// list returns the files of a directory in name order.
func list(r *report, dir string) []string {
	found, err := os.ReadDir(dir)
	if err != nil {
		r.add(realm.Pos{File: dir}, Error, "", "reading the directory: %s", cause(err))
		return nil
	}
	var names []string
	for _, e := range found {
		if wanted(e.Name()) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	switch {
	case len(names) == 0:
		r.add(realm.Pos{File: dir}, Error, "an empty file means that nobody may talk to the hub",
			"there is no *.yaml or *.yml file in the directory")
	case len(names) > maxFiles:
		r.add(realm.Pos{File: dir}, Error, "join some", "there are more than %d files", maxFiles)
		return nil
	}
	return names
}

// readDir reads all files of a directory and the hash of their names and
// contents.
func readDir(r *report, dir string) (files []content, hash [32]byte) {
	sum, total := sha256.New(), int64(0)
	for _, name := range list(r, dir) {
		data, err := readRegular(name, maxFile)
		if err != nil {
			r.add(realm.Pos{File: name}, Error, readHint(err), "reading the file: %s", cause(err))
			data = nil
		}
		if total += int64(len(data)); total > maxDir {
			r.add(realm.Pos{File: dir}, Error, "", "the files are larger than %d MB together", maxDir>>20)
			return nil, hash
		}
		hashFile(sum, filepath.Base(name), data)
		if err == nil {
			files = append(files, content{name: name, data: data})
		}
	}
	sum.Sum(hash[:0])
	return files, hash
}

var (
	errNotRegular = errors.New("it is no regular file")
	errTooLarge   = errors.New("it is too large")
)

// readRegular reads a file of at most limit octets. It does not wait on a pipe
// or read a device without end.
func readRegular(name string, limit int64) ([]byte, error) {
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errNotRegular
	case info.Size() > limit:
		return nil, errTooLarge
	}
	data := make([]byte, 0, info.Size()+1)
	return readAll(data, io.LimitReader(f, limit+1), limit)
}

func readAll(data []byte, in io.Reader, limit int64) ([]byte, error) {
	for {
		n, err := in.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit: // it grew while we read
			return nil, errTooLarge
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, err
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// cause is the error without the path, which stands before it or is not to be
// shown.
func cause(err error) string {
	var p *os.PathError
	switch {
	case errors.Is(err, syscall.ELOOP):
		return "symbolic links go in a circle"
	case errors.As(err, &p):
		return p.Err.Error()
	}
	return err.Error()
}

func readHint(err error) string {
	switch {
	case errors.Is(err, os.ErrPermission):
		return "let the hub's user read it"
	case errors.Is(err, errTooLarge):
		return "split it"
	case errors.Is(err, errNotRegular):
		return "directories, pipes and devices are not read"
	}
	return ""
}

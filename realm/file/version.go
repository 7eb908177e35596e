package file

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"maps"
	"os"
	"slices"
)

// print tells versions of the files apart. The hash of the secrets never
// leaves the process.
type print struct {
	files, secrets [32]byte
}

// version is the files as one look found them.
type version struct {
	files  []content
	report *report // what went wrong while reading
	print  print
}

func (w *Watcher) read() version {
	v := version{report: &report{}}
	v.files, v.print.files = readDir(v.report, w.opt.Dir)
	s := secrets{files: make(map[string]secretFile, len(w.secrets))}
	for path, limit := range w.secrets {
		s.files[path] = readWhole(path, limit)
	}
	v.print.secrets = s.print()
	return v
}

// limits returns the files of the secrets, and how much of each is read.
func (s *secrets) limits() map[string]int64 {
	limits := make(map[string]int64, len(s.files))
	for path, f := range s.files {
		limits[path] = f.limit
	}
	return limits
}

func (s *secrets) print() (p [32]byte) {
	sum := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		f := s.files[path]
		why := ""
		if f.err != nil {
			why = cause(f.err)
		}
		for _, part := range []string{path, string(f.secret), why} {
			hashPart(sum, part)
		}
	}
	sum.Sum(p[:0])
	return p
}

func hashPart(sum io.Writer, part string) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(part)))
	sum.Write(size[:])
	io.WriteString(sum, part)
}

// signature is what can be known of the files without reading them.
type signature [32]byte

func (w *Watcher) signature() (s signature) {
	sum := sha256.New()
	names := append(list(&report{}, w.opt.Dir), slices.Sorted(maps.Keys(w.secrets))...)
	for _, name := range names {
		hashPart(sum, name)
		info, err := os.Stat(name)
		if err != nil {
			hashPart(sum, cause(err))
			continue
		}
		var b [17]byte
		binary.BigEndian.PutUint64(b[:], uint64(info.Size()))
		binary.BigEndian.PutUint64(b[8:], uint64(info.ModTime().UnixNano()))
		sum.Write(b[:])
	}
	sum.Sum(s[:0])
	return s
}

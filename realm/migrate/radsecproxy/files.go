package radsecproxy

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files is where a configuration is read from.
type Files interface {
	// Read returns a file's content; of a directory it returns none, as the
	// original opens it and finds no line.
	Read(path string) ([]byte, error)
	// Glob returns the paths that match a pattern of glob(3), sorted.
	Glob(pattern string) ([]string, error)
}

const maxFile = 16 << 20

// Disk reads the files of this machine.
type Disk struct{}

// Read implements Files.
func (Disk) Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(data) > maxFile {
		return nil, errors.New("the file is larger than 16 MiB")
	}
	return data, err
}

// Glob implements Files. A pattern does not match a leading dot.
func (Disk) Glob(pattern string) ([]string, error) {
	pattern = strings.ReplaceAll(pattern, "[!", "[^")
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	want := strings.Split(pattern, "/")
	paths = slices.DeleteFunc(paths, func(path string) bool {
		got := strings.Split(path, "/")
		if len(got) != len(want) {
			return false
		}
		return slices.CompareFunc(got, want, func(g, w string) int {
			return cmp.Compare(hidden(g, w), 0)
		}) != 0
	})
	slices.Sort(paths)
	return paths, nil
}

func hidden(name, pattern string) int {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") {
		return 1
	}
	return 0
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// bootNumber gives this start of the hub a number that no start before it had, and keeps
// it beside the spool: the time, or the next number where the clock has been set back or
// stands. It is the Origin-State-Id and the first half of every Session-Id, which are never
// used again (RFC 6733 sections 8.8 and 8.16). An error says that it may not be unique: no
// reason not to serve.
func bootNumber(dir string, now uint32) (n uint32, err error) {
	path := filepath.Join(dir, "diameter.start")
	text, err := os.ReadFile(path)
	switch last, bad := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32); {
	case errors.Is(err, fs.ErrNotExist):
		n, err = now, nil
	case err != nil:
		n = now
	case bad != nil:
		n, err = now, fmt.Errorf("%s has no number", path)
	default:
		n = max(now, uint32(last)+1)
	}
	return n, errors.Join(err, keepFile(path, strconv.AppendUint(nil, uint64(n), 10)))
}

// keepFile writes a file under another name first: a crash in between leaves no short
// one. Its owner alone can read it.
func keepFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".unfinished-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

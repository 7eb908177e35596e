package history

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/roamgate/roamgate/realm/file"
)

// Keep stores the files of a version, unless they are stored already.
func (s *Store) Keep(files file.Texts) error {
	h := hashOf(files)
	versions := filepath.Join(s.dir, versionsDir)
	place := filepath.Join(versions, h.Whole())
	if _, err := Version(s.dir, h); err == nil {
		return nil
	}
	fresh, err := os.MkdirTemp(versions, unfinished+"*")
	if err != nil {
		return fmt.Errorf("keeping a version: %w", cause(err))
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	for _, f := range files {
		if !file.Wanted(f.Name) {
			return fmt.Errorf("keeping a version: %q is no name of a routing file", f.Name)
		}
		if s.linked(filepath.Join(fresh, f.Name), f) {
			continue
		}
		if err := writeSynced(filepath.Join(fresh, f.Name), f.Data); err != nil {
			return fmt.Errorf("keeping a version: %s: %w", f.Name, cause(err))
		}
	}
	if err := syncDir(fresh); err != nil {
		return fmt.Errorf("keeping a version: %w", err)
	}
	// One that is damaged makes room.
	if err := os.RemoveAll(place); err != nil {
		return fmt.Errorf("keeping a version: %w", cause(err))
	}
	if err := os.Rename(fresh, place); err != nil {
		return fmt.Errorf("keeping a version: %w", cause(err))
	}
	return syncDir(versions)
}

// linked gives a file a second name where the version before has it too: a
// list of a million realms is kept once, not fifty times.
func (s *Store) linked(path string, f file.Text) bool {
	last := s.Last()
	if last == nil {
		return false
	}
	was := filepath.Join(s.dir, versionsDir, last.Hash.Whole(), f.Name)
	if info, err := os.Lstat(was); err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(f.Data)) {
		return false
	}
	data, err := os.ReadFile(was)
	return err == nil && bytes.Equal(data, f.Data) && os.Link(was, path) == nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ErrDamaged says that a version is not what its name says.
var ErrDamaged = errors.New("its files are not what they were")

// Version reads the files of a version.
func Version(dir string, h Hash) (file.Texts, error) {
	files, err := readTexts(filepath.Join(dir, versionsDir, h.Whole()))
	if err != nil {
		return nil, fmt.Errorf("reading version %s: %w", h, err)
	}
	if hashOf(files) != h {
		return nil, fmt.Errorf("reading version %s: %w", h, ErrDamaged)
	}
	return files, nil
}

// Version reads the files of a version.
func (s *Store) Version(h Hash) (file.Texts, error) { return Version(s.dir, h) }

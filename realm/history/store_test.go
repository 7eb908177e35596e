package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm/file"
)

func texts(name string) file.Texts {
	return file.Texts{{Name: "a.yaml", Data: []byte(filesOf(name))}, {Name: "b.yaml", Data: []byte("realms: []\n")}}
}

func open(t *testing.T, dir string, keep int) *Store {
	t.Helper()
	s, err := Open(dir, keep)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func add(t *testing.T, s *Store, name string) Entry {
	t.Helper()
	require.NoError(t, s.Keep(texts(name)))
	e, err := s.Append(Entry{Time: began, Hash: hashOf(texts(name)), How: Auto})
	require.NoError(t, err)
	return e
}

func TestStoreKeepsWhatItWasGiven(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10)
	require.Nil(t, s.Last())
	require.NoError(t, s.Keep(texts("a")))
	want := Entry{Time: began, Hash: hashOf(texts("a")), How: Applied, Who: "ann", Comment: "ticket 7", Change: "realms +1 -0 ~0",
		Left: hashOf(texts("b")), Until: began.Add(time.Minute), Base: hashOf(texts("b")), Guard: 20, Why: "x"}
	e, err := s.Append(want)
	require.NoError(t, err)
	want.Number = 1
	assert.Equal(t, want, e)
	require.NoError(t, s.Close())

	s = open(t, dir, 10)
	require.Equal(t, Log{Entries: []Entry{want}}, s.Log(), "nothing is lost")
	got, err := s.Version(want.Hash)
	require.NoError(t, err)
	assert.Equal(t, texts("a"), got)
	_, err = s.Version(hashOf(texts("b")))
	assert.ErrorContains(t, err, "reading version ")
}

func TestStoreIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	s := open(t, dir, 10)
	add(t, s, "a")
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
}

func TestStoreHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, 10)
	_, err := Open(dir, 10)
	require.ErrorIs(t, err, ErrInUse)
	_, err = Read(dir)
	assert.NoError(t, err, "looking is allowed")
}

// What is beyond keep goes, and so do versions that nobody names any more.
func TestStoreIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 3)
	for i := range 6 {
		add(t, s, fmt.Sprint("v", i%5))
	}
	e := s.Log().Entries
	require.Len(t, e, 3)
	assert.Equal(t, []int{4, 5, 6}, []int{e[0].Number, e[1].Number, e[2].Number})
	for i, kept := range []bool{true, false, false, true, true} {
		_, err := s.Version(hashOf(texts(fmt.Sprint("v", i))))
		assert.Equal(t, kept, err == nil, "v%d: %v", i, err)
	}
	require.NoError(t, s.Close())
	assert.Len(t, open(t, dir, 2).Log().Entries, 2)
	assert.Equal(t, MinKeep, open(t, t.TempDir(), 0).keep)
}

// A file that does not change takes its place once.
func TestStoreLinksWhatStays(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10)
	one, two := add(t, s, "a"), add(t, s, "b")
	info := func(e Entry, name string) os.FileInfo {
		i, err := os.Stat(filepath.Join(dir, versionsDir, e.Hash.Whole(), name))
		require.NoError(t, err)
		return i
	}
	assert.True(t, os.SameFile(info(one, "b.yaml"), info(two, "b.yaml")))
	assert.False(t, os.SameFile(info(one, "a.yaml"), info(two, "a.yaml")))
}

func TestStoreMendsAVersion(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10)
	e := add(t, s, "a")
	path := filepath.Join(dir, versionsDir, e.Hash.Whole(), "a.yaml")
	for name, spoil := range map[string]func(){
		"changed": func() { require.NoError(t, os.WriteFile(path, []byte("x"), 0o600)) },
		"gone":    func() { require.NoError(t, os.Remove(path)) },
		"more":    func() { require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "z.yaml"), nil, 0o600)) },
	} {
		spoil()
		_, err := s.Version(e.Hash)
		assert.ErrorIs(t, err, ErrDamaged, name)
		require.NoError(t, s.Keep(texts("a")))
		_, err = s.Version(e.Hash)
		assert.NoError(t, err, name)
	}
	assert.Error(t, s.Keep(file.Texts{{Name: "../x.yaml"}}))
}

func TestStoreUndo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10)
	require.NoError(t, s.Undo())
	add(t, s, "a")
	add(t, s, "b")
	require.NoError(t, s.Undo())
	l, err := Read(dir)
	require.NoError(t, err)
	assert.Len(t, l.Entries, 1)
	assert.Equal(t, hashOf(texts("a")), s.Last().Hash)
	assert.Equal(t, 3, add(t, s, "c").Number, "a number is given once")
}

// What a crash leaves behind is swept out, and disturbs nothing.
func TestStoreAfterACrash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10)
	add(t, s, "a")
	require.NoError(t, s.Close())
	half := []string{filepath.Join(dir, entriesDir, unfinished+"1"), filepath.Join(dir, versionsDir, unfinished+"2")}
	require.NoError(t, os.WriteFile(half[0], []byte("{"), 0o600))
	require.NoError(t, os.MkdirAll(half[1], 0o700))
	s = open(t, dir, 10)
	assert.Empty(t, s.Log().Damaged)
	assert.Len(t, s.Log().Entries, 1)
	for _, name := range half {
		assert.NoFileExists(t, name)
		assert.NoDirExists(t, name)
	}
}

func TestStoreNamesWhatIsDamaged(t *testing.T) {
	good := `{"number": 2, "time": "2026-03-01T12:00:00Z", "hash": "` + strings.Repeat("ab", 32) + `", "how": "auto"}`
	for _, tc := range []struct{ name, file, text, want string }{
		{"empty", nameOf(2), "", "it is no entry: EOF"},
		{"cut", nameOf(2), good[:40], "it is no entry: unexpected EOF"},
		{"goes on", nameOf(2), good + "{}", "it goes on behind its end"},
		{"no version", nameOf(2), `{"number": 2, "how": "auto"}`, "it names no version"},
		{"no hash", nameOf(2), strings.Replace(good, "ab", "xy", 1), "it is no entry: it is no hash of a version"},
		{"short hash", nameOf(2), strings.Replace(good, "ab", "", 1), "it is no entry: it is no hash of a version"},
		{"unknown way", nameOf(2), strings.Replace(good, "auto", "m\x7fgic", 1), `how a version came into use is "m gic"`},
		{"guard", nameOf(2), strings.Replace(good, "}", `, "guard": 101}`, 1), "its guard is out of range"},
		{"another number", nameOf(7), good, "it says that it is entry 2"},
		{"too long", nameOf(2), good + strings.Repeat(" ", maxEntry), "it has more than 65536 octets"},
		{"foreign file", "notes.txt", "x", "it is no entry"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, 10)
			add(t, s, "a")
			require.NoError(t, s.Close())
			require.NoError(t, os.WriteFile(filepath.Join(dir, entriesDir, tc.file), []byte(tc.text), 0o600))
			s = open(t, dir, 10)
			require.Equal(t, []Damage{{filepath.Join(entriesDir, tc.file), tc.want}}, s.Log().Damaged)
			assert.Len(t, s.Log().Entries, 1, "the others are there")
			e := add(t, s, "b")
			assert.NotEqual(t, tc.file, nameOf(e.Number), "nothing is written over")
		})
	}
	t.Run("a pipe", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, open(t, dir, 10).Close())
		require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, entriesDir, nameOf(1))))
		assert.Equal(t, "it is no regular file", open(t, dir, 10).Log().Damaged[0].Text)
	})
}

// Damage that is older than all that is kept goes with its time.
func TestDamageGrowsOld(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, open(t, dir, 2).Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, entriesDir, nameOf(1)), nil, 0o600))
	s := open(t, dir, 2)
	require.Len(t, s.Log().Damaged, 1)
	for _, name := range []string{"a", "b", "c"} {
		add(t, s, name)
	}
	assert.Empty(t, s.Log().Damaged)
	assert.NoFileExists(t, filepath.Join(dir, entriesDir, nameOf(1)))
}

// A file that never was an entry does not keep versions for ever.
func TestForeignFilesKeepNothing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, open(t, dir, 2).Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, entriesDir, "notes.txt"), nil, 0o600))
	s := open(t, dir, 2)
	for _, name := range []string{"a", "b", "c"} {
		add(t, s, name)
	}
	found, err := os.ReadDir(filepath.Join(dir, versionsDir))
	require.NoError(t, err)
	assert.Len(t, found, 2)
}

func TestOpenSaysWhyNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := Open(path, 10)
	assert.EqualError(t, err, "making the history "+path+": not a directory")
	_, err = Read(path + "s")
	assert.EqualError(t, err, "reading the history "+path+"s: no such file or directory")
}

func TestWordsOfPeopleAreBounded(t *testing.T) {
	s := open(t, t.TempDir(), 10)
	e, err := s.Append(Entry{Hash: Hash{1}, How: Applied, Who: "\x1b[31mann\n", Comment: strings.Repeat("ä", maxComment)})
	require.NoError(t, err)
	assert.Equal(t, " [31mann ", e.Who)
	assert.Equal(t, strings.Repeat("ä", maxComment/2), e.Comment)
}

func TestFind(t *testing.T) {
	l := Log{}
	at := func(how How, first ...byte) {
		h := Hash{}
		copy(h[:], first)
		l.Entries = append(l.Entries, Entry{Number: len(l.Entries) + 1, Hash: h, How: how})
	}
	_, err := l.Find("")
	assert.EqualError(t, err, "the history goes 0 steps back, not 1")
	at(Start, 0xaa, 0xaa, 0xaa)
	at(Applied, 0xbb, 0xbb, 0xb1)
	at(Confirmed, 0xbb, 0xbb, 0xb1)
	at(Applied, 0xbb, 0xbb, 0xb2)
	at(Applied, 0xbb, 0xbb, 0xb2)
	at(RolledBack, 0xaa, 0xaa, 0xaa)
	steps := l.Steps()
	require.Len(t, steps, 4)
	assert.Equal(t, []int{6, 4, 2, 1}, []int{steps[0].Number, steps[1].Number, steps[2].Number, steps[3].Number})
	assert.Equal(t, 3, steps[2].Confirmed)
	for name, want := range map[string]string{
		"0": "aaaaaa", "": "bbbbb2", "1": "bbbbb2", "2": "bbbbb1", "3": "aaaaaa", "AAAAA": "aaaaaa", "bbbbb2": "bbbbb2",
		"4":      "the history goes 3 steps back, not 4",
		"bbbbb":  "several versions begin with bbbbb",
		"ccccc":  "no version that is kept begins with ccccc",
		"bbbb":   `"bbbb" is neither a number of steps back nor the beginning of a hash (5 digits or more)`,
		"-1":     `"-1" is neither a number of steps back nor the beginning of a hash (5 digits or more)`,
		"\x1b]0": `" ]0" is neither a number of steps back nor the beginning of a hash (5 digits or more)`,
		"00001":  "no version that is kept begins with 00001",
	} {
		h, err := l.Find(name)
		if err != nil {
			assert.EqualError(t, err, want, name)
			continue
		}
		assert.True(t, strings.HasPrefix(h.Whole(), want), "%q: %s", name, h)
	}
}

func FuzzReadEntry(f *testing.F) {
	f.Add([]byte(`{"number": 2, "time": "2026-03-01T12:00:00Z", "hash": "`+strings.Repeat("ab", 32)+`", "how": "auto", "until": "2026-03-01T12:00:00Z", "base": ""}`), "1")
	f.Add([]byte(`{"hash": null}`), "abcde")
	f.Add([]byte(`[]`), "")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		path := filepath.Join(dir, nameOf(1))
		if os.WriteFile(path, b, 0o600) != nil {
			return
		}
		e, err := readEntry(path)
		if err != nil {
			return
		}
		if e.Hash.IsZero() || len(e.Comment) > maxComment || strings.ContainsAny(e.Who+e.Comment+e.Why+e.Change, "\x1b\n\x00") {
			t.Fatalf("%+v", e)
		}
		l := Log{Entries: []Entry{e}}
		_, _ = l.Find(name)
	})
}

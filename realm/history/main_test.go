package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// began is when the stories of these tests begin.
var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type tester interface {
	require.TestingT
	Helper()
	Fatal(args ...any)
}

// hub is what a Control works for: files on a disk, and what runs.
type hub struct {
	t       tester
	root    string
	now     time.Time
	manual  bool
	keep    int
	store   *Store
	begin   *Beginning
	ctl     *Control
	uses    []Hash
	refuses error
	tally   Tally
	left    []string
}

func newHub(t tester, root string, manual bool) *hub {
	t.Helper()
	h := &hub{t: t, root: root, now: began, manual: manual, keep: 20, tally: Tally{}}
	h.put(map[string]string{"secret": "0123456789abcdef", "realms/peers.yaml": filesOf("a")})
	h.start()
	return h
}

// filesOf is a routing file with a realm of that name.
func filesOf(name string) string {
	return fmt.Sprintf("clients:\n  - {name: a, address: 192.0.2.1, secret_file: ../secret}\nrealms:\n  - {realm: %s.example, reject: no}\n", name)
}

func (h *hub) path(name string) string { return filepath.Join(h.root, name) }
func (h *hub) dir() string             { return h.path("history") }

func (h *hub) put(files map[string]string) {
	h.t.Helper()
	for name, text := range files {
		require.NoError(h.t, os.MkdirAll(filepath.Dir(h.path(name)), 0o700))
		require.NoError(h.t, os.WriteFile(h.path(name), []byte(text), 0o600))
	}
}

// edit saves other routing files.
func (h *hub) edit(name string) {
	h.t.Helper()
	h.put(map[string]string{"realms/peers.yaml": filesOf(name)})
}

func (h *hub) options() Options {
	return Options{
		Store: h.store, History: h.dir(), Dir: h.path("realms"), Manual: h.manual,
		Use: func(s *realm.Set, e *Entry) error {
			require.Equal(h.t, Hash(s.Hash), e.Hash)
			if h.refuses != nil {
				return h.refuses
			}
			h.uses = append(h.uses, Hash(s.Hash))
			return nil
		},
		Tally: func() Tally {
			t := Tally{}
			for k, v := range h.tally {
				t[k] = v
			}
			return t
		},
		Left: func(why string, err error) { h.left = append(h.left, fmt.Sprint(why, " ", err)) },
	}
}

func (h *hub) start() {
	h.t.Helper()
	require.NoError(h.t, h.tryStart())
}

func (h *hub) tryStart() (err error) {
	h.t.Helper()
	if h.store, err = Open(h.dir(), h.keep); err != nil {
		return err
	}
	if h.begin, err = Begin(h.options(), h.now); err != nil {
		return errors.Join(err, h.store.Close())
	}
	if h.begin.Set == nil {
		return errors.Join(h.begin.Problems, h.store.Close())
	}
	h.ctl, err = New(h.options(), h.begin, h.now)
	return err
}

func (h *hub) stop() {
	h.t.Helper()
	require.NoError(h.t, h.store.Close())
}

func (h *hub) restart() {
	h.t.Helper()
	h.stop()
	h.start()
}

// pass lets time go by, with a Tick each second.
func (h *hub) pass(d time.Duration) {
	for end := h.now.Add(d); h.now.Before(end); {
		h.now = h.now.Add(time.Second)
		h.ctl.Tick(h.now)
	}
}

// look is what a Watcher does when the files have changed.
func (h *hub) look() (taken bool) {
	h.t.Helper()
	files, ps := file.ReadTexts(h.path("realms"))
	require.Empty(h.t, ps)
	set, ps := files.Load(h.path("realms"), nil)
	require.NoError(h.t, ps.Err())
	change := file.Diff(h.ctl.Running(), set)
	if change.Empty() && set.Hash == h.ctl.Running().Hash {
		h.ctl.Looked(file.Status{Result: file.Unchanged, Hash: set.Hash})
		return false
	}
	taken, err := h.ctl.Found(set, change, files, h.now)
	require.NoError(h.t, err)
	return taken
}

// runs is the realm of what is in use.
func (h *hub) runs() string {
	h.t.Helper()
	set := h.ctl.Running()
	require.Equal(h.t, Hash(set.Hash), h.ctl.State().Hash)
	require.Len(h.t, set.Routes, 1)
	return set.Routes[0].Realm[:1]
}

func (h *hub) apply(o Order) Outcome {
	h.t.Helper()
	out, err := h.ctl.Apply(context.Background(), o, h.now)
	require.NoError(h.t, err)
	return out
}

// walk reads every file below dir.
func walk(dir string, f func(path string, data []byte)) error {
	return filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		f(path, data)
		return err
	})
}

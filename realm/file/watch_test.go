package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/roamgate/roamgate/realm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const goodFile = `clients:
  - {name: a, address: 192.0.2.1, secret_file: secret}
realms:
  - {realm: default, reject: "no route"}
`

// watched runs a Watcher in a bubble whose clock only moves when all wait.
type watched struct {
	*Watcher
	t    *testing.T
	dir  string
	env  atomic.Pointer[func(string) (string, bool)]
	veto atomic.Pointer[error]
	stop func()

	mu  sync.Mutex // guards what follows
	got heard
}

type heard struct {
	sets    []*realm.Set
	changes []Change
	reports []Problems
}

func (w *watched) heard() heard {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got
}

func (w *watched) getenv(name string) (string, bool) { return (*w.env.Load())(name) }

func watch(t *testing.T, files map[string]string) *watched {
	w := &watched{t: t, dir: write(t, files)}
	env := noEnv
	w.env.Store(&env)
	current, ps := Load(w.dir, noEnv)
	require.NoError(t, ps.Err())
	w.Watcher = NewWatcher(Options{
		Dir: w.dir, Env: w.getenv, Current: current,
		Apply: func(set *realm.Set, c Change) error {
			if err := w.veto.Load(); err != nil {
				return *err
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.got.sets, w.got.changes = append(w.got.sets, set), append(w.got.changes, c)
			return nil
		},
		Report: func(_ Status, ps Problems) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.got.reports = append(w.got.reports, ps)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	w.stop = func() { cancel(); <-done }
	w.after(5 * time.Second)
	require.Equal(t, Unchanged, w.Status().Result)
	return w
}

func (w *watched) after(d time.Duration) {
	time.Sleep(d) // of the bubble: takes no time
	synctest.Wait()
}

func (w *watched) put(name, text string) {
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
}

func bubble(t *testing.T, f func(w *watched)) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, map[string]string{"a.yaml": goodFile, "secret": "0123456789abcdef"})
		defer w.stop()
		f(w)
	})
}

func TestWatcherAppliesAChange(t *testing.T) {
	bubble(t, func(w *watched) {
		w.put("b.yaml", "realms:\n  - {realm: a.example, reject: no}\n")
		w.after(1900 * time.Millisecond)
		assert.Empty(t, w.heard().sets, "one look is not enough")
		w.after(3 * time.Second)
		require.Len(t, w.heard().sets, 1)
		assert.Equal(t, Delta{Added: []string{"a.example"}}, w.heard().changes[0].Realms)
		s := w.Status()
		assert.Equal(t, Applied, s.Result)
		assert.EqualValues(t, 1, s.Generation)
		assert.Equal(t, w.heard().sets[0].Hash, s.Hash)
		assert.Equal(t, s.Attempt, s.Success)
		w.after(time.Hour)
		assert.Len(t, w.heard().sets, 1, "nothing new, nothing applied")
	})
}

func TestWatcherKeepsTheOldOnErrors(t *testing.T) {
	bubble(t, func(w *watched) {
		before := w.Status()
		w.put("b.yaml", "realms:\n  - {realm: a.example, auth: nowhere}\n")
		w.after(time.Minute)
		assert.Empty(t, w.heard().sets)
		require.Len(t, w.heard().reports, 2, "said once")
		assert.ErrorContains(t, w.heard().reports[1].Err(), `b.yaml:2:30: error: pool "nowhere" does not exist`)
		s := w.Status()
		assert.Equal(t, Failed, s.Result)
		assert.Equal(t, 1, s.Errors)
		assert.True(t, s.Success.Before(s.Attempt))
		assert.Equal(t, before.Hash, s.Hash)
		require.NoError(t, os.Remove(filepath.Join(w.dir, "b.yaml")))
		w.after(time.Minute)
		assert.Equal(t, Unchanged, w.Status().Result, "the alarm ends when the files are good again")
		assert.Empty(t, w.heard().sets)
	})
}

func TestWatcherLeavesHalfWrittenFilesInPeace(t *testing.T) {
	bubble(t, func(w *watched) {
		text := "realms:\n"
		for i := range 20 {
			text += "  - {realm: r" + string(rune('a'+i)) + ".example, reject: no}\n"
			w.put("b.yaml", text)
			w.after(2 * time.Second)
		}
		assert.Empty(t, w.heard().sets)
		w.after(5 * time.Second)
		require.Len(t, w.heard().sets, 1)
		assert.Len(t, w.heard().changes[0].Realms.Added, 20)
	})
}

func TestWatcherRefusesAFileThatBecameEmpty(t *testing.T) {
	bubble(t, func(w *watched) {
		w.put("a.yaml", "\n")
		w.after(time.Minute)
		assert.Empty(t, w.heard().sets)
		assert.ErrorContains(t, w.heard().reports[1], "a.yaml: error: the file has become empty")
		w.put("a.yaml", goodFile+"# more\n")
		w.after(time.Minute)
		require.Len(t, w.heard().sets, 1)
		assert.True(t, w.heard().changes[0].Empty())
	})
}

func TestWatcherSeesSecrets(t *testing.T) {
	bubble(t, func(w *watched) {
		hash := w.Status().Hash
		w.put("secret", "fedcba9876543210x")
		w.after(time.Minute)
		require.Len(t, w.heard().sets, 1)
		assert.Equal(t, Change{Clients: Delta{Changed: []string{"a"}}}, w.heard().changes[0])
		assert.Equal(t, hash, w.heard().sets[0].Hash, "no secret goes into the hash that is shown")
		require.NoError(t, os.Remove(filepath.Join(w.dir, "secret")))
		w.after(time.Minute)
		assert.Equal(t, Failed, w.Status().Result)
		w.put("secret", "fedcba9876543210x")
		w.after(time.Minute)
		assert.Equal(t, Unchanged, w.Status().Result)
	})
}

func TestWatcherSeesAChangeOfEqualSizeAndTime(t *testing.T) {
	bubble(t, func(w *watched) {
		name := filepath.Join(w.dir, "a.yaml")
		info, err := os.Stat(name)
		require.NoError(t, err)
		w.put("a.yaml", goodFile[:len(goodFile)-4]+"x\"}\n")
		require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
		w.after(time.Minute)
		require.Len(t, w.heard().sets, 1)
	})
}

func TestWatcherReload(t *testing.T) {
	bubble(t, func(w *watched) {
		w.after(time.Hour)
		w.Reload()
		w.Reload()
		w.after(150 * time.Millisecond)
		assert.Len(t, w.heard().reports, 2, "one attempt, though nothing is new")
		assert.Equal(t, Unchanged, w.Status().Result)
		w.put("b.yaml", "realms:\n  - {realm: a.example, reject: no}\n")
		w.Reload()
		w.after(150 * time.Millisecond)
		require.Len(t, w.heard().sets, 1, "sooner than by the clock")
	})
}

func TestWatcherReloadWhileFilesChange(t *testing.T) {
	bubble(t, func(w *watched) {
		w.Reload()
		for range 60 {
			text, err := os.ReadFile(filepath.Join(w.dir, "a.yaml"))
			require.NoError(t, err)
			w.put("a.yaml", string(text)+"#\n")
			w.after(99 * time.Millisecond)
		}
		require.Len(t, w.heard().reports, 2)
		assert.ErrorContains(t, w.heard().reports[1], "the files keep changing")
		w.after(time.Minute)
		assert.Len(t, w.heard().sets, 1)
	})
}

func TestWatcherVeto(t *testing.T) {
	bubble(t, func(w *watched) {
		veto := errors.New("no socket")
		w.veto.Store(&veto)
		w.put("b.yaml", "realms:\n  - {realm: a.example, reject: no}\n")
		w.after(time.Minute)
		assert.Equal(t, Failed, w.Status().Result)
		assert.ErrorContains(t, w.heard().reports[1], "taking the files into use: no socket")
		w.veto.Store(nil)
		w.Reload()
		w.after(time.Second)
		assert.Len(t, w.heard().sets, 1)
	})
}

func TestWatcherLosesTheDirectory(t *testing.T) {
	bubble(t, func(w *watched) {
		require.NoError(t, os.Rename(w.dir, w.dir+".away"))
		w.after(time.Minute)
		assert.Equal(t, Failed, w.Status().Result)
		assert.Len(t, w.heard().reports, 2)
		require.NoError(t, os.Rename(w.dir+".away", w.dir))
		w.after(time.Minute)
		assert.Equal(t, Unchanged, w.Status().Result)
		assert.Empty(t, w.heard().sets)
	})
}

func TestWatcherStopsInTheMiddleOfAReload(t *testing.T) {
	bubble(t, func(w *watched) { w.Reload() })
}

func TestWatcherSurvivesItsOwnBugs(t *testing.T) {
	bubble(t, func(w *watched) {
		env := func(string) (string, bool) { panic("bug") }
		w.env.Store(&env)
		w.put("b.yaml", "clients:\n  - {name: b, address: 192.0.2.2, secret_env: X}\n")
		w.after(time.Minute)
		assert.Equal(t, Failed, w.Status().Result)
		assert.ErrorContains(t, w.heard().reports[1], "the loader itself failed")
	})
}

// The rule in words: a version is attempted exactly when two looks in a row
// find it, and it is not the one attempted last.
func TestSteady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s steady
		last, before := -1, -1
		for _, v := range rapid.SliceOfN(rapid.IntRange(0, 3), 0, 60).Draw(t, "looks") {
			want := v == before && v != last
			if got := s.see(print{files: [32]byte{byte(v)}}); got != want {
				t.Fatalf("version %d after %d, attempted %d: got %t", v, before, last, got)
			}
			if want {
				last = v
			}
			before = v
		}
	})
}

func TestResultNames(t *testing.T) {
	for r := range results {
		assert.NotEmpty(t, r.String())
	}
}

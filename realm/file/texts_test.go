package file

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

// What was read and kept loads as the directory does, secrets included.
func TestTextsLoadLikeTheDirectory(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": goodFile, "b.yml": "realms:\n  - {realm: a.example, reject: no}\n", ".c.yaml": "x", "secret": "0123456789abcdef"})
	want, ps := Load(dir, noEnv)
	require.NoError(t, ps.Err())
	texts, ps := ReadTexts(dir)
	require.Empty(t, ps)
	require.Len(t, texts, 2)
	assert.Equal(t, want.Hash, texts.Hash())
	got, ps := texts.Load(dir, noEnv)
	require.NoError(t, ps.Err())
	assert.True(t, Diff(want, got).Empty())
	assert.Equal(t, want.Hash, got.Hash)
	assert.Equal(t, want.Clients[0].Pos, got.Clients[0].Pos, "messages name the files where they stand")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("another-secret-01"), 0o600))
	got, ps = texts.Load(dir, noEnv)
	require.NoError(t, ps.Err())
	assert.Equal(t, "another-secret-01", string(got.Clients[0].Secret), "today's secret")
	_, ps = Texts{}.Load(dir, noEnv)
	assert.Error(t, ps.Err())
	moved := append(Texts{}, texts...)
	moved[0].Name = "z.yaml"
	assert.NotEqual(t, want.Hash, moved.Hash(), "the name counts")
}

func TestReadTextsSaysWhatIsMissing(t *testing.T) {
	_, ps := ReadTexts(filepath.Join(t.TempDir(), "nowhere"))
	assert.True(t, ps.Failed())
	_, ps = ReadSteady(t.Context(), filepath.Join(t.TempDir(), "nowhere"))
	assert.True(t, ps.Failed())
}

func TestReadSteadyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := write(t, map[string]string{"a.yaml": goodFile})
		writing, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		put := func(data []byte) {
			_ = os.WriteFile(filepath.Join(dir, ".next"), data, 0o600)
			_ = os.Rename(filepath.Join(dir, ".next"), filepath.Join(dir, "a.yaml"))
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := 0; writing.Err() == nil; n++ {
				put(append([]byte(goodFile), make([]byte, n)...))
				time.Sleep(settle / 2)
			}
			put([]byte(goodFile))
		}()
		texts, ps := ReadSteady(t.Context(), dir)
		<-done
		require.Empty(t, ps)
		require.Equal(t, goodFile, string(texts[0].Data))

		short, stop := context.WithTimeout(t.Context(), settle/2)
		defer stop()
		_, ps = ReadSteady(short, dir)
		require.ErrorContains(t, ps.Err(), "the time was up")
	})
}

func TestWanted(t *testing.T) {
	for name, want := range map[string]bool{
		"a.yaml": true, "b.yml": true, ".a.yaml": false, "#a.yaml": false, "a.txt": false, "../a.yaml": false, "x/a.yaml": false, "": false, "/a.yaml": false,
	} {
		assert.Equal(t, want, Wanted(name), name)
	}
}

// A Watcher that is told what runs, and whose versions wait for somebody.
func TestWatcherHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := write(t, map[string]string{"a.yaml": goodFile, "secret": "0123456789abcdef"})
		running, ps := Load(dir, noEnv)
		require.NoError(t, ps.Err())
		var found []Texts
		var changes []Change
		w := NewWatcher(Options{
			Dir: dir, Env: noEnv, Current: running, Running: func() *realm.Set { return running },
			Found: func(_ *realm.Set, c Change, files Texts) (bool, error) {
				found, changes = append(found, files), append(changes, c)
				return false, nil
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		go w.Run(ctx)
		defer stop()
		put := func(text string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600))
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}
		next := goodFile + "  - {realm: a.example, reject: no}\n"
		put(next)
		require.Len(t, found, 1)
		require.Equal(t, next, string(found[0][0].Data))
		require.Equal(t, Held, w.Status().Result)
		require.Zero(t, w.Status().Generation)
		require.Equal(t, w.Status().Attempt, w.Status().Success)
		put(goodFile + "# the same\n")
		require.True(t, changes[1].Empty(), "against what runs, not against what waits")
		put(goodFile)
		require.Equal(t, Unchanged, w.Status().Result)
		require.Len(t, found, 2)
	})
}

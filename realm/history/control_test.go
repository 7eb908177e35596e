package history

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm/file"
)

func (h *hub) hows() (hows []How) {
	for _, e := range h.ctl.Log().Entries {
		hows = append(hows, e.How)
	}
	return hows
}

// In automatic mode a saved change is taken into use and written down.
func TestAutomatic(t *testing.T) {
	h := newHub(t, t.TempDir(), false)
	assert.Equal(t, []How{Start}, h.hows())
	h.edit("b")
	require.True(t, h.look())
	assert.Equal(t, "b", h.runs())
	assert.Equal(t, []How{Start, Auto}, h.hows())
	e := h.store.Last()
	assert.Contains(t, e.Change, "realms +1 -1 ~0")
	assert.Equal(t, h.ctl.Log().Entries[0].Hash, e.Left)
	h.restart()
	assert.Equal(t, []How{Start, Auto}, h.hows(), "nothing new at a start with the same files")
	assert.Empty(t, h.begin.Why)
	h.stop()
	h.edit("c")
	h.start()
	assert.Equal(t, "c", h.runs())
	assert.Equal(t, []How{Start, Auto, Start}, h.hows())
}

// In manual mode files wait, over a restart too.
func TestManual(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.edit("b")
	require.False(t, h.look())
	assert.Equal(t, "a", h.runs())
	assert.True(t, h.ctl.State().Waiting)
	h.restart()
	assert.Equal(t, "a", h.runs())
	assert.Regexp(t, `^the files as they are wait for roamgate apply: version [0-9a-f]{12} of the history is in use$`, h.begin.Why)
	assert.True(t, h.ctl.State().Waiting)
	out := h.apply(Order{Who: "ann", Comment: "why"})
	assert.Equal(t, Taken, out.Result)
	assert.Contains(t, out.Change, "realms +1 -1 ~0")
	assert.Equal(t, "b", h.runs())
	assert.False(t, h.ctl.State().Waiting)
	assert.Equal(t, []How{Start, Applied}, h.hows())
	assert.Equal(t, "ann", h.store.Last().Who)
	assert.Equal(t, Same, h.apply(Order{}).Result)
	h.pass(time.Hour)
	assert.Equal(t, "b", h.runs())

	h.put(map[string]string{"realms/peers.yaml": "realms: what"})
	assert.Equal(t, Refused, h.apply(Order{}).Result)
	h.restart()
	assert.Equal(t, "b", h.runs(), "files with mistakes do not keep it from starting")
}

func TestManualChangedBack(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.edit("b")
	h.look()
	h.edit("a")
	h.look()
	assert.False(t, h.ctl.State().Waiting)
}

// What nobody confirms is left.
func TestConfirmInTime(t *testing.T) {
	for _, tc := range []struct {
		name    string
		confirm func(h *hub)
		want    string
		hows    []How
	}{
		{"not", func(*hub) {}, "a", []How{Start, Applied, Unconfirmed}},
		{"confirm", func(h *hub) {
			out, err := h.ctl.Confirm("bob", "looks well", h.now)
			require.NoError(h.t, err)
			assert.Equal(h.t, Kept, out.Result)
			assert.Zero(h.t, out.Until)
		}, "b", []How{Start, Applied, Confirmed}},
		{"apply again", func(h *hub) { assert.Equal(h.t, Kept, h.apply(Order{}).Result) }, "b", []How{Start, Applied, Confirmed}},
		{"postponed and forgotten", func(h *hub) {
			assert.Equal(h.t, Postponed, h.apply(Order{Confirm: 3 * time.Minute}).Result)
			h.pass(2 * time.Minute)
			assert.Equal(h.t, "b", h.runs())
		}, "a", []How{Start, Applied, Applied, Unconfirmed}},
		{"another version, unconfirmed too", func(h *hub) {
			h.edit("c")
			h.apply(Order{Confirm: time.Minute})
		}, "a", []How{Start, Applied, Applied, Unconfirmed}},
		{"another version for good", func(h *hub) {
			h.edit("c")
			h.apply(Order{})
		}, "c", []How{Start, Applied, Applied}},
		{"rollback", func(h *hub) {
			out, err := h.ctl.Rollback("", "", "", h.now)
			require.NoError(h.t, err)
			assert.Equal(h.t, Gone, out.Result)
		}, "a", []How{Start, Applied, RolledBack}},
		{"restart", (*hub).restart, "a", []How{Start, Applied, Unconfirmed}},
		{"confirmed after a restart", func(h *hub) {
			h.restart()
			_, err := h.ctl.Confirm("", "", h.now)
			require.NoError(h.t, err)
			h.restart()
		}, "b", []How{Start, Applied, Confirmed}},
		{"time passes while it is down", func(h *hub) {
			h.stop()
			h.now = h.now.Add(time.Hour)
			h.start()
			assert.Contains(h.t, h.begin.Why, "nobody confirmed ")
			assert.Equal(h.t, "a", h.runs())
		}, "a", []How{Start, Applied, Unconfirmed}},
	} {
		for _, manual := range []bool{true, false} {
			t.Run(tc.name+map[bool]string{true: " manual", false: " automatic"}[manual], func(t *testing.T) {
				t.Parallel()
				h := newHub(t, t.TempDir(), manual)
				h.edit("b")
				out := h.apply(Order{Confirm: 2 * time.Minute})
				assert.Equal(t, Taken, out.Result)
				assert.Equal(t, h.now.Add(2*time.Minute), out.Until)
				assert.Equal(t, h.ctl.Log().Entries[0].Hash, out.Base)
				h.pass(time.Minute)
				assert.Equal(t, "b", h.runs())
				tc.confirm(h)
				h.pass(5 * time.Minute)
				assert.Equal(t, tc.want, h.runs())
				assert.Equal(t, tc.hows, h.hows())
				assert.Zero(t, h.ctl.State().Trial)
				h.look()
				assert.Equal(t, tc.want, h.runs(), "what was left is not found again")
				h.restart()
				assert.Equal(t, tc.want, h.runs(), "nor at the next start")
				assert.Equal(t, tc.hows, h.hows())
				assert.Equal(t, tc.want == "a", h.ctl.State().Waiting)
			})
		}
	}
}

// In automatic mode the Watcher may be faster than the operator.
func TestConfirmWhatWasFound(t *testing.T) {
	h := newHub(t, t.TempDir(), false)
	_, err := h.ctl.Apply(t.Context(), Order{Confirm: time.Minute}, h.now)
	assert.EqualError(t, err, "the files are in use already: there is nothing to confirm")
	h.edit("b")
	h.look()
	out := h.apply(Order{Confirm: time.Minute})
	assert.Equal(t, Taken, out.Result)
	h.pass(59 * time.Second)
	assert.Equal(t, "b", h.runs())
	h.pass(2 * time.Second)
	assert.Equal(t, "a", h.runs())
	assert.EqualValues(t, 1, h.ctl.State().Back[NotConfirmed])
	assert.True(t, h.ctl.State().Held)
	require.Len(t, h.left, 1)
	assert.Contains(t, h.left[0], "nobody confirmed it until 2026-03-01T12:01:00Z")

	assert.False(t, h.look(), "what was left is not found again")
	h.edit("c")
	assert.True(t, h.look(), "something newer is")
	assert.False(t, h.ctl.State().Held)
}

// A version that is saved during a trial is on trial too.
func TestFoundDuringATrial(t *testing.T) {
	h := newHub(t, t.TempDir(), false)
	h.edit("b")
	h.apply(Order{Confirm: time.Minute})
	h.pass(30 * time.Second)
	h.edit("c")
	require.True(t, h.look())
	h.restart()
	h.stop()
	h.edit("d")
	h.start()
	assert.Equal(t, "d", h.runs())
	h.pass(29 * time.Second)
	assert.Equal(t, "d", h.runs())
	h.pass(2 * time.Second)
	assert.Equal(t, "a", h.runs())
}

// Who goes back twice does not get what was left first by a restart.
func TestLeftTwiceAndRestarted(t *testing.T) {
	h := newHub(t, t.TempDir(), false)
	h.edit("b")
	h.look()
	h.edit("c")
	h.look()
	for _, back := range []string{"1", "3"} { // to b, and on to a; the files are still c
		_, err := h.ctl.Rollback(back, "", "", h.now)
		require.NoError(t, err)
		h.now = h.now.Add(time.Minute)
	}
	h.restart()
	assert.Equal(t, "a", h.runs())
	assert.True(t, h.ctl.State().Held)
}

// A Watcher that has compiled what a command took meanwhile takes nothing.
func TestFoundAfterApply(t *testing.T) {
	h := newHub(t, t.TempDir(), false)
	h.edit("b")
	files, _ := file.ReadTexts(h.path("realms"))
	set, ps := files.Load(h.path("realms"), nil)
	require.NoError(t, ps.Err())
	h.apply(Order{Confirm: time.Minute})
	taken, err := h.ctl.Found(set, file.Diff(nil, set), files, h.now)
	require.NoError(t, err)
	assert.True(t, taken)
	assert.Equal(t, []How{Start, Applied}, h.hows())
	assert.Len(t, h.uses, 1)
	h.pass(2 * time.Minute)
	assert.Equal(t, "a", h.runs())
}

// What a Watcher found in use may have been left before it says so.
func TestLookedAfterRollback(t *testing.T) {
	h := newHub(t, t.TempDir(), false)
	h.edit("b")
	h.look()
	b := h.ctl.State().Hash
	_, err := h.ctl.Rollback("1", "", "", h.now)
	require.NoError(t, err)
	for _, result := range []file.Result{file.Applied, file.Unchanged} {
		h.ctl.Looked(file.Status{Result: result, Hash: b})
		st := h.ctl.State()
		assert.Equal(t, b, st.Disk)
		assert.True(t, st.Waiting && st.Held, "the files are still those that were left")
	}
}

// A trial that would end where it began is refused.
func TestNoTrialWithoutAWayBack(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.put(map[string]string{"secret": "fedcba9876543210"})
	_, err := h.ctl.Apply(t.Context(), Order{Confirm: time.Minute}, h.now)
	require.ErrorIs(t, err, errNoWayBack)
	assert.Equal(t, "0123456789abcdef", string(h.ctl.Running().Clients[0].Secret))
	assert.Equal(t, Taken, h.apply(Order{}).Result)

	h = newHub(t, t.TempDir(), false)
	h.edit("b")
	h.look()
	h.put(map[string]string{"secret": "fedcba9876543210"})
	h.look()
	_, err = h.ctl.Apply(t.Context(), Order{Confirm: time.Minute}, h.now)
	require.ErrorContains(t, err, "there is nothing to confirm")

	h = newHub(t, t.TempDir(), false)
	base := h.ctl.State().Hash
	h.edit("b")
	h.look()
	require.NoError(t, os.RemoveAll(h.dir()+"/"+versionsDir+"/"+base.Whole()))
	_, err = h.ctl.Apply(t.Context(), Order{Confirm: time.Minute}, h.now)
	require.ErrorContains(t, err, "there is no way back: reading version "+base.String())
	st := h.ctl.State()
	assert.False(t, st.Trial.On())
}

// In manual mode damage never puts files into use that nobody has applied.
func TestManualWithADamagedHistory(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.edit("b")
	h.apply(Order{})
	h.edit("c")
	h.stop()
	newest := h.dir() + "/" + entriesDir + "/" + nameOf(2)
	require.NoError(t, os.WriteFile(newest, nil, 0o600))
	h.start()
	assert.Equal(t, "a", h.runs())
	assert.Contains(t, h.begin.Why, "; what was in use last cannot be read (entries/000000002.json: it is no entry: EOF): version ")
	h.stop()
	require.NoError(t, os.WriteFile(h.dir()+"/"+entriesDir+"/"+nameOf(1), nil, 0o600))
	assert.ErrorContains(t, h.tryStart(), "what was in use cannot be read (routing.apply: auto would take the files as they are): ")
	h.manual = false
	h.start()
	assert.Equal(t, "c", h.runs())
}

// A reload that somebody asks for takes files that were left.
func TestRelease(t *testing.T) {
	h := newHub(t, t.TempDir(), false)
	h.edit("b")
	h.look()
	_, err := h.ctl.Rollback("1", "", "", h.now)
	require.NoError(t, err)
	assert.False(t, h.look())
	h.ctl.Release()
	assert.True(t, h.look())
	assert.Equal(t, "b", h.runs())
}

// Secrets are never kept: an old version has those of today.
func TestSecretsOfTheDay(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.edit("b")
	h.apply(Order{})
	h.put(map[string]string{"secret": "fedcba9876543210"})
	assert.False(t, h.look())
	assert.True(t, h.ctl.State().Waiting, "a secret waits as a file does")
	h.apply(Order{})
	assert.False(t, h.ctl.State().Waiting)
	assert.Equal(t, "fedcba9876543210", string(h.ctl.Running().Clients[0].Secret))
	_, err := h.ctl.Rollback("", "", "", h.now)
	require.NoError(t, err)
	assert.Equal(t, "a", h.runs())
	assert.Equal(t, "fedcba9876543210", string(h.ctl.Running().Clients[0].Secret))
	require.NoError(t, walk(h.dir(), func(path string, data []byte) {
		assert.NotContains(t, string(data), "0123456789abcdef", path)
	}))
	h.put(map[string]string{"secret": "0123456789abcdef"})
	_, err = h.ctl.Rollback("0", "", "", h.now)
	require.NoError(t, err)
	assert.Equal(t, "0123456789abcdef", string(h.ctl.Running().Clients[0].Secret), "the version in use, loaded again")

	require.NoError(t, os.Remove(h.path("secret")))
	out, err := h.ctl.Rollback("", "", "", h.now)
	require.NoError(t, err)
	assert.Equal(t, Refused, out.Result)
	assert.ErrorContains(t, out.Problems.Err(), "realms/peers.yaml:2:")
	assert.Equal(t, "a", h.runs())
}

// A version that cannot be loaded any more is gone back to as it was.
func TestFallBackFromMemory(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.edit("b")
	h.apply(Order{Confirm: time.Minute})
	require.NoError(t, os.RemoveAll(h.dir()+"/"+versionsDir))
	require.NoError(t, os.MkdirAll(h.dir()+"/"+versionsDir, 0o700))
	h.pass(2 * time.Minute)
	assert.Equal(t, "a", h.runs())
	require.Len(t, h.left, 1)
	assert.Contains(t, h.left[0], "reading version ")
}

// After a restart there is no memory to go back to.
func TestNothingToFallBackTo(t *testing.T) {
	for _, down := range []bool{false, true} {
		h := newHub(t, t.TempDir(), true)
		base := h.ctl.State().Hash
		h.edit("b")
		h.apply(Order{Confirm: time.Minute})
		h.stop()
		require.NoError(t, os.RemoveAll(h.dir()+"/"+versionsDir+"/"+base.Whole()))
		if down {
			h.now = h.now.Add(time.Hour)
		}
		h.start()
		assert.Equal(t, "b", h.runs())
		h.pass(2 * time.Minute)
		assert.Equal(t, "b", h.runs())
		if down {
			assert.Contains(t, h.begin.Why, "going back is not possible: reading version "+base.String())
		} else {
			assert.Contains(t, h.ctl.State().Failed, "reading version "+base.String())
		}
	}
}

func TestManualWithoutItsVersion(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.stop()
	require.NoError(t, os.RemoveAll(h.dir()+"/"+versionsDir))
	h.start()
	assert.Equal(t, "a", h.runs(), "the files are that version")
	h.stop()
	require.NoError(t, os.RemoveAll(h.dir()+"/"+versionsDir))
	h.edit("b")
	err := h.tryStart()
	require.ErrorContains(t, err, "the version that was in use cannot be used (routing.apply: auto would take the files as they are): reading version ")
	h.manual = false
	h.start()
	assert.Equal(t, "b", h.runs())
}

// What the hub refuses does not come into use, nor into the history.
func TestUseRefuses(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.edit("b")
	h.refuses = errors.New("no")
	_, err := h.ctl.Apply(t.Context(), Order{Confirm: time.Minute}, h.now)
	require.EqualError(t, err, "no")
	assert.Equal(t, "a", h.runs())
	assert.Equal(t, []How{Start}, h.hows())
	assert.Zero(t, h.ctl.State().Trial)
	h.refuses = nil
	h.apply(Order{Confirm: time.Minute})
	h.refuses = errors.New("no")
	h.pass(2 * time.Minute)
	assert.Equal(t, "b", h.runs())
	assert.Equal(t, "no", h.ctl.State().Failed)
	h.refuses = nil
	h.pass(time.Second)
	assert.Equal(t, "a", h.runs(), "tried again")
}

// A history that cannot be written keeps nobody from going on or back, but no
// trial begins.
func TestHistoryCannotBeWritten(t *testing.T) {
	h := newHub(t, t.TempDir(), false)
	h.edit("b")
	require.True(t, h.look())
	spoil := func(dir string) {
		require.NoError(t, os.RemoveAll(h.dir()+"/"+dir))
		require.NoError(t, os.WriteFile(h.dir()+"/"+dir, nil, 0o600))
	}
	spoil(entriesDir)
	h.edit("c")
	_, err := h.ctl.Apply(t.Context(), Order{Confirm: time.Minute}, h.now)
	require.ErrorContains(t, err, "writing the history: ")
	_, err = h.ctl.Apply(t.Context(), Order{}, h.now)
	require.Error(t, err)
	assert.Equal(t, "b", h.runs())
	require.True(t, h.look(), "a saved change is taken")
	assert.Equal(t, "c", h.runs())
	assert.Contains(t, h.ctl.State().Failed, "writing the history: ")
	_, err = h.ctl.Rollback("1", "", "", h.now)
	require.NoError(t, err)
	assert.Equal(t, "a", h.runs())
}

func TestOrders(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.edit("b")
	for _, tc := range []struct {
		order Order
		want  string
	}{
		{Order{Confirm: time.Second}, "the time for a confirmation is from 10s to 24h0m0s"},
		{Order{Confirm: 25 * time.Hour}, "the time for a confirmation is from 10s to 24h0m0s"},
		{Order{Confirm: -1}, "the time for a confirmation is from 10s to 24h0m0s"},
		{Order{Guard: 101}, "a guard is a percentage from 1 to 100"},
		{Order{Guard: -1}, "a guard is a percentage from 1 to 100"},
		{Order{Guard: 20}, "the guard has nothing to hold the change against: 0 requests were answered in the last minutes, 100 are needed"},
		{Order{Expect: "abcdef"}, "the files are "},
		{Order{Expect: "a"}, "the files are "},
	} {
		_, err := h.ctl.Apply(t.Context(), tc.order, h.now)
		assert.ErrorContains(t, err, tc.want)
	}
	_, err := h.ctl.Confirm("", "", h.now)
	assert.EqualError(t, err, "nothing waits for a confirmation")
	_, err = h.ctl.Rollback("", "", "", h.now)
	assert.EqualError(t, err, "the history goes 0 steps back, not 1")
	assert.Equal(t, "a", h.runs())
	h.look()
	out := h.apply(Order{Expect: h.ctl.State().Disk.String()})
	assert.Equal(t, Taken, out.Result)
}

// answer lets a client have so many answers.
func (h *hub) answer(client string, accepts, answers uint64) {
	c := h.tally[client]
	h.tally[client] = Count{c.Accepts + accepts, c.Answers + answers}
}

func TestGuard(t *testing.T) {
	for _, tc := range []struct {
		name  string
		order Order
		after func(h *hub)
		want  string
	}{
		{"as before", Order{Guard: 20}, func(h *hub) { h.answer("x", 800, 1000) }, "b"},
		{"falls by a fifth and more", Order{Guard: 20}, func(h *hub) { h.answer("x", 639, 1000) }, "a"},
		{"falls by less", Order{Guard: 20}, func(h *hub) { h.answer("x", 641, 1000) }, "b"},
		{"nothing is accepted", Order{Guard: 100}, func(h *hub) { h.answer("x", 0, 1000) }, "b"},
		{"nearly nothing", Order{Guard: 99}, func(h *hub) { h.answer("x", 0, 1000) }, "a"},
		{"too few to tell", Order{Guard: 20}, func(h *hub) { h.answer("x", 0, fewest-1) }, "b"},
		{"enough to tell", Order{Guard: 20}, func(h *hub) { h.answer("x", 0, fewest) }, "a"},
		{"a client with worse devices is busier", Order{Guard: 20}, func(h *hub) { h.answer("x", 80, 100); h.answer("y", 100, 1000) }, "b"},
		{"a client that was not there", Order{Guard: 20}, func(h *hub) { h.answer("z", 0, 5000) }, "b"},
		{"one client falls, the other is small", Order{Guard: 20}, func(h *hub) { h.answer("x", 100, 1000); h.answer("y", 1, 10) }, "a"},
		{"with a confirmation to come", Order{Guard: 20, Confirm: time.Hour}, func(h *hub) { h.answer("x", 0, 1000) }, "a"},
		{"confirmed", Order{Guard: 20, Confirm: time.Hour}, func(h *hub) {
			_, err := h.ctl.Confirm("", "", h.now)
			require.NoError(h.t, err)
			h.answer("x", 0, 1000)
		}, "b"},
		{"when it no longer watches", Order{Guard: 20}, func(h *hub) { h.pass(GuardTime); h.answer("x", 0, 1000) }, "b"},
		{"counters begin anew", Order{Guard: 20}, func(h *hub) { h.tally["x"] = Count{0, 500} }, "b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, t.TempDir(), true)
			h.pass(time.Minute)
			h.answer("x", 800, 1000)
			h.answer("y", 10, 100)
			h.edit("b")
			h.apply(tc.order)
			assert.Equal(t, tc.order.Guard, h.ctl.State().Trial.Guard)
			h.pass(10 * time.Second)
			assert.Equal(t, "b", h.runs())
			tc.after(h)
			h.pass(2 * time.Second)
			assert.Equal(t, tc.want, h.runs())
			if tc.want == "a" {
				assert.Equal(t, Guarded, h.store.Last().How)
				assert.Regexp(t, `^[\d.]+ % of \d+ requests were accepted since the change, [\d.]+ % of those of the same clients before$`, h.store.Last().Why)
				assert.Equal(t, h.store.Last().Why, h.ctl.State().Why)
				assert.EqualValues(t, 1, h.ctl.State().Back[FewerAccepted])
			} else if tc.order.Confirm == 0 {
				h.pass(2 * GuardTime)
				assert.Zero(t, h.ctl.State().Trial, "it ends")
				assert.Equal(t, "b", h.runs())
			}
		})
	}
}

// Only the last minutes before a change count.
func TestGuardForgets(t *testing.T) {
	h := newHub(t, t.TempDir(), true)
	h.pass(time.Minute)
	h.answer("x", 1000, 1000)
	h.pass((tallies + 2) * tallyGap)
	h.answer("x", 0, 200)
	h.edit("b")
	h.apply(Order{Guard: 20})
	h.answer("x", 0, 200)
	h.pass(time.Minute)
	assert.Equal(t, "b", h.runs(), "it was so before the change")
}

func TestStringsOfState(t *testing.T) {
	seen := map[string]bool{}
	for c := range Causes {
		seen[c.String()] = true
	}
	assert.Len(t, seen, int(Causes))
	assert.Len(t, strings.TrimSpace(Hash{}.String()), 12)
}

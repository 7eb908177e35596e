package home

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

// operated is a Registry with two homes and a clock of its own.
type operated struct {
	*Registry
	t    *testing.T
	now  int64
	set  *realm.Set
	view *View
}

func operate(t *testing.T, change func(i int, h *realm.Home, m *realm.Member)) *operated {
	o := &operated{Registry: NewRegistry(1), t: t, now: 1_800_000_000}
	o.wall = func() int64 { return o.now }
	o.load(makeSet(2, change))
	return o
}

func (o *operated) load(set *realm.Set) {
	v, err := o.Compile(set)
	require.NoError(o.t, err)
	o.set, o.view = set, v
}

// met gives the homes that twenty devices meet, and whether home 0 keeps its
// conversations.
func (o *operated) met(k Kind) (homes []int32, keeps bool) {
	p := o.view.Pool(0, k)
	seen := map[int32]bool{}
	for key := range uint64(20) {
		if home, why := pick(p, key, -1, 0, 0); why == OK {
			seen[home] = true
		}
	}
	for _, h := range []int32{0, 1} {
		if seen[h] {
			homes = append(homes, h)
		}
	}
	home, why := pick(p, 1, 0, 0, 0)
	return homes, why == OK && home == 0
}

func TestModes(t *testing.T) {
	both, other := []int32{0, 1}, []int32{1}
	tests := []struct {
		name  string
		files func(h *realm.Home)
		do    func(t *testing.T, o *operated)
		want  Mode // but Since
		homes []int32
		keeps bool
	}{
		{"in use", nil, nil, Mode{}, both, true},
		{"drained by the files", func(h *realm.Home) { h.Drain = true }, nil, Mode{Use: Draining, By: ByFiles}, other, true},
		{"disabled by the files", func(h *realm.Home) { h.Disabled = true }, nil, Mode{Use: Off, By: ByFiles}, other, false},
		{"in a window", func(h *realm.Home) { h.Maintenance = []realm.Window{{Days: 1}, {}} }, nil, Mode{Use: Draining, By: ByWindow}, other, true},
		{"out of its window", func(h *realm.Home) { h.Maintenance = []realm.Window{{End: time.Unix(1_700_000_000, 0)}} }, nil, Mode{}, both, true},
		{"drained by hand", nil, func(t *testing.T, o *operated) { require.NoError(t, o.SetUse("home0", Draining, 0)) },
			Mode{Use: Draining, By: ByHand}, other, true},
		{"disabled by hand", nil, func(t *testing.T, o *operated) { require.NoError(t, o.SetUse("home0", Off, 0)) },
			Mode{Use: Off, By: ByHand}, other, false},
		{"enabled again", nil, func(t *testing.T, o *operated) {
			require.NoError(t, o.SetUse("home0", Off, 0))
			require.NoError(t, o.SetUse("home0", InUse, 0))
		}, Mode{}, both, true},
		{"enabled against the files", func(h *realm.Home) { h.Drain = true }, func(t *testing.T, o *operated) {
			require.NoError(t, o.SetUse("home0", InUse, 0))
		}, Mode{Use: Draining, By: ByFiles}, other, true},
		{"the stricter", func(h *realm.Home) { h.Drain = true }, func(t *testing.T, o *operated) {
			require.NoError(t, o.SetUse("home0", Off, 0))
		}, Mode{Use: Off, By: ByHand}, other, false},
		{"for two hours", nil, func(t *testing.T, o *operated) {
			require.NoError(t, o.SetUse("home0", Draining, o.now+7200))
			o.now += 7199
			o.Govern()
		}, Mode{Use: Draining, By: ByHand, Until: 1_800_007_200}, other, true},
		{"and no longer", nil, func(t *testing.T, o *operated) {
			require.NoError(t, o.SetUse("home0", Draining, o.now+7200))
			o.now += 7200
			o.Govern()
		}, Mode{}, both, true},
		{"over a reload", nil, func(t *testing.T, o *operated) {
			require.NoError(t, o.SetUse("home0", Off, 0))
			o.load(makeSet(2, nil))
		}, Mode{Use: Off, By: ByHand}, other, false},
		{"while it is away", nil, func(t *testing.T, o *operated) {
			require.NoError(t, o.SetUse("home0", Draining, 0))
			o.load(makeSet(0, nil))
			o.load(makeSet(2, nil))
		}, Mode{Use: Draining, By: ByHand}, other, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := operate(t, func(i int, h *realm.Home, _ *realm.Member) {
				if i == 0 && tt.files != nil {
					tt.files(h)
				}
			})
			if tt.do != nil {
				tt.do(t, o)
			}
			got := o.view.Homes()[0].Mode()
			if got.Use != InUse {
				assert.NotZero(t, got.Since)
			}
			got.Since = 0
			assert.Equal(t, tt.want, got)
			for _, k := range []Kind{Auth, Acct} {
				homes, keeps := o.met(k)
				assert.Equal(t, tt.homes, homes)
				assert.Equal(t, tt.keeps, keeps)
			}
			health, cause := o.view.Homes()[0].Health(Auth)
			assert.Equal(t, tt.want.Use == Off, health == Down && cause == Disabled)
		})
	}
}

func TestModeOfNobody(t *testing.T) {
	o := operate(t, nil)
	assert.ErrorContains(t, o.SetUse("home7", Off, 0), "there is no home home7")
	assert.Error(t, NewRegistry(1).SetUse("home0", Off, 0))
}

// Accounting of a session that began before its home was drained goes on
// there; that of a newer one goes elsewhere.
func TestDrainedAccounting(t *testing.T) {
	o := operate(t, nil)
	o.now += 100
	require.NoError(t, o.SetUse("home0", Draining, 0))
	p := o.view.Pool(0, Acct)
	require.True(t, p.Drains())
	from := func(began int64) (homes map[int32]bool) {
		homes = map[int32]bool{}
		for key := range uint64(20) {
			home, why := p.Pick(&Ask{Key: key, Sticky: -1, Began: began})
			require.Equal(t, OK, why)
			homes[home] = true
		}
		return homes
	}
	assert.Equal(t, map[int32]bool{1: true}, from(0))
	assert.Equal(t, map[int32]bool{1: true}, from(o.now))
	assert.Equal(t, map[int32]bool{0: true, 1: true}, from(o.now-1))
	o.now += 50
	require.NoError(t, o.SetUse("home0", Draining, o.now+50))
	assert.Equal(t, map[int32]bool{1: true}, from(o.now-10), "the drain did not begin anew")
	require.NoError(t, o.SetUse("home0", Off, 0))
	assert.Equal(t, map[int32]bool{1: true}, from(1), "nothing is sent to a disabled home")
}

// Where every home is drained, accounting of what began there a moment before
// has nowhere else to go; a conversation that begins has.
func TestAllDrained(t *testing.T) {
	o := operate(t, nil)
	for _, name := range []string{"home0", "home1"} {
		require.NoError(t, o.SetUse(name, Draining, 0))
	}
	p := o.view.Pool(0, Acct)
	first, why := p.Pick(&Ask{Key: 1, Sticky: -1, Last: true})
	require.Equal(t, OK, why)
	other, why := p.Pick(&Ask{Key: 1, Sticky: -1, Last: true, Exclude: p.Bit(first)})
	require.Equal(t, OK, why)
	assert.NotEqual(t, first, other)
	_, why = p.Pick(&Ask{Key: 1, Sticky: -1, Last: true, Exclude: p.Bit(first) | p.Bit(other)})
	assert.Equal(t, NoMember, why)
	_, why = o.view.Pool(0, Auth).Pick(&Ask{Key: 1, Sticky: -1})
	assert.Equal(t, NoMember, why)
	require.NoError(t, o.SetUse("home0", Off, 0))
	for key := range uint64(20) {
		home, why := p.Pick(&Ask{Key: key, Sticky: -1, Last: true})
		require.Equal(t, OK, why)
		assert.EqualValues(t, 1, home, "nothing is sent to a disabled home")
	}
}

// A drained home stands last in the order, a disabled one not at all.
func TestOrderOfModes(t *testing.T) {
	o := operate(t, nil)
	require.NoError(t, o.SetUse("home0", Draining, 0))
	for key := range uint64(20) {
		assert.Equal(t, []int32{1, 0}, o.view.Pool(0, Auth).Order(key))
	}
	require.NoError(t, o.SetUse("home0", Off, 0))
	assert.Equal(t, []int32{1}, o.view.Pool(0, Auth).Order(1))
}

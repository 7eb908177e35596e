package device

import (
	"context"
	"errors"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stream trimmed past us, or one that lost its end, puts the cache in doubt.
func TestFollowerGap(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(ctx context.Context, c redis.UniversalClient) error
	}{
		{"trimmed", func(ctx context.Context, c redis.UniversalClient) error {
			return c.XTrimMaxLen(ctx, "{dp}:chg", 1).Err()
		}},
		{"lost", func(ctx context.Context, c redis.UniversalClient) error { return c.Del(ctx, "{dp}:chg").Err() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := miniredis.RunT(t)
			r := &Redis{Addresses: []string{m.Addr()}}
			st := openStore(t, r)
			ctx := context.Background()
			require.NoError(t, st.Set(ctx, &ProfileSpec{Name: "a"}))
			tab := New(Config{Redis: r})
			f := &follower{t: tab, st: st}
			require.NoError(t, f.resume(ctx))
			assert.Zero(t, tab.stats.epochs.Load())
			require.NoError(t, f.resume(ctx))
			assert.EqualValues(t, 1, tab.stats.epochs.Load())
			assert.Zero(t, tab.Faults(FaultGap))
			at := f.at
			for range 5 {
				require.NoError(t, st.Set(ctx, &ProfileSpec{Name: "b"}))
			}
			require.NoError(t, tt.harm(ctx, st.c))
			require.NoError(t, f.resume(ctx))
			assert.EqualValues(t, 1, tab.Faults(FaultGap))
			assert.NotEqual(t, at, f.at)
			require.NoError(t, f.profiles(ctx))
			assert.NotNil(t, tab.state.Load().profiles.list[0])
		})
	}
}

func TestImportResumes(t *testing.T) {
	m := miniredis.RunT(t)
	st := openStore(t, &Redis{Addresses: []string{m.Addr()}, ChangeLength: 100})
	ctx := context.Background()
	broken := errors.New("line is not a device")
	some := func(yield func(DeviceSpec, error) bool) {
		for d := range fleet(0, 25, "meter") {
			if !yield(d, nil) {
				return
			}
		}
		yield(DeviceSpec{}, broken)
	}
	o := ImportOptions{Name: "june", Batch: 10}
	done, err := st.Import(ctx, o, nil, some, nil)
	require.ErrorIs(t, err, broken)
	assert.ErrorContains(t, err, "device 26")
	assert.Equal(t, ImportProgress{Devices: 20}, done)
	done, err = st.Import(ctx, o, nil, fleet(0, 40, "meter"), nil)
	require.NoError(t, err)
	assert.Equal(t, ImportProgress{Devices: 20, Skipped: 20}, done)
	done, err = st.Import(ctx, o, nil, fleet(0, 5, "meter"), nil)
	require.NoError(t, err, "an import that ended begins anew")
	assert.Equal(t, ImportProgress{Devices: 5}, done)
	_, err = st.Import(ctx, o, nil, func(yield func(DeviceSpec, error) bool) { yield(DeviceSpec{IMSI: "secret", Profile: "x"}, nil) }, nil)
	assert.ErrorContains(t, err, "device 1: imsi")
	assert.NotContains(t, err.Error(), "secret")
}

func TestStore(t *testing.T) {
	m := miniredis.RunT(t)
	st := openStore(t, &Redis{Addresses: []string{m.Addr()}, Space: "test"})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := make(chan Change, 64)
	ended := make(chan error, 1)
	go func() { ended <- st.Watch(ctx, func(c Change) error { seen <- c; return nil }) }()
	spec := &ProfileSpec{Name: "meter", SessionTimeout: "4h"}
	var c Change
	eventually(t, "watch", func() bool {
		require.NoError(t, st.Set(ctx, spec))
		select {
		case c = <-seen:
			return true
		default:
			return false
		}
	})
	assert.Equal(t, OpProfile, c.Op)
	assert.Equal(t, "meter", c.Name)
	got, err := st.Get(ctx, "meter")
	require.NoError(t, err)
	assert.Equal(t, spec, got)
	names, err := st.Names(ctx)
	require.NoError(t, err)
	assert.Equal(t, []string{"meter"}, names)
	got, err = st.Get(ctx, "ghost")
	require.NoError(t, err)
	assert.Nil(t, got)
	assert.ErrorContains(t, st.Set(ctx, &ProfileSpec{Name: "x y"}), "name")
	assert.Error(t, st.SetDevice(ctx, &DeviceSpec{IMSI: "001010000000001"}), "no profile")
	_, _, found, err := st.Device(ctx, DeviceSpec{IMSI: "001010000000001"})
	require.NoError(t, err)
	assert.False(t, found)
	assert.True(t, m.Exists("{test}:chg"))
	cancel()
	assert.ErrorIs(t, <-ended, context.Canceled)

	for _, bad := range []Redis{{}, {Addresses: []string{"a", "b"}}, {Addresses: []string{"a"}, NameKey: []byte("short")}, {Addresses: []string{"a"}, Space: "{x}"}} {
		_, err := OpenStore(&bad)
		assert.Error(t, err)
	}
}

package device

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A change that comes while the read is away wins over what the read brings.
func TestChangeOvertakesRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, stop := startFake(t, Config{})
		defer stop()
		w := inbox{make(chan uint64, 8)}
		s.device(1, "meter")
		s.device(2, "meter")
		hold := make(chan struct{})
		s.set(func(s *fakeStore) { s.hold = hold })
		blocked, gone := imsi(1), imsi(2)
		fetch(t, tab, w, &blocked, 1)
		synctest.Wait()
		fetch(t, tab, w, &gone, 2)
		name := "imsi:001010000000001"
		tab.change(&Change{Op: OpDevice, Name: name, Value: string(appendValue(nil, value{2, flagBlocked, "meter"}, name))})
		tab.change(&Change{Op: OpDeviceDelete, Name: "imsi:001010000000002"})
		close(hold)
		w.wait(t)
		w.wait(t)
		assert.Equal(t, Blocked, tab.Decide(&blocked).Reason)
		assert.Equal(t, UnknownDevice, tab.Decide(&gone).Reason)
	})
}

func TestChanges(t *testing.T) {
	tab := New(Config{Redis: &Redis{Addresses: []string{"none"}}})
	tab.setProfiles(map[string]*Profile{"meter": {Name: "meter"}}, true)
	q := imsi(1)
	k, _ := tab.KeyOf(&q)
	name := "imsi:001010000000001"
	device := func(v value) *Change {
		return &Change{Op: OpDevice, Name: name, Value: string(appendValue(nil, v, name))}
	}
	tab.store(k, result{absence: absentUnknown}, 1, 1)
	require.Equal(t, UnknownDevice, tab.Decide(&q).Reason)
	tab.change(device(value{1, 0, "meter"}))
	require.Equal(t, Miss, tab.Decide(&q).Outcome, "an absence ends; the device is fetched when needed")
	tab.store(k, result{found: true, value: value{1, 0, "meter"}}, 1, 1)
	require.Equal(t, Allow, tab.Decide(&q).Outcome)
	tab.change(device(value{2, flagBlocked, "meter"}))
	require.Equal(t, Blocked, tab.Decide(&q).Reason)
	tab.change(device(value{3, 0, "ghost"}))
	require.Equal(t, ProfileMissing, tab.Decide(&q).Reason)
	tab.change(&Change{Op: OpProfile, Name: "ghost", Value: `{"v":1,"name":"ghost","deny":true}`})
	require.Equal(t, Denied, tab.Decide(&q).Reason)
	tab.change(&Change{Op: OpProfile, Name: "ghost", Value: `{"v":1,"name":"ghost","de`})
	require.Equal(t, Denied, tab.Decide(&q).Reason, "what cannot be read changes nothing")
	tab.change(&Change{Op: OpDevice, Name: name, Value: "1 4 - me"})
	require.Equal(t, Denied, tab.Decide(&q).Reason)
	assert.EqualValues(t, 2, tab.Faults(FaultTruncated))
	tab.change(&Change{Op: OpProfileDelete, Name: "ghost"})
	require.Equal(t, ProfileMissing, tab.Decide(&q).Reason)
	tab.change(&Change{Op: OpDeviceDelete, Name: name})
	require.Equal(t, Miss, tab.Decide(&q).Outcome)
	tab.change(&Change{Op: "new", Name: "h:zz"})
	tab.change(&Change{Op: OpDeviceDelete, Name: "h:zz"})
	assert.EqualValues(t, 2, tab.Faults(FaultMalformed))
}

package clearing

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

func testFilter(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	h := newHub(t, "hub-1")
	for i := range 12 {
		h.client = fmt.Sprintf("visited-%d", i%3)
		b.take(h.batch(life(fmt.Sprintf("s%d", i), noon.Add(time.Duration(i)*time.Hour))...))
	}
	all := b.records(Filter{})
	require.Len(t, all, 12)
	for i, e := range all {
		assert.Equal(t, uint64(i+1), e.Order)
		got, err := b.s.Record(ctx, e.Record.ID)
		require.NoError(t, err)
		assert.Equal(t, e, *got)
	}
	seventh := all[6].Record
	yes, no := true, false
	billable := len(slices.DeleteFunc(slices.Clone(all), func(e Entry) bool { return !e.Record.Billable }))
	tests := []struct {
		name string
		f    Filter
		want int
	}{
		{"all", Filter{}, 12},
		{"from a place on", Filter{After: 9}, 3},
		{"behind the end", Filter{After: 1 << 63}, 0},
		{"a few", Filter{Limit: 5}, 5},
		{"a few from a place on", Filter{After: 10, Limit: 5}, 2},
		{"home", Filter{Home: seventh.Home.Realm}, 12},
		{"another home", Filter{Home: "elsewhere.example"}, 0},
		{"visited", Filter{Visited: seventh.Visited.Realm}, 12},
		{"client", Filter{Client: "visited-1"}, 4},
		{"session id", Filter{SessionID: "s7"}, 1},
		{"a session id that nobody can have", Filter{SessionID: "\x00\xff"}, 0},
		{"session", Filter{Session: seventh.Session}, 1},
		{"session behind its end", Filter{Session: seventh.Session, After: 7}, 0},
		{"device", Filter{Device: seventh.Device}, 12},
		{"user", Filter{User: seventh.User}, 1},
		{"CUI", Filter{CUI: seventh.CUI}, 1},
		{"another CUI", Filter{CUI: accounting.Key{9}}, 0},
		{"status", Filter{Status: usage.Final}, 12},
		{"another status", Filter{Status: usage.Correction}, 0},
		{"exception", Filter{Exception: "no_such_code"}, 0},
		{"billable", Filter{Billable: &yes}, billable},
		{"not billable", Filter{Billable: &no}, 12 - billable},
		{"from a time on", Filter{From: noon.Add(10 * time.Hour)}, 3},
		{"before a time", Filter{To: noon.Add(10 * time.Hour)}, 9},
		{"an hour", Filter{From: noon.Add(5 * time.Hour), To: noon.Add(6 * time.Hour)}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Len(t, b.records(tt.f), tt.want) })
	}
	for e, err := range b.s.Records(ctx, Filter{}) {
		require.NoError(t, err)
		assert.Equal(t, uint64(1), e.Order)
		break
	}
}

func testSession(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	one, two := newHub(t, "hub-1"), newHub(t, "hub-2")
	ps := life("s", noon)
	b.take(one.batch(ps[0]), two.batch(ps[1]), one.batch(ps[2]), two.batch(life("other", noon)...))
	r := b.records(Filter{SessionID: "s"})[0].Record
	a, err := b.s.Session(ctx, r.Session)
	require.NoError(t, err)
	require.NotNil(t, a)
	require.NotNil(t, a.Session)
	assert.False(t, a.Session.Open)
	assert.Equal(t, r.Session, a.Session.Key())
	assert.Equal(t, []Entry{{Order: 1, Record: r}}, a.Records)
	assert.Equal(t, 3, a.Taken)
	require.Len(t, a.Reports, 3)
	want := []Trace{
		{Source: usage.Source{Node: "hub-1", Epoch: one.epoch, Seq: 1}, Kind: accounting.Start, Event: noon},
		{Source: usage.Source{Node: "hub-2", Epoch: two.epoch, Seq: 1}, Kind: accounting.Interim, Event: noon.Add(30 * time.Minute), SessionTime: 1800, InputOctets: 400_000, OutputOctets: 4_000_000, InputPackets: 4000, OutputPackets: 40_000},
		{Source: usage.Source{Node: "hub-1", Epoch: one.epoch, Seq: 2}, Kind: accounting.Stop, Class: usage.Cleared, Event: noon.Add(time.Hour), SessionTime: 3600, InputOctets: 1_000_000, OutputOctets: 9_000_000, InputPackets: 10_000, OutputPackets: 90_000, TerminateCause: 1},
	}
	for i := range want {
		want[i].Arrival = want[i].Event.Add(time.Second)
		want[i].Has = a.Reports[i].Has
	}
	assert.Equal(t, want, a.Reports)

	// Of a session that never ends the newest reports are kept.
	h := newHub(t, "hub-3")
	p := ps[1]
	p.session = "long"
	var many []packet
	for i := range MaxTraces + 7 {
		p.at, p.seconds = p.at.Add(time.Minute), p.seconds+60
		p.in += 1000
		many = append(many, p)
		if i%100 == 99 {
			b.take(h.batch(many...))
			many = nil
		}
	}
	p.kind, p.at, p.seconds = accounting.Stop, p.at.Add(time.Minute), p.seconds+60
	b.take(h.batch(append(many, p)...))
	rs := b.records(Filter{SessionID: "long"})
	require.NotEmpty(t, rs)
	a, err = b.s.Session(ctx, rs[0].Record.Session)
	require.NoError(t, err)
	assert.Equal(t, MaxTraces+8, a.Taken)
	require.Len(t, a.Reports, MaxTraces)
	for i, tr := range a.Reports {
		require.Equal(t, uint64(i+9), tr.Seq)
	}
}

func testSweep(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	h := newHub(t, "hub-1")
	ps := life("s", noon)
	b.take(h.batch(ps[:2]...))
	assert.Equal(t, int64(1), b.stats().Open)
	n, err := b.s.Sweep(ctx, noon.Add(time.Hour))
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = b.s.Sweep(ctx, noon.Add(72*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	st := b.stats()
	assert.Zero(t, st.Open)
	assert.Equal(t, int64(1), st.Records[usage.Estimated])
	assert.Equal(t, usageOf{1, 400_000, 4_000_000, 1800}, b.usage())
	n, err = b.s.Sweep(ctx, noon.Add(72*time.Hour))
	require.NoError(t, err)
	assert.Zero(t, n, "once")

	b.take(h.batch(ps[2]))
	assert.Equal(t, int64(1), b.stats().Records[usage.Correction])
	assert.Equal(t, wantLives(1).out, b.usage().out)
	assert.Equal(t, map[usage.Class]int64{usage.Cleared: 3}, b.classes())

	// A NAS that starts again closes what was open there.
	b.take(h.batch(life("open", noon)[0], packet{kind: accounting.On, nas: "ap-1", at: noon.Add(time.Hour)}))
	assert.Zero(t, b.stats().Open)
}

func testNow(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	now := func() time.Time {
		t.Helper()
		at, err := b.s.Now(ctx)
		require.NoError(t, err)
		return at
	}
	one, two := newHub(t, "hub-1"), newHub(t, "hub-2")
	start := b.clock.now
	b.take(one.batch(life("a", noon)...))
	first := noon.Add(time.Hour + time.Second)
	assert.Equal(t, first, now())
	b.take(two.batch(life("b", noon.Add(-5*time.Hour))...))
	assert.Equal(t, first.Add(-5*time.Hour), now(), "what the slower has not said yet is not missing")

	// A hub that says no more is waited for an hour.
	for at := range 4 {
		b.clock.now = start.Add(time.Duration(at+1) * 20 * time.Minute)
		b.take(one.batch(life(fmt.Sprint(at), noon.Add(time.Duration(at)*time.Hour))...))
	}
	assert.Equal(t, first.Add(3*time.Hour), now())
	b.reopen()
	assert.Equal(t, first.Add(-5*time.Hour), now(), "after a start all have an hour to speak")

	// A clock that is ahead closes nothing.
	b.take(one.batch(life("c", noon.AddDate(3, 0, 0))...))
	b.take(two.batch(life("d", noon.AddDate(3, 0, 0))...))
	assert.Equal(t, b.clock.now, now())
}

func testForget(t *testing.T, make placeMaker) {
	b := newBench(t, make, func(o *Options) { o.Keep = 90 * 24 * time.Hour })
	h := newHub(t, "hub-1")
	old := h.batch(life("old", noon)...)
	b.take(old, h.batch(life("open", noon)[:1]...))
	later := noon.AddDate(0, 0, 100)
	b.clock.now = later.Add(time.Hour)
	b.take(h.batch(life("new", later)...))
	oldest := b.records(Filter{})[0].Record
	_, err := b.s.Sweep(ctx, noon.AddDate(0, 0, 80))
	require.NoError(t, err)
	assert.Len(t, b.records(Filter{}), 3, "the open one is closed, nothing is old")

	_, err = b.s.Sweep(ctx, later)
	require.NoError(t, err)
	var left []string
	for _, e := range b.records(Filter{}) {
		left = append(left, e.Record.SessionID)
	}
	assert.NotContains(t, left, "old")
	assert.Contains(t, left, "new")
	a, err := b.s.Session(ctx, oldest.Session)
	require.NoError(t, err)
	assert.Nil(t, a)
	e, err := b.s.Record(ctx, oldest.ID)
	require.NoError(t, err)
	assert.Nil(t, e)
	// That its batch was taken is known all the same.
	want := b.usage()
	assert.Equal(t, uint64(7), b.take(old))
	assert.Equal(t, want, b.usage())
	assert.Equal(t, int64(7), b.stats().Reports)
	src, err := b.s.Sources(ctx)
	require.NoError(t, err)
	assert.Equal(t, uint64(4), src[0].forgotten)

	// Overlapping with what is known only in sum is a conflict still.
	back := newHub(t, "hub-1")
	back.next = 4
	_, err = b.s.Take(ctx, back.batch(life("x", later)...))
	require.ErrorIs(t, err, ErrConflict)
}

// What a hub reports while its clock is years behind is as old as what it
// reported before.
func testForgetClock(t *testing.T, make placeMaker) {
	b := newBench(t, make, func(o *Options) { o.Keep = 90 * 24 * time.Hour })
	b.clock.now = noon.Add(24 * time.Hour)
	h, other := newHub(t, "hub-1"), newHub(t, "hub-2")
	behind := life("behind", noon)
	b.take(h.batch(life("before", noon)...), h.late(-40*365*24*time.Hour, behind...), h.batch(life("after", noon)...))
	want := b.usage()
	require.Equal(t, int64(3), want.records)
	for range 3 {
		_, err := b.s.Sweep(ctx, noon.Add(time.Hour))
		require.NoError(t, err)
	}
	assert.Equal(t, want, b.usage(), "no record is forgotten")
	b.take(other.batch(behind...))
	assert.Equal(t, want, b.usage(), "nor that its events were taken")
}

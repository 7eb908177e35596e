package stat

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRetire(t *testing.T) {
	r := NewRegistry()
	s := r.Shard()
	gone := r.Counter(reqs, reqsHelp, "home", "gone", "kind", "auth")
	s.Add(gone, 5)
	s.Add(r.Counter(reqs, reqsHelp, "home", "stays", "kind", "auth"), 7)
	r.StateSet("roamgate_home_state", "State of a home.", []string{"up", "down"}, func() int { return 0 }, "home", "gone")
	r.Counter("roamgate_other_total", "Has no homes.", "client", "gone")
	s.Publish()

	before := r.Lines()
	assert.Zero(t, r.Retire())
	assert.Zero(t, r.Retire("home", "unknown"))
	assert.Equal(t, 3, r.Retire("home", "gone"))
	assert.Zero(t, r.Retire("home", "gone"))
	assert.Equal(t, before-3, r.Lines())
	assert.EqualValues(t, 7, r.Value(reqs))
	assert.Zero(t, r.Value("roamgate_home_state"))

	s.Add(gone, 1) // a shard that still drains
	s.Publish()
	assert.EqualValues(t, 7, r.Value(reqs))
	assert.Equal(t, gone, r.Counter(reqs, reqsHelp, "home", "gone", "kind", "auth"))
	assert.EqualValues(t, 13, r.Value(reqs), "it goes on where it was")
	assert.Equal(t, before-2, r.Lines())
}

// Homes that come and go for years must not fill the memory, and a newcomer
// must not start with the counts of another.
func TestRetiredWordsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry()
		s := r.Shard()
		var high uint32
		for i := range 50 {
			home := fmt.Sprint("home", i)
			s.Add(r.Counter(reqs, reqsHelp, "home", home), 1)
			s.Observe(r.Histogram(lat, latHelp, LatencyBounds, "home", home), 1)
			s.Publish()
			assert.EqualValues(t, 1, r.Value(reqs))
			assert.EqualValues(t, 1, r.Value(lat))
			r.Retire("home", home)
			if i%3 == 0 { // back and away again: it must not be given out twice
				r.Counter(reqs, reqsHelp, "home", home)
				r.Retire("home", home)
			}
			if i == 10 {
				high = r.next
			}
			time.Sleep(reuseAfter / 2)
		}
		assert.Equal(t, high, r.next)
		assert.Less(t, len(r.families[reqs].series), 10)
	})
}

// Series whose labels have one hash are found, retired and replaced as any others.
func TestLabelsOfOneHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry()
		r.mask = 0
		s := r.Shard()
		ids := map[string]ID{}
		for i := range 5 {
			name := fmt.Sprint(i)
			ids[name] = r.Counter(reqs, reqsHelp, "home", name, "kind", "auth")
			s.Add(ids[name], uint64(i+1))
			r.GaugeFunc("roamgate_home_age_seconds", "Age.", func() float64 { return float64(10 * (i + 1)) }, "home", name)
		}
		s.Publish()
		assert.Len(t, r.families[reqs].series, 1)
		assert.EqualValues(t, 15, r.Value(reqs))
		for _, name := range []string{"2", "4", "0", "3", "1"} { // in the middle, the first, the last, what stays
			i := float64(name[0] - '0')
			assert.Equal(t, ids[name], r.Counter(reqs, reqsHelp, "kind", "auth", "home", name))
			assert.Equal(t, i+1, r.Value(reqs, "home", name))
			assert.Equal(t, 10*(i+1), r.Value("roamgate_home_age_seconds", "home", name))
			assert.Equal(t, 2, r.Retire("home", name))
			assert.Zero(t, r.Value("roamgate_home_age_seconds", "home", name))
		}
		assert.Empty(t, r.families["roamgate_home_age_seconds"].series)
		time.Sleep(2 * reuseAfter)
		for i := range 5 {
			assert.Less(t, r.Counter(reqs, reqsHelp, "home", fmt.Sprint("new-", i), "kind", "auth"), ids["4"]+1, "words are used again")
		}
		assert.Zero(t, r.Value(reqs))
		var n int
		for range r.families[reqs].all {
			n++
		}
		assert.Equal(t, 5, n, "those whose words went are forgotten")
	})
}

// A shard may still hold the ID of a home that has just gone.
func TestRetiredWordsRest(t *testing.T) {
	r := NewRegistry()
	gone := r.Counter(reqs, reqsHelp, "home", "gone")
	r.Retire("home", "gone")
	assert.NotEqual(t, gone, r.Counter(reqs, reqsHelp, "home", "new"))
}

func TestFold(t *testing.T) {
	r := NewRegistry()
	r.limit = 3
	s := r.Shard()
	for i := range 5 {
		s.Add(r.Counter(reqs, reqsHelp, "client", fmt.Sprint(i)), 1)
	}
	r.GaugeFunc("roamgate_client_age_seconds", "Age.", func() float64 { return 1 }, "client", "9")
	s.Add(r.Counter("roamgate_reloads_total", "Without labels there is always room."), 1)
	s.Publish()
	assert.EqualValues(t, 5, r.Value(reqs), "folding loses no count")
	assert.EqualValues(t, 1, r.Value(reqs, "client", "2"))
	assert.EqualValues(t, 2, r.Value(reqs, "client", Folded))
	assert.EqualValues(t, 2, r.Value(folded.Name, "metric", reqs))
	assert.EqualValues(t, 1, r.Value(folded.Name, "metric", "roamgate_client_age_seconds"))
	assert.EqualValues(t, 1, r.Value("roamgate_reloads_total"))

	r.limit = 6
	r.Retire("client", "0")
	r.Retire("client", "1")
	s.Add(r.Counter(reqs, reqsHelp, "client", "4"), 1)
	s.Publish()
	assert.EqualValues(t, 1, r.Value(reqs, "client", "4"), "room again")
	s.Add(r.Counter(reqs, reqsHelp, "client", "0"), 1)
	s.Publish()
	assert.Zero(t, r.Value(reqs, "client", "0"), "a return needs room too")
	assert.EqualValues(t, 3, r.Value(reqs, "client", Folded))
}

// TestPairsAreShared: a label that many series have is kept once, and is bounded.
func TestPairsAreShared(t *testing.T) {
	r := NewRegistry()
	r.Counter("roamgate_a_total", "A.", "peer", "p", "way", "in")
	r.Counter("roamgate_b_total", "B.", "peer", "p")
	pairs := func(name string) []string {
		var all []string
		for _, s := range r.families[name].series {
			for _, p := range s.pairs {
				all = append(all, p.GetName()+"="+p.GetValue())
			}
		}
		return all
	}
	assert.Equal(t, []string{"peer=p", "way=in"}, pairs("roamgate_a_total"))
	assert.Equal(t, []string{"peer=p"}, pairs("roamgate_b_total"))
	assert.Len(t, r.pairs, 2)
	for i := range MaxSeries {
		r.pairsOf([]string{"peer", strconv.Itoa(i)})
	}
	assert.LessOrEqual(t, len(r.pairs), MaxSeries)
	assert.Equal(t, "p", r.pairsOf([]string{"peer", "p"})[0].GetValue())
}

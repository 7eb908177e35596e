package usage

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAppendJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		r := anyRecord(rng)
		want, err := json.Marshal(r)
		require.NoError(t, err)
		got, err := r.AppendJSON([]byte("before"))
		require.NoError(t, err)
		require.Equal(t, "before"+string(want), string(got))
	}
	for name, r := range map[string]*Record{
		"zero":            {},
		"empty civic":     {Location: Location{Civic: map[string]string{}}},
		"not UTF-8":       {Hub: "\xff", Client: "\u2028\x7f"},
		"another zone":    {Start: time.Unix(0, 5).In(time.FixedZone("", 3600))},
		"status unknown":  {Status: "<"},
		"an empty class":  {Classes: anyRecord(rng).Classes[:0]},
		"five-digit year": {Start: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		want, wantErr := json.Marshal(r)
		got, err := r.AppendJSON(nil)
		assert.Equal(t, wantErr == nil, err == nil, name)
		if err == nil {
			assert.Equal(t, string(want), string(got), name)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	r := anyRecord(rand.New(rand.NewPCG(1, 2)))
	r.Hub, r.Client, r.SessionID, r.NAS, r.Source.Node = "hub-1", "visited", "5f3a", "ap-1", "hub-1"
	r.Route, r.MultiSessionID, r.CalledStation, r.PlainDevice, r.PlainUser, r.PlainCUI = "home", "", "02-00", "", "", ""
	r.Location, r.Service, r.Exceptions = Location{}, Service{}, nil
	b.Run("append", func(b *testing.B) {
		var doc []byte
		for b.Loop() {
			doc, _ = r.AppendJSON(doc[:0])
		}
	})
	b.Run("marshal", func(b *testing.B) {
		for b.Loop() {
			_, _ = json.Marshal(r)
		}
	})
}

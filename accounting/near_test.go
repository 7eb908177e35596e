package accounting

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNearKeys(t *testing.T) {
	h := NewHasher([]byte("a key of a test"))
	at := func(start int64) Key {
		return h.Key(&Event{Kind: Start, Time: start, SessionID: []byte("s"), UserName: []byte("u@home.example")}, "visited")
	}
	assert.Equal(t, [2]Key{at(100), at(120)}, at(110).Near())
	assert.Equal(t, at(110), at(100).Near()[1])
	assert.Equal(t, at(110), at(119))
}

func TestUntimedByContent(t *testing.T) {
	h := NewHasher([]byte("a key of a test"))
	at := func(k Kind, f Flags, start int64) Key {
		e := Event{Kind: k, Time: start, Flags: f, Has: HasSessionTime, SessionID: []byte("s"), UserName: []byte("u@home.example")}
		return h.Key(&e, "visited")
	}
	stop := at(Stop, FlagArrivalTime, 100)
	assert.True(t, stop.Untimed())
	assert.False(t, at(Stop, 0, 100).Untimed())
	assert.False(t, at(Start, FlagArrivalTime, 100).Untimed())

	content, other := Key{1}, Key{2}
	assert.Equal(t, stop.ByContent(content), at(Stop, FlagArrivalTime, 5000).ByContent(content))
	assert.NotEqual(t, stop.ByContent(content), stop.ByContent(other))
}

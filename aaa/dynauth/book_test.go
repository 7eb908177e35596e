package dynauth

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

// live is a session of a user at a client.
func live(client int32, user, id, station string) *Session {
	return &Session{User: []byte(user), ID: []byte(id), Station: []byte(station), Client: client, Auth: 1, Acct: 1}
}

// places are the clients of the live sessions that are found.
func places(b *Book, s *Session) (all []int32) {
	for _, f := range b.Find(nil, s) {
		if !f.Other && !f.Ended {
			all = append(all, f.Client)
		}
	}
	return all
}

func TestBook(t *testing.T) {
	b := NewBook(1 << 20)
	one, two := b.Name("client one"), b.Name("client two")
	assert.NotEqual(t, one, two)
	assert.Equal(t, one, b.Name("client one"))

	// An Access-Accept without Acct-Session-Id, then the Start with it.
	b.Learn(live(one, "Bob@a.example", "", "02-01"), 1)
	assert.Equal(t, []int32{one}, places(b, live(0, "bob@A.example", "", "")), "names have no case")
	assert.Equal(t, []int32{one}, places(b, live(0, "bob@a.example", "s-1", "02-01")), "what is not known does not contradict")
	b.Learn(live(one, "bob@a.example", "s-1", "02-01"), 2)
	assert.Equal(t, []int32{one}, places(b, live(0, "", "s-1", "")))
	assert.Empty(t, places(b, live(0, "bob@a.example", "s-2", "02-01")), "it has another Acct-Session-Id now")
	found := b.Find(nil, live(0, "eve@a.example", "s-1", ""))
	require.Len(t, found, 1)
	assert.True(t, found[0].Other)

	// The same Acct-Session-Id at another client, of another user.
	b.Learn(live(two, "eve@a.example", "s-1", "02-02"), 3)
	assert.Equal(t, []int32{two}, places(b, live(0, "eve@a.example", "s-1", "")))
	assert.Equal(t, []int32{one}, places(b, live(0, "bob@a.example", "s-1", "")))
	assert.Len(t, places(b, live(0, "", "s-1", "")), 2)

	// It ends, and begins anew.
	b.End(live(one, "bob@a.example", "s-1", "02-01"), 4)
	assert.Empty(t, places(b, live(0, "bob@a.example", "", "")))
	found = b.Find(nil, live(0, "bob@a.example", "s-1", ""))
	require.NotEmpty(t, found)
	assert.True(t, found[0].Ended || found[0].Other)
	again := live(one, "bob@a.example", "s-1", "02-01")
	again.Began = true
	b.Learn(again, 4+late)
	assert.Equal(t, []int32{one}, places(b, live(0, "bob@a.example", "s-1", "")))
	assert.Empty(t, b.Find(nil, new(Session)))
}

// NASes that count their sessions from one are told apart.
func TestBookNAS(t *testing.T) {
	b := NewBook(1 << 20)
	at := func(nas string, typ radius.Type, user string) *Session {
		s := live(7, user, "1", "")
		s.NAS, s.NASType = []byte(nas), typ
		return s
	}
	b.Learn(at("ap-1", radius.NASIdentifier, "bob@a.example"), 1)
	b.Learn(at("ap-2", radius.NASIdentifier, "eve@a.example"), 1)
	assert.Len(t, b.Find(nil, at("ap-1", radius.NASIdentifier, "bob@a.example")), 1)
	found := b.Find(nil, at("ap-2", radius.NASIdentifier, "bob@a.example"))
	require.Len(t, found, 1)
	assert.True(t, found[0].Other)
	assert.Len(t, places(b, at("\x0a\x00\x00\x01", radius.NASIPAddress, "bob@a.example")), 1, "an address says nothing of an identifier")
}

// A full set forgets what is over first, then what was not heard of for longest.
func TestBookForgets(t *testing.T) {
	b := NewBook(0)
	assert.EqualValues(t, rowSize, reflect.TypeFor[row]().Size(), "what the size of a Book is reckoned with")
	for i := range uint32(ways + 3) {
		b.Learn(live(1, "bob@a.example", fmt.Sprint("s-", i), fmt.Sprint("d-", i)), 100+i)
		if i == 5 {
			b.End(live(1, "bob@a.example", "s-5", "d-5"), 200)
		}
	}
	known := map[int]bool{}
	var s Session
	s.User = []byte("bob@a.example")
	assert.Len(t, places(b, &s), ways)
	for i := range ways + 3 {
		s.Station = fmt.Append(nil, "d-", i)
		s.ID = nil
		h := b.hash(&Session{User: s.User})
		r, _ := b.row(h[byUser])
		for _, e := range r.what {
			if e.parts[bySession] == part(b.hash(&Session{ID: fmt.Append(nil, "s-", i)})[bySession]) {
				known[i] = true
			}
		}
	}
	assert.Equal(t, map[int]bool{2: true, 3: true, 4: true, 6: true, 7: true, 8: true, 9: true, 10: true}, known)
}

// What comes late brings no session back; a NAS that counts anew does.
func TestBookLate(t *testing.T) {
	session := func(began, accepted bool, id string) *Session {
		s := live(1, "bob@a.example", id, "02-01")
		s.Began, s.Accepted = began, accepted
		return s
	}
	for _, tt := range []struct {
		name  string
		then  *Session
		after uint32
		alive bool
	}{
		{"Interim", session(false, false, "s-1"), 1, false},
		{"Interim of a day later", session(false, false, "s-1"), 86400, false},
		{"Start that was repeated", session(true, false, "s-1"), late - 1, false},
		{"Start of a NAS that counts anew", session(true, false, "s-1"), late, true},
		{"Access-Accept", session(true, true, "s-1"), 0, true},
		{"Access-Accept without Acct-Session-Id", session(true, true, ""), 0, true},
		{"Start of the next session", session(true, false, "s-2"), 0, true},
		{"Interim of the next session", session(false, false, "s-2"), 0, true},
	} {
		for name, before := range map[string][]*Session{
			"": {session(true, false, "s-1")}, " after an Accept": {session(true, true, ""), session(true, false, "s-1")}, " without Start": {session(true, true, "")}, " without anything": nil,
		} {
			t.Run(tt.name+name, func(t *testing.T) {
				b := NewBook(1 << 20)
				for _, s := range before {
					b.Learn(s, 1000)
				}
				b.End(session(false, false, "s-1"), 2000)
				b.Learn(tt.then, 2000+tt.after)
				for _, by := range []*Session{{ID: tt.then.ID}, {Station: tt.then.Station}, {User: tt.then.User}, tt.then} {
					if len(by.ID)+len(by.Station)+len(by.User) > 0 {
						assert.Equal(t, tt.alive, len(places(b, by)) > 0, "%s %s %s", by.ID, by.Station, by.User)
					}
				}
			})
		}
	}
}

// Accounting-On and -Off end what their NAS had, and nothing else.
func TestBookRestart(t *testing.T) {
	b := NewBook(1 << 20)
	at := func(client int32, nas, id string) *Session {
		s := live(client, "bob@a.example", id, "")
		s.NAS, s.NASType = []byte(nas), radius.NASIdentifier
		return s
	}
	all := []*Session{at(1, "ap-1", "s-1"), at(1, "ap-2", "s-2"), at(2, "ap-1", "s-3"), live(1, "bob@a.example", "s-4", "")}
	for _, s := range all {
		b.Learn(s, 10)
	}
	b.Restart(&Session{Client: 1, NAS: []byte("ap-1"), NASType: radius.NASIdentifier}, 20)
	b.Restart(&Session{Client: 1}, 20)
	for i, s := range all {
		assert.Equal(t, i > 0, len(places(b, s)) > 0, "%s", s.ID)
	}
	next := at(1, "ap-1", "s-5")
	b.Learn(next, 20)
	assert.NotEmpty(t, places(b, next), "what begins with it lives")
}

// Shards write while the way back reads.
func TestBookConcurrent(t *testing.T) {
	b := NewBook(1 << 16)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				s := live(int32(w), fmt.Sprintf("u%d@a.example", i%50), fmt.Sprint("s-", w, "-", i), "")
				b.Learn(s, uint32(i))
				for _, f := range b.Find(nil, s) {
					if f.Client < 0 || f.Client > 3 {
						t.Errorf("torn: %+v", f)
					}
				}
				if i%3 == 0 {
					b.End(s, uint32(i))
				}
				b.Restart(&Session{Client: int32(w), NAS: []byte("ap"), NASType: radius.NASIdentifier}, uint32(i))
				b.Name(fmt.Sprint("client ", i%10))
			}
		})
	}
	wg.Wait()
}

// TestAllocs: what shards do allocates nothing.
func TestAllocs(t *testing.T) {
	b := NewBook(1 << 20)
	p := packet(t, userName, "bob@a.example", sessionID, "s-1", stationID, "02-00-00-00-00-01", nasIP, "\x0a\x00\x00\x01", nasID, "ap-17", cui, "x")
	s := NewSealer([]byte("0123456789abcdef"))
	mark, buf, op := s.Mark("ap"), make([]byte, 0, 512), []byte("1edge.example")
	var se Session
	for name, do := range map[string]func(){
		"learn": func() { se.Read(p); b.Learn(&se, 1) },
		"end":   func() { b.End(&se, 2) },
		"on":    func() { b.Restart(&se, 3) },
		"seal":  func() { s.Append(buf, p, op, mark) },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, do), name)
	}
}

// BenchmarkLearn is what an accepted session costs its shard.
func BenchmarkLearn(b *testing.B) {
	book := NewBook(64 << 20)
	p := packet(b, userName, "bob@a.example", sessionID, "s-1", stationID, "02-00-00-00-00-01", nasIP, "\x0a\x00\x00\x01", cui, "x")
	var se Session
	se.Read(p)
	id, user := make([]byte, 8), append(make([]byte, 8), "@a.example"...)
	n := uint64(0)
	for b.Loop() {
		n += 0x9e3779b97f4a7c15
		binary.BigEndian.PutUint64(id, n)
		binary.BigEndian.PutUint64(user, n)
		se.ID, se.User = id, user
		book.Learn(&se, uint32(n>>40))
	}
}

// BenchmarkSeal is what hiding a NAS costs.
func BenchmarkSeal(b *testing.B) {
	s := NewSealer([]byte("0123456789abcdef"))
	p := packet(b, nasIP, "\x0a\x00\x00\x01", nasID, "ap-17.lobby")
	mark, buf, op := s.Mark("ap"), make([]byte, 0, 512), []byte("1edge.example")
	for b.Loop() {
		s.Append(buf, p, op, mark)
	}
}

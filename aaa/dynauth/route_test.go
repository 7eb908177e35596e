package dynauth

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/realm"
)

// C98: a request goes where Operator-Name says, never where User-Name does; an
// operator that nobody is reached by is answered with 502.
func TestC98OperatorName(t *testing.T) {
	for _, tt := range []struct {
		name  string
		q     request
		to    string
		cause uint32
	}{
		{"exact", fromA(userName, "bob@a.example", operator, "1visited.example"), "visited", 0},
		{"case does not count", fromA(userName, "bob@a.example", operator, "1Visited.Example"), "visited", 0},
		{"below a suffix", fromA(userName, "bob@a.example", operator, "1x.y.fed.example"), "second", 0},
		{"another name space", fromA(userName, "bob@a.example", operator, "4WBA:DE"), "second", 0},
		{"the suffix itself is not below it", fromA(userName, "bob@a.example", operator, "1fed.example"), "", 502},
		{"unknown", fromA(userName, "bob@a.example", operator, "1nowhere.example"), "", 502},
		{"the name space counts", fromA(userName, "bob@a.example", operator, "0visited.example"), "", 502},
		{"a client that takes none", fromA(userName, "bob@a.example", operator, "1deaf.example"), "", 502},
		{"the realm of the user is no way", fromA(userName, "bob@visited.example"), "", 502},
		{"no Operator-Name", fromA(userName, "bob@a.example"), "", 502},
		{"CoA-Request", fromA(userName, "bob@a.example", operator, "1visited.example").coa(), "visited", 0},
		{"CoA-Request unknown", fromA(userName, "bob@a.example", operator, "1nowhere.example").coa(), "", 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			sent := r.send(tt.q)
			if tt.to == "" {
				assert.Equal(t, tt.cause, r.nak(sent, secretOfA))
				return
			}
			assert.Empty(t, r.home, "no answer yet")
			got := r.at(tt.to)
			assert.Equal(t, tt.q.code, got.Code)
			r.says(tt.to, tt.q.code+1)
			assert.Equal(t, tt.q.code+1, r.reply(sent, secretOfA).Code)
			assert.Zero(t, r.m.Pending())
		})
	}
}

// C98: without Operator-Name the live session is the way.
func TestC98BySession(t *testing.T) {
	bob := []any{userName, "bob@a.example", sessionID, "s-1", stationID, "02-00-00-00-00-01", nasIP, "\x0a\x00\x00\x01"}
	for _, tt := range []struct {
		name string
		q    request
		to   string
		why  Reason
	}{
		{"by Acct-Session-Id", fromA(sessionID, "s-1"), "visited", OK},
		{"by user", fromA(userName, "bob@a.example"), "visited", OK},
		{"by device", fromA(stationID, "02-00-00-00-00-01"), "visited", OK},
		{"by all", fromA(bob...), "visited", OK},
		{"another NAS", fromA(sessionID, "s-1", nasIP, "\x0a\x00\x00\x02"), "", NoSession},
		{"another session", fromA(userName, "bob@a.example", sessionID, "s-2"), "", NoSession},
		{"another user", fromA(userName, "eve@a.example", sessionID, "s-1"), "", OtherSession},
		{"another home without User-Name", fromB(sessionID, "s-1"), "", OtherSession},
		{"another home with its own user", fromB(userName, "eve@x.b.example", sessionID, "s-1"), "", OtherSession},
		{"another home with the right user", fromB(userName, "bob@a.example", sessionID, "s-1"), "", ReversePath},
		{"nothing at all", fromA(), "", NoSession},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.learn("visited", 0, bob...)
			r.send(tt.q)
			assert.Equal(t, tt.why.String(), r.last().String())
			if tt.to != "" {
				r.at(tt.to)
			}
		})
	}
}

// C99: whoever sends about a realm must be whom its requests are sent to; and
// what is known of the session must not say otherwise.
func TestC99ReversePath(t *testing.T) {
	bob := []any{userName, "bob@a.example", sessionID, "s-1", stationID, "02-00-00-00-00-01"}
	to := func(operatorName string, attrs ...any) []any { return append([]any{operator, operatorName}, attrs...) }
	for _, tt := range []struct {
		name   string
		q      request
		secret string
		cause  uint32
	}{
		{"its own realm", fromA(to("1visited.example", bob...)...), secretOfA, 0},
		{"another's realm", fromB(to("1visited.example", bob...)...), secretOfB, 502},
		{"a realm that nobody has", fromA(to("1visited.example", userName, "x@nowhere.example")...), secretOfA, 502},
		{"a realm that is refused", fromA(to("1visited.example", userName, "x@closed.example")...), secretOfA, 502},
		{"no realm", fromA(to("1visited.example", userName, "bob")...), secretOfA, 502},
		{"no name", fromA(to("1visited.example", userName, "a@b@a.example")...), secretOfA, 502},
		{"neither user nor session", fromA(to("1visited.example")...), secretOfA, 502},
		{"a session and no user", fromA(to("1visited.example", sessionID, "s-1")...), secretOfA, 0},
		{"another's session and no user", fromB(to("1visited.example", sessionID, "s-1")...), secretOfB, 503},
		{"a session of another user", fromA(to("1visited.example", userName, "eve@a.example", sessionID, "s-1")...), secretOfA, 503},
		{"a session of another client", fromA(to("1x.fed.example", bob...)...), secretOfA, 503},
		{"a session that is over", fromA(to("1visited.example", userName, "old@a.example", sessionID, "s-0")...), secretOfA, 503},
		{"a session that is over, without Operator-Name", fromA(userName, "old@a.example", sessionID, "s-0"), secretOfA, 503},
		{"a session that nobody has heard of", fromA(to("1visited.example", userName, "new@a.example", sessionID, "s-9")...), secretOfA, 0},
		{"sessions at several clients", fromA(userName, "two@a.example"), secretOfA, 508},
		{"one of them", fromA(userName, "two@a.example", sessionID, "t-2"), secretOfA, 0},
		{"a device that has moved", fromA(userName, "moved@a.example", stationID, "02-00-00-00-00-09"), secretOfA, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.learn("visited", 0, bob...)
			r.learn("visited", 0, userName, "old@a.example", sessionID, "s-0")
			r.book.End(r.session("visited", 0, userName, "old@a.example", sessionID, "s-0"), uint32(r.now.Now/1e9))
			r.learn("visited", 0, userName, "two@a.example", sessionID, "t-1", stationID, "1")
			r.learn("second", 0, userName, "two@a.example", sessionID, "t-2", stationID, "2")
			r.learn("visited", 0, userName, "moved@a.example", sessionID, "m-1", stationID, "02-00-00-00-00-09")
			r.now.Now += int64(time.Minute)
			r.learn("second", 0, userName, "moved@a.example", sessionID, "m-2", stationID, "02-00-00-00-00-09")
			sent := r.send(tt.q)
			assert.Equal(t, tt.cause, r.nak(sent, tt.secret), r.last().Text())
			if strings.HasPrefix(tt.name, "a device") {
				r.at("second")
			}
		})
	}
}

// The realm allow-lists of both sides and the groups of a route hold on the way
// back too.
func TestReversePathScopes(t *testing.T) {
	q := fromA(userName, "bob@a.example", operator, "1visited.example")
	own, other := &realm.Group{Name: "own"}, &realm.Group{Name: "other"}
	for _, tt := range []struct {
		name  string
		edit  func(*realm.Set, *Config)
		cause uint32
	}{
		{"none", nil, 0},
		{"a realm that the home does not get", func(s *realm.Set, _ *Config) { s.Homes[0].Realms = realm.NewNames([]string{"x.example"}) }, 502},
		{"a realm that the client does not send", func(s *realm.Set, _ *Config) {
			for i := range s.Clients {
				s.Clients[i].Realms = realm.NewNames([]string{"x.example"})
			}
		}, 502},
		{"a route for others", func(s *realm.Set, _ *Config) {
			s.Routes[0].For = &realm.Scope{Groups: []*realm.Group{other}}
			s.Clients[0].Group, s.Clients[1].Group = own, own
		}, 502},
		{"accounting goes to it", func(s *realm.Set, _ *Config) { s.Routes[0].Auth = 1 }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.edit)
			assert.Equal(t, tt.cause, r.nak(r.send(q), secretOfA))
		})
	}
}

// Two homes at one address are told apart by their secrets; the most specific
// range counts.
func TestSenders(t *testing.T) {
	r := newRig(t, func(s *realm.Set, _ *Config) {
		s.Homes[1].DynAuth = s.Homes[0].DynAuth
		s.Homes = append(s.Homes, realm.Home{Name: "a2", Secret: s.Homes[0].Secret, DynAuth: s.Homes[0].DynAuth})
		s.Pools[0].Members[0].Home = 2
	})
	q := fromA(userName, "bob@a.example", operator, "1visited.example")
	require.Zero(t, r.nak(r.send(q), secretOfA), "one of the homes with that secret is in the pool")
	q = fromA(userName, "bob@x.b.example", operator, "1visited.example")
	assert.EqualValues(t, 502, r.nak(r.send(q), secretOfA))
	q.secret = secretOfB
	r.send(q)
	assert.Equal(t, layeh.CodeDisconnectRequest, r.at("visited").Code)
	assert.Equal(t, OK, r.last())
}

// What a route asks of a request beside its name need not stand in a CoA; what
// it asks of the client does.
func TestReversePathConditions(t *testing.T) {
	q := fromA(userName, "bob@a.example", operator, "1visited.example")
	for _, tt := range []struct {
		name  string
		when  *realm.Condition
		cause uint32
	}{
		{"another kind of port", &realm.Condition{NASPortTypes: []uint32{5}}, 0},
		{"another network name", &realm.Condition{SSIDs: []string{"Roam"}}, 0},
		{"this client", &realm.Condition{Clients: []string{"visited"}}, 0},
		{"another client", &realm.Condition{Clients: []string{"deaf"}}, 502},
		{"another user", &realm.Condition{Users: []realm.UserRange{{First: "eve", Last: "eve"}}}, 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(s *realm.Set, _ *Config) { s.Routes[0].When = tt.when })
			assert.Equal(t, tt.cause, r.nak(r.send(q), secretOfA))
		})
	}
}

// A realm that is closed to a client's group is not somebody else's by a wider
// route.
func TestReversePathClosed(t *testing.T) {
	r := newRig(t, func(s *realm.Set, _ *Config) {
		s.Routes[0].For = &realm.Scope{Groups: []*realm.Group{{Name: "other"}}}
		s.Routes = append(s.Routes, realm.Route{Realm: "default", Index: 3, Auth: 1, Acct: 1})
	})
	assert.EqualValues(t, 502, r.nak(r.send(fromB(userName, "bob@a.example", operator, "1visited.example")), secretOfB))
	r.send(fromB(userName, "bob@else.example", operator, "1visited.example"))
	assert.Equal(t, OK, r.last())
}

// A home that knows a user by another realm, or by none, is understood; the NAS
// hears the name that it knows.
func TestRenamedUsers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rewrite realm.Rewrite
		says    string
	}{
		{"stripped", realm.Rewrite{Strip: true}, "bob"},
		{"another realm", realm.Rewrite{Realm: "Inner.example"}, "bob@inner.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(s *realm.Set, _ *Config) { s.Routes[0].Rewrite = &tt.rewrite })
			sent := r.send(fromA(userName, tt.says, sessionID, "s-1", operator, "1visited.example", proxy, "p"))
			got := r.at("visited")
			assert.Equal(t, []string{"bob@a.example"}, values(got, userName))
			assert.Equal(t, []string{"s-1"}, values(got, sessionID))
			r.says("visited", layeh.CodeDisconnectACK)
			assert.Equal(t, []string{"p"}, values(r.reply(sent, secretOfA), proxy))
			r.send(fromA(userName, "bob@a.example", operator, "1visited.example"))
			assert.Equal(t, OK, r.last(), "the other name is good too")
			assert.EqualValues(t, 502, r.nak(r.send(fromB(userName, tt.says, operator, "1visited.example")), secretOfB), "of another home it is not")
			assert.EqualValues(t, 502, r.nak(r.send(fromA(userName, "bob@what.example", operator, "1visited.example")), secretOfA))

			r.learn("second", 0, userName, "eve@a.example", sessionID, "s-2")
			r.send(fromA(userName, "eve"+tt.says[3:], sessionID, "s-2"))
			assert.Equal(t, []string{"eve@a.example"}, values(r.at("second"), userName), "by the session")
		})
	}
}

// Accounting that a visited network has made up neither draws requests to it nor
// keeps them from where the home has let the session in.
func TestMadeUpSession(t *testing.T) {
	bob := []any{userName, "bob@a.example", sessionID, "s-1", stationID, "02-00-00-00-00-01"}
	for _, tt := range []struct {
		name string
		q    request
	}{
		{"by session", fromA(bob...)},
		{"by device", fromA(stationID, "02-00-00-00-00-01")},
		{"by user", fromA(userName, "bob@a.example")},
		{"by operator", toVisited(sessionID, "s-1")},
	} {
		for _, real := range []bool{true, false} {
			r := newRig(t, nil)
			if real {
				r.learn("visited", 0, bob...)
			} else if tt.name != "by operator" {
				continue
			}
			r.now.Now += int64(time.Minute)
			r.book.Learn(r.session("ap2", 0, bob...), uint32(r.now.Now/1e9))
			r.send(tt.q)
			assert.Equal(t, OK, r.last(), "%s, known: %v", tt.name, real)
			r.at("visited")
		}
	}
}

// C99: a home reaches no session of another home's by a name, a number or a report
// that anybody can write.
func TestC99Disguised(t *testing.T) {
	victim := []any{userName, "bob@a.example", sessionID, "s-1", stationID, "02-01", cui, "c-1"}
	number := "\x00\x00\x28\xaf\x01\x11262019876543210" // 3GPP-IMSI
	for _, tt := range []struct {
		name   string
		before func(r *rig)
		q      request
		why    Reason
	}{
		{"its own subscriber's number beside the name of another's user", nil,
			fromB(userName, "bob@a.example", 26, number, operator, "1visited.example"), OtherSession},
		{"and of one whose session is not known", nil,
			fromB(userName, "joe@a.example", 26, number, operator, "1visited.example"), ReversePath},
		{"the same for a session", nil,
			fromB(userName, "bob@a.example", 26, number, sessionID, "s-1"), OtherSession},
		{"the number is enough for a session of its own", func(r *rig) {
			r.learn("visited", 1, userName, "alias@a.example", sessionID, "s-7")
		}, fromB(userName, "alias@a.example", 26, number, sessionID, "s-7"), OK},
		{"its own user on the device", nil, fromB(userName, "eve@x.b.example", stationID, "02-01", operator, "1visited.example"), OtherSession},
		{"its own user with the CUI", nil, fromB(userName, "eve@x.b.example", cui, "c-1", operator, "1visited.example"), OtherSession},
		{"on the device, with a session that is not there", nil,
			fromB(userName, "eve@x.b.example", stationID, "02-01", sessionID, "s-9", operator, "1visited.example"), OtherSession},
		{"the device is with the other home now", func(r *rig) {
			r.now.Now += 1e9
			r.learn("visited", 1, userName, "eve@x.b.example", stationID, "02-01")
		}, fromB(userName, "eve@x.b.example", stationID, "02-01", operator, "1visited.example"), OK},
		{"and by another name than it said", func(r *rig) {
			r.now.Now += 1e9
			r.learn("visited", 1, userName, "anonymous@x.b.example", stationID, "02-01")
		}, fromB(userName, "eve@x.b.example", stationID, "02-01", operator, "1visited.example"), OK},
		{"a report of the session under its user's name", func(r *rig) {
			r.now.Now += 1e9
			r.book.Learn(r.session("visited", 1, userName, "eve@x.b.example", sessionID, "s-1"), uint32(r.now.Now/1e9))
		}, fromB(userName, "eve@x.b.example", sessionID, "s-1"), OtherSession},
		{"the same without a name", func(r *rig) {
			r.now.Now += 1e9
			r.book.Learn(r.session("visited", 1, userName, "eve@x.b.example", sessionID, "s-1"), uint32(r.now.Now/1e9))
		}, fromB(sessionID, "s-1"), OtherSession},
		{"a report from elsewhere of a session that is known from a report too", func(r *rig) {
			r.learn("visited", 0, userName, "joe@a.example", stationID, "02-05")
			r.book.Learn(r.session("visited", 0, userName, "joe@a.example", stationID, "02-05", sessionID, "s-5"), uint32(r.now.Now/1e9))
			r.now.Now += 1e9
			r.book.Learn(r.session("second", 0, userName, "joe@a.example", stationID, "02-05", sessionID, "s-5"), uint32(r.now.Now/1e9))
		}, fromA(sessionID, "s-5", stationID, "02-05"), OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(s *realm.Set, _ *Config) {
				s.Routes = append(s.Routes, realm.Route{Realm: "imsi:26201", Index: 3, Auth: 1, Acct: 1})
			})
			r.learn("visited", 0, victim...)
			if tt.before != nil {
				tt.before(r)
			}
			r.send(tt.q)
			assert.Equal(t, tt.why.String(), r.last().String())
			if tt.why == OK {
				r.at("visited")
			}
		})
	}
}

// C99: homes behind one address and secret: each is bound by its own realms, and the
// strictest says whether requests are signed.
func TestC99SharedAddress(t *testing.T) {
	for _, first := range []int{0, 1} {
		r := newRig(t, func(s *realm.Set, _ *Config) {
			s.Homes[1].Secret, s.Homes[1].DynAuth = s.Homes[0].Secret, s.Homes[0].DynAuth
			s.Homes[0].Realms, s.Homes[1].Realms = realm.NewNames([]string{"a.example"}), realm.NewNames([]string{"*.b.example"})
			s.Homes[first].RequireMessageAuthenticator = true
		})
		for _, name := range []string{"bob@a.example", "bob@x.b.example"} {
			q := fromA(userName, name, operator, "1visited.example")
			r.send(q)
			assert.Equal(t, OK.String(), r.last().String(), name)
			q.plain = true
			r.send(q)
			assert.Equal(t, NoMessageAuthenticator.String(), r.last().String(), name)
		}
	}
}

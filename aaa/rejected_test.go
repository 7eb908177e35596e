package aaa

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

// Peers of OpenRoaming are told why, behind a NUL, also inside EAP.
func TestRejectReasons(t *testing.T) {
	r := newRig(t, 1, func(s *realm.Set) {
		settling(realm.Terms{})(s)
		s.Routes = append(s.Routes, realm.Route{Realm: realm.NameNone, Index: 4, Auth: 0, Acct: 0},
			realm.Route{Realm: "long.example", Index: 5, Auth: -1, Acct: -1, Reject: strings.Repeat("x", 253)})
		s.Homes[0].Group, s.Pools[0].Group = s.Groups[0], s.Groups[0]
	})
	for _, tt := range []struct{ name, user, want string }{
		{"a realm of nobody", "bob@nowhere.example", NoRoute.Text() + "\x00Reject-Reason=42"},
		{"anonymous at a realm of nobody", "@nowhere.example", NoRoute.Text() + "\x00Reject-Reason=42"},
		{"a name without a realm never leaves", "bob", RealmNotAllowed.Text() + "\x00Reject-Reason=42"},
		{"no name", "bob@", ofNAI(5).Text() + "\x00Reject-Reason=11"},
		{"the operator's own text", "bob@closed.example", "contract ended\x00Reject-Reason=42"},
		{"a text that is too long", "bob@long.example", strings.Repeat("x", 253-wba.RejectLen) + "\x00Reject-Reason=42"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, []string{tt.want}, values(r.rejected(r.ask(access(tt.user))), 18))
			p := r.rejected(r.ask(access(tt.user, withEAP(7))))
			assert.Equal(t, []string{tt.want}, values(p, 18), "inside EAP")
			assert.Equal(t, []string{"\x04\x07\x00\x04"}, values(p, 79))
			r.quietHome(0)
		})
	}
	r.clean()
}

// What a home says of a reject goes through octet for octet to who understands
// it, filters included, and is counted.
func TestRejectReasonsOfHomes(t *testing.T) {
	filter := &realm.Filter{Name: "f", Rules: []realm.Rule{{Action: realm.FilterRemove, Text: "remove Filter-Id",
		Attributes: []realm.Attribute{{Name: "Filter-Id", Type: 11}}}}}
	for _, tt := range []struct {
		name   string
		client bool // is a peer of OpenRoaming
		eap    bool
		text   string
		want   []string
		code   string
	}{
		{"told", true, false, "no money\x00Reject-Reason=43", []string{"no money\x00Reject-Reason=43"}, "43"},
		{"told inside EAP", true, true, "no money\x00Reject-Reason=43", []string{"no money\x00Reject-Reason=43"}, "43"},
		{"a reason that nobody knows", true, true, "\x00Reject-Reason=77", []string{"\x00Reject-Reason=77"}, "other"},
		{"a text alone inside EAP", true, true, "no money", nil, ""},
		{"another client", false, false, "no money\x00Reject-Reason=10", []string{"no money\x00Reject-Reason=10"}, "10"},
		{"another client inside EAP", false, true, "no money\x00Reject-Reason=10", nil, "10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, func(s *realm.Set) {
				settling(realm.Terms{})(s)
				if !tt.client {
					s.Clients[0].Group = nil
				}
				s.Homes[0].In, s.Clients[0].Out = filter, filter
			})
			edits := []edit{with(18, tt.text), with(11, "gone")}
			if tt.eap {
				edits = append(edits, with(79, "\x04\x01\x00\x04"))
			}
			sent := r.ask(access("bob@home.example", withEAP(1)))
			r.atHome(0).answer(layeh.CodeAccessReject, edits...)
			p := r.rejected(sent)
			assert.Equal(t, tt.want, values(p, 18))
			assert.Empty(t, values(p, 11))
			n := 0
			if tt.code != "" {
				n = r.value("roamgate_home_reject_reasons_total", "home", "a", "code", tt.code)
				assert.Equal(t, 1, n)
			}
			assert.Equal(t, n, r.value("roamgate_home_reject_reasons_total", "home", "a"))
		})
	}
}

// Every Reason that can end in a reject has a code that the WBA knows.
func TestRejectReasonOfEveryReason(t *testing.T) {
	known := map[wba.RejectReason]bool{}
	for _, r := range wba.RejectReasons() {
		known[r] = true
	}
	for _, why := range Reasons() {
		assert.True(t, known[why.rejectReason()], why)
	}
	assert.Equal(t, wba.NotAllowed, ofDevice(6).rejectReason(), "a device that is blocked")
}

// Anonymous outer identities pass as they are.
func TestAnonymousIdentities(t *testing.T) {
	r := newRig(t, 1, settling(realm.Terms{}))
	for _, user := range []string{"@home.example", "anonymous@home.example"} {
		sent := r.ask(access(user, withEAP(1)))
		h := r.atHome(0)
		assert.Equal(t, user, rfc2865.UserName_GetString(h.Packet))
		h.answer(layeh.CodeAccessAccept, with(79, "\x03\x01\x00\x04"))
		assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	}
	for _, line := range r.logs.All() {
		assert.NotContains(t, line.ContextMap(), "home.example")
	}
}

// There is always an answer, also where there is no room for the request, or
// none at the home.
func TestAlwaysAnAnswer(t *testing.T) {
	for _, tt := range []struct {
		why   Reason
		place place
		homes int
	}{
		{HomeBusy, local, 1}, // one home is never given more than half of the room
		{Overload, dropped, 3},
	} {
		t.Run(tt.why.String(), func(t *testing.T) {
			r := newRigOf(t, setup{homes: tt.homes, edit: settling(realm.Terms{}), conf: func(c *Config) { c.InFlight = 16 }})
			rejected := 0
			for i := range 32 {
				sent := r.ask(access("@home.example", withEAP(byte(i))))
				b, _ := read(t, r.nas, time.Millisecond)
				if b == nil {
					continue // it is on its way
				}
				rejected++
				requireSigned(t, b, sent[4:20], visitedSecret)
				p, err := layeh.Parse(b, []byte(visitedSecret))
				require.NoError(t, err)
				assert.Equal(t, sent[1], p.Identifier)
				assert.Equal(t, layeh.CodeAccessReject, p.Code)
				assert.Equal(t, []string{"try again later\x00Reject-Reason=50"}, values(p, 18))
				assert.Equal(t, []string{string([]byte{4, byte(i), 0, 4})}, values(p, 79))
			}
			assert.Positive(t, rejected)
			assert.Equal(t, tt.place.count(r, tt.why), rejected)
			assert.Equal(t, 32, rejected+r.shard.slab.used, "answered or on its way")
		})
	}
}

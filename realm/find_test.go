package realm

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roamgate/roamgate/pkg/radius"
)

// packet builds an Access-Request with these attributes.
func packet(t testing.TB, attrs func(w *radius.Writer)) *radius.Packet {
	t.Helper()
	var w radius.Writer
	w.Start(make([]byte, radius.MaxLen), radius.AccessRequest, 1, false)
	attrs(&w)
	p := new(radius.Packet)
	require.Equal(t, radius.OK, p.Parse(w.SignRequest(radius.NewCrypt(), radius.NewSecret([]byte("secret")))))
	return p
}

func candidates(tb *Table, q *Query) (got []string) {
	tb.Candidates(q, func(c Candidate) bool {
		got = append(got, c.Route.Label()+" "+c.Why.String())
		return true
	})
	return got
}

// TestFindOrder has a table of every tier and asks for what several of them
// match.
func TestFindOrder(t *testing.T) {
	own, partner := &Group{Name: "own", Kind: Own}, &Group{Name: "partner"}
	night := Window{From: 22 * time.Hour, To: 6 * time.Hour}
	routes := []Route{
		{Realm: "default"},
		{Realm: "none"},
		{Realm: "name~^host/", Rank: 2},
		{Realm: `realm~^[a-z]+\.city\.example$`, Rank: 1},
		{Realm: "plmn:262"},
		{Realm: "plmn:262-01"},
		{Realm: "*.example"},
		{Realm: "*.iot.example"},
		{Realm: "acme.example", Name: "acme-night", Rank: 2, When: &Condition{During: []Window{night}}},
		{Realm: "acme.example"},
		{Realm: "acme.example", Name: "acme-canary", Rank: 1, When: &Condition{Percent: 1}},
		{Realm: "imsi:26201"},
		{Realm: "imsi:262011230000000-262011239999999"},
		{Realm: "imsi:262011230000000-262011230000999", For: &Scope{[]*Group{own}}},
		{Realm: "closed.example", For: &Scope{[]*Group{own}}},
		{Realm: "half.example", Name: "half-own", Rank: 1, For: &Scope{[]*Group{own}}},
		{Realm: "half.example", Name: "half-ssid", Rank: 2, For: &Scope{[]*Group{partner}}, When: &Condition{SSIDs: []string{"guests"}}},
	}
	for i := range routes {
		routes[i].Index = int32(i)
	}
	tb := NewTable(routes)
	require.Equal(t, len(routes), tb.Len())
	someone := uint64(3)
	require.GreaterOrEqual(t, share(someone, 1), uint32(1), "not in the canary")
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Unix()
	for _, tc := range []struct {
		name   string
		q      Query
		want   string // "" none
		why    Mismatch
		others []string
	}{
		{"exact", Query{Realm: []byte("acme.example"), Wall: noon}, "acme.example", Matches,
			[]string{"acme-canary is not for this device: it is not in the percentage", "acme-night is not for this time", "acme.example matches", "*.example matches", "default matches"}},
		{"by rank", Query{Realm: []byte("acme.example"), Wall: noon + 11*3600}, "acme-night", Matches, nil},
		{"longest suffix", Query{Realm: []byte("m.iot.example")}, "*.iot.example", Matches,
			[]string{"*.iot.example matches", "*.example matches", "default matches"}},
		{"suffix before expression", Query{Realm: []byte("berlin.city.example"), Name: []byte("a@berlin.city.example")}, "*.example", Matches,
			[]string{"*.example matches", `realm~^[a-z]+\.city\.example$ matches`, "default matches"}},
		{"network", Query{Realm: []byte("wlan.mnc001.mcc262.3gppnetwork.org")}, "plmn:262-01", Matches,
			[]string{"plmn:262-01 matches", "plmn:262 matches", "default matches"}},
		{"country", Query{Realm: []byte("nai.epc.mnc007.mcc262.3gppnetwork.org")}, "plmn:262", Matches, nil},
		{"other country", Query{Realm: []byte("wlan.mnc001.mcc310.3gppnetwork.org")}, "default", Matches, nil},
		{"expression of the name", Query{Name: []byte("host/pc1")}, "name~^host/", Matches, []string{"name~^host/ matches", "none matches"}},
		{"no realm", Query{Name: []byte("bob")}, "none", Matches, []string{"none matches"}},
		{"default", Query{Realm: []byte("unknown.test")}, "default", Matches, []string{"default matches"}},
		{"subscriber", Query{Realm: []byte("wlan.mnc001.mcc262.3gppnetwork.org"), IMSI: []byte("262019999999999")}, "imsi:26201", Matches,
			[]string{"imsi:26201 matches", "plmn:262-01 matches", "plmn:262 matches", "default matches"}},
		{"narrower range", Query{IMSI: []byte("262011239999999")}, "imsi:262011230000000-262011239999999", Matches, nil},
		{"closed range goes no wider", Query{IMSI: []byte("262011230000001")}, "", OtherGroup,
			[]string{"imsi:262011230000000-262011230000999 is not for the client's group",
				"imsi:262011230000000-262011239999999 matches", "imsi:26201 matches", "none matches"}},
		{"open to its group", Query{IMSI: []byte("262011230000001"), Client: &Client{Group: own}}, "imsi:262011230000000-262011230000999", Matches, nil},
		{"short IMSI", Query{IMSI: []byte("26201")}, "imsi:26201", Matches, nil},
		{"no IMSI at all", Query{IMSI: []byte("26201x"), Realm: []byte("unknown.test")}, "default", Matches, nil},
		{"too long for one", Query{IMSI: []byte("2620112300000011"), Realm: []byte("unknown.test")}, "default", Matches, nil},
		{"closed realm goes no wider", Query{Realm: []byte("closed.example"), Client: &Client{Group: partner}}, "", OtherGroup, nil},
		{"closed to who has no group", Query{Realm: []byte("closed.example"), Client: &Client{}}, "", OtherGroup, nil},
		{"own", Query{Realm: []byte("half.example"), Client: &Client{Group: own}}, "half-own", Matches, nil},
		{"open to the group but not to this SSID", Query{Realm: []byte("half.example"), Client: &Client{Group: partner}}, "*.example", Matches,
			[]string{"half-own is not for the client's group", "half-ssid is not for this SSID", "*.example matches", "default matches"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.q.Device == 0 {
				tc.q.Device = someone
			}
			r, why := tb.Find(&tc.q)
			if tc.want == "" {
				assert.Nil(t, r)
			} else if assert.NotNil(t, r) {
				assert.Equal(t, tc.want, r.Label())
			}
			assert.Equal(t, tc.why, why)
			if tc.others != nil {
				assert.Equal(t, tc.others, candidates(tb, &tc.q))
			}
		})
	}
	for i := range routes {
		assert.Same(t, &routes[i], tb.Labelled(routes[i].Label()), routes[i].Label())
	}
	assert.Nil(t, tb.Labelled("nobody"))
	assert.Nil(t, tb.Labelled("imsi:26202"))
	assert.Nil(t, tb.Labelled("imsi:2620"))
	assert.Nil(t, tb.Labelled("plmn:310-01"))
	assert.Nil(t, tb.Labelled("plmn:26x"))
	assert.Nil(t, tb.Labelled("name~x"))
}

// TestConditions has one row for each part of a Condition that holds and one
// that does not.
func TestConditions(t *testing.T) {
	p := packet(t, func(w *radius.Writer) {
		w.AddUint32(radius.NASPortType, 19)
		w.Add(radius.CalledStationID, []byte("00-10-A4-23-19-C0:guests"))
		w.Add(radius.OperatorName, []byte("1Wifi.Airport.Example"))
		w.AddVendor(vendorWFA, wfaRoamingConsortium, []byte{0x5a, 0x03, 0xba, 0x12, 0x00})
	})
	bare := packet(t, func(w *radius.Writer) { w.Add(radius.CalledStationID, []byte("0010a42319c0:guests")) })
	odd := packet(t, func(w *radius.Writer) {
		w.Add(radius.NASPortType, []byte{19})
		w.Add(radius.CalledStationID, []byte("guests"))
	})
	empty := packet(t, func(*radius.Writer) {})
	users := func(rs ...UserRange) Condition { return Condition{Users: rs} }
	for _, tc := range []struct {
		name string
		c    Condition
		q    Query
		want Mismatch
	}{
		{"client", Condition{Clients: []string{"a", "b"}}, Query{Client: &Client{Name: "b"}}, Matches},
		{"other client", Condition{Clients: []string{"a"}}, Query{Client: &Client{Name: "b"}}, OtherClient},
		{"no client", Condition{Clients: []string{"a"}}, Query{}, OtherClient},
		{"port", Condition{NASPortTypes: []uint32{15, 19}}, Query{Packet: p}, Matches},
		{"other port", Condition{NASPortTypes: []uint32{15}}, Query{Packet: p}, OtherNASPortType},
		{"port of one octet", Condition{NASPortTypes: []uint32{19}}, Query{Packet: odd}, OtherNASPortType},
		{"no packet", Condition{NASPortTypes: []uint32{19}}, Query{}, OtherNASPortType},
		{"SSID", Condition{SSIDs: []string{"staff", "guests"}}, Query{Packet: p}, Matches},
		{"SSID behind a bare address", Condition{SSIDs: []string{"guests"}}, Query{Packet: bare}, Matches},
		{"SSID is told by its case", Condition{SSIDs: []string{"Guests"}}, Query{Packet: p}, OtherSSID},
		{"no address in front", Condition{SSIDs: []string{"guests"}}, Query{Packet: odd}, OtherSSID},
		{"no Called-Station-Id", Condition{SSIDs: []string{"guests"}}, Query{Packet: empty}, OtherSSID},
		{"SSID, no packet", Condition{SSIDs: []string{"guests"}}, Query{}, OtherSSID},
		{"operator", Condition{Operators: []string{"1wifi.airport.example"}}, Query{Packet: p}, Matches},
		{"operator below", Condition{Operators: []string{"1*.airport.example"}}, Query{Packet: p}, Matches},
		{"not itself", Condition{Operators: []string{"1*.wifi.airport.example"}}, Query{Packet: p}, OtherOperator},
		{"other namespace", Condition{Operators: []string{"4wifi.airport.example"}}, Query{Packet: p}, OtherOperator},
		{"no operator", Condition{Operators: []string{"1wifi.airport.example"}}, Query{Packet: empty}, OtherOperator},
		{"operator, no packet", Condition{Operators: []string{"1a"}}, Query{}, OtherOperator},
		{"consortium", Condition{RCOIs: []string{"\xba\xa2\xd0", "\x5a\x03\xba"}}, Query{Packet: p}, Matches},
		{"other consortium", Condition{RCOIs: []string{"\xba\xa2\xd0"}}, Query{Packet: p}, OtherRCOI},
		{"longer consortium", Condition{RCOIs: []string{"\x5a\x03\xba\x12\x00\x00"}}, Query{Packet: p}, OtherRCOI},
		{"no consortium", Condition{RCOIs: []string{"\x5a"}}, Query{Packet: empty}, OtherRCOI},
		{"consortium, no packet", Condition{RCOIs: []string{"\x5a"}}, Query{}, OtherRCOI},
		{"user in range", users(UserRange{First: "m-0100", Last: "m-0199"}), Query{User: []byte("m-0150")}, Matches},
		{"first user", users(UserRange{First: "m-0100", Last: "m-0199"}), Query{User: []byte("m-0100")}, Matches},
		{"last user", users(UserRange{First: "m-0100", Last: "m-0199"}), Query{User: []byte("m-0199")}, Matches},
		{"user behind", users(UserRange{First: "m-0100", Last: "m-0199"}), Query{User: []byte("m-0200")}, OtherUser},
		{"longer user", users(UserRange{First: "m-0100", Last: "m-0199"}), Query{User: []byte("m-01500")}, OtherUser},
		{"no number", users(UserRange{First: "m-0100", Last: "m-0199"}), Query{User: []byte("m-01x0")}, OtherUser},
		{"other text", users(UserRange{First: "m-0100", Last: "m-0199"}), Query{User: []byte("n-0150")}, OtherUser},
		{"prefix", users(UserRange{First: "m-", Prefix: true}), Query{User: []byte("m-x")}, Matches},
		{"no prefix", users(UserRange{First: "m-", Prefix: true}), Query{User: []byte("m")}, OtherUser},
		{"everything", Condition{Clients: []string{"a"}, SSIDs: []string{"guests"}, Users: []UserRange{{First: "x", Prefix: true}}},
			Query{Client: &Client{Name: "a"}, Packet: p, User: []byte("y")}, OtherUser},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, tc.want, (&Route{When: &tc.c}).Judge(&tc.q))
		})
	}
}

// TestPercent takes about as many of many devices as it says, the same ones
// again, and what is left by one rank is divided anew by the next.
func TestPercent(t *testing.T) {
	first, second := &Condition{Percent: 1000}, &Condition{Percent: 5000}
	var taken, half int
	const devices = 100_000
	for i := range uint64(devices) {
		q := &Query{Device: i * 0x9e3779b97f4a7c15}
		if first.judge(q, 1) == Matches {
			taken++
			require.Equal(t, Matches, first.judge(q, 1))
		} else if second.judge(q, 2) == Matches {
			half++
		}
	}
	assert.InDelta(t, devices/10, taken, devices/200)
	assert.InDelta(t, devices*9/20, half, devices/100)
}

func TestWindow(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	at := func(s string) int64 {
		v, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return v.Unix()
	}
	day := Window{From: 8 * time.Hour, To: 18 * time.Hour, Zone: berlin}
	night := Window{From: 22 * time.Hour, To: 6 * time.Hour, Days: 1 << time.Friday}
	once := Window{Begin: time.Unix(at("2026-11-23T02:00:00Z"), 0), End: time.Unix(at("2026-11-23T04:00:00Z"), 0)}
	for _, tc := range []struct {
		name string
		w    Window
		at   string
		want bool
	}{
		{"always", Window{}, "2026-11-22T12:00:00Z", true},
		{"in a zone", day, "2026-11-22T07:00:00Z", true},
		{"before it", day, "2026-11-22T06:59:59Z", false},
		{"its end is not in it", day, "2026-11-22T17:00:00Z", false},
		{"in summer time", day, "2026-07-22T06:00:00Z", true},
		{"evening of its day", night, "2026-11-20T23:00:00Z", true},
		{"morning after", night, "2026-11-21T05:59:00Z", true},
		{"evening of another day", night, "2026-11-21T23:00:00Z", false},
		{"morning of its day belongs to the day before", night, "2026-11-20T05:00:00Z", false},
		{"noon", night, "2026-11-20T12:00:00Z", false},
		{"day alone", Window{Days: 1 << time.Sunday}, "2026-11-22T12:00:00Z", true},
		{"other day", Window{Days: 1 << time.Monday}, "2026-11-22T12:00:00Z", false},
		{"begins", once, "2026-11-23T02:00:00Z", true},
		{"before", once, "2026-11-23T01:59:59Z", false},
		{"ended", once, "2026-11-23T04:00:00Z", false},
	} {
		t.Run(tc.name, func(t *testing.T) { assert.Equal(t, tc.want, tc.w.Holds(at(tc.at))) })
	}
}

// TestRangesAgainstModel holds the search against looking at every range.
func TestRangesAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Uint64Range(262010000000000, 262010000000400), rapid.Uint64Range(100000000000000, 999999999999999))
		n := rapid.IntRange(0, 40).Draw(t, "ranges")
		var routes []Route
		var spans [][2]uint64
		for range n {
			a, b := number.Draw(t, "first"), number.Draw(t, "last")
			if a > b {
				a, b = b, a
			}
			overlaps := false
			for _, s := range spans { // nested or apart, as the loader wants them
				inside := a >= s[0] && b <= s[1] || a <= s[0] && b >= s[1]
				overlaps = overlaps || !inside && a <= s[1] && b >= s[0]
			}
			if overlaps {
				continue
			}
			spans = append(spans, [2]uint64{a, b})
			routes = append(routes, Route{Realm: fmt.Sprintf("imsi:%015d-%015d", a, b), Index: int32(len(routes))})
		}
		tb := NewTable(routes)
		for range 50 {
			imsi := number.Draw(t, "imsi")
			var want []string
			for size := uint64(0); len(want) < len(spans); { // by size, the narrowest first
				best, at := ^uint64(0), -1
				for i, s := range spans {
					if w := s[1] - s[0] + 1; w > size && w < best {
						best, at = w, i
					}
				}
				if at < 0 {
					break
				}
				size = best
				for i, s := range spans {
					if s[1]-s[0]+1 == best && imsi >= s[0] && imsi <= s[1] && (len(want) == 0 || want[len(want)-1] != routes[i].Realm+" matches") {
						want = append(want, routes[i].Realm+" matches")
						break
					}
				}
			}
			got := candidates(tb, &Query{IMSI: fmt.Appendf(nil, "%015d", imsi)})
			if strings.Join(want, "\n") != strings.Join(got, "\n") {
				t.Fatalf("imsi %d: want %q, got %q", imsi, want, got)
			}
		}
	})
}

// TestRangesThatOverlap are no error here: the one that begins later has what
// both hold, and the other the rest.
func TestRangesThatOverlap(t *testing.T) {
	tb := NewTable(routesOf("imsi:262010000000000-262010000000010", "imsi:262010000000005-262010000000015", "imsi:262010000000012-262010000000020"))
	for n, want := range map[int]string{0: "0", 4: "0", 5: "10", 10: "10", 11: "1", 12: "21", 15: "21", 16: "2", 20: "2", 21: ""} {
		got := ""
		tb.Candidates(&Query{IMSI: fmt.Appendf(nil, "2620100000000%02d", n)}, func(c Candidate) bool {
			got += fmt.Sprint(c.Route.Index)
			return true
		})
		assert.Equal(t, want, got, n)
	}
}

func TestParseIMSI(t *testing.T) {
	for _, tc := range []struct {
		in          string
		first, last uint64
		ok          bool
	}{
		{"imsi:26201", 262010000000000, 262019999999999, true},
		{"imsi:262011230000000", 262011230000000, 262011230000000, true},
		{"imsi:2620112-2620115", 262011200000000, 262011599999999, true},
		{"imsi:001010000000000-001010000000009", 1010000000000, 1010000000009, true},
		{"imsi:2620", 0, 0, false},
		{"imsi:2620112300000000", 0, 0, false},
		{"imsi:26201a", 0, 0, false},
		{"imsi:26202-26201", 0, 0, false},
		{"imsi:26201-262020", 0, 0, false},
		{"imsi:", 0, 0, false},
		{"26201", 0, 0, false},
		{"imsi:26201-26x02", 0, 0, false},
	} {
		first, last, ok := ParseIMSI(tc.in)
		assert.Equal(t, tc.ok, ok, tc.in)
		if ok {
			assert.Equal(t, [2]uint64{tc.first, tc.last}, [2]uint64{first, last}, tc.in)
		}
	}
}

func TestCompileExpression(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string // want "" for an expression that is good
	}{
		{"good", `^.*@(a|b)\.example$`, ""},
		{"unclosed", `(a`, "reading the expression"},
		{"look-ahead", `a(?=b)`, "reading the expression"},
		{"long", strings.Repeat("a", maxExpression+1), "longer than 1024 octets"},
		{"explodes", `(abcdefgh){1,300}`, "repeats so much"},
		{"explodes more", `(((a{0,100}){0,100}){0,100})`, "reading the expression"},
		{"linear here", `(a+)+$`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			re, err := CompileExpression(tc.text)
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
				return
			}
			require.NoError(t, err)
			assert.IsType(t, &regexp.Regexp{}, re)
		})
	}
	re, err := CompileExpression(`@ACME\.example$`)
	require.NoError(t, err)
	assert.True(t, re.MatchString("bob@Acme.Example"), "letters of both cases are alike")
}

// TestBadSubjects are found by nobody and do no harm.
func TestBadSubjects(t *testing.T) {
	tb := NewTable(routesOf("imsi:12", "plmn:26", "plmn:262-1", "plmn:262-0001", "name~(", "realm~)", "plmn:x62", "plmn:262-x1"))
	assert.Zero(t, tb.Len())
	r, why := tb.Find(&Query{Name: []byte("bob"), IMSI: []byte("262011234567890"), Realm: []byte("wlan.mnc001.mcc262.3gppnetwork.org")})
	assert.Nil(t, r)
	assert.Equal(t, OtherSubject, why)
}

func TestNames(t *testing.T) {
	n := NewNames([]string{"acme.example", "*.iot.example", "none"})
	for name, want := range map[string]bool{"acme.example": true, "a.iot.example": true, "iot.example": false, "b.example": false} {
		assert.Equal(t, want, n.Allow([]byte(name)), name)
	}
	assert.True(t, n.Allow(nil), "no realm is called none")
	assert.False(t, NewNames([]string{"a.example"}).Allow(nil))
	var all *Names
	assert.True(t, all.Allow([]byte("x.example")))
	assert.Equal(t, []string{"acme.example", "*.iot.example", "none"}, n.List())
	assert.Nil(t, all.List())
}

func TestTransit(t *testing.T) {
	a, b, visited := &Group{Name: "a", Kind: Federation}, &Group{Name: "b", Kind: Federation}, &Group{Name: "v"}
	s := &Set{Contracts: []Contract{{From: a, To: b, Realms: NewNames([]string{"*.edu.example"})}, {From: b, To: b}}}
	for _, tc := range []struct {
		name     string
		from, to *Group
		realm    string
		needed   bool
		contract int // -1 none
	}{
		{"visited to federation", visited, a, "x.example", false, -1},
		{"nobody's to federation", nil, a, "x.example", false, -1},
		{"federation to home", a, nil, "x.example", false, -1},
		{"by contract", a, b, "x.edu.example", true, 0},
		{"other realm", a, b, "x.example", true, -1},
		{"not the other way", b, a, "x.edu.example", true, -1},
		{"within, by contract", b, b, "x.example", true, 1},
		{"within", a, a, "x.example", true, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, needed := s.Transit(tc.from, tc.to, []byte(tc.realm))
			assert.Equal(t, tc.needed, needed)
			if tc.contract < 0 {
				assert.Nil(t, c)
			} else {
				assert.Same(t, &s.Contracts[tc.contract], c)
			}
		})
	}
}

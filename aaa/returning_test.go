package aaa

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2868"
	"layeh.com/radius/vendors/microsoft"

	"github.com/roamgate/roamgate/realm"
)

const cuiType = 89

// An answer passes the filter of its home, then the hub's own and the device
// policy, then that of the client; what is hidden in it stays readable.
func TestFiltersOfAnAnswer(t *testing.T) {
	edit := filtered(t, "", "remove: Filter-Id, on: access-accept; supplement: Reply-Message, value: hello", "remove: [Class, Tunnel-Password]; add: Connect-Info, value: '${home}'", "")
	r := newRigOf(t, setup{homes: 1, policyOf: policyOf, edit: func(s *realm.Set) {
		withPolicy(s)
		edit(s)
	}})
	sent := r.ask(access("open@home.example"))
	h := r.atHome(0)
	h.answer(layeh.CodeAccessAccept,
		with(rfc2865.Class_Type, "gone"), with(rfc2865.FilterID_Type, "the home's"), with32(27, 60),
		func(p *layeh.Packet) {
			_ = microsoft.MSMPPESendKey_Set(p, []byte("0123456789abcdef"))
			_ = rfc2868.TunnelPassword_Set(p, 0, []byte("secret"))
		})
	p := r.got(sent)
	assert.Empty(t, values(p, rfc2865.Class_Type))
	assert.Empty(t, values(p, rfc2865.FilterID_Type), "not the profile's either")
	assert.Empty(t, values(p, rfc2868.TunnelPassword_Type))
	assert.Equal(t, []string{"a"}, values(p, 77))
	assert.Equal(t, []string{"hello"}, values(p, rfc2865.ReplyMessage_Type))
	assert.Equal(t, []string{"\x00\x00\x00\x3c"}, values(p, 27), "the profile's and the home's, the shorter")
	assert.Equal(t, "0123456789abcdef", string(microsoft.MSMPPESendKey_Get(p, p)))
	assert.Equal(t, 3, r.filteredBy("a", "in", "home_in"))
	assert.Equal(t, 3, r.filteredBy("visited", "out", "client_out"), "two Filter-Ids and the message")

	sent = r.ask(access("open@home.example"))
	r.atHome(0).answer(layeh.CodeAccessReject, with(rfc2865.ReplyMessage_Type, "no"), with(77, "x"))
	p = r.got(sent)
	assert.Equal(t, []string{"no"}, values(p, rfc2865.ReplyMessage_Type))
	assert.Empty(t, values(p, 77), "an Access-Reject offers no service (C38)")
	r.clean()
}

// An answer that a filter makes too long is a clear no.
func TestFilterOfAnAnswerMakesTooMuch(t *testing.T) {
	rules := make([]string, 17)
	for i := range rules {
		rules[i] = "add: Class, value: " + strings.Repeat("x", 250)
	}
	all := strings.Join(rules, "; ")
	for name, edit := range map[string]func(*realm.Set){"the home's": filtered(t, "", "", all, ""), "the client's": filtered(t, "", all, "", "")} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1, edit)
			sent := r.ask(access("bob@home.example"))
			r.atHome(0).answer(layeh.CodeAccessAccept)
			r.rejected(sent)
			assert.Equal(t, 1, r.value("roamgate_local_answers_total", "reason", ReplyTooLong.String()))
			r.clean()
		})
	}
}

// issues lets the hub issue CUIs for home.example.
func issues(s *realm.Set) { s.Routes[0].IssueCUI = true }

// C107 (RFC 4372 sections 2.1 and 2.2): a CUI is the home's. A NUL from there
// says nothing, and the hub neither adds nor edits one unless it is told to.
func TestC107CUIInAnAccept(t *testing.T) {
	nul := with(cuiType, "\x00")
	for _, tt := range []struct {
		name   string
		issues bool
		user   string
		asks   []edit
		says   []edit
		want   []string // "*": one that is issued here
	}{
		{"the home's, verbatim", false, "bob", []edit{nul}, []edit{with(cuiType, "home's\x00\xff")}, []string{"home's\x00\xff"}},
		{"the home's, not asked for", false, "bob", nil, []edit{with(cuiType, "home's")}, []string{"home's"}},
		{"none, none is added", false, "bob", []edit{nul}, nil, nil},
		{"NUL from the home", false, "bob", []edit{nul}, []edit{nul}, nil},
		{"no octets from the home", false, "bob", []edit{nul}, []edit{with(cuiType, "")}, nil},
		{"issued", true, "bob", []edit{nul}, nil, []string{"*"}},
		{"issued in the place of NUL", true, "bob", []edit{nul}, []edit{nul}, []string{"*"}},
		{"issued again where the visited network repeats it", true, "bob", []edit{with(cuiType, "of last time")}, nil, []string{"*"}},
		{"not asked for", true, "bob", nil, nil, nil},
		{"the home's counts", true, "bob", []edit{nul}, []edit{with(cuiType, "home's")}, []string{"home's"}},
		{"a name of many", true, "anonymous", []edit{nul}, nil, nil},
		{"a name of many, as some supplicants write it", true, "Anonymous42", []edit{nul}, nil, nil},
		{"no name at all", true, "", []edit{nul}, nil, nil},
		{"a name of many, and the home says who", true, "anonymous", []edit{nul}, []edit{with(1, "bob@home.example")}, []string{"*"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, func(s *realm.Set) { s.Routes[0].IssueCUI = tt.issues })
			sent := r.ask(access(tt.user+"@home.example", tt.asks...))
			r.atHome(0).answer(layeh.CodeAccessAccept, tt.says...)
			got := values(r.got(sent), cuiType)
			if len(tt.want) == 1 && tt.want[0] == "*" {
				require.Len(t, got, 1)
				assert.Regexp(t, `^[A-Za-z0-9_-]{32}$`, got[0])
				assert.NotContains(t, got[0], "bob")
			} else {
				assert.Equal(t, tt.want, got)
			}
			r.clean()
		})
	}
}

// C107: a NUL from a home is counted among what is left out of its answers.
func TestC107NULIsCounted(t *testing.T) {
	r := newRig(t, 1, nil)
	for _, says := range []edit{with(cuiType, "\x00"), with(cuiType, "home's"), with(cuiType, "\x00", "home's")} {
		r.accepted(says)
	}
	assert.Equal(t, 1, r.value("roamgate_home_attributes_filtered_total", "home", "a"))
}

// C107: only an Access-Accept says who is charged.
func TestC107NoCUIElsewhere(t *testing.T) {
	r := newRig(t, 1, issues)
	for _, code := range []layeh.Code{layeh.CodeAccessChallenge, layeh.CodeAccessReject} {
		sent := r.ask(access("bob@home.example", with(cuiType, "\x00")))
		h := r.atHome(0)
		assert.Equal(t, []string{"\x00"}, values(h.Packet, cuiType), "NUL is for requests")
		h.answer(code)
		assert.Empty(t, values(r.got(sent), cuiType))
	}
	r.clean()
}

// C107: the CUI is in all accounting of a session, also one that was issued
// here, and the home gets it as the visited network has said it.
func TestC107CUIInAccounting(t *testing.T) {
	r := newRig(t, 1, issues)
	for _, status := range []uint32{1, 3, 2} {
		b := r.report(acctStop("bob@home.example", "s", func(p *layeh.Packet) {
			p.Set(40, layeh.Attribute(binary.BigEndian.AppendUint32(nil, status)))
		}, with(cuiType, "issued-here")))
		r.recorded(1)
		a := r.atAcct(0)
		assert.Equal(t, []string{"issued-here"}, values(a.Packet, cuiType))
		a.answer(layeh.CodeAccountingResponse)
		r.got(b)
	}
	r.clean()
}

// C58: a CUI that is issued here is the same for a user at one visited network,
// and tells nobody that a user at another one is the same.
func TestC58CUIDiffersPerVisitedNetwork(t *testing.T) {
	of := func(identity, user, operator, client string) string {
		r := newRigOf(t, setup{homes: 1, edit: func(s *realm.Set) {
			issues(s)
			s.Clients[0].Operator, s.Clients[0].Name = operator, client
		}})
		r.shard.issuer = newIssuer([]byte(identity))
		sent := r.ask(access(user, with(cuiType, "\x00")))
		r.atHome(0).answer(layeh.CodeAccessAccept)
		got := values(r.got(sent), cuiType)
		require.Len(t, got, 1)
		return got[0]
	}
	const key = "0123456789abcdef"
	first := of(key, "bob@home.example", "1visited.example", "visited")
	assert.Equal(t, first, of(key, "bob@home.example", "1visited.example", "visited"), "stable over a restart")
	assert.Equal(t, first, of(key, "bob@HOME.Example", "1visited.example", "visited"), "a realm has no case")
	assert.Equal(t, first, of(key, "bob@home.example", "1visited.example", "another-site"), "the operator counts, not its client")
	others := map[string]string{
		"another visited network":      of(key, "bob@home.example", "1other.example", "visited"),
		"a client without an operator": of(key, "bob@home.example", "", "visited"),
		"another such client":          of(key, "bob@home.example", "", "another-site"),
		"another user":                 of(key, "Bob@home.example", "1visited.example", "visited"),
		"another hub's key":            of("fedcba9876543210", "bob@home.example", "1visited.example", "visited"),
	}
	seen := map[string]string{first: "the first"}
	for name, cui := range others {
		assert.Empty(t, seen[cui], name)
		seen[cui] = name
	}
}

// C58: what the hub makes of a User-Name, and whether the home returns it, does
// not change who the user is.
func TestC58CUIIsOfTheUser(t *testing.T) {
	seen := map[string]int{}
	for _, tt := range []struct {
		rewrite *realm.Rewrite
		says    []edit
	}{
		{nil, nil},
		{nil, []edit{with(1, "bob@home.example")}},
		{nil, []edit{with(1, "bob")}},
		{&realm.Rewrite{Strip: true}, nil},
		{&realm.Rewrite{Strip: true}, []edit{with(1, "bob")}},
		{&realm.Rewrite{Realm: "inner.example"}, []edit{with(1, "bob@inner.example")}},
	} {
		r := newRig(t, 1, func(s *realm.Set) {
			issues(s)
			s.Routes[0].Rewrite = tt.rewrite
		})
		sent := r.ask(access("bob@home.example", with(cuiType, "\x00")))
		r.atHome(0).answer(layeh.CodeAccessAccept, tt.says...)
		got := values(r.got(sent), cuiType)
		require.Len(t, got, 1)
		seen[got[0]]++
	}
	assert.Len(t, seen, 1)
}

// C58: networks behind one client are told apart by their Operator-Name, and none
// gets the CUI of another client's by taking its name.
func TestC58CUIBehindAFederation(t *testing.T) {
	of := func(client string, edits ...edit) string {
		r := newRig(t, 1, func(s *realm.Set) {
			issues(s)
			s.Clients[0].Operator = client
		})
		sent := r.ask(access("bob@home.example", append(edits, with(cuiType, "\x00"))...))
		r.atHome(0).answer(layeh.CodeAccessAccept)
		got := values(r.got(sent), cuiType)
		require.Len(t, got, 1)
		return got[0]
	}
	own := of("1fed.example")
	assert.Equal(t, own, of("1fed.example", with(126, "1Fed.Example")))
	x, y := of("1fed.example", with(126, "1x.fed.example")), of("1fed.example", with(126, "1y.fed.example"))
	assert.NotEqual(t, x, y)
	assert.NotEqual(t, own, x)
	assert.Equal(t, x, of("1fed.example", with(126, "1X.fed.example")), "names have no case")
	assert.NotEqual(t, x, of("1x.fed.example"))
	assert.NotEqual(t, own, of("1other.example", with(126, "1fed.example")))
}

// C58: a user cannot choose a name that gives the CUI of another one by moving
// octets from one part to the next.
func TestC58PartsAreApart(t *testing.T) {
	i := newIssuer([]byte("0123456789abcdef"))
	seen := map[string]bool{}
	for _, parts := range [][3]string{{"a", "bc", "d"}, {"ab", "c", "d"}, {"a", "b", "cd"}, {"abc", "", "d"}, {"a@b", "c", "d"}, {"\x01", "b", "x"}} {
		cui := string(i.issue([]byte(parts[0]), []byte(parts[1]), []byte(parts[2]), nil))
		assert.Len(t, cui, 2+cuiLen)
		assert.False(t, seen[cui], parts)
		seen[cui] = true
	}
}

// C108 (RFC 5580): a location is carried with the rules that came with it, or
// coarsened, and is never a part of what names a session.
func TestC108Location(t *testing.T) {
	const (
		info  = "\x00\x01\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"
		civic = "\x00\x01" + "DE" + "\x01\x02BE" + "\x03\x06Berlin"
		rules = "\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "https://privacy.example"
	)
	located := []edit{with(127, info), with(128, civic), with(129, rules), with(130, "rule set")}
	t.Run("carried with its rules, verbatim", func(t *testing.T) {
		r := newRig(t, 1, nil)
		sent := r.ask(access("bob@home.example", located...))
		h := r.atHome(0)
		for typ, want := range map[layeh.Type]string{127: info, 128: civic, 129: rules, 130: "rule set"} {
			assert.Equal(t, []string{want}, values(h.Packet, typ))
		}
		h.answer(layeh.CodeAccessAccept, with(129, rules), with(132, "\x00\x00\x00\x01"))
		p := r.got(sent)
		assert.Equal(t, []string{rules}, values(p, 129), "a home's own rules reach the NAS, which must follow them")
		assert.Equal(t, []string{"\x00\x00\x00\x01"}, values(p, 132))
	})
	t.Run("coarsened, with its rules", func(t *testing.T) {
		r := newRig(t, 1, filtered(t, "", "", "", "keep: [Location-Information, Location-Data]; location: coarse"))
		sent := r.ask(access("bob@home.example", located...))
		h := r.atHome(0)
		assert.Equal(t, []string{"\x00\x01" + "DE" + "\x01\x02BE"}, values(h.Packet, 128))
		assert.Equal(t, []string{info}, values(h.Packet, 127))
		assert.Equal(t, []string{rules}, values(h.Packet, 129))
		assert.Equal(t, []string{"rule set"}, values(h.Packet, 130))
		h.answer(layeh.CodeAccessAccept)
		r.got(sent)
	})
	t.Run("no part of a session's name", func(t *testing.T) {
		r := newRig(t, 1, nil)
		for i, where := range []string{civic, "\x00\x01" + "AT"} {
			b := r.report(acctStop("bob@local.example", "s", with(127, info), with(128, where)))
			r.recorded(1)
			r.got(b)
			assert.Len(t, r.records(), 1+i)
		}
		all := r.records()
		assert.Equal(t, all[0].Key, all[1].Key, "one event, told twice with two locations")
	})
}

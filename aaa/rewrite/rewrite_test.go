package rewrite

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// A Program cannot be made of rules that would break the protocol, whoever
// wrote them.
func TestCompileRefuses(t *testing.T) {
	plain := func(typ radius.Type) []realm.Attribute { return []realm.Attribute{{Name: "it", Type: typ}} }
	sub := func(vendor uint32, sub uint8) []realm.Attribute {
		return []realm.Attribute{{Name: "it", Place: realm.PlaceVendorSub, Type: radius.VendorSpecific, Vendor: vendor, Sub: sub}}
	}
	for _, tt := range []struct {
		name string
		rule realm.Rule
		want string // "" is compiled
	}{
		{"remove Proxy-State", realm.Rule{Attributes: plain(radius.ProxyState)}, "the protocol's own"},
		{"remove Message-Authenticator", realm.Rule{Attributes: plain(radius.MessageAuthenticator)}, "the protocol's own"},
		{"remove EAP-Message", realm.Rule{Attributes: plain(radius.EAPMessage)}, "the protocol's own"},
		{"set State", realm.Rule{Action: realm.FilterSet, Attributes: plain(radius.State)}, "the protocol's own"},
		{"add EAP-Message", realm.Rule{Action: realm.FilterAdd, Attributes: plain(radius.EAPMessage)}, "the protocol's own"},
		{"keep EAP-Message is only clear", realm.Rule{Action: realm.FilterKeep, Attributes: plain(radius.EAPMessage)}, ""},
		{"set User-Password", realm.Rule{Action: realm.FilterSet, Attributes: plain(radius.UserPassword)}, "hidden"},
		{"remove User-Password", realm.Rule{Attributes: plain(radius.UserPassword)}, ""},
		{"set Tunnel-Password", realm.Rule{Action: realm.FilterSupplement, Attributes: plain(radius.TunnelPassword)}, "hidden"},
		{"add MS-MPPE-Send-Key", realm.Rule{Action: realm.FilterAdd, Attributes: sub(311, 16)}, "hidden"},
		{"remove MS-MPPE-Send-Key", realm.Rule{Attributes: sub(311, 16)}, ""},
		{"add Vendor-Specific", realm.Rule{Action: realm.FilterAdd, Attributes: plain(radius.VendorSpecific)}, "holds other attributes"},
		{"set 241", realm.Rule{Action: realm.FilterSet, Attributes: plain(241)}, "holds other attributes"},
		{"remove 241", realm.Rule{Attributes: plain(241)}, ""},
		{"add all of a vendor", realm.Rule{Action: realm.FilterAdd, Attributes: []realm.Attribute{{Name: "they", Place: realm.PlaceVendor, Type: 26, Vendor: 9}}}, "all attributes of a vendor"},
		{"replace a long one", realm.Rule{Action: realm.FilterReplace, Match: regexp.MustCompile("a"), Attributes: []realm.Attribute{{Name: "it", Place: realm.PlaceExtended, Type: 245, Sub: 1}}}, "fragments"},
		{"remove User-Name", realm.Rule{Attributes: plain(radius.UserName)}, "goes nowhere"},
		{"remove User-Name from an Accept", realm.Rule{On: realm.CodesOf(radius.AccessAccept), Attributes: plain(radius.UserName)}, ""},
		{"remove Acct-Session-Id", realm.Rule{Attributes: plain(radius.AcctSessionID)}, "no record"},
		{"remove Acct-Session-Id from a request", realm.Rule{On: realm.CodesOf(radius.AccessRequest), Attributes: plain(radius.AcctSessionID)}, ""},
		{"no attribute", realm.Rule{Action: realm.FilterAdd}, "names no attribute"},
		{"no expression", realm.Rule{Action: realm.FilterReplace, Attributes: plain(radius.Class)}, "no expression"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Compile(&realm.Filter{Name: "f", Rules: []realm.Rule{tt.rule}})
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, "f", p.Name())
				return
			}
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestNoFilter(t *testing.T) {
	p, err := Compile(nil)
	require.NoError(t, err)
	assert.Nil(t, p)
	var d Draft
	d.Start(make([]byte, radius.MaxLen), packetOf(t, radius.AccessRequest, []byte("\x19\x03a")))
	n, ok := p.Apply(&d, &vars)
	assert.True(t, ok)
	assert.Zero(t, n)
	assert.False(t, p.Writes(radius.UserName))
}

// Packets of up to 4096 octets can be changed; what passes that is refused.
func TestApplyAtTheLimit(t *testing.T) {
	many := bytes.Repeat(append([]byte{25, 255}, make([]byte, 253)...), 15) // 3825
	rest := append([]byte{25, 247}, make([]byte, 245)...)
	for _, tt := range []struct {
		name  string
		rules string
		ok    bool
	}{
		{"exactly", "- {add: Filter-Id, value: ab}", true},
		{"one too many", "- {add: Filter-Id, value: abc}", false},
		{"supplement", "- {supplement: NAS-Identifier, value: abc}", false},
		{"set makes its own room", "- {set: Class, value: " + strings.Repeat("x", 253) + "}", true},
		{"extended", "- {add: 241.8, value: 0x0102}", false},
		{"vendor", "- {add: 26.9.1, value: a}", false},
		{"replace", "- {replace: Class, match: '^(.)', with: '$1$1$1$1$1$1$1$1$1$1'}", true}, // much shorter
		{"an attribute of 254", "- {replace: Class, match: '^(.{245})$', with: '$1$1'}", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			program, err := Compile(filterOf(t, tt.rules))
			require.NoError(t, err)
			p := packetOf(t, radius.AccessAccept, append(bytes.Clone(many), rest...))
			require.Len(t, p.Bytes(), radius.MaxLen-4)
			var d Draft
			d.Start(make([]byte, radius.MaxLen), p)
			_, ok := program.Apply(&d, &vars)
			assert.Equal(t, tt.ok, ok)
		})
	}
}

// A variable longer than an attribute is too much as well.
func TestVariableTooLong(t *testing.T) {
	program, err := Compile(filterOf(t, "- {add: Class, value: 'xxx${realm}'}"))
	require.NoError(t, err)
	for n, want := range map[int]bool{250: true, 251: false} {
		v := Vars{realm.VarRealm: make([]byte, n)}
		var d Draft
		d.Start(make([]byte, radius.MaxLen), packetOf(t, radius.AccessRequest, nil))
		_, ok := program.Apply(&d, &v)
		assert.Equal(t, want, ok, n)
	}
}

func TestDraft(t *testing.T) {
	var d Draft
	d.Start(make([]byte, 34), packetOf(t, radius.AccessRequest, []byte("\x19\x03a\x01\x03b\x19\x03c")))
	assert.Equal(t, radius.AccessRequest, d.Code())
	v, ok := d.First(radius.UserName)
	assert.True(t, ok)
	assert.Equal(t, "b", string(v))
	_, ok = d.First(radius.NASIdentifier)
	assert.False(t, ok)
	assert.False(t, d.Add(radius.Class, []byte("four")), "29 of 34 octets are used")
	assert.False(t, d.Raw([]byte("\x19\x06four")))
	assert.True(t, d.Add(radius.Class, []byte("abc")))
	off := d.Find(radius.UserName, radius.HeaderLen)
	_, ok = d.Change(off, []byte("bb"))
	assert.False(t, ok)
	next, ok := d.Change(off, nil)
	assert.True(t, ok)
	assert.Equal(t, d.Find(radius.Class, next), next)
	assert.Equal(t, 3, d.Remove(radius.Class))
	assert.Zero(t, d.Remove(radius.Class))
	assert.Equal(t, "\x01\x02", string(d.End()[radius.HeaderLen:]))
	assert.False(t, d.Add(radius.Class, make([]byte, 254)))
}

func TestUsesAndWrites(t *testing.T) {
	p, err := Compile(filterOf(t, "- {set: NAS-Identifier, value: '${source}'}\n- {replace: User-Name, match: a, with: b}\n- {remove: Class}"))
	require.NoError(t, err)
	assert.True(t, p.Uses(realm.VarSource))
	assert.False(t, p.Uses(realm.VarRealm))
	assert.True(t, p.Writes(radius.UserName))
	assert.True(t, p.Writes(radius.NASIdentifier))
	assert.False(t, p.Writes(radius.Class), "it only takes it out")
}

// request is a packet with a bit of everything.
func request(t testing.TB) *radius.Packet {
	var b []byte
	for _, v := range vectors(t) {
		if strings.HasPrefix(v.name, "profile") || v.name == "coarse: a civic address keeps its country and its state" {
			b = append(b, v.packet...)
		}
	}
	return packetOf(t, radius.AccessRequest, b)
}

func TestAllocsApply(t *testing.T) {
	p := request(t)
	buf := make([]byte, radius.MaxLen)
	for _, rules := range []string{
		"profile: wrix-i", "profile: eduroam", "- {location: coarse}", "- {location: strip}",
		"- {keep: [Class, vendor 9]}", "- {set: 241.8, value: '${client}'}", "- {remove: [26.14122.2, 26.9.1]}", "- {supplement: WISPr-Location-Name, value: x}",
	} {
		program, err := Compile(filterOf(t, rules))
		require.NoError(t, err)
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			var d Draft
			d.Start(buf, p)
			program.Apply(&d, &vars)
		}), rules)
	}
}

func BenchmarkHotApply(b *testing.B) {
	p := packetOf(b, radius.AccessRequest, []byte("\x01\x12bob@home.example\x04\x06\x7f\x00\x00\x01\x1e\x18AA-BB-CC-DD-EE-FF:Roam\x1f\x1302-00-5e-10-00-01\x20\x08ap-17.\x3d\x06\x00\x00\x00\x13\x4f\x2a"+strings.Repeat("e", 40)))
	buf := make([]byte, radius.MaxLen)
	for _, tt := range []struct{ name, rules string }{
		{"strip-tunnel", "profile: strip-tunnel"}, {"wrix-i", "profile: wrix-i"}, {"privacy", "profile: privacy"},
		{"expression", "- {replace: User-Name, match: '^(.*)@home', with: '$1@x'}"},
	} {
		program, err := Compile(filterOf(b, tt.rules))
		require.NoError(b, err)
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var d Draft
				d.Start(buf, p)
				program.Apply(&d, &vars)
			}
		})
	}
}

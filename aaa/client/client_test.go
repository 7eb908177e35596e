package client

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

func spec(name string, prefixes ...string) realm.Client {
	c := realm.Client{Name: name, Secret: realm.Secret("sixteen octets!!")}
	for _, p := range prefixes {
		c.Prefixes = append(c.Prefixes, netip.MustParsePrefix(p))
	}
	return c
}

func TestLookup(t *testing.T) {
	tb, err := New([]realm.Client{
		spec("partner", "192.0.2.0/24", "2001:db8::/32"),
		spec("site", "192.0.2.64/26"),
		spec("host", "192.0.2.65/32", "2001:db8::7/128"),
		spec("mapped", "::ffff:198.51.100.0/120"),
		spec("six", "::/0"),
	})
	require.NoError(t, err)
	for _, tc := range []struct{ name, addr, want string }{
		{"in the range", "192.0.2.1", "partner"},
		{"longer prefix of another client", "192.0.2.70", "site"},
		{"host", "192.0.2.65", "host"},
		{"mapped address", "::ffff:192.0.2.65", "host"},
		{"mapped prefix, v4 address", "198.51.100.9", "mapped"},
		{"mapped prefix, mapped address", "::ffff:198.51.100.9", "mapped"},
		{"v6", "2001:db8::1", "partner"},
		{"v6 host", "2001:db8::7", "host"},
		{"zone", "fe80::1%eth0", "six"},
		{"v6 rest", "2001:dead::1", "six"},
		{"v6 rest is not v4", "203.0.113.1", ""},
		{"v6 rest is not mapped v4", "::ffff:203.0.113.1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := tb.Lookup(netip.MustParseAddr(tc.addr))
			if tc.want == "" {
				assert.Nil(t, c)
				return
			}
			require.NotNil(t, c)
			assert.Equal(t, tc.want, c.Spec.Name)
			assert.Same(t, c, tb.At(c.Index))
			assert.NotNil(t, c.Secret)
		})
	}
	assert.Equal(t, 5, tb.Len())
	assert.Nil(t, tb.Lookup(netip.Addr{}), "the zero address has no client")
}

func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []realm.Client
		want string
	}{
		{"empty secret", []realm.Client{{Name: "a", Prefixes: spec("", "192.0.2.1/32").Prefixes}}, "secret is empty"},
		{"no address", []realm.Client{spec("a")}, "no address"},
		{"invalid prefix", []realm.Client{{Name: "a", Secret: realm.Secret("x"), Prefixes: make([]netip.Prefix, 1)}}, "invalid prefix"},
		{"equal prefixes", []realm.Client{spec("a", "192.0.2.0/24"), spec("b", "192.0.2.9/24")}, `belongs to client "a"`},
		{"equal when unmapped", []realm.Client{spec("a", "192.0.2.0/24"), spec("b", "::ffff:192.0.2.0/120")}, `belongs to client "a"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tb, err := New(tc.in)
			require.ErrorContains(t, err, tc.want)
			assert.Nil(t, tb)
		})
	}
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := New([]realm.Client{spec("a"), spec("b")})
	require.ErrorContains(t, err, `"a"`)
	require.ErrorContains(t, err, `"b"`)
}

func TestEmptyTable(t *testing.T) {
	tb, err := New(nil)
	require.NoError(t, err)
	assert.Nil(t, tb.Lookup(netip.MustParseAddr("192.0.2.1")))
}

func TestAllocsLookup(t *testing.T) {
	tb, err := New([]realm.Client{spec("a", "192.0.2.0/24", "2001:db8::/32")})
	require.NoError(t, err)
	for _, s := range []string{"192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "203.0.113.1"} {
		a := netip.MustParseAddr(s)
		assert.Zero(t, testing.AllocsPerRun(100, func() { tb.Lookup(a) }), s)
	}
}

func BenchmarkHotLookup(b *testing.B) {
	var cs []realm.Client
	for i := range 2000 {
		cs = append(cs, spec(fmt.Sprint("c", i), fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)))
	}
	tb, err := New(cs)
	require.NoError(b, err)
	addrs := make([]netip.Addr, 1024)
	for i := range addrs {
		n := (i * 7919) % 2000
		addrs[i] = netip.AddrFrom4([4]byte{10, byte(n / 256), byte(n % 256), byte(i)})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if tb.Lookup(addrs[i&1023]) == nil {
			b.Fatal("no client")
		}
		i++
	}
}

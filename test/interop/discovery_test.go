package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/discovery"
	"github.com/roamgate/roamgate/test/peer"
	"github.com/roamgate/roamgate/test/zone"
)

// zoneCases are those of test/vectors/discovery that any server can serve, and
// their records by zone.
func zoneCases(t *testing.T) (cases []*zone.Case, zones map[string]string) {
	records := map[string]*strings.Builder{"example": {}, "3gppnetwork.org": {}}
	for _, file := range []string{"zones.txt", "hostile.txt"} {
		all, err := zone.Read("../vectors/discovery/" + file)
		require.NoError(t, err)
		for _, c := range all {
			if !c.Plain() {
				continue
			}
			cases = append(cases, c)
			for _, text := range c.Texts {
				of := "example"
				if name, _, _ := strings.Cut(text, " "); strings.HasSuffix(name, "3gppnetwork.org.") {
					of = "3gppnetwork.org"
				}
				fmt.Fprintln(records[of], text)
			}
		}
	}
	zones = map[string]string{"bogus": `x NAPTR 10 10 "a" "aaa+auth:radius.tls.tcp" "" r` + "\nr A 9.9.8.1"}
	for name, text := range records {
		zones[name] = text.String()
	}
	return cases, zones
}

// C90 and C91: the zones of the vectors, good and hostile, lead to the same
// targets where nsd serves them, signed, and where unbound has validated them; a
// zone whose signatures are wrong leads nowhere.
func TestC90ZonesOfNSD(t *testing.T) {
	t.Parallel()
	cases, zones := zoneCases(t)
	require.GreaterOrEqual(t, len(cases), 60)
	served := peer.StartDNS(t, zones, "bogus")
	for _, server := range []struct {
		name string
		at   netip.AddrPort
	}{{"nsd", served.Authority}, {"unbound", served.Resolver}} {
		r := discovery.Resolver{
			DNS: discovery.NewDNS([]netip.AddrPort{server.at}), HasWay: func(netip.Addr) bool { return true },
			Local: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("9.9.9.9")} },
		}
		for _, c := range cases {
			if server.name == "unbound" && c.Name == "a CNAME ring" {
				continue // it says SERVFAIL itself
			}
			t.Run(server.name+"/"+c.Name, func(t *testing.T) {
				of, err := c.Discovery()
				require.NoError(t, err)
				service := discovery.Auth
				if c.Acct {
					service = discovery.Acct
				}
				own := r
				own.Listens = c.Own
				res := own.Discover(t.Context(), c.Realm, of, service, nil)
				sameTargets(t, c, &res, server.name == "nsd")
			})
		}
	}
	r := discovery.Resolver{DNS: discovery.NewDNS([]netip.AddrPort{served.Resolver})}
	res := r.Discover(t.Context(), "x.bogus", &realm.Discovery{Auth: []string{"aaa+auth:radius.tls.tcp"}}, discovery.Auth, nil)
	assert.Equal(t, discovery.Failed, res.Cause, res.Why)
}

// sameTargets compares with what the case expects. A resolver counts TTLs down,
// so there they are no more than that.
func sameTargets(t *testing.T, c *zone.Case, res *discovery.Result, exact bool) {
	t.Helper()
	n := 0
	for _, want := range c.Want {
		word, rest, _ := strings.Cut(want, " ")
		switch word {
		case "cause":
			assert.Equal(t, rest, res.Cause.String(), res.Why)
		case "ttl", "took", "asked", "silent", "blocked":
		default:
			if !assert.Less(t, n, len(res.Targets), "%s: %s", want, res.Why) {
				return
			}
			to := res.Targets[n]
			f := strings.Fields(want)
			assert.Equal(t, f[:4], []string{fmt.Sprint(to.Priority), fmt.Sprint(to.Weight), to.Addr.String(), to.Host})
			ttl, err := time.ParseDuration(f[4])
			require.NoError(t, err)
			if exact {
				assert.Equal(t, ttl, to.TTL)
			}
			assert.LessOrEqual(t, to.TTL, ttl)
			n++
		}
	}
	assert.Len(t, res.Targets, n)
}

package discovery

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/nameserver"
	"github.com/roamgate/roamgate/test/zone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const roundTrip = 5 * time.Millisecond

// resolving is a Resolver whose questions go to a zone without a network.
func resolving(z *zone.Zone, own ...netip.AddrPort) *Resolver {
	d := NewDNS([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")})
	d.Send = func(ctx context.Context, network string, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
		time.Sleep(roundTrip)
		if m := z.Reply(q, network); m != nil {
			return m, nil
		}
		select {
		case <-time.After(patience):
			return nil, os.ErrDeadlineExceeded
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &Resolver{
		DNS: d, Listens: own, HasWay: func(netip.Addr) bool { return true },
		Local: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("9.9.9.9")} },
	}
}

// profileOf reads the profile line of a case.
func profileOf(t testing.TB, words []string) *realm.Discovery {
	t.Helper()
	of, err := (&zone.Case{Profile: words}).Discovery()
	require.NoError(t, err)
	return of
}

func told(res *Result) (lines []string) {
	for _, to := range res.Targets {
		lines = append(lines, fmt.Sprintf("%d %d %s %s %s", to.Priority, to.Weight, to.Addr, to.Host, to.TTL))
	}
	return lines
}

// TestC90C91Zones: the zones of test/vectors/discovery give the expected targets
// and timings, and hostile ones are refused with their reason: C88, C89, C90,
// C91 and C92.
func TestC90C91Zones(t *testing.T) {
	for _, file := range []string{"zones.txt", "hostile.txt"} {
		cases, err := zone.Read("../../test/vectors/discovery/" + file)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(cases), 30, file)
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { check(t, c) })
			})
		}
	}
}

func check(t *testing.T, c *zone.Case) {
	service := Auth
	if c.Acct {
		service = Acct
	}
	began := time.Now()
	var steps []Step
	res := resolving(c.Zone, c.Own...).Discover(t.Context(), c.Realm, profileOf(t, c.Profile), service, func(s Step) { steps = append(steps, s) })
	took := time.Since(began)
	var targets []string
	for _, want := range c.Want {
		word, rest, _ := strings.Cut(want, " ")
		switch word {
		case "cause":
			assert.Equal(t, rest, res.Cause.String(), res.Why)
		case "ttl":
			assert.Equal(t, rest, res.TTL.String())
		case "took":
			assert.Equal(t, rest, took.Truncate(100*time.Millisecond).String())
		case "asked":
			assert.NotZero(t, c.Zone.Asked(rest), c.Zone.Questions())
		case "silent":
			assert.Zero(t, c.Zone.Asked(rest), c.Zone.Questions())
		case "blocked":
			f := strings.Fields(rest)
			i := slices.Index(blockNames[:], f[0])
			require.GreaterOrEqual(t, i, 0, f[0])
			assert.Equal(t, f[1], fmt.Sprint(res.Blocks[i]), rest)
		default:
			targets = append(targets, want)
		}
	}
	assert.Equal(t, targets, told(&res))
	assert.Equal(t, len(targets) == 0, res.Cause != OK, res.Cause)
	assert.LessOrEqual(t, took, DNSTimeout)
	assert.Equal(t, len(c.Zone.Questions()) > 0, len(steps) > 0, "each question is told of")
	if res.Cause == OK {
		assert.GreaterOrEqual(t, res.TTL, MinTTL)
	}
}

// C88: what DNS is asked for, and what it is never asked.
func TestC88Question(t *testing.T) {
	tests := []struct {
		name, realm string
		public      bool
		want        string
	}{
		{"as it is", "home.example", false, "home.example"},
		{"capitals", "Home.EXAMPLE", false, "home.example"},
		{"a dot at the end", "home.example.", false, ""},
		{"a dot at the front", ".home.example", false, ""},
		{"two dots", "home..example", false, ""},
		{"nothing", "", false, ""},
		{"a hyphen at an end", "home-.example", false, ""},
		{"a label of 63", strings.Repeat("a", 63) + ".example", false, strings.Repeat("a", 63) + ".example"},
		{"a label of 64", strings.Repeat("a", 64) + ".example", false, ""},
		{"not UTF-8", "h\xc3.example", false, ""},
		{"a space", "home .example", false, ""},
		{"NUL", "home\x00.example", false, ""},
		{"a slash", "home/etc.example", false, ""},
		{"U-label", "straße.example", false, "xn--strae-oqa.example"},
		{"decomposed", "bu\u0308cher.example", false, "xn--bcher-kva.example"},
		{"mobile", "wlan.mnc001.mcc001.3gppnetwork.org", true, "wlan.mnc001.mcc001.pub.3gppnetwork.org"},
		{"mobile, not public", "wlan.mnc01.mcc001.3gppnetwork.org", false, "wlan.mnc01.mcc001.3gppnetwork.org"},
		{"looks mobile", "evil3gppnetwork.org", true, "evil3gppnetwork.org"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Question(tt.realm, tt.public)
			assert.Equal(t, tt.want != "", ok)
			if ok {
				assert.Equal(t, tt.want, got)
			}
		})
	}
}

// However much a zone says, questions and targets are few.
func TestBounds(t *testing.T) {
	many := func(n int, format string) *zone.Zone {
		z := zone.New()
		for i := range n {
			require.NoError(t, z.Add(fmt.Sprintf(format, i)))
		}
		return z
	}
	tests := []struct {
		name      string
		zone      *zone.Zone
		then      string // of each, %d
		questions int
		targets   int
	}{
		{"pointers", many(100, `r.example. 60 IN NAPTR 10 %d "a" "aaa+auth:radius.tls.tcp" "" h%[1]d.example.`), "h%d.example. 60 IN A 9.9.8.%[1]d", 1 + 2*mostPointers, mostTargets},
		{"services", many(100, `r.example. 60 IN NAPTR 10 %d "s" "aaa+auth:radius.tls.tcp" "" s%[1]d.example.`), "s%d.example. 60 IN SRV 0 0 2083 h%[1]d.example.", mostQuestions, 0},
		{"others in front", many(100, `r.example. 60 IN NAPTR 10 %d "a" "other:thing" "" h%[1]d.example.`), `r.example. 60 IN NAPTR 10 10 "a" "aaa+auth:radius.tls.tcp" "" h%d.example.`, 1 + 2*mostPointers, 0},
		{"branches", many(100, `r.example. 60 IN NAPTR 10 %d "" "aaa+auth:radius.tls.tcp" "" n%[1]d.example.`), `n%d.example. 60 IN NAPTR 10 10 "" "aaa+auth:radius.tls.tcp" "" m%[1]d.example.`, 1 + 2*mostPointers, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range 100 {
				require.NoError(t, tt.zone.Add(fmt.Sprintf(tt.then, i)))
			}
			synctest.Test(t, func(t *testing.T) {
				res := resolving(tt.zone).Discover(t.Context(), "r.example", profileOf(t, []string{"auth=aaa+auth:radius.tls.tcp"}), Auth, nil)
				assert.LessOrEqual(t, len(tt.zone.Questions()), tt.questions)
				assert.Len(t, res.Targets, tt.targets)
				assert.NotZero(t, res.Blocks[TooMany])
			})
		})
	}
}

// Over the network it is the same: real sockets, UDP and then TCP.
func TestOverTheNetwork(t *testing.T) {
	z := zone.New()
	for _, rr := range []string{
		`r.example. 600 IN NAPTR 10 10 "s" "aaa+auth:radius.tls.tcp" "" _r._tcp.r.example.`,
		"_r._tcp.r.example. 600 IN SRV 0 0 2083 h.example.", "h.example. 300 IN A 9.9.8.1",
	} {
		require.NoError(t, z.Add(rr))
	}
	require.NoError(t, z.Wrong("huge", "r.example."))
	at, stop, err := z.Serve()
	require.NoError(t, err)
	defer stop()
	r := Resolver{DNS: NewDNS([]netip.AddrPort{at})}
	res := r.Discover(t.Context(), "r.example", profileOf(t, []string{"auth=aaa+auth:radius.tls.tcp"}), Auth, nil)
	assert.Equal(t, []string{"0 0 9.9.8.1:2083 h.example 5m0s"}, told(&res), res.Why)
}

// Every cause and every block has a word and a text.
func TestWords(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Causes() {
		assert.NotEmpty(t, c.String())
		assert.NotEmpty(t, c.Text())
		assert.False(t, seen[c.String()], c)
		seen[c.String()] = true
	}
	for b := Used; b < blocks; b++ {
		assert.NotEmpty(t, b.String())
		assert.NotEmpty(t, b.Text())
	}
	assert.NotContains(t, Blocks(), OtherService)
}

// FuzzDiscover: whatever servers say, what comes out are a few targets that a
// connection may be opened to.
func FuzzDiscover(f *testing.F) {
	for _, file := range []string{"zones.txt", "hostile.txt"} {
		cases, err := zone.Read("../../test/vectors/discovery/" + file)
		require.NoError(f, err)
		for _, c := range cases {
			m := new(dns.Msg)
			for _, text := range c.Texts {
				rr, err := dns.NewRR(text)
				require.NoError(f, err)
				m.Answer = append(m.Answer, rr)
			}
			if b, err := m.Pack(); err == nil {
				f.Add(b, c.Realm)
			}
		}
	}
	of := &realm.Discovery{Auth: []string{"aaa+auth:radius.tls.tcp", "x-eduroam:radius.tls"}, SRV: true, Public: true}
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		asked := 0
		r := resolving(zone.New())
		r.DNS = &nameserver.Client{Servers: []netip.AddrPort{{}}, Send: func(_ context.Context, _ string, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
			require.True(t, serviceName(folded(q.Question[0].Name)), "asked for %q", q.Question[0].Name)
			answer := m.Copy()
			answer.Id, answer.Response, answer.Question, answer.Truncated, answer.Rcode = q.Id, true, q.Question, false, 0
			return answer, nil
		}}
		res := r.Discover(t.Context(), name, of, Auth, func(Step) { asked++ })
		require.LessOrEqual(t, asked, 2*mostQuestions)
		require.LessOrEqual(t, len(res.Targets), mostTargets)
		require.Equal(t, res.Cause == OK, len(res.Targets) > 0)
		require.GreaterOrEqual(t, res.TTL, FailedTime)
		require.LessOrEqual(t, res.TTL, forever)
		for i, to := range res.Targets {
			require.Equal(t, Used, judge(to.Addr.Addr(), of, nil))
			require.True(t, goodPort(to.Addr.Port(), of) && hostName(to.Host) && to.Weight >= 0 && to.TTL >= MinTTL)
			require.True(t, i == 0 || to.Priority >= res.Targets[i-1].Priority)
		}
	})
}

package resolve

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/realm/nameserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone answers as a DNS server would, without one: lines of records by name
// and type.
type zone struct {
	mu      sync.Mutex
	records map[string][]string // "name type" -> records; nil: NXDOMAIN
	fails   map[string]int      // rcode by "name type", or -1: silence
	asked   map[string]int
	only4   atomic.Bool // the host has no way to an IPv6 address
}

func newZone(records ...string) *zone {
	z := &zone{records: map[string][]string{}, fails: map[string]int{}, asked: map[string]int{}}
	z.set(records...)
	return z
}

func (z *zone) set(records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	clear(z.records)
	for _, r := range records {
		f := strings.Fields(r)
		k := f[0] + " " + f[3]
		z.records[k] = append(z.records[k], r)
	}
}

func (z *zone) fail(key string, rcode int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if rcode == 0 {
		delete(z.fails, key)
	} else {
		z.fails[key] = rcode
	}
}

func (z *zone) times(key string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[key]
}

// reply is the answer to a question; nil is silence.
func (z *zone) reply(q *dns.Msg) *dns.Msg {
	z.mu.Lock()
	defer z.mu.Unlock()
	m := new(dns.Msg)
	m.SetReply(q)
	name, t := strings.ToLower(q.Question[0].Name), dns.TypeToString[q.Question[0].Qtype]
	z.asked[name+" "+t]++
	if rcode := z.fails[name+" "+t]; rcode < 0 {
		return nil
	} else if rcode > 0 {
		m.Rcode = rcode
		return m
	}
	known := false
	for k, lines := range z.records {
		if !strings.HasPrefix(k, name+" ") {
			continue
		}
		known = true
		if strings.HasSuffix(k, " "+t) || strings.HasSuffix(k, " CNAME") {
			for _, l := range lines {
				rr, err := dns.NewRR(l)
				if err != nil {
					panic(err)
				}
				m.Answer = append(m.Answer, rr)
				if alias, ok := rr.(*dns.CNAME); ok {
					for _, more := range z.records[alias.Target+" "+t] {
						rr, _ := dns.NewRR(more)
						m.Answer = append(m.Answer, rr)
					}
				}
			}
		}
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

// resolving is a Resolver in a bubble whose questions go to a zone.
func resolving(t *testing.T, z *zone, names ...string) (r *Resolver, changes *int) {
	changes = new(int)
	r = New(Config{
		Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")},
		Changed: func() { *changes++ },
		hasWay:  func(a netip.Addr) bool { return a.Is4() || !z.only4.Load() },
	})
	r.dns.Send = func(ctx context.Context, _ string, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
		time.Sleep(5 * time.Millisecond)
		if m := z.reply(q); m != nil {
			return m, nil
		}
		select {
		case <-time.After(nameserver.Patience):
			return nil, os.ErrDeadlineExceeded
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.Watch(names)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return r, changes
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func addrs(r *Resolver, name string) string {
	var all []string
	for _, a := range r.Answer(name).Addrs {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

func TestResolve(t *testing.T) {
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("r.example. 60 IN A 198.51.100.%d", 20-i))
	}
	tests := []struct {
		name    string
		records []string
		want    string
		why     string
	}{
		{"one", []string{"r.example. 60 IN A 198.51.100.1"}, "198.51.100.1", ""},
		{"both families", []string{"r.example. 60 IN A 198.51.100.1", "r.example. 60 IN AAAA 2001:db8::1"}, "2001:db8::1 198.51.100.1", ""},
		{"always in one order", []string{"r.example. 60 IN A 198.51.100.2", "r.example. 60 IN A 198.51.100.1"}, "198.51.100.1 198.51.100.2", ""},
		{"twice", []string{"r.example. 60 IN A 198.51.100.2", "r.example. 61 IN A 198.51.100.2"}, "198.51.100.2", ""},
		{"an alias", []string{"r.example. 60 IN CNAME x.example.", "x.example. 60 IN A 198.51.100.9"}, "198.51.100.9", ""},
		{"private and loopback are the operator's choice", []string{"r.example. 60 IN A 10.0.0.1", "r.example. 60 IN A 127.0.0.1"}, "10.0.0.1 127.0.0.1", ""},
		{"nothing can be sent there", []string{"r.example. 60 IN A 0.0.0.0", "r.example. 60 IN A 224.0.0.1", "r.example. 60 IN A 255.255.255.255", "r.example. 60 IN AAAA ff02::1", "r.example. 60 IN AAAA fe80::1", "r.example. 60 IN AAAA ::"}, "", noAddress},
		{"mapped", []string{"r.example. 60 IN AAAA ::ffff:198.51.100.1", "r.example. 60 IN A 198.51.100.1"}, "198.51.100.1", ""},
		{"too many", many, "198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4", ""},
		{"somebody else's", []string{"other.example. 60 IN A 198.51.100.1"}, "", "the name does not exist"},
		{"another type", []string{"r.example. 60 IN TXT hello"}, "", noAddress},
		{"an alias of itself", []string{"r.example. 60 IN CNAME r.example."}, "", noAddress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, changes := resolving(t, newZone(tt.records...), "R.Example.")
				assert.Equal(t, Answer{}, r.Answer("r.example"), "nobody waits")
				pass(time.Second)
				assert.Equal(t, tt.want, addrs(r, "r.example"))
				assert.Equal(t, tt.why, r.Answer("r.example").Why)
				assert.True(t, r.Answer("r.example").Asked)
				assert.Equal(t, 1, *changes)
			})
		})
	}
}

// A name is asked again when its TTL is over, not much before and not after,
// and within bounds.
func TestTTL(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ttl   int
		least time.Duration
		most  time.Duration
	}{
		{"as it says", 600, 540 * time.Second, 601 * time.Second},
		{"none", 0, 9 * time.Second, 11 * time.Second},
		{"a week", 604800, 54 * time.Minute, 61 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone(fmt.Sprintf("r.example. %d IN A 198.51.100.1", tt.ttl), fmt.Sprintf("r.example. %d IN AAAA 2001:db8::1", tt.ttl))
				resolving(t, z, "r.example")
				pass(tt.least - 100*time.Millisecond)
				assert.Equal(t, 1, z.times("r.example. A"))
				pass(tt.most - tt.least)
				assert.Equal(t, 2, z.times("r.example. A"))
			})
		})
	}
}

// A change is seen and told once; the same addresses in another order are
// none.
func TestChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone("r.example. 10 IN A 198.51.100.1", "r.example. 10 IN A 198.51.100.2")
		r, changes := resolving(t, z, "r.example")
		pass(time.Second)
		z.set("r.example. 10 IN A 198.51.100.2", "r.example. 10 IN A 198.51.100.1")
		pass(20 * time.Second)
		assert.Equal(t, 1, *changes)
		z.set("r.example. 10 IN A 198.51.100.3")
		pass(12 * time.Second)
		assert.Equal(t, 2, *changes)
		assert.Equal(t, "198.51.100.3", addrs(r, "r.example"))
		z.set("q.example. 10 IN A 198.51.100.3")
		pass(12 * time.Second)
		assert.Empty(t, addrs(r, "r.example"), "an answer that there is none counts")
		assert.Equal(t, "the name does not exist", r.Answer("r.example").Why)
	})
}

// While DNS is away what is known stays, and it is asked less and less often;
// the other family goes on.
func TestAway(t *testing.T) {
	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeRefused, -1} {
		t.Run(fmt.Sprint(rcode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone("r.example. 10 IN A 198.51.100.1", "r.example. 10 IN AAAA 2001:db8::1")
				r, _ := resolving(t, z, "r.example")
				pass(time.Second)
				z.fail("r.example. A", rcode)
				z.set("r.example. 10 IN AAAA 2001:db8::2", "r.example. 10 IN A 198.51.100.1")
				pass(time.Hour)
				assert.Equal(t, "2001:db8::2 198.51.100.1", addrs(r, "r.example"))
				assert.Contains(t, r.Answer("r.example").Why, "192.0.2.53:53")
				assert.NotContains(t, r.Answer("r.example").Why, "udp")
				z.fail("r.example. A", 0)
				pass(80 * time.Second)
				assert.Empty(t, r.Answer("r.example").Why)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.fail("r.example. A", dns.RcodeServerFailure)
		z.fail("r.example. AAAA", dns.RcodeServerFailure)
		r, changes := resolving(t, z, "r.example")
		pass(10 * time.Second)
		first := z.times("r.example. A")
		assert.GreaterOrEqual(t, first, 4, "at first often")
		pass(time.Hour)
		assert.Less(t, z.times("r.example. A"), first+2*75, "then once a minute")
		assert.Greater(t, z.times("r.example. A"), first+2*55)
		assert.Equal(t, 1, *changes, "that there is none is told once")
		assert.Contains(t, r.Answer("r.example").Why, "SERVFAIL")
		n := r.Counters().Failed.Load()
		r.Again()
		pass(time.Second)
		assert.Equal(t, n+2, r.Counters().Failed.Load())
	})
}

// Addresses that this host has no way to come last.
func TestNoWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone("r.example. 10 IN A 198.51.100.1", "r.example. 10 IN AAAA 2001:db8::1")
		z.only4.Store(true)
		r, _ := resolving(t, z, "r.example")
		pass(time.Second)
		assert.Equal(t, "198.51.100.1 2001:db8::1", addrs(r, "r.example"))
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone("a.example. 600 IN A 198.51.100.1", "b.example. 600 IN A 198.51.100.2")
		r, changes := resolving(t, z, "a.example")
		pass(time.Second)
		r.Watch([]string{"a.example", "b.example", "B.EXAMPLE"})
		assert.Equal(t, "198.51.100.1", addrs(r, "a.example"), "what is known stays")
		pass(time.Second)
		assert.Equal(t, "198.51.100.2", addrs(r, "b.example"))
		assert.Equal(t, 2, *changes)
		r.Watch([]string{"b.example"})
		assert.Equal(t, Answer{}, r.Answer("a.example"))
		pass(time.Hour)
		assert.Equal(t, 1, z.times("a.example. A"))
	})
}

// Hundreds of names at once are asked some at a time, and told together.
func TestManyNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names, records []string
		for i := range 500 {
			names = append(names, fmt.Sprintf("h%d.example", i))
			records = append(records, fmt.Sprintf("h%d.example. 600 IN A 198.51.%d.%d", i, i/250, i%250+1))
		}
		r, changes := resolving(t, newZone(records...), names...)
		pass(2 * time.Second)
		for i := range 500 {
			require.NotEmpty(t, addrs(r, names[i]), names[i])
		}
		assert.LessOrEqual(t, *changes, 3)
	})
}

// FuzzRead: whatever a server says, there are at most a few addresses that
// something can be sent to.
func FuzzRead(f *testing.F) {
	for _, rr := range []string{"r.example. 60 IN A 198.51.100.1", "r.example. 60 IN AAAA fe80::1", "r.example. 60 IN CNAME r.example."} {
		m := new(dns.Msg)
		r, err := dns.NewRR(rr)
		require.NoError(f, err)
		m.Answer = append(m.Answer, r)
		b, err := m.Pack()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
			answer := nameserver.Read(m, "r.example", typ)
			got := usable(&answer)
			require.LessOrEqual(t, len(got.addrs), mostAddrs)
			require.LessOrEqual(t, got.ttl, most)
			for _, a := range got.addrs {
				require.True(t, a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.Is4In6())
			}
		}
	})
}

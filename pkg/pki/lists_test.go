package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/pkg/pki/issue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const point = "http://crl.example/list"

// site is an authority that publishes its CRL, in the time of a bubble.
type site struct {
	*issue.Authority
	pair    *issue.Pair
	answer  atomic.Pointer[[]byte] // nil: it does not answer
	asked   atomic.Int32
	changes atomic.Int32

	mu      sync.Mutex // guards reports: several lists are fetched at a time
	reports []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	year := issue.Profile{Names: issue.Names{Common: "root"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0), Points: []string{point}}
	a, err := issue.NewAuthority(year)
	require.NoError(t, err)
	pair, err := a.Issue(year)
	require.NoError(t, err)
	return &site{Authority: a, pair: pair}
}

func (s *site) publish(t *testing.T, by *issue.Authority, life time.Duration, revoked bool) {
	t.Helper()
	serials := s.pair.Cert.SerialNumber
	var der []byte
	var err error
	if revoked {
		der, err = by.Revoke(1, time.Now(), time.Now().Add(life), serials)
	} else {
		der, err = by.Revoke(1, time.Now(), time.Now().Add(life))
	}
	require.NoError(t, err)
	s.answer.Store(&der)
}

func (s *site) lists() *Lists {
	l := NewLists(func() { s.changes.Add(1) }, func(_ string, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.reports = append(s.reports, "ok")
		} else {
			s.reports = append(s.reports, err.Error())
		}
	})
	l.ask = func(context.Context, string, []netip.Prefix) ([]byte, error) {
		s.asked.Add(1)
		if der := s.answer.Load(); der != nil {
			return *der, nil
		}
		return nil, errors.New("no answer")
	}
	return l
}

func (s *site) trust(edit func(*Trust)) *Trust {
	t := &Trust{pool: x509.NewCertPool()}
	t.pool.AddCert(s.Cert)
	edit(t)
	return t
}

func (s *site) judge(t *Trust) string {
	_, why := t.Verify(s.pair.Chain(), Client, time.Now())
	return why.String()
}

// TestListsRenew: a CRL is there before anybody needs it, is renewed before its
// time, and what it revokes is known then.
func TestListsRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		l := s.lists()
		trust := s.trust(func(t *Trust) { t.points, t.revocation = []string{point}, RevocationRequire })
		s.publish(t, s.Authority, 4*time.Hour, false)
		assert.Equal(t, "no_crl", s.judge(trust), "before anything was fetched")
		l.Watch([]*Trust{trust})
		ctx, stop := context.WithCancel(t.Context())
		go l.Run(ctx)
		synctest.Wait()
		assert.Equal(t, "none", s.judge(trust))
		assert.EqualValues(t, 1, s.changes.Load())

		s.publish(t, s.Authority, 4*time.Hour, true)
		time.Sleep(3 * time.Hour)
		assert.Equal(t, "revoked", s.judge(trust), "half of its life is over")
		assert.EqualValues(t, 2, s.changes.Load())
		assert.Empty(t, s.reports)

		reloaded := s.trust(func(t *Trust) { t.points, t.revocation = []string{point}, RevocationRequire })
		l.Watch([]*Trust{reloaded})
		assert.Equal(t, "revoked", s.judge(reloaded), "a reload forgets nothing")
		l.Watch(nil)
		assert.Empty(t, l.fetched)
		stop()
		synctest.Wait()
	})
}

// TestListsAway: while the address does not answer, what is known goes on to
// count, and it is asked ever more rarely.
func TestListsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		l := s.lists()
		soft := s.trust(func(t *Trust) { t.points = []string{point} })
		hard := s.trust(func(t *Trust) { t.points, t.revocation = []string{point}, RevocationRequire })
		s.publish(t, s.Authority, time.Hour, false)
		l.Watch([]*Trust{soft, hard})
		ctx, stop := context.WithCancel(t.Context())
		go l.Run(ctx)
		synctest.Wait()
		s.answer.Store(nil)
		time.Sleep(24 * time.Hour)
		assert.Equal(t, "none", s.judge(soft))
		assert.Equal(t, "stale_crl", s.judge(hard))
		assert.Equal(t, []string{"no answer"}, s.reports, "it is said once")
		asked := s.asked.Load()
		assert.Less(t, asked, int32(40))
		s.publish(t, s.Authority, time.Hour, false)
		time.Sleep(lastRetry)
		synctest.Wait()
		assert.Equal(t, "none", s.judge(hard))
		assert.Equal(t, []string{"no answer", "ok"}, s.reports)
		stop()
		synctest.Wait()
	})
}

// TestListsForged: who is in the way of http can neither bring back an old CRL
// nor put his own in the place of one that is good.
func TestListsForged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, thief := newSite(t), newSite(t)
		l := s.lists()
		trust := s.trust(func(t *Trust) { t.points = []string{point} })
		s.publish(t, s.Authority, 100*time.Hour, false)
		old := s.answer.Load()
		time.Sleep(time.Hour)
		s.publish(t, s.Authority, 4*time.Hour, true)
		l.Watch([]*Trust{trust})
		ctx, stop := context.WithCancel(t.Context())
		go l.Run(ctx)
		synctest.Wait()
		assert.Equal(t, "revoked", s.judge(trust))
		s.answer.Store(old)
		time.Sleep(3 * time.Hour)
		assert.Equal(t, "revoked", s.judge(trust), "an old one came")
		s.publish(t, thief.Authority, 100*time.Hour, false)
		time.Sleep(30 * time.Minute)
		assert.Equal(t, "revoked", s.judge(trust), "one of the same name by another came")
		garbage := []byte("<html>")
		s.answer.Store(&garbage)
		time.Sleep(24 * time.Hour)
		assert.Equal(t, "revoked", s.judge(trust), "none came until the end of its time")
		s.publish(t, thief.Authority, 100*time.Hour, false)
		time.Sleep(24 * time.Hour)
		assert.Equal(t, "revoked", s.judge(trust), "one by another came after the end of its time")
		s.publish(t, s.Authority, 100*time.Hour, false)
		time.Sleep(24 * time.Hour)
		assert.Equal(t, "none", s.judge(trust), "its own again")
		stop()
		synctest.Wait()
	})
}

// TestListsFollow: what an accepted certificate names is fetched where that is
// wanted, and never what one of a stranger names.
func TestListsFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stranger := newSite(t), newSite(t)
		l := s.lists()
		s.publish(t, s.Authority, time.Hour, true)
		following, not := s.trust(func(t *Trust) { t.follow = true }), s.trust(func(*Trust) {})
		l.Watch([]*Trust{following, not})
		ctx, stop := context.WithCancel(t.Context())
		go l.Run(ctx)
		assert.Equal(t, "none", s.judge(not))
		_, why := following.Verify(stranger.pair.Chain(), Client, time.Now())
		assert.Equal(t, UnknownIssuer, why)
		synctest.Wait()
		assert.Zero(t, s.asked.Load(), "nobody has asked for it")
		assert.Equal(t, "none", s.judge(following), "the first is not kept waiting")
		synctest.Wait()
		assert.Equal(t, "revoked", s.judge(following))
		assert.EqualValues(t, 1, s.changes.Load(), "live peers are judged again")
		assert.Equal(t, "none", s.judge(not))
		stop()
		synctest.Wait()
	})
}

// TestListsForget: what a certificate named is forgotten when nobody asks for it
// any more, and takes no room from what operators wrote.
func TestListsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		l := s.lists()
		s.publish(t, s.Authority, 1000*time.Hour, false)
		trust := s.trust(func(t *Trust) { t.follow, t.points = true, []string{point} })
		for i := range 2 * maxOfOne {
			l.get(fmt.Sprintf("http://crl.example/%d", i), trust, false)
		}
		assert.Len(t, l.fetched, maxOfOne)
		l.Watch([]*Trust{trust})
		assert.Len(t, l.fetched, maxOfOne+1)
		ctx, stop := context.WithCancel(t.Context())
		go l.Run(ctx)
		synctest.Wait()
		assert.EqualValues(t, maxOfOne+1, s.asked.Load())
		seen := 0
		trust.Expiries(func(name string, next time.Time) {
			seen++
			assert.Equal(t, point, name)
			assert.False(t, next.IsZero())
		})
		assert.Equal(t, 1, seen)
		time.Sleep(unasked + longest)
		synctest.Wait()
		assert.Len(t, l.fetched, 1)
		stop()
		synctest.Wait()
	})
}

// TestListsOfTwo: what the certificates of one trust base name takes nothing from
// another, neither room nor the way to its address.
func TestListsOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.publish(t, s.Authority, time.Hour, true)
		l := s.lists()
		l.ask = func(_ context.Context, _ string, private []netip.Prefix) ([]byte, error) {
			if len(private) == 0 {
				return nil, errors.New("not a public address")
			}
			return *s.answer.Load(), nil
		}
		inside := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		greedy := s.trust(func(t *Trust) { t.follow, t.Hash = true, [32]byte{1} })
		other := s.trust(func(t *Trust) { t.follow, t.private, t.Hash = true, inside, [32]byte{2} })
		l.Watch([]*Trust{greedy, other})
		ctx, stop := context.WithCancel(t.Context())
		go l.Run(ctx)
		assert.Equal(t, "none", s.judge(greedy), "it names the other's address first")
		for i := range 2 * maxFetched {
			l.get(fmt.Sprintf("http://greedy.example/%d", i), greedy, false)
		}
		assert.Len(t, l.fetched, maxOfOne)
		synctest.Wait()
		assert.Equal(t, "none", s.judge(other))
		l.get("http://crl.example/more", other, false)
		assert.Len(t, l.fetched, maxOfOne+1)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, "revoked", s.judge(other))
		stop()
		synctest.Wait()
	})
}

// TestListsAreBounded: all that is kept of what certificates name.
func TestListsAreBounded(t *testing.T) {
	l := newSite(t).lists()
	add := func(at string, by byte, size int, named bool) *fetched {
		f := &fetched{first: [32]byte{by}, size: size, named: named}
		l.fetched[at] = f
		return f
	}
	one := add("a", 1, MaxFile, false)
	assert.True(t, l.room(one, maxOfOnes), "its own is replaced")
	two := add("b", 1, 0, false)
	assert.True(t, l.room(two, maxOfOnes-MaxFile))
	assert.False(t, l.room(two, maxOfOnes-MaxFile+1))
	for i := range byte(maxHeld/MaxFile - 1) {
		add(fmt.Sprint(i), 2+i, MaxFile, false)
	}
	assert.False(t, l.room(add("c", 100, 0, false), 1))
	assert.True(t, l.room(add("d", 100, 0, true), MaxFile), "an operator wrote it")
}

// TestPublic: names in certificates lead into no network of ours.
func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"198.51.100.1": true, "2001:db8::1": true, "9.9.9.9": true,
		"10.0.0.1": false, "192.168.1.1": false, "172.16.0.1": false, "127.0.0.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"0.0.0.0": false, "0.1.2.3": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "198.18.0.1": false,
		"::": false, "::1": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "64:ff9b::a00:1": false, "2002:a00:1::1": false,
		"::10.0.0.1": false, "fec0::1": false,
	} {
		assert.Equal(t, want, public(netip.MustParseAddr(address)), address)
	}
}

// TestFetch: bounds, redirections, and addresses that may not be asked.
func TestFetch(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("list")) })
	mux.HandleFunc("/none", http.NotFound)
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/once", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		for range MaxFile>>20 + 1 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		path    string
		private []netip.Prefix
		err     string
	}{
		{"/ok", here, ""},
		{"/once", here, ""},
		{"/ok", nil, "not a public address"},
		{"/ok", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "not a public address"},
		{"/none", here, "404"},
		{"/loop", here, "too often"},
		{"/file", here, "no http address"},
	} {
		data, err := fetch(t.Context(), server.URL+c.path, c.private)
		if c.err == "" {
			require.NoError(t, err, c.path)
			assert.Equal(t, "list", string(data))
		} else {
			assert.ErrorContains(t, err, c.err, c.path)
		}
	}
	data, err := fetch(t.Context(), server.URL+"/huge", here)
	require.NoError(t, err)
	_, err = parseCRL(data)
	assert.ErrorContains(t, err, "8 MiB")
	for _, address := range []string{"ldap://x/y", "http:", "http://a:b@x/", "file:///x", "https://x/", "http://" + strings.Repeat("a", 2000)} {
		assert.False(t, fetchable(address, false), address)
	}
	assert.True(t, fetchable("https://x/", true))
}

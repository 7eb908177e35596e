package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// TestReloadOfMany takes another version of a million routes while requests
// come: a new realm is there, an old one is gone, and no request is lost. Each
// is sent once. With the race detector they are fewer.
func TestReloadOfMany(t *testing.T) {
	routes := 1_000_000
	if raced { // the hub too
		routes = 50_000
	}
	many := func(first int) string {
		var b strings.Builder
		b.WriteString("realms:\n")
		for i := first; i < first+routes; i++ {
			fmt.Fprintf(&b, "  - realm: w%d.many.example\n    auth: acme\n    policy:\n      enabled: false\n", i)
		}
		return b.String()
	}
	h := prepare(t, "")
	write(t, h.dir, map[string]string{"realms/many.yaml": many(0), "realms/.next": many(1)})
	began := time.Now()
	h.serve()
	up := time.Since(began)

	nas := peer.NAS{Server: h.auth, Secret: clientSecret, Timeout: limit, Tries: 1}
	var lost, answered atomic.Int64
	var slowest [8]time.Duration
	end := make(chan struct{})
	var load sync.WaitGroup
	for w := range slowest {
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				sent := time.Now()
				if _, _, err := nas.Authenticate(fmt.Sprintf("alice@w%d.many.example", 1+i%(routes-1)), userPassword); err != nil {
					lost.Add(1)
				}
				answered.Add(1)
				slowest[w] = max(slowest[w], time.Since(sent))
			}
		})
	}
	h.eventually("traffic", func() bool { return answered.Load() > 100 })
	was := answered.Load()
	began = time.Now()
	require.NoError(t, os.Rename(h.path("realms/.next"), h.path("realms/many.yaml")))
	h.eventually("the new files are in use", func() bool { return strings.Contains(h.Output(), "realms +1 -1 ~0") })
	took := time.Since(began)
	during := answered.Load() - was
	h.eventually("traffic goes on", func() bool { return answered.Load() > was+during+100 })
	close(end)
	load.Wait()
	t.Logf("%d routes: ready in %s, reloaded in %s with two looks at the files; %d requests meanwhile, %d lost in all, the slowest %s",
		routes, up.Round(time.Millisecond), took.Round(time.Millisecond), during, lost.Load(), slices.Max(slowest[:]).Round(time.Millisecond))
	assert.Zero(t, lost.Load())
	assert.Positive(t, during)

	require.Zero(t, h.ask(fmt.Sprintf("explain bob@w%d.many.example", routes)).code)
	require.Equal(t, exitProblem, h.ask("explain bob@w0.many.example").code)
	assert.Contains(t, h.page(http.StatusOK, "/status"), fmt.Sprintf(`"realms": %d`, routes+3))
}

// TestChangeOfMany plans and applies an edit of 100,000 routes under load, and
// takes it back: no request is lost. With the race detector they are fewer.
func TestChangeOfMany(t *testing.T) {
	routes := 100_000
	if raced { // the hub too
		routes = 10_000
	}
	many := func(first int) string {
		var b strings.Builder
		b.WriteString("realms:\n")
		for i := first; i < first+routes; i++ {
			fmt.Fprintf(&b, "  - {realm: w%d.many.example, auth: acme}\n", i)
		}
		return b.String()
	}
	h := prepare(t, "")
	h.edit(t, "routing: {", "routing: {apply: manual, ")
	write(t, h.dir, map[string]string{"realms/many.yaml": many(0)})
	h.serve()
	l := h.load(4, func(i int) string { return fmt.Sprintf("device%d@w%d.many.example", i, 1+i%(routes-1)) })
	h.more(l, 500)
	write(t, h.dir, map[string]string{"realms/many.yaml": many(1)})
	timed := func(args, want string) time.Duration {
		began := time.Now()
		r := h.ask(args)
		took := time.Since(began)
		require.Zero(t, r.code, "%s: %s%s", args, r.out, r.errs)
		assert.Contains(t, r.out, want)
		h.more(l, 50)
		return took
	}
	plan := timed("plan", "realms     +1 -1 ~0")
	apply := timed("apply --confirm 10m", "realms +1 -1 ~0")
	assert.True(t, h.has(fmt.Sprintf("bob@w%d.many.example", routes)))
	back := timed("rollback", "realms +1 -1 ~0")
	assert.True(t, h.has("bob@w0.many.example"))
	l.stop()
	t.Logf("%d routes under load: plan %s, apply %s, rollback %s; %d requests, %d lost, %d refused",
		routes, plan.Round(time.Millisecond), apply.Round(time.Millisecond), back.Round(time.Millisecond), l.answered.Load(), l.lost.Load(), l.refused.Load())
	assert.Zero(t, l.lost.Load()+l.refused.Load())
}

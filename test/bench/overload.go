package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	overloadTimes  = 10.0        // the peak
	sliceLength    = time.Second // of the gentle load that looks for the end
	sliceCount     = 6           // one more than the target has seconds
	manyClients    = 10
	screamingShare = 100.0 // fair shares
	tenClients     = "roamgate, ten client networks"
)

var overload = &scenario{
	name: "overload", title: "Ten times what the proxy can do",
	about: []string{
		"The load cannot offer ten times what the hub does with a whole processor. Here a proxy has a tenth of one (a cpu",
		"cgroup, 1 ms in 10), in which the peak is what a closed loop gets, the better of one and four windows. Then PAP is offered at ten times that peak, open",
		"loop, each request sent once and given up after 1 s: all from one client network, or from ten with an address each.",
		"That takes hundreds of client sockets; the peak is measured from about as many, because what arrives in runs from few",
		"costs less: what few sockets get is shown beside it. Goodput is what was answered within the second, CPU is for one of those; late answers found nobody",
		"waiting. The tenth makes it harder than it is on a whole processor: a full receive buffer takes ten times as long to",
		"read, and the client's second stays. After it half the peak is offered: normal is when 99 % of the share that was",
		"answered before the overload is answered again, at no more than twice the 99th percentile. Kernel drops are of the",
		"listening socket; requests that arrived in one piece count once.",
	},
	setting: setting{work: "pap", homes: 1, realms: 1, quota: quotaShare},
	contenders: []contender{
		{name: roamgate, kind: roamgate, length: 30},
		{name: tenClients, kind: roamgate, length: 15, clients: manyClients},
		{name: radsecproxy, kind: radsecproxy, length: 10},
		{name: newer, kind: newer, length: 10},
	},
	fresh: true, once: true, measure: flood, table: overloadTable,
}

// flood measures the peak, a gentle load, the overload, and the gentle load
// again in slices from the moment on at which the overload ends.
func flood(ctx context.Context, st *stage, p *proxy) (turn, error) {
	peak, few, err := st.peaks(ctx, p)
	if err != nil {
		return turn{}, err
	}
	gentle := st.once(p, halfLoad*peak)
	gentle.Duration = max(gentle.Duration, sliceLength)
	before, err := st.load.turn(ctx, p, order{Visits: []visit{gentle}})
	if err != nil {
		return turn{}, fmt.Errorf("before the overload: %w", err)
	}
	flood := st.once(p, overloadTimes*peak)
	flood.Duration *= time.Duration(p.length)
	visits := []visit{flood}
	for i := range sliceCount {
		s := gentle
		s.After, s.Duration = flood.Duration+time.Duration(i)*sliceLength, sliceLength
		s.Refusable = true // one without any answer is a finding
		visits = append(visits, s)
	}
	dropped, err := kernelDrops(p.auth.Port())
	if err != nil {
		return turn{}, err
	}
	t, err := st.load.turn(ctx, p, order{Visits: visits})
	if err != nil {
		return turn{}, err
	}
	t.before, t.peak, t.peakFew = before.outcome, peak, few
	t.drops, err = kernelDrops(p.auth.Port())
	t.drops -= dropped
	return t, err
}

// peaks is what the proxy does a second under its quota: from about as many
// sockets as the overload has, and from few, whose runs cost less. A proxy
// that waits for its processor needs more in flight than the window, one that
// has few identifiers loses by it: what counts is the better of both.
func (st *stage) peaks(ctx context.Context, p *proxy) (many, few float64, err error) {
	if err := st.limit.hold(p.pid()); err != nil {
		return 0, 0, err
	}
	v := st.visit(p)
	if few, err = st.peak(ctx, p, v); err != nil {
		return 0, 0, err
	}
	v.Sockets = socketsFor(overloadTimes * few)
	for range 2 {
		got, err := st.peak(ctx, p, v)
		if err != nil {
			return 0, 0, err
		}
		many = max(many, got)
		v.Window *= 4
	}
	return many, few, nil
}

func (st *stage) peak(ctx context.Context, p *proxy, v visit) (float64, error) {
	t, err := st.load.turn(ctx, p, order{Visits: []visit{v}})
	if err != nil {
		return 0, fmt.Errorf("looking for the peak: %w", err)
	}
	fmt.Printf("%-10s peak     %-28s %s  from %d sockets, %d in flight\n", "", p.name, t, v.Sockets, v.Window)
	return t.perSecond(), nil
}

// once is an open loop that repeats nothing: every unanswered request holds
// an identifier until it is given up.
func (st *stage) once(p *proxy, rate float64) visit {
	v := st.visit(p)
	v.Rate, v.Once = rate, true
	v.Sockets = socketsFor(rate)
	return v
}

// socketsFor has identifiers for all requests of a client timeout, and some.
func socketsFor(rate float64) int { return 8 + int(1.2*rate*clientTimeout.Seconds()/256) }

var scream = &scenario{
	name: "scream", title: "One client network of ten at a hundred times its share",
	about: []string{
		"Under the same quota ten client networks have an address each. Nine of them together offer half the peak, open loop,",
		"each request sent once and given up after 1 s; first alone, then while the tenth offers a hundred times its fair share,",
		"which is a tenth of the peak. The figures are of the nine. radsecproxy does not tell clients apart.",
	},
	setting: setting{work: "pap", homes: 1, realms: 1, quota: quotaShare},
	contenders: []contender{
		{name: roamgate, kind: roamgate, length: 4, clients: manyClients},
		{name: radsecproxy, kind: radsecproxy, length: 4, clients: manyClients},
		{name: newer, kind: newer, length: 4, clients: manyClients},
	},
	fresh: true, once: true, measure: screaming, table: screamTable,
}

// screaming compares the nine gentle clients without and with the tenth.
func screaming(ctx context.Context, st *stage, p *proxy) (turn, error) {
	peak, _, err := st.peaks(ctx, p)
	if err != nil {
		return turn{}, err
	}
	nine, tenth := st.once(p, halfLoad*peak), st.once(p, screamingShare*peak/manyClients)
	nine.Clients, nine.Duration = manyClients-1, nine.Duration*time.Duration(p.length)
	before, err := st.load.turn(ctx, p, order{Visits: []visit{nine}})
	if err != nil {
		return turn{}, fmt.Errorf("before the tenth client: %w", err)
	}
	tenth.FirstClient, tenth.Clients, tenth.Duration = manyClients-1, 1, nine.Duration
	nine.Refusable, tenth.Refusable = true, true // no answer at all is a finding
	t, err := st.load.turn(ctx, p, order{Visits: []visit{nine, tenth}})
	t.before, t.peak = before.outcome, peak
	return t, err
}

// kernelDrops counts what did not fit into the receive buffers of a port.
func kernelDrops(port uint16) (uint64, error) {
	b, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return 0, fmt.Errorf("reading what the kernel has dropped: %w", err)
	}
	return dropsOf(string(b), port)
}

// dropsOf adds the last column over the sockets of the port.
func dropsOf(table string, port uint16) (sum uint64, err error) {
	local := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 13 || !strings.HasSuffix(f[1], local) {
			continue
		}
		n, err := strconv.ParseUint(f[len(f)-1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading what the kernel has dropped: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// normalAfter is how many seconds after the overload everything was as
// before; that of the last slice and one more where it never was.
func normalAfter(t *turn) float64 {
	n := len(t.others)
	for n > 0 && normal(&t.others[n-1], &t.before) {
		n--
	}
	return float64(n)
}

func normal(o, before *outcome) bool {
	return o.Skipped == 0 && o.answered() >= 0.99*before.answered() && o.P99 <= 2*before.P99
}

// answered is the share of what was sent.
func (o *outcome) answered() float64 { return float64(o.Finished) / float64(max(o.Sent, 1)) }

// ofPeak is goodput over peak.
func ofPeak(t *turn) float64 { return t.perSecond() / t.peak }

func offered(o *outcome, during time.Duration) float64 { return float64(o.Sent) / during.Seconds() }

func offeredTimes(t *turn) float64 { return offered(&t.outcome, t.during) / t.peak }

// perAnswered is the CPU time of the proxy in the overload, in µs for each
// request that it answered.
func perAnswered(t *turn) float64 {
	return float64(t.proxyBusy.Nanoseconds()) / 1e3 / float64(max(t.InTime, 1))
}

func overloadTable(w *page, r *result) {
	w.head("proxy", "peak/s", "from few sockets", "offered/s", "times the peak", "for s", "goodput/s", "of the peak", "p50 ms", "p99 ms",
		"CPU µs/answered", "busy", "late answers/s", "normal after s", "kernel drops", "peak MiB")
	var bound []string
	for _, p := range r.proxies {
		whole := func(f func(*turn) float64) string { return fmt.Sprintf("%.0f", median(p.each(f))) }
		times := median(p.each(offeredTimes))
		if times < 0.95*overloadTimes {
			bound = append(bound, p.name)
		}
		after := whole(normalAfter)
		if median(p.each(normalAfter)) >= sliceCount {
			after = fmt.Sprintf("not in %d", sliceCount)
		}
		w.row(p.name, whole(func(t *turn) float64 { return t.peak }),
			whole(func(t *turn) float64 { return t.peakFew }),
			whole(func(t *turn) float64 { return offered(&t.outcome, t.during) }), fmt.Sprintf("%.1f", times),
			whole(func(t *turn) float64 { return t.during.Seconds() }), whole((*turn).perSecond),
			decimal(median(p.each(ofPeak))), decimal(median(p.each(p50))), decimal(median(p.each(p99))),
			fmt.Sprintf("%.1f", median(p.each(perAnswered))), percentage(median(p.each((*turn).busy))),
			whole(func(t *turn) float64 { return float64(t.Bad) / t.during.Seconds() }), after,
			whole(func(t *turn) float64 { return float64(t.drops) }), p.mebibytes())
	}
	if len(bound) > 0 {
		w.line("\nThe load was the bound for %s: it could not offer ten times the peak.", strings.Join(bound, "; "))
	}
}

func screamTable(w *page, r *result) {
	w.head("proxy", "peak/s", "offered by nine/s", "by the tenth/s", "lost of the nine before", "while it screams",
		"p50 ms before", "while it screams", "p99 ms before", "while it screams", "answered to the tenth/s")
	for _, p := range r.proxies {
		number := func(digits int, f func(*turn) float64) string { return fmt.Sprintf("%.*f", digits, median(p.each(f))) }
		missed := func(o *outcome) string { return fmt.Sprintf("%d (%.2f %%)", o.Lost, 100*(1-o.answered())) }
		last := &p.turns[len(p.turns)-1]
		w.row(p.name, number(0, func(t *turn) float64 { return t.peak }),
			number(0, func(t *turn) float64 { return offered(&t.outcome, t.during) }),
			number(0, func(t *turn) float64 { return offered(&t.others[0], t.during) }),
			missed(&last.before), missed(&last.outcome),
			number(2, milli(func(t *turn) time.Duration { return t.before.P50 })), number(2, p50),
			number(2, milli(func(t *turn) time.Duration { return t.before.P99 })), number(2, p99),
			number(0, func(t *turn) float64 { return float64(t.others[0].InTime) / t.during.Seconds() }))
	}
}

// overloadGoals hold however the requests are spread over clients.
func (b *bench) overloadGoals() (out []goal) {
	for _, q := range []struct{ contender, what string }{
		{roamgate, "10 x overload from one client network"}, {tenClients, "10 x overload from ten client networks"},
	} {
		p := b.done["overload"].find(q.contender)
		if p == nil {
			continue
		}
		out = append(out, atLeast(q.what+": goodput / peak", 0.9, p.each(ofPeak), 2)...)
		out = append(out, atMost(q.what+": seconds until it is normal after", 5, p.each(normalAfter), 0)...)
	}
	return out
}

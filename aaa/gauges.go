package aaa

import (
	"sync/atomic"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// levels are figures of a shard that others read: stored with the counters,
// some ten times a second.
type levels struct {
	inFlight atomic.Int64
	ids      atomic.Int64 // identifiers in use toward homes
	sockets  atomic.Int64
	paced    atomic.Int64
	waited   atomic.Int64
	episodes atomic.Int64
	thinned  atomic.Int64
}

func (s *Shard) publishLevels() {
	s.levels.inFlight.Store(int64(s.slab.used))
	s.levels.ids.Store(int64(s.ids.InUse()))
	s.levels.sockets.Store(int64(len(s.homes)))
	pace := s.pace.Counters()
	s.levels.paced.Store(int64(pace.Struggles))
	s.levels.waited.Store(int64(pace.Waited))
	s.levels.thinned.Store(int64(s.loud.thinned))
	s.levels.episodes.Store(int64(s.share.Counters().Episodes))
}

// levelSeries exports the levels, summed over the shards.
func (h *Hub) levelSeries() {
	total := func(of func(*levels) *atomic.Int64) func() float64 {
		return func() float64 {
			var n int64
			for _, s := range h.shards {
				n += of(&s.levels).Load()
			}
			return float64(n)
		}
	}
	sum := func(name, help string, of func(*levels) *atomic.Int64) { h.stats.GaugeFunc(name, help, total(of)) }
	count := func(name, help string, of func(*levels) *atomic.Int64) { h.stats.CounterFunc(name, help, total(of)) }
	count("roamgate_home_paced_total", "Times that a home left requests unanswered and from then on was given no more than it answers.", func(l *levels) *atomic.Int64 { return &l.paced })
	count("roamgate_home_turns_waited_total", "Requests and repetitions that had to wait for their turn at such a home.", func(l *levels) *atomic.Int64 { return &l.waited })
	count("roamgate_client_share_episodes_total", "Times that a few clients sent so much more than all others that they were held to their share.", func(l *levels) *atomic.Int64 { return &l.episodes })
	sum("roamgate_client_sources_thinned", "Source addresses of which the kernel is asked to drop a part, since their client sends far more than its share.", func(l *levels) *atomic.Int64 { return &l.thinned })
	sum("roamgate_inflight", "Requests that are being worked on.", func(l *levels) *atomic.Int64 { return &l.inFlight })
	sum("roamgate_home_ids_in_use", "Identifiers in use toward homes.", func(l *levels) *atomic.Int64 { return &l.ids })
	sum("roamgate_home_sockets", "Source ports toward homes.", func(l *levels) *atomic.Int64 { return &l.sockets })
}

// homesSeries exports what is known of homes beside their health.
func (h *Hub) homesSeries() {
	b := h.homes.Breaker()
	h.stats.CounterFunc("roamgate_breaker_opened_total", "Times that a realm was found silent behind a home server that answers others.",
		func() float64 { return float64(b.Opened()) })
	h.stats.CounterFunc("roamgate_breaker_refused_total", "Choices of a home server that were turned away because it leaves the request's realm unanswered.",
		func() float64 { return float64(b.Refused()) })
}

func addresses(hm *home.Home) (n int) {
	for _, leg := range hm.Legs {
		if leg.Has(home.Auth) || leg.Has(home.Acct) {
			n++
		}
	}
	return n
}

var useNames = []string{home.InUse.String(), home.Draining.String(), home.Off.String()}

var healthNames = []string{home.Up.String(), home.Degraded.String(), home.Down.String()}

// healthSeries exports what is known of each home and pool of a
// configuration. The figures are those of the Snapshot in use, so a home
// that is gone keeps no line.
func (h *Hub) healthSeries(set *realm.Set, view *home.View) {
	for _, hm := range view.Homes() {
		for _, k := range []home.Kind{home.Auth, home.Acct} {
			if !hm.Serves(k) {
				continue
			}
			for _, to := range healthNames {
				h.stateChanges(hm, k, to)
			}
			h.stats.StateSet("roamgate_home_state", "Health of a home server: 1 for the state it is in.", healthNames, func() int {
				health, _ := hm.Health(k)
				return int(health)
			}, "home", hm.Spec.Name, "kind", k.String())
		}
		h.stats.StateSet("roamgate_home_use", "What the operator lets a home server do: 1 for what holds now.", useNames,
			func() int { return int(hm.Mode().Use) }, "home", hm.Spec.Name)
		h.stats.GaugeFunc("roamgate_home_addresses", "Addresses of a home server that are known; 0: its name is not resolved.",
			func() float64 { return float64(addresses(hm)) }, "home", hm.Spec.Name)
	}
	for i := range set.Pools {
		for _, k := range []home.Kind{home.Auth, home.Acct} {
			p := view.Pool(int32(i), k)
			if p.Len() == 0 {
				continue
			}
			h.stats.GaugeFunc("roamgate_pool_members", "Homes of a pool that serve the kind of request.",
				func() float64 { return float64(p.Len()) }, "pool", p.Spec.Name, "kind", k.String())
			h.stats.GaugeFunc("roamgate_pool_available_members", "Homes of a pool that are up.",
				func() float64 { return float64(available(view, p, k)) }, "pool", p.Spec.Name, "kind", k.String())
			h.stats.GaugeFunc("roamgate_pool_panic", "1 while so few homes of a pool are up that their health is ignored.", func() float64 {
				if p.Panics() {
					return 1
				}
				return 0
			}, "pool", p.Spec.Name, "kind", k.String())
		}
	}
}

func available(view *home.View, p *home.Pool, k home.Kind) (n int) {
	for i := range p.Len() {
		if health, _ := view.Home(p.Member(i)).Health(k); health == home.Up {
			n++
		}
	}
	return n
}

// retire drops the series of what a configuration no longer has.
func (h *Hub) retire(old, set *realm.Set) {
	names := func(set *realm.Set) map[[2]string]bool {
		m := make(map[[2]string]bool)
		for i := range set.Clients {
			m[[2]string{"client", set.Clients[i].Name}] = true
			m[[2]string{"peer", set.Clients[i].Name}] = true
		}
		for i := range set.Homes {
			m[[2]string{"home", set.Homes[i].Name}] = true
			m[[2]string{"peer", set.Homes[i].Name}] = true
		}
		for i := range set.Filters {
			m[[2]string{"filter", set.Filters[i].Name}] = true
		}
		for i := range set.Pools {
			m[[2]string{"pool", set.Pools[i].Name}] = true
		}
		for i := range min(len(set.Routes), h.conf.RealmSeries) {
			m[[2]string{"realm", set.Routes[i].Label()}] = true
		}
		return m
	}
	keep := names(set)
	for n := range names(old) {
		if !keep[n] {
			h.stats.Retire(n[0], n[1])
		}
	}
}

// stateChanges counts the steps of a home to one health.
func (h *Hub) stateChanges(hm *home.Home, k home.Kind, to string) *stat.AtomicCounter {
	return h.stats.Atomic("roamgate_home_state_changes_total", "Changes of a home server's health.",
		"home", hm.Spec.Name, "kind", k.String(), "to", to)
}

package aaa

import (
	"slices"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/resolve"
)

// watchNames has the names of a configuration's homes followed. The caller
// holds applying.
func (h *Hub) watchNames(set *realm.Set) {
	var names []string
	for i := range set.Homes {
		if n := set.Homes[i].Host; n != "" {
			names = append(names, n)
		}
	}
	h.names.Watch(names)
}

// withAddresses gives the configuration with what is known of the names of its
// homes; it is the same one where none has a name.
func (h *Hub) withAddresses(set *realm.Set) *realm.Set {
	named := func(hm realm.Home) bool { return hm.Host != "" }
	if !slices.ContainsFunc(set.Homes, named) {
		return set
	}
	full := *set
	full.Homes = slices.Clone(set.Homes)
	for i := range full.Homes {
		hm := &full.Homes[i]
		if hm.Host == "" {
			continue
		}
		known := h.names.Answer(hm.Host)
		hm.Found, hm.Unfound = known.Addrs, known.Why
	}
	return &full
}

// readdress is the Resolver's call when names have other addresses. What is
// known of homes whose addresses stay is not touched.
func (h *Hub) readdress() {
	h.applying.Lock()
	defer h.applying.Unlock()
	if err := h.apply(h.written); err != nil {
		h.log.Error("homes keep their old addresses", zap.Error(err))
		return
	}
	for _, hm := range h.Snapshot().Homes.Homes() {
		if hm.Spec.Host != "" {
			h.log.Info("home resolved", zap.String("home", hm.Spec.Name), zap.String("host", hm.Spec.Host),
				zap.Int("addresses", addresses(hm)), zap.String("lookup", hm.Spec.Unfound))
		}
	}
}

// nameSeries exports what the Resolver counts.
func (h *Hub) nameSeries() {
	c := h.names.Counters()
	for result, n := range map[string]func() uint64{"found": c.Found.Load, "none": c.None.Load, "failed": c.Failed.Load} {
		h.stats.CounterFunc("roamgate_dns_lookups_total", "Questions for the addresses of homes, of one family each: answered with addresses, answered that there is none, or not answered.",
			func() float64 { return float64(n()) }, "result", result)
	}
}

func (h *Hub) newNames() *resolve.Resolver {
	return resolve.New(resolve.Config{Servers: h.conf.DNS, Changed: h.readdress})
}

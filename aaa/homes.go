package aaa

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/realm"
)

// SetUse lets the operator drain, disable or enable a home, until a time in
// Unix seconds or, with 0, until told otherwise. It outlives reloads of the
// files, not the process.
func (h *Hub) SetUse(name string, use home.Use, until int64) error {
	if err := h.homes.SetUse(name, use, until); err != nil {
		return err
	}
	h.log.Warn("home set by the operator", zap.String("home", name), zap.Stringer("use", use), zap.Int64("until", until))
	return nil
}

// governEvery is how late a window or an end can be noticed.
const governEvery = time.Second

// governHomes lets maintenance windows begin and end, and what the operator
// has said for a time.
func (h *Hub) governHomes(ctx context.Context) {
	tick := time.NewTicker(governEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.homes.Govern()
		}
	}
}

// HomeReport is one address of a home for one kind of request, for people.
type HomeReport struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Host    string `json:"host,omitempty"`
	Address string `json:"address,omitempty"` // diameter: its peers know
	State   string `json:"state"`
	Cause   string `json:"cause,omitempty"`
	Because string `json:"because,omitempty"` // why no connection can be made
	// Connections are those that stand, absent where it is reached by datagrams.
	Connections *int     `json:"connections,omitempty"`
	Lookup      string   `json:"lookup,omitempty"` // why the name was not resolved lately
	Use         string   `json:"use"`
	By          string   `json:"by,omitempty"`    // who has said so
	Since       int64    `json:"since,omitempty"` // Unix seconds
	Until       int64    `json:"until,omitempty"` // likewise; absent: until told otherwise
	Pools       []string `json:"pools,omitempty"`
	At          string   `json:"at"`
}

// HomeReports tells of all homes of the configuration.
func (h *Hub) HomeReports() (all []HomeReport) {
	snap := h.Snapshot()
	pools := make(map[string][]string)
	for i := range snap.Set.Pools {
		p := &snap.Set.Pools[i]
		if p.Diameter {
			continue
		}
		for _, m := range p.Members {
			name := snap.Set.Homes[m.Home].Name
			pools[name] = append(pools[name], p.Name)
		}
	}
	for _, hm := range snap.Homes.Homes() {
		for _, k := range []home.Kind{home.Auth, home.Acct} {
			if hm.Serves(k) {
				all = append(all, h.reports(hm, k, pools[hm.Spec.Name])...)
			}
		}
	}
	return all
}

// addressOf is where a home is asked, for people.
func addressOf(hm *home.Home, k home.Kind) string {
	if hm.Spec.Transport == realm.Diameter {
		return realm.Diameter.String() // by its peers
	}
	return hm.Addr[k].AddrPort().String()
}

func (h *Hub) reports(hm *home.Home, k home.Kind, pools []string) (all []HomeReport) {
	mode := hm.Mode()
	for _, leg := range hm.Legs {
		r := HomeReport{
			Name: leg.Spec.Name, Kind: k.String(), Host: leg.Spec.Host, Lookup: leg.Spec.Unfound,
			Use: mode.Use.String(), By: mode.By, Since: mode.Since, Until: mode.Until, Pools: pools, At: leg.Spec.Pos.String(),
		}
		health, cause := leg.HealthHere(k)
		r.State, r.Cause = health.String(), cause.String()
		if leg.Has(k) {
			r.Address = addressOf(leg, k)
		}
		if leg.Stream() {
			n := leg.State[k].Links()
			r.Connections, r.Because = &n, leg.State[k].Said()
		}
		all = append(all, r)
	}
	return all
}

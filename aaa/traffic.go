package aaa

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/traffic"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

const (
	rememberedRows = 16384 // of a hub
	leastRows      = 256   // of a shard
)

// remember keeps a part of what is asked, for Impact: where a conversation
// begins, and accounting.
//
// hot: 0 allocs
func (s *Shard) remember(ex *Exchange, p *radius.Packet) {
	if ex.kind == home.Auth && p.Has(radius.State) || !s.traffic.Wants(ex.key, s.now) {
		return
	}
	s.traffic.Note(ex.key, ex.from.Addr(), int(ex.kind), p, s.now)
}

// Traffic collects what all shards remember. It is personal data.
func (h *Hub) Traffic(ctx context.Context) (*traffic.Sample, error) {
	got := make(chan *traffic.Sample, len(h.shards)) // none of them ever waits
	for _, s := range h.shards {
		post(s, &s.mail.traffic, got)
	}
	all := &traffic.Sample{}
	for range h.shards {
		select {
		case part := <-got:
			all.Add(part)
		case <-ctx.Done():
			return nil, fmt.Errorf("asking the shards for their traffic: %w", ctx.Err())
		}
	}
	return all, nil
}

// Move is a part of the traffic that would take another way.
type Move struct {
	Kind     string  `json:"kind"` // auth or acct
	From     string  `json:"from"` // a pool, or what becomes of requests in its place
	To       string  `json:"to"`
	Requests uint64  `json:"requests"`
	Devices  uint64  `json:"devices"`
	Share    float64 `json:"share"`          // of all requests of the kind
	Rule     string  `json:"rule,omitempty"` // that takes the first of them, or took it
}

// Impact is what another configuration would do to the last hour's traffic.
// Its numbers are estimates by a sample of devices.
type Impact struct {
	Requests map[string]uint64 `json:"requests"` // by kind
	Devices  uint64            `json:"devices"`
	Sampled  int               `json:"sampled"` // ways of devices that were looked at
	OneIn    uint64            `json:"one_in"`  // so many devices was sampled
	Moves    []Move            `json:"moves"`   // the largest first
}

// Impact asks the running configuration and another one the same questions:
// all that is remembered of the last hour. The time is now for both, and
// attributes are as filters of the running one have left them.
func (h *Hub) Impact(ctx context.Context, set *realm.Set) (*Impact, error) {
	next, err := sketch(set)
	if err != nil {
		return nil, err
	}
	sample, err := h.Traffic(ctx)
	if err != nil {
		return nil, err
	}
	return impact(ctx, sample, h.Snapshot(), next)
}

// sketch compiles as much of a configuration as says where requests go.
func sketch(set *realm.Set) (*Snapshot, error) {
	clients, err := client.New(set.Clients)
	if err != nil {
		return nil, fmt.Errorf("compiling clients: %w", err)
	}
	homes, err := home.NewRegistry(0).Compile(set)
	if err != nil {
		return nil, fmt.Errorf("compiling homes: %w", err)
	}
	return &Snapshot{Set: set, Clients: clients, Homes: homes, fence: newFence(set, clients)}, nil
}

// counting is an Impact while it is made.
type counting struct {
	old, next *Snapshot
	wall      int64
	routers   [2]router
	moves     map[[3]string]*Move
	devices   map[[3]string]map[uint64]struct{}
	all       map[uint64]struct{}
	out       Impact
}

func impact(ctx context.Context, sample *traffic.Sample, old, next *Snapshot) (*Impact, error) {
	c := counting{
		old: old, next: next, wall: wallSeconds(),
		moves: map[[3]string]*Move{}, devices: map[[3]string]map[uint64]struct{}{}, all: map[uint64]struct{}{},
		out: Impact{Requests: map[string]uint64{}, Sampled: sample.Len(), OneIn: sample.Weight(), Moves: []Move{}},
	}
	var p radius.Packet
	for i := range sample.Len() {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, fmt.Errorf("holding the files against the traffic: %w", ctx.Err())
		}
		row, ok := sample.Row(i, &p)
		if !ok {
			continue
		}
		if row.Counts {
			c.all[row.Device] = struct{}{}
		}
		for _, kind := range []home.Kind{home.Auth, home.Acct} {
			if row.Requests[kind] > 0 {
				c.row(&row, kind, &p)
			}
		}
	}
	return c.result(sample.Weight()), nil
}

func (c *counting) row(row *traffic.Row, kind home.Kind, p *radius.Packet) {
	c.out.Requests[kindNames[kind]] += row.Requests[kind]
	from := c.way(&c.routers[0], c.old, row.From, kind, p)
	to := c.way(&c.routers[1], c.next, row.From, kind, p)
	if from == to {
		return
	}
	key := [3]string{kindNames[kind], from, to}
	m := c.moves[key]
	if m == nil {
		m = &Move{Kind: key[0], From: from, To: to}
		c.moves[key], c.devices[key] = m, map[uint64]struct{}{}
		if r := c.routers[1].to.route; r != nil {
			m.Rule = r.Label()
		} else if r := c.routers[0].to.route; r != nil {
			m.Rule = r.Label()
		}
	}
	m.Requests += row.Requests[kind]
	if row.Counts {
		c.devices[key][row.Device] = struct{}{}
	}
}

// way says in words where a configuration sends a request.
func (c *counting) way(o *router, snap *Snapshot, from netip.Addr, kind home.Kind, p *radius.Packet) string {
	o.to = direction{}
	who := snap.Clients.Lookup(from)
	if all := snap.Clients.Everybody(from); who == nil && len(all) > 0 {
		who = all[0] // a connection's, of which the address is all that is kept
	}
	if who == nil {
		return "dropped (" + UnknownClient.String() + ")"
	}
	name, why := subscriber(p)
	if why == NoUserName && kind == home.Acct {
		why = OK
	}
	if why == OK {
		d := o.decide(&asking{snap: snap, client: who, from: from, kind: kind, wall: c.wall}, p, name)
		if why = d.why; why == OK && d.seek {
			return d.route.Discover.Name
		} else if why == OK && d.pool != nil {
			return d.pool.Spec.Name
		}
	}
	switch {
	case kind == home.Auth:
		return "rejected (" + why.String() + ")"
	case why != OK:
		return "quarantined (" + why.String() + ")"
	}
	return "recorded here"
}

func (c *counting) result(weight uint64) *Impact {
	for key, m := range c.moves {
		m.Devices = uint64(len(c.devices[key])) * weight
		if all := c.out.Requests[m.Kind]; all > 0 {
			m.Share = float64(m.Requests) / float64(all)
		}
		c.out.Moves = append(c.out.Moves, *m)
	}
	slices.SortFunc(c.out.Moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	c.out.Devices = uint64(len(c.all)) * weight
	return &c.out
}

package aaa

import (
	"fmt"
	"hash/maphash"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// Snapshot is one whole configuration, compiled. It is immutable and shared
// by all shards; every Exchange keeps the one it began with.
type Snapshot struct {
	Set        *realm.Set
	Clients    *client.Table
	Homes      *home.View
	Generation uint64

	fence fence
	// clientsByName are those that come by connections.
	clientsByName map[string]*client.Client
	clientIDs     []uint32 // by client.Client.Index; the same after a reload

	reverse     *dynauth.Table // the way back, nil: the hub listens to no CoA
	clientStats []*clientStats // by client.Client.Index
	homeStats   []*homeStats   // by home.Home.Index; nil for homes of other configurations
	realmStats  []realmStats   // by realm.Route.Index
	// rejects is the operator's own text by realm.Route.Index, for those that
	// have one.
	rejects map[int32][]byte
	filtering
	uses []use // Exchanges that hold this Snapshot, by shard
}

// use has a cache line of its own: each shard counts in its own one.
type use struct {
	n int64
	_ [56]byte
}

// maxText is what one attribute holds (RFC 2865 section 5).
const maxText = 253

// Kinds of request, for counters.
const (
	kindAuth = iota
	kindAcct
	kindStatus
	numKinds
)

// Results of a request, for counters.
const (
	resultAccept = iota
	resultReject
	resultChallenge
	resultAck
	resultNone
	numResults
)

var (
	kindNames   = [numKinds]string{"auth", "acct", "status"}
	resultNames = [numResults]string{"accept", "reject", "challenge", "ack", "none"}
)

type clientStats struct {
	requests  [numKinds]stat.ID
	responses [numKinds][numResults]stat.ID
	dropped   [numReasons]stat.ID
	replayed  stat.ID // duplicates answered with the same bytes
	pending   stat.ID // duplicates of a request in flight
	conflict  stat.ID
	unsigned  stat.ID // Access-Requests without Message-Authenticator
	unsignedP stat.ID // ... that carry Proxy-State
	nasAddr   stat.ID // NAS-IP-Address that is not the source
	settled   [settlements]stat.ID
}

type homeStats struct {
	name        string
	requests    [2]stat.ID
	responses   [2][numResults]stat.ID
	seconds     [2]stat.ID
	timeouts    [2]stat.ID
	retransmits [2]stat.ID
	bad         [numReasons]stat.ID
	filtered    stat.ID
	// rejects are by what the home says of them, tierExceeded its Accepts that
	// grant more than was offered.
	rejects      *[mostRejects]stat.ID
	tierExceeded stat.ID
	conns        *connStats             // nil: it is reached by datagrams
	unreached    map[home.Cause]stat.ID // nil: it is reached by datagrams
}

type realmStats struct {
	requests  [2]stat.ID
	responses [numResults]stat.ID
}

// homeCounters gives the counters of a home, nil if it is none of this
// configuration.
func (s *Snapshot) homeCounters(idx int32) *homeStats {
	if int(idx) >= len(s.homeStats) {
		return nil
	}
	return s.homeStats[idx]
}

// compile makes a Snapshot of a configuration. Series are registered here,
// so that no packet ever looks a label up.
func (h *Hub) compile(set *realm.Set) (*Snapshot, error) {
	clients, err := client.New(set.Clients)
	if err != nil {
		return nil, fmt.Errorf("compiling clients: %w", err)
	}
	view, err := h.homes.Compile(set)
	if err != nil {
		return nil, fmt.Errorf("compiling homes: %w", err)
	}
	h.generation++
	s := &Snapshot{
		Set: set, Clients: clients, Homes: view, Generation: h.generation, fence: newFence(set, clients),
		clientStats:   make([]*clientStats, len(set.Clients)),
		realmStats:    make([]realmStats, len(set.Routes)),
		rejects:       make(map[int32][]byte),
		clientsByName: make(map[string]*client.Client),
		uses:          make([]use, h.conf.Shards),
	}
	for i := range set.Clients {
		s.clientIDs = append(s.clientIDs, uint32(maphash.String(h.seed, set.Clients[i].Name)))
		by := set.Clients[i].Transport
		if by != realm.UDP {
			s.clientsByName[set.Clients[i].Name] = clients.At(int32(i))
		}
		if by == realm.Diameter {
			s.clientStats[i] = h.guestSeries(set.Clients[i].Name)
			continue
		}
		s.clientStats[i] = h.clientSeries(set.Clients[i].Name)
		if by != realm.UDP {
			h.connSeries(set.Clients[i].Name, incoming, by)
		}
	}
	for _, hm := range view.Legs() {
		for int(hm.Index) >= len(s.homeStats) {
			s.homeStats = append(s.homeStats, nil)
		}
		s.homeStats[hm.Index] = h.homeSeries(hm.Spec.Name)
		if hm.Stream() {
			h.linkSeries(s.homeStats[hm.Index], hm.Spec.Transport)
		}
	}
	if first, n := view.Slots(); n > 0 {
		found := h.homeSeries(home.Dynamic)
		h.linkSeries(found, realm.TLS)
		s.homeStats = append(s.homeStats, make([]*homeStats, max(int(first)+n-len(s.homeStats), 0))...)
		for i := range n {
			s.homeStats[int(first)+i] = found
		}
	}
	if s.filtering, err = h.filtering(s); err != nil {
		return nil, err
	}
	h.compileReverse(s)
	var other realmStats
	if len(set.Routes) > h.conf.RealmSeries {
		other = h.realmSeries("other")
	}
	for i := range set.Routes {
		if s.realmStats[i] = other; i < h.conf.RealmSeries {
			s.realmStats[i] = h.realmSeries(set.Routes[i].Label())
		}
		if text := set.Routes[i].Reject; text != "" {
			s.rejects[int32(i)] = []byte(text[:min(len(text), maxText)])
		}
	}
	return s, nil
}

func (h *Hub) clientSeries(name string) *clientStats {
	reg, c := h.stats, &clientStats{}
	for k := range numKinds {
		c.requests[k] = reg.Counter("roamgate_requests_total", "Requests received from a client, repetitions included.",
			"client", name, "kind", kindNames[k])
		for r := range numResults {
			c.responses[k][r] = reg.CounterSparse("roamgate_responses_total", "Answers sent to a client, repeated answers not included; result none: the request ended without an answer.",
				"client", name, "kind", kindNames[k], "result", resultNames[r])
		}
	}
	for _, r := range Reasons() {
		c.dropped[r] = reg.CounterSparse("roamgate_dropped_total", "Packets of a client that were silently discarded.",
			"client", name, "reason", r.String())
	}
	dup := func(action string) stat.ID {
		return reg.CounterSparse("roamgate_duplicates_total", "Repeated requests: replayed with the same bytes, suppressed while the first is in flight, or in conflict with it.",
			"client", name, "action", action)
	}
	c.replayed, c.pending, c.conflict = dup("replayed"), dup("suppressed"), dup("conflict")
	c.unsigned = reg.CounterSparse("roamgate_client_ma_missing_total", "Access-Requests without Message-Authenticator.", "client", name)
	c.unsignedP = reg.CounterSparse("roamgate_client_proxy_state_unsigned_total", "Access-Requests with Proxy-State but without Message-Authenticator.", "client", name)
	c.settled = h.settledSeries(name)
	c.nasAddr = reg.CounterSparse("roamgate_client_nas_address_mismatch_total", "First-hop requests whose NAS-IP-Address is not their source address.", "client", name)
	h.loopSeries(between{client: name})
	return c
}

func (h *Hub) homeSeries(name string) *homeStats {
	reg, c := h.stats, &homeStats{name: name}
	for k := range 2 {
		kind := kindNames[k]
		c.requests[k] = reg.Counter("roamgate_home_requests_total", "Requests sent to a home server, retransmissions not included.", "home", name, "kind", kind)
		for r := range numResults {
			c.responses[k][r] = reg.CounterSparse("roamgate_home_responses_total", "Authenticated answers of a home server.", "home", name, "kind", kind, "result", resultNames[r])
		}
		c.seconds[k] = reg.Histogram("roamgate_home_response_seconds", "Time from the last transmission to a home server until its answer.", stat.LatencyBounds, "home", name, "kind", kind)
		c.timeouts[k] = reg.Counter("roamgate_home_timeouts_total", "Transmissions to a home server that were not answered in time.", "home", name, "kind", kind)
		c.retransmits[k] = reg.Counter("roamgate_home_retransmits_total", "Requests sent to a home server again.", "home", name, "kind", kind)
	}
	for _, r := range Reasons() {
		c.bad[r] = reg.CounterSparse("roamgate_home_bad_responses_total", "Packets from a home server's address that were not used.", "home", name, "reason", r.String())
	}
	c.rejects = h.rejectSeries(name)
	c.tierExceeded = reg.CounterSparse("roamgate_home_tier_exceeded_total", "Access-Accepts of a home that grant a better tier of service than the visited network has offered.", "home", name)
	c.filtered = reg.CounterSparse("roamgate_home_attributes_filtered_total", "Attributes of a home's answer that were left out or bounded.", "home", name)
	return c
}

// linkSeries are the figures of a home that is reached by connections.
func (h *Hub) linkSeries(c *homeStats, transport realm.Transport) {
	c.conns = h.connSeries(c.name, outgoing, transport)
	h.callSeries(transport)
	c.unreached = make(map[home.Cause]stat.ID)
	for _, why := range []home.Cause{home.Refused, home.Unreachable, home.Insecure} {
		c.unreached[why] = h.stats.CounterSparse("roamgate_home_unreached_total", "Connections to a home server that could not be made, by cause: refused, nothing answers (unreachable), or the handshake failed (tls).",
			"home", c.name, "cause", why.String())
	}
}

func (h *Hub) realmSeries(name string) (c realmStats) {
	for k := range 2 {
		c.requests[k] = h.stats.CounterSparse("roamgate_realm_requests_total", "Requests routed by a realm's rule.", "realm", name, "kind", kindNames[k])
	}
	for r := range numResults {
		c.responses[r] = h.stats.CounterSparse("roamgate_realm_responses_total", "Answers given for a realm's rule.", "realm", name, "result", resultNames[r])
	}
	return c
}

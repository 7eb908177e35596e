package agent

import (
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// guard decides whether a request may go on: by screening as soon as it is parsed, and
// by the device policy and steering once it has a route. It belongs to the loop.
type guard struct {
	set    *realm.Set
	policy *device.Table // nil: no route enables the policy
}

func newGuard(c *Config, r *Rooms, set *realm.Set) *guard {
	return &guard{set: set, policy: r.Policy}
}

// apply takes the configuration of from now on.
func (g *guard) apply(set *realm.Set) { g.set = set }

// disposition is what becomes of a request.
type disposition uint8

const (
	passed   disposition = iota // it goes on
	dropped                     // no answer, as if it had never come
	refused                     // the verdict is the answer
	deferred                    // PolicyReady of the asked's waiter comes; ask again then
)

// verdict is what a guard says of a request.
type verdict struct {
	disposition disposition
	// result is the Result-Code of the answer, or with a vendor its
	// Experimental-Result-Code.
	result, vendor uint32
	// why is of the closed sets of screen.Rule and device.Reason: a label of counters.
	why string
}

// mark is what a transaction keeps of a request for the guard, which learns from the
// answer. The zero mark is of a request that nothing is learned from.
type mark struct {
	key     uint64 // keyed hash of the subscriber
	network uint32 // visited, as realm.PLMN
	peer    int32
	of      uint8
}

// asked is a request with its route, for the device policy.
type asked struct {
	m      *diameter.Message
	peer   int32 // that it came from: index into Set.Peers
	client *realm.Client
	route  *realm.Route
	now    int64 // monotonic, ns
	wall   int64 // Unix seconds
	// waited says that PolicyReady has come: nothing is deferred a second time.
	waited bool
	// waiter and token are for device.Table.Fetch. PolicyReady comes from another
	// goroutine.
	waiter device.Waiter
	token  uint64
	mark   mark // set by screened, changed by police; the transaction keeps it
}

// screened judges a request from a peer before anything else is done with it.
//
// hot: 0 allocs
func (g *guard) screened(q *asked) verdict { return verdict{} }

// police judges a request that has found its route, and is to be forwarded.
//
// hot: 0 allocs
func (g *guard) police(q *asked) verdict { return verdict{} }

// answered learns from the answer to a request that was forwarded.
//
// hot: 0 allocs
func (g *guard) answered(k mark, ok bool, now int64) {}

// deny writes the whole answer of a refused verdict into room, with the identifiers of
// the request; nil: it does not fit.
//
// hot: 0 allocs
func (g *guard) deny(room []byte, m *diameter.Message, v verdict) []byte { return nil }

var _ = []any{newGuard, (*guard).apply, (*guard).screened, (*guard).police, (*guard).answered, (*guard).deny,
	passed, dropped, refused, deferred}

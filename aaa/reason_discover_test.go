package aaa

import (
	"fmt"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/realm/discovery"
)

// undiscovered are requests whose realm leads to no peer by DNS.
func undiscovered() []provocation {
	says := func(c discovery.Cause) func(r *rig) {
		return func(r *rig) {
			d := &dnsOf{}
			d.cause.Store(int32(c))
			r.discover(d)
			r.rejectedSoon(access(secretUser+"@a.found.example", withPassword(secretPass)))
			r.quietHome(0)
		}
	}
	return []provocation{
		{name: "the zone names none", why: NoPeer, place: local, setup: setup{edit: discovers}, what: says(discovery.NoPeer)},
		{name: "no server answers", why: DiscoveryFailed, place: local, setup: setup{edit: discovers}, what: says(discovery.Failed)},
		{name: "over quota", why: DiscoveryBusy, place: local, setup: setup{edit: discovers}, what: func(r *rig) {
			d := &dnsOf{}
			r.discover(d)
			d.cause.Store(int32(discovery.NoPeer))
			for i := range 11 {
				r.rejectedSoon(access(fmt.Sprintf("%s@r%d.found.example", secretUser, i), withPassword(secretPass)))
			}
			assert.Equal(r.t, int32(10), d.asked.Load())
		}},
	}
}

package agent

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// C115, C116 and C120: a request gets the Route-Record of whoever sent it and a
// Hop-by-Hop Identifier of ours, everything else stays as it was, and the answer goes
// back octet for octet under the sender's identifier.
func TestC116Relay(t *testing.T) {
	r := newWalkRig(t, nil)
	in := request().with(avp{diameter.ProxyInfo, 0, []avp{{diameter.ProxyHost, 0, "p.visited.example"}, {diameter.ProxyState, 0, "s"}}})
	in.Flags |= 0x05 // reserved: neither looked at nor changed
	raw := in.octets()
	r.heard("mme", in)
	out := r.one("hss1")
	assert.Equal(t, []string{"mme.visited.example"}, recordsOf(out))
	assert.NotEqual(t, in.HopByHop, out.HopByHop)
	assert.Equal(t, in.EndToEnd, out.EndToEnd)
	assert.Equal(t, in.Flags, out.Flags)
	assert.Equal(t, raw[diameter.HeaderLen:], out.Raw[diameter.HeaderLen:len(raw)], "the AVPs are those of the sender")

	ans := answerTo(out, "hss1.home.example", diameter.ResultSuccess, avp{diameter.ProxyInfo, 0, []avp{{diameter.ProxyHost, 0, "p.visited.example"}, {diameter.ProxyState, 0, "s"}}})
	back := ans.octets()
	r.heard("hss1", ans)
	got := r.one("mme")
	assert.Equal(t, in.HopByHop, got.HopByHop)
	diameter.SetHopByHop(got.Raw, ans.HopByHop)
	assert.Equal(t, back, got.Raw, "nothing else is altered")
	r.rest()

	r.heard("hss1", ans) // once more
	r.nothing()
	assert.Equal(t, 1, r.counted("roamgate_diameter_dropped_total", "peer", "hss1", "reason", "late_answer"))
	require.Equal(t, 1, r.counted("roamgate_diameter_commands_total", "application", "s6a", "command", "update_location"))
}

package main

import (
	"bytes"
	"context"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
)

func demoFlagsOf(t *testing.T) demoFlags {
	return demoFlags{roamgate: peer.Roamgate(t), duration: time.Second, devices: 300, rate: 100, exit: true, dir: t.TempDir()}
}

// The demo through the hub of this tree: everything adds up and nothing stays.
func TestDemo(t *testing.T) {
	f := demoFlagsOf(t)
	out, err := command(t.Context(), "demo", "--roamgate", f.roamgate, "--duration", "1s", "--rate", "100",
		"--devices", "300", "--exit", "--dir", f.dir)
	require.NoError(t, err, out)
	assert.Contains(t, out, "adds up: yes")
	assert.NotContains(t, out, "✗")
	assert.FileExists(t, f.dir+"/realms/realms.yaml")
	for i := range cells {
		assert.NotContains(t, out, cells[i].name+" Diameter: sent 0 ", "all networks have traffic")
	}
}

// A demo that stays up: its commands work, and what is lost then is found.
func TestDemoStaysUp(t *testing.T) {
	var out bytes.Buffer
	f := demoFlagsOf(t)
	d := &demo{flags: f, out: &out, dir: f.dir}
	defer func() { assert.NoError(t, d.stop()) }()
	require.NoError(t, d.start(t.Context()))
	require.NoError(t, d.traffic(t.Context()))
	end, err := d.settle(t.Context())
	require.NoError(t, err)
	require.True(t, end.judge(&out), out.String())

	// The picture without one thing does not add up.
	losses := map[string]func(*picture){
		"an Access-Request without an answer": func(p *picture) { p.nets[0].Sent[play.KindAuth]++ },
		"a lost Access-Request": func(p *picture) {
			p.nets[0].Sent[play.KindAuth]++
			p.nets[0].Lost[play.KindAuth]++
			p.sum.Lost[play.KindAuth]++
		},
		"a ULR without an answer":         func(p *picture) { p.cells[0].Sent++ },
		"a lost ULR":                      func(p *picture) { p.asked.Lost++ },
		"a ULR that the HSS did not get":  func(p *picture) { p.cores[0].Unique-- },
		"a ULR that the HSS got twice":    func(p *picture) { p.cores[0].Unique++ },
		"an ACR that is not acknowledged": func(p *picture) { p.cells[1].Succeeded[node.RecordInterim]-- },
		"an ACR that is not durable":      func(p *picture) { p.durable[[2]string{"gateway-y", "start"}]-- },
		"an ACR that is not cleared":      func(p *picture) { p.cleared["gateway-y"]-- },
		"an ACR that is cleared twice":    func(p *picture) { p.cleared["gateway-y"]++ },
		"a stop that is not at the home":  func(p *picture) { p.cores[1].stops-- },
		"a translated ACR, not durable":   func(p *picture) { p.durable[[2]string{"stadium", "interim"}]-- },
		"a translated ACR, cleared twice": func(p *picture) { p.cleared["stadium"]++ },
		"a translated record of RADIUS":   func(p *picture) { p.cleared[hotel]-- },
		"a translated reject":             func(p *picture) { p.asked.Failed++ },
		"a usage record too many":         func(p *picture) { p.hub.Usage.Records["final"]++ },
		"a request of a stranger":         func(p *picture) { p.cores[0].Strangers++ },
		"an answer that is not believed":  func(p *picture) { p.asked.Flaws++ },
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			p := end
			p.nets, p.cells, p.cores = slices.Clone(p.nets), slices.Clone(p.cells), slices.Clone(p.cores)
			p.durable, p.cleared, p.hub.Usage.Records = maps.Clone(p.durable), maps.Clone(p.cleared), maps.Clone(p.hub.Usage.Records)
			lose(&p)
			var out bytes.Buffer
			assert.False(t, p.judge(&out))
			assert.Contains(t, out.String(), "✗")
			assert.Contains(t, out.String(), "adds up: NO")
		})
	}
	// And in earnest: an HSS that refuses who is allowed, and at last one that is silent.
	earnest := func(script node.Script, timeout time.Duration, want string) {
		t.Run(want, func(t *testing.T) {
			assert.NotContains(t, out.String(), want)
			d.cores[0].SetScript(script)
			w := d.work(&cells[0])
			w.Rate, w.Duration, w.Total, w.Timeout = 0, 0, 1, timeout
			require.NoError(t, d.cells[0].Play(t.Context(), w))
			out.Reset()
			ok, err := d.summary(t.Context())
			require.NoError(t, err)
			assert.False(t, ok)
			assert.Contains(t, out.String(), want)
		})
	}
	earnest(node.Script{Result: 5012}, time.Minute, "✗ rejects:")
	d.cores[0].SetScript(node.Script{})

	for _, try := range d.tries() {
		t.Run(try, func(t *testing.T) {
			if strings.Contains(try, "radclient") {
				peer.Need(t, "radclient")
			}
			said, err := exec.CommandContext(t.Context(), "bash", "-c", try).CombinedOutput()
			if strings.Contains(try, "nowhere.example") {
				assert.Contains(t, string(said), "Access-Reject")
				return
			}
			assert.NoError(t, err, string(said))
		})
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	out.Reset()
	require.NoError(t, d.leaveRunning(ctx))
	for _, try := range d.tries() {
		assert.Contains(t, out.String(), try)
	}
	earnest(node.Script{Silent: true}, 200*time.Millisecond, "✗ requests lost: found 1")
	d.cores[0].Disconnect() // nothing is under way, for which the hub would wait when it stops
}

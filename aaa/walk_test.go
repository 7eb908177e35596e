package aaa

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

func TestAccessRequestWalk(t *testing.T) {
	r := newRig(t, 1, nil)
	sent := r.ask(access("bob@Home.Example", withPassword("correct horse battery"), with(rfc2865.ProxyState_Type, "first", "second")))

	h := r.atHome(0)
	assert.Equal(t, "bob@Home.Example", rfc2865.UserName_GetString(h.Packet))
	assert.Equal(t, "correct horse battery", rfc2865.UserPassword_GetString(h.Packet))
	assert.Len(t, states(h.Packet), 3, "ours comes after the client's")
	assert.Equal(t, []string{"first", "second"}, states(h.Packet)[:2])

	h.answer(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "gold"))
	got := r.got(sent)
	assert.Equal(t, layeh.CodeAccessAccept, got.Code)
	assert.Equal(t, "gold", rfc2865.Class_GetString(got))
	assert.Equal(t, []string{"first", "second"}, states(got))

	r.offer(listen.Auth, sent)
	again := r.got(sent)
	assert.Equal(t, got.Attributes, again.Attributes, "a repetition gets the same answer")
	r.quietHome(0)
	r.clean()
}

func TestSilentHome(t *testing.T) {
	r := newRig(t, 2, nil)
	sent := r.ask(access("bob@home.example", withPassword("x")))
	first := r.atHome(0)
	r.pass(2500 * time.Millisecond)
	second := r.atHome(0)
	assert.Equal(t, first.raw, second.raw, "an unchanged retransmission keeps identifier and authenticator")
	r.quietHome(1)
	r.pass(30 * time.Second)
	r.rejected(sent)
	r.clean()
}

func TestAccountingModes(t *testing.T) {
	tests := []struct {
		name, realm string
		toHome      bool
		early       bool // answered before the home has
	}{
		{"home: answered when durable and the home has answered", "home.example", true, false},
		{"durable: answered when durable", "a.iot.example", true, true},
		{"no pool: ends here", "local.example", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			b := r.report(acctStop("bob@"+tt.realm, "s1"))
			r.recorded(1)
			if tt.early {
				assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
			} else {
				r.silent()
			}
			if tt.toHome {
				h := r.atAcct(0)
				assert.Equal(t, "s1", rfc2866.AcctSessionID_GetString(h.Packet))
				h.answer(layeh.CodeAccountingResponse)
			}
			if !tt.early {
				assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
			}
			r.clean()
		})
	}
}

// A request that is refused before it leaves must not make its identifier
// rest: 256 bad passwords would otherwise open another source port.
func TestRefusedRequestsUseNoIdentifierUp(t *testing.T) {
	r := newRig(t, 1, nil)
	for range 300 {
		p := access("bob@home.example")
		p.Add(rfc2865.UserPassword_Type, make(layeh.Attribute, 15))
		assert.Equal(t, layeh.CodeAccessReject, r.got(r.ask(p)).Code)
	}
	assert.Len(t, r.shard.homes, 1)
	r.quietHome(0)
}

// A client that asks again moves its request off a dead home at once; our own
// timer may have grown to many seconds by then.
func TestRepetitionLeavesADeadHome(t *testing.T) {
	r := newRig(t, 2, func(s *realm.Set) {
		s.Pools[0].Timers = realm.Timers{IRT: time.Minute, MRT: time.Minute, MRD: 5 * time.Minute, MRC: 5}
	})
	sent := r.ask(access("bob@home.example", withPassword("x"), func(p *layeh.Packet) {
		_ = rfc2865.State_SetString(p, "conversation")
	}))
	r.atHome(0)
	r.kill(0, home.Auth)
	r.quietHome(1)
	r.offer(listen.Auth, sent)
	r.atHome(1).answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
}

package aaa

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

func TestAccessRequestWalk(t *testing.T) {
	r := newRig(t, 1, nil)
	p := access("bob@Home.Example", withPassword("correct horse battery"))
	p.Add(rfc2865.ProxyState_Type, layeh.Attribute("first"))
	p.Add(rfc2865.ProxyState_Type, layeh.Attribute("second"))
	sent := r.ask(p)

	req, hub := r.atHome(0)
	assert.Equal(t, "bob@Home.Example", rfc2865.UserName_GetString(req))
	assert.Equal(t, "correct horse battery", rfc2865.UserPassword_GetString(req))
	states, err := rfc2865.ProxyState_Gets(req)
	require.NoError(t, err)
	require.Len(t, states, 3, "ours comes after the client's")
	assert.Equal(t, "first", string(states[0]))
	assert.Equal(t, "second", string(states[1]))

	r.answer(0, hub, req, layeh.CodeAccessAccept, func(p *layeh.Packet) {
		_ = rfc2865.Class_SetString(p, "gold")
	})
	got := r.got(sent)
	assert.Equal(t, layeh.CodeAccessAccept, got.Code)
	assert.Equal(t, "gold", rfc2865.Class_GetString(got))
	states, err = rfc2865.ProxyState_Gets(got)
	require.NoError(t, err)
	require.Len(t, states, 2)
	assert.Equal(t, "first", string(states[0]))

	r.offer(listen.Auth, sent)
	again := r.got(sent)
	assert.Equal(t, got.Attributes, again.Attributes, "a repetition gets the same answer")
	r.quietHome(0)
}

func TestUnknownRealmIsRejected(t *testing.T) {
	r := newRig(t, 1, nil)
	sent := r.ask(access("bob@nowhere.example", withPassword("x")))
	got := r.got(sent)
	assert.Equal(t, layeh.CodeAccessReject, got.Code)
	assert.Equal(t, 1, r.value("roamgate_local_answers_total", "reason", "no_route"))
}

func TestSilentHome(t *testing.T) {
	r := newRig(t, 2, nil)
	sent := r.ask(access("bob@home.example", withPassword("x")))
	first, _ := r.atHome(0)
	r.pass(2500 * time.Millisecond)
	second, _ := r.atHome(0)
	assert.Equal(t, first.Identifier, second.Identifier, "an unchanged retransmission keeps its identifier")
	assert.Equal(t, first.Authenticator, second.Authenticator)
	r.quietHome(1)
	r.pass(30 * time.Second)
	assert.Equal(t, layeh.CodeAccessReject, r.got(sent).Code)
}

func acctStop(user, session string) *layeh.Packet {
	p := layeh.New(layeh.CodeAccountingRequest, []byte(visitedSecret))
	_ = rfc2865.UserName_SetString(p, user)
	_ = rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Stop)
	_ = rfc2866.AcctSessionID_SetString(p, session)
	return p
}

func TestAccountingModes(t *testing.T) {
	acct := func(set *realm.Set) { set.Homes[0].Acct, set.Homes[0].Auth = set.Homes[0].Auth, set.Homes[0].Acct }
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
			r := newRig(t, 1, acct)
			b := encode(t, acctStop("bob@"+tt.realm, "s1"), false)
			r.offer(listen.Acct, b)
			r.until("the record is durable", func() bool { return r.hub.spool.Last() == 1 })
			if tt.early {
				r.settleDown()
				assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
			} else {
				r.silent()
			}
			if tt.toHome {
				req, hub := r.atHome(0)
				assert.Equal(t, "s1", rfc2866.AcctSessionID_GetString(req))
				r.answer(0, hub, req, layeh.CodeAccountingResponse)
			}
			if !tt.early {
				assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
			}
			assert.Zero(t, r.shard.slab.used, "the exchange has ended")
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

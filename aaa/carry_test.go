package aaa

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// carrier takes what is owed to Diameter homes.
type carrier struct{ got []agent.Owed }

func (c *carrier) Carry(o agent.Owed) { c.got = append(c.got, o) }

// ends says what became of all that was taken.
func (c *carrier) ends(h *Hub, how agent.Fate) {
	for _, o := range c.got {
		h.Ended([]agent.Ending{{Seq: o.Seq, Session: o.Session, Fate: how, Lane: o.Lane}})
	}
	c.got = nil
}

// seqs are the records that were taken.
func (c *carrier) seqs() (list []uint64) {
	for _, o := range c.got {
		list = append(list, o.Seq)
	}
	return list
}

// acr makes a record of Diameter as the agent stores it.
func acr(route, session string, number uint32) ([]byte, *accounting.Event) {
	const m = diameter.AVPMandatory
	var w diameter.Writer
	w.Begin(make([]byte, 1024), &diameter.Header{Flags: diameter.FlagRequest, Command: diameter.Accounting, Application: diameter.AppAccounting})
	w.String(diameter.SessionID, 0, m, session)
	w.String(diameter.UserName, 0, m, "262011234567890")
	w.Uint32(diameter.AccountingRecordType, 0, m, 3)
	w.Uint32(diameter.AccountingRecordNumber, 0, m, number)
	e := new(accounting.Event)
	raw := w.Finish()
	accounting.Classify(e, raw, 1)
	h := accounting.Header{Time: 1, Client: "mme", Route: route, Realm: route, Flags: accounting.FlagForward}
	h.SetEvent(e)
	return accounting.AppendRecord(nil, &h, raw), e
}

type awaited chan *spool.Batch

func (a awaited) SpoolDone(b *spool.Batch) { a <- b }

// owe stores records of Diameter that are owed; it says what Enter has.
func (r *rig) owe(route, session string, number uint32) (turn bool) {
	r.t.Helper()
	rec, e := acr(route, session, number)
	debt, turn := r.hub.Enter("mme", e)
	b, done := r.hub.spool.NewBatch(), make(awaited, 1)
	b.Add(0, rec, true)
	require.True(r.t, r.hub.spool.Submit(b, done))
	require.NoError(r.t, (<-done).Err)
	if turn {
		// Its own request found no home.
		r.hub.Ended([]agent.Ending{{Seq: b.Seq(0), Session: debt, Fate: agent.FateDown}})
	}
	return turn
}

func TestOwedToDiameterHomes(t *testing.T) {
	c := &carrier{}
	r := newRig(t, 1, func(s *realm.Set) {
		s.Pools = append(s.Pools, realm.Pool{Name: "diameter", Diameter: true})
		s.Routes = append(s.Routes, realm.Route{
			Realm: "diameter.example", Index: 4, Auth: -1, Acct: -1, Diameter: &realm.DiameterRoute{Action: realm.DiameterProxy, Pool: 1},
		})
	})
	assert.True(t, r.owe("diameter.example", "one", 0))
	assert.False(t, r.owe("diameter.example", "one", 1), "an earlier one of its session is owed")
	assert.True(t, r.owe("diameter.example", "two", 0))
	assert.True(t, r.owe("elsewhere.example", "three", 0))
	r.forwardOwed()
	assert.Equal(t, 4, r.owed(), "nobody speaks Diameter")

	r.hub.CarryBy(c)
	again := func() {
		for range 5 {
			r.now += int64(laneAgain) * 2
			if r.forwardOwed(); len(c.got) > 0 {
				return
			}
		}
	}
	r.hub.later.rewind()
	again()
	assert.Equal(t, []uint64{1, 3}, c.seqs(), "in the order of each session, and where there is a route")
	rec, err := accounting.Decode(c.got[0].Record)
	require.NoError(t, err)
	assert.True(t, accounting.IsDiameter(rec.Raw))
	c.ends(r.hub, agent.FateDown)
	again()
	assert.Equal(t, []uint64{1}, c.seqs(), "a pool that was away is asked by one")
	c.ends(r.hub, agent.FateTaken)
	for range 3 {
		again()
		c.ends(r.hub, agent.FateRefused)
	}
	assert.Equal(t, 1, r.owed(), "the one without a route")
	var dead []string
	for _, w := range r.waiting() {
		if w.Reason != "" {
			dead = append(dead, w.Reason+" "+w.SessionID)
		}
	}
	assert.ElementsMatch(t, []string{"refused one", "refused two"}, dead)

	r.command(func(ctx context.Context) {
		n, err := r.hub.Revive(ctx, Selection{Realm: "diameter.example"})
		assert.NoError(t, err)
		assert.Equal(t, 2, n)
	})
	for range 3 {
		again()
		c.ends(r.hub, agent.FateTaken)
	}
	assert.Equal(t, 1, r.owed())
}

func TestDebtOfARecordThatWasNotStored(t *testing.T) {
	r := newRig(t, 1, nil)
	_, e := acr("home.example", "one", 0)
	debt, turn := r.hub.Enter("mme", e)
	require.True(t, turn)
	_, second := r.hub.Enter("mme", e)
	require.False(t, second)
	r.hub.Cancel(debt, false)
	r.hub.Cancel(debt, turn)
	_, turn = r.hub.Enter("mme", e)
	assert.True(t, turn, "nothing of it is owed any more")
}

package aaa

import (
	"github.com/roamgate/roamgate/realm"
)

// settling puts the client into a group of OpenRoaming.
func settling(terms realm.Terms) func(*realm.Set) {
	return func(s *realm.Set) {
		g := &realm.Group{Name: "open", Kind: realm.Visited, Consortium: realm.OpenRoaming, Terms: terms}
		s.Groups = append(s.Groups, g)
		s.Clients[0].Group = g
	}
}

// refusedSettlements are sessions that nobody would pay for.
func refusedSettlements() []provocation {
	on := setup{edit: settling(realm.Terms{})}
	ask := func(edits ...edit) func(*rig) {
		return refusal(append(edits, named(atHomeExa), withPassword(secretPass), withRCOI(settledRCOI))...)
	}
	return []provocation{
		{name: "nobody clears", why: NoClearingProvider, place: local, setup: on, what: ask(withRate("EUR", 1, 7))},
		{name: "two clear", why: NoClearingProvider, place: local, setup: on, what: ask(withRate("EUR", 1, 7), withWBA(13, "4CLEARER:US"), withWBA(13, "4OTHER:US"))},
		{name: "one of another kind clears", why: NoClearingProvider, place: local, setup: on, what: ask(withRate("EUR", 1, 7), withWBA(13, "1clearer.example"))},
		{name: "no rate", why: NoRate, place: local, setup: on, what: ask(withWBA(13, "4CLEARER:US"))},
		{name: "a rate that is none", why: NoRate, place: local, setup: on, what: ask(withWBA(13, "4CLEARER:US"), withWBA(15, "eur\x00\x00\x00\x00\x01"))},
		{name: "the home clears nothing", why: NotCleared, place: local, setup: on, what: func(r *rig) {
			sent := r.ask(access(atHomeExa, withPassword(secretPass), withRCOI(settledRCOI), withWBA(13, "4CLEARER:US"), withRate("EUR", 1, 7)))
			r.atHome(0).answer(2)
			r.rejected(sent)
		}},
	}
}

package aaa

import (
	"github.com/roamgate/roamgate/realm"
)

// refusedOperators say that they come from where they do not.
func refusedOperators() []provocation {
	checked := func(s *realm.Set) { s.Clients[0].OperatorName = realm.OperatorCheck }
	return []provocation{
		{name: "another's", why: OperatorNameMismatch, place: local, setup: setup{edit: checked}, what: refusal(named(atHomeExa), withPassword(secretPass), with(126, "1other.example"))},
	}
}

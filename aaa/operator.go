package aaa

import (
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// operatorName brings the Operator-Name in the draft of a request to what the
// hub says of its client (RFC 5580 section 4.1): a client that is checked may
// name its own operator and those that are reached through it, and every
// request that has none gets the client's. More than one is nobody's.
//
// hot: 0 allocs
func (s *Shard) operatorName(v *visitor) Reason {
	mode := v.spec.OperatorName
	if mode == realm.OperatorPass {
		return OK
	}
	off := s.draft.Find(radius.OperatorName, radius.HeaderLen)
	if off == 0 {
		if v.spec.Operator != "" && !s.draft.Add(radius.OperatorName, v.vars[realm.VarOperatorID]) {
			return ofRadius(radius.Overflow)
		}
		return OK
	}
	name, next, _ := s.draft.Next(off)
	if s.draft.Find(radius.OperatorName, next) != 0 || mode == realm.OperatorCheck && !speaksFor(v.spec, name.Value()) {
		return OperatorNameMismatch
	}
	return OK
}

// speaksFor reports whether requests of an operator may come from a client.
func speaksFor(c *realm.Client, operator []byte) bool {
	if c.Operator != "" && realm.OperatorIs(c.Operator, operator) {
		return true
	}
	for _, through := range c.Operators {
		if realm.OperatorIs(through, operator) {
			return true
		}
	}
	return false
}

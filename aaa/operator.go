package aaa

import (
	"strings"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

// operator is whom a connection's certificate names as the operator of what
// comes by it. It belongs to one shard.
type operator struct {
	name   string        // with its namespace, "": none or several
	octets []byte        // the same
	holder *pki.Identity // nil: it stands in a record
	proved string        // the last realm that the certificate was found to have, as "1realm"
}

// operatorOf reads the operator from a certificate: its WBAID, else its one
// NAIRealm. It is nil without a certificate.
func operatorOf(id *pki.Identity) *operator {
	if id == nil {
		return nil
	}
	o := &operator{holder: id}
	if name := "4" + id.Operator; wba.IsProvider([]byte(name)) {
		o.name = name
	} else if len(id.Realms) == 1 && !strings.HasPrefix(id.Realms[0], "*") {
		o.name = "1" + id.Realms[0]
	}
	o.octets = []byte(o.name)
	return o
}

// certifies reports whether the certificate is of an operator: its WBAID or one
// with sub-identifiers, or a realm that it has.
//
// hot: 0 allocs but for a realm that differs from the one before
func (o *operator) certifies(name []byte) bool {
	if o == nil || o.holder == nil || len(name) < 2 {
		return false
	}
	switch name[0] {
	case '4':
		return wba.OperatorOf(o.holder.Operator, name)
	case '1':
		if string(name) == o.proved {
			return true
		}
		if !o.holder.HasRealm(string(name[1:])) {
			return false
		}
		o.proved = string(name)
		return true
	}
	return false
}

// operator is whose network a request is from where the files leave that to the
// certificate, nil: they do not, or it has none.
func (ex *Exchange) ownOperator() *operator {
	if ex.operator == nil || ex.operator.name == "" {
		return nil
	}
	if v := ex.visitorOf(); v != nil && v.spec.Operator != "" {
		return nil
	}
	return ex.operator
}

// visited names the visited network: by its operator, else as a client.
func (ex *Exchange) visited() string {
	spec := ex.client.Spec
	if spec.Operator != "" {
		return spec.Operator
	}
	if o := ex.ownOperator(); o != nil {
		return o.name
	}
	return spec.Name
}

// operatorName brings the Operator-Name in the draft of a request to what the
// hub says of its client (RFC 5580 section 4.1): a client that is checked may
// name its own operator, those that are reached through it and that of its
// certificate, and every request that has none gets the client's. More than one
// is nobody's.
//
// hot: 0 allocs but for realms of certificates
func (s *Shard) operatorName(ex *Exchange, v *visitor) Reason {
	mode := v.spec.OperatorName
	if mode == realm.OperatorPass {
		return OK
	}
	off := s.draft.Find(radius.OperatorName, radius.HeaderLen)
	if off == 0 {
		own := v.vars[realm.VarOperatorID]
		if o := ex.ownOperator(); o != nil {
			own = o.octets
		}
		if len(own) > 0 && !s.draft.Add(radius.OperatorName, own) {
			return ofRadius(radius.Overflow)
		}
		return OK
	}
	name, next, _ := s.draft.Next(off)
	if s.draft.Find(radius.OperatorName, next) != 0 {
		return OperatorNameMismatch
	}
	if mode == realm.OperatorCheck && !speaksFor(v.spec, name.Value()) && !ex.operator.certifies(name.Value()) && !ex.checked() {
		return OperatorNameMismatch
	}
	return OK
}

// checked says whether the Operator-Name was held against a certificate before:
// that of a record, whose connection is no more, was when it came.
func (ex *Exchange) checked() bool { return ex.replay && ex.operator != nil }

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

package aaa

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2866"
)

// A record says under which policy its session ran.
func TestRecordsNameThePolicy(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, edit: withPolicy, policyOf: policyOf})
	for i, of := range []struct {
		user   string
		status rfc2866.AcctStatusType
		known  bool
	}{
		{"open", rfc2866.AcctStatusType_Value_Start, true},
		{"open", rfc2866.AcctStatusType_Value_InterimUpdate, true},
		{"open", rfc2866.AcctStatusType_Value_Stop, true},
		{"stranger", rfc2866.AcctStatusType_Value_Stop, false},
	} {
		p := acctStop(of.user+"@home.example", "s")
		require.NoError(t, rfc2866.AcctStatusType_Set(p, of.status))
		sent := r.report(p)
		r.recorded(i + 1)
		r.atAcct(0).answer(layeh.CodeAccountingResponse)
		r.got(sent)
		all := r.records()
		require.Len(t, all, i+1)
		assert.Equal(t, of.known, all[i].PolicyVersion != 0, "%s of %s", of.status, of.user)
		assert.False(t, all[i].PolicyStale)
	}
	r.clean()
}

package session

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// A record that the hub has quarantined is Rejected for the hub's reason,
// whichever that is, on its way through spool, queue and sums.
func TestQuarantineReasonsAreSums(t *testing.T) {
	view := accounting.View{Hasher: accounting.NewHasher([]byte("the identity key of all hubs"))}
	packet := []byte{4, 1, 0, 26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 6, 0, 0, 0, 2} // a Stop
	for _, why := range accounting.Reasons() {
		t.Run(why.String(), func(t *testing.T) {
			header := accounting.Header{Time: base.UnixNano(), Client: "cafe", Kind: accounting.Quarantined, Quarantine: why, Event: base.Unix()}
			rec, err := accounting.Decode(accounting.AppendRecord(nil, &header, packet))
			require.NoError(t, err)
			rec.Seq = 1
			var rep usage.Report
			require.NoError(t, usage.ParseReport(rec.AppendJSON(nil, &view), &rep))
			var m Memory
			assert.Empty(t, joinAll(t, &m, rep), "nothing is billed")
			assert.Equal(t, map[TallyKey]int64{{Node: rep.Node, Client: "cafe", Class: usage.Rejected, Reason: why.String()}: 1}, m.Sums)
		})
	}
}

package session

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// BenchmarkJoin joins batches of 512 reports: Start, Interim and Stop of
// sessions that end in the batch. The stored form is counted too.
func BenchmarkJoin(b *testing.B) {
	batch := make([]usage.Report, 0, 512)
	for i := 0; len(batch) < cap(batch); i++ {
		for _, rep := range []usage.Report{report(accounting.Start, 0, 0, 0), report(accounting.Interim, 600, 10, 20), report(accounting.Stop, 1000, 30, 50)} {
			if rep.SessionID = fmt.Sprint(i); len(batch) < cap(batch) {
				batch = append(batch, rep)
			}
		}
	}
	rules := Default()
	var stored []byte
	b.ReportAllocs()
	for b.Loop() {
		d, err := rules.Join(&Memory{}, batch)
		require.NoError(b, err)
		for _, s := range d.Sessions {
			stored, err = s.AppendBinary(stored[:0])
			require.NoError(b, err)
			require.NoError(b, new(Session).UnmarshalBinary(stored))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/report")
}

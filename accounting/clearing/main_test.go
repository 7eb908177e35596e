package clearing

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/test/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// suite is what both backends must do.
var suite = []struct {
	name string
	run  func(t *testing.T, make placeMaker)
}{
	{"a batch has the effect of one", testRepetition},
	{"batches come in any order", testOrder},
	{"the watermark waits for the first record", testFirstRecord},
	{"a failure at any step leaves nothing", testFaults},
	{"two hubs report one event", testTwoHubs},
	{"accounts of one event that differ", testContradiction},
	{"messages that are no batch", testForeign},
	{"lines that cannot be read", testDeadLines},
	{"batches that contradict what was taken", testConflict},
	{"consumers at once", testConcurrent},
	{"missing stops", testSweep},
	{"the time of the reports", testNow},
	{"what is old is forgotten", testForget},
	{"a clock that was set back makes nothing old", testForgetClock},
	{"records are found", testFilter},
	{"what a session was made of", testSession},
	{"nothing given", testEmpty},
}

// TestEmbedded is the suite on the embedded store; two hubs that report one
// event are acceptance row 7.
func TestEmbedded(t *testing.T) {
	for _, tt := range suite {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, inMemory) })
	}
}

// TestPostgres is the suite on PostgreSQL; two hubs that report one event are
// acceptance row 7.
func TestPostgres(t *testing.T) {
	p := peer.StartPostgres(t)
	for _, tt := range suite {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, inPostgres(p)) })
	}
	t.Run("the server is killed", func(t *testing.T) { testServerKilled(t, p) })
	t.Run("a consumer hangs", func(t *testing.T) { testConsumerHangs(t, p) })
	t.Run("tables of a later program", func(t *testing.T) { testLaterTables(t, p) })
}

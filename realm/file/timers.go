package file

import (
	"time"

	"github.com/roamgate/roamgate/realm"
)

const (
	minIRT = 50 * time.Millisecond
	maxMRD = 5 * time.Minute
	maxMRC = 100
)

// timers checks the retransmission variables (RFC 5080 section 2.2.1). Zero,
// which the RFC reads as without limit, is refused where nothing else would end
// an exchange.
func (l *loader) timers(entry realm.Pos, t *timersEntry) realm.Timers {
	bad := func(d at[time.Duration], hint, format string, args ...any) {
		pos := d.pos(entry.File)
		if !d.set() {
			pos = entry
		}
		l.fail(pos, hint, format, args...)
	}
	if t.IRT.v < minIRT || t.IRT.v > time.Minute {
		bad(t.IRT, "2s is usual", "irt is not in %s to %s", minIRT, time.Minute)
	}
	if t.MRT.v < t.IRT.v {
		bad(t.MRT, "16s is usual", "mrt is shorter than irt")
	}
	if t.MRD.v < t.IRT.v || t.MRD.v > maxMRD {
		bad(t.MRD, "30s is usual", "mrd is not in irt to %s", maxMRD)
	}
	if t.MRC.v < 1 || t.MRC.v > maxMRC {
		l.fail(t.MRC.pos(entry.File), "5 is usual; retransmit: client stops our own repetitions", "mrc is not in 1 to %d", maxMRC)
	}
	return realm.Timers{IRT: t.IRT.v, MRT: t.MRT.v, MRD: t.MRD.v, MRC: t.MRC.v}
}
